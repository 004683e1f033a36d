/* A file holds one command a line, `customer TAB number TAB type TAB description TAB start`, start in milliseconds
 * since 1970, as tests/bench/run.py writes it. The arrays are made here and not by worker/pg: see raw_update.c. */
#include "raw_batch.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIELDS = 5, LINES_FIRST = 4096 };
enum field { CUSTOMER, NUMBER, TYPE, DESCRIPTION, START };
enum oid { BYTEA_OID = 17, INT8_OID = 20, INT4_OID = 23, TEXT_OID = 25, TIMESTAMPTZ_OID = 1184 };

struct line {
	struct slice fields[FIELDS];
	size_t place; /* in the file: of two for one record the later counts */
	const struct partition *partition; /* NULL: there are none */
	int64_t offset;			   /* in the partition */
};

struct commands {
	char *text; /* the file; owned, the lines point into it */
	struct line *lines;
	size_t count;
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
			room = room ? 2 * room : LINES_FIRST;
			commands->lines = xrealloc(commands->lines, room * sizeof(*commands->lines));
		}
		struct line *line = &commands->lines[commands->count];
		*line = (struct line){.place = commands->count};
		at = parse_line(at, end, line);
	}
	if (commands->count == 0)
		die("raw_update: %s is empty", path);
}

static void deal_out(struct commands *commands, const struct partition *partitions, size_t count)
{
	for (size_t i = 0; i < commands->count; i++) {
		commands->lines[i].partition = &partitions[i % count];
		commands->lines[i].offset = partitions[i % count].next_offset + (int64_t)(i / count);
	}
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

/* One dimension, no nulls: array_recv() in PostgreSQL's source tells the format. */
enum { LENGTH_AT = 12 };

static void params_begin(struct params *params, const enum oid *oids, int count)
{
	params->count = count;
	for (int i = 0; i < count; i++) {
		buf_be32(&params->arrays[i], 1);
		buf_be32(&params->arrays[i], 0);
		buf_be32(&params->arrays[i], oids[i]);
		buf_be32(&params->arrays[i], 0);
		buf_be32(&params->arrays[i], 1);
	}
}

static void params_release(struct params *params)
{
	for (int i = 0; i < params->count; i++)
		buf_release(&params->arrays[i]);
}

static void set_length(struct params *params, int first, int count, size_t rows)
{
	uint32_t length = htobe32((uint32_t)rows);
	for (int i = first; i < first + count; i++)
		memcpy(params->arrays[i].base + LENGTH_AT, &length, sizeof(length));
}

static void add_bytes(struct buf *array, struct slice bytes)
{
	buf_be32(array, (uint32_t)bytes.len);
	buf_add(array, bytes.base, bytes.len);
}

static void add_int4(struct buf *array, int32_t v)
{
	buf_be32(array, sizeof(v));
	buf_be32(array, (uint32_t)v);
}

static void add_int8(struct buf *array, int64_t v)
{
	buf_be32(array, sizeof(v));
	buf_be64(array, (uint64_t)v);
}

/* --- the update --------------------------------------------------------------------------------------------------- */

/* Behind the fields: where each change's command lies; then the commands folded into a change, which is told by its
 * number, counted from 1. They miss their record when it does. */
enum { POSITION = FIELDS, OFFSET, FOLDED_INTO, FOLDED_CUSTOMER, FOLDED_POSITION, FOLDED_OFFSET, UPDATE_PARAMS };

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

static void add_change(struct buf *arrays, const struct line *line)
{
	static const int64_t year_2000_ms = INT64_C(946684800000);

	add_bytes(&arrays[CUSTOMER], line->fields[CUSTOMER]);
	add_bytes(&arrays[NUMBER], line->fields[NUMBER]);
	add_int4(&arrays[TYPE], (int32_t)strtol(line->fields[TYPE].base, NULL, 10));
	add_bytes(&arrays[DESCRIPTION], line->fields[DESCRIPTION]);
	add_int8(&arrays[START], (strtoll(line->fields[START].base, NULL, 10) - year_2000_ms) * 1000);
	if (line->partition != NULL) {
		add_int4(&arrays[POSITION], line->partition->position_id);
		add_int8(&arrays[OFFSET], line->offset);
	}
}

static void add_folded(struct buf *arrays, const struct line *line, size_t change)
{
	add_int8(&arrays[FOLDED_INTO], (int64_t)change);
	add_bytes(&arrays[FOLDED_CUSTOMER], line->fields[CUSTOMER]);
	add_int4(&arrays[FOLDED_POSITION], line->partition->position_id);
	add_int8(&arrays[FOLDED_OFFSET], line->offset);
}

/* Of the lines for one record the last is the change. Returns how many changes there are. */
static size_t make_update(struct params *update, struct line *lines, size_t count)
{
	static const enum oid oids[UPDATE_PARAMS] = {TEXT_OID, TEXT_OID, INT4_OID, TEXT_OID, TIMESTAMPTZ_OID, INT4_OID,
						     INT8_OID, INT8_OID, TEXT_OID, INT4_OID, INT8_OID};
	bool partitioned = lines[0].partition != NULL;
	size_t changes = 0;

	params_begin(update, oids, partitioned ? UPDATE_PARAMS : FIELDS);
	qsort(lines, count, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < count; i++) {
		if (i + 1 == count || compare_keys(&lines[i], &lines[i + 1]) != 0) {
			add_change(update->arrays, &lines[i]);
			changes++;
		} else if (partitioned) {
			add_folded(update->arrays, &lines[i], changes + 1);
		}
	}
	set_length(update, 0, partitioned ? FOLDED_INTO : FIELDS, changes);
	if (partitioned)
		set_length(update, FOLDED_INTO, UPDATE_PARAMS - FOLDED_INTO, count - changes);
	return changes;
}

/* --- outcomes and positions --------------------------------------------------------------------------------------- */

/* Bytes that don't compress, as hashes and ids don't: splitmix64. */
static uint64_t noise(uint64_t n)
{
	n = (n + 1) * UINT64_C(0x9E3779B97F4A7C15);
	n = (n ^ (n >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94D049BB133111EB);
	return n ^ (n >> 31);
}

/* What schemas/migrations/001.sql says of entries and ids: 5 bytes and 28 bytes. */
static void add_entry(const struct line *line, int64_t distance, int64_t first_offset, struct buf *entries,
		      struct buf *ids)
{
	uint64_t seed = 4 * line->place;

	buf_varint(entries, (uint64_t)distance);
	buf_be32(entries, (uint32_t)noise(seed));
	buf_be64(ids, noise(seed + 1));
	buf_be64(ids, noise(seed + 2));
	buf_be64(ids, noise(seed + 3));
	buf_be32(ids, (uint32_t)(line->offset - first_offset));
}

static void add_progress(struct batch *batch, const struct partition *partition, int64_t first, int64_t last,
			 const struct buf *entries, const struct buf *ids)
{
	struct buf *outcome = batch->outcomes.arrays, *position = batch->positions.arrays;

	add_int4(outcome++, partition->position_id);
	add_int8(outcome++, first);
	add_int8(outcome++, last);
	add_bytes(outcome++, buf_slice(entries));
	add_bytes(outcome, buf_slice(ids));
	add_int4(position++, partition->position_id);
	add_int8(position++, last + 1);
	add_int8(position++, last);
	add_int8(position++, (int64_t)noise((uint64_t)last));
	add_int8(position, first); /* as if the results of all batches before were published */
}

/* False: the batch has nothing of that partition. The lines are in the file's order. */
static bool add_partition(struct batch *batch, const struct partition *partition, const struct line *lines,
			  size_t count)
{
	struct buf entries = BUF_EMPTY, ids = BUF_EMPTY;
	int64_t first = -1, last = -1;

	for (size_t i = 0; i < count; i++) {
		if (lines[i].partition != partition)
			continue;
		if (first < 0)
			first = last = lines[i].offset;
		add_entry(&lines[i], lines[i].offset - last, first, &entries, &ids);
		last = lines[i].offset;
	}
	if (first >= 0)
		add_progress(batch, partition, first, last, &entries, &ids);
	buf_release(&entries);
	buf_release(&ids);
	return first >= 0;
}

static void make_progress(struct batch *batch, const struct partition *partitions, size_t partition_count,
			  const struct line *lines, size_t count)
{
	enum { ARRAYS = 5 };
	static const enum oid outcome_oids[ARRAYS] = {INT4_OID, INT8_OID, INT8_OID, BYTEA_OID, BYTEA_OID};
	static const enum oid position_oids[ARRAYS] = {INT4_OID, INT8_OID, INT8_OID, INT8_OID, INT8_OID};
	size_t rows = 0;

	params_begin(&batch->outcomes, outcome_oids, ARRAYS);
	params_begin(&batch->positions, position_oids, ARRAYS);
	for (size_t i = 0; i < partition_count; i++)
		rows += add_partition(batch, &partitions[i], lines, count);
	set_length(&batch->outcomes, 0, ARRAYS, rows);
	set_length(&batch->positions, 0, ARRAYS, rows);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

void batches_read(struct batches *batches, const char *path, size_t batch_rows, const struct partition *partitions,
		  size_t partition_count)
{
	struct commands commands;

	read_commands(path, &commands);
	if (partition_count > 0)
		deal_out(&commands, partitions, partition_count);
	*batches = (struct batches){.commands = commands.count};
	batches->count = (commands.count + batch_rows - 1) / batch_rows;
	batches->list = xcalloc(batches->count, sizeof(*batches->list));
	for (size_t i = 0, at = 0; i < batches->count; i++, at += batch_rows) {
		size_t left = commands.count - at, count = left < batch_rows ? left : batch_rows;
		struct line *lines = commands.lines + at;
		if (partition_count > 0) /* before the update sorts them */
			make_progress(&batches->list[i], partitions, partition_count, lines, count);
		batches->rows += make_update(&batches->list[i].update, lines, count);
	}
	free(commands.lines);
	free(commands.text);
}

void batches_release(struct batches *batches)
{
	for (size_t i = 0; i < batches->count; i++) {
		params_release(&batches->list[i].update);
		params_release(&batches->list[i].outcomes);
		params_release(&batches->list[i].positions);
	}
	free(batches->list);
}
