/* The tables are made for the worker, so there is no index by time: batches are read back from the newest one, page by page,
 * until they are old enough or were enough. */
#include "byunique/standing.h"

#include "sql/statements.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct number {
	char text[24];
};

static const char *write_number(struct number *number, int64_t value)
{
	snprintf(number->text, sizeof(number->text), "%" PRId64, value);
	return number->text;
}

bool standing_read(struct pg *pg, const char *topic, struct arena *arena, struct standing **list, uint32_t *count,
		   struct err *err)
{
	const char *params[] = {topic};
	struct pg_rows *rows = NULL;

	if (!pg_query(pg, sql_standing_positions, params, 1, &rows, err))
		return false;
	*count = (uint32_t)pg_rows_count(rows);
	*list = arena_array(arena, struct standing, *count);
	for (int row = 0; row < (int)*count; row++)
		(*list)[row] = (struct standing){
			.partition = (int32_t)pg_rows_int(rows, row, 0),
			.id = (int32_t)pg_rows_int(rows, row, 1),
			.next_offset = pg_rows_int(rows, row, 2),
			.published_offset = pg_rows_int(rows, row, 3),
			.cluster_id = arena_cstr(arena, pg_rows_get(rows, row, 4)),
			.group_id = arena_cstr(arena, pg_rows_get(rows, row, 5)),
		};
	pg_rows_free(rows);
	return true;
}

/* Is there enough? Else the next page begins before the last row. */
static bool take_page(const struct pg_rows *rows, int64_t *since_ms, struct stored_batch *list, uint32_t *count,
		      int64_t *messages)
{
	for (int row = 0; row < pg_rows_count(rows); row++) {
		struct stored_batch batch = {pg_rows_int(rows, row, 0), pg_rows_int(rows, row, 1), pg_rows_int(rows, row, 2),
					     pg_rows_int(rows, row, 3)};
		if (batch.processed_at_ms < *since_ms)
			return true;
		list[(*count)++] = batch;
		*messages += batch.messages;
		if (*messages >= STANDING_MESSAGES || *count == STANDING_BATCHES) {
			*since_ms = batch.processed_at_ms;
			return true;
		}
	}
	return false;
}

bool standing_batches(struct pg *pg, int32_t id, struct arena *arena, int64_t *since_ms, struct stored_batch **out,
		      uint32_t *count, struct err *err)
{
	enum { FIRST_PAGE = 100, PAGE_MOST = 4000 };
	struct stored_batch *list = xcalloc(STANDING_BATCHES, sizeof(*list));
	int64_t before = INT64_MAX, messages = 0;
	bool ok = true, enough = false;

	*count = 0;
	for (int page = FIRST_PAGE; ok && !enough; page = page * 2 < PAGE_MOST ? page * 2 : PAGE_MOST) {
		struct number numbers[3];
		const char *params[] = {write_number(&numbers[0], id), write_number(&numbers[1], before),
					write_number(&numbers[2], page)};
		struct pg_rows *rows = NULL;
		ok = pg_query(pg, sql_standing_batches, params, 3, &rows, err);
		if (ok) {
			enough = take_page(rows, since_ms, list, count, &messages) || pg_rows_count(rows) < page;
			before = *count > 0 ? list[*count - 1].last_offset : before;
		}
		pg_rows_free(rows);
	}
	*out = arena_array(arena, struct stored_batch, *count + 1);
	memcpy(*out, list, sizeof(*list) * *count);
	free(list);
	return ok;
}

bool standing_codes(struct pg *pg, int32_t id, int64_t from_offset, int64_t counts[OUTCOME_CODES], struct err *err)
{
	struct number numbers[2];
	const char *params[] = {write_number(&numbers[0], id), write_number(&numbers[1], from_offset)};
	struct pg_rows *rows = NULL;

	if (!pg_query(pg, sql_standing_codes, params, 2, &rows, err))
		return false;
	for (int row = 0; row < pg_rows_count(rows); row++) {
		int code = (int)pg_rows_int(rows, row, 0);
		if (outcome_code_valid(code))
			counts[code] += pg_rows_int(rows, row, 1);
	}
	pg_rows_free(rows);
	return true;
}

bool standing_errors(struct pg *pg, int32_t id, int64_t from_offset, struct stored_error *errors, uint32_t room,
		     uint32_t *count, struct err *err)
{
	struct number numbers[3];
	const char *params[] = {write_number(&numbers[0], id), write_number(&numbers[1], from_offset),
				write_number(&numbers[2], room)};
	struct pg_rows *rows = NULL;

	*count = 0;
	if (!pg_query(pg, sql_standing_errors, params, 3, &rows, err))
		return false;
	for (int row = 0; row < pg_rows_count(rows) && *count < room; row++) {
		int code = (int)pg_rows_int(rows, row, 1);
		if (outcome_code_valid(code))
			errors[(*count)++] = (struct stored_error){.offset = pg_rows_int(rows, row, 0),
								   .processed_at_ms = pg_rows_int(rows, row, 2),
								   .code = (enum outcome_code)code};
	}
	pg_rows_free(rows);
	return true;
}
