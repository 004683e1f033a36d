/* A table with open addressing that is never more than half full; ids are kept as 64 bits of their hash, so one command
 * of a million is taken for another with a chance of one in 10^7. Results lie in their topic in any order, but for
 * those of one key: what is later is told by the message's offset, and for the same message by the time of the
 * decision. */
#include "cli/failures.h"

#include <stdlib.h>

uint64_t failure_id(int32_t partition, struct slice command_id, int64_t offset)
{
	struct uuid uuid;
	struct slice name = command_id.base == NULL	    ? slice_of(&offset, sizeof(offset))
			    : uuid_parse(command_id, &uuid) ? slice_of(uuid.bytes, sizeof(uuid.bytes))
							    : command_id;
	uint64_t hash = message_hash(slice_of(&partition, sizeof(partition)), name);
	return hash != 0 ? hash : 1;
}

static struct failure *place_of(const struct failures *failures, uint64_t id)
{
	size_t at = id & (failures->room - 1);

	while (failures->list[at].id != 0 && failures->list[at].id != id)
		at = (at + 1) & (failures->room - 1);
	return &failures->list[at];
}

static void grow(struct failures *failures)
{
	struct failures larger = {.room = failures->room ? 2 * failures->room : 1024, .count = failures->count};

	larger.list = xcalloc(larger.room, sizeof(*larger.list));
	for (size_t i = 0; i < failures->room; i++)
		if (failures->list[i].id != 0)
			*place_of(&larger, failures->list[i].id) = failures->list[i];
	free(failures->list);
	*failures = larger;
}

static bool is_later(const struct result *result, const struct failure *failure)
{
	if (result->source_offset != failure->offset)
		return result->source_offset > failure->offset;
	return result->processed_at_ms > failure->processed_at_ms;
}

static uint64_t id_of(const struct result *result)
{
	return failure_id(result->source_partition, result->command_id, result->source_offset);
}

void failures_enter(struct failures *failures, const struct result *result, bool matches)
{
	if (2 * failures->count >= failures->room)
		grow(failures);
	struct failure *failure = place_of(failures, id_of(result));
	if (failure->id != 0 && !is_later(result, failure))
		return;
	failures->count += failure->id == 0;
	*failure = (struct failure){
		.id = id_of(result),
		.offset = result->source_offset,
		.processed_at_ms = result->processed_at_ms,
		.partition = result->source_partition,
		.code = (uint8_t)outcome_by_name(result->code),
		.matches = matches,
	};
}

void failures_succeed(struct failures *failures, const struct result *result)
{
	if (failures->room == 0)
		return;
	struct failure *failure = place_of(failures, id_of(result));
	if (failure->id != 0 && is_later(result, failure))
		failure->superseded = true;
}

static int compare(const void *a, const void *b)
{
	const struct failure *one = a, *other = b;

	if (one->partition != other->partition)
		return one->partition < other->partition ? -1 : 1;
	return one->offset < other->offset ? -1 : one->offset > other->offset;
}

void failures_sort(struct failures *failures, int64_t *superseded)
{
	size_t count = 0;

	*superseded = 0;
	for (size_t i = 0; i < failures->room; i++) {
		struct failure failure = failures->list[i];
		if (failure.id == 0 || !failure.matches)
			continue;
		*superseded += failure.superseded;
		if (!failure.superseded)
			failures->list[count++] = failure;
	}
	failures->count = count;
	if (count > 0)
		qsort(failures->list, count, sizeof(*failures->list), compare);
}

const struct failure *failures_find(const struct failures *failures, int32_t partition, int64_t offset)
{
	const struct failure wanted = {.partition = partition, .offset = offset};

	if (failures->count == 0)
		return NULL;
	return bsearch(&wanted, failures->list, failures->count, sizeof(wanted), compare);
}

void failures_release(struct failures *failures)
{
	free(failures->list);
	*failures = (struct failures){0};
}
