/* What is in the rows of the table outcome, and how it is written: see schemas/migrations/001.sql. */
#ifndef BYUNIQUE_PG_OUTCOMES_H
#define BYUNIQUE_PG_OUTCOMES_H

#include "byunique/batch.h"
#include "byunique/pg_pipeline.h"

/* A cursor over the stored batches of a partition, moved on in step with the messages that are read again. */
struct memory {
	const struct pg_rows *outcomes, *refusals;
	int row, refusal;
	struct slice entries; /* of the row, what is left */
	int64_t offset;	      /* of the entry before */
};

/* Answers to recall_outcomes.sql and recall_refusals.sql; borrowed. */
void memory_begin(struct memory *memory, const struct pg_rows *outcomes, const struct pg_rows *refusals);

enum memory_says {
	MEMORY_SAME,  /* the message was processed: memory_answer() */
	MEMORY_OTHER, /* another message, or none, was at this offset then */
	MEMORY_NONE,  /* nothing is stored of it */
};
/* Messages have to come in the order of their offsets. */
enum memory_says memory_find(struct memory *memory, const struct message *message);
/* The stored answer to the message found last; texts are copied to the arena. */
void memory_answer(struct memory *memory, struct message *message, struct arena *arena);

/* One id in outcome.ids: the id, the first bytes of its content hash, the distance to the row's first offset. */
enum { BLOCK_ID_BYTES = 16, BLOCK_CONTENT_BYTES = 8, BLOCK_ENTRY_BYTES = BLOCK_ID_BYTES + BLOCK_CONTENT_BYTES + 4 };

/* Did the message's id take effect in this block, not before oldest_ms? *same: with the same content. The rows are the
 * answers to recall_blocks.sql and recall_ineffective.sql. */
bool block_knows(const struct pg_rows *blocks, const struct pg_rows *ineffective, int64_t block, int64_t oldest_ms,
		 const struct message *message, bool *same);

/* All ids of a block into the index. */
void block_index(struct id_index *index, int64_t block, struct slice ids);

#endif
