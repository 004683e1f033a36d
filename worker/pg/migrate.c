/* Numbered migrations, each in its own transaction under one advisory lock, so that two `init` at once take turns.
 *
 * Workers are upgraded one by one, so a version has to let programs of the version before it go on: it adds, and leaves what
 * they use as it is; what nobody uses any more a later version takes away. How far that goes is noted in the database
 * (oldest_program), as an old program can't know it. */
#include "byunique/pg.h"

#include "internal.h"
#include "sql/statements.h"

#include <stdlib.h>

struct migration {
	const char *sql;
	int oldest_program; /* by the version that it knows: the oldest that goes on working beside this one */
};

static const struct migration migrations[] = {{sql_migration_1, 1}, {sql_migration_2, 1}};
enum { MIGRATIONS = sizeof(migrations) / sizeof(*migrations) };

/* For tests, a program may be of the version after the newest: its migration is in the environment. */
static const char *next_migration(void)
{
#ifdef BYUNIQUE_FAILPOINTS
	return getenv("BYUNIQUE_TEST_NEXT_MIGRATION");
#else
	return NULL;
#endif
}

/* The newest version of the database objects that this program knows. */
static int known_version(void)
{
	return MIGRATIONS + (next_migration() != NULL);
}

static struct migration migration_to(int version)
{
	return version <= MIGRATIONS ? migrations[version - 1] : (struct migration){next_migration(), MIGRATIONS};
}

static bool check_server(struct pg *pg, struct err *err)
{
	struct pg_rows *rows = NULL;
	if (!pg_query(pg, "SHOW server_encoding", NULL, 0, &rows, err))
		return false;
	struct slice encoding = pg_rows_get(rows, 0, 0);
	bool ok = slice_equal(encoding, SLICE_LIT("UTF8"));
	if (!ok) {
		err_set(err, VERDICT_STOP, "", "the database's encoding has to be UTF8");
		err_detail(err, "it is " SLICE_FMT, SLICE_ARG(encoding));
		err_hint(err, "Make another: createdb --encoding=UTF8 --template=template0 NAME");
	}
	pg_rows_free(rows);
	return ok;
}

/* Creates schema and version table unless they are there; the caller holds the lock. */
static bool prepare_schema(struct pg *pg, struct err *err)
{
	char *quoted = PQescapeIdentifier(pg->conn, pg->schema, strlen(pg->schema));
	char *sql = xasprintf("CREATE SCHEMA IF NOT EXISTS %s", quoted);
	struct pg_rows *rows = NULL;
	const char *params[] = {pg->schema};
	bool ok = pg_query(pg, "SELECT FROM pg_namespace WHERE nspname = $1", params, 1, &rows, err);

	/* IF NOT EXISTS asks for the right to create even when nothing is to be created. */
	ok = ok && (pg_rows_count(rows) > 0 || pg_script(pg, sql, err)) &&
	     pg_script(pg,
		       "CREATE TABLE IF NOT EXISTS migration (version integer PRIMARY KEY,"
		       " applied_at timestamptz NOT NULL DEFAULT now())",
		       err);
	pg_rows_free(rows);
	PQfreemem(quoted);
	free(sql);
	return ok;
}

static bool read_version(struct pg *pg, int *version, struct err *err)
{
	struct pg_rows *rows = NULL;
	if (!pg_query(pg, "SELECT coalesce(max(version), 0) FROM migration", NULL, 0, &rows, err))
		return false;
	*version = (int)pg_rows_int(rows, 0, 0);
	pg_rows_free(rows);
	return true;
}

static bool too_new(int version, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "the database objects are of version %d, this program knows %d", version,
		known_version());
	return err_hint(err, "Use a newer byunique.");
}

/* A version newer than the program knows may have been made for programs like it as well. */
static bool check_not_too_new(struct pg *pg, int version, struct err *err)
{
	char *known = xasprintf("%d", known_version());
	struct pg_rows *rows = NULL;
	bool ok = version <= known_version();

	if (!ok && pg_query(pg, "SELECT max(oldest_program) FROM migration WHERE version > $1::integer",
			    (const char *const[]){known}, 1, &rows, err))
		ok = pg_rows_int(rows, 0, 0) <= known_version() || too_new(version, err);
	pg_rows_free(rows);
	free(known);
	return ok;
}

/* The first version has no column yet for the oldest program. */
static bool note_version(struct pg *pg, int version, int oldest_program, struct err *err)
{
	char *sql = version == 1 ? xasprintf("INSERT INTO migration (version) VALUES (1)")
				 : xasprintf("INSERT INTO migration (version, oldest_program) VALUES (%d, %d)", version,
					     oldest_program);
	bool ok = pg_script(pg, sql, err);

	free(sql);
	return ok;
}

/* One version further, unless there is none; `arg` is where the version found goes. */
static bool migrate_once(struct pg *pg, void *arg, struct err *err)
{
	int *version = arg;
	bool ok = pg_script(pg, "SELECT pg_advisory_xact_lock(hashtext('byunique migration'))", err) &&
		  prepare_schema(pg, err) && read_version(pg, version, err) && check_not_too_new(pg, *version, err);

	if (!ok || *version >= known_version())
		return ok;
	struct migration next = migration_to(*version + 1);
	return pg_script(pg, next.sql, err) && note_version(pg, *version + 1, next.oldest_program, err);
}

bool pg_migrate(struct pg *pg, int *from_version, int *to_version, struct err *err)
{
	int version;

	if (!check_server(pg, err) || !pg_change(pg, migrate_once, &version, err))
		return false;
	*from_version = version;
	while (version < known_version())
		if (!pg_change(pg, migrate_once, &version, err))
			return false;
	*to_version = version;
	return true;
}

bool pg_check_version(struct pg *pg, struct err *err)
{
	int version;

	if (!read_version(pg, &version, err)) {
		if (err->verdict == VERDICT_STOP && strncmp(err->origin, "42P01", 5) == 0) {
			err_set(err, VERDICT_STOP, "42P01", "the database objects are missing from schema %s", pg->schema);
			err_hint(err, "Run `byunique init`.");
		}
		return false;
	}
	if (version < known_version()) {
		err_set(err, VERDICT_STOP, "", "the database objects are of version %d, %d is needed", version, known_version());
		return err_hint(err, "Run `byunique init`.");
	}
	return check_not_too_new(pg, version, err);
}
