/* Results and offsets in one transaction. Values are copied into librdkafka; headers of a command are copied once more,
 * as librdkafka takes over what it is given. */
#include "byunique/producer.h"

#include "byunique/clock.h"
#include "byunique/kafka.h"
#include "byunique/settling.h"
#include "byunique/signals.h"
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct producer {
	rd_kafka_t *client;
	const struct config *config; /* borrowed */
	struct replies *replies;     /* borrowed; NULL: nobody may ask for one */
	int64_t committed_us;	     /* when the last transaction was; monotonic */
	int64_t settling_us;	     /* what it seems to take Kafka; settling.h */
	int64_t backoff_us;	     /* before a request that was refused is repeated */
	bool used;		     /* something belongs to the transaction that is open */
	bool visible_names;	     /* see struct bounds */
};

/* The transaction has to time out well before a successor could be waiting for its partitions in earnest. */
static bool set_transaction_timeout(rd_kafka_conf_t *conf, const struct config *config, struct err *err)
{
	enum { DEFAULT_SESSION_MS = 45000 };
	const char *session = config_kafka(config, "session.timeout.ms");
	const char *given = config_kafka(config, "transaction.timeout.ms");
	int64_t most_ms = (session ? strtoll(session, NULL, 10) : DEFAULT_SESSION_MS) / 2;
	char text[24];

	if (given != NULL && strtoll(given, NULL, 10) > most_ms) {
		err_set(err, VERDICT_USAGE, "", "kafka.transaction.timeout.ms is too long");
		err_detail(err, "it is %s, at most half of kafka.session.timeout.ms is allowed: %" PRId64, given, most_ms);
		return err_hint(err, "Leave it out: it is derived from the session timeout.");
	}
	if (given == NULL) {
		snprintf(text, sizeof(text), "%" PRId64, most_ms < 1000 ? 1000 : most_ms);
		kafka_conf_set(conf, "transaction.timeout.ms", text);
	}
	return true;
}

static bool fail_to_start(const char *transactional_id, rd_kafka_error_t *error, struct err *err)
{
	char what[256];

	snprintf(what, sizeof(what), "can't start the transactional producer %.180s", transactional_id);
	return kafka_error_take(err, error, what);
}

/* In steps, so that a worker that is told to stop does. */
static bool init_transactions(struct producer *producer, const char *transactional_id, struct err *err)
{
	enum { STEP_MS = 500 };
	int64_t deadline_ms = clock_mono_ms() + KAFKA_TIMEOUT_MS;

	for (;;) {
		rd_kafka_error_t *error = rd_kafka_init_transactions(producer->client, STEP_MS);
		if (error == NULL)
			return true;
		bool again = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__TIMED_OUT &&
			     clock_mono_ms() < deadline_ms && !signals_stop_requested();
		if (!again)
			return fail_to_start(transactional_id, error, err);
		rd_kafka_error_destroy(error);
	}
}

/* A topic that is missing shows up as a failed transaction, again and again, without its name. */
static bool check_topics(struct producer *producer, struct err *err)
{
	int partitions;

	return kafka_topic_partitions(producer->client, producer->config->results_topic, &partitions, err) &&
	       (producer->config->dead_letter_topic[0] == '\0' ||
		kafka_topic_partitions(producer->client, producer->config->dead_letter_topic, &partitions, err));
}

/* Results with the same key have to meet in one partition. */
static bool check_partitioner(const struct config *config, struct err *err)
{
	const char *partitioner = config_kafka(config, "partitioner");

	if (partitioner == NULL || strcmp(partitioner, "random") != 0)
		return true;
	err_set(err, VERDICT_USAGE, "", "kafka.partitioner can't be random");
	return err_detail(err, "results with the same key have to come out in the order of their commands");
}

/* The bounds are those of record batches, so neither a record nor a batch may be larger. */
static void set_sizes(rd_kafka_conf_t *conf, const struct config *config, const struct bounds *bounds)
{
	enum { DEFAULT_BATCH_BYTES = 1000000, ROOM_BYTES = 100000000 };
	const char *given = config_kafka(config, "batch.size");
	size_t batch_bytes = given ? (size_t)strtoull(given, NULL, 10) : DEFAULT_BATCH_BYTES;
	char text[24];

	if (batch_bytes > bounds->result_bytes)
		batch_bytes = bounds->result_bytes;
	if (batch_bytes > bounds->letter_bytes)
		batch_bytes = bounds->letter_bytes;
	if (batch_bytes > bounds->reply_bytes)
		batch_bytes = bounds->reply_bytes;
	snprintf(text, sizeof(text), "%zu", batch_bytes);
	kafka_conf_set(conf, "batch.size", text);
	if (config_kafka(config, "message.max.bytes") == NULL) {
		snprintf(text, sizeof(text), "%d", ROOM_BYTES); /* the topic's own limit decides */
		kafka_conf_set(conf, "message.max.bytes", text);
	}
}

#define DEFAULT_BACKOFF_MS "10"

static int64_t backoff_us(const struct config *config)
{
	const char *given = config_kafka(config, "retry.backoff.ms");
	return 1000 * strtoll(given ? given : DEFAULT_BACKOFF_MS, NULL, 10);
}

static void set_defaults(rd_kafka_conf_t *conf, const struct config *config)
{
	kafka_conf_default(conf, config, "partitioner", "murmur2_random");
	kafka_conf_default(conf, config, "linger.ms", "1"); /* a transaction's messages come together, and wait for its partitions */
	kafka_conf_default(conf, config, "retry.backoff.ms", DEFAULT_BACKOFF_MS); /* what is sent behind a transaction is refused for a moment */
	if (config_kafka(config, "compression.type") == NULL && config_kafka(config, "compression.codec") == NULL)
		kafka_conf_set(conf, "compression.type", "lz4");
}

/* What becomes of messages is told as events, and only when it is bad: so what was delivered is freed at once, and flushing wakes as
 * soon as nothing is left. Without, it looks every ten milliseconds. */
static void heed_deliveries(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
	kafka_conf_set(conf, "delivery.report.only.error", "true");
}

bool producer_open(struct producer **out, const struct config *config, const char *transactional_id,
		   const struct bounds *bounds, struct replies *replies, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_PRODUCER, err);
	if (conf == NULL)
		return false;
	if (!check_partitioner(config, err) || !set_transaction_timeout(conf, config, err)) {
		rd_kafka_conf_destroy(conf);
		return false;
	}
	kafka_conf_set(conf, "transactional.id", transactional_id);
	set_defaults(conf, config);
	heed_deliveries(conf);
	set_sizes(conf, config, bounds);

	struct producer *producer = xcalloc(1, sizeof(*producer));
	producer->config = config;
	producer->replies = replies;
	producer->visible_names = bounds->visible_names;
	producer->settling_us = SETTLING_START_US;
	producer->backoff_us = backoff_us(config);
	producer->client = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
	if (producer->client == NULL) {
		producer_close(producer);
		return false;
	}
	if (!init_transactions(producer, transactional_id, err) || !check_topics(producer, err)) {
		producer_close(producer);
		return false;
	}
	*out = producer;
	return true;
}

void producer_close(struct producer *producer)
{
	if (producer == NULL)
		return;
	if (producer->client != NULL) {
		/* Drop what is queued: destroying would wait for it. */
		rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_destroy(producer->client);
	}
	free(producer);
}

/* The library does not say which topic it is. */
static bool fail_transaction(const struct producer *producer, rd_kafka_error_t *error, const char *what, struct err *err)
{
	bool unauthorised = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	const char *letters = producer->config->dead_letter_topic;

	kafka_error_take(err, error, what);
	if (unauthorised)
		err_hint(err, "Grant this client Write on %.90s%s%.90s.", producer->config->results_topic,
			 letters[0] != '\0' ? " and " : "", letters);
	return false;
}

bool producer_begin(struct producer *producer, struct err *err)
{
	replies_begin(producer->replies);
	producer->used = false;
	rd_kafka_error_t *error = rd_kafka_begin_transaction(producer->client);
	return error == NULL || kafka_error_take(err, error, "can't begin a Kafka transaction");
}

bool producer_is_settling(const struct producer *producer)
{
	enum { SETTLED_US = 30000 };
	return clock_mono_us() - producer->committed_us < SETTLED_US;
}

void producer_settle(const struct producer *producer)
{
	clock_sleep_us(producer->committed_us + producer->settling_us - clock_mono_us());
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

/* Without those that ours replace. librdkafka's own removal looks at all headers for each. Names end at U+0000. */
static rd_kafka_headers_t *kept_headers(const rd_kafka_headers_t *headers, bool replace)
{
	rd_kafka_headers_t *kept = rd_kafka_headers_new(rd_kafka_header_cnt(headers));
	const char *name;
	const void *value;
	size_t size;

	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		if (!replace || !event_replaces(name))
			rd_kafka_header_add(kept, name, -1, value, (ssize_t)size);
	return kept;
}

/* The command's headers, unless they are cut, then ours. NULL: there are none.
 *
 * librdkafka copies names as they are, but tells no lengths: what stands behind a U+0000 in one goes out unmeasured. Once a
 * broker has found something too large, only what was measured is sent. */
static rd_kafka_headers_t *all_headers(const struct producer *producer, const struct message *command, unsigned cuts,
				       const struct own_headers *own)
{
	bool copied = (cuts & CUT_HEADERS) == 0 && command->raw != NULL;
	rd_kafka_headers_t *headers = NULL;

	if (!copied && own->count == 0)
		return NULL;
	bool replaced = own->replace && command->event_header_count > 0;
	if (copied && rd_kafka_message_headers(command->raw, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
		headers = replaced || producer->visible_names ? kept_headers(headers, replaced)
							      : rd_kafka_headers_copy(headers);
	else
		headers = rd_kafka_headers_new(own->count);
	for (uint32_t i = 0; i < own->count; i++)
		rd_kafka_header_add(headers, own->list[i].name, -1, own->list[i].value.base, (ssize_t)own->list[i].value.len);
	return headers;
}

/* Messages that failed count as long as nobody has looked at them. They need no look: they fail the commit. */
static void serve(struct producer *producer)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer->client);
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(queue, 0)) != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
}

/* Waits while the local queue is full: it drains as the broker answers. */
static bool produce(struct producer *producer, const char *topic, int32_t partition, const struct message *command,
		    struct slice value, unsigned cuts, const struct own_headers *own, struct err *err)
{
	struct slice key = cuts & CUT_KEY ? SLICE_NONE : command->key;
	rd_kafka_headers_t *headers = all_headers(producer, command, cuts, own);
	rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.base, key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.base, value.len}},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	size_t count = sizeof(fields) / sizeof(*fields) - (headers == NULL); /* they stand last */
	rd_kafka_error_t *error;

	producer->used = true;
	while ((error = rd_kafka_produceva(producer->client, fields, count)) != NULL) {
		if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			if (headers != NULL)
				rd_kafka_headers_destroy(headers);
			return kafka_error_take(err, error, "can't produce to Kafka");
		}
		rd_kafka_error_destroy(error);
		serve(producer);
		rd_kafka_flush(producer->client, 50);
	}
	return true;
}

/* Can the reply be delivered, as far as can be told? */
static enum reply_fate judge_reply(struct producer *producer, const struct message *command, const struct own_headers *own,
				   struct reply_place *reply)
{
	enum reply_fate fate = reply_address(producer->replies, command, reply);
	int64_t now_ms = clock_mono_ms();

	if (fate != REPLY_SENT)
		return fate;
	size_t bytes = record_batch_bytes(command, command->result, command->result_cuts, own);
	fate = reply_check(reply, bytes, now_ms);
	if (!replies_due(producer->replies, fate, now_ms))
		return fate;
	replies_look(producer->replies, producer->client);
	return reply_check(reply, bytes, clock_mono_ms());
}

/* The topic went between the look and now: nothing was queued, so the transaction is none the worse. */
static bool is_unknown_place(const struct err *err)
{
	return strcmp(err->origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)) == 0 ||
	       strcmp(err->origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)) == 0;
}

static bool send_reply(struct producer *producer, const struct message *command, const struct own_headers *own,
		       struct err *err)
{
	struct reply_place reply;
	enum reply_fate fate = judge_reply(producer, command, own, &reply);

	if (fate == REPLY_SENT) {
		replies_use(reply.topic);
		if (!produce(producer, reply.topic->name, reply.partition, command, command->result, command->result_cuts, own,
			     err)) {
			if (!is_unknown_place(err))
				return false;
			fate = REPLY_NO_PARTITION;
		}
	}
	replies_note(producer->replies, fate, command, clock_mono_ms());
	return true;
}

bool producer_result(struct producer *producer, const struct message *command, struct err *err)
{
	struct own_headers own;

	result_headers(command, command->result_cuts, producer->config, &own);
	if (!produce(producer, producer->config->results_topic, RD_KAFKA_PARTITION_UA, command, command->result,
		     command->result_cuts, &own, err))
		return false;
	return command->reply_topic.base == NULL || send_reply(producer, command, &own, err);
}

bool producer_dead_letter(struct producer *producer, const struct message *command, struct err *err)
{
	struct own_headers own;
	struct slice value = command->letter_cuts & CUT_VALUE ? SLICE_NONE : command->value;

	if (producer->config->dead_letter_topic[0] == '\0')
		return true;
	letter_headers(command, producer->config->commands_topic, command->letter_cuts, &own);
	return produce(producer, producer->config->dead_letter_topic, RD_KAFKA_PARTITION_UA, command, value,
		       command->letter_cuts, &own, err);
}

/* --- the end of a transaction --------------------------------------------------------------------------------------------- */

bool producer_offsets(struct producer *producer, const struct assignment *assignment, const struct next_offset *offsets,
		      uint32_t count, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (uint32_t i = 0; i < count; i++)
		kafka_add_offset(list, producer->config->commands_topic, offsets[i].partition, offsets[i].offset);
	int64_t sent_us = clock_mono_us();
	rd_kafka_error_t *error =
		rd_kafka_send_offsets_to_transaction(producer->client, list, assignment->group, KAFKA_TIMEOUT_MS);
	if (error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__STATE) {
		/* The transaction failed in the middle of the call. Why, the library tells to who comes later. */
		rd_kafka_error_destroy(error);
		error = rd_kafka_send_offsets_to_transaction(producer->client, list, assignment->group, KAFKA_TIMEOUT_MS);
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (!producer->used) /* the first request, so the one that was refused, if any was */
		producer->settling_us = settling_learn(producer->settling_us, sent_us - producer->committed_us,
						       clock_mono_us() - sent_us >= producer->backoff_us);
	producer->used = true;
	return error == NULL ||
	       fail_transaction(producer, error, "can't add the group's offsets to the Kafka transaction", err);
}

/* Not for long: a transaction that has failed keeps its messages, and only committing tells. */
static void flush(struct producer *producer)
{
	enum { STEP_MS = 50, PATIENCE_MS = 200 };
	int64_t until_ms = clock_mono_ms() + PATIENCE_MS;

	do
		serve(producer);
	while (rd_kafka_flush(producer->client, STEP_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT && clock_mono_ms() < until_ms);
}

/* In steps, as it waits for messages as well, those included that failed meanwhile: the next call goes on where the last one
 * ended. */
static rd_kafka_error_t *commit(struct producer *producer)
{
	enum { STEP_MS = 1000 };
	int64_t until_ms = clock_mono_ms() + KAFKA_TIMEOUT_MS;
	rd_kafka_error_t *error;

	while ((error = rd_kafka_commit_transaction(producer->client, STEP_MS)) != NULL &&
	       rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__TIMED_OUT && rd_kafka_error_is_retriable(error) &&
	       clock_mono_ms() < until_ms) {
		rd_kafka_error_destroy(error);
		serve(producer);
	}
	return error;
}

bool producer_commit(struct producer *producer, struct err *err)
{
	flush(producer);
	rd_kafka_error_t *error = commit(producer);
	if (error != NULL)
		return fail_transaction(producer, error, "can't commit the Kafka transaction", err);
	replies_committed(producer->replies);
	producer->committed_us = clock_mono_us();
	return true;
}
