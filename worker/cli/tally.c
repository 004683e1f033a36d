/* Ids are kept as 64 bits of their hash, in a table with open addressing that is never more than half full. A result of
 * somebody else's command is taken for one of ours with a chance of one in 10^12 for a million commands. */
#include "cli/tally.h"

#include <stdio.h>
#include <stdlib.h>

struct slot {
	uint64_t id; /* hash; 0: free */
	uint32_t missing;
};

struct kind {
	int32_t status;
	char code[64];
	bool duplicate;
	int64_t count;
};

struct tally {
	struct slot *slots;
	size_t slot_count; /* a power of two */
	size_t used;
	int64_t missing;
	struct kind *kinds; /* in the order of kind_compare() */
	size_t kind_count;
};

struct tally *tally_new(void)
{
	struct tally *tally = xcalloc(1, sizeof(*tally));

	tally->slot_count = 1024;
	tally->slots = xcalloc(tally->slot_count, sizeof(*tally->slots));
	return tally;
}

void tally_free(struct tally *tally)
{
	if (tally == NULL)
		return;
	free(tally->slots);
	free(tally->kinds);
	free(tally);
}

/* --- ids ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct slice command_id)
{
	uint64_t hash = message_hash(SLICE_NONE, command_id);
	return hash != 0 ? hash : 1;
}

static struct slot *slot_of(const struct tally *tally, uint64_t id)
{
	size_t at = id & (tally->slot_count - 1);

	while (tally->slots[at].id != 0 && tally->slots[at].id != id)
		at = (at + 1) & (tally->slot_count - 1);
	return &tally->slots[at];
}

static void grow(struct tally *tally)
{
	struct slot *old = tally->slots;
	size_t count = tally->slot_count;

	tally->slot_count *= 2;
	tally->slots = xcalloc(tally->slot_count, sizeof(*tally->slots));
	for (size_t i = 0; i < count; i++)
		if (old[i].id != 0)
			*slot_of(tally, old[i].id) = old[i];
	free(old);
}

void tally_expect(struct tally *tally, struct slice command_id)
{
	uint64_t id = hash_of(command_id);
	struct slot *slot = slot_of(tally, id);

	tally->missing++;
	tally->used += slot->id == 0;
	slot->id = id;
	slot->missing++;
	if (2 * tally->used > tally->slot_count)
		grow(tally);
}

/* --- kinds of answers --------------------------------------------------------------------------------------------- */

static int kind_compare(const struct kind *a, const struct kind *b)
{
	if (a->status != b->status)
		return a->status < b->status ? -1 : 1;
	if (a->duplicate != b->duplicate)
		return a->duplicate ? 1 : -1;
	return strcmp(a->code, b->code);
}

static void count_kind(struct tally *tally, const struct kind *kind)
{
	size_t at = 0;

	while (at < tally->kind_count && kind_compare(&tally->kinds[at], kind) < 0)
		at++;
	if (at == tally->kind_count || kind_compare(&tally->kinds[at], kind) != 0) {
		tally->kinds = xrealloc(tally->kinds, (tally->kind_count + 1) * sizeof(*kind));
		memmove(&tally->kinds[at + 1], &tally->kinds[at], (tally->kind_count - at) * sizeof(*kind));
		tally->kinds[at] = *kind;
		tally->kind_count++;
	}
	tally->kinds[at].count++;
}

bool tally_take(struct tally *tally, const struct result *result)
{
	struct slot *slot = result->command_id.base != NULL ? slot_of(tally, hash_of(result->command_id)) : NULL;

	if (slot == NULL || slot->missing == 0)
		return false;
	slot->missing--;
	tally->missing--;
	struct kind kind = {.status = result->status, .duplicate = result->duplicate};
	snprintf(kind.code, sizeof(kind.code), SLICE_FMT, SLICE_ARG(result->code));
	count_kind(tally, &kind);
	return true;
}

int64_t tally_missing(const struct tally *tally)
{
	return tally->missing;
}

bool tally_has_errors(const struct tally *tally)
{
	return tally->kind_count > 0 && tally->kinds[tally->kind_count - 1].status != 204;
}

/* --- the summary -------------------------------------------------------------------------------------------------- */

void tally_text(const struct tally *tally, struct buf *out)
{
	for (size_t i = 0; i < tally->kind_count; i++) {
		const struct kind *kind = &tally->kinds[i];
		const char *name = kind->code[0] ? kind->code : kind->duplicate ? "(duplicate)" : "";
		buf_printf(out, "%10lld  %d%s%s\n", (long long)kind->count, kind->status, name[0] ? " " : "", name);
	}
}

void tally_json(const struct tally *tally, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < tally->kind_count; i++) {
		const struct kind *kind = &tally->kinds[i];
		buf_printf(out, "%s{\"status\":%d,\"code\":%s%s%s,\"duplicate\":%s,\"count\":%lld}", i ? "," : "",
			   kind->status, kind->code[0] ? "\"" : "", kind->code[0] ? kind->code : "null",
			   kind->code[0] ? "\"" : "", kind->duplicate ? "true" : "false", (long long)kind->count);
	}
	buf_addc(out, ']');
}
