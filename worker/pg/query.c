/* One statement or script at a time, for the command line and for what a worker does seldom. */
#include "internal.h"

#include <endian.h>
#include <stdlib.h>

struct pg_rows *pg_rows_new(PGresult *result)
{
	struct pg_rows *rows = xmalloc(sizeof(*rows));
	rows->result = result;
	return rows;
}

int pg_rows_count(const struct pg_rows *rows)
{
	return PQntuples(rows->result);
}

struct slice pg_rows_get(const struct pg_rows *rows, int row, int column)
{
	if (PQgetisnull(rows->result, row, column))
		return SLICE_NONE;
	return slice_of(PQgetvalue(rows->result, row, column), (size_t)PQgetlength(rows->result, row, column));
}

struct slice pg_rows_bytes(const struct pg_rows *rows, int row, int column)
{
	return pg_rows_get(rows, row, column);
}

static int64_t binary_int(struct slice bytes)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (bytes.len) {
	case 1: return bytes.base[0];
	case sizeof(two): memcpy(&two, bytes.base, sizeof(two)); return (int16_t)be16toh(two);
	case sizeof(four): memcpy(&four, bytes.base, sizeof(four)); return (int32_t)be32toh(four);
	case sizeof(eight): memcpy(&eight, bytes.base, sizeof(eight)); return (int64_t)be64toh(eight);
	default: return 0;
	}
}

int64_t pg_rows_int(const struct pg_rows *rows, int row, int column)
{
	struct slice cell = pg_rows_get(rows, row, column);
	if (cell.base == NULL)
		return 0;
	if (PQfformat(rows->result, column) == 1)
		return binary_int(cell);
	return strcmp(cell.base, "t") == 0 ? 1 : strtoll(cell.base, NULL, 10);
}

void pg_rows_free(struct pg_rows *rows)
{
	if (rows == NULL)
		return;
	PQclear(rows->result);
	free(rows);
}

/* Takes the result over; false with *err when it is a failure. NULL: *err tells already. */
static bool check(struct pg *pg, PGresult *result, struct pg_rows **rows, struct err *err)
{
	if (result == NULL)
		return false;
	ExecStatusType status = PQresultStatus(result);
	bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

	if (!ok && PQstatus(pg->conn) != CONNECTION_OK)
		pg_connection_error(pg->conn, "the connection to PostgreSQL was lost", err);
	else if (!ok)
		pg_result_error(result, "a statement", err);
	if (!ok)
		pg_give_up(pg, err);
	if (ok && rows != NULL)
		*rows = pg_rows_new(result);
	else
		PQclear(result);
	return ok;
}

bool pg_script(struct pg *pg, const char *sql, struct err *err)
{
	return check(pg, pg_last_result(pg, PQsendQuery(pg->conn, sql), err), NULL, err);
}

void pg_rollback(struct pg *pg)
{
	struct err ignored;

	if (pg_alive(pg) && PQtransactionStatus(pg->conn) != PQTRANS_IDLE)
		PQclear(pg_last_result(pg, PQsendQuery(pg->conn, "ROLLBACK"), &ignored));
}

bool pg_query(struct pg *pg, const char *sql, const char *const *params, int param_count, struct pg_rows **rows,
	      struct err *err)
{
	bool sent = PQsendQueryParams(pg->conn, sql, param_count, NULL, params, NULL, NULL, 0);
	return check(pg, pg_last_result(pg, sent, err), rows, err);
}

bool pg_copy_begin(struct pg *pg, const char *sql, struct err *err)
{
	PGresult *result = pg_last_result(pg, PQsendQuery(pg->conn, sql), err);
	if (result == NULL || PQresultStatus(result) != PGRES_COPY_IN)
		return check(pg, result, NULL, err);
	PQclear(result);
	return true;
}

bool pg_copy_put(struct pg *pg, const void *bytes, size_t len, struct err *err)
{
	if (PQputCopyData(pg->conn, bytes, (int)len) == 1)
		return true;
	return pg_connection_error(pg->conn, "COPY to PostgreSQL failed", err);
}

bool pg_copy_end(struct pg *pg, int64_t *rows, struct err *err)
{
	if (PQputCopyEnd(pg->conn, NULL) != 1)
		return pg_connection_error(pg->conn, "COPY to PostgreSQL failed", err);
	PGresult *result = PQgetResult(pg->conn), *rest;
	*rows = strtoll(PQcmdTuples(result), NULL, 10);
	bool ok = check(pg, result, NULL, err);
	while ((rest = PQgetResult(pg->conn)) != NULL)
		PQclear(rest);
	return ok;
}
