/* The pipeline: prepared statements by the dozen in one round trip, over a non-blocking socket.
 *
 * In blocking mode libpq can deadlock with the server: both sides wait for the other to read. Here writing and reading
 * take turns by poll(). After the first failure the server skips everything up to the Sync, so the first failed result
 * belongs to the statement at fault. */
#include "internal.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static bool enter_pipeline(struct pg *pg)
{
	return PQpipelineStatus(pg->conn) != PQ_PIPELINE_OFF ||
	       (PQsetnonblocking(pg->conn, 1) == 0 && PQenterPipelineMode(pg->conn));
}

static void leave_pipeline(struct pg *pg)
{
	if (pg->conn != NULL && PQstatus(pg->conn) == CONNECTION_OK) {
		PQexitPipelineMode(pg->conn);
		PQsetnonblocking(pg->conn, 0);
	}
	pg->queued = pg->trip_count = 0;
	pg->trip_failed = false;
}

enum { NAME_MAX_BYTES = 16 };

static void name_statement(char name[NAME_MAX_BYTES], unsigned number)
{
	snprintf(name, NAME_MAX_BYTES, "s%u", number);
}

/* Between transactions: a name may never have got its statement, if the trip failed before, and that error must not end a
 * transaction. One by one, for the same reason. */
static void release_stale(struct pg *pg)
{
	struct err ignored;
	char sql[64];

	if (!pg_alive(pg) || pg->queued > 0 || PQtransactionStatus(pg->conn) != PQTRANS_IDLE)
		return;
	for (size_t at = 0; at < pg->stale.len && pg_alive(pg); at += strlen(pg->stale.base + at) + 1) {
		snprintf(sql, sizeof(sql), "DEALLOCATE %s", pg->stale.base + at);
		PQclear(pg_last_result(pg, PQsendQuery(pg->conn, sql), &ignored));
	}
	buf_clear(&pg->stale);
}

static int queued_in_trips(const struct pg *pg)
{
	int queued = 0;
	for (int i = 0; i < pg->trip_count; i++)
		queued += pg->trips[i];
	return queued;
}

static void remember(struct pg *pg, struct pg_statement *statement, unsigned prepared)
{
	ASSERT(pg->queued - queued_in_trips(pg) < PG_PIPELINE_MAX);
	pg->queued_statement[pg->queued] = statement;
	pg->queued_prepare[pg->queued++] = prepared;
}

static void prepare(struct pg *pg, struct pg_statement *statement)
{
	char name[NAME_MAX_BYTES];

	if (statement->prepared_epoch == pg->epoch)
		return;
	statement->number = ++pg->statements;
	name_statement(name, statement->number);
	if (!PQsendPrepare(pg->conn, name, statement->sql, 0, NULL))
		pg->is_useless = true;
	remember(pg, statement, statement->number);
	statement->prepared_epoch = pg->epoch;
}

/* What is no longer used on the server goes with the next chance: in a pipeline it would be one more result to expect. */
void pg_statement_release(struct pg *pg, struct pg_statement *statement)
{
	char name[NAME_MAX_BYTES];

	name_statement(name, statement->number);
	if (statement->prepared_epoch == pg->epoch)
		buf_add(&pg->stale, name, strlen(name) + 1);
	statement->prepared_epoch = 0;
	release_stale(pg);
}

void pg_pipeline_add(struct pg *pg, struct pg_statement *statement, const struct pg_param *params, int param_count)
{
	enum { PARAMS_MAX = 2048 };
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX], formats[PARAMS_MAX];
	char name[NAME_MAX_BYTES];

	ASSERT(param_count <= PARAMS_MAX);
	if (pg->is_useless || !enter_pipeline(pg)) {
		pg->is_useless = true;
		return;
	}
	prepare(pg, statement);
	for (int i = 0; i < param_count; i++) {
		values[i] = params[i].data;
		lengths[i] = (int)params[i].len;
		formats[i] = 1;
	}
	name_statement(name, statement->number);
	if (!PQsendQueryPrepared(pg->conn, name, param_count, values, lengths, formats, 1))
		pg->is_useless = true;
	remember(pg, statement, 0);
}

static bool connection_lost(struct pg *pg, struct err *err)
{
	pg_connection_error(pg->conn, "the connection to PostgreSQL was lost", err);
	pg->is_useless = true;
	return false;
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

/* Only a worker's statements have a deadline: what a person runs may take its time. */
static int64_t deadline_of(const struct pg *pg)
{
	if (pg->limit_ms > 0)
		return clock_mono_ms() + pg->limit_ms;
	return pg->is_worker ? clock_mono_ms() + FAILPOINT_MS("BYUNIQUE_TEST_ANSWER_MS", PG_DEADLINE_MS) : INT64_MAX;
}

static void *cancel_main(void *handle)
{
	char ignored[256];

	PQcancel(handle, ignored, sizeof(ignored));
	PQfreeCancel(handle);
	process_thread_ended();
	return NULL;
}

/* By a thread of its own: PQcancel() waits without limit for a server that has taken the connection and is frozen. */
static void cancel(struct pg *pg)
{
	PGcancel *handle = PQgetCancel(pg->conn);
	pthread_t thread;

	if (handle == NULL)
		return;
	process_leave_thread();
	if (pthread_create(&thread, NULL, cancel_main, handle) == 0) {
		pthread_detach(thread);
		return;
	}
	process_thread_ended();
	PQfreeCancel(handle);
}

/* An interrupted wait asks the server to give up, and waits a little longer for it to say so. */
static void heed_interrupt(struct pg *pg, bool *cancelled, int64_t *deadline_ms)
{
	enum { PATIENCE_MS = 2000 };

	if (*cancelled || !(pg->interrupted || (pg->give_up != NULL && pg->give_up())))
		return;
	cancel(pg);
	*cancelled = true;
	*deadline_ms = clock_mono_ms() + PATIENCE_MS;
}

static bool too_late(struct pg *pg, struct err *err)
{
	pg->is_useless = true;
	return err_set(err, VERDICT_RECONNECT, "", "PostgreSQL did not answer in time");
}

/* Write what is buffered and read until libpq has a whole result. */
static bool wait_for_result(struct pg *pg, int64_t deadline_ms, struct err *err)
{
	enum { WAKE_MS = 100 };
	bool cancelled = false;
	int unsent = PQflush(pg->conn);

	while (unsent != 0 || PQisBusy(pg->conn)) {
		struct pollfd fd = {.fd = PQsocket(pg->conn), .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};
		if (unsent < 0 || fd.fd < 0)
			return connection_lost(pg, err);
		heed_interrupt(pg, &cancelled, &deadline_ms);
		if (clock_mono_ms() >= deadline_ms)
			return too_late(pg, err);
		if (poll(&fd, 1, WAKE_MS) < 0 && errno != EINTR)
			return connection_lost(pg, err);
		if ((fd.revents & ~POLLOUT) && !PQconsumeInput(pg->conn))
			return connection_lost(pg, err);
		unsent = PQflush(pg->conn);
	}
	return true;
}

PGresult *pg_last_result(struct pg *pg, bool sent, struct err *err)
{
	int64_t deadline_ms = deadline_of(pg);
	PGresult *last = NULL, *next;

	if (pg->is_useless || !sent) {
		connection_lost(pg, err);
		return NULL;
	}
	for (;;) {
		if (!wait_for_result(pg, deadline_ms, err)) {
			PQclear(last);
			return NULL;
		}
		next = PQgetResult(pg->conn);
		if (next == NULL)
			return last;
		PQclear(last);
		last = next;
		if (PQresultStatus(last) == PGRES_COPY_IN)
			return last;
	}
}

void pg_give_up(struct pg *pg, const struct err *err)
{
	if (err->verdict == VERDICT_RECONNECT)
		pg->is_useless = true;
}

void pg_limit(struct pg *pg, int64_t limit_ms)
{
	pg->limit_ms = limit_ms;
}

void pg_heed(struct pg *pg, bool (*give_up)(void))
{
	pg->give_up = give_up;
}

void pg_interrupt(struct pg *pg)
{
	pg->interrupted = true;
}

/* --- the pipeline ------------------------------------------------------------------------------------------------- */

static bool is_failure(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

static bool is_commit(const struct pg_statement *statement)
{
	return strncmp(statement->sql, "COMMIT", 6) == 0;
}

/* COMMIT of a failed transaction succeeds, and says ROLLBACK. */
static bool is_silent_rollback(const struct pg_statement *statement, const PGresult *result)
{
	return is_commit(statement) && strcmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COMMIT") != 0;
}

/* One result: hand it out, or keep the first failure. */
static void sort_in(struct pg *pg, int index, PGresult *result, struct pg_rows **results, int *given, bool *failed,
		    struct err *err)
{
	struct pg_statement *statement = pg->queued_statement[index];

	if (is_failure(result)) {
		if (!*failed && PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
			pg_result_error(result, "a statement of the batch", err);
		else if (!*failed)
			err_set(err, VERDICT_RETRY, "", "the pipeline was aborted");
		if (!*failed)
			pg->failed = statement;
		*failed = true;
		if (pg->queued_prepare[index] == statement->number)
			statement->prepared_epoch = 0;
	} else if (!*failed && pg->queued_prepare[index] == 0 && is_silent_rollback(statement, result)) {
		*failed = !err_set(err, VERDICT_RETRY, "", "PostgreSQL rolled the transaction back at COMMIT");
	}
	if (pg->queued_prepare[index] > 0 || *failed || results == NULL)
		PQclear(result);
	else
		results[(*given)++] = pg_rows_new(result);
}

/* Every queued statement gives one result and a NULL; the Sync gives PGRES_PIPELINE_SYNC. */
static bool collect(struct pg *pg, struct pg_rows **results, int *given, bool *failed, struct err *err)
{
	int64_t deadline_ms = deadline_of(pg);

	FAILPOINT_REACH(trip_sent);
	for (int index = 0; index <= pg->trips[0];) {
		if (!wait_for_result(pg, deadline_ms, err))
			return false;
		PGresult *result = PQgetResult(pg->conn);
		if (result == NULL) {
			if (PQstatus(pg->conn) != CONNECTION_OK)
				return connection_lost(pg, err);
			continue;
		}
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			return true;
		}
		if (index == pg->trips[0] || PQstatus(pg->conn) != CONNECTION_OK) {
			/* Nobody's: the server ends the session, and says why (57P01 …). */
			bool told = is_failure(result) && !pg_result_error(result, "the session", err);
			PQclear(result);
			if (told && err->verdict == VERDICT_BISECT)
				err->verdict = VERDICT_RECONNECT;
			pg->is_useless = true;
			return told ? false : connection_lost(pg, err);
		}
		sort_in(pg, index++, result, results, given, failed, err);
	}
	return connection_lost(pg, err);
}

void pg_pipeline_send(struct pg *pg)
{
	int queued = pg->queued - queued_in_trips(pg);

	ASSERT(pg->trip_count < PG_TRIPS_MAX);
	pg->trips[pg->trip_count++] = queued;
	if (pg->is_useless || !PQpipelineSync(pg->conn) || PQflush(pg->conn) < 0)
		pg->is_useless = true;
}

/* Until the oldest trip's answers begin to arrive, all is written (if that is enough), or time is up. False: time is up. */
static bool write_on(struct pg *pg, int wait_ms, bool written_is_enough)
{
	struct pollfd fd = {.fd = PQsocket(pg->conn)};
	int64_t until_ms = clock_mono_ms() + wait_ms;

	while (pg_alive(pg) && PQisBusy(pg->conn)) {
		int unsent = PQflush(pg->conn);
		int64_t left_ms = until_ms - clock_mono_ms();
		if (unsent < 0 || (unsent == 0 && written_is_enough))
			return true;
		if (left_ms <= 0)
			return false;
		fd.events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0));
		if (poll(&fd, 1, (int)left_ms) > 0 && (fd.revents & ~POLLOUT) && !PQconsumeInput(pg->conn))
			return true;
	}
	return true;
}

bool pg_pipeline_wait(struct pg *pg, int wait_ms)
{
	return write_on(pg, wait_ms, false);
}

/* The oldest trip is over. */
static void forget_trip(struct pg *pg)
{
	int statements = pg->trips[0];

	pg->queued -= statements;
	memmove(pg->queued_statement, pg->queued_statement + statements, sizeof(*pg->queued_statement) * (size_t)pg->queued);
	memmove(pg->queued_prepare, pg->queued_prepare + statements, sizeof(*pg->queued_prepare) * (size_t)pg->queued);
	memmove(pg->trips, pg->trips + 1, sizeof(*pg->trips) * (size_t)--pg->trip_count);
}

bool pg_pipeline_receive(struct pg *pg, struct pg_rows **results, struct err *err)
{
	enum { WRITE_MS = 5 };
	int given = 0;
	bool failed = false;

	ASSERT(pg->trip_count > 0);
	pg->failed = NULL;
	bool ok = pg->is_useless ? connection_lost(pg, err) : collect(pg, results, &given, &failed, err);
	if (ok && !failed && pg->trips[0] > 0 && is_commit(pg->queued_statement[pg->trips[0] - 1]))
		ok = FAILPOINT_PASS(commit_answered, err);
	bool well = ok && !failed, last = pg->trip_count == 1, clean = well && !pg->trip_failed;
	forget_trip(pg);
	pg->trip_failed = !clean;
	if (!well) {
		while (given > 0)
			pg_rows_free(results[--given]);
		pg_give_up(pg, err);
	}
	if (!last) {
		write_on(pg, WRITE_MS, true); /* the server reads the next one now */
		return well;
	}
	leave_pipeline(pg);
	if (clean)
		release_stale(pg);
	else
		pg_rollback(pg); /* at once, so that its locks are gone */
	return well;
}

bool pg_pipeline_failed_by(const struct pg *pg, const struct pg_statement *statement)
{
	return pg->failed == statement;
}

bool pg_pipeline_run(struct pg *pg, struct pg_rows **results, struct err *err)
{
	ASSERT(pg->trip_count == 0);
	pg_pipeline_send(pg);
	return pg_pipeline_receive(pg, results, err);
}
