/* Least privilege. Roles belong to the whole server, not to a database, so their names are the operator's to choose, and
 * roles that are there are taken as they are: who may not create roles has them made by somebody who may. */
#include "byunique/log.h"
#include "byunique/pg.h"
#include "internal.h"
#include "sql/statements.h"

#include <stdlib.h>

static bool fail_create(const char *role, struct err *err)
{
	char detail[sizeof(err->detail)];

	if (strncmp(err->origin, "42501", 5) != 0)
		return false;
	memcpy(detail, err->detail, sizeof(detail));
	err_set(err, VERDICT_STOP, "42501", "can't create the role %s", role);
	err_detail(err, "%s", detail);
	return err_hint(err, "Let a role that may run CREATE ROLE %s NOLOGIN, then run `byunique init` again.", role);
}

static bool create_unless_there(struct pg *pg, const char *role, struct err *err)
{
	struct pg_rows *rows = NULL;

	if (!pg_query(pg, "SELECT FROM pg_roles WHERE rolname = $1", &role, 1, &rows, err))
		return false;
	bool there = pg_rows_count(rows) > 0;
	pg_rows_free(rows);
	if (there)
		return true;
	char *quoted = PQescapeIdentifier(pg->conn, role, strlen(role));
	char *sql = xasprintf("CREATE ROLE %s NOLOGIN", quoted ? quoted : "\"\"");
	bool ok = pg_script(pg, sql, err) || fail_create(role, err);
	PQfreemem(quoted);
	free(sql);
	return ok;
}

/* `setting` tells sql/grant_roles.sql the name. */
static bool make_role(struct pg *pg, const char *name, const char *suffix, const char *setting, struct err *err)
{
	char *role = xasprintf("%s_%s", name, suffix);
	const char *params[] = {setting, role};
	bool ok = create_unless_there(pg, role, err) &&
		  pg_query(pg, "SELECT set_config($1, $2, true)", params, 2, NULL, err);

	free(role);
	return ok;
}

bool pg_make_roles(struct pg *pg, const char *name, struct err *err)
{
	bool ok = pg_script(pg, "BEGIN", err) &&
		  pg_script(pg, "SELECT pg_advisory_xact_lock(hashtext('byunique migration'))", err) &&
		  make_role(pg, name, "worker", "byunique.worker", err) &&
		  make_role(pg, name, "reader", "byunique.reader", err) && pg_script(pg, sql_grant_roles, err) &&
		  pg_script(pg, "COMMIT", err);

	if (!ok)
		pg_rollback(pg);
	return ok;
}

static void list(const struct pg_rows *rows, struct buf *text)
{
	for (int row = 0; row < pg_rows_count(rows); row++)
		buf_printf(text, "%s" SLICE_FMT, row > 0 ? ", " : "", SLICE_ARG(pg_rows_get(rows, row, 0)));
}

bool pg_check_rights(struct pg *pg, bool refuse, struct err *err)
{
	static const char hint[] = "Let it be a member of a role that `byunique init` makes with postgres.roles, and of none else.";
	struct pg_rows *rows = NULL;
	struct buf text = BUF_EMPTY;

	if (!pg_query(pg, sql_needless_rights, NULL, 0, &rows, err))
		return false;
	list(rows, &text);
	bool ok = text.len == 0 || !refuse;
	if (!ok) {
		err_set(err, VERDICT_STOP, "", "the role %s may do more than a worker needs", PQuser(pg->conn));
		err_detail(err, "%s", text.base);
		err_hint(err, "%s", hint);
	} else if (text.len > 0) {
		log_event(LOG_WARN, "needless_rights", "role=%s detail=%s hint=%s", log_quotes(PQuser(pg->conn)),
			  log_quotes(text.base), log_quotes(hint));
	}
	buf_release(&text);
	pg_rows_free(rows);
	return ok;
}
