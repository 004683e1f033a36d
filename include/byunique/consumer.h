/* The worker's consumer: commands in, rebalances served. One thread uses it.
 *
 * Settings on which the guarantees stand are made here and can't be configured. Partitions are taken in two steps, so
 * that PostgreSQL may be away while the group waits for nothing: a rebalance only notes what was given
 * (`assigned` callback), and consumer_start() begins to fetch once it is decided where. */
#ifndef BYUNIQUE_CONSUMER_H
#define BYUNIQUE_CONSUMER_H

#include "byunique/batch.h"
#include "byunique/config.h"

struct consumer;

/* Called from inside consumer_poll() and consumer_close(). */
struct rebalance_listener {
	void (*assigned)(void *context, const int32_t *partitions, uint32_t count); /* all there are now */
	/* All are taken away. `lost`: already somebody else's, nothing can be finished. Return when the path is drained. */
	void (*revoked)(void *context, bool lost);
	void *context;
};

bool consumer_open(struct consumer **consumer, const struct config *config, struct rebalance_listener listener,
		   struct err *err) BYU_MUST_CHECK;
/* Leaves the group (with a last `revoked`), frees. */
void consumer_close(struct consumer *consumer);

/* Next message into *message (raw, offset, key, value, schema_header, hash; *number is its partition), waiting up to timeout_ms.
 * *got false: there was none. The caller owns message->raw: message_dispose(). */
bool consumer_poll(struct consumer *consumer, int timeout_ms, struct message *message, int32_t *number, bool *got,
		   struct err *err) BYU_MUST_CHECK;
void message_dispose(void *raw);

/* Fetch these partitions, each from its `start`, and no others. */
bool consumer_start(struct consumer *consumer, const struct partition *partitions, uint32_t count, struct err *err)
	BYU_MUST_CHECK;
/* While the path is blocked the consumer has to be polled all the same: pause what is assigned meanwhile. */
bool consumer_pause(struct consumer *consumer, bool paused, struct err *err) BYU_MUST_CHECK;

/* One partition is not fetched until it is let go, whatever consumer_pause() does to the others. A rebalance lets go of
 * all. */
bool consumer_hold(struct consumer *consumer, int32_t number, bool held, struct err *err) BYU_MUST_CHECK;

/* What Kafka knows of a partition. */
struct log_facts {
	int64_t log_start;
	int64_t log_end;
	int64_t committed; /* the group's offset, -1: none */
	bool committed_by_others; /* it tells nothing of what was published: an operator has put it there */
};
/* Where the logs end, of partitions[] that are being fetched. As the last fetch told, at no cost; or, when `ask`, which is
 * for while fetching pauses, by asking the brokers, for at most ENDS_TIMEOUT_MS. -1: not known. */
enum { ENDS_TIMEOUT_MS = 500 };
void consumer_log_ends(struct consumer *consumer, const int32_t *partitions, uint32_t count, bool ask, int64_t *log_ends);
bool consumer_is_paused(const struct consumer *consumer);
bool consumer_facts(struct consumer *consumer, const int32_t *partitions, uint32_t count, struct log_facts *facts,
		    struct err *err) BYU_MUST_CHECK;

/* Put the group's offsets back. The group refuses it from who is no member of its generation. */
struct next_offset;
bool consumer_rewind(struct consumer *consumer, const struct next_offset *offsets, uint32_t count,
		     struct err *err) BYU_MUST_CHECK;

/* The group's offsets alone, -1: none. */
bool consumer_committed(struct consumer *consumer, const int32_t *partitions, uint32_t count, int64_t *offsets,
			struct err *err) BYU_MUST_CHECK;

/* The hashes of messages at certain offsets, read by a client of its own; each partition once. The offsets have to be
 * within the log. */
struct peek {
	int32_t partition;
	int64_t offset;
	bool answered; /* for its own use */
	bool found;    /* false: compaction has removed the message */
	uint64_t hash;
};
bool consumer_peek(const struct config *config, struct peek *peeks, uint32_t count, struct err *err) BYU_MUST_CHECK;

/* The group's generation and this member, for the Kafka transaction; freed by group_free(). */
struct rd_kafka_consumer_group_metadata_s *consumer_group(struct consumer *consumer);
void group_free(struct rd_kafka_consumer_group_metadata_s *group);

/* The cluster's id, to tell another cluster; in *id, freed by the caller. */
bool consumer_cluster_id(struct consumer *consumer, char **id, struct err *err) BYU_MUST_CHECK;

#endif
