/* A batch is made once and filled again and again: its array and its arena's chunks stay. */
#include "byunique/batch.h"

#include <stdlib.h>

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
	arena_transfer(&from->arena, &to->arena, message->raw);
}

static void make_room(struct batch *batch, uint32_t more)
{
	if (batch->count + more <= batch->capacity)
		return;
	batch->capacity = batch->count + more;
	batch->messages = xrealloc(batch->messages, sizeof(*batch->messages) * batch->capacity);
}

/* From the end, as what was attached last is found first. */
void batch_set_aside(struct batch *batch, struct batch *aside)
{
	uint32_t moved = 0, kept = 0;

	for (uint32_t i = 0; i < batch->count; i++)
		moved += is_undecided(&batch->messages[i]);
	make_room(aside, moved);
	aside->count += moved;
	for (uint32_t i = batch->count, place = aside->count; i-- > 0;)
		if (is_undecided(&batch->messages[i]))
			move(batch, &batch->messages[i], aside, &aside->messages[--place]);
	for (uint32_t i = 0; i < batch->count; i++)
		if (!is_undecided(&batch->messages[i]))
			batch->messages[kept++] = batch->messages[i];
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
