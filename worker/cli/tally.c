/* Ids are kept as 64 bits of their hash, in a table with open addressing that is at most three quarters full. A result of
 * somebody else's command is taken for one of ours with a chance of one in 10^12 for a million commands. Rows with the
 * same id form a list, of which the table knows the first without an answer and the last: so a file that gives all its
 * rows one id costs no more than another.
 *
 * Answers differ little: a million rows have a dozen. Should a file bring it to more than 65,536 all the same, new ones
 * lose their texts. */
#include "cli/tally.h"

#include "cli/json_text.h"

#include <stdio.h>
#include <stdlib.h>

enum { NONE = UINT32_MAX, ANSWERS_MAX = 65536 };

struct row {
	uint64_t id;	 /* hash; 0: was refused */
	uint32_t answer; /* index into answers, or NONE */
	uint32_t next;	 /* row with the same id, or NONE */
};

struct slot {
	uint32_t first; /* without an answer; else the last one; NONE: the slot is free */
	uint32_t last;
};

struct known {
	struct answer answer; /* texts owned */
	uint64_t hash;
	int64_t count;
};

struct tally {
	struct row *rows;
	size_t row_count, row_room;
	struct slot *slots;
	size_t slot_count; /* a power of two */
	size_t used;
	int64_t missing, refused;
	struct known *answers;
	size_t answer_count, answer_room;
	uint32_t *answer_slots; /* by hash: index into answers, or NONE; a power of two, at most half full */
	size_t answer_slot_count;
};

static uint32_t *free_indexes(size_t count)
{
	uint32_t *indexes = xmalloc(count * sizeof(*indexes));
	memset(indexes, 0xFF, count * sizeof(*indexes));
	return indexes;
}

static struct slot *free_slots(size_t count)
{
	struct slot *slots = xmalloc(count * sizeof(*slots));
	memset(slots, 0xFF, count * sizeof(*slots));
	return slots;
}

struct tally *tally_new(void)
{
	struct tally *tally = xcalloc(1, sizeof(*tally));

	tally->slot_count = 1024;
	tally->slots = free_slots(tally->slot_count);
	tally->answer_slot_count = 64;
	tally->answer_slots = free_indexes(tally->answer_slot_count);
	return tally;
}

static void free_texts(struct answer *answer)
{
	free((char *)(uintptr_t)answer->code);
	free((char *)(uintptr_t)answer->attribute);
	free((char *)(uintptr_t)answer->detail);
}

void tally_free(struct tally *tally)
{
	if (tally == NULL)
		return;
	for (size_t i = 0; i < tally->answer_count; i++)
		free_texts(&tally->answers[i].answer);
	free(tally->answers);
	free(tally->answer_slots);
	free(tally->slots);
	free(tally->rows);
	free(tally);
}

/* --- answers that differ ------------------------------------------------------------------------------------------ */

static uint64_t hash_answer(const struct answer *answer)
{
	struct buf key = BUF_EMPTY;

	buf_printf(&key, "%d %d %d %s", (int)answer->status, answer->duplicate, answer->sent, answer->code);
	uint64_t hash = message_hash(buf_slice(&key), slice_cstr(answer->attribute));
	buf_clear(&key);
	buf_be64(&key, hash);
	hash = message_hash(buf_slice(&key), slice_cstr(answer->detail));
	buf_release(&key);
	return hash;
}

static uint32_t *answer_slot_of(const struct tally *tally, uint64_t hash)
{
	size_t at = hash & (tally->answer_slot_count - 1);

	while (tally->answer_slots[at] != NONE && tally->answers[tally->answer_slots[at]].hash != hash)
		at = (at + 1) & (tally->answer_slot_count - 1);
	return &tally->answer_slots[at];
}

static void grow_answers(struct tally *tally)
{
	free(tally->answer_slots);
	tally->answer_slot_count *= 2;
	tally->answer_slots = free_indexes(tally->answer_slot_count);
	for (size_t i = 0; i < tally->answer_count; i++)
		*answer_slot_of(tally, tally->answers[i].hash) = (uint32_t)i;
}

static void add_answer(struct tally *tally, const struct answer *answer, uint64_t hash)
{
	if (tally->answer_count == tally->answer_room) {
		tally->answer_room = tally->answer_room ? 2 * tally->answer_room : 16;
		tally->answers = xrealloc(tally->answers, tally->answer_room * sizeof(*tally->answers));
	}
	struct known *known = &tally->answers[tally->answer_count++];
	*known = (struct known){.answer = *answer, .hash = hash};
	known->answer.code = xstrdup(answer->code);
	known->answer.attribute = xstrdup(answer->attribute);
	known->answer.detail = xstrdup(answer->detail);
	if (2 * tally->answer_count > tally->answer_slot_count)
		grow_answers(tally);
}

/* The index of the answer, which is counted once more. */
static uint32_t intern(struct tally *tally, const struct answer *answer)
{
	struct answer shortened = *answer;
	uint64_t hash = hash_answer(answer);
	uint32_t *slot = answer_slot_of(tally, hash);

	if (*slot == NONE && tally->answer_count >= ANSWERS_MAX) {
		shortened.attribute = shortened.detail = "";
		hash = hash_answer(&shortened);
		slot = answer_slot_of(tally, hash);
	}
	uint32_t index = *slot;
	if (index == NONE) {
		index = *slot = (uint32_t)tally->answer_count;
		add_answer(tally, &shortened, hash);
	}
	tally->answers[index].count++;
	return index;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct slice command_id)
{
	uint64_t hash = message_hash(SLICE_NONE, command_id);
	return hash != 0 ? hash : 1;
}

static struct slot *slot_of(const struct tally *tally, uint64_t id)
{
	size_t at = id & (tally->slot_count - 1);

	while (tally->slots[at].first != NONE && tally->rows[tally->slots[at].first].id != id)
		at = (at + 1) & (tally->slot_count - 1);
	return &tally->slots[at];
}

static void grow(struct tally *tally)
{
	struct slot *old = tally->slots;
	size_t count = tally->slot_count;

	tally->slot_count *= 2;
	tally->slots = free_slots(tally->slot_count);
	for (size_t i = 0; i < count; i++)
		if (old[i].first != NONE)
			*slot_of(tally, tally->rows[old[i].first].id) = old[i];
	free(old);
}

static uint32_t add_row(struct tally *tally, uint64_t id, uint32_t answer)
{
	if (tally->row_count == tally->row_room) {
		if (tally->row_count >= NONE / 2)
			die("a file of more than two thousand million rows");
		tally->row_room = tally->row_room ? tally->row_room + tally->row_room / 4 : 1024;
		tally->rows = xrealloc(tally->rows, tally->row_room * sizeof(*tally->rows));
	}
	tally->rows[tally->row_count] = (struct row){id, answer, NONE};
	return (uint32_t)tally->row_count++;
}

void tally_expect(struct tally *tally, struct slice command_id)
{
	uint64_t id = hash_of(command_id);
	struct slot *slot = slot_of(tally, id);
	uint32_t row = add_row(tally, id, NONE);

	tally->missing++;
	tally->used += slot->first == NONE;
	if (slot->first == NONE)
		slot->first = row;
	else
		tally->rows[slot->last].next = row;
	slot->last = row;
	if (tally->rows[slot->first].answer != NONE)
		slot->first = row;
	if (4 * tally->used > 3 * tally->slot_count)
		grow(tally);
}

void tally_refuse(struct tally *tally, const struct answer *answer)
{
	struct answer refusal = *answer;

	refusal.sent = false;
	add_row(tally, 0, intern(tally, &refusal));
	tally->refused++;
}

static uint32_t intern_result(struct tally *tally, const struct result *result)
{
	struct arena arena;

	arena_init(&arena);
	const struct answer answer = {
		.status = result->status,
		.duplicate = result->duplicate,
		.sent = true,
		.code = result->code.base ? arena_cstr(&arena, result->code) : "",
		.attribute = result->attribute.base ? arena_cstr(&arena, result->attribute) : "",
		.detail = result->detail.base ? arena_cstr(&arena, result->detail) : "",
	};
	uint32_t index = intern(tally, &answer);
	arena_release(&arena);
	return index;
}

bool tally_take(struct tally *tally, const struct result *result)
{
	struct slot *slot = result->command_id.base != NULL ? slot_of(tally, hash_of(result->command_id)) : NULL;

	if (slot == NULL || slot->first == NONE)
		return false;
	struct row *row = &tally->rows[slot->first];
	bool is_missing = row->answer == NONE;
	if (!is_missing && tally->answers[row->answer].answer.status == 204)
		return false;
	if (!is_missing)
		tally->answers[row->answer].count--;
	row->answer = intern_result(tally, result);
	tally->missing -= is_missing;
	if (row->next != NONE)
		slot->first = row->next;
	return is_missing;
}

size_t tally_rows(const struct tally *tally)
{
	return tally->row_count;
}

const struct answer *tally_answer(const struct tally *tally, size_t row)
{
	uint32_t answer = tally->rows[row].answer;
	return answer == NONE ? NULL : &tally->answers[answer].answer;
}

int64_t tally_missing(const struct tally *tally)
{
	return tally->missing;
}

int64_t tally_refused(const struct tally *tally)
{
	return tally->refused;
}

bool tally_has_errors(const struct tally *tally)
{
	for (size_t i = 0; i < tally->answer_count; i++)
		if (tally->answers[i].count > 0 && tally->answers[i].answer.status != 204)
			return true;
	return false;
}

/* --- the summary -------------------------------------------------------------------------------------------------- */

static int compare_kinds(const struct answer *a, const struct answer *b)
{
	if (a->sent != b->sent)
		return a->sent ? -1 : 1;
	if (a->status != b->status)
		return a->status < b->status ? -1 : 1;
	if (a->duplicate != b->duplicate)
		return a->duplicate ? 1 : -1;
	return strcmp(a->code, b->code);
}

static int compare_known(const void *left, const void *right)
{
	const struct known *const *a = left, *const *b = right;
	return compare_kinds(&(*a)->answer, &(*b)->answer);
}

/* The answers in the order of their kinds, those that count nothing left out; to be freed. */
static const struct known **in_order(const struct tally *tally, size_t *count)
{
	const struct known **known = xcalloc(tally->answer_count + 1, sizeof(const struct known *));

	*count = 0;
	for (size_t i = 0; i < tally->answer_count; i++)
		if (tally->answers[i].count > 0)
			known[(*count)++] = &tally->answers[i];
	qsort(known, *count, sizeof(*known), compare_known);
	return known;
}

/* How many rows the kind has that begins with the first of `known`; *used answers belong to it. */
static int64_t count_kind(const struct known *const *known, size_t count, size_t *used)
{
	int64_t sum = 0;

	for (*used = 0; *used < count && compare_kinds(&known[*used]->answer, &known[0]->answer) == 0; ++*used)
		sum += known[*used]->count;
	return sum;
}

void tally_text(const struct tally *tally, struct buf *out)
{
	size_t count, used;
	const struct known **known = in_order(tally, &count);

	for (size_t i = 0; i < count; i += used) {
		const struct answer *kind = &known[i]->answer;
		const char *name = kind->code[0] ? kind->code : kind->duplicate ? "(duplicate)" : "";
		buf_printf(out, "%10lld  %d%s%s%s\n", (long long)count_kind(known + i, count - i, &used), kind->status,
			   name[0] ? " " : "", name, kind->sent ? "" : " (not sent)");
	}
	free(known);
}

void tally_print(const struct tally *tally)
{
	struct buf out = BUF_EMPTY;

	tally_text(tally, &out);
	if (tally_missing(tally) > 0)
		buf_printf(&out, "%10lld  no answer\n", (long long)tally_missing(tally));
	fwrite(buf_slice(&out).base, 1, out.len, stdout);
	buf_release(&out);
}

json_t *tally_json(const struct tally *tally)
{
	size_t count, used;
	const struct known **known = in_order(tally, &count);
	json_t *kinds = json_array();

	for (size_t i = 0; i < count; i += used) {
		const struct answer *kind = &known[i]->answer;
		json_t *json = json_pack("{s:i, s:o, s:b, s:I}", "status", kind->status, "code",
					 cstr_or_null(kind->code), "duplicate", (int)kind->duplicate,
					 "count", (json_int_t)count_kind(known + i, count - i, &used));
		if (!kind->sent)
			json_object_set_new(json, "sent", json_false());
		json_array_append_new(kinds, json);
	}
	free(known);
	return kinds;
}
