/* Messages that were processed, looked at again by a client of its own: are they still the same ones? */
#include "byunique/consumer.h"

#include "byunique/clock.h"
#include "byunique/kafka.h"
#include "internal.h"

static rd_kafka_t *peek_client(const struct config *config, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_consumer_conf(config, err);
	if (conf == NULL)
		return NULL;
	kafka_conf_set(conf, "enable.partition.eof", "true");
	/* All of it in one go: nobody makes this client look. */
	kafka_conf_set(conf, "queued.max.messages.kbytes", "8192");
	kafka_conf_set(conf, "queued.min.messages", "100000");
	/* A little of each partition. Of less than a batch a broker would answer one partition at a time, and librdkafka pauses
	 * for a second where as many messages are at hand as queued.min.messages says. */
	kafka_conf_set(conf, "fetch.message.max.bytes", "65536");
	rd_kafka_t *client = kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
	if (client != NULL)
		rd_kafka_poll_set_consumer(client);
	return client;
}

static bool peek_assign(rd_kafka_t *client, const char *topic, const struct peek *peeks, uint32_t count, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (uint32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, topic, peeks[i].partition)->offset = peeks[i].offset;
	rd_kafka_resp_err_t code = rd_kafka_assign(client, list);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't read back what was processed", NULL);
}

/* A broker hands out more than the bytes asked for only of the first partition of an answer: one that is not left out once
 * it was looked at would hide the others behind all that it holds. */
static void peek_leave(rd_kafka_t *client, const rd_kafka_message_t *raw)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(raw->rkt), raw->partition);
	rd_kafka_pause_partitions(client, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* The first message of a partition, or its end, answers the question; more of it is passed over. */
static void peek_take(rd_kafka_t *client, const rd_kafka_message_t *raw, struct peek *peeks, uint32_t count,
		      uint32_t *open)
{
	uint32_t i = 0;

	while (i < count && (peeks[i].partition != raw->partition || peeks[i].answered))
		i++;
	if (i == count || (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR && raw->err != RD_KAFKA_RESP_ERR__PARTITION_EOF))
		return;
	peeks[i].answered = true;
	--*open;
	peek_leave(client, raw);
	if (raw->err == RD_KAFKA_RESP_ERR_NO_ERROR && raw->offset == peeks[i].offset) {
		peeks[i].found = true;
		peeks[i].hash = message_hash(slice_of(raw->key, raw->key_len), slice_of(raw->payload, raw->len));
	}
}

static bool peek_all(rd_kafka_t *client, struct peek *peeks, uint32_t count, struct err *err)
{
	enum { STEP_TIMEOUT_MS = 10000, ALL_TIMEOUT_MS = 40000 }; /* a transaction of PostgreSQL is open meanwhile */
	int64_t begun_ms = clock_mono_ms(), deadline_ms = begun_ms + STEP_TIMEOUT_MS;
	uint32_t open = count, before = count;

	while (open > 0) {
		if (open < before && clock_mono_ms() - begun_ms < ALL_TIMEOUT_MS - STEP_TIMEOUT_MS)
			deadline_ms = clock_mono_ms() + STEP_TIMEOUT_MS;
		before = open;
		rd_kafka_message_t *raw = rd_kafka_consumer_poll(client, 200);
		if (raw != NULL) {
			peek_take(client, raw, peeks, count, &open);
			rd_kafka_message_destroy(raw);
		}
		if (open > 0 && clock_mono_ms() >= deadline_ms)
			return kafka_error(err, RD_KAFKA_RESP_ERR__TIMED_OUT, "can't read back what was processed", NULL);
	}
	return true;
}

bool consumer_peek(const struct config *config, struct peek *peeks, uint32_t count, struct err *err)
{
	if (count == 0)
		return true;
	rd_kafka_t *client = peek_client(config, err);
	if (client == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++)
		peeks[i].answered = peeks[i].found = false;
	bool ok = peek_assign(client, config->commands_topic, peeks, count, err) && peek_all(client, peeks, count, err);
	rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	return ok;
}
