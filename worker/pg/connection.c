/* Opening and re-opening a session. What a failed connect means is told by SQLSTATE where the server gave one; libpq 15
 * does not hand it out for a connection that failed, so the server's words decide between "away" and "refused".
 *
 * A worker's connections are made by a thread of their own, which is left to itself when nobody wants to wait any
 * longer. Rejected: PQconnectPoll(). It looks names up without an end, and it knows no connect_timeout, so of several
 * hosts one that is silent would keep all others from being tried. */
#include "internal.h"

#include "byunique/clock.h"
#include "byunique/process.h"
#include "byunique/secret.h"
#include "sql/statements.h"

#include <pthread.h>
#include <stdlib.h>

struct startup_failure {
	const char *words; /* in the server's or libpq's message, in English: lc_messages of the server may differ */
	enum verdict verdict;
	const char *hint;
};

static const struct startup_failure startup_failures[] = {
	{"password authentication failed", VERDICT_STOP, "Check user and password in `postgres`."},
	{"no password supplied", VERDICT_STOP, "Give a password in `postgres.password.file`, PGPASSWORD or a .pgpass file."},
	{"authentication failed", VERDICT_STOP, "Check the server's pg_hba.conf and `postgres`."},
	{"no pg_hba.conf entry", VERDICT_STOP, "Check the server's pg_hba.conf."},
	{"pg_hba.conf rejects connection", VERDICT_STOP, "Check sslmode in `postgres`, and the server's pg_hba.conf."},
	{"certificate verify failed", VERDICT_STOP,
	 "sslrootcert in `postgres` has to name the authority that signed the server's certificate, which must not have"
	 " expired: openssl x509 -noout -dates -issuer."},
	{"does not match host name", VERDICT_STOP, "Connect by the name that the server's certificate is for."},
	{"certificate", VERDICT_STOP, "Check the TLS settings in `postgres`: sslmode, sslrootcert, sslcert, sslkey."},
	{"private key file", VERDICT_STOP, "Check sslkey in `postgres`: the file has to be private."},
	{"alert unknown ca", VERDICT_STOP, "The server does not trust who signed the certificate of sslcert in `postgres`."},
	{"does not support SSL", VERDICT_STOP, "Check sslmode in `postgres`, and the server's `ssl`."},
	{"sslmode value", VERDICT_STOP, "Check sslmode in `postgres`."},
	{"does not exist", VERDICT_STOP, "Check user and database in `postgres`."},
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
		if (strstr(message, startup_failures[i].words) == NULL ||
		    (strstr(message, "server on socket") != NULL && strstr(message, "No such file") != NULL))
			continue;
		err->verdict = startup_failures[i].verdict;
		return err_hint(err, "%s", startup_failures[i].hint);
	}
	return err_hint(err, "Is the server running, and is `postgres` right?");
}

static bool set_up_session(struct pg *pg, struct err *err)
{
	char *quoted = PQescapeIdentifier(pg->conn, pg->schema, strlen(pg->schema));
	char *sql =
		xasprintf("SET search_path = %s; SET client_min_messages = warning; SET datestyle = 'ISO, YMD';"
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

static PGconn *connect_now(const char *conninfo, const char *password, const char *application)
{
	/* Of two values for a key the later wins: what the connection string says itself outranks ours. */
	static const char *const keys[] = {"fallback_application_name", "connect_timeout", "keepalives_idle",
					   "keepalives_interval", "keepalives_count", "tcp_user_timeout", "dbname",
					   "password", NULL};
	const char *values[] = {application, "10", "10", "5", "3", "30000", conninfo, password[0] != '\0' ? password : NULL,
				NULL};

	return PQconnectdbParams(keys, values, 1);
}

/* One connect, under way in its thread. Who comes last, the thread or who waits for it, frees it. */
struct attempt {
	pthread_mutex_t turn;
	pthread_cond_t ended;
	char *conninfo, *password, *application; /* owned */
	PGconn *conn;		      /* once it is done; NULL when it was taken */
	bool done, left;
};

static void attempt_free(struct attempt *attempt)
{
	PQfinish(attempt->conn);
	pthread_cond_destroy(&attempt->ended);
	pthread_mutex_destroy(&attempt->turn);
	free(attempt->conninfo);
	free(attempt->password);
	free(attempt->application);
	free(attempt);
}

static void *attempt_main(void *context)
{
	struct attempt *attempt = context;
	PGconn *conn = connect_now(attempt->conninfo, attempt->password, attempt->application);

	pthread_mutex_lock(&attempt->turn);
	attempt->conn = conn;
	attempt->done = true;
	bool left = attempt->left;
	pthread_cond_signal(&attempt->ended);
	pthread_mutex_unlock(&attempt->turn);
	if (left) {
		attempt_free(attempt);
		process_thread_ended();
	}
	return NULL;
}

/* Empty: none but what `postgres` or libpq's environment gives. */
static const char *password_of(const struct pg *pg)
{
	return pg->password.len > 0 ? pg->password.base : "";
}

static struct attempt *attempt_new(const struct pg *pg)
{
	struct attempt *attempt = xcalloc(1, sizeof(*attempt));
	pthread_t thread;

	pthread_mutex_init(&attempt->turn, NULL);
	clock_cond_init(&attempt->ended);
	attempt->conninfo = xstrdup(pg->config->postgres);
	attempt->password = xstrdup(password_of(pg));
	attempt->application = xstrdup(pg->application);
	if (pthread_create(&thread, NULL, attempt_main, attempt) != 0)
		die("can't create a thread");
	pthread_detach(thread);
	return attempt;
}

static void wait_a_moment(struct attempt *attempt)
{
	enum { WAKE_MS = 100 };
	struct timespec until = clock_deadline(WAKE_MS);

	pthread_cond_timedwait(&attempt->ended, &attempt->turn, &until);
}

static bool is_given_up(const struct pg *pg)
{
	return pg->interrupted || (pg->give_up != NULL && pg->give_up());
}

/* NULL: it was given up. */
static PGconn *connect_patiently(const struct pg *pg)
{
	struct attempt *attempt = attempt_new(pg);

	pthread_mutex_lock(&attempt->turn);
	while (!attempt->done && !is_given_up(pg))
		wait_a_moment(attempt);
	PGconn *conn = attempt->conn;
	bool done = attempt->done;
	attempt->conn = NULL;
	attempt->left = !done;
	if (!done)
		process_leave_thread();
	pthread_mutex_unlock(&attempt->turn);
	if (done)
		attempt_free(attempt);
	return conn;
}

PGconn *pg_connect_raw(const struct pg *pg)
{
	bool may_be_given_up = pg->is_worker || pg->give_up != NULL;

	return may_be_given_up ? connect_patiently(pg) : connect_now(pg->config->postgres, password_of(pg), pg->application);
}

static bool given_up(struct err *err)
{
	return err_set(err, VERDICT_RECONNECT, "", "connecting to PostgreSQL was given up");
}

static bool read_password(struct pg *pg, struct err *err)
{
	const struct config *config = pg->config;

	if (config->postgres_password_file[0] != '\0')
		return secret_read("postgres.password.file", config->postgres_password_file, &pg->password, err);
	buf_clear(&pg->password);
	buf_adds(&pg->password, config->postgres_password);
	return true;
}

static bool connect_session(struct pg *pg, struct err *err)
{
	enum { SETUP_LIMIT_MS = 10000 };

	pg->conn = NULL;
	pg->epoch++;
	pg->queued = 0;
	pg->is_useless = false;
	buf_clear(&pg->stale);
	if (!read_password(pg, err))
		return false;
	pg->conn = pg_connect_raw(pg);
	if (pg->conn == NULL && is_given_up(pg))
		return given_up(err);
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

bool pg_open(struct pg **pg, const struct config *config, const char *application, struct err *err)
{
	return pg_open_heeding(pg, config, application, NULL, err);
}

bool pg_open_heeding(struct pg **out, const struct config *config, const char *application, bool (*give_up)(void),
		     struct err *err)
{
	if (!pg_check_conninfo(config, err))
		return false;
	struct pg *pg = xcalloc(1, sizeof(*pg));
	pg->config = config;
	pg->schema = config->postgres_schema;
	pg->application = xstrdup(application);
	pg->give_up = give_up;
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
	secret_release(&pg->password);
	free(pg->application);
	free(pg);
}

static bool is_refused_password(const struct err *err)
{
	return strstr(err->detail, "password authentication failed") != NULL;
}

bool pg_reconnect(struct pg *pg, struct err *err)
{
	PQfinish(pg->conn);
	pg->interrupted = false;
	if (connect_session(pg, err))
		return true;
	/* A password that was good, and that lies in a file, is being renewed. */
	if (err->verdict == VERDICT_USAGE ||
	    (pg->password.len > 0 && pg->config->postgres_password_file[0] != '\0' && is_refused_password(err)))
		err->verdict = VERDICT_RECONNECT;
	return false;
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
