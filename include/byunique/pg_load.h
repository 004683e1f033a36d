/* load: records of an extension by COPY, all or nothing, in one transaction.
 *
 * The rows go into a temporary table; from there the missing profiles are made, and the records inserted or, where the
 * customer has one with the same unique attributes, brought up to the columns given: its other columns keep their
 * values. The catalogue's lock is held from open to commit, so the extension stays as it was read. */
#ifndef BYUNIQUE_PG_LOAD_H
#define BYUNIQUE_PG_LOAD_H

#include "byunique/cell.h"
#include "byunique/pg.h"

struct pg_load;
/* Begin the transaction and look the extension up, without case. Errors, besides the database's own: there is no such
 * extension, or it is not multi-valued (VERDICT_USAGE). `pg` stays the caller's. */
bool pg_load_open(struct pg_load **load, struct pg *pg, const char *name, struct err *err) BYU_MUST_CHECK;
const struct extension *pg_load_extension(const struct pg_load *load);
/* Which attributes each row gives: indexes into the extension's, all unique ones among them. */
bool pg_load_begin(struct pg_load *load, const uint16_t *attributes, size_t count, struct err *err) BYU_MUST_CHECK;
/* One row: its line in `file`, a valid customer id, a cell for each attribute in the order given to pg_load_begin(). */
bool pg_load_row(struct pg_load *load, uint64_t line, struct slice customer_id, const struct cell *cells,
		 struct err *err) BYU_MUST_CHECK;
/* Make records of the rows and commit; *rows tells how many. Two rows of one record are an error that names `file` and
 * their lines. */
bool pg_load_commit(struct pg_load *load, const char *file, int64_t *rows, struct err *err) BYU_MUST_CHECK;
void pg_load_close(struct pg_load *load); /* without a commit before, nothing was done; NULL is fine */

#endif
