/* What PostgreSQL knows of a commands topic, for who looks on: reads only, locks nothing, and takes a bounded time, however much
 * is stored. */
#ifndef BYUNIQUE_STANDING_H
#define BYUNIQUE_STANDING_H

#include "byunique/outcome.h"
#include "byunique/pg.h"

struct standing {
	int32_t partition;
	int32_t id; /* of the row */
	int64_t next_offset, published_offset;
	const char *cluster_id, *group_id; /* in the arena */
};
/* By partition; in the arena. */
bool standing_read(struct pg *pg, const char *topic, struct arena *arena, struct standing **list, uint32_t *count,
		   struct err *err) BYU_MUST_CHECK;

struct stored_batch {
	int64_t first_offset, last_offset;
	int64_t processed_at_ms;
	int64_t messages; /* a few less or more where many offsets are missing between messages */
};
/* The batches of a position since a time, newest first; in the arena. They end earlier when there are more than
 * STANDING_MESSAGES or STANDING_BATCHES: *since_ms then is the time of the oldest one. */
enum { STANDING_MESSAGES = 200000, STANDING_BATCHES = 20000 };
bool standing_batches(struct pg *pg, int32_t id, struct arena *arena, int64_t *since_ms, struct stored_batch **list,
		      uint32_t *count, struct err *err) BYU_MUST_CHECK;

/* Adds to counts[] how many messages from this offset on were answered with each code, but for those simply answered 204. */
bool standing_codes(struct pg *pg, int32_t id, int64_t from_offset, int64_t counts[OUTCOME_CODES], struct err *err)
	BYU_MUST_CHECK;

struct stored_error {
	int32_t partition; /* the caller's */
	int64_t offset, processed_at_ms;
	enum outcome_code code;
};
/* The last ones from this offset on, newest first, at most `room`. */
bool standing_errors(struct pg *pg, int32_t id, int64_t from_offset, struct stored_error *errors, uint32_t room,
		     uint32_t *count, struct err *err) BYU_MUST_CHECK;

#endif
