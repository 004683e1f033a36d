/* Statements of the worker: prepared once for each connection, sent by the dozen, answered in one round trip.
 *
 *     pg_pipeline_add(pg, &statement, params, n);  …any number of times
 *     if (!pg_pipeline_run(pg, results, &err)) …   one Sync, one wait
 *
 * Where the next trip does not depend on the last one's answers, it may be sent before these are there: pg_pipeline_send(),
 * and for each trip, in their order, pg_pipeline_receive(). The server then goes from one to the next without a pause.
 *
 * Non-blocking underneath, so that two full socket buffers can't deadlock. Parameters and results are binary. */
#ifndef BYUNIQUE_PG_PIPELINE_H
#define BYUNIQUE_PG_PIPELINE_H

#include "byunique/pg.h"

enum { PG_PIPELINE_MAX = 10000 }; /* statements in one round trip, preparations included */

/* One SQL text that is prepared where it is used. Embed it in what owns the text; zero but for `sql`. */
struct pg_statement {
	const char *sql;	    /* borrowed */
	unsigned number;	    /* of its last preparation: its name on the server, s17 */
	uint64_t prepared_epoch; /* of the connection on which it is prepared; 0: on none */
};

/* One parameter in PostgreSQL's binary format. data NULL: null. */
struct pg_param {
	const void *data;
	size_t len;
};

/* Enqueue; parameters are copied. Errors show up in pg_pipeline_run(). */
void pg_pipeline_add(struct pg *pg, struct pg_statement *statement, const struct pg_param *params, int param_count);

/* Send all, wait for all the answers, for at most PG_DEADLINE_MS. results[i] is the answer to the i-th statement added
 * (the caller frees each with pg_rows_free()); may be NULL when no answer matters. On error nothing is handed out, the
 * error is the first statement's that failed, and an open transaction is rolled back. */
enum { PG_DEADLINE_MS = 150000 };
bool pg_pipeline_run(struct pg *pg, struct pg_rows **results, struct err *err) BYU_MUST_CHECK;

/* What was added makes a trip, which is written as far as the server takes it. Trouble shows up when it is received. */
enum { PG_TRIPS_MAX = 2 }; /* under way */
void pg_pipeline_send(struct pg *pg);
/* Write on, for at most wait_ms. True: the oldest trip's answers begin to arrive, or there is trouble: receive it. */
bool pg_pipeline_wait(struct pg *pg, int wait_ms);
/* The oldest trip's answers, as pg_pipeline_run() gives them. When it failed in an open transaction, those behind it fail as
 * well; the transaction is rolled back when the last of them is received. */
bool pg_pipeline_receive(struct pg *pg, struct pg_rows **results, struct err *err) BYU_MUST_CHECK;
/* Was it this statement that the last trip failed by? */
bool pg_pipeline_failed_by(const struct pg *pg, const struct pg_statement *statement);

/* False once an answer stayed out: what became of a COMMIT is open then. */
bool pg_alive(const struct pg *pg);

/* From any thread: whatever the connection waits for is given up, and it is not alive any more until pg_reconnect(). */
void pg_interrupt(struct pg *pg);

/* A round trip may take no longer from now on; 0: as usual. */
void pg_limit(struct pg *pg, int64_t limit_ms);
/* What it waits for from now on is given up as soon as give_up() says so, which is asked ten times a second; NULL: no more.
 * For the thread whose handle it is. */
void pg_heed(struct pg *pg, bool (*give_up)(void));

/* Connect again in place: same parameters, new session, statements are prepared again at their next use. */
bool pg_reconnect(struct pg *pg, struct err *err) BYU_MUST_CHECK;
/* Free what a statement takes on the server; the text may be changed or freed afterwards. */
void pg_statement_release(struct pg *pg, struct pg_statement *statement);
/* Forget prepared statements (VERDICT_PREPARE). */
bool pg_deallocate(struct pg *pg, struct err *err) BYU_MUST_CHECK;
/* The planner settings and time limits of sql/session.sql; kept over pg_reconnect(). */
bool pg_worker_session(struct pg *pg, struct err *err) BYU_MUST_CHECK;

/* --- binary parameters --------------------------------------------------------------------------------------- */

/* PostgreSQL's type oids, fixed since ever (src/include/catalog/pg_type.dat). */
enum pg_oid {
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_INT8 = 20,
	PG_INT2 = 21,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_FLOAT8 = 701,
	PG_VARCHAR = 1043,
	PG_DATE = 1082,
	PG_TIMESTAMPTZ = 1184,
	PG_NUMERIC = 1700,
	PG_UUID = 2950,
};

/* A one-dimensional array: begin, then one call for each element, then param. */
void pg_array_begin(struct buf *array, enum pg_oid element);
void pg_array_null(struct buf *array);
void pg_array_bytes(struct buf *array, const void *bytes, size_t len);
void pg_array_int2(struct buf *array, int16_t v);
void pg_array_int4(struct buf *array, int32_t v);
void pg_array_int8(struct buf *array, int64_t v);
/* Writes the counts into the head; no element may follow. */
struct pg_param pg_array_param(struct buf *array);

/* PostgreSQL's text can't hold U+0000: it is written \0, and a backslash \\. Text without either is returned as it is. */
struct slice pg_text_escape(struct slice text, struct arena *arena);
struct slice pg_text_unescape(struct slice text, struct arena *arena); /* always a copy */

struct cell;
enum pg_oid pg_type_oid(int attribute_type);		    /* of the elements of an attribute's array */
const char *pg_type_array(int attribute_type);		    /* "int4[]", for casts in composed SQL */
void pg_array_cell(struct buf *array, int attribute_type, const struct cell *cell); /* the cell may be null */

/* --- binary results -------------------------------------------------------------------------------------------- */

struct slice pg_rows_bytes(const struct pg_rows *rows, int row, int column); /* absent for null */
/* pg_rows_int() (pg.h) reads int2, int4, int8 and boolean. */

#endif
