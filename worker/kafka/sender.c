/* A plain producer. A delivery that failed is remembered and surfaces at the next call, so that nothing is lost unsaid;
 * librdkafka itself retries whatever can be retried without doubling or reordering. */
#include "byunique/kafka.h"

#include "byunique/signals.h"
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct kafka_sender {
	rd_kafka_t *client;
	char *topic; /* the last one sent to: known to exist */
	int64_t acknowledged, failed;
	rd_kafka_resp_err_t failure; /* of the first message that failed */
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_sender *sender = opaque;
	(void)client;

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		sender->acknowledged++;
		return;
	}
	if (sender->failed++ == 0)
		sender->failure = message->err;
}

static rd_kafka_conf_t *sender_conf(const struct config *config, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_PRODUCER, err);
	if (conf == NULL)
		return NULL;
	kafka_conf_set(conf, "enable.idempotence", "true"); /* implies acks=all */
	kafka_conf_set(conf, "delivery.report.only.error", "false"); /* acknowledgements are counted */
	kafka_conf_default(conf, config, "partitioner", "murmur2_random");
	kafka_conf_default(conf, config, "message.max.bytes", "16777216"); /* the topic's own limit decides */
	kafka_conf_default(conf, config, "queue.buffering.max.kbytes", "65536"); /* a file of any size, in constant memory */
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR); /* why the first question is not answered */
	return conf;
}

bool kafka_sender_open(struct kafka_sender **out, const struct config *config, struct err *err)
{
	rd_kafka_conf_t *conf = sender_conf(config, err);
	if (conf == NULL)
		return false;
	struct kafka_sender *sender = xcalloc(1, sizeof(*sender));
	rd_kafka_conf_set_opaque(conf, sender);
	sender->client = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
	if (sender->client == NULL) {
		free(sender);
		return false;
	}
	*out = sender;
	return true;
}

void kafka_sender_close(struct kafka_sender *sender)
{
	if (sender == NULL)
		return;
	/* Drop what is queued: who cares has flushed, and destroying would wait for it. */
	rd_kafka_purge(sender->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_destroy(sender->client);
	free(sender->topic);
	free(sender);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static bool check_failures(const struct kafka_sender *sender, struct err *err)
{
	if (sender->failed == 0)
		return true;
	kafka_error(err, sender->failure, "Kafka did not take all messages", NULL);
	return err_detail(err, "%" PRId64 " failed, %" PRId64 " were acknowledged; the first failure: %s",
			  sender->failed, sender->acknowledged, rd_kafka_err2str(sender->failure));
}

/* Without this, messages to a topic that does not exist would wait for it for minutes. */
static bool check_topic(struct kafka_sender *sender, const char *topic, struct err *err)
{
	int partitions;

	if (sender->topic != NULL && strcmp(sender->topic, topic) == 0)
		return true;
	if (!kafka_topic_partitions(sender->client, topic, &partitions, err))
		return false;
	free(sender->topic);
	sender->topic = xstrdup(topic);
	return true;
}

static rd_kafka_error_t *produce(struct kafka_sender *sender, const char *topic, struct slice key, struct slice value)
{
	rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.base, key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.base, value.len}},
	};
	return rd_kafka_produceva(sender->client, fields, sizeof(fields) / sizeof(*fields));
}

/* By the user, who does not want to wait for a broker that is away. */
static bool interrupted(struct err *err)
{
	if (!signals_stop_requested())
		return false;
	err_set(err, VERDICT_STOP, "", "interrupted");
	return true;
}

/* What produce() said: *again when the queue was full, and there is room by now. Takes the error. */
static bool take_error(struct kafka_sender *sender, rd_kafka_error_t *error, bool *again, struct err *err)
{
	*again = error != NULL;
	if (error == NULL) {
		rd_kafka_poll(sender->client, 0);
		return check_failures(sender, err);
	}
	if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return kafka_error_take(err, error, "can't produce to Kafka");
	rd_kafka_error_destroy(error);
	rd_kafka_poll(sender->client, 50);
	return check_failures(sender, err) && !interrupted(err);
}

bool kafka_sender_send(struct kafka_sender *sender, const char *topic, struct slice key, struct slice value,
		       struct err *err)
{
	bool again = true;

	if (!check_topic(sender, topic, err))
		return false;
	while (again)
		if (!take_error(sender, produce(sender, topic, key, value), &again, err))
			return false;
	return true;
}

static rd_kafka_headers_t *headers_of(const struct kafka_header *headers, size_t count)
{
	rd_kafka_headers_t *list = rd_kafka_headers_new(count);
	for (size_t i = 0; i < count; i++)
		rd_kafka_header_add(list, headers[i].name, -1, headers[i].value.base, (ssize_t)headers[i].value.len);
	return list;
}

bool kafka_sender_send_to(struct kafka_sender *sender, const char *topic, int32_t partition, struct slice key,
			  struct slice value, const struct kafka_header *headers, size_t header_count, struct err *err)
{
	if (!check_topic(sender, topic, err))
		return false;
	rd_kafka_headers_t *list = headers_of(headers, header_count);
	rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.base, key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.base, value.len}},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = list},
	};
	bool again = true, ok = true;
	while (ok && again)
		ok = take_error(sender, rd_kafka_produceva(sender->client, fields, sizeof(fields) / sizeof(*fields)),
				&again, err);
	/* Until a message is taken, its headers are ours. */
	if (again)
		rd_kafka_headers_destroy(list);
	return ok;
}

bool kafka_sender_flush(struct kafka_sender *sender, int64_t *acknowledged, struct err *err)
{
	enum { INTERRUPTED_SECONDS = 5 };
	int seconds = 0;

	/* Ends: each message is acknowledged or fails within message.timeout.ms. */
	while (rd_kafka_flush(sender->client, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT)
		if (signals_stop_requested() && ++seconds >= INTERRUPTED_SECONDS && interrupted(err)) {
			*acknowledged = sender->acknowledged;
			return false;
		}
	*acknowledged = sender->acknowledged;
	return check_failures(sender, err);
}

int64_t kafka_sender_acknowledged(const struct kafka_sender *sender)
{
	return sender->acknowledged;
}
