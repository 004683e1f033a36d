/* What all clients have in common: the user's properties, then those that are not the user's to choose; librdkafka's log
 * lines as events of ours. */
#include "internal.h"

#include "byunique/log.h"

static enum log_level level_of(int syslog_level)
{
	return syslog_level <= 3 ? LOG_ERROR : syslog_level == 4 ? LOG_WARN : syslog_level <= 6 ? LOG_INFO : LOG_DEBUG;
}

/* A broker that goes away is librdkafka's to find again: worth a warning, not an error. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	enum log_level ours = level_of(level);
	log_event(ours == LOG_ERROR ? LOG_WARN : ours, "kafka_client", "client=%s facility=%s text=%s",
		  log_quotes(rd_kafka_name(client)), facility, log_quotes(text));
}

rd_kafka_conf_t *kafka_conf_new(const struct config *config, enum kafka_role role, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	kafka_conf_set(conf, "client.id", "byunique");
	kafka_conf_set(conf, "socket.nagle.disable", "true");
	if (!kafka_conf_apply(conf, config, role, err)) {
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_log_cb(conf, on_log);
	return conf;
}

void kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[256];
	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		die("librdkafka refuses %s: %s", name, text);
}

rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err)
{
	char text[512];
	rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof(text));

	if (client == NULL) {
		rd_kafka_conf_destroy(conf);
		err_set(err, VERDICT_USAGE, "", "Kafka's client library refuses the configuration");
		err_detail(err, "%s", text);
	}
	return client;
}
