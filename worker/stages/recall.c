/* First round trip of a batch. Order matters: the catalogue's lock and the position rows come before anything is read, so
 * that what is read (READ COMMITTED, a snapshot for each statement) is what the last owner of these partitions left. */
#include "store.h"

#include "byunique/clock.h"
#include "byunique/id_index.h"
#include "byunique/log.h"
#include "pg/outcomes.h"
#include "sql/statements.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

enum { BLOCKS_OF_AN_ID = 4 /* an id takes effect again only when it was forgotten; and strangers may share its mark */ };

struct store *store_new(struct pg *pg, int64_t id_retention_ms, int64_t outcome_retention_ms)
{
	struct store *store = xcalloc(1, sizeof(*store));
	store->pg = pg;
	store->id_retention_ms = id_retention_ms;
	store->outcome_retention_ms = outcome_retention_ms;
	store->begin.sql = sql_begin;
	store->lock_catalogue.sql = sql_lock_catalogue;
	store->fence.sql = sql_fence;
	store->guard.sql = sql_guard;
	store->state.sql = sql_state;
	store->recall_outcomes.sql = sql_recall_outcomes;
	store->recall_refusals.sql = sql_recall_refusals;
	store->load_ids.sql = sql_load_ids;
	store->recall_blocks.sql = sql_recall_blocks;
	store->recall_ineffective.sql = sql_recall_ineffective;
	store->store_refusals.sql = sql_store_refusals;
	store->store_repeats.sql = sql_store_repeats;
	store->store_outcomes.sql = sql_store_outcomes;
	store->move_positions.sql = sql_move_positions;
	store->commit_later.sql = sql_commit_later;
	store->commit.sql = sql_commit;
	return store;
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	for (uint32_t i = 0; i < store->update_count; i++) {
		buf_release(&store->updates[i]->sql);
		free(store->updates[i]);
	}
	for (uint32_t i = 0; i < store->array_count; i++)
		buf_release(&store->arrays[i]);
	free(store->updates);
	free(store->arrays);
	free(store);
}

void store_retain(struct store *store, int64_t id_retention_ms, int64_t outcome_retention_ms)
{
	store->id_retention_ms = id_retention_ms;
	store->outcome_retention_ms = outcome_retention_ms;
}

struct buf *store_array(struct store *store, uint32_t i)
{
	if (i >= store->array_count) {
		store->arrays = xrealloc(store->arrays, sizeof(*store->arrays) * (i + 1));
		memset(store->arrays + store->array_count, 0, sizeof(*store->arrays) * (i + 1 - store->array_count));
		store->array_count = i + 1;
	}
	return &store->arrays[i];
}

struct reach *span_reaches(const struct span *span, uint32_t *count)
{
	uint32_t partitions = span->batch->assignment->count, last = 0;
	struct reach *reaches = arena_array(&span->batch->arena, struct reach, partitions);

	*count = 0;
	for (uint32_t i = span->begin; i < span->end; i++) {
		struct partition *partition = span->batch->messages[i].partition;
		/* Neighbours mostly share a partition. */
		if (*count == 0 || reaches[last].partition != partition)
			for (last = 0; last < *count && reaches[last].partition != partition; last++)
				;
		if (last == *count)
			reaches[(*count)++] = (struct reach){.partition = partition, .first = i};
		reaches[last].last = i;
	}
	return reaches;
}

/* --- the questions -------------------------------------------------------------------------------------------------- */

static struct pg_param int4_param(int32_t v, struct arena *arena)
{
	uint32_t *be = arena_alloc(arena, sizeof(*be));
	*be = htobe32((uint32_t)v);
	return (struct pg_param){be, sizeof(*be)};
}

static struct pg_param int8_param(int64_t v, struct arena *arena)
{
	uint64_t *be = arena_alloc(arena, sizeof(*be));
	*be = htobe64((uint64_t)v);
	return (struct pg_param){be, sizeof(*be)};
}

static void ask_fence(struct store *store, const struct reach *reaches, uint32_t count)
{
	struct buf *ids = store_array(store, 0);
	pg_array_begin(ids, PG_INT4);
	for (uint32_t i = 0; i < count; i++)
		pg_array_int4(ids, reaches[i].partition->id);
	struct pg_param param = pg_array_param(ids);
	pg_pipeline_add(store->pg, &store->fence, &param, 1);
}

/* Could any of these have been processed before? A COMMIT whose answer was lost makes it possible for all. */
static bool may_repeat(const struct span *span, const struct reach *reach)
{
	const struct partition *partition = reach->partition;
	return span->batch->messages[reach->first].offset < partition->next_offset || partition->uncertain_offset >= 0 ||
	       partition->sent_count > 0;
}

static void ask_repeats(struct store *store, const struct span *span, const struct reach *reach)
{
	struct arena *arena = &span->batch->arena;
	const struct message *messages = span->batch->messages;
	struct pg_param params[] = {int4_param(reach->partition->id, arena),
				    int8_param(messages[reach->first].offset, arena),
				    int8_param(messages[reach->last].offset, arena)};
	pg_pipeline_add(store->pg, &store->recall_outcomes, params, 3);
	pg_pipeline_add(store->pg, &store->recall_refusals, params, 3);
}

static bool may_be_known(const struct message *message)
{
	return message->has_id && message->offset >= message->partition->next_offset;
}

/* A message whose id may have taken effect before, and where. */
struct suspect {
	uint32_t message;
	uint32_t block_count;
	int64_t blocks[BLOCKS_OF_AN_ID]; /* newest first */
};

struct suspects {
	struct suspect *list; /* in the batch's arena */
	uint32_t count, room;
};

static void add_suspect(struct suspects *suspects, const struct suspect *suspect, struct arena *arena)
{
	if (suspects->count == suspects->room) {
		struct suspect *before = suspects->list;
		suspects->room = suspects->room ? 4 * suspects->room : 16;
		suspects->list = arena_array(arena, struct suspect, suspects->room);
		if (suspects->count > 0)
			memcpy(suspects->list, before, sizeof(*before) * suspects->count);
	}
	suspects->list[suspects->count++] = *suspect;
}

/* Mostly none: the index knows. */
static struct suspects find_suspects(const struct span *span)
{
	struct suspects suspects = {0};

	for (uint32_t i = span->begin; i < span->end; i++) {
		const struct message *message = &span->batch->messages[i];
		struct suspect suspect = {.message = i};
		if (!may_be_known(message))
			continue;
		suspect.block_count = id_index_find(message->partition->ids, &message->id, suspect.blocks, BLOCKS_OF_AN_ID);
		if (suspect.block_count > 0)
			add_suspect(&suspects, &suspect, &span->batch->arena);
	}
	return suspects;
}

static int compare_offsets(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

/* The blocks that this partition's suspects point to, each once. False: none. */
static bool ask_blocks(struct store *store, const struct span *span, const struct suspects *suspects,
		       const struct partition *partition)
{
	int64_t *blocks = arena_array(&span->batch->arena, int64_t, (size_t)suspects->count * BLOCKS_OF_AN_ID);
	struct buf *array = store_array(store, 0);
	uint32_t count = 0;

	for (uint32_t s = 0; s < suspects->count; s++)
		for (uint32_t b = 0; b < suspects->list[s].block_count; b++)
			if (span->batch->messages[suspects->list[s].message].partition == partition)
				blocks[count++] = suspects->list[s].blocks[b];
	if (count == 0)
		return false;
	qsort(blocks, count, sizeof(*blocks), compare_offsets);
	pg_array_begin(array, PG_INT8);
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || blocks[i] != blocks[i - 1])
			pg_array_int8(array, blocks[i]);
	struct pg_param params[] = {int4_param(partition->id, &span->batch->arena), pg_array_param(array)};
	pg_pipeline_add(store->pg, &store->recall_blocks, params, 2);
	pg_pipeline_add(store->pg, &store->recall_ineffective, params, 2);
	return true;
}

/* --- the answers ------------------------------------------------------------------------------------------------------ */

static bool fenced(struct err *err, const struct partition *partition, const char *detail)
{
	err_set(err, VERDICT_REJOIN, "", "another worker has taken partition %d over", partition->number);
	return err_detail(err, "%s", detail);
}

static bool check_fence_row(const struct pg_rows *rows, int row, const struct span *span, struct partition *partition,
			    struct err *err)
{
	int64_t next_offset = pg_rows_int(rows, row, 1);
	struct slice owner = pg_rows_bytes(rows, row, 2);
	const uint8_t *token = span->batch->assignment->token;

	if (owner.len != 16 || memcmp(owner.base, token, 16) != 0)
		return fenced(err, partition, "its position row carries another worker's token");
	if (!partition_may_be_at(partition, next_offset))
		return fenced(err, partition, "its position was moved by somebody else");
	partition_is_at(partition, next_offset);
	partition->uncertain_offset = -1;
	partition->recalled = true;
	return true;
}

/* Offsets may have gaps, batches may not: what lies between the position and the first message was never in the log. */
static bool check_gap(const struct message *first, struct err *err)
{
	if (first->follows <= first->partition->next_offset)
		return true;
	err_set(err, VERDICT_REJOIN, "", "messages of partition %d were read, but not stored", first->partition->number);
	return err_detail(err, "from offset %" PRId64 " to %" PRId64, first->partition->next_offset, first->follows - 1);
}

static bool check_fence(const struct pg_rows *rows, const struct span *span, const struct reach *reaches, uint32_t count,
			struct err *err)
{
	for (uint32_t i = 0; i < count; i++) {
		int row = 0;
		while (row < pg_rows_count(rows) && pg_rows_int(rows, row, 0) != reaches[i].partition->id)
			row++;
		if (row == pg_rows_count(rows))
			return fenced(err, reaches[i].partition, "its position row is gone");
		if (!check_fence_row(rows, row, span, reaches[i].partition, err) ||
		    !check_gap(&span->batch->messages[reaches[i].first], err))
			return false;
	}
	return true;
}

static void expired_answer(struct message *message)
{
	message->answer = (struct outcome){.code = OUTCOME_OUTCOME_EXPIRED, .processed_at_ms = clock_wall_ms()};
	outcome_fill_detail(&message->answer);
}

static bool not_this_topic(struct err *err, const struct message *message)
{
	message->partition->refused = true;
	err_set(err, VERDICT_REFUSE, "", "partition %d does not hold the messages that were processed",
		message->partition->number);
	err_detail(err, "the message at offset %" PRId64 " is another one: the topic was deleted and recreated", message->offset);
	return err_hint(err, "Restore the topic, or let this database forget it: `byunique replay adopt --forget --partition N`.");
}

/* What is not known to be published yet is kept for ever. */
static bool is_expired(const struct store *store, const struct message *message)
{
	return message->answer.processed_at_ms < clock_wall_ms() - store->outcome_retention_ms &&
	       message->offset < message->partition->published;
}

static bool recall_repeats(const struct store *store, const struct pg_rows *outcomes, const struct pg_rows *refusals,
			   const struct span *span, const struct reach *reach, struct err *err)
{
	struct memory memory;

	memory_begin(&memory, outcomes, refusals);
	for (uint32_t i = reach->first; i <= reach->last; i++) {
		struct message *message = &span->batch->messages[i];
		if (message->partition != reach->partition || message->offset >= reach->partition->next_offset)
			continue;
		message->state = MESSAGE_REPEATED;
		switch (memory_find(&memory, message)) {
		case MEMORY_SAME:
			memory_answer(&memory, message, &span->batch->arena);
			if (is_expired(store, message))
				expired_answer(message);
			break;
		case MEMORY_NONE: expired_answer(message); break;
		case MEMORY_OTHER: return not_this_topic(err, message);
		}
	}
	return true;
}

/* --- ids ---------------------------------------------------------------------------------------------------------------- */

/* A known id outranks whatever validate found. */
static void answer_suspect(const struct store *store, const struct suspect *suspect, struct message *message,
			   const struct pg_rows *blocks, const struct pg_rows *ineffective)
{
	int64_t oldest_ms = clock_wall_ms() - store->id_retention_ms;

	for (uint32_t b = 0; b < suspect->block_count; b++) {
		bool same;
		if (!block_knows(blocks, ineffective, suspect->blocks[b], oldest_ms, message, &same))
			continue;
		message->answer = (struct outcome){.code = same ? OUTCOME_DUPLICATE : OUTCOME_COMMAND_ID_REUSED};
		outcome_fill_detail(&message->answer);
		return;
	}
}

static void recall_ids(const struct store *store, const struct pg_rows *blocks, const struct pg_rows *ineffective,
		       const struct span *span, const struct suspects *suspects, const struct partition *partition)
{
	for (uint32_t s = 0; s < suspects->count; s++) {
		struct message *message = &span->batch->messages[suspects->list[s].message];
		if (message->partition == partition && message->state == MESSAGE_NEW)
			answer_suspect(store, &suspects->list[s], message, blocks, ineffective);
	}
}

/* A part of what the index lacks; *more: there may be another. */
static bool learn_part(struct store *store, struct partition *partition, struct arena *arena, int64_t oldest_ms, bool *more,
		       struct err *err)
{
	struct pg_rows *rows = NULL;
	struct pg_param params[] = {int4_param(partition->id, arena), int8_param(partition->ids_from, arena),
				    int8_param(partition->next_offset, arena), int8_param(oldest_ms, arena)};

	pg_pipeline_add(store->pg, &store->load_ids, params, 4);
	if (!pg_pipeline_run(store->pg, &rows, err))
		return false;
	int count = pg_rows_count(rows);
	for (int row = 0; row < count; row++)
		block_index(partition->ids, pg_rows_int(rows, row, 0), pg_rows_bytes(rows, row, 1));
	*more = count > 0;
	partition->ids_from = count > 0 ? pg_rows_int(rows, count - 1, 0) + 1 : partition->next_offset;
	pg_rows_free(rows);
	return true;
}

bool store_learn_ids(struct store *store, const struct span *span, struct err *err)
{
	int64_t oldest_ms = clock_wall_ms() - store->id_retention_ms;
	uint32_t count;
	const struct reach *reaches = span_reaches(span, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct partition *partition = reaches[i].partition;
		bool more = partition->ids_from < partition->next_offset;
		while (more)
			if (!learn_part(store, partition, &span->batch->arena, oldest_ms, &more, err))
				return false;
	}
	return true;
}

/* --- the trip ------------------------------------------------------------------------------------------------------------- */

void recall_reset(const struct span *span)
{
	for (uint32_t i = span->begin; i < span->end; i++) {
		struct message *message = &span->batch->messages[i];
		message->state = MESSAGE_NEW;
		message->same_as = NO_MESSAGE;
		message->answer = message->outcome;
	}
}

/* What was asked for each partition, in the pipeline's order. */
struct questions {
	struct reach *reaches;
	uint32_t count;
	bool *repeats, *blocks; /* for each reach */
	struct suspects suspects;
};

bool recall_expects_news(const struct span *span, const struct reach *reaches, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct partition *partition = reaches[i].partition;
		const struct message *first = &span->batch->messages[reaches[i].first];
		int64_t expected = partition_expected(partition);
		if (!partition->recalled || partition->uncertain_offset >= 0 || partition->ids_from < partition->next_offset ||
		    first->offset < expected || first->follows > expected)
			return false;
	}
	return find_suspects(span).count == 0;
}

static void ask(struct store *store, const struct span *span, struct questions *questions)
{
	struct arena *arena = &span->batch->arena;

	questions->reaches = span_reaches(span, &questions->count);
	questions->repeats = arena_zarray(arena, bool, questions->count);
	questions->blocks = arena_zarray(arena, bool, questions->count);
	questions->suspects = find_suspects(span);
	pg_pipeline_add(store->pg, &store->begin, NULL, 0);
	pg_pipeline_add(store->pg, &store->lock_catalogue, NULL, 0);
	ask_fence(store, questions->reaches, questions->count);
	pg_pipeline_add(store->pg, &store->state, NULL, 0);
	for (uint32_t i = 0; i < questions->count; i++) {
		const struct reach *reach = &questions->reaches[i];
		questions->repeats[i] = may_repeat(span, reach);
		if (questions->repeats[i])
			ask_repeats(store, span, reach);
		questions->blocks[i] = ask_blocks(store, span, &questions->suspects, reach->partition);
	}
}

static bool is_behind(const struct questions *questions)
{
	for (uint32_t i = 0; i < questions->count; i++)
		if (questions->reaches[i].partition->ids_from < questions->reaches[i].partition->next_offset)
			return true;
	return false;
}

static bool learn(struct store *store, const struct span *span, const struct questions *questions,
		  struct pg_rows *const *answers, int64_t *catalogue_version, bool *behind, struct err *err)
{
	enum { FENCE = 2, STATE = 3, PARTITIONS = 4 };
	struct pg_rows *const *next = answers + PARTITIONS;

	if (!check_fence(answers[FENCE], span, questions->reaches, questions->count, err))
		return false;
	*behind = is_behind(questions);
	*catalogue_version = pg_rows_int(answers[STATE], 0, 0);
	for (uint32_t i = 0; i < questions->count; i++) {
		const struct reach *reach = &questions->reaches[i];
		if (questions->repeats[i] && !recall_repeats(store, next[0], next[1], span, reach, err))
			return false;
		next += questions->repeats[i] ? 2 : 0;
		if (questions->blocks[i])
			recall_ids(store, next[0], next[1], span, &questions->suspects, reach->partition);
		next += questions->blocks[i] ? 2 : 0;
	}
	return true;
}

bool recall_span(struct store *store, const struct span *span, int64_t *catalogue_version, bool *behind, struct err *err)
{
	struct pg_rows *answers[PG_PIPELINE_MAX] = {NULL};
	struct questions questions;

	recall_reset(span);
	ask(store, span, &questions);
	if (!pg_pipeline_run(store->pg, answers, err))
		return false;
	bool ok = learn(store, span, &questions, answers, catalogue_version, behind, err);
	for (int i = 0; i < PG_PIPELINE_MAX && answers[i] != NULL; i++)
		pg_rows_free(answers[i]);
	if (!ok)
		pg_rollback(store->pg);
	return ok;
}
