/* Topics, for the command line. What exists is asked for by listing all topics: asking for one by name would make a
 * broker that creates topics by itself create it, with its own number of partitions. */
#include "byunique/kafka.h"

#include "byunique/clock.h"
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const rd_kafka_metadata_topic_t *find_topic(const rd_kafka_metadata_t *metadata, const char *topic)
{
	for (int i = 0; i < metadata->topic_cnt; i++)
		if (strcmp(metadata->topics[i].topic, topic) == 0)
			return &metadata->topics[i];
	return NULL;
}

/* A topic that was just made may be listed before its partitions have leaders. */
static bool is_ready(const rd_kafka_metadata_topic_t *topic)
{
	for (int i = 0; i < topic->partition_cnt; i++)
		if (topic->partitions[i].leader < 0)
			return false;
	return topic->partition_cnt > 0;
}

/* *partitions is 0 when there is no such topic. */
static bool look_up(rd_kafka_t *client, const char *topic, int *partitions, bool *ready, struct err *err)
{
	const rd_kafka_metadata_t *metadata;

	if (!kafka_list_topics(client, KAFKA_TIMEOUT_MS, &metadata, err))
		return false;
	const rd_kafka_metadata_topic_t *found = find_topic(metadata, topic);
	*partitions = found ? found->partition_cnt : 0;
	*ready = found != NULL && is_ready(found);
	rd_kafka_metadata_destroy(metadata);
	return true;
}

bool kafka_topic_partitions(rd_kafka_t *client, const char *topic, int *partitions, struct err *err)
{
	bool ready;

	if (!look_up(client, topic, partitions, &ready, err))
		return false;
	if (*partitions > 0)
		return true;
	err_set(err, VERDICT_STOP, rd_kafka_err2name(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART),
		"there is no topic \"%s\"", topic);
	return err_hint(err, "Run `byunique init`, or create the topic. It may also be that this client has no rights on it.");
}

/* --- create ------------------------------------------------------------------------------------------------------- */

/* What the broker said about the one topic. */
static bool take_answer(rd_kafka_event_t *event, const char *topic, bool *created, struct err *err)
{
	size_t count = 0;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	const char *text = rd_kafka_event_error_string(event);
	const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
	const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;

	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1) {
		code = rd_kafka_topic_result_error(topics[0]);
		text = rd_kafka_topic_result_error_string(topics[0]);
	}
	*created = code == RD_KAFKA_RESP_ERR_NO_ERROR;
	if (*created || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return true;
	char what[256];
	snprintf(what, sizeof(what), "can't create the topic \"%s\"", topic);
	return kafka_error(err, code, what, text);
}

static bool ask_to_create(rd_kafka_t *client, rd_kafka_NewTopic_t *wanted, const char *topic, bool *created,
			  struct err *err)
{
	char text[256];
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_TIMEOUT_MS, text, sizeof(text));
	rd_kafka_AdminOptions_set_operation_timeout(options, KAFKA_TIMEOUT_MS, text, sizeof(text));

	rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, -1); /* bounded by the request's timeout */
	bool ok = take_answer(event, topic, created, err);
	rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return ok;
}

static bool create(rd_kafka_t *client, const char *topic, int partitions, int replication_factor, bool *created,
		   struct err *err)
{
	char text[256];
	rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, replication_factor, text, sizeof(text));

	if (wanted == NULL) {
		err_set(err, VERDICT_USAGE, "", "can't create the topic \"%s\"", topic);
		return err_detail(err, "%s", text);
	}
	bool ok = ask_to_create(client, wanted, topic, created, err);
	rd_kafka_NewTopic_destroy(wanted);
	return ok;
}

/* So that who comes next finds it. */
static bool wait_until_ready(rd_kafka_t *client, const char *topic, struct err *err)
{
	int64_t deadline_ms = clock_mono_ms() + KAFKA_TIMEOUT_MS;

	while (clock_mono_ms() < deadline_ms) {
		int partitions;
		bool ready;
		if (!look_up(client, topic, &partitions, &ready, err))
			return false;
		if (ready)
			return true;
		clock_sleep_ms(50);
	}
	err_set(err, VERDICT_STOP, rd_kafka_err2name(RD_KAFKA_RESP_ERR__TIMED_OUT),
		"the new topic \"%s\" has no leaders yet", topic);
	return err_hint(err, "Look at the brokers' health, then run the command again.");
}

static bool create_unless_there(rd_kafka_t *client, const char *topic, int partitions, int replication_factor,
				bool *created, struct err *err)
{
	int present;
	bool ready;

	*created = false;
	if (!look_up(client, topic, &present, &ready, err))
		return false;
	if (present > 0)
		return true;
	return create(client, topic, partitions, replication_factor, created, err) &&
	       wait_until_ready(client, topic, err);
}

/* For commands that keep no client open. */
static rd_kafka_t *admin_client(const struct config *config, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ADMIN, err);
	return conf ? kafka_client_new(RD_KAFKA_PRODUCER, conf, err) : NULL;
}

bool kafka_count_partitions(const struct config *config, const char *topic, int *partitions, struct err *err)
{
	rd_kafka_t *client = admin_client(config, err);

	if (client == NULL)
		return false;
	bool ok = kafka_topic_partitions(client, topic, partitions, err);
	rd_kafka_destroy(client);
	return ok;
}

bool kafka_create_topic(const struct config *config, const char *topic, int partitions, int replication_factor,
			bool *created, struct err *err)
{
	rd_kafka_t *client = admin_client(config, err);

	if (client == NULL)
		return false;
	bool ok = create_unless_there(client, topic, partitions, replication_factor, created, err);
	rd_kafka_destroy(client);
	return ok;
}
