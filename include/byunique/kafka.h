/* Kafka for the command line: topics, a plain producer, a plain reader. The worker's own consumer and producer are in
 * consumer.h and producer.h. rdkafka.h is included from worker/kafka only. */
#ifndef BYUNIQUE_KAFKA_H
#define BYUNIQUE_KAFKA_H

#include "byunique/config.h"
#include "byunique/err.h"
#include "byunique/slice.h"

#define KAFKA_TIMEOUT_MS 30000 /* for every call that waits for a broker */

/* Create a topic unless it is there. *created tells which. */
bool kafka_create_topic(const struct config *config, const char *topic, int partitions, int replication_factor,
			bool *created, struct err *err) BYU_MUST_CHECK;

/* Error when there is no such topic. */
bool kafka_count_partitions(const struct config *config, const char *topic, int *partitions, struct err *err)
	BYU_MUST_CHECK;

/* Idempotent producer, acks=all. */
struct kafka_sender;
bool kafka_sender_open(struct kafka_sender **sender, const struct config *config, struct err *err) BYU_MUST_CHECK;
/* Copies key and value; waits while the local queue is full. Partition by key as the Java client does (murmur2). */
bool kafka_sender_send(struct kafka_sender *sender, const char *topic, struct slice key, struct slice value,
		       struct err *err) BYU_MUST_CHECK;
/* A header as it lies in a message; names may repeat. */
struct kafka_header {
	const char *name;
	struct slice value; /* absent when null */
};
/* The same with headers, into one partition; an absent key or value is sent as null. */
bool kafka_sender_send_to(struct kafka_sender *sender, const char *topic, int32_t partition, struct slice key,
			  struct slice value, const struct kafka_header *headers, size_t header_count,
			  struct err *err) BYU_MUST_CHECK;
/* Wait until all is acknowledged. Error when any message failed. *acknowledged counts since open. */
bool kafka_sender_flush(struct kafka_sender *sender, int64_t *acknowledged, struct err *err) BYU_MUST_CHECK;
int64_t kafka_sender_acknowledged(const struct kafka_sender *sender);
void kafka_sender_close(struct kafka_sender *sender);

enum kafka_timestamp_type { KAFKA_TIMESTAMP_NONE, KAFKA_TIMESTAMP_CREATED, KAFKA_TIMESTAMP_APPENDED };

struct kafka_record {
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms; /* -1: none */
	enum kafka_timestamp_type timestamp_type;
	struct slice key, value; /* absent when null; valid until the next read */
};

/* Reads every partition of a topic, read_committed, without a group. */
struct kafka_reader;
enum kafka_from { KAFKA_FROM_BEGINNING, KAFKA_FROM_END };
/* Takes the log ends as they are now: kafka_reader_at_end() is about these, so a reader that does not follow stops. */
bool kafka_reader_open(struct kafka_reader **reader, const struct config *config, const char *topic,
		       enum kafka_from from, struct err *err) BYU_MUST_CHECK;
/* Next record in *record, waiting up to timeout_ms; *got false when there was none. */
bool kafka_reader_next(struct kafka_reader *reader, int timeout_ms, struct kafka_record *record, bool *got,
		       struct err *err) BYU_MUST_CHECK;
bool kafka_reader_at_end(const struct kafka_reader *reader); /* all partitions read up to where they ended at open */
/* The same for a stretch of each partition, as kafka_look_extents() tells. What lies beyond an end is not handed out, but an
 * end that other programs' open transactions hold back is waited for, for two minutes. */
struct kafka_extent {
	int64_t log_start, log_end;
	int64_t begin, end; /* what is to be read: begin >= end when nothing */
};
bool kafka_reader_open_extents(struct kafka_reader **reader, const struct config *config, const char *topic,
			       const struct kafka_extent *extents, int partitions, struct err *err) BYU_MUST_CHECK;
/* The same where nothing may be left out: it is an error when the topic no longer holds a beginning, instead of going on
 * behind what is gone. */
bool kafka_reader_open_exact(struct kafka_reader **reader, const struct config *config, const char *topic,
			     const struct kafka_extent *extents, int partitions, struct err *err) BYU_MUST_CHECK;
/* The index-th header of the last record, valid until the next read; false: there is none. */
bool kafka_reader_header(const struct kafka_reader *reader, size_t index, struct kafka_header *header);
void kafka_reader_close(struct kafka_reader *reader);

/* A place in each partition of a topic. */
struct kafka_place {
	enum { KAFKA_PLACE_BEGINNING, KAFKA_PLACE_END, KAFKA_PLACE_OFFSET, KAFKA_PLACE_TIME } kind;
	int64_t value; /* the offset; or milliseconds since the epoch: the first message that is not older */
};

/* Asks where a topic begins and ends, by a client that reads nothing. */
struct kafka_look;
/* `uncommitted`: ends are those of all that is written, open transactions included; else of what is decided. */
bool kafka_look_open(struct kafka_look **look, const struct config *config, const char *topic, bool uncommitted,
		     struct err *err) BYU_MUST_CHECK;
int kafka_look_partitions(const struct kafka_look *look);
/* Fills extents[], one for each partition: from `from` up to, not including, `to`, within the log. */
bool kafka_look_extents(struct kafka_look *look, struct kafka_place from, struct kafka_place to,
			struct kafka_extent *extents, struct err *err) BYU_MUST_CHECK;
/* The offsets of the configured group, by partition; -1: none. Those that were not committed by a worker, together with
 * results, are by_others[]. */
bool kafka_look_committed(struct kafka_look *look, int64_t *offsets, bool *by_others, struct err *err) BYU_MUST_CHECK;
/* The cluster's id, to tell another cluster; in *id, the caller's to free. */
bool kafka_look_cluster(struct kafka_look *look, char **id, struct err *err) BYU_MUST_CHECK;
void kafka_look_close(struct kafka_look *look); /* NULL is fine */

/* How many members a consumer group has; 0 when there is no such group. */
bool kafka_group_members(const struct config *config, const char *group, int *members, struct err *err) BYU_MUST_CHECK;
/* Where the configured group goes on, by partition of the topic; -1: stays. All or nothing. Error while the group has
 * members: the broker refuses it. */
bool kafka_group_commit(const struct config *config, const char *topic, const int64_t *offsets, int partitions,
			struct err *err) BYU_MUST_CHECK;

/* The embedded broker of the demo: librdkafka's mock cluster, reachable by other processes over TCP on loopback. */
struct kafka_embedded;
bool kafka_embedded_start(struct kafka_embedded **embedded, struct err *err) BYU_MUST_CHECK;
const char *kafka_embedded_servers(const struct kafka_embedded *embedded); /* bootstrap.servers */
bool kafka_embedded_topic(struct kafka_embedded *embedded, const char *topic, int partitions, struct err *err)
	BYU_MUST_CHECK;
void kafka_embedded_stop(struct kafka_embedded *embedded);
/* Commit offset 0 of every partition for the group, with the group empty: "read it all again". */
bool kafka_rewind_group(const struct config *config, const char *topic, struct err *err) BYU_MUST_CHECK;

#endif
