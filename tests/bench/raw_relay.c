/* What is due to Kafka's client alone: each command is answered 204, exactly once, and nothing is read in it or stored.
 *
 *     raw_relay SERVERS COMMANDS_TOPIC RESULTS_TOPIC GROUP
 *
 * A result has the command's key and headers, byunique's own header, and a value as long as one of the bench's. As many are in
 * a Kafka transaction as in four of the worker's batches. The way through librdkafka is the worker's (worker/kafka): one
 * message at a time, results copied. No worker that uses it so costs less; with the calls for whole batches it is the same. */
#include "byunique/err.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { PER_TRANSACTION = 32000, RESULT_BYTES = 100, PARTITIONS_MAX = 256, TIMEOUT_MS = 30000, IDLE_MS = 100 };

static volatile sig_atomic_t stopping;

static void stop(int number)
{
	(void)number;
	stopping = 1;
}

static void must(rd_kafka_error_t *error)
{
	if (error != NULL)
		die("%s", rd_kafka_error_string(error));
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		die("%s", why);
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[256];
	rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof(why));

	if (client == NULL)
		die("%s", why);
	return client;
}

static rd_kafka_t *make_consumer(const char *servers, const char *topic, const char *group)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", servers);
	set(conf, "group.id", group);
	set(conf, "isolation.level", "read_committed");
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "enable.auto.commit", "false");
	set(conf, "enable.auto.offset.store", "false");
	rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(consumer);

	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
	if (rd_kafka_subscribe(consumer, topics) != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("can't subscribe to %s", topic);
	rd_kafka_topic_partition_list_destroy(topics);
	return consumer;
}

static rd_kafka_t *make_producer(const char *servers, const char *transactional_id)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", servers);
	set(conf, "transactional.id", transactional_id);
	set(conf, "partitioner", "murmur2_random");
	set(conf, "compression.type", "lz4");
	set(conf, "linger.ms", "1");
	set(conf, "retry.backoff.ms", "10");
	set(conf, "delivery.report.only.error", "true");
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
	rd_kafka_t *producer = make(RD_KAFKA_PRODUCER, conf);
	must(rd_kafka_init_transactions(producer, TIMEOUT_MS));
	return producer;
}

static void answer(rd_kafka_t *producer, const char *topic, const rd_kafka_message_t *command)
{
	rd_kafka_headers_t *headers;

	if (rd_kafka_message_headers(command, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
		headers = rd_kafka_headers_copy(headers);
	else
		headers = rd_kafka_headers_new(1);
	rd_kafka_header_add(headers, "byunique.status", -1, "204", -1);
	rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {command->key, command->key_len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {command->payload, command->len < RESULT_BYTES ? command->len : RESULT_BYTES}},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	must(rd_kafka_produceva(producer, fields, sizeof(fields) / sizeof(*fields)));
}

static void commit(rd_kafka_t *producer, rd_kafka_t *consumer, const char *topic, const int64_t *next)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
	for (int32_t i = 0; i < PARTITIONS_MAX; i++)
		if (next[i] > 0)
			rd_kafka_topic_partition_list_add(offsets, topic, i)->offset = next[i];
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
	must(rd_kafka_send_offsets_to_transaction(producer, offsets, group, TIMEOUT_MS));
	must(rd_kafka_commit_transaction(producer, TIMEOUT_MS));
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(offsets);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		die("usage: raw_relay SERVERS COMMANDS_TOPIC RESULTS_TOPIC GROUP");
	const char *servers = argv[1], *commands = argv[2], *results = argv[3], *group = argv[4];
	int64_t next[PARTITIONS_MAX] = {0};
	int open = 0; /* results in the transaction */

	signal(SIGTERM, stop);
	rd_kafka_t *consumer = make_consumer(servers, commands, group), *producer = make_producer(servers, group);
	while (!stopping) {
		rd_kafka_message_t *command = rd_kafka_consumer_poll(consumer, open > 0 ? 0 : IDLE_MS);
		if (command != NULL && command->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			if (command->partition >= PARTITIONS_MAX)
				die("more than %d partitions", PARTITIONS_MAX);
			if (open++ == 0)
				must(rd_kafka_begin_transaction(producer));
			answer(producer, results, command);
			next[command->partition] = command->offset + 1;
		}
		if (open == PER_TRANSACTION || (open > 0 && command == NULL)) {
			commit(producer, consumer, commands, next);
			open = 0;
		}
		if (command != NULL)
			rd_kafka_message_destroy(command);
	}
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	rd_kafka_destroy(producer);
	return 0;
}
