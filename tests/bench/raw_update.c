/* The ceiling: the bench's updates, written from memory by one connection and nothing else. No Kafka, no Avro, no ids, no
 * outcomes, no answers.
 *
 *     raw_update CONNINFO SCHEMA FILE [ROWS_PER_BATCH]
 *
 * FILE holds one command a line, `customer TAB number TAB type TAB description TAB start`, start in milliseconds since
 * 1970, as tests/bench/run.py writes it. A batch is one `UPDATE … FROM unnest(…)` and one transaction, sorted by key, as
 * the worker does it. All batches are made before the clock starts, so that what is timed is PostgreSQL and the wire.
 * libpq is used directly, not by worker/pg: the ceiling must not sink with the code that is measured against it. Prints
 * one line of JSON. */
#include "byunique/buf.h"
#include "byunique/clock.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { FIELDS = 5, BATCH_ROWS = 4000, BATCH_ROWS_MAX = 100000 };
enum field { CUSTOMER, NUMBER, TYPE, DESCRIPTION, START };
enum { TEXT_OID = 25, INT4_OID = 23, TIMESTAMPTZ_OID = 1184 };

struct line {
	struct slice fields[FIELDS];
	size_t place; /* in the file: of two for one record the later counts */
};

struct commands {
	char *text; /* the file; owned, the lines point into it */
	struct line *lines;
	size_t count;
};

struct batch {
	struct buf arrays[FIELDS];
	size_t rows; /* in the arrays: less than the commands when some meet the same record */
};

/* --- the file ----------------------------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		die("raw_update: can't read %s: %s", path, strerror(errno));
	*len = (size_t)ftell(file);
	rewind(file);
	char *text = xmalloc(*len + 1);
	if (fread(text, 1, *len, file) != *len)
		die("raw_update: can't read all of %s", path);
	text[*len] = '\0';
	fclose(file);
	return text;
}

static const char *parse_line(const char *at, const char *end, struct line *line)
{
	for (int field = 0; field < FIELDS; field++) {
		char stop = field == FIELDS - 1 ? '\n' : '\t';
		const char *next = memchr(at, stop, (size_t)(end - at));
		if (next == NULL)
			die("raw_update: command %zu has too few fields", line->place + 1);
		line->fields[field] = slice_of(at, (size_t)(next - at));
		at = next + 1;
	}
	return at;
}

static void read_commands(const char *path, struct commands *commands)
{
	size_t len, room = 0;
	commands->text = read_file(path, &len);
	commands->lines = NULL;
	commands->count = 0;

	const char *end = commands->text + len;
	for (const char *at = commands->text; at < end; commands->count++) {
		if (commands->count == room) {
			room = room ? 2 * room : BATCH_ROWS;
			commands->lines = xrealloc(commands->lines, room * sizeof(*commands->lines));
		}
		struct line *line = &commands->lines[commands->count];
		line->place = commands->count;
		at = parse_line(at, end, line);
	}
	if (commands->count == 0)
		die("raw_update: %s is empty", path);
}

/* --- batches -------------------------------------------------------------------------------------------------------- */

static int compare_keys(const struct line *a, const struct line *b)
{
	int order = slice_compare(a->fields[CUSTOMER], b->fields[CUSTOMER]);
	return order ? order : slice_compare(a->fields[NUMBER], b->fields[NUMBER]);
}

static int compare_lines(const void *left, const void *right)
{
	const struct line *a = left, *b = right;
	int order = compare_keys(a, b);
	return order ? order : (a->place > b->place) - (a->place < b->place);
}

/* One dimension, no nulls: array_recv() in PostgreSQL's source tells the format. */
static void array_begin(struct buf *array, uint32_t oid, size_t rows)
{
	*array = BUF_EMPTY;
	buf_be32(array, 1);
	buf_be32(array, 0);
	buf_be32(array, oid);
	buf_be32(array, (uint32_t)rows);
	buf_be32(array, 1);
}

static void array_text(struct buf *array, struct slice text)
{
	buf_be32(array, (uint32_t)text.len);
	buf_add(array, text.base, text.len);
}

static void array_row(struct buf *arrays, const struct line *line)
{
	static const int64_t year_2000_ms = INT64_C(946684800000);

	array_text(&arrays[CUSTOMER], line->fields[CUSTOMER]);
	array_text(&arrays[NUMBER], line->fields[NUMBER]);
	array_text(&arrays[DESCRIPTION], line->fields[DESCRIPTION]);
	buf_be32(&arrays[TYPE], sizeof(int32_t));
	buf_be32(&arrays[TYPE], (uint32_t)strtol(line->fields[TYPE].base, NULL, 10));
	buf_be32(&arrays[START], sizeof(int64_t));
	buf_be64(&arrays[START], (uint64_t)((strtoll(line->fields[START].base, NULL, 10) - year_2000_ms) * 1000));
}

/* Keeps the last of the lines for one record, in place. */
static size_t fold(struct line *lines, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || compare_keys(&lines[i], &lines[i + 1]) != 0)
			lines[kept++] = lines[i];
	return kept;
}

static void make_batch(struct batch *batch, struct line *lines, size_t count)
{
	static const uint32_t oids[FIELDS] = {TEXT_OID, TEXT_OID, INT4_OID, TEXT_OID, TIMESTAMPTZ_OID};

	qsort(lines, count, sizeof(*lines), compare_lines);
	batch->rows = fold(lines, count);
	for (int field = 0; field < FIELDS; field++)
		array_begin(&batch->arrays[field], oids[field], batch->rows);
	for (size_t i = 0; i < batch->rows; i++)
		array_row(batch->arrays, &lines[i]);
}

static struct batch *make_batches(struct commands *commands, size_t batch_rows, size_t *count)
{
	*count = (commands->count + batch_rows - 1) / batch_rows;
	struct batch *batches = xcalloc(*count, sizeof(*batches));
	for (size_t i = 0, at = 0; i < *count; i++, at += batch_rows) {
		size_t left = commands->count - at;
		make_batch(&batches[i], commands->lines + at, left < batch_rows ? left : batch_rows);
	}
	return batches;
}

static void free_batches(struct batch *batches, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (int field = 0; field < FIELDS; field++)
			buf_release(&batches[i].arrays[field]);
	free(batches);
}

/* --- PostgreSQL ------------------------------------------------------------------------------------------------------- */

static PGresult *expect(PGconn *conn, PGresult *answer, const char *what)
{
	if (PQresultStatus(answer) != PGRES_COMMAND_OK)
		die("raw_update: %s: %s", what, PQerrorMessage(conn));
	return answer;
}

static void execute(PGconn *conn, const char *sql)
{
	PQclear(expect(conn, PQexec(conn, sql), sql));
}

/* The same plan as the worker's: nested loops over the index, in the order of the keys. */
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
	PQclear(expect(conn,
		       PQprepare(conn, "update",
				 "UPDATE ext_phone AS e\n"
				 "SET phonetype = t.type, description = t.description, start_availabilty = t.start\n"
				 "FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::timestamptz[])\n"
				 "  AS t (customer_id, number, type, description, start)\n"
				 "WHERE e.customer_id = t.customer_id AND e.phonenumber = t.number",
				 0, NULL),
		       "the statement can't be prepared"));
	return conn;
}

/* How many records it found. */
static long run_batch(PGconn *conn, const struct batch *batch)
{
	static const int binary[FIELDS] = {1, 1, 1, 1, 1};
	const char *values[FIELDS];
	int lengths[FIELDS];

	for (int field = 0; field < FIELDS; field++) {
		values[field] = batch->arrays[field].base;
		lengths[field] = (int)batch->arrays[field].len;
	}
	PGresult *answer = expect(conn, PQexecPrepared(conn, "update", FIELDS, values, lengths, binary, 1), "a batch failed");
	long updated = strtol(PQcmdTuples(answer), NULL, 10);
	PQclear(answer);
	return updated;
}

/* --- the measurement ---------------------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void measure(PGconn *conn, const struct batch *batches, size_t batch_count, size_t command_count)
{
	size_t rows = 0;
	long updated = 0;
	double cpu_before = cpu_seconds();
	int64_t started_us = clock_mono_us();

	for (size_t i = 0; i < batch_count; i++) {
		updated += run_batch(conn, &batches[i]);
		rows += batches[i].rows;
	}
	double seconds = (double)(clock_mono_us() - started_us) / 1e6;
	printf("{\"commands\": %zu, \"batches\": %zu, \"rows\": %zu, \"updated\": %ld, \"seconds\": %.6f, "
	       "\"rows_per_s\": %.0f, \"cpu_s\": %.3f}\n",
	       command_count, batch_count, rows, updated, seconds, (double)command_count / seconds,
	       cpu_seconds() - cpu_before);
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fputs("usage: raw_update CONNINFO SCHEMA FILE [ROWS_PER_BATCH]\n", stderr);
		return 2;
	}
	long batch_rows = argc == 5 ? strtol(argv[4], NULL, 10) : BATCH_ROWS;
	if (batch_rows < 1 || batch_rows > BATCH_ROWS_MAX) {
		fprintf(stderr, "raw_update: rows per batch: 1 to %d\n", BATCH_ROWS_MAX);
		return 2;
	}
	struct commands commands;
	size_t batch_count;
	read_commands(argv[3], &commands);
	struct batch *batches = make_batches(&commands, (size_t)batch_rows, &batch_count);
	PGconn *conn = open_session(argv[1], argv[2]);
	measure(conn, batches, batch_count, commands.count);
	PQfinish(conn);
	free_batches(batches, batch_count);
	free(commands.lines);
	free(commands.text);
	return 0;
}
