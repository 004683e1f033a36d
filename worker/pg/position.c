/* Claiming locks the rows first: a batch of the last owner that is still under way commits before it, or fails at the
 * fence after it. */
#include "byunique/position.h"

#include "byunique/batch.h"
#include "byunique/pg_pipeline.h"
#include "sql/statements.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct pg_param text_param(const char *text)
{
	return (struct pg_param){text, strlen(text)};
}

static struct pg_param int4_array(struct buf *array, const int32_t *values, uint32_t count)
{
	pg_array_begin(array, PG_INT4);
	for (uint32_t i = 0; i < count; i++)
		pg_array_int4(array, values[i]);
	return pg_array_param(array);
}

static struct pg_param int8_array(struct buf *array, const int64_t *values, uint32_t count)
{
	pg_array_begin(array, PG_INT8);
	for (uint32_t i = 0; i < count; i++)
		pg_array_int8(array, values[i]);
	return pg_array_param(array);
}

static void read_row(const struct pg_rows *rows, int row, struct arena *arena, struct position *position)
{
	position->known = true;
	position->id = (int32_t)pg_rows_int(rows, row, 1);
	position->next_offset = pg_rows_int(rows, row, 2);
	position->last_offset = pg_rows_int(rows, row, 3);
	position->last_hash = (uint64_t)pg_rows_int(rows, row, 4);
	position->published_offset = pg_rows_int(rows, row, 5);
	position->cluster_id = arena_copy(arena, pg_rows_bytes(rows, row, 6));
	position->group_id = arena_copy(arena, pg_rows_bytes(rows, row, 7));
}

bool position_read(struct pg *pg, const char *topic, const int32_t *partitions, uint32_t count, bool again,
		   struct arena *arena, struct position *positions, struct err *err)
{
	struct pg_statement begin = {.sql = sql_begin}, patience = {.sql = sql_claim_patience}, select = {.sql = sql_positions};
	struct buf numbers = BUF_EMPTY;
	struct pg_rows *answers[3];
	int last = again ? 2 : 1; /* the answer that has rows */
	struct pg_param params[] = {text_param(topic), int4_array(&numbers, partitions, count)};

	pg_pipeline_add(pg, &begin, NULL, 0);
	if (again)
		pg_pipeline_add(pg, &patience, NULL, 0);
	pg_pipeline_add(pg, &select, params, 2);
	buf_release(&numbers);
	bool ok = pg_pipeline_run(pg, answers, err);
	pg_statement_release(pg, &begin);
	pg_statement_release(pg, &patience);
	pg_statement_release(pg, &select);
	if (!ok)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		positions[i] = (struct position){.partition = partitions[i]};
		for (int row = 0; row < pg_rows_count(answers[last]); row++)
			if (pg_rows_int(answers[last], row, 0) == partitions[i])
				read_row(answers[last], row, arena, &positions[i]);
	}
	for (int i = 0; i <= last; i++)
		pg_rows_free(answers[i]);
	return true;
}

bool position_claim(struct pg *pg, const char *topic, const int32_t *partitions, const int64_t *next_offsets,
		    uint32_t count, const uint8_t token[16], const char *cluster_id, const char *group_id, int32_t *ids,
		    struct err *err)
{
	struct pg_statement claim = {.sql = sql_claim_positions}, commit = {.sql = sql_commit};
	struct buf numbers = BUF_EMPTY, offsets = BUF_EMPTY;
	struct pg_rows *answers[2];
	struct pg_param params[] = {text_param(topic),
				    int4_array(&numbers, partitions, count),
				    int8_array(&offsets, next_offsets, count),
				    {token, 16},
				    text_param(cluster_id),
				    text_param(group_id)};

	pg_pipeline_add(pg, &claim, params, 6);
	pg_pipeline_add(pg, &commit, NULL, 0);
	buf_release(&numbers);
	buf_release(&offsets);
	bool ok = pg_pipeline_run(pg, answers, err);
	pg_statement_release(pg, &claim);
	pg_statement_release(pg, &commit);
	if (!ok)
		return false;
	for (int row = 0; row < pg_rows_count(answers[0]); row++)
		for (uint32_t i = 0; i < count; i++)
			if (pg_rows_int(answers[0], row, 0) == partitions[i])
				ids[i] = (int32_t)pg_rows_int(answers[0], row, 1);
	pg_rows_free(answers[0]);
	pg_rows_free(answers[1]);
	return true;
}

/* One statement by itself. */
static bool run_one(struct pg *pg, const char *sql, const struct pg_param *params, int count, struct pg_rows **rows,
		    struct err *err)
{
	struct pg_statement statement = {.sql = sql};
	pg_pipeline_add(pg, &statement, params, count);
	bool ok = pg_pipeline_run(pg, rows, err);
	pg_statement_release(pg, &statement);
	return ok;
}

bool position_end_frozen(struct pg *pg, const char *topic, const int32_t *partitions, uint32_t count, int64_t *ended,
			 struct err *err)
{
	struct buf numbers = BUF_EMPTY;
	struct pg_rows *rows = NULL;
	struct pg_param params[] = {text_param(topic), int4_array(&numbers, partitions, count)};
	bool ok = run_one(pg, sql_end_frozen, params, 2, &rows, err);

	*ended = ok ? pg_rows_int(rows, 0, 0) : 0;
	pg_rows_free(rows);
	buf_release(&numbers);
	return ok;
}

static bool is_as_left(const struct pg_rows *rows, const struct partition *partition, const uint8_t token[16])
{
	int row = 0;

	while (row < pg_rows_count(rows) && pg_rows_int(rows, row, 0) != partition->id)
		row++;
	if (row == pg_rows_count(rows))
		return false;
	return slice_equal(pg_rows_bytes(rows, row, 2), slice_of(token, 16)) &&
	       partition_may_be_at(partition, pg_rows_int(rows, row, 1));
}

bool position_kept(struct pg *pg, const struct assignment *assignment, unsigned lane, bool *kept, struct err *err)
{
	int32_t *ids = xcalloc(assignment->count, sizeof(*ids));
	struct buf numbers = BUF_EMPTY;
	struct pg_rows *rows = NULL;

	for (uint32_t i = 0; i < assignment->count; i++)
		ids[i] = assignment->partitions[i].id;
	struct pg_param param = int4_array(&numbers, ids, assignment->count);
	bool ok = run_one(pg, sql_kept_positions, &param, 1, &rows, err);
	*kept = ok;
	for (uint32_t i = 0; *kept && i < assignment->count; i++)
		*kept = assignment->partitions[i].lane != lane ||
			is_as_left(rows, &assignment->partitions[i], assignment->token);
	pg_rows_free(rows);
	buf_release(&numbers);
	free(ids);
	return ok;
}

bool position_publish(struct pg *pg, const int32_t *ids, const int64_t *published, uint32_t count,
		      const uint8_t token[16], struct err *err)
{
	struct buf numbers = BUF_EMPTY, offsets = BUF_EMPTY;
	struct pg_param params[] = {int4_array(&numbers, ids, count), int8_array(&offsets, published, count), {token, 16}};
	bool ok = run_one(pg, sql_store_published, params, 3, NULL, err);
	buf_release(&numbers);
	buf_release(&offsets);
	return ok;
}

bool position_advance(struct pg *pg, int32_t id, int64_t next_offset, const uint8_t token[16], struct err *err)
{
	uint32_t id_be = htobe32((uint32_t)id);
	uint64_t offset_be = htobe64((uint64_t)next_offset);
	struct pg_param params[] = {{&id_be, sizeof(id_be)}, {&offset_be, sizeof(offset_be)}, {token, 16}};

	return run_one(pg, sql_advance_position, params, 3, NULL, err);
}

static void note_gone(const struct pg_rows *rows, const int32_t *ids, uint32_t count, int64_t *gone_below)
{
	for (int row = 0; row < pg_rows_count(rows); row++)
		for (uint32_t i = 0; i < count; i++)
			if (pg_rows_int(rows, row, 0) == ids[i] && pg_rows_int(rows, row, 1) >= gone_below[i])
				gone_below[i] = pg_rows_int(rows, row, 1) + 1;
}

bool retention_expire_outcomes(struct pg *pg, const int32_t *ids, uint32_t count, int64_t older_than_ms,
			       int64_t *gone_below, int64_t *deleted, struct err *err)
{
	struct buf numbers = BUF_EMPTY;
	struct pg_rows *rows = NULL;
	uint64_t bound = htobe64((uint64_t)older_than_ms);
	struct pg_param params[] = {int4_array(&numbers, ids, count), {&bound, sizeof(bound)}};
	bool ok = run_one(pg, sql_expire_outcomes, params, 2, &rows, err);

	if (ok) {
		*deleted = pg_rows_count(rows);
		note_gone(rows, ids, count, gone_below);
	}
	pg_rows_free(rows);
	buf_release(&numbers);
	return ok;
}

bool slot_take(struct pg *pg, const char *group_id, struct slot *slot, struct err *err)
{
	struct pg_rows *installation = NULL, *rows = NULL;
	const char *params[] = {group_id};
	bool ok = pg_query(pg, sql_installation, NULL, 0, &installation, err) && pg_query(pg, sql_slot, params, 1, &rows, err);

	if (ok && pg_rows_count(rows) == 0)
		ok = err_set(err, VERDICT_STOP, "", "10,000 workers of this group are running already");
	if (ok) {
		slot->number = (int32_t)pg_rows_int(rows, 0, 0);
		slot->transactional_id = xasprintf("byunique-%s-%.12s-%d", group_id,
						   pg_rows_get(installation, 0, 0).base, slot->number);
	}
	pg_rows_free(installation);
	pg_rows_free(rows);
	return ok;
}

bool slot_keep(struct pg *pg, const char *group_id, const struct slot *slot, bool *kept, struct err *err)
{
	char number[12];
	const char *params[] = {group_id, number};
	struct pg_rows *rows = NULL;

	snprintf(number, sizeof(number), "%d", slot->number);
	if (!pg_query(pg, sql_take_slot, params, 2, &rows, err))
		return false;
	*kept = pg_rows_int(rows, 0, 0) != 0;
	pg_rows_free(rows);
	return true;
}

bool slot_join(struct pg *pg, struct err *err)
{
	return pg_query(pg, sql_join_slot, NULL, 0, NULL, err);
}

void slot_release(struct slot *slot)
{
	free(slot->transactional_id);
	slot->transactional_id = NULL;
}
