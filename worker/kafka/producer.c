/* Results and offsets in one transaction. Values are copied into librdkafka; headers of a command are copied once more,
 * as librdkafka takes over what it is given. */
#include "byunique/producer.h"

#include "byunique/clock.h"
#include "byunique/kafka.h"
#include "byunique/signals.h"
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct producer {
	rd_kafka_t *client;
	char *commands_topic;
	char *results_topic;
	char *dead_letter_topic; /* empty: none */
	size_t most_bytes;	 /* of a message; larger ones are cut down */
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

/* In steps, so that a worker that is told to stop does. */
static bool init_transactions(struct producer *producer, struct err *err)
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
			return kafka_error_take(err, error, "can't start the transactional producer");
		rd_kafka_error_destroy(error);
	}
}

/* A topic that is missing shows up as a failed transaction, again and again, without its name. */
static bool check_topics(struct producer *producer, struct err *err)
{
	int partitions;

	return kafka_topic_partitions(producer->client, producer->results_topic, &partitions, err) &&
	       (producer->dead_letter_topic[0] == '\0' ||
		kafka_topic_partitions(producer->client, producer->dead_letter_topic, &partitions, err));
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

bool producer_open(struct producer **out, const struct config *config, const char *transactional_id, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_PRODUCER, err);
	if (conf == NULL)
		return false;
	if (!check_partitioner(config, err) || !set_transaction_timeout(conf, config, err)) {
		rd_kafka_conf_destroy(conf);
		return false;
	}
	kafka_conf_set(conf, "transactional.id", transactional_id);
	if (config_kafka(config, "partitioner") == NULL)
		kafka_conf_set(conf, "partitioner", "murmur2_random");
	if (config_kafka(config, "message.max.bytes") == NULL)
		kafka_conf_set(conf, "message.max.bytes", "16777216"); /* the topic's own limit decides */
	/* Topics limit the compressed size: what came in compressed would not always go out as it is. */
	if (config_kafka(config, "compression.type") == NULL && config_kafka(config, "compression.codec") == NULL)
		kafka_conf_set(conf, "compression.type", "lz4");

	struct producer *producer = xcalloc(1, sizeof(*producer));
	producer->most_bytes = SIZE_MAX;
	producer->commands_topic = xstrdup(config->commands_topic);
	producer->results_topic = xstrdup(config->results_topic);
	producer->dead_letter_topic = xstrdup(config->dead_letter_topic);
	producer->client = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
	if (producer->client == NULL) {
		producer_close(producer);
		return false;
	}
	if (!init_transactions(producer, err) || !check_topics(producer, err)) {
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
	free(producer->commands_topic);
	free(producer->results_topic);
	free(producer->dead_letter_topic);
	free(producer);
}

void producer_bound(struct producer *producer, size_t most_bytes)
{
	producer->most_bytes = most_bytes;
}

bool producer_begin(struct producer *producer, struct err *err)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(producer->client);
	return error == NULL || kafka_error_take(err, error, "can't begin a Kafka transaction");
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

static rd_kafka_headers_t *copied_headers(const struct message *command)
{
	rd_kafka_headers_t *headers = NULL;
	if (rd_kafka_message_headers(command->raw, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
		return rd_kafka_headers_copy(headers);
	return rd_kafka_headers_new(8);
}

static void add_header(rd_kafka_headers_t *headers, const char *name, struct slice value)
{
	rd_kafka_header_add(headers, name, -1, value.base ? value.base : "", (ssize_t)value.len);
}

static void add_header_int(rd_kafka_headers_t *headers, const char *name, int64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, value);
	add_header(headers, name, slice_of(text, (size_t)len));
}

/* Takes the headers over. Waits while the local queue is full: it drains as the broker answers. */
static bool produce(struct producer *producer, const char *topic, struct slice key, struct slice value,
		 rd_kafka_headers_t *headers, struct err *err)
{
	rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.base, key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.base, value.len}},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	rd_kafka_error_t *error;

	while ((error = rd_kafka_produceva(producer->client, fields, sizeof(fields) / sizeof(*fields))) != NULL) {
		if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			rd_kafka_headers_destroy(headers);
			return kafka_error_take(err, error, "can't produce to Kafka");
		}
		rd_kafka_error_destroy(error);
		rd_kafka_poll(producer->client, 50);
	}
	return true;
}

static size_t header_bytes(const rd_kafka_headers_t *headers)
{
	const char *name;
	const void *value;
	size_t size, bytes = 0;

	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		bytes += strlen(name) + size;
	return bytes;
}

/* The command's headers as far as there is room for them: all, or none and a note. */
static rd_kafka_headers_t *fitting_headers(const struct producer *producer, const struct message *command,
					   struct slice value, bool *fits)
{
	rd_kafka_headers_t *headers = copied_headers(command);

	*fits = command->key.len + value.len + header_bytes(headers) <= producer->most_bytes;
	if (*fits)
		return headers;
	rd_kafka_headers_destroy(headers);
	headers = rd_kafka_headers_new(8);
	add_header(headers, "byunique.truncated", SLICE_LIT("headers"));
	return headers;
}

/* Nobody sends such a key but by mistake, and no topic with a limit like this one's takes it back. */
static struct slice fitting_key(const struct producer *producer, const struct message *command, rd_kafka_headers_t *headers)
{
	if (command->key.len <= producer->most_bytes / 2)
		return command->key;
	add_header(headers, "byunique.truncated", SLICE_LIT("key"));
	return SLICE_NONE;
}

bool producer_result(struct producer *producer, const struct message *command, struct slice value, struct err *err)
{
	bool fits;
	rd_kafka_headers_t *headers = fitting_headers(producer, command, value, &fits);
	const char *code = outcome_name(command->answer.code);

	add_header_int(headers, "byunique.status", outcome_status(command->answer.code));
	if (code != NULL)
		add_header(headers, "byunique.code", slice_cstr(code));
	return produce(producer, producer->results_topic, fitting_key(producer, command, headers), value, headers, err);
}

bool producer_dead_letter(struct producer *producer, const struct message *command, struct err *err)
{
	if (producer->dead_letter_topic[0] == '\0')
		return true;
	bool fits;
	rd_kafka_headers_t *headers = fitting_headers(producer, command, command->value, &fits);
	if (!fits)
		add_header(headers, "byunique.truncated", SLICE_LIT("value"));
	add_header(headers, "__connect.errors.topic", slice_cstr(producer->commands_topic));
	add_header_int(headers, "__connect.errors.partition", command->partition->number);
	add_header_int(headers, "__connect.errors.offset", command->offset);
	add_header(headers, "byunique.code", slice_cstr(outcome_name(command->answer.code)));
	add_header(headers, "byunique.detail", command->answer.detail);
	struct slice value = fits ? command->value : SLICE_NONE;
	return produce(producer, producer->dead_letter_topic, fitting_key(producer, command, headers), value, headers, err);
}

/* --- the end of a transaction --------------------------------------------------------------------------------------------- */

bool producer_offsets(struct producer *producer, const struct assignment *assignment, const struct next_offset *offsets,
		      uint32_t count, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (uint32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, producer->commands_topic, offsets[i].partition)->offset =
			offsets[i].offset;
	rd_kafka_error_t *error =
		rd_kafka_send_offsets_to_transaction(producer->client, list, assignment->group, KAFKA_TIMEOUT_MS);
	rd_kafka_topic_partition_list_destroy(list);
	return error == NULL || kafka_error_take(err, error, "can't add the group's offsets to the Kafka transaction");
}

bool producer_commit(struct producer *producer, struct err *err)
{
	rd_kafka_error_t *error = rd_kafka_commit_transaction(producer->client, KAFKA_TIMEOUT_MS);
	return error == NULL || kafka_error_take(err, error, "can't commit the Kafka transaction");
}
