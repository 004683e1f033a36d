/* Memory with the lifetime of one batch (or one command of the command line): allocated piecemeal, freed at once.
 *
 * Chunks are kept over arena_clear(), so the steady state allocates nothing; but what an unusual batch took beyond that is
 * given back. Foreign resources (Kafka messages, a
 * PGresult) hang on the arena by a dispose callback, run in reverse order. Not thread-safe: an arena has one owner at a
 * time. Out of memory ends the process. */
#ifndef BYUNIQUE_ARENA_H
#define BYUNIQUE_ARENA_H

#include "byunique/err.h"
#include "byunique/slice.h"

enum { ARENA_KEPT_BYTES = 32 * 1024 * 1024, ARENA_ALIGNMENT = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* bytes in data */
	size_t used;
	_Alignas(ARENA_ALIGNMENT) char data[];
};
struct arena_disposal;

struct arena {
	struct arena_chunk *first;   /* all chunks, oldest first; owned */
	struct arena_chunk *current; /* where the next allocation is tried */
	struct arena_disposal *disposals;
	size_t used_bytes; /* handed out since the last clear */
};

void arena_init(struct arena *arena);
void arena_clear(struct arena *arena);	 /* run disposals, keep the chunks, but for what is beyond ARENA_KEPT_BYTES */
void arena_release(struct arena *arena); /* run disposals, free the chunks */

struct arena_chunk *arena_next_chunk(struct arena *arena, size_t size); /* with room for so much; for arena_alloc() */

/* Aligned to ARENA_ALIGNMENT, not cleared. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
	size = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
	struct arena_chunk *chunk = arena->current;
	if (chunk == NULL || chunk->size - chunk->used < size)
		chunk = arena_next_chunk(arena, size);
	void *memory = chunk->data + chunk->used;
	chunk->used += size;
	arena->used_bytes += size;
	return memory;
}

void *arena_zalloc(struct arena *arena, size_t size); /* cleared */
#define arena_array(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (size_t)(count)))
#define arena_zarray(arena, type, count) ((type *)arena_zalloc((arena), sizeof(type) * (size_t)(count)))

struct slice arena_copy(struct arena *arena, struct slice s); /* NUL-terminated; absent stays absent */
char *arena_cstr(struct arena *arena, struct slice s);
struct slice arena_printf(struct arena *arena, const char *fmt, ...) BYU_PRINTF(2, 3); /* NUL-terminated */

/* Scratch: what was allocated since the mark is free again. Nothing may have been attached in between. */
struct arena_mark {
	struct arena_chunk *chunk; /* NULL: nothing had been allocated */
	size_t used, used_bytes;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

void arena_attach(struct arena *arena, void (*dispose)(void *), void *resource);
/* What was attached to `from` is attached to `to` from now on. */
void arena_transfer(struct arena *from, struct arena *to, void *resource);

#endif
