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

void batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	batch_clear(batch);
	arena_release(&batch->arena);
	free(batch->messages);
	free(batch);
}
