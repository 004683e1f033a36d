/* Which block may hold a command id: the ids of one commands partition that took effect, in memory.
 *
 * A block is an outcome row of the partition (see schemas/migrations), named by its last offset. The index tells where to
 * look, PostgreSQL what is true: a hit may be a stranger with the same 32 bits, or an id whose command was refused after
 * all, so the block is read before anything is decided. An id that is not found did not take effect. Eight bytes a
 * slot, between 3/8 and 3/4 of them in use: 11 to 21 bytes an id. Pure; one thread at a time. */
#ifndef BYUNIQUE_ID_INDEX_H
#define BYUNIQUE_ID_INDEX_H

#include "byunique/command.h"

struct id_index;
struct id_index *id_index_new(void);
void id_index_free(struct id_index *index); /* NULL is fine */

/* `block` is not lower than any before. */
void id_index_add(struct id_index *index, const struct uuid *id, int64_t block);

/* The blocks that may hold the id, newest first, into blocks[]; at most `room`. Returns their number. */
uint32_t id_index_find(const struct id_index *index, const struct uuid *id, int64_t *blocks, uint32_t room);

/* Blocks below this offset are gone. Their room is taken back when the index would grow. */
void id_index_forget(struct id_index *index, int64_t below);

#endif
