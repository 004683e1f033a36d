/* CSV cells become the values that a command carries for the attribute's type. JSON and Avro have types of their own: their
 * values are taken as they are and only checked, so "5" is no integer here either. */
#include "cli/rows.h"

#include "base/nearest.h"
#include "byunique/avro_file.h"
#include "byunique/cell.h"
#include "byunique/json_lines.h"
#include "cli/header.h"
#include "model/input.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MALFORMED_ROW "MalformedRow"

struct rows {
	struct rows_source source;
	const struct extension *given; /* the source's ext_name; NULL: none */
	uint64_t number;
	bool had_mark;
	struct row_fault fault;
	struct json_lines *lines; /* NULL but for JSON Lines */
	struct avro_file *file;	  /* NULL but for Avro */

	struct csv *csv; /* NULL but for CSV */
	struct csv_record record;
	struct header header;
	const char **targets;		    /* by column: what it holds, or NULL: it is passed over; owned */
	int customer, command_id, ext_name; /* their columns, or -1 */
	const struct extension *mapped;	    /* what `attributes` is about; NULL: nothing yet */
	int *attributes;		    /* by column: index into the extension's, or -1; owned */
};

/* --- faults ------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct rows *rows)
{
	if (rows->csv != NULL)
		return csv_name(rows->csv);
	return rows->lines != NULL ? json_lines_name(rows->lines) : avro_file_name(rows->file);
}

static void set_fault(struct rows *rows, int status, const char *code, struct slice attribute, int column)
{
	struct row_fault *fault = &rows->fault;
	size_t room = sizeof(fault->attribute) - 1;

	*fault = (struct row_fault){.status = status, .code = code, .column = column};
	if (attribute.len > room)
		attribute.len = slice_whole(slice_of(attribute.base, room));
	if (attribute.len > 0)
		memcpy(fault->attribute, attribute.base, attribute.len);
}

static enum rows_step BYU_PRINTF(6, 7) bad_row(struct rows *rows, struct err *err, enum outcome_code code,
					       struct slice attribute, int column, const char *fmt, ...)
{
	va_list args;

	set_fault(rows, outcome_status(code), outcome_name(code), attribute, column);
	va_start(args, fmt);
	vsnprintf(rows->fault.reason, sizeof(rows->fault.reason), fmt, args);
	va_end(args);
	rows->fault.reason[slice_whole(slice_cstr(rows->fault.reason))] = '\0';
	line_error(err, name_of(rows), rows_line(rows), "%s", rows->fault.reason);
	return ROWS_BAD;
}

/* The reader found it; its message leads with `FILE:LINE: `, and the reason may begin with a number as well. */
static enum rows_step unreadable_row(struct rows *rows, const struct err *err)
{
	size_t name = strlen(name_of(rows));
	const char *reason = err->what;

	set_fault(rows, 400, MALFORMED_ROW, SLICE_NONE, -1);
	if (strlen(reason) > name) {
		const char *line_end = strstr(reason + name, ": ");
		reason = line_end != NULL ? line_end + 2 : reason + name;
	}
	snprintf(rows->fault.reason, sizeof(rows->fault.reason), "%.199s", reason);
	return ROWS_BAD;
}

void rows_accuse(struct rows *rows, const struct outcome *outcome, struct err *err)
{
	int column = -1;

	for (size_t i = 0; rows->csv != NULL && i < rows->header.count; i++)
		if (rows->targets[i] != NULL && slice_equal_nocase(slice_cstr(rows->targets[i]), outcome->attribute))
			column = (int)i;
	bad_row(rows, err, outcome->code, outcome->attribute, column, SLICE_FMT, SLICE_ARG(outcome->detail));
}

static void suggest_attribute(const struct extension *extension, struct slice name, struct err *err)
{
	char wanted[NEAREST_MAX + 1];
	struct nearest nearest;

	snprintf(wanted, sizeof(wanted), SLICE_FMT, SLICE_ARG(name));
	nearest_init(&nearest, wanted);
	for (unsigned i = 0; i < extension->attribute_count; i++)
		nearest_consider(&nearest, extension->attributes[i].name);
	if (nearest_is_close(&nearest))
		err_hint(err, "Did you mean %s?", nearest.found);
}

static enum rows_step unknown_attribute(struct rows *rows, const struct extension *extension, struct slice name,
					int column, struct err *err)
{
	int shown = (int)(name.len > 64 ? slice_whole(slice_of(name.base, 64)) : name.len);

	bad_row(rows, err, OUTCOME_UNKNOWN_ATTRIBUTE, name, column, "extension %s has no attribute %.*s",
		extension->name, shown, name.base);
	suggest_attribute(extension, name, err);
	return ROWS_BAD;
}

static enum rows_step find_extension(struct rows *rows, struct slice name, const struct extension **extension,
				     struct err *err)
{
	*extension = name.base != NULL ? catalogue_find(rows->source.catalogue, name) : rows->given;
	if (*extension != NULL)
		return ROWS_GOT;
	if (name.base == NULL) {
		bad_row(rows, err, OUTCOME_INVALID_EXTENSION_NAME, SLICE_NONE, -1, "ext_name is missing");
		err_hint(err, "Give it in the file, or for all with --extension.");
		return ROWS_BAD;
	}
	bad_row(rows, err, OUTCOME_EXTENSION_NOT_FOUND, SLICE_NONE, rows->ext_name, "there is no extension " SLICE_FMT,
		SLICE_ARG(name));
	err_hint(err, "`byunique schema list` shows those that exist.");
	return ROWS_BAD;
}

/* --- the first line of a CSV file ---------------------------------------------------------------------------------- */

static int find_target(const struct rows *rows, const char *target)
{
	for (size_t i = 0; i < rows->header.count; i++)
		if (rows->targets[i] != NULL && slice_equal_nocase(slice_cstr(rows->targets[i]), slice_cstr(target)))
			return (int)i;
	return -1;
}

static bool is_attribute(const struct rows *rows, size_t column)
{
	return rows->targets[column] != NULL && (int)column != rows->customer && (int)column != rows->command_id &&
	       (int)column != rows->ext_name;
}

static bool header_error(const struct rows *rows, struct err *err, const char *what, const char *name)
{
	return line_error(err, csv_name(rows->csv), rows->header.line, "%s%.64s", what, name);
}

static bool check_mapping(const struct rows *rows, struct err *err)
{
	const struct mapping *mapping = &rows->source.mapping;
	struct nearest nearest;

	for (size_t m = 0; m < mapping->count; m++) {
		if (header_find(&rows->header, mapping->columns[m].column) >= 0)
			continue;
		nearest_init(&nearest, mapping->columns[m].column);
		for (size_t i = 0; i < rows->header.count; i++)
			nearest_consider(&nearest, rows->header.names[i]);
		header_error(rows, err, "there is no column ", mapping->columns[m].column);
		return nearest_is_close(&nearest) ? err_hint(err, "Did you mean %s?", nearest.found)
						  : err_hint(err, "--map and --ignore name columns of the file.");
	}
	return true;
}

static bool choose_targets(struct rows *rows, struct err *err)
{
	rows->targets = xcalloc(rows->header.count, sizeof(*rows->targets));
	for (size_t i = 0; i < rows->header.count; i++) {
		const char *name = rows->header.names[i];
		const struct mapped_column *mapped = mapping_find(&rows->source.mapping, name);
		const char *target = mapped != NULL ? mapped->target : name;
		if (target == NULL || (mapped == NULL && rows_is_result_column(rows, i)))
			continue;
		if (find_target(rows, target) >= 0) {
			header_error(rows, err, "two columns are to hold ", target);
			return err_hint(err, "One of them can be left out with --ignore.");
		}
		rows->targets[i] = target;
	}
	return true;
}

static void map_attributes(struct rows *rows, const struct extension *extension)
{
	for (size_t i = 0; i < rows->header.count; i++)
		rows->attributes[i] =
			rows->targets[i] ? extension_find(extension, slice_cstr(rows->targets[i])) : -1;
	rows->mapped = extension;
}

/* All of them are named: who maps columns does not want to learn of them one by one. */
static bool unknown_columns(struct rows *rows, size_t first, struct err *err)
{
	struct buf others = BUF_EMPTY;

	for (size_t i = first + 1; i < rows->header.count; i++)
		if (is_attribute(rows, i) && rows->attributes[i] < 0)
			buf_printf(&others, "%s%s", others.len ? ", " : "", rows->targets[i]);
	line_error(err, csv_name(rows->csv), rows->header.line, "extension %s has no attribute %.64s",
		   rows->mapped->name, rows->targets[first]);
	if (others.len > 0)
		err_detail(err, "also unknown: %.400s", others.base);
	suggest_attribute(rows->mapped, slice_cstr(rows->targets[first]), err);
	struct err near = *err;
	err_hint(err, "%s%sSay what it holds with --map \"%.64s=…\", or leave it out with --ignore.", near.hint,
		 near.hint[0] ? " " : "", rows->header.names[first]);
	buf_release(&others);
	return false;
}

/* With one extension for all rows, the first line tells already. */
static bool check_columns(struct rows *rows, struct err *err)
{
	for (size_t i = 0; i < rows->header.count; i++)
		if (is_attribute(rows, i) && rows->attributes[i] < 0)
			return unknown_columns(rows, i, err);
	for (unsigned k = 0; k < rows->mapped->unique_count; k++) {
		const char *name = rows->mapped->attributes[rows->mapped->unique[k]].name;
		if (find_target(rows, name) >= 0)
			continue;
		header_error(rows, err, "there is no column for the unique attribute ", name);
		return err_hint(err, "When it is there under another name: --map \"COLUMN=%s\".", name);
	}
	return true;
}

static bool no_customer(const struct rows *rows, struct err *err)
{
	header_error(rows, err, "there is no column ", "customer_id");
	if (rows->header.count == 1 && csv_delimiter(rows->csv) == ',')
		return err_hint(err, "Are the cells separated by something else? --delimiter says by what.");
	return err_hint(err, "When it is there under another name: --map \"COLUMN=customer_id\".");
}

static bool open_csv(struct rows *rows, struct input *input, struct err *err)
{
	if (!csv_open_input(&rows->csv, input, rows->source.delimiter, err) ||
	    !header_read(rows->csv, &rows->header, err) || !check_mapping(rows, err) || !choose_targets(rows, err))
		return false;
	rows->attributes = xcalloc(rows->header.count, sizeof(*rows->attributes));
	rows->customer = find_target(rows, "customer_id");
	rows->command_id = find_target(rows, "command_id");
	rows->ext_name = find_target(rows, "ext_name");
	if (rows->customer < 0)
		return no_customer(rows, err);
	if (rows->ext_name >= 0)
		return true;
	if (rows->given == NULL) {
		header_error(rows, err, "ext_name is missing", "");
		return err_hint(err, "Give it in the file, or for all with --extension.");
	}
	map_attributes(rows, rows->given);
	return check_columns(rows, err);
}

/* --- CSV ---------------------------------------------------------------------------------------------------------- */

/* The cell, or absent where it is empty or there is no such column. */
static struct slice cell_of(const struct csv_record *record, int column)
{
	return column < 0 || record->cells[column].len == 0 ? SLICE_NONE : record->cells[column];
}

static enum rows_step convert_cell(struct rows *rows, size_t column, struct named_value *to, struct err *err)
{
	struct slice text = rows->record.cells[column];
	const char *reason;

	if (rows->attributes[column] < 0)
		return unknown_attribute(rows, rows->mapped, slice_cstr(rows->targets[column]), (int)column, err);
	const struct attribute *attribute = &rows->mapped->attributes[rows->attributes[column]];
	to->name = slice_cstr(attribute->name);
	to->value.kind = VALUE_NULL;
	if (rows->source.null_text != NULL && slice_equal(text, slice_cstr(rows->source.null_text)))
		return ROWS_GOT;
	if (value_from_text(attribute, text, &to->value, &reason))
		return ROWS_GOT;
	return bad_row(rows, err, OUTCOME_INVALID_ATTRIBUTE_VALUE, to->name, (int)column, "attribute %s %s",
		       attribute->name, reason);
}

static enum rows_step convert_record(struct rows *rows, struct arena *arena, struct command *command, struct err *err)
{
	const struct csv_record *record = &rows->record;
	const struct extension *extension;
	enum rows_step step;

	command->command_id = cell_of(record, rows->command_id);
	command->customer_id = record->cells[rows->customer];
	if ((step = find_extension(rows, cell_of(record, rows->ext_name), &extension, err)) != ROWS_GOT)
		return step;
	if (extension != rows->mapped)
		map_attributes(rows, extension);
	command->ext_name = slice_cstr(extension->name);
	command->attributes = arena_array(arena, struct named_value, record->count);
	bool clears_empty = rows->source.null_text != NULL && rows->source.null_text[0] == '\0';
	for (size_t i = 0; i < record->count && step == ROWS_GOT; i++)
		if (is_attribute(rows, i) && (record->cells[i].len > 0 || clears_empty))
			step = convert_cell(rows, i, &command->attributes[command->attribute_count++], err);
	return step;
}

static enum rows_step next_of_csv(struct rows *rows, struct arena *arena, struct command *command, struct err *err)
{
	bool got;

	if (!csv_next(rows->csv, &rows->record, &got, err))
		return csv_can_go_on(rows->csv) ? unreadable_row(rows, err) : ROWS_FAILED;
	return got ? convert_record(rows, arena, command, err) : ROWS_END;
}

/* --- JSON Lines and Avro ------------------------------------------------------------------------------------------ */

static enum rows_step check_value(struct rows *rows, const struct extension *extension,
				  const struct named_value *given, struct err *err)
{
	int index = extension_find(extension, given->name);
	const char *reason;
	struct cell cell;

	if (index < 0)
		return unknown_attribute(rows, extension, given->name, -1, err);
	const struct attribute *attribute = &extension->attributes[index];
	if (given->value.kind == VALUE_NULL || cell_from_value(attribute, &given->value, &cell, &reason))
		return ROWS_GOT;
	bad_row(rows, err, OUTCOME_INVALID_ATTRIBUTE_VALUE, slice_cstr(attribute->name), -1,
		"attribute %s, of type %s, %s", attribute->name, attribute_type_name(attribute->type), reason);
	if (attribute->type == TYPE_CURRENCY && given->value.kind == VALUE_DOUBLE)
		err_hint(err, "Write an amount with a fraction as a string: \"12.50\".");
	return ROWS_BAD;
}

static enum rows_step check_command(struct rows *rows, struct command *command, struct err *err)
{
	const struct extension *extension;
	enum rows_step step = find_extension(rows, command->ext_name, &extension, err);

	if (step != ROWS_GOT)
		return step;
	command->ext_name = slice_cstr(extension->name);
	for (uint32_t i = 0; i < command->attribute_count && step == ROWS_GOT; i++)
		step = check_value(rows, extension, &command->attributes[i], err);
	return step;
}

static enum rows_step next_of_json(struct rows *rows, struct arena *arena, struct command *command, struct err *err)
{
	bool got;

	if (!json_lines_next(rows->lines, arena, command, &got, err))
		return json_lines_can_go_on(rows->lines) ? unreadable_row(rows, err) : ROWS_FAILED;
	return got ? check_command(rows, command, err) : ROWS_END;
}

static enum rows_step next_of_avro(struct rows *rows, struct arena *arena, struct command *command, struct err *err)
{
	bool got;

	if (!avro_file_next(rows->file, arena, command, &got, err))
		return ROWS_FAILED;
	return got ? check_command(rows, command, err) : ROWS_END;
}

/* --- the format --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum rows_format format;
} formats[] = {{"csv", ROWS_CSV}, {"jsonl", ROWS_JSON_LINES}, {"ndjson", ROWS_JSON_LINES}, {"avro", ROWS_AVRO}};

enum { FORMATS = sizeof(formats) / sizeof(*formats) };

bool rows_format_parse(const char *text, enum rows_format *format, struct err *err)
{
	for (size_t i = 0; i < FORMATS; i++) {
		*format = formats[i].format;
		if (strcmp(text, formats[i].name) == 0)
			return true;
	}
	err_set(err, VERDICT_USAGE, "", "unknown format %.64s", text);
	return err_hint(err, "Use --format csv, jsonl or avro.");
}

static enum rows_format format_by_name(const char *path)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot != NULL && i < FORMATS; i++)
		if (strcasecmp(dot + 1, formats[i].name) == 0)
			return formats[i].format;
	return ROWS_ANY;
}

/* Avro and JSON begin as nothing else does. What looks like neither is not taken for CSV: nearly anything could be. */
static enum rows_format format_by_beginning(struct slice text)
{
	if (text.len >= 4 && memcmp(text.base, AVRO_FILE_MAGIC, 4) == 0)
		return ROWS_AVRO;
	while (text.len > 0 && strchr(" \t\r\n", *text.base) != NULL && *text.base != '\0')
		text = slice_of(text.base + 1, text.len - 1);
	return text.len > 0 && *text.base == '{' ? ROWS_JSON_LINES : ROWS_ANY;
}

static bool choose_format(struct rows *rows, struct input *input, struct err *err)
{
	struct rows_source *source = &rows->source;

	if (source->format == ROWS_ANY)
		source->format = format_by_name(source->path);
	if (source->format == ROWS_ANY && !input_fill(input, 512, err))
		return false;
	if (source->format == ROWS_ANY)
		source->format = format_by_beginning(input_rest(input));
	if (source->format == ROWS_ANY) {
		err_set(err, VERDICT_USAGE, "", "neither its name nor its beginning tells the format of %.128s", input->name);
		return err_hint(err, "Use --format csv, --format jsonl or --format avro.");
	}
	if (source->format == ROWS_CSV || (source->mapping.count == 0 && source->null_text == NULL && source->delimiter == '\0'))
		return true;
	return err_set(err, VERDICT_USAGE, "", "--map, --ignore, --null and --delimiter are for CSV files");
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static bool choose_extension(struct rows *rows, struct err *err)
{
	const struct catalogue *catalogue = rows->source.catalogue;
	struct nearest nearest;

	if (rows->source.ext_name == NULL)
		return true;
	rows->given = catalogue_find(catalogue, slice_cstr(rows->source.ext_name));
	if (rows->given != NULL)
		return true;
	nearest_init(&nearest, rows->source.ext_name);
	for (uint32_t i = 0; i < catalogue->extension_count; i++)
		nearest_consider(&nearest, catalogue->extensions[i].name);
	err_set(err, VERDICT_USAGE, "", "there is no extension %.64s", rows->source.ext_name);
	if (nearest_is_close(&nearest))
		return err_hint(err, "Did you mean %s? `byunique schema list` shows those that exist.", nearest.found);
	return err_hint(err, "`byunique schema list` shows those that exist.");
}

static bool open_reader(struct rows *rows, struct input *input, struct err *err)
{
	if (!choose_format(rows, input, err)) {
		input_close(input);
		return false;
	}
	rows->had_mark = input->had_mark;
	if (rows->source.format == ROWS_CSV)
		return open_csv(rows, input, err);
	if (rows->source.format == ROWS_AVRO)
		return avro_file_open(&rows->file, input, err);
	json_lines_open_input(&rows->lines, input);
	return true;
}

bool rows_open(struct rows **out, const struct rows_source *source, struct err *err)
{
	struct rows *rows = xcalloc(1, sizeof(*rows));
	struct input input;

	rows->source = *source;
	rows->ext_name = -1;
	bool ok = choose_extension(rows, err) && input_open(&input, source->path, err) && open_reader(rows, &input, err);
	if (!ok) {
		rows_close(rows);
		rows = NULL;
	}
	*out = rows;
	return ok;
}

enum rows_step rows_next(struct rows *rows, struct arena *arena, struct command *command, struct err *err)
{
	*command = (struct command){0};
	rows->number++;
	if (rows->csv != NULL)
		return next_of_csv(rows, arena, command, err);
	return rows->lines != NULL ? next_of_json(rows, arena, command, err) : next_of_avro(rows, arena, command, err);
}

uint64_t rows_number(const struct rows *rows)
{
	return rows->number;
}

uint64_t rows_line(const struct rows *rows)
{
	if (rows->csv != NULL)
		return rows->record.line;
	return rows->lines != NULL ? json_lines_line(rows->lines) : avro_file_record(rows->file);
}

const struct row_fault *rows_fault(const struct rows *rows)
{
	return &rows->fault;
}

enum rows_format rows_format(const struct rows *rows)
{
	return rows->source.format;
}

char rows_delimiter(const struct rows *rows)
{
	return csv_delimiter(rows->csv);
}

bool rows_had_mark(const struct rows *rows)
{
	return rows->had_mark;
}

size_t rows_column_count(const struct rows *rows)
{
	return rows->header.count;
}

const char *rows_column(const struct rows *rows, size_t column)
{
	return rows->header.names[column];
}

bool rows_is_result_column(const struct rows *rows, size_t column)
{
	return column < rows->header.count &&
	       strncasecmp(rows->header.names[column], RESULT_COLUMN_PREFIX, strlen(RESULT_COLUMN_PREFIX)) == 0;
}

const struct csv_record *rows_cells(const struct rows *rows)
{
	return &rows->record;
}

struct slice rows_text(const struct rows *rows)
{
	return json_lines_text(rows->lines);
}

void rows_close(struct rows *rows)
{
	if (rows == NULL)
		return;
	csv_close(rows->csv);
	json_lines_close(rows->lines);
	avro_file_close(rows->file);
	header_release(&rows->header);
	free(rows->targets);
	free(rows->attributes);
	free(rows);
}
