/* What all clients have in common: the user's properties, then those that are not the user's to choose; librdkafka's log
 * lines as events of ours; the first question to a broker.
 *
 * librdkafka does not tell why a question was not answered: that a password was refused comes as an event of its own, and
 * it goes on trying. So the first question is asked in steps, and events are looked at in between. */
#include "internal.h"

#include "byunique/clock.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <stdio.h>
#include <string.h>

static enum log_level level_of(int syslog_level)
{
	return syslog_level <= 3 ? LOG_ERROR : syslog_level == 4 ? LOG_WARN : syslog_level <= 6 ? LOG_INFO : LOG_DEBUG;
}

/* A connection that we close ourselves, as the client is no longer needed; be it in the middle of a login. */
static bool is_farewell(const char *text)
{
	return strstr(text, "in state DOWN)") != NULL;
}

/* A broker that goes away is librdkafka's to find again: worth a warning, not an error. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	enum log_level ours = is_farewell(text) ? LOG_DEBUG : level_of(level);
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
	if (role != KAFKA_PRODUCER) /* a producer that waits looks at no events */
		rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
	return conf;
}

void kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[256];
	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		die("librdkafka refuses %s: %s", name, text);
}

void kafka_conf_default(rd_kafka_conf_t *conf, const struct config *config, const char *name, const char *value)
{
	if (config_kafka(config, name) == NULL)
		kafka_conf_set(conf, name, value);
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

/* --- the first question ------------------------------------------------------------------------------------------- */

/* The last event that says more than that nobody is there; false, with *err: it is one that does not pass by itself. */
static bool take_events(rd_kafka_t *client, const char *what, char *reason, size_t size, struct err *err)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client);
	rd_kafka_event_t *event;
	bool ok = true;

	while (ok && (event = rd_kafka_queue_poll(queue, 0)) != NULL) {
		rd_kafka_resp_err_t code = rd_kafka_event_error(event);
		const char *text = rd_kafka_event_error_string(event);
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR && code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
			snprintf(reason, size, "%s", text ? text : "");
			ok = kafka_error(err, code, what, text) || err->verdict != VERDICT_STOP;
		}
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	return ok;
}

static bool is_silence(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

bool kafka_list_topics(rd_kafka_t *client, int timeout_ms, const rd_kafka_metadata_t **metadata, struct err *err)
{
	enum { FIRST_STEP_MS = 500 };
	static const char what[] = "can't read Kafka's list of topics";
	int64_t deadline_ms = clock_mono_ms() + timeout_ms, left_ms = timeout_ms, step_ms = FIRST_STEP_MS;
	char reason[sizeof(err->detail)] = "";
	rd_kafka_resp_err_t code;

	do {
		code = rd_kafka_metadata(client, 1, NULL, metadata, (int)(step_ms < left_ms ? step_ms : left_ms));
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			return true;
		if (!take_events(client, what, reason, sizeof(reason), err))
			return false;
		step_ms *= 2;
		left_ms = deadline_ms - clock_mono_ms();
	} while (is_silence(code) && left_ms > 0 && !signals_stop_requested());
	kafka_error(err, code, what, reason);
	if (is_silence(code))
		err_hint(err, "Is Kafka running where kafka.bootstrap.servers says?");
	return false;
}

/* --- offsets ---------------------------------------------------------------------------------------------------------- */

static const char offset_mark[] = "byunique";

void kafka_add_offset(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition, int64_t offset)
{
	rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add(list, topic, partition);

	element->offset = offset;
	element->metadata = xstrdup(offset_mark);
	element->metadata_size = strlen(offset_mark);
}

bool kafka_is_our_offset(const rd_kafka_topic_partition_t *element)
{
	return element->metadata_size == strlen(offset_mark) &&
	       memcmp(element->metadata, offset_mark, element->metadata_size) == 0;
}
