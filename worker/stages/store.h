/* Shared by recall.c and apply.c, the two halves of a batch's transaction, and ahead.c, which does without the first. */
#ifndef BYUNIQUE_STAGES_STORE_H
#define BYUNIQUE_STAGES_STORE_H

#include "byunique/stages.h"

/* One extension's UPDATE, prepared for the attributes seen so far; the set only grows, so that a handful of
 * preparations serve for good. */
struct update {
	int32_t extension_id;
	bool writes; /* false: only looks for records */
	int64_t catalogue_version;
	struct columns columns;
	struct buf sql; /* owned */
	struct pg_statement statement;
};

struct store {
	struct pg *pg;
	struct pg_statement begin, lock_catalogue, fence, guard, state, recall_outcomes, recall_refusals;
	struct pg_statement load_ids, recall_blocks, recall_ineffective;
	struct pg_statement store_refusals, store_repeats, store_outcomes, move_positions, commit_later, commit;
	int64_t id_retention_ms, outcome_retention_ms;
	struct update **updates; /* one for each extension met; they stay where they are; owned */
	uint32_t update_count;
	struct buf *arrays; /* parameters under construction; owned */
	uint32_t array_count;
};

/* The i-th parameter buffer, which stays where it is until a larger i is asked for. */
struct buf *store_array(struct store *store, uint32_t i);

/* The partitions of a span, each once, with the range of its offsets. */
struct reach {
	struct partition *partition;
	uint32_t first, last; /* messages of the span: the partition's first and last */
};
struct reach *span_reaches(const struct span *span, uint32_t *count); /* in the batch's arena */

/* As if nothing were known of these messages but what decode and validate say. */
void recall_reset(const struct span *span);
/* Would recall find all of it new, and no id known? By what this worker knows, what it has sent ahead included. */
bool recall_expects_news(const struct span *span, const struct reach *reaches, uint32_t count);

/* The statements of apply, COMMIT included, into the pipeline. */
void apply_send(struct store *store, const struct span *span, const struct plan *plan, const struct reach *reaches,
		uint32_t count, int64_t processed_at_ms);
/* It is committed; answers[] are those of its statements. */
void apply_settle(const struct span *span, const struct plan *plan, struct reach *reaches, uint32_t count,
		  struct pg_rows *const *answers, int64_t processed_at_ms);
/* Where the span leaves the partition. */
int64_t reach_next_offset(const struct span *span, const struct reach *reach);

#endif
