/* A window over a position's stored batches is moved on with the messages. Outcomes and refusals come from one snapshot:
 * housekeeping deletes both at once, and an outcome without its refusals would read as 204. */
#include "byunique/stored.h"

#include "byunique/batch.h"
#include "outcomes.h"
#include "sql/statements.h"

#include <endian.h>
#include <stdlib.h>

enum { WINDOW_OFFSETS = 16384 };

struct stored {
	int32_t position_id;
	int64_t end; /* of the window */
	struct pg_rows *outcomes, *refusals; /* NULL: no window yet */
	struct memory memory;
	int refusal; /* the row looked at last */
	struct pg_statement begin, recall_outcomes, recall_refusals, commit;
};

bool stored_positions(struct pg *pg, const char *topic, struct stored_position **out, int *count, struct err *err)
{
	const char *params[] = {topic};
	struct pg_rows *rows = NULL;

	if (!pg_query(pg, sql_stored_positions, params, 1, &rows, err))
		return false;
	*count = pg_rows_count(rows);
	*out = xcalloc((unsigned long)*count + 1, sizeof(**out));
	for (int row = 0; row < *count; row++)
		(*out)[row] = (struct stored_position){.partition = (int32_t)pg_rows_int(rows, row, 0),
						       .id = (int32_t)pg_rows_int(rows, row, 1),
						       .next_offset = pg_rows_int(rows, row, 2),
						       .published_offset = pg_rows_int(rows, row, 3),
						       .last_offset = pg_rows_int(rows, row, 4),
						       .last_hash = (uint64_t)pg_rows_int(rows, row, 5),
						       .cluster_id = xstrdup(pg_rows_get(rows, row, 6).base),
						       .group_id = xstrdup(pg_rows_get(rows, row, 7).base)};
	pg_rows_free(rows);
	return true;
}

void stored_positions_free(struct stored_position *positions, int count)
{
	for (int i = 0; positions != NULL && i < count; i++) {
		free(positions[i].cluster_id);
		free(positions[i].group_id);
	}
	free(positions);
}

struct stored *stored_new(int32_t position_id)
{
	struct stored *stored = xcalloc(1, sizeof(*stored));
	stored->position_id = position_id;
	stored->begin.sql = sql_stored_begin;
	stored->recall_outcomes.sql = sql_recall_outcomes;
	stored->recall_refusals.sql = sql_recall_refusals;
	stored->commit.sql = sql_commit;
	return stored;
}

static void drop_window(struct stored *stored)
{
	pg_rows_free(stored->outcomes);
	pg_rows_free(stored->refusals);
	stored->outcomes = stored->refusals = NULL;
}

void stored_free(struct pg *pg, struct stored *stored)
{
	if (stored == NULL)
		return;
	drop_window(stored);
	pg_statement_release(pg, &stored->begin);
	pg_statement_release(pg, &stored->recall_outcomes);
	pg_statement_release(pg, &stored->recall_refusals);
	pg_statement_release(pg, &stored->commit);
	free(stored);
}

static bool move_window(struct pg *pg, struct stored *stored, int64_t offset, struct err *err)
{
	uint32_t id = htobe32((uint32_t)stored->position_id);
	uint64_t first = htobe64((uint64_t)offset), last = htobe64((uint64_t)offset + WINDOW_OFFSETS - 1);
	struct pg_param params[] = {{&id, sizeof(id)}, {&first, sizeof(first)}, {&last, sizeof(last)}};
	struct pg_rows *answers[4];

	drop_window(stored);
	pg_pipeline_add(pg, &stored->begin, NULL, 0);
	pg_pipeline_add(pg, &stored->recall_outcomes, params, 3);
	pg_pipeline_add(pg, &stored->recall_refusals, params, 3);
	pg_pipeline_add(pg, &stored->commit, NULL, 0);
	if (!pg_pipeline_run(pg, answers, err))
		return false;
	pg_rows_free(answers[0]);
	pg_rows_free(answers[3]);
	stored->outcomes = answers[1];
	stored->refusals = answers[2];
	stored->end = offset + WINDOW_OFFSETS;
	stored->refusal = 0;
	memory_begin(&stored->memory, stored->outcomes, stored->refusals);
	return true;
}

/* Not memory_answer(): a code may stand here that nobody knows, as somebody has been at the tables. */
static int find_code(struct stored *stored, int64_t offset)
{
	const struct pg_rows *refusals = stored->refusals;
	int row = stored->refusal;

	while (row < pg_rows_count(refusals) && pg_rows_int(refusals, row, 0) < offset)
		row++;
	stored->refusal = row;
	return row < pg_rows_count(refusals) && pg_rows_int(refusals, row, 0) == offset
		       ? (int)pg_rows_int(refusals, row, 1)
		       : OUTCOME_DONE;
}

bool stored_find(struct pg *pg, struct stored *stored, int64_t offset, uint64_t hash, enum stored_says *says,
		 int *code, int64_t *processed_at_ms, struct err *err)
{
	struct message message = {.offset = offset, .hash = hash};

	if ((stored->outcomes == NULL || offset >= stored->end) && !move_window(pg, stored, offset, err))
		return false;
	switch (memory_find(&stored->memory, &message)) {
	case MEMORY_NONE: *says = STORED_NONE; break;
	case MEMORY_OTHER: *says = STORED_OTHER; break;
	case MEMORY_SAME:
		*says = STORED_SAME;
		*code = find_code(stored, offset);
		*processed_at_ms = pg_rows_int(stored->outcomes, stored->memory.row, 2);
		break;
	}
	return true;
}
