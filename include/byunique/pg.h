/* One connection to PostgreSQL. The only module that includes libpq-fe.h.
 *
 * After pg_open() the session has the project's schema first on its search_path, UTF-8, ISO dates, and the planner
 * settings that the worker's statements are written for (pg/session.sql). A handle belongs to one thread at a time. */
#ifndef BYUNIQUE_PG_H
#define BYUNIQUE_PG_H

#include "byunique/arena.h"
#include "byunique/buf.h"
#include "byunique/err.h"

struct pg;
struct config;

/* Connect as `postgres` and `postgres.password` (or its file, read again for each connection) say; the schema of
 * `postgres.schema` need not exist yet, `application` shows up as application_name. The configuration has to outlive it. Errors: VERDICT_RECONNECT when the server is away or not
 * accepting, VERDICT_STOP or VERDICT_USAGE otherwise (wrong password, unknown database, bad conninfo). */
bool pg_open(struct pg **pg, const struct config *config, const char *application, struct err *err) BYU_MUST_CHECK;
/* The same for a worker, which does not wait any longer once give_up() says so: pg_heed() (pg_pipeline.h) from the start. */
bool pg_open_heeding(struct pg **pg, const struct config *config, const char *application, bool (*give_up)(void),
		     struct err *err) BYU_MUST_CHECK;
void pg_close(struct pg *pg); /* NULL is fine */

/* --- for the command line: one statement or script at a time, text in, text out ------------------------------- */

struct pg_rows; /* an answer; freed by pg_rows_free() */
int pg_rows_count(const struct pg_rows *rows);
/* Text of a cell; absent for null; lives as long as the rows. */
struct slice pg_rows_get(const struct pg_rows *rows, int row, int column);
int64_t pg_rows_int(const struct pg_rows *rows, int row, int column); /* a null or odd cell is 0 */
void pg_rows_free(struct pg_rows *rows);			      /* NULL is fine */

/* Any number of statements without parameters; the answer is dropped. */
bool pg_script(struct pg *pg, const char *sql, struct err *err) BYU_MUST_CHECK;
/* End a transaction that went wrong, if one is open; whatever it says, the transaction is gone afterwards. */
void pg_rollback(struct pg *pg);
/* Did it fail because somebody else kept a lock for longer than lock_timeout? */
bool pg_lock_was_missing(const struct err *err);
/* One statement with text parameters (NULL: null). *rows may be NULL when the answer doesn't matter. */
bool pg_query(struct pg *pg, const char *sql, const char *const *params, int param_count, struct pg_rows **rows,
	      struct err *err) BYU_MUST_CHECK;
/* COPY … FROM STDIN: begin with the statement, then any number of puts, then the end; the copied number of rows. */
bool pg_copy_begin(struct pg *pg, const char *sql, struct err *err) BYU_MUST_CHECK;
bool pg_copy_put(struct pg *pg, const void *bytes, size_t len, struct err *err) BYU_MUST_CHECK;
bool pg_copy_end(struct pg *pg, int64_t *rows, struct err *err) BYU_MUST_CHECK;

/* --- the catalogue and the database objects (pg/catalogue.c, pg/migrate.c) -------------------------------------- */

struct catalogue;
struct extension;
bool pg_load_catalogue(struct pg *pg, struct catalogue **catalogue, struct err *err) BYU_MUST_CHECK;
/* The same inside a transaction of the caller's that holds the catalogue lock. */
bool pg_read_catalogue(struct pg *pg, struct catalogue **catalogue, struct err *err) BYU_MUST_CHECK;

/* What became of one extension. */
enum schema_change { SCHEMA_UNCHANGED, SCHEMA_CREATED, SCHEMA_ALTERED };
/* Create extensions, or bring those that exist up to the schemas given: attributes are added, lengths grow, mandatory
 * attributes become optional, defaults and spellings change. Refuses (VERDICT_USAGE, with the reason) what is
 * incompatible: another type, a smaller length, another unique list, a missing attribute, one made mandatory, a new
 * mandatory attribute without default. All or nothing, in one transaction, which waits for the batches under way and
 * keeps new ones waiting; where a lock is not to be had within a second, it lets them pass and is tried again, for five
 * minutes. changes[i] tells what became of extensions[i]. */
bool pg_apply_extensions(struct pg *pg, const struct extension *extensions, size_t count, enum schema_change *changes,
			 struct err *err) BYU_MUST_CHECK;

/* Create or upgrade the database objects: numbered migrations, safe to repeat, when two start at once, and while workers run:
 * no lock is waited for longer than a second at a time. *from_version, *to_version: 0: there was nothing. */
bool pg_migrate(struct pg *pg, int *from_version, int *to_version, struct err *err) BYU_MUST_CHECK;
/* Error with a hint to run `byunique init` when the objects are missing or of an older version, to use a newer program when
 * they are of a newer version that programs like this one can't work with. */
bool pg_check_version(struct pg *pg, struct err *err) BYU_MUST_CHECK;
/* The roles NAME_worker and NAME_reader, unless they are there, with the rights that workers need, and those who only look;
 * safe to repeat. The objects' owner does it, who needs the right to create roles, or somebody who did. */
bool pg_make_roles(struct pg *pg, const char *name, struct err *err) BYU_MUST_CHECK;
/* Has the session's role rights that no worker needs? A warning in the log (event needless_rights), or the error, if such a
 * role is to be refused. */
bool pg_check_rights(struct pg *pg, bool refuse, struct err *err) BYU_MUST_CHECK;
/* A warning in the log for each of the server's settings that weakens a COMMIT: event weak_setting. */
void pg_warn_weak_settings(struct pg *pg);

#endif
