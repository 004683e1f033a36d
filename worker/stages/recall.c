/* First round trip of a batch. Order matters: the catalogue's lock and the position rows come before anything is read, so
 * that what is read (READ COMMITTED, a snapshot for each statement) is what the last owner of these partitions left. */
#include "store.h"

#include "byunique/clock.h"
#include "byunique/log.h"
#include "sql/statements.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

enum { ENTRY_HASH_BYTES = 4 };

struct store *store_new(struct pg *pg)
{
	struct store *store = xcalloc(1, sizeof(*store));
	store->pg = pg;
	store->begin.sql = sql_begin;
	store->lock_catalogue.sql = sql_lock_catalogue;
	store->fence.sql = sql_fence;
	store->state.sql = sql_state;
	store->recall_outcomes.sql = sql_recall_outcomes;
	store->recall_refusals.sql = sql_recall_refusals;
	store->known_ids.sql = sql_known_ids;
	store->store_refusals.sql = sql_store_refusals;
	store->store_repeats.sql = sql_store_repeats;
	store->store_outcomes.sql = sql_store_outcomes;
	store->move_positions.sql = sql_move_positions;
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

struct pg *store_pg(struct store *store)
{
	return store->pg;
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
		reaches[last].count++;
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
	return span->batch->messages[reach->first].offset < partition->next_offset || partition->uncertain_offset >= 0;
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

static bool ask_ids(struct store *store, const struct span *span)
{
	struct buf *positions = store_array(store, 1), *ids = store_array(store, 0);
	uint32_t count = 0;

	pg_array_begin(ids, PG_UUID);
	pg_array_begin(positions, PG_INT4);
	for (uint32_t i = span->begin; i < span->end; i++) {
		const struct message *message = &span->batch->messages[i];
		if (!may_be_known(message))
			continue;
		pg_array_bytes(ids, message->id.bytes, sizeof(message->id.bytes));
		pg_array_int4(positions, message->partition->id);
		count++;
	}
	if (count == 0)
		return false;
	struct pg_param params[] = {pg_array_param(ids), pg_array_param(positions)};
	pg_pipeline_add(store->pg, &store->known_ids, params, 2);
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
	if (next_offset != partition->next_offset && next_offset != partition->uncertain_offset)
		return fenced(err, partition, "its position was moved by somebody else");
	partition->next_offset = next_offset;
	partition->uncertain_offset = -1;
	return true;
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
		if (!check_fence_row(rows, row, span, reaches[i].partition, err))
			return false;
	}
	return true;
}

/* A cursor over the stored batches of a partition, moved on in step with the span's messages. */
struct memory {
	const struct pg_rows *outcomes, *refusals;
	int row, refusal;
	struct slice entries; /* of the row, what is left */
	int64_t offset;	      /* of the entry before */
};

static uint64_t read_varint(struct slice *bytes)
{
	uint64_t v = 0;
	for (unsigned shift = 0; bytes->len > 0 && shift < 64; shift += 7) {
		unsigned char byte = (unsigned char)*bytes->base++;
		bytes->len--;
		v |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			break;
	}
	return v;
}

static void enter_row(struct memory *memory)
{
	if (memory->row >= pg_rows_count(memory->outcomes))
		return;
	memory->entries = pg_rows_bytes(memory->outcomes, memory->row, 4);
	memory->offset = pg_rows_int(memory->outcomes, memory->row, 0);
}

enum memory_says { MEMORY_SAME, MEMORY_OTHER, MEMORY_NONE };

/* The entry for a message: same hash, another one (or none inside a stored batch), or no stored batch at all. */
static enum memory_says look_up(struct memory *memory, const struct message *message)
{
	while (memory->row < pg_rows_count(memory->outcomes) &&
	       pg_rows_int(memory->outcomes, memory->row, 1) < message->offset) {
		memory->row++;
		enter_row(memory);
	}
	if (memory->row == pg_rows_count(memory->outcomes) ||
	    pg_rows_int(memory->outcomes, memory->row, 0) > message->offset)
		return MEMORY_NONE;
	while (memory->entries.len > 0) {
		memory->offset += (int64_t)read_varint(&memory->entries);
		struct slice hash = slice_of(memory->entries.base, ENTRY_HASH_BYTES);
		if (memory->entries.len < ENTRY_HASH_BYTES || memory->offset > message->offset)
			return MEMORY_OTHER;
		memory->entries.base += ENTRY_HASH_BYTES;
		memory->entries.len -= ENTRY_HASH_BYTES;
		if (memory->offset == message->offset)
			return memcmp(hash.base, &(uint32_t){htole32((uint32_t)message->hash)}, ENTRY_HASH_BYTES) == 0
				       ? MEMORY_SAME
				       : MEMORY_OTHER;
	}
	return MEMORY_OTHER;
}

static void stored_answer(struct memory *memory, struct message *message, struct arena *arena)
{
	const struct pg_rows *refusals = memory->refusals;

	message->answer = (struct outcome){.code = OUTCOME_DONE};
	message->answer.processed_at_ms = pg_rows_int(memory->outcomes, memory->row, 2);
	while (memory->refusal < pg_rows_count(refusals) && pg_rows_int(refusals, memory->refusal, 0) < message->offset)
		memory->refusal++;
	if (memory->refusal == pg_rows_count(refusals) ||
	    pg_rows_int(refusals, memory->refusal, 0) != message->offset)
		return;
	message->answer.code = (enum outcome_code)pg_rows_int(refusals, memory->refusal, 1);
	message->answer.attribute = pg_text_unescape(pg_rows_bytes(refusals, memory->refusal, 2), arena);
	message->answer.detail = arena_copy(arena, pg_rows_bytes(refusals, memory->refusal, 3));
	outcome_fill_detail(&message->answer);
}

static void expired_answer(struct message *message)
{
	message->answer = (struct outcome){.code = OUTCOME_OUTCOME_EXPIRED, .processed_at_ms = clock_wall_ms()};
	outcome_fill_detail(&message->answer);
}

static bool not_this_topic(struct err *err, const struct message *message)
{
	err_set(err, VERDICT_REFUSE, "", "partition %d does not hold the messages that were processed",
		message->partition->number);
	err_detail(err, "the message at offset %" PRId64 " is another one: the topic was deleted and recreated", message->offset);
	return err_hint(err, "Restore the topic, or let this database forget it: see the README on recovery.");
}

static bool recall_repeats(const struct pg_rows *outcomes, const struct pg_rows *refusals, const struct span *span,
			   const struct reach *reach, struct err *err)
{
	struct memory memory = {.outcomes = outcomes, .refusals = refusals};

	enter_row(&memory);
	for (uint32_t i = reach->first; i <= reach->last; i++) {
		struct message *message = &span->batch->messages[i];
		if (message->partition != reach->partition || message->offset >= reach->partition->next_offset)
			continue;
		message->state = MESSAGE_REPEATED;
		switch (look_up(&memory, message)) {
		case MEMORY_SAME: stored_answer(&memory, message, &span->batch->arena); break;
		case MEMORY_NONE: expired_answer(message); break;
		case MEMORY_OTHER: return not_this_topic(err, message);
		}
	}
	return true;
}

/* A known id outranks whatever validate found. The answer's row i is the i-th message that was asked for: `asked`. */
static void recall_ids(const struct pg_rows *rows, const struct span *span, const uint32_t *asked)
{
	for (int row = 0; row < pg_rows_count(rows); row++) {
		struct message *message = &span->batch->messages[asked[pg_rows_int(rows, row, 0) - 1]];
		struct slice content = pg_rows_bytes(rows, row, 1);
		bool same = content.len == sizeof(message->content.bytes) &&
			    memcmp(content.base, message->content.bytes, content.len) == 0;
		if (message->state == MESSAGE_REPEATED)
			continue;
		message->answer = (struct outcome){.code = same ? OUTCOME_DUPLICATE : OUTCOME_COMMAND_ID_REUSED};
		outcome_fill_detail(&message->answer);
	}
}

static uint32_t *asked_ids(const struct span *span)
{
	uint32_t *asked = arena_array(&span->batch->arena, uint32_t, span->end - span->begin), count = 0;
	for (uint32_t i = span->begin; i < span->end; i++)
		if (may_be_known(&span->batch->messages[i]))
			asked[count++] = i;
	return asked;
}

static void reset_answers(const struct span *span)
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
	bool *repeats; /* for each reach */
	uint32_t *asked;
	bool ids;
};

static void ask(struct store *store, const struct span *span, struct questions *questions)
{
	questions->reaches = span_reaches(span, &questions->count);
	questions->repeats = arena_zarray(&span->batch->arena, bool, questions->count);
	questions->asked = asked_ids(span);
	pg_pipeline_add(store->pg, &store->begin, NULL, 0);
	pg_pipeline_add(store->pg, &store->lock_catalogue, NULL, 0);
	ask_fence(store, questions->reaches, questions->count);
	pg_pipeline_add(store->pg, &store->state, NULL, 0);
	for (uint32_t i = 0; i < questions->count; i++) {
		questions->repeats[i] = may_repeat(span, &questions->reaches[i]);
		if (questions->repeats[i])
			ask_repeats(store, span, &questions->reaches[i]);
	}
	questions->ids = ask_ids(store, span);
}

static bool learn(struct store *store, const struct span *span, const struct questions *questions,
		  struct pg_rows *const *answers, int64_t *catalogue_version, struct err *err)
{
	enum { FENCE = 2, STATE = 3, REPEATS = 4 };
	int next = REPEATS;

	if (!check_fence(answers[FENCE], span, questions->reaches, questions->count, err))
		return false;
	*catalogue_version = pg_rows_int(answers[STATE], 0, 0);
	store->id_generation = (int32_t)pg_rows_int(answers[STATE], 0, 1);
	for (uint32_t i = 0; i < questions->count; i++) {
		if (!questions->repeats[i])
			continue;
		if (!recall_repeats(answers[next], answers[next + 1], span, &questions->reaches[i], err))
			return false;
		next += 2;
	}
	if (questions->ids)
		recall_ids(answers[next], span, questions->asked);
	return true;
}

bool recall_span(struct store *store, const struct span *span, int64_t *catalogue_version, struct err *err)
{
	struct pg_rows *answers[PG_PIPELINE_MAX] = {NULL};
	struct questions questions;

	reset_answers(span);
	ask(store, span, &questions);
	if (!pg_pipeline_run(store->pg, answers, err))
		return false;
	bool ok = learn(store, span, &questions, answers, catalogue_version, err);
	for (int i = 0; i < PG_PIPELINE_MAX && answers[i] != NULL; i++)
		pg_rows_free(answers[i]);
	if (!ok)
		pg_rollback(store->pg);
	return ok;
}
