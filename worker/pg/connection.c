/* Opening and re-opening a session. What a failed connect means is told by SQLSTATE where the server gave one; libpq 15
 * does not hand it out for a connection that failed, so the server's words decide between "away" and "refused". */
#include "internal.h"

#include "sql/statements.h"

#include <stdlib.h>

struct startup_failure {
	const char *words; /* in the server's or libpq's message, in English: lc_messages of the server may differ */
	enum verdict verdict;
	const char *hint;
};

static const struct startup_failure startup_failures[] = {
	{"password authentication failed", VERDICT_STOP, "Check user and password in `postgres`."},
	{"no password supplied", VERDICT_STOP, "Give a password in `postgres`, PGPASSWORD or a .pgpass file."},
	{"authentication failed", VERDICT_STOP, "Check the server's pg_hba.conf and `postgres`."},
	{"no pg_hba.conf entry", VERDICT_STOP, "Check the server's pg_hba.conf."},
	{"does not exist", VERDICT_STOP, "Check user and database in `postgres`."},
	{"certificate", VERDICT_STOP, "Check the TLS settings in `postgres`."},
	{"is not permitted to log in", VERDICT_STOP, "Check user in `postgres`."},
	{"permission denied for database", VERDICT_STOP, "Grant CONNECT on the database to this role."},
};

bool pg_connection_error(const PGconn *conn, const char *context, struct err *err)
{
	const char *message = conn != NULL ? PQerrorMessage(conn) : "out of memory";

	err_set(err, VERDICT_RECONNECT, "", "%s", context);
	err_detail(err, "%s", message);
	for (size_t i = 0; i < sizeof(startup_failures) / sizeof(*startup_failures); i++) {
		/* A missing socket "does not exist" too, and comes back when the server does. */
		if (strstr(message, startup_failures[i].words) == NULL || strstr(message, "No such file") != NULL)
			continue;
		err->verdict = startup_failures[i].verdict;
		return err_hint(err, "%s", startup_failures[i].hint);
	}
	return err_hint(err, "Is the server running, and is `postgres` right?");
}

/* libpq's own messages about a bad string may quote it, password included: only the place of the fault is told. */
static bool check_conninfo(const char *conninfo, struct err *err)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	if (options != NULL) {
		PQconninfoFree(options);
		return true;
	}
	PQfreemem(message);
	err_set(err, VERDICT_USAGE, "", "postgres is not a valid libpq connection string");
	return err_hint(err, "Write it like: host=db.example dbname=crm user=byunique, or postgresql://byunique@db.example/crm");
}

static bool set_up_session(struct pg *pg, struct err *err)
{
	char *quoted = PQescapeIdentifier(pg->conn, pg->schema, strlen(pg->schema));
	char *sql = xasprintf("SET search_path = %s; SET client_min_messages = warning; SET datestyle = 'ISO, YMD';"
			      "SET timezone = 'UTC'; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;",
			      quoted ? quoted : "\"\"");
	bool ok = pg_script(pg, sql, err) && (!pg->is_worker || pg_script(pg, sql_session, err));
	PQfreemem(quoted);
	free(sql);
	return ok;
}

static void drop_notice(void *unused, const PGresult *result)
{
	(void)unused;
	(void)result;
}

PGconn *pg_connect_raw(const struct pg *pg)
{
	/* Of two values for a key the later wins: what the connection string says itself outranks ours. */
	static const char *const keys[] = {"fallback_application_name", "connect_timeout", "keepalives_idle",
					   "keepalives_interval", "keepalives_count", "tcp_user_timeout", "dbname", NULL};
	const char *values[] = {pg->application, "10", "10", "5", "3", "30000", pg->conninfo, NULL};

	return PQconnectdbParams(keys, values, 1);
}

static bool connect_session(struct pg *pg, struct err *err)
{
	enum { SETUP_LIMIT_MS = 10000 };

	pg->epoch++;
	pg->queued = 0;
	pg->is_useless = false;
	buf_clear(&pg->stale);
	pg->conn = pg_connect_raw(pg);
	if (PQstatus(pg->conn) != CONNECTION_OK)
		return pg_connection_error(pg->conn, "can't connect to PostgreSQL", err);
	PQsetNoticeReceiver(pg->conn, drop_notice, NULL);
	if (PQserverVersion(pg->conn) < 130000)
		return err_set(err, VERDICT_STOP, "", "PostgreSQL 13 or newer is needed, this server is %d",
			       PQserverVersion(pg->conn) / 10000);
	pg_limit(pg, SETUP_LIMIT_MS); /* nobody waits for a server that takes connections and leaves it at that */
	bool ok = pg_refuse_shared_sessions(pg, err) && set_up_session(pg, err);
	pg_limit(pg, 0);
	return ok;
}

bool pg_open(struct pg **out, const char *conninfo, const char *schema, const char *application, struct err *err)
{
	if (!check_conninfo(conninfo, err))
		return false;
	struct pg *pg = xcalloc(1, sizeof(*pg));
	pg->conninfo = xstrdup(conninfo);
	pg->schema = xstrdup(schema);
	pg->application = xstrdup(application);
	if (!connect_session(pg, err)) {
		pg_close(pg);
		return false;
	}
	*out = pg;
	return true;
}

void pg_close(struct pg *pg)
{
	if (pg == NULL)
		return;
	PQfinish(pg->conn);
	buf_release(&pg->stale);
	free(pg->conninfo);
	free(pg->schema);
	free(pg->application);
	free(pg);
}

bool pg_reconnect(struct pg *pg, struct err *err)
{
	PQfinish(pg->conn);
	pg->interrupted = false;
	return connect_session(pg, err);
}

bool pg_worker_session(struct pg *pg, struct err *err)
{
	pg->is_worker = true;
	return pg_script(pg, sql_session, err);
}

bool pg_deallocate(struct pg *pg, struct err *err)
{
	pg->epoch++; /* every statement looks unprepared now */
	buf_clear(&pg->stale);
	return pg_script(pg, "DEALLOCATE ALL", err);
}

bool pg_alive(const struct pg *pg)
{
	return PQstatus(pg->conn) == CONNECTION_OK && !pg->is_useless && !pg->interrupted;
}
