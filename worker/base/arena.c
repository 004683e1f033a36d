/* Chunks form a list; clearing rewinds to the first. A chunk is at least CHUNK_BYTES, so that a batch's
 * thousands of small pieces come from a handful of mallocs, all made during the first few batches. */
#include "byunique/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 256 * 1024 };

struct arena_disposal {
	struct arena_disposal *next;
	void (*dispose)(void *);
	void *resource;
};

void arena_init(struct arena *arena)
{
	*arena = (struct arena){0};
}

static void run_disposals(struct arena *arena)
{
	for (struct arena_disposal *d = arena->disposals; d != NULL; d = d->next)
		d->dispose(d->resource);
	arena->disposals = NULL;
}

static void free_chunks(struct arena_chunk *chunk)
{
	struct arena_chunk *next;

	for (; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
}

/* Those in front are kept, which are used first. */
static void trim(struct arena *arena)
{
	struct arena_chunk **link = &arena->first;

	for (size_t kept_bytes = 0; *link != NULL; link = &(*link)->next) {
		kept_bytes += (*link)->size;
		if (kept_bytes > ARENA_KEPT_BYTES)
			break;
	}
	free_chunks(*link);
	*link = NULL;
}

void arena_clear(struct arena *arena)
{
	run_disposals(arena);
	trim(arena);
	/* All of them: one that was too small for the first piece has been passed over empty. */
	for (struct arena_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next)
		chunk->used = 0;
	arena->current = arena->first;
	arena->used_bytes = 0;
}

void arena_release(struct arena *arena)
{
	run_disposals(arena);
	free_chunks(arena->first);
	arena_init(arena);
}

/* A chunk behind the current one; an unused one that is too small stays for later. */
struct arena_chunk *arena_next_chunk(struct arena *arena, size_t size)
{
	struct arena_chunk **link = arena->current ? &arena->current->next : &arena->first;

	if (*link == NULL || (*link)->size < size) {
		size_t data_size = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		struct arena_chunk *chunk = xmalloc(sizeof(*chunk) + data_size);
		*chunk = (struct arena_chunk){.next = *link, .size = data_size};
		*link = chunk;
	}
	arena->current = *link;
	return *link;
}

struct arena_mark arena_mark(const struct arena *arena)
{
	struct arena_chunk *chunk = arena->current;
	return (struct arena_mark){chunk, chunk ? chunk->used : 0, arena->used_bytes};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
	struct arena_chunk *chunk = mark.chunk ? mark.chunk : arena->first;

	while (chunk != arena->current) { /* what it was when the mark was made, or one behind */
		chunk = chunk->next;
		chunk->used = 0;
	}
	if (mark.chunk == NULL && arena->first != NULL)
		arena->first->used = 0;
	if (mark.chunk != NULL)
		mark.chunk->used = mark.used;
	arena->current = mark.chunk ? mark.chunk : arena->first;
	arena->used_bytes = mark.used_bytes;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	return memset(arena_alloc(arena, size), 0, size);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
	if (s.base == NULL)
		return SLICE_NONE;
	char *copy = arena_alloc(arena, s.len + 1);
	memcpy(copy, s.base, s.len);
	copy[s.len] = '\0';
	return slice_of(copy, s.len);
}

char *arena_cstr(struct arena *arena, struct slice s)
{
	return (char *)(uintptr_t)arena_copy(arena, s.base ? s : SLICE_LIT("")).base;
}

struct slice arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	ASSERT(len >= 0);
	char *text = arena_alloc(arena, (size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	return slice_of(text, (size_t)len);
}

void arena_attach(struct arena *arena, void (*dispose)(void *), void *resource)
{
	struct arena_disposal *disposal = arena_alloc(arena, sizeof(*disposal));
	*disposal = (struct arena_disposal){arena->disposals, dispose, resource};
	arena->disposals = disposal;
}

void arena_transfer(struct arena *from, struct arena *to, void *resource)
{
	for (struct arena_disposal **link = &from->disposals, *d; (d = *link) != NULL; link = &d->next) {
		if (d->resource != resource)
			continue;
		*link = d->next;
		arena_attach(to, d->dispose, resource);
		return;
	}
	die("a resource is not attached where it was taken from");
}
