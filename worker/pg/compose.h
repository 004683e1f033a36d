/* All composed SQL: the only place where names become part of a statement. Identifiers are quoted, values are only ever
 * parameters, defaults quoted as literals. Pure; golden tests pin the texts. */
#ifndef BYUNIQUE_PG_COMPOSE_H
#define BYUNIQUE_PG_COMPOSE_H

#include "byunique/buf.h"
#include "byunique/columns.h"

enum { MASK_BITS = 63 }; /* flags in one bigint of the mask of attributes present */

/* How many bigints the mask takes. */
static inline unsigned columns_masks(const struct columns *columns)
{
	return (columns_count(columns) + MASK_BITS - 1) / MASK_BITS;
}

/* The batch's statement for an extension: one UPDATE from arrays, which also stores a refusal for every command whose
 * record was not found, and returns these refusals (position id, offset, code). Without columns it only looks for the
 * records.
 *
 * Parameters are arrays, one element for each net change: customer ids, the unique attributes in their order, masks
 * (columns_masks() of them), the attributes of `columns` in ascending order, position ids, offsets; then, one element for
 * each command folded into a change: number of the change (from 1), customer id, position id, offset. */
void compose_update(const struct extension *extension, const struct columns *columns, struct buf *sql);
unsigned compose_update_params(const struct extension *extension, const struct columns *columns);

/* CREATE TABLE … of a new extension; ALTER TABLE … ADD COLUMN … of a new attribute. */
void compose_create_table(const struct extension *extension, struct buf *sql);
void compose_add_column(const struct extension *extension, const struct attribute *attribute, struct buf *sql);
/* ALTER TABLE … for a change of length, default or of mandatory to optional; nothing appended when all are the same. */
void compose_alter_column(const struct extension *extension, const struct attribute *was, const struct attribute *is,
			  struct buf *sql);

/* load: the temporary table that COPY fills, COPY itself, and the statements that make profiles and records of it.
 * `attributes` are the indexes of the file's columns, in the file's order. */
void compose_load_table(const struct extension *extension, struct buf *sql);
void compose_load_copy(const struct extension *extension, const uint16_t *attributes, size_t count, struct buf *sql);
/* The first record that the rows hold twice: its first and its last line. */
void compose_load_repeats(const struct extension *extension, struct buf *sql);
void compose_load_merge(const struct extension *extension, const uint16_t *attributes, size_t count, struct buf *sql);

#endif
