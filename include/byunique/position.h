/* The position rows of a topic's partitions, at assignment, and between batches. */
#ifndef BYUNIQUE_POSITION_H
#define BYUNIQUE_POSITION_H

#include "byunique/pg.h"

struct position {
	int32_t partition;
	int32_t id; /* of the row */
	bool known; /* there is a row; else nothing below holds */
	int64_t next_offset;
	int64_t last_offset; /* -1: none */
	uint64_t last_hash;
	int64_t published_offset;
	struct slice cluster_id, group_id; /* in the arena; NUL-terminated */
};

/* Opens a transaction and locks the rows, so that a batch under way elsewhere ends first. Fills positions[i] for
 * partitions[i]. The caller ends the transaction: position_claim(), or pg_rollback(). `again`: the caller asks again when a
 * lock is missing, so it is waited for five seconds in place of thirty. */
bool position_read(struct pg *pg, const char *topic, const int32_t *partitions, uint32_t count, bool again,
		   struct arena *arena, struct position *positions, struct err *err) BYU_MUST_CHECK;

/* After position_read() could not lock a row in time. If that is because another worker's session is frozen in the middle of
 * a transaction, ends the session: whoever asks was given the partitions, so nobody may store that batch any more. *ended:
 * how many. */
bool position_end_frozen(struct pg *pg, const char *topic, const int32_t *partitions, uint32_t count, int64_t *ended,
			 struct err *err) BYU_MUST_CHECK;

/* The worker's token on the rows of partitions[], missing ones are made with next_offsets[i]; COMMIT. Fills ids[i]. */
bool position_claim(struct pg *pg, const char *topic, const int32_t *partitions, const int64_t *next_offsets,
		    uint32_t count, const uint8_t token[16], const char *cluster_id, const char *group_id, int32_t *ids,
		    struct err *err) BYU_MUST_CHECK;

/* After a reconnect: are all rows of the lane's partitions as this worker left them? *kept false: the database lost commits, or
 * another worker has claimed some. */
struct assignment;
bool position_kept(struct pg *pg, const struct assignment *assignment, unsigned lane, bool *kept,
		   struct err *err) BYU_MUST_CHECK;

/* published_offset of the rows, between batches; does nothing to rows that carry another token. */
bool position_publish(struct pg *pg, const int32_t *ids, const int64_t *published, uint32_t count,
		      const uint8_t token[16], struct err *err) BYU_MUST_CHECK;

/* There is no message between a row's position and this offset; the same. */
bool position_advance(struct pg *pg, int32_t id, int64_t next_offset, const uint8_t token[16], struct err *err) BYU_MUST_CHECK;

/* Housekeeping between batches: published outcomes older than this, and their blocks of ids, a bounded number of them.
 * gone_below[i], for ids[i]: outcomes below this offset are no longer there; 0: nothing was deleted. */
bool retention_expire_outcomes(struct pg *pg, const int32_t *ids, uint32_t count, int64_t older_than_ms,
			       int64_t *gone_below, int64_t *deleted, struct err *err) BYU_MUST_CHECK;

/* The lowest slot that no live worker of this database and group holds; kept as long as the session lives. It makes the
 * transactional id "byunique-GROUP-INSTALLATION-SLOT": unique among live workers, and the same again after a restart, so
 * that the successor ends at once what a crash left open. */
struct slot {
	int32_t number;
	char *transactional_id; /* owned */
};
bool slot_take(struct pg *pg, const char *group_id, struct slot *slot, struct err *err) BYU_MUST_CHECK;
/* After a reconnect: the same number again. *kept false: somebody else has it, and will fence our producer. */
bool slot_keep(struct pg *pg, const char *group_id, const struct slot *slot, bool *kept, struct err *err) BYU_MUST_CHECK;
/* This is a further session of a worker that has a slot: position_end_frozen() ends it as well. */
bool slot_join(struct pg *pg, struct err *err) BYU_MUST_CHECK;
void slot_release(struct slot *slot);

#endif
