/* Open addressing with linear probing: one cache line for most look-ups. A slot holds 32 bits of the id's hash, from which
 * its place follows too, and the block's number; blocks are numbered in their order, so that a slot needs no offset.
 *
 * Strangers that share the 32 bits cost a look at their block: one look-up in 4,000 with a million ids in the index. */
#include "byunique/id_index.h"

#include "byunique/err.h"

#include <stdlib.h>

enum { SLOTS_MIN = 1024 };

struct slot {
	uint32_t mark;	 /* of the id's hash */
	uint32_t number; /* of the block, from 1; 0: the slot is free */
};

struct id_index {
	struct slot *slots; /* owned */
	uint64_t mask;	    /* number of slots, a power of two, less one */
	uint64_t used;
	int64_t *blocks; /* offsets by number - 1, ascending; owned */
	uint32_t block_count, block_capacity;
	int64_t live_from; /* blocks below are forgotten */
};

/* Producers choose the ids: version 7 begins with the time, and others may not be random at all. */
static uint32_t mark_of(const struct uuid *id)
{
	uint64_t high, low;

	memcpy(&high, id->bytes, sizeof(high));
	memcpy(&low, id->bytes + sizeof(high), sizeof(low));
	uint64_t hash = (high ^ (low << 32 | low >> 32)) * UINT64_C(0x9E3779B97F4A7C15);
	hash = (hash ^ hash >> 29 ^ low) * UINT64_C(0xBF58476D1CE4E5B9);
	return (uint32_t)(hash >> 32);
}

/* The mark is all that a slot knows of its id, so the place follows from it. */
static uint64_t home_of(const struct id_index *index, uint32_t mark)
{
	return mark * UINT64_C(0x9E3779B97F4A7C15) >> 20 & index->mask;
}

struct id_index *id_index_new(void)
{
	struct id_index *index = xcalloc(1, sizeof(*index));

	index->mask = SLOTS_MIN - 1;
	index->slots = xcalloc(SLOTS_MIN, sizeof(*index->slots));
	index->live_from = INT64_MIN;
	return index;
}

void id_index_free(struct id_index *index)
{
	if (index == NULL)
		return;
	free(index->slots);
	free(index->blocks);
	free(index);
}

static void put(struct id_index *index, uint32_t mark, uint32_t number)
{
	uint64_t at = home_of(index, mark);

	while (index->slots[at].number != 0)
		at = (at + 1) & index->mask;
	index->slots[at] = (struct slot){mark, number};
	index->used++;
}

/* How many blocks, from the oldest, are forgotten. */
static uint32_t count_dead(const struct id_index *index)
{
	uint32_t dead = 0;
	while (dead < index->block_count && index->blocks[dead] < index->live_from)
		dead++;
	return dead;
}

/* Ids of dead blocks go; when that is not enough there are more slots afterwards. */
static void rebuild(struct id_index *index)
{
	struct slot *before = index->slots;
	uint64_t slots = index->mask + 1, live = 0;
	uint32_t dead = count_dead(index);

	for (uint64_t i = 0; i < slots; i++)
		live += before[i].number > dead;
	index->mask = (live > slots / 2 ? 2 * slots : slots) - 1;
	index->slots = xcalloc(index->mask + 1, sizeof(*index->slots));
	index->used = 0;
	for (uint64_t i = 0; i < slots; i++)
		if (before[i].number > dead)
			put(index, before[i].mark, before[i].number - dead);
	free(before);
	index->block_count -= dead;
	if (dead > 0)
		memmove(index->blocks, index->blocks + dead, sizeof(*index->blocks) * index->block_count);
}

static uint32_t number_of(struct id_index *index, int64_t block)
{
	if (index->block_count > 0 && index->blocks[index->block_count - 1] == block)
		return index->block_count;
	ASSERT(index->block_count == 0 || block > index->blocks[index->block_count - 1]);
	if (index->block_count == index->block_capacity) {
		index->block_capacity = index->block_capacity ? 2 * index->block_capacity : 64;
		index->blocks = xrealloc(index->blocks, sizeof(*index->blocks) * index->block_capacity);
	}
	index->blocks[index->block_count++] = block;
	return index->block_count;
}

void id_index_add(struct id_index *index, const struct uuid *id, int64_t block)
{
	if (4 * (index->used + 1) > 3 * (index->mask + 1))
		rebuild(index);
	put(index, mark_of(id), number_of(index, block));
}

/* Keeps the list in order, newest first, and drops the oldest when there is no room. */
static void insert_block(int64_t block, int64_t *blocks, uint32_t *count, uint32_t room)
{
	uint32_t place = *count;

	while (place > 0 && blocks[place - 1] < block)
		place--;
	if (place == room || (place > 0 && blocks[place - 1] == block))
		return;
	if (*count < room)
		++*count;
	memmove(&blocks[place + 1], &blocks[place], sizeof(*blocks) * (*count - 1 - place));
	blocks[place] = block;
}

uint32_t id_index_find(const struct id_index *index, const struct uuid *id, int64_t *blocks, uint32_t room)
{
	uint32_t mark = mark_of(id), count = 0;

	for (uint64_t at = home_of(index, mark); index->slots[at].number != 0; at = (at + 1) & index->mask) {
		if (index->slots[at].mark != mark)
			continue;
		int64_t block = index->blocks[index->slots[at].number - 1];
		if (block >= index->live_from)
			insert_block(block, blocks, &count, room);
	}
	return count;
}

void id_index_forget(struct id_index *index, int64_t below)
{
	if (below > index->live_from)
		index->live_from = below;
}
