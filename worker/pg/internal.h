/* Shared by the files of pg/ only. */
#ifndef BYUNIQUE_PG_INTERNAL_H
#define BYUNIQUE_PG_INTERNAL_H

#include "byunique/config.h"
#include "byunique/pg_pipeline.h"

#include <libpq-fe.h>

struct pg {
	PGconn *conn;
	const struct config *config; /* borrowed */
	const char *schema;	     /* of the configuration */
	struct buf password;	     /* for the next connection; empty: none of ours */
	char *application;
	bool is_worker;	      /* sql/session.sql applies */
	uint64_t epoch;	      /* counts connections; tells where a statement is prepared */
	unsigned statements;  /* names given */
	struct buf stale;     /* names of statements that are not used any more, each ended by a NUL; owned */
	int queued;	      /* results to expect in the pipeline: preparations and statements */
	int trips[PG_TRIPS_MAX]; /* how many of them belong to each trip that was sent, oldest first */
	int trip_count;
	bool trip_failed;	  /* one that was sent with those still under way */
	struct pg_statement *failed; /* the statement at fault when the last trip failed; NULL: none of ours, or unknown */
	unsigned queued_prepare[PG_TRIPS_MAX * PG_PIPELINE_MAX]; /* the number that is prepared; 0: it is no preparation */
	struct pg_statement *queued_statement[PG_TRIPS_MAX * PG_PIPELINE_MAX];
	int64_t limit_ms;      /* for one round trip; 0: the usual one */
	bool (*give_up)(void); /* asked while it waits; NULL: waits on */
	bool is_useless; /* the session is of no use any more: not alive until pg_reconnect() */
	_Atomic bool interrupted; /* by another thread: wait for nothing any more */
};

struct pg_rows {
	PGresult *result;
};

/* Verdict, SQLSTATE, message and hint of a failed result; `context` says what was being done. Returns false. The
 * server's DETAIL and CONTEXT may quote attribute values and are left out. */
bool pg_result_error(const PGresult *result, const char *context, struct err *err);
/* The same for a connection that failed. */
bool pg_connection_error(const PGconn *conn, const char *context, struct err *err);

/* What PQexec() returns, for a query that was `sent`, with the worker's deadline and open to pg_interrupt(). NULL with *err:
 * the connection is lost. The caller clears the result. */
PGresult *pg_last_result(struct pg *pg, bool sent, struct err *err);

/* After an error that only another session can mend (read-only, shutting down …), even if this one still answers. */
void pg_give_up(struct pg *pg, const struct err *err);

/* Is what the configuration says of the connection fit to be used, and to be spoken of? VERDICT_USAGE when not (conninfo.c). */
bool pg_check_conninfo(const struct config *config, struct err *err);
/* A connection as the configuration says, which may have failed. NULL: also when it was given up. */
PGconn *pg_connect_raw(const struct pg *pg);
/* A pooler that gives the session to others between two transactions: VERDICT_STOP (pooler.c). */
bool pg_refuse_shared_sessions(struct pg *pg, struct err *err);

enum verdict pg_verdict(const char *sqlstate);

/* Runs the step in a transaction in which no lock is waited for longer than a second, again and again for minutes, as long as
 * that is what it fails by (change.c): for what changes tables that are in use. The step begins afresh each time. */
typedef bool pg_step(struct pg *pg, void *arg, struct err *err);
bool pg_change(struct pg *pg, pg_step *step, void *arg, struct err *err);

/* A result as rows: takes it over. */
struct pg_rows *pg_rows_new(PGresult *result);

#endif
