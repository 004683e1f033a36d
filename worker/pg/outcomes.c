/* Rows are few and sorted, so they are searched by halves. */
#include "outcomes.h"

#include "byunique/id_index.h"

#include <endian.h>

enum { ENTRY_HASH_BYTES = 4 };

/* --- stored outcomes ------------------------------------------------------------------------------------------------------ */

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

void memory_begin(struct memory *memory, const struct pg_rows *outcomes, const struct pg_rows *refusals)
{
	*memory = (struct memory){.outcomes = outcomes, .refusals = refusals};
	enter_row(memory);
}

enum memory_says memory_find(struct memory *memory, const struct message *message)
{
	uint32_t expected = htole32((uint32_t)message->hash);

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
			return memcmp(hash.base, &expected, ENTRY_HASH_BYTES) == 0 ? MEMORY_SAME : MEMORY_OTHER;
	}
	return MEMORY_OTHER;
}

void memory_answer(struct memory *memory, struct message *message, struct arena *arena)
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

/* --- blocks of ids ---------------------------------------------------------------------------------------------------------- */

/* The row whose first column is this offset, or -1. */
static int find_row(const struct pg_rows *rows, int64_t offset)
{
	for (int low = 0, high = pg_rows_count(rows); low < high;) {
		int middle = low + (high - low) / 2;
		int64_t at = pg_rows_int(rows, middle, 0);
		if (at == offset)
			return middle;
		if (at < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* The id's entry in a block, NULL when it is not there. Within a block an id takes effect once. */
static const char *find_entry(struct slice ids, const struct uuid *id)
{
	for (; ids.len >= BLOCK_ENTRY_BYTES; ids.base += BLOCK_ENTRY_BYTES, ids.len -= BLOCK_ENTRY_BYTES)
		if (memcmp(ids.base, id->bytes, BLOCK_ID_BYTES) == 0)
			return ids.base;
	return NULL;
}

static bool took_effect(const char *entry, int64_t first_offset, const struct pg_rows *ineffective)
{
	uint32_t distance;

	memcpy(&distance, entry + BLOCK_ID_BYTES + BLOCK_CONTENT_BYTES, sizeof(distance));
	return find_row(ineffective, first_offset + le32toh(distance)) < 0;
}

bool block_knows(const struct pg_rows *blocks, const struct pg_rows *ineffective, int64_t block, int64_t oldest_ms,
		 const struct message *message, bool *same)
{
	enum { FIRST_OFFSET = 1, PROCESSED_AT, IDS };
	int row = find_row(blocks, block);

	if (row < 0 || pg_rows_int(blocks, row, PROCESSED_AT) < oldest_ms)
		return false;
	const char *entry = find_entry(pg_rows_bytes(blocks, row, IDS), &message->id);
	if (entry == NULL || !took_effect(entry, pg_rows_int(blocks, row, FIRST_OFFSET), ineffective))
		return false;
	*same = memcmp(entry + BLOCK_ID_BYTES, message->content.bytes, BLOCK_CONTENT_BYTES) == 0;
	return true;
}

void block_index(struct id_index *index, int64_t block, struct slice ids)
{
	for (; ids.len >= BLOCK_ENTRY_BYTES; ids.base += BLOCK_ENTRY_BYTES, ids.len -= BLOCK_ENTRY_BYTES) {
		struct uuid id;
		memcpy(id.bytes, ids.base, BLOCK_ID_BYTES);
		id_index_add(index, &id, block);
	}
}
