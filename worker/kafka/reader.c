/* Reads a topic without a group: partitions are assigned by hand and nothing is committed. The group's id stays in the
 * configuration, as librdkafka assigns nothing without one, but no group is joined. */
#include "byunique/kafka.h"

#include "byunique/clock.h"
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

struct kafka_reader {
	rd_kafka_t *client;
	char *topic;
	int partitions;
	int64_t *starts, *ends;	 /* by partition, as they were at open */
	bool *done;		 /* read up to its end */
	bool bounded;		 /* to what was asked for; else to where the log ended at open, and on */
	bool held;		 /* an open transaction hides what comes before an end */
	int left;		 /* partitions not done */
	rd_kafka_message_t *raw; /* of the last record */
	int64_t progress_ms;	 /* when the broker last had something to say */
};

static rd_kafka_conf_t *reader_conf(const struct config *config, bool exact, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, err);
	if (conf == NULL)
		return NULL;
	kafka_conf_set(conf, "enable.auto.commit", "false");
	kafka_conf_set(conf, "enable.auto.offset.store", "false");
	kafka_conf_set(conf, "auto.offset.reset", exact ? "error" : "earliest"); /* retention may overtake the start */
	kafka_conf_set(conf, "isolation.level", "read_committed");
	kafka_conf_set(conf, "enable.partition.eof", "true");
	return conf;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

static bool find_ends(struct kafka_reader *reader, struct err *err)
{
	for (int i = 0; i < reader->partitions; i++) {
		rd_kafka_resp_err_t code =
			rd_kafka_query_watermark_offsets(reader->client, reader->topic, i, &reader->starts[i],
							 &reader->ends[i], KAFKA_TIMEOUT_MS);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
			char what[256];
			snprintf(what, sizeof(what), "can't read where the topic \"%s\" begins and ends",
				 reader->topic);
			return kafka_error(err, code, what, NULL);
		}
	}
	return true;
}

static void mark_done(struct kafka_reader *reader, int32_t partition)
{
	if (!reader->done[partition])
		reader->left--;
	reader->done[partition] = true;
}

static bool begin(struct kafka_reader *reader, enum kafka_from from, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->partitions);

	for (int i = 0; i < reader->partitions; i++) {
		if (from == KAFKA_FROM_END || reader->starts[i] >= reader->ends[i])
			mark_done(reader, i);
		if (!reader->done[i] || !reader->bounded)
			rd_kafka_topic_partition_list_add(list, reader->topic, i)->offset =
				from == KAFKA_FROM_END ? reader->ends[i] : reader->starts[i];
	}
	rd_kafka_resp_err_t code = rd_kafka_assign(reader->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't begin to read", NULL);
}

static void make_room(struct kafka_reader *reader, int partitions)
{
	reader->partitions = reader->left = partitions;
	reader->starts = xcalloc((unsigned long)partitions, sizeof(*reader->starts));
	reader->ends = xcalloc((unsigned long)partitions, sizeof(*reader->ends));
	reader->done = xcalloc((unsigned long)partitions, sizeof(*reader->done));
	reader->progress_ms = clock_mono_ms();
}

static struct kafka_reader *reader_new(const struct config *config, const char *topic, bool exact, struct err *err)
{
	rd_kafka_conf_t *conf = reader_conf(config, exact, err);
	rd_kafka_t *client = conf ? kafka_client_new(RD_KAFKA_CONSUMER, conf, err) : NULL;
	if (client == NULL)
		return NULL;
	rd_kafka_poll_set_consumer(client);
	struct kafka_reader *reader = xcalloc(1, sizeof(*reader));
	reader->client = client;
	reader->topic = xstrdup(topic);
	return reader;
}

static bool prepare(struct kafka_reader *reader, enum kafka_from from, struct err *err)
{
	int partitions;

	if (!kafka_topic_partitions(reader->client, reader->topic, &partitions, err))
		return false;
	make_room(reader, partitions);
	return find_ends(reader, err) && begin(reader, from, err);
}

bool kafka_reader_open(struct kafka_reader **out, const struct config *config, const char *topic, enum kafka_from from,
		       struct err *err)
{
	struct kafka_reader *reader = reader_new(config, topic, false, err);

	if (reader == NULL || !prepare(reader, from, err)) {
		kafka_reader_close(reader);
		return false;
	}
	*out = reader;
	return true;
}

static bool open_extents(struct kafka_reader **out, const struct config *config, const char *topic, bool exact,
			 const struct kafka_extent *extents, int partitions, struct err *err)
{
	struct kafka_reader *reader = reader_new(config, topic, exact, err);

	if (reader == NULL)
		return false;
	make_room(reader, partitions);
	reader->bounded = true;
	for (int i = 0; i < partitions; i++) {
		reader->starts[i] = extents[i].begin;
		reader->ends[i] = extents[i].end;
	}
	if (!begin(reader, KAFKA_FROM_BEGINNING, err)) {
		kafka_reader_close(reader);
		return false;
	}
	*out = reader;
	return true;
}

bool kafka_reader_open_extents(struct kafka_reader **reader, const struct config *config, const char *topic,
			       const struct kafka_extent *extents, int partitions, struct err *err)
{
	return open_extents(reader, config, topic, false, extents, partitions, err);
}

bool kafka_reader_open_exact(struct kafka_reader **reader, const struct config *config, const char *topic,
			     const struct kafka_extent *extents, int partitions, struct err *err)
{
	return open_extents(reader, config, topic, true, extents, partitions, err);
}

static void drop_record(struct kafka_reader *reader)
{
	if (reader->raw != NULL)
		rd_kafka_message_destroy(reader->raw);
	reader->raw = NULL;
}

void kafka_reader_close(struct kafka_reader *reader)
{
	if (reader == NULL)
		return;
	drop_record(reader);
	rd_kafka_consumer_close(reader->client);
	rd_kafka_destroy(reader->client);
	free(reader->topic);
	free(reader->starts);
	free(reader->ends);
	free(reader->done);
	free(reader);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void fill(struct kafka_record *record, const rd_kafka_message_t *raw)
{
	rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;

	record->partition = raw->partition;
	record->offset = raw->offset;
	record->timestamp_ms = rd_kafka_message_timestamp(raw, &type);
	record->timestamp_type = type == RD_KAFKA_TIMESTAMP_CREATE_TIME	    ? KAFKA_TIMESTAMP_CREATED
				 : type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? KAFKA_TIMESTAMP_APPENDED
									      : KAFKA_TIMESTAMP_NONE;
	record->key = slice_of(raw->key, raw->key_len);
	record->value = slice_of(raw->payload, raw->len);
}

/* Troubles of the group are none of ours; brokers that go away are librdkafka's to find again. */
static bool take_event(struct kafka_reader *reader, const rd_kafka_message_t *raw, struct err *err)
{
	if (raw->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		reader->held = reader->bounded && raw->offset < reader->ends[raw->partition];
		if (!reader->held)
			mark_done(reader, raw->partition);
		reader->progress_ms = clock_mono_ms();
		return true;
	}
	if (raw->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
		return true;
	if (raw->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return kafka_error(err, raw->err, "the topic no longer holds what was to be read", rd_kafka_message_errstr(raw));
	kafka_error(err, raw->err, "can't read from Kafka", rd_kafka_message_errstr(raw));
	return err->verdict != VERDICT_STOP && raw->err != RD_KAFKA_RESP_ERR__FATAL;
}

static bool check_silence(const struct kafka_reader *reader, struct err *err)
{
	enum { HELD_TIMEOUT_MS = 120000 }; /* brokers end what was left open within a minute, as they are shipped */

	if (reader->left == 0 ||
	    clock_mono_ms() - reader->progress_ms < (reader->held ? HELD_TIMEOUT_MS : KAFKA_TIMEOUT_MS))
		return true;
	kafka_error(err, RD_KAFKA_RESP_ERR__TIMED_OUT,
		    reader->held ? "a transaction that stays open hides what comes after it" : "Kafka does not answer", NULL);
	return err_detail(err, "%d of %d partitions are not read to their end", reader->left, reader->partitions);
}

bool kafka_reader_next(struct kafka_reader *reader, int timeout_ms, struct kafka_record *record, bool *got,
		       struct err *err)
{
	drop_record(reader);
	*got = false;
	reader->raw = rd_kafka_consumer_poll(reader->client, timeout_ms);
	if (reader->raw == NULL)
		return check_silence(reader, err);
	if (reader->raw->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return take_event(reader, reader->raw, err) && check_silence(reader, err);
	reader->progress_ms = clock_mono_ms();
	fill(record, reader->raw);
	*got = !reader->bounded || record->offset < reader->ends[record->partition];
	if (record->offset + 1 >= reader->ends[record->partition])
		mark_done(reader, record->partition);
	return true;
}

bool kafka_reader_header(const struct kafka_reader *reader, size_t index, struct kafka_header *header)
{
	rd_kafka_headers_t *headers = NULL;
	const void *value;
	size_t len;

	if (rd_kafka_message_headers(reader->raw, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
	    rd_kafka_header_get_all(headers, index, &header->name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	header->value = slice_of(value, value ? len : 0);
	return true;
}

bool kafka_reader_at_end(const struct kafka_reader *reader)
{
	return reader->left == 0;
}
