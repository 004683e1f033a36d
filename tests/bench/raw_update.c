/* The ceilings: the bench's updates, written from memory by one connection. No Kafka, no Avro, no answers.
 *
 *     raw_update CONNINFO SCHEMA FILE [ROWS_PER_BATCH [PARTITIONS]]
 *
 * A batch is one `UPDATE … FROM unnest(…)` and one transaction, sorted by key, as the worker does it. Without
 * PARTITIONS that is all. With PARTITIONS the transaction also stores what the contract asks for: a refusal for each
 * command that found no record, by the update's own statement, and for each partition a row of outcomes with their ids,
 * and its position. All of it goes in one round trip.
 *
 * All batches are made before the clock starts (raw_batch.c), so that what is timed is PostgreSQL and the wire. libpq
 * is used directly, not by worker/pg: a ceiling must not sink with the code that is measured against it. Prints one
 * line of JSON. */
#include "raw_batch.h"

#include "byunique/clock.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { BATCH_ROWS = 4000 };

/* --- statements --------------------------------------------------------------------------------------------------- */

struct statement {
	const char *name, *sql;
};

static const struct statement update_only = {
	"update_only",
	"UPDATE ext_phone AS e\n"
	"SET phonetype = t.type, description = t.description, start_availabilty = t.start\n"
	"FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::timestamptz[])\n"
	"  AS t (customer_id, number, type, description, start)\n"
	"WHERE e.customer_id = t.customer_id AND e.phonenumber = t.number"};

/* The shape is worker/pg/compose.c's, which tells why it is so. Nothing is returned, as nobody is answered; no masks,
 * as no command leaves an attribute out. 16: the customer has no such record; 15: there is no such customer. */
static const struct statement update_or_refuse = {
	"update_or_refuse",
	"WITH hit AS (\n"
	"  UPDATE ext_phone AS e\n"
	"  SET phonetype = t.type, description = t.description, start_availabilty = t.start\n"
	"  FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::timestamptz[])\n"
	"  WITH ORDINALITY AS t (customer_id, number, type, description, start, i)\n"
	"  WHERE e.customer_id = t.customer_id AND e.phonenumber = t.number\n"
	"  RETURNING t.i\n"
	"), miss AS MATERIALIZED (\n"
	"  SELECT i, customer_id FROM unnest($1::text[]) WITH ORDINALITY AS c (customer_id, i)\n"
	"  WHERE i NOT IN (SELECT i FROM hit)\n"
	"), lost AS (\n"
	"  SELECT ($6::int4[])[i] AS position_id, ($7::int8[])[i] AS message_offset, customer_id FROM miss\n"
	"  UNION ALL\n"
	"  SELECT position_id, message_offset, customer_id\n"
	"  FROM unnest($8::int8[], $9::text[], $10::int4[], $11::int8[])\n"
	"  AS x (i, customer_id, position_id, message_offset) WHERE (i IN (SELECT i FROM miss)) IS TRUE\n"
	")\n"
	"INSERT INTO refusal (position_id, message_offset, code)\n"
	"SELECT position_id, message_offset,\n"
	"       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = lost.customer_id) THEN 16 ELSE 15 END\n"
	"FROM lost"};

static const struct statement outcomes = {
	"outcomes",
	"INSERT INTO outcome (position_id, first_offset, last_offset, processed_at_ms, encoding, entries, ids)\n"
	"SELECT x.position_id, x.first_offset, x.last_offset, (extract(epoch FROM now()) * 1000)::int8, 1,\n"
	"       x.entries, x.ids\n"
	"FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::bytea[], $5::bytea[])\n"
	"  AS x (position_id, first_offset, last_offset, entries, ids)"};

static const struct statement positions = {
	"positions",
	"UPDATE position p\n"
	"SET next_offset = x.next_offset, last_offset = x.last_offset, last_hash = x.last_hash,\n"
	"    published_offset = greatest(p.published_offset, x.published_offset)\n"
	"FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[])\n"
	"  AS x (id, next_offset, last_offset, last_hash, published_offset)\n"
	"WHERE p.id = x.id"};

static const struct statement begin = {"begin", "BEGIN"}, commit = {"commit", "COMMIT"};

static const struct params no_params;

/* What a prepared statement is called with, in the form that libpq wants. */
struct arguments {
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX], formats[PARAMS_MAX];
};

static struct arguments arguments_of(const struct params *params)
{
	struct arguments arguments;

	for (int i = 0; i < params->count; i++) {
		arguments.values[i] = params->arrays[i].base;
		arguments.lengths[i] = (int)params->arrays[i].len;
		arguments.formats[i] = 1;
	}
	return arguments;
}

/* --- the session -------------------------------------------------------------------------------------------------- */

static PGresult *expect(PGconn *conn, PGresult *answer, ExecStatusType status, const char *what)
{
	if (PQresultStatus(answer) != status)
		die("raw_update: %s: %s", what, PQerrorMessage(conn));
	return answer;
}

static void execute(PGconn *conn, const char *sql)
{
	PQclear(expect(conn, PQexec(conn, sql), PGRES_COMMAND_OK, sql));
}

static void prepare(PGconn *conn, const struct statement *statement)
{
	PGresult *answer = PQprepare(conn, statement->name, statement->sql, 0, NULL);
	PQclear(expect(conn, answer, PGRES_COMMAND_OK, statement->name));
}

/* The same plans as the worker's: nested loops over the index, in the order of the keys. */
static PGconn *open_session(const char *conninfo, const char *schema)
{
	PGconn *conn = PQconnectdb(conninfo);
	if (PQstatus(conn) != CONNECTION_OK)
		die("raw_update: %s", PQerrorMessage(conn));
	char *quoted = PQescapeIdentifier(conn, schema, strlen(schema));
	char *path = xasprintf("SET search_path = %s", quoted);
	execute(conn, path);
	free(path);
	PQfreemem(quoted);
	execute(conn, "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;"
		      "SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan; SET jit = off");
	return conn;
}

/* Partitions of a topic that is in no Kafka, each where the run before has left it. */
static void open_partitions(PGconn *conn, struct partition *partitions, size_t count)
{
	char *make = xasprintf("INSERT INTO position (topic, partition, next_offset, published_offset, owner,\n"
			       "                      cluster_id, group_id)\n"
			       "SELECT 'raw', number, 0, 0, gen_random_uuid(), 'raw', 'raw'\n"
			       "FROM generate_series(0, %zu - 1) AS number ON CONFLICT DO NOTHING", count);
	char *look = xasprintf("SELECT id, next_offset FROM position WHERE topic = 'raw' AND partition < %zu\n"
			       "ORDER BY partition", count);

	execute(conn, make);
	PGresult *rows = expect(conn, PQexec(conn, look), PGRES_TUPLES_OK, look);
	for (size_t i = 0; i < count; i++) {
		partitions[i].position_id = (int32_t)strtol(PQgetvalue(rows, (int)i, 0), NULL, 10);
		partitions[i].next_offset = strtoll(PQgetvalue(rows, (int)i, 1), NULL, 10);
	}
	PQclear(rows);
	free(look);
	free(make);
}

/* --- a batch ------------------------------------------------------------------------------------------------------ */

static void run_bare(PGconn *conn, const struct batch *batch)
{
	struct arguments arguments = arguments_of(&batch->update);

	PQclear(expect(conn,
		       PQexecPrepared(conn, update_only.name, batch->update.count, arguments.values, arguments.lengths,
				      arguments.formats, 1),
		       PGRES_COMMAND_OK, "a batch failed"));
}

static void send_statement(PGconn *conn, const struct statement *statement, const struct params *params)
{
	struct arguments arguments = arguments_of(params);

	if (!PQsendQueryPrepared(conn, statement->name, params->count, arguments.values, arguments.lengths,
				 arguments.formats, 1))
		die("raw_update: %s: %s", statement->name, PQerrorMessage(conn));
}

static void receive_answer(PGconn *conn, const struct statement *statement)
{
	PQclear(expect(conn, PQgetResult(conn), PGRES_COMMAND_OK, statement->name));
	PQclear(PQgetResult(conn)); /* NULL: the end of this statement's results */
}

static void run_stored(PGconn *conn, const struct batch *batch)
{
	send_statement(conn, &begin, &no_params);
	send_statement(conn, &update_or_refuse, &batch->update);
	send_statement(conn, &outcomes, &batch->outcomes);
	send_statement(conn, &positions, &batch->positions);
	send_statement(conn, &commit, &no_params);
	if (!PQpipelineSync(conn))
		die("raw_update: %s", PQerrorMessage(conn));
	receive_answer(conn, &begin);
	receive_answer(conn, &update_or_refuse);
	receive_answer(conn, &outcomes);
	receive_answer(conn, &positions);
	receive_answer(conn, &commit);
	PQclear(expect(conn, PQgetResult(conn), PGRES_PIPELINE_SYNC, "the end of a batch"));
}

/* --- the measurement ---------------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void measure(PGconn *conn, const struct batches *batches, void (*run)(PGconn *conn, const struct batch *batch))
{
	double cpu_before = cpu_seconds();
	int64_t started_us = clock_mono_us();

	for (size_t i = 0; i < batches->count; i++)
		run(conn, &batches->list[i]);
	double seconds = (double)(clock_mono_us() - started_us) / 1e6;
	printf("{\"commands\": %zu, \"batches\": %zu, \"rows\": %zu, \"seconds\": %.6f, \"rows_per_s\": %.0f, "
	       "\"cpu_s\": %.3f}\n",
	       batches->commands, batches->count, batches->rows, seconds, (double)batches->commands / seconds,
	       cpu_seconds() - cpu_before);
}

static void measure_bare(PGconn *conn, const char *path, size_t batch_rows)
{
	struct batches batches;

	batches_read(&batches, path, batch_rows, NULL, 0);
	prepare(conn, &update_only);
	measure(conn, &batches, run_bare);
	batches_release(&batches);
}

static void measure_stored(PGconn *conn, const char *path, size_t batch_rows, size_t partition_count)
{
	static const struct statement *const statements[] = {&begin, &update_or_refuse, &outcomes, &positions, &commit};
	struct partition *partitions = xcalloc(partition_count, sizeof(*partitions));
	struct batches batches;

	open_partitions(conn, partitions, partition_count);
	batches_read(&batches, path, batch_rows, partitions, partition_count);
	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
		prepare(conn, statements[i]);
	PQenterPipelineMode(conn);
	measure(conn, &batches, run_stored);
	batches_release(&batches);
	free(partitions);
}

/* Zero when it is not from 1 to max. */
static size_t parse_count(const char *text, long max, const char *what)
{
	long count = strtol(text, NULL, 10);

	if (count >= 1 && count <= max)
		return (size_t)count;
	fprintf(stderr, "raw_update: %s: 1 to %ld\n", what, max);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc > 6) {
		fputs("usage: raw_update CONNINFO SCHEMA FILE [ROWS_PER_BATCH [PARTITIONS]]\n", stderr);
		return 2;
	}
	size_t batch_rows = argc > 4 ? parse_count(argv[4], BATCH_ROWS_MAX, "rows per batch") : BATCH_ROWS;
	size_t partition_count = argc > 5 ? parse_count(argv[5], PARTITIONS_MAX, "partitions") : 0;
	if (batch_rows == 0 || (argc > 5 && partition_count == 0))
		return 2;
	PGconn *conn = open_session(argv[1], argv[2]);
	if (argc > 5)
		measure_stored(conn, argv[3], batch_rows, partition_count);
	else
		measure_bare(conn, argv[3], batch_rows);
	PQfinish(conn);
	return 0;
}
