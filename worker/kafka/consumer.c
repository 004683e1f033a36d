/* Eager ("range") assignment: a rebalance takes everything and gives anew, which is the only protocol under which "drain,
 * then let go" is simple to be sure of. Messages are polled one by one: librdkafka 2.0.2's batch calls can skip messages
 * around pause and resume. */
#include "byunique/consumer.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/kafka.h"
#include "byunique/log.h"
#include "byunique/producer.h"
#include "byunique/published.h"
#include "byunique/replies.h"
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FACTS_TIMEOUT_MS = 10000 }; /* short, as the group is not served meanwhile; who asks tries again */

/* What librdkafka fetches ahead: keep_fetching(). */
struct ahead {
	rd_kafka_topic_partition_list_t *ends; /* owned: a question about each partition that is fetched; NULL: none is */
	size_t messages, bytes;		       /* handed out since it was asked last */
	size_t most_messages, most_bytes;      /* then it is asked again */
};

struct consumer {
	rd_kafka_t *client;
	char *topic;
	char *group;
	struct err failure; /* that the client told of itself, since it was opened; verdict NONE: none */
	struct rebalance_listener listener;
	bool paused;
	int64_t alone_since_ms;			/* monotonic; no broker was there then; 0: not so, or not known */
	bool reads_schema_header;		/* a registry is configured, which gives the header its meaning */
	bool heeds_replies;			/* there are reply topics */
	bool replaces_events;			/* results are CloudEvents of their own */
	rd_kafka_topic_partition_list_t *held; /* owned: consumer_hold() */
	struct ahead ahead;
};

void message_dispose(void *raw)
{
	rd_kafka_message_destroy(raw);
}

/* --- fetching ahead ----------------------------------------------------------------------------------------------------- */

/* librdkafka keeps its queue filled, and stops where there is enough in it. Before 2.2 it then looks only once a second whether
 * there is room again (its issue 2879), so a worker that is faster would run dry, unless a second's worth of messages lay there,
 * each of which takes 400 bytes beside its own. But whatever there is to do for a broker makes it look: so the brokers are asked
 * where their logs end, each time that a part of the queue has been handed out, and nobody waits for the answer. Only leaders
 * are asked that. */
enum { LOOKS_BY_ITSELF = 0x02020000, PARTS = 4 };

static bool looks_by_itself(void)
{
	return rd_kafka_version() >= LOOKS_BY_ITSELF;
}

static void set_defaults_of_ahead(rd_kafka_conf_t *conf, const struct config *config)
{
	bool from_followers = config_kafka(config, "client.rack") != NULL;

	/* A lane's messages may lie behind those of another one, which are no use while that one has a full batch. */
	if (config->postgres_connections > 1 && config_kafka(config, "fetch.message.max.bytes") == NULL)
		kafka_conf_default(conf, config, "max.partition.fetch.bytes", "262144");
	if (!looks_by_itself() && from_followers) {
		kafka_conf_default(conf, config, "queued.max.messages.kbytes", "8192"); /* a second's worth */
		return;
	}
	if (looks_by_itself())
		kafka_conf_default(conf, config, "fetch.queue.backoff.ms", "10");
	/* What a full batch takes comes in while it is filled, in a tenth of the time that PostgreSQL needs for it. */
	kafka_conf_default(conf, config, "queued.max.messages.kbytes", "1024");
	kafka_conf_default(conf, config, "queued.min.messages", "10000");
}

static size_t number_of(const rd_kafka_conf_t *conf, const char *name)
{
	char text[32];
	size_t size = sizeof(text);

	if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
		die("librdkafka does not know %s", name);
	return strtoull(text, NULL, 10);
}

static void ahead_init(struct ahead *ahead, const rd_kafka_conf_t *conf)
{
	ahead->most_messages = number_of(conf, "queued.min.messages") / PARTS;
	ahead->most_bytes = number_of(conf, "queued.max.messages.kbytes") * 1024 / PARTS;
}

/* From now on of these partitions, which are taken over; NULL: of none. */
static void ask_about(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
	struct ahead *ahead = &consumer->ahead;

	if (ahead->ends != NULL)
		rd_kafka_topic_partition_list_destroy(ahead->ends);
	ahead->ends = partitions;
	for (int i = 0; partitions != NULL && i < partitions->cnt; i++)
		partitions->elems[i].offset = RD_KAFKA_OFFSET_END;
}

static void make_it_look(struct consumer *consumer)
{
	enum { NO_PATIENCE_MS = 0 };

	if (consumer->ahead.ends != NULL)
		rd_kafka_offsets_for_times(consumer->client, consumer->ahead.ends, NO_PATIENCE_MS);
}

static void keep_fetching(struct consumer *consumer, const rd_kafka_message_t *handed_out)
{
	struct ahead *ahead = &consumer->ahead;

	ahead->messages++;
	ahead->bytes += handed_out->key_len + handed_out->len;
	if (ahead->messages < ahead->most_messages && ahead->bytes < ahead->most_bytes)
		return;
	ahead->messages = ahead->bytes = 0;
	if (!looks_by_itself())
		make_it_look(consumer);
}

/* No version looks by itself when a partition may be fetched again. */
static rd_kafka_resp_err_t resume(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_resp_err_t code = rd_kafka_resume_partitions(consumer->client, partitions);

	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		make_it_look(consumer);
	return code;
}

/* --- rebalance ------------------------------------------------------------------------------------------------------ */

static void note_assigned(struct consumer *consumer, const rd_kafka_topic_partition_list_t *given)
{
	int32_t *numbers = xcalloc((unsigned long)given->cnt, sizeof(*numbers));
	for (int i = 0; i < given->cnt; i++)
		numbers[i] = given->elems[i].partition;
	consumer->listener.assigned(consumer->listener.context, numbers, (uint32_t)given->cnt);
	free(numbers);
}

/* From 2.10 on librdkafka forgets the brokers that no broker tells of, which is all of them when one is asked that has just come
 * back, and before 2.16 it never looks for them again (its issue 5301). Others wait for Kafka, however long that takes. */
static bool forgets_brokers(void)
{
	enum { FORGETS = 0x020a0000, RECOVERS = 0x02100000 };
	return rd_kafka_version() >= FORGETS && rd_kafka_version() < RECOVERS;
}

/* Called from within the poll. What is not kept here passes by itself, and is in librdkafka's log. */
static void on_error(rd_kafka_t *client, int code, const char *text, void *opaque)
{
	struct consumer *consumer = opaque;
	bool is_fatal = code == RD_KAFKA_RESP_ERR__FATAL;
	struct err err;
	(void)client;

	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && consumer->alone_since_ms == 0 && forgets_brokers())
		consumer->alone_since_ms = clock_mono_ms();
	kafka_error(&err, (rd_kafka_resp_err_t)code, is_fatal ? "the consumer has to start afresh" : "Kafka refuses the login",
		    text);
	if ((is_fatal || err.verdict == VERDICT_STOP) && consumer->failure.verdict == VERDICT_NONE)
		consumer->failure = err;
}

static void let_go(struct consumer *consumer)
{
	rd_kafka_topic_partition_list_destroy(consumer->held);
	consumer->held = rd_kafka_topic_partition_list_new(0);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions,
			 void *opaque)
{
	struct consumer *consumer = opaque;

	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		/* Nothing is fetched yet: consumer_start() says from where. */
		rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
		rd_kafka_assign(client, none);
		rd_kafka_topic_partition_list_destroy(none);
		consumer->paused = false;
		note_assigned(consumer, partitions);
		return;
	}
	consumer->listener.revoked(consumer->listener.context, rd_kafka_assignment_lost(client) != 0);
	rd_kafka_assign(client, NULL);
	ask_about(consumer, NULL);
	/* A partition stays paused over this and the next assignment. Not after that one: a resume begins where the last
	 * message was handed out, which is another worker's business by then. */
	rd_kafka_resume_partitions(client, partitions);
	consumer->paused = false;
	let_go(consumer);
}

/* --- open and close ---------------------------------------------------------------------------------------------------- */

rd_kafka_conf_t *kafka_consumer_conf(const struct config *config, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, err);
	if (conf == NULL)
		return NULL;
	kafka_conf_set(conf, "enable.auto.commit", "false");
	kafka_conf_set(conf, "enable.auto.offset.store", "false");
	kafka_conf_set(conf, "auto.offset.reset", "error");
	kafka_conf_set(conf, "isolation.level", "read_committed");
	kafka_conf_set(conf, "partition.assignment.strategy", "range");
	kafka_conf_default(conf, config, "topic.metadata.refresh.interval.ms", "10000"); /* so soon a new partition is seen; not in five minutes */
	set_defaults_of_ahead(conf, config);
	return conf;
}

static bool subscribe(struct consumer *consumer, struct err *err)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, consumer->topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->client, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't subscribe to the commands topic", NULL);
}

bool consumer_open(struct consumer **out, const struct config *config, struct rebalance_listener listener, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_consumer_conf(config, err);
	if (conf == NULL)
		return false;
	struct consumer *consumer = xcalloc(1, sizeof(*consumer));
	consumer->topic = xstrdup(config->commands_topic);
	consumer->group = xstrdup(config_kafka(config, "group.id"));
	consumer->listener = listener;
	consumer->reads_schema_header = config->schema_registry_url[0] != '\0';
	consumer->heeds_replies = config->reply_topics[0] != '\0';
	consumer->replaces_events = config->results_cloudevents_source[0] != '\0';
	consumer->held = rd_kafka_topic_partition_list_new(0);
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_opaque(conf, consumer);
	ahead_init(&consumer->ahead, conf);
	consumer->client = kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
	if (consumer->client == NULL) {
		rd_kafka_topic_partition_list_destroy(consumer->held);
		free(consumer->topic);
		free(consumer->group);
		free(consumer);
		return false;
	}
	rd_kafka_poll_set_consumer(consumer->client);
	if (!subscribe(consumer, err)) {
		consumer_close(consumer);
		return false;
	}
	*out = consumer;
	return true;
}

void consumer_close(struct consumer *consumer)
{
	if (consumer == NULL)
		return;
	rd_kafka_consumer_close(consumer->client);
	rd_kafka_destroy(consumer->client);
	ask_about(consumer, NULL);
	rd_kafka_topic_partition_list_destroy(consumer->held);
	free(consumer->topic);
	free(consumer->group);
	free(consumer);
}

/* --- messages ---------------------------------------------------------------------------------------------------------- */

static struct slice schema_header(const rd_kafka_headers_t *headers)
{
	const void *value;
	size_t size;

	if (rd_kafka_header_get_last(headers, SCHEMA_HEADER, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return SLICE_NONE;
	return slice_of(value, size);
}

static void note_reply(struct message *message, const char *name, struct slice value)
{
	if (strcmp(name, REPLY_TOPIC_HEADER) == 0)
		message->reply_topic = value;
	else if (strcmp(name, REPLY_PARTITION_HEADER) == 0)
		message->reply_partition = value;
}

static void note_event(struct message *message, const char *name, struct slice value)
{
	if (!event_replaces(name))
		return;
	message->event_header_count++;
	message->event_header_bytes += record_header_bytes(strlen(name), value.len);
	if (strcmp(name, EVENT_ID_HEADER) == 0)
		message->event_id = value;
}

static void look_at_headers(const struct consumer *consumer, struct message *message, const rd_kafka_message_t *raw)
{
	rd_kafka_headers_t *headers = NULL;
	const char *name;
	const void *value;
	size_t size;

	message->header_count = 0;
	message->header_bytes = 0;
	message->schema_header = SLICE_NONE;
	/* asked for once: where there are none, librdkafka allocates to find that out, each time */
	if (rd_kafka_message_headers(raw, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	if (consumer->reads_schema_header)
		message->schema_header = schema_header(headers);
	while (rd_kafka_header_get_all(headers, message->header_count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		message->header_bytes += record_header_bytes(strlen(name), size);
		if (consumer->heeds_replies)
			note_reply(message, name, slice_of(value, size));
		if (consumer->replaces_events)
			note_event(message, name, slice_of(value, size));
		message->header_count++;
	}
}

static void fill(const struct consumer *consumer, struct message *message, rd_kafka_message_t *raw)
{
	rd_kafka_timestamp_type_t type;

	message->raw = raw;
	message->offset = raw->offset;
	message->key = slice_of(raw->key, raw->key_len);
	message->value = slice_of(raw->payload, raw->len);
	message->hash = message_hash(message->key, message->value);
	message->timestamp_ms = rd_kafka_message_timestamp(raw, &type);
	look_at_headers(consumer, message, raw);
}

/* An error event in place of a message; most pass by themselves. */
static bool take_event(const struct consumer *consumer, rd_kafka_message_t *raw, struct err *err)
{
	static _Thread_local int64_t last_log_ms;
	rd_kafka_resp_err_t code = raw->err;
	const char *text = rd_kafka_message_errstr(raw);
	bool ok = true;

	if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
		kafka_error(err, code, "the commands topic no longer holds the offset to read from", text);
		ok = false;
	} else if (code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
		ok = kafka_error(err, code, "the consumer has to start afresh", text);
	} else if (!kafka_error(err, code, "the consumer reports", text) && err->verdict == VERDICT_STOP) {
		if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) /* the text does not name it */
			err_detail(err, "group %.200s: %s", consumer->group, text);
		ok = false;
	} else if (log_limit(&last_log_ms, 5000)) {
		if (code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION) { /* comes again and again */
			err_detail(err, "partition %" PRId32 ": %s", raw->partition, text);
			err_hint(err, "A batch of messages that unpacks to more than kafka.receive.message.max.bytes can't be "
				      "read: raise that.");
		}
		log_err(LOG_WARN, "consumer_event", err);
	}
	rd_kafka_message_destroy(raw);
	return ok;
}

/* Nobody was there a while ago, and still nobody answers: a consumer made anew looks for brokers again. By then the group has
 * given this one up. */
static bool is_alone(struct consumer *consumer, struct err *err)
{
	enum { ALONE_MS = 60000, ASK_MS = 5000 };
	const rd_kafka_metadata_t *metadata;

	if (consumer->alone_since_ms == 0 ||
	    clock_mono_ms() - consumer->alone_since_ms < FAILPOINT_MS("BYUNIQUE_TEST_ALONE_MS", ALONE_MS))
		return false;
	consumer->alone_since_ms = 0;
	rd_kafka_resp_err_t code = rd_kafka_metadata(consumer->client, 0, NULL, &metadata, ASK_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return !kafka_error(err, code, "no broker of Kafka has answered for long", NULL);
	rd_kafka_metadata_destroy(metadata);
	return false;
}

bool consumer_poll(struct consumer *consumer, int timeout_ms, struct message *message, int32_t *number, bool *got,
		   struct err *err)
{
	rd_kafka_message_t *raw = rd_kafka_consumer_poll(consumer->client, timeout_ms);

	*got = false;
	if (consumer->failure.verdict != VERDICT_NONE) {
		*err = consumer->failure;
		if (raw != NULL)
			rd_kafka_message_destroy(raw);
		return false;
	}
	if (raw == NULL)
		return !is_alone(consumer, err);
	if (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return take_event(consumer, raw, err);
	*got = true;
	*number = raw->partition;
	keep_fetching(consumer, raw);
	fill(consumer, message, raw);
	return true;
}

bool consumer_start(struct consumer *consumer, const struct partition *partitions, uint32_t count, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (uint32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, consumer->topic, partitions[i].number)->offset = partitions[i].start;
	rd_kafka_resp_err_t code = rd_kafka_assign(consumer->client, list);
	ask_about(consumer, list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't begin to fetch", NULL);
}

bool consumer_pause(struct consumer *consumer, bool paused, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = NULL;

	if (consumer->paused == paused)
		return true;
	rd_kafka_resp_err_t code = rd_kafka_assignment(consumer->client, &list);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		for (int i = 0; !paused && i < consumer->held->cnt; i++)
			rd_kafka_topic_partition_list_del(list, consumer->topic, consumer->held->elems[i].partition);
		code = paused ? rd_kafka_pause_partitions(consumer->client, list)
			      : resume(consumer, list);
		rd_kafka_topic_partition_list_destroy(list);
	}
	consumer->paused = paused;
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't pause or resume fetching", NULL);
}

bool consumer_hold(struct consumer *consumer, int32_t number, bool held, struct err *err)
{
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (held == (rd_kafka_topic_partition_list_find(consumer->held, consumer->topic, number) != NULL))
		return true;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, consumer->topic, number);
	if (held) {
		rd_kafka_topic_partition_list_add(consumer->held, consumer->topic, number);
		code = rd_kafka_pause_partitions(consumer->client, list);
	} else {
		rd_kafka_topic_partition_list_del(consumer->held, consumer->topic, number);
		if (!consumer->paused)
			code = resume(consumer, list);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't pause or resume a partition", NULL);
}

/* --- facts ---------------------------------------------------------------------------------------------------------------- */

static bool read_watermarks(struct consumer *consumer, const int32_t *partitions, uint32_t count, struct log_facts *facts,
			    struct err *err)
{
	for (uint32_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code =
			rd_kafka_query_watermark_offsets(consumer->client, consumer->topic, partitions[i],
							 &facts[i].log_start, &facts[i].log_end, FACTS_TIMEOUT_MS);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		kafka_error(err, code, "can't read where the commands topic begins and ends", NULL);
		if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) { /* the group gave it, so it is there: without a leader */
			err->verdict = VERDICT_RETRY;
			err_detail(err, "partition %" PRId32 " has no leader now", partitions[i]);
			err_hint(err, "Is the broker that has it down?");
		}
		return false;
	}
	return true;
}

static bool committed(struct consumer *consumer, const int32_t *partitions, uint32_t count, struct log_facts *facts,
		      struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (uint32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, consumer->topic, partitions[i]);
	rd_kafka_resp_err_t code = rd_kafka_committed(consumer->client, list, FACTS_TIMEOUT_MS);
	for (uint32_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < count; i++) {
		const rd_kafka_topic_partition_t *got =
			rd_kafka_topic_partition_list_find(list, consumer->topic, partitions[i]);
		code = got->err;
		facts[i].committed = got->offset >= 0 ? got->offset : -1;
		facts[i].committed_by_others = got->offset >= 0 && !kafka_is_our_offset(got);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't read the group's offsets", NULL);
}

bool consumer_committed(struct consumer *consumer, const int32_t *partitions, uint32_t count, int64_t *offsets,
			struct err *err)
{
	struct log_facts *facts = xcalloc(count, sizeof(*facts));
	bool ok = committed(consumer, partitions, count, facts, err);

	for (uint32_t i = 0; ok && i < count; i++)
		offsets[i] = facts[i].committed;
	free(facts);
	return ok;
}

bool consumer_facts(struct consumer *consumer, const int32_t *partitions, uint32_t count, struct log_facts *facts,
		    struct err *err)
{
	return committed(consumer, partitions, count, facts, err) &&
	       read_watermarks(consumer, partitions, count, facts, err);
}

bool consumer_is_paused(const struct consumer *consumer)
{
	return consumer->paused;
}

/* A timestamp of -1 asks for the log's end; all partitions of a broker go in one request. */
static void ask_log_ends(struct consumer *consumer, const int32_t *partitions, uint32_t count, int64_t *log_ends)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

	for (uint32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, consumer->topic, partitions[i])->offset = RD_KAFKA_OFFSET_END;
	rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(consumer->client, list, ENDS_TIMEOUT_MS);
	for (uint32_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < count; i++) {
		const rd_kafka_topic_partition_t *got =
			rd_kafka_topic_partition_list_find(list, consumer->topic, partitions[i]);
		if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR && got->offset >= 0)
			log_ends[i] = got->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
}

void consumer_log_ends(struct consumer *consumer, const int32_t *partitions, uint32_t count, bool ask, int64_t *log_ends)
{
	for (uint32_t i = 0; i < count; i++) {
		int64_t start;
		log_ends[i] = -1;
		if (rd_kafka_get_watermark_offsets(consumer->client, consumer->topic, partitions[i], &start,
						   &log_ends[i]) != RD_KAFKA_RESP_ERR_NO_ERROR || log_ends[i] < 0)
			log_ends[i] = -1;
	}
	if (ask)
		ask_log_ends(consumer, partitions, count, log_ends);
}

bool consumer_rewind(struct consumer *consumer, const struct next_offset *offsets, uint32_t count, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (uint32_t i = 0; i < count; i++)
		kafka_add_offset(list, consumer->topic, offsets[i].partition, offsets[i].offset);
	rd_kafka_resp_err_t code = rd_kafka_commit(consumer->client, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't put the group's offsets back", NULL);
}

struct rd_kafka_consumer_group_metadata_s *consumer_group(struct consumer *consumer)
{
	return rd_kafka_consumer_group_metadata(consumer->client);
}

void group_free(struct rd_kafka_consumer_group_metadata_s *group)
{
	if (group != NULL)
		rd_kafka_consumer_group_metadata_destroy(group);
}

bool consumer_cluster_id(struct consumer *consumer, char **id, struct err *err)
{
	char *given = rd_kafka_clusterid(consumer->client, KAFKA_TIMEOUT_MS);
	if (given == NULL)
		return kafka_error(err, RD_KAFKA_RESP_ERR__TIMED_OUT, "can't read the Kafka cluster's id", NULL);
	*id = xstrdup(given);
	rd_kafka_mem_free(consumer->client, given);
	return true;
}
