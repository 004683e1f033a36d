/* The worker's transactional producer. One thread uses it.
 *
 * Any failure means: close it, leave the group, start afresh (VERDICT_REJOIN), unless it is one that can't pass by
 * itself (VERDICT_STOP). A new producer with the same transactional id ends what the old one left open. */
#ifndef BYUNIQUE_PRODUCER_H
#define BYUNIQUE_PRODUCER_H

#include "byunique/batch.h"
#include "byunique/config.h"
#include "byunique/published.h"
#include "byunique/replies.h"

struct producer;

/* *config and *replies (NULL: none) have to live on. No batch of records is made larger than the smallest of the bounds; single records are the answer stage's to bound. */
bool producer_open(struct producer **producer, const struct config *config, const char *transactional_id,
		   const struct bounds *bounds, struct replies *replies, struct err *err) BYU_MUST_CHECK;
void producer_close(struct producer *producer); /* NULL is fine; an open transaction is left to the successor */

bool producer_begin(struct producer *producer, struct err *err) BYU_MUST_CHECK;
/* Did the last transaction end so recently that Kafka may not be done with it? */
bool producer_is_settling(const struct producer *producer);
/* Waits until it should be: some milliseconds, twenty at most. */
void producer_settle(const struct producer *producer);
/* The result of a command: its key and headers, then byunique.status and, for an error, byunique.code; without what the
 * answer stage has cut. And the same once more where the command asks for it, if it can be delivered there. */
bool producer_result(struct producer *producer, const struct message *command, struct err *err) BYU_MUST_CHECK;
/* The command itself, byte for byte, with headers that tell where it came from and why; the same. No topic: does nothing. */
bool producer_dead_letter(struct producer *producer, const struct message *command, struct err *err) BYU_MUST_CHECK;

struct next_offset {
	int32_t partition;
	int64_t offset;
};
/* The group's offsets, in the same transaction. */
bool producer_offsets(struct producer *producer, const struct assignment *assignment, const struct next_offset *offsets,
		      uint32_t count, struct err *err) BYU_MUST_CHECK;
bool producer_commit(struct producer *producer, struct err *err) BYU_MUST_CHECK;

/* Did a broker refuse user and password? */
bool kafka_is_refused_login(const struct err *err);
/* Was a message larger than its topic takes? */
bool kafka_is_too_large(const struct err *err);

/* How small the producer's compression makes what it sends: at most so many bytes; NULL where only lz4's, which is the default,
 * could be told. */
size_t (*producer_packing(const struct config *config))(struct slice bytes);

#endif
