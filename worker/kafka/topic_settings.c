/* DescribeConfigs and the list of topics. One request for each topic, so that a right that is missing for one says nothing
 * of the others. */
#include "byunique/topic_settings.h"

#include "byunique/clock.h"
#include "byunique/signals.h"
#include "internal.h"

#include <stdlib.h>

enum { ASK_TIMEOUT_MS = 5000, STEP_MS = 200 };

/* --- the list of topics --------------------------------------------------------------------------------------------------- */

static int replication_factor(const rd_kafka_metadata_t *metadata, const char *topic)
{
	for (int i = 0; i < metadata->topic_cnt; i++)
		if (strcmp(metadata->topics[i].topic, topic) == 0 && metadata->topics[i].partition_cnt > 0)
			return metadata->topics[i].partitions[0].replica_cnt;
	return 0;
}

/* Without a controller the next question would wait for one. librdkafka's mock cluster names a broker that is none. */
static bool has_controller(rd_kafka_t *client, const rd_kafka_metadata_t *metadata)
{
	int32_t id = rd_kafka_controllerid(client, 0);

	for (int i = 0; i < metadata->broker_cnt; i++)
		if (metadata->brokers[i].id == id)
			return true;
	return false;
}

/* Topics that are missing get 0. */
static bool read_replication(rd_kafka_t *client, const struct config *config, struct topic_settings *settings,
			     struct replies *replies, bool *can_ask, struct err *err)
{
	const rd_kafka_metadata_t *metadata;

	if (!kafka_list_topics(client, ASK_TIMEOUT_MS, &metadata, err))
		return false;
	for (int role = 0; role < TOPIC_ROLES; role++)
		settings[role].replication_factor = replication_factor(metadata, topic_of(config, role));
	if (replies != NULL)
		replies_take(replies, metadata);
	*can_ask = has_controller(client, metadata);
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* --- a topic's settings --------------------------------------------------------------------------------------------------- */

static void take_entry(const rd_kafka_ConfigEntry_t *entry, struct topic_settings *settings)
{
	const char *name = rd_kafka_ConfigEntry_name(entry), *value = rd_kafka_ConfigEntry_value(entry);

	if (value == NULL)
		return;
	if (strcmp(name, "max.message.bytes") == 0)
		settings->max_message_bytes = strtoll(value, NULL, 10);
	else if (strcmp(name, "min.insync.replicas") == 0)
		settings->min_insync_replicas = (int)strtol(value, NULL, 10);
	else if (strcmp(name, "unclean.leader.election.enable") == 0)
		settings->unclean_election = strcmp(value, "true") == 0;
	else if (strcmp(name, "cleanup.policy") == 0)
		settings->compacted = strstr(value, "compact") != NULL;
}

static bool take_answer(rd_kafka_event_t *event, struct topic_settings *settings, struct err *err)
{
	const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
	const rd_kafka_ConfigResource_t **resources = NULL;
	const rd_kafka_ConfigEntry_t **entries;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	const char *text = rd_kafka_event_error_string(event);
	size_t count = 0;

	if (result != NULL)
		resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1) {
		code = rd_kafka_ConfigResource_error(resources[0]);
		text = rd_kafka_ConfigResource_error_string(resources[0]);
	}
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR || count != 1)
		return kafka_error(err, code, "can't read a topic's settings", text);
	entries = rd_kafka_ConfigResource_configs(resources[0], &count);
	for (size_t i = 0; i < count; i++)
		take_entry(entries[i], settings);
	settings->known = settings->max_message_bytes > 0;
	return true;
}

/* In steps, so that a worker that is told to stop does. */
static rd_kafka_event_t *await(rd_kafka_queue_t *queue)
{
	int64_t deadline_ms = clock_mono_ms() + ASK_TIMEOUT_MS;
	rd_kafka_event_t *event = NULL;

	while (event == NULL && clock_mono_ms() < deadline_ms && !signals_stop_requested())
		event = rd_kafka_queue_poll(queue, STEP_MS);
	return event;
}

static bool describe(rd_kafka_t *client, const char *topic, struct topic_settings *settings, struct err *err)
{
	char text[256];
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);

	rd_kafka_AdminOptions_set_request_timeout(options, ASK_TIMEOUT_MS, text, sizeof(text));
	rd_kafka_DescribeConfigs(client, &resource, 1, options, queue);
	rd_kafka_event_t *event = await(queue);
	bool ok = event ? take_answer(event, settings, err)
			: kafka_error(err, RD_KAFKA_RESP_ERR__TIMED_OUT, "can't read a topic's settings", NULL);
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_ConfigResource_destroy(resource);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return ok;
}

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

/* Unknown settings are none that would keep a worker from its work. False: it would be in vain to go on asking. */
static bool read_one(rd_kafka_t *client, const char *topic, struct topic_settings *settings)
{
	struct err err;

	if (describe(client, topic, settings, &err))
		return true;
	log_event(LOG_INFO, "topic_settings_unknown", "topic=%s detail=%s", log_quotes(topic), log_quotes(err.detail));
	return strcmp(err.origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR__TIMED_OUT)) != 0;
}

static bool read_all(rd_kafka_t *client, const struct config *config, struct topic_settings *settings, struct replies *replies,
		     struct err *err)
{
	bool can_ask = false;

	if (!read_replication(client, config, settings, replies, &can_ask, err))
		return false;
	for (int role = 0; role < TOPIC_ROLES; role++)
		if (can_ask && settings[role].replication_factor > 0)
			can_ask = read_one(client, topic_of(config, role), &settings[role]);
	for (uint32_t i = 0; replies != NULL && i < replies->count; i++) {
		struct topic_settings of_reply = {0};
		if (can_ask && replies->topics[i].partitions > 0)
			can_ask = read_one(client, replies->topics[i].name, &of_reply);
		replies->topics[i].max_message_bytes = of_reply.max_message_bytes;
	}
	return true;
}

bool topic_settings_read(const struct config *config, struct topic_settings settings[TOPIC_ROLES], struct replies *replies,
			 struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ADMIN, err);
	rd_kafka_t *client = conf ? kafka_client_new(RD_KAFKA_PRODUCER, conf, err) : NULL;

	memset(settings, 0, sizeof(*settings) * TOPIC_ROLES);
	if (client == NULL)
		return false;
	bool ok = read_all(client, config, settings, replies, err);
	rd_kafka_destroy(client);
	return ok;
}
