/* A batch is made once and filled again and again: its array and its arena's chunks stay. */
#include "byunique/batch.h"

#include <stdlib.h>

bool partition_may_be_at(const struct partition *partition, int64_t next_offset)
{
	for (unsigned i = 0; i < partition->sent_count; i++)
		if (partition->sent_offsets[i] == next_offset)
			return true;
	return next_offset == partition->next_offset || next_offset == partition->uncertain_offset;
}

/* Those that stay keep their order. */
static void forget_sent(struct partition *partition, int64_t from, int64_t to)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < partition->sent_count; i++)
		if (partition->sent_offsets[i] < from || partition->sent_offsets[i] > to)
			partition->sent_offsets[kept++] = partition->sent_offsets[i];
	partition->sent_count = kept;
}

void partition_is_at(struct partition *partition, int64_t next_offset)
{
	partition->next_offset = next_offset;
	forget_sent(partition, 0, next_offset);
}

void partition_sent(struct partition *partition, int64_t next_offset)
{
	ASSERT(partition->sent_count < SENT_MAX && next_offset > partition_expected(partition));
	partition->sent_offsets[partition->sent_count++] = next_offset;
}

void partition_unsent(struct partition *partition, int64_t next_offset)
{
	forget_sent(partition, next_offset, next_offset);
}

struct batch *batch_new(uint32_t capacity)
{
	struct batch *batch = xcalloc(1, sizeof(*batch));
	batch->messages = xcalloc(capacity, sizeof(*batch->messages));
	batch->capacity = capacity;
	arena_init(&batch->arena);
	return batch;
}

void batch_clear(struct batch *batch)
{
	arena_clear(&batch->arena);
	catalogue_drop(batch->catalogue);
	batch->catalogue = NULL;
	batch->assignment = NULL;
	batch->next = NULL;
	batch->count = 0;
	batch->bytes = 0;
	batch->prepared = 0;
	batch->more_to_come = false;
}

static bool is_undecided(const struct message *message)
{
	return !message->decoded && message->outcome.code == OUTCOME_NONE;
}

static void move(struct batch *from, const struct message *message, struct batch *to, struct message *place)
{
	*place = *message;
	to->bytes += message_bytes(message);
	from->bytes -= message_bytes(message);
}

void batch_reserve(struct batch *batch, uint32_t capacity)
{
	if (capacity <= batch->capacity)
		return;
	batch->capacity = capacity;
	batch->messages = xrealloc(batch->messages, sizeof(*batch->messages) * batch->capacity);
}

/* What was attached last is found first. So it goes from the end, and then, to lie as it lay, from the beginning: messages
 * may be set aside again and again. */
static void transfer_bytes(struct batch *from, struct batch *to, struct message *messages, uint32_t count)
{
	struct arena between;

	arena_init(&between);
	for (uint32_t i = count; i-- > 0;)
		if (messages[i].raw != NULL)
			arena_transfer(&from->arena, &between, messages[i].raw);
	for (uint32_t i = 0; i < count; i++) {
		if (messages[i].raw != NULL) {
			arena_transfer(&between, &to->arena, messages[i].raw);
			continue;
		}
		messages[i].key = arena_copy(&to->arena, messages[i].key);
		messages[i].value = arena_copy(&to->arena, messages[i].value);
	}
	arena_release(&between);
}

void batch_set_aside(struct batch *batch, struct batch *aside)
{
	uint32_t moved = 0, kept = 0, before = aside->count;

	for (uint32_t i = 0; i < batch->count; i++)
		moved += is_undecided(&batch->messages[i]);
	batch_reserve(aside, aside->count + moved);
	for (uint32_t i = 0; i < batch->count; i++)
		if (is_undecided(&batch->messages[i]))
			move(batch, &batch->messages[i], aside, &aside->messages[aside->count++]);
		else
			batch->messages[kept++] = batch->messages[i];
	transfer_bytes(batch, aside, aside->messages + before, moved);
	batch->count = kept;
	aside->assignment = batch->assignment;
}

void batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	batch_clear(batch);
	arena_release(&batch->arena);
	free(batch->messages);
	free(batch);
}
