/* The worker's positions and stored outcomes, looked at from outside: read only, nothing is locked, the right to SELECT is
 * enough. */
#ifndef BYUNIQUE_STORED_H
#define BYUNIQUE_STORED_H

#include "byunique/pg.h"

struct stored_position {
	int32_t partition;
	int32_t id; /* of the row */
	int64_t next_offset, published_offset;
	int64_t last_offset; /* -1: none */
	uint64_t last_hash;
	char *cluster_id, *group_id; /* owned */
};
/* All of a topic, by partition. */
bool stored_positions(struct pg *pg, const char *topic, struct stored_position **positions, int *count,
		      struct err *err) BYU_MUST_CHECK;
void stored_positions_free(struct stored_position *positions, int count); /* NULL is fine */

/* What is stored of one position's messages, asked for in the order of their offsets. A part of it at a time is held in
 * memory: that of 16,384 offsets. */
struct stored;
struct stored *stored_new(int32_t position_id);
void stored_free(struct pg *pg, struct stored *stored); /* NULL is fine */

enum stored_says { STORED_NONE, STORED_SAME, STORED_OTHER /* another message, or none, was at this offset */ };
/* *code (an enum outcome_code, or whatever stands there) and *processed_at_ms for STORED_SAME only. */
bool stored_find(struct pg *pg, struct stored *stored, int64_t offset, uint64_t hash, enum stored_says *says,
		 int *code, int64_t *processed_at_ms, struct err *err) BYU_MUST_CHECK;

#endif
