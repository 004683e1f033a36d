/* Numbered migrations, each in its own transaction under one advisory lock, so that two `init` at once take turns. */
#include "byunique/pg.h"

#include "internal.h"
#include "sql/statements.h"

#include <stdlib.h>

static const char *const migrations[] = {sql_migration_1};
enum { MIGRATIONS = sizeof(migrations) / sizeof(*migrations) };

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
	err_set(err, VERDICT_STOP, "", "the database objects are of version %d, this program knows %d", version, MIGRATIONS);
	return err_hint(err, "Use a newer byunique.");
}

static bool apply_from(struct pg *pg, int version, struct err *err)
{
	for (; version < MIGRATIONS; version++) {
		char *done = xasprintf("INSERT INTO migration (version) VALUES (%d)", version + 1);
		bool ok = pg_script(pg, migrations[version], err) && pg_script(pg, done, err);
		free(done);
		if (!ok)
			return false;
	}
	return true;
}

bool pg_migrate(struct pg *pg, int *from_version, int *to_version, struct err *err)
{
	bool ok = check_server(pg, err) && pg_script(pg, "BEGIN", err) &&
		  pg_script(pg, "SELECT pg_advisory_xact_lock(hashtext('byunique migration'))", err) &&
		  prepare_schema(pg, err) && read_version(pg, from_version, err) &&
		  (*from_version <= MIGRATIONS || too_new(*from_version, err)) && apply_from(pg, *from_version, err) &&
		  pg_script(pg, "COMMIT", err);
	if (!ok)
		pg_rollback(pg);
	*to_version = MIGRATIONS;
	return ok;
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
	if (version > MIGRATIONS)
		return too_new(version, err);
	if (version < MIGRATIONS) {
		err_set(err, VERDICT_STOP, "", "the database objects are of version %d, %d is needed", version, MIGRATIONS);
		return err_hint(err, "Run `byunique init`.");
	}
	return true;
}
