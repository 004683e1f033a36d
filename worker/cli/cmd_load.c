/* load: a CSV file's rows become an extension's records. Everything is checked here, by the rules that commands are
 * checked by, so that the first bad row is named by its line; PostgreSQL gets what it can take. */
#include "byunique/cli.h"

#include "byunique/cell.h"
#include "byunique/pg_load.h"
#include "cli/header.h"
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique load Phone phones.csv\n"
	"  gunzip -c phones.csv.gz | byunique load Phone - --null NULL\n"
	"\n"
	"Inserts the file's rows as records of a multi-valued extension. Where the customer has a record\n"
	"with the same unique attributes, the file's columns replace its values; columns that the file\n"
	"lacks keep theirs. Profiles that are missing are created. All or nothing: a bad row is told by\n"
	"file and line, and then nothing is stored.\n"
	"\n"
	"The first line names the columns, in any order and case: customer_id and attributes of the\n"
	"extension, all unique ones among them. Two rows for one record are an error. Values are written as\n"
	"in commands: 2024-02-29, 2009-12-18T18:30:00Z, -12.50, true.\n"
	"\n"
	"An empty cell is null. With --null TEXT a cell that holds TEXT is null, and an empty cell of a\n"
	"string attribute is the empty string. FILE - is standard input.";

static const struct option_spec options[] = {
	{"null", "TEXT", "this text in a cell stands for null"},
	{"json", NULL, "print what was done as JSON"},
	{NULL, NULL, NULL},
};

struct loading {
	struct csv *csv;
	struct header header;
	struct pg_load *load;
	const struct extension *extension;
	const char *null_text; /* NULL: none */
	size_t customer;       /* column of customer_id */
	size_t count;	       /* of attributes among the columns */
	uint16_t *attributes;  /* their indexes; owned */
	size_t *columns;       /* and their columns; owned */
	struct cell *cells;    /* of the row at hand; owned */
};

/* --- columns ------------------------------------------------------------------------------------------------------ */

static bool map_columns(struct loading *loading, struct err *err)
{
	const struct header *header = &loading->header;
	int customer = header_find(header, "customer_id");

	if (customer < 0)
		return line_error(err, csv_name(loading->csv), header->line, "there is no column customer_id");
	loading->customer = (size_t)customer;
	loading->attributes = xcalloc(header->count, sizeof(*loading->attributes));
	loading->columns = xcalloc(header->count, sizeof(*loading->columns));
	loading->cells = xcalloc(header->count, sizeof(*loading->cells));
	for (size_t i = 0; i < header->count; i++) {
		int attribute = extension_find(loading->extension, slice_cstr(header->names[i]));
		if (i == loading->customer)
			continue;
		if (attribute < 0)
			return line_error(err, csv_name(loading->csv), header->line,
					  "extension %s has no attribute %.64s", loading->extension->name,
					  header->names[i]);
		loading->columns[loading->count] = i;
		loading->attributes[loading->count++] = (uint16_t)attribute;
	}
	return true;
}

/* A new record could not be made without these. */
static bool check_columns(const struct loading *loading, struct err *err)
{
	for (unsigned a = 0; a < loading->extension->attribute_count; a++) {
		const struct attribute *attribute = &loading->extension->attributes[a];
		if (header_find(&loading->header, attribute->name) >= 0)
			continue;
		if (attribute->unique || (attribute->mandatory && attribute->default_value == NULL))
			return line_error(err, csv_name(loading->csv), loading->header.line,
					  "there is no column for the %s attribute %s",
					  attribute->unique ? "unique" : "mandatory", attribute->name);
	}
	return true;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static const char *customer_fault(struct slice customer_id)
{
	enum { CUSTOMER_ID_MAX_CHARS = 16 };

	if (customer_id.len == 0)
		return "is empty";
	if (memchr(customer_id.base, '\0', customer_id.len) != NULL)
		return "holds the character U+0000";
	if (customer_id.len > CUSTOMER_ID_MAX_CHARS && slice_code_points(customer_id) > CUSTOMER_ID_MAX_CHARS)
		return "is longer than 16 characters";
	return NULL;
}

static bool is_null(const struct loading *loading, const struct attribute *attribute, struct slice text)
{
	if (text.len == 0)
		return loading->null_text == NULL || loading->null_text[0] == '\0' || attribute->type != TYPE_STRING;
	return loading->null_text != NULL && slice_equal(text, slice_cstr(loading->null_text));
}

static bool convert(const struct loading *loading, const struct attribute *attribute, struct slice text,
		    struct cell *cell, const char **reason)
{
	struct value value;

	cell->null = is_null(loading, attribute, text);
	if (cell->null) {
		*reason = attribute->unique ? "is unique and can't be null" : "is mandatory and can't be null";
		return !attribute->mandatory && !attribute->unique;
	}
	return value_from_text(attribute, text, &value, reason) && cell_from_value(attribute, &value, cell, reason);
}

static bool load_row(struct loading *loading, const struct csv_record *record, struct err *err)
{
	struct slice customer_id = record->cells[loading->customer];
	const char *reason = customer_fault(customer_id);

	if (reason != NULL)
		return line_error(err, csv_name(loading->csv), record->line, "customer_id %s", reason);
	for (size_t i = 0; i < loading->count; i++) {
		const struct attribute *attribute = &loading->extension->attributes[loading->attributes[i]];
		if (!convert(loading, attribute, record->cells[loading->columns[i]], &loading->cells[i], &reason))
			return line_error(err, csv_name(loading->csv), record->line, "attribute %s %s", attribute->name,
					  reason);
	}
	return pg_load_row(loading->load, record->line, customer_id, loading->cells, err);
}

static bool load_rows(struct loading *loading, struct err *err)
{
	struct csv_record record;
	struct progress progress;
	int64_t rows = 0;
	bool ok, got;

	progress_begin(&progress, "rows", 0);
	do {
		ok = csv_next(loading->csv, &record, &got, err) && (!got || load_row(loading, &record, err));
		progress_show(&progress, ++rows);
	} while (ok && got);
	progress_end(&progress);
	return ok;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool load_file(struct loading *loading, struct pg *pg, const char *name, const char *path, int64_t *rows,
		      struct err *err)
{
	if (!pg_check_version(pg, err) || !csv_open(&loading->csv, path, err) ||
	    !pg_load_open(&loading->load, pg, name, err))
		return false;
	loading->extension = pg_load_extension(loading->load);
	return header_read(loading->csv, &loading->header, err) && map_columns(loading, err) &&
	       check_columns(loading, err) && pg_load_begin(loading->load, loading->attributes, loading->count, err) &&
	       load_rows(loading, err) && pg_load_commit(loading->load, csv_name(loading->csv), rows, err);
}

static void report(const struct loading *loading, int64_t rows, bool json)
{
	const char *name = loading->extension->name;

	if (json)
		printf("{\"extension\":\"%s\",\"rows\":%lld}\n", name, (long long)rows);
	else
		printf("%lld record%s of %s loaded\n", (long long)rows, rows == 1 ? "" : "s", name);
}

static void release(struct loading *loading)
{
	pg_load_close(loading->load);
	csv_close(loading->csv);
	header_release(&loading->header);
	free(loading->attributes);
	free(loading->columns);
	free(loading->cells);
}

static int run(const struct cli_args *args)
{
	struct loading loading = {.null_text = cli_option(args, "null")};
	struct pg *pg = NULL;
	struct err err;
	int64_t rows;

	bool ok = pg_open(&pg, args->config, "byunique load", &err) &&
		  load_file(&loading, pg, args->operands[0], args->operands[1], &rows, &err);
	int code = EXIT_DONE;
	if (ok)
		report(&loading, rows, cli_flag(args, "json"));
	else
		code = cli_fail(&err);
	release(&loading);
	pg_close(pg);
	return code;
}

const struct cli_command cmd_load = {
	.name = "load",
	.summary = "insert or replace records of an extension from a CSV file, and profiles that are missing",
	.synopsis = "NAME FILE.csv [--null TEXT] [--json]",
	.help = help,
	.options = options,
	.operands_min = 2,
	.operands_max = 2,
	.needs_config = true,
	.run = run,
};
