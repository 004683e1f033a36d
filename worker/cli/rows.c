/* CSV cells become the values that a command carries for the attribute's type. JSON has types of its own: its values
 * are taken as they are and only checked, so "5" is no integer here either. */
#include "cli/rows.h"

#include "byunique/cell.h"
#include "byunique/csv.h"
#include "byunique/json_lines.h"
#include "cli/header.h"

#include <stdlib.h>

struct rows {
	struct rows_source source;
	const struct extension *given; /* the source's ext_name; NULL: none */
	uint64_t number;
	struct json_lines *lines; /* NULL for CSV */

	struct csv *csv; /* NULL for JSON Lines */
	struct header header;
	int customer, command_id, ext_name; /* their columns, or -1 */
	const struct extension *mapped;	    /* what `attributes` is about; NULL: nothing yet */
	int *attributes;		    /* by column: index into the extension's, or -1; owned */
};

static bool find_extension(const struct rows *rows, struct slice name, const char *file, uint64_t line,
			   const struct extension **extension, struct err *err)
{
	*extension = name.base != NULL ? catalogue_find(rows->source.catalogue, name) : rows->given;
	if (*extension != NULL)
		return true;
	if (name.base == NULL) {
		line_error(err, file, line, "ext_name is missing");
		return err_hint(err, "Give it in the file, or for all with --extension.");
	}
	line_error(err, file, line, "there is no extension " SLICE_FMT, SLICE_ARG(name));
	return err_hint(err, "`byunique schema list` shows those that exist.");
}

/* --- CSV ---------------------------------------------------------------------------------------------------------- */

static bool is_attribute(const struct rows *rows, size_t column)
{
	return (int)column != rows->customer && (int)column != rows->command_id && (int)column != rows->ext_name;
}

static void map_columns(struct rows *rows, const struct extension *extension)
{
	for (size_t i = 0; i < rows->header.count; i++)
		rows->attributes[i] = extension_find(extension, slice_cstr(rows->header.names[i]));
	rows->mapped = extension;
}

static bool unknown_attribute(const struct rows *rows, size_t column, uint64_t line, struct err *err)
{
	return line_error(err, csv_name(rows->csv), line, "extension %s has no attribute %.64s", rows->mapped->name,
			  rows->header.names[column]);
}

/* With one extension for all rows, the first line tells already. */
static bool check_columns(const struct rows *rows, struct err *err)
{
	for (size_t i = 0; i < rows->header.count; i++)
		if (is_attribute(rows, i) && rows->attributes[i] < 0)
			return unknown_attribute(rows, i, rows->header.line, err);
	for (unsigned k = 0; k < rows->mapped->unique_count; k++) {
		const char *name = rows->mapped->attributes[rows->mapped->unique[k]].name;
		if (header_find(&rows->header, name) < 0)
			return line_error(err, csv_name(rows->csv), rows->header.line,
					  "there is no column for the unique attribute %s", name);
	}
	return true;
}

static bool open_csv(struct rows *rows, struct err *err)
{
	if (!csv_open(&rows->csv, rows->source.path, err) || !header_read(rows->csv, &rows->header, err))
		return false;
	rows->attributes = xcalloc(rows->header.count, sizeof(*rows->attributes));
	rows->customer = header_find(&rows->header, "customer_id");
	rows->command_id = header_find(&rows->header, "command_id");
	rows->ext_name = header_find(&rows->header, "ext_name");
	if (rows->customer < 0)
		return line_error(err, csv_name(rows->csv), rows->header.line, "there is no column customer_id");
	if (rows->ext_name >= 0)
		return true;
	if (rows->given == NULL)
		return find_extension(rows, SLICE_NONE, csv_name(rows->csv), rows->header.line, &rows->given, err);
	map_columns(rows, rows->given);
	return check_columns(rows, err);
}

/* The cell, or absent where it is empty or there is no such column. */
static struct slice cell_of(const struct csv_record *record, int column)
{
	return column < 0 || record->cells[column].len == 0 ? SLICE_NONE : record->cells[column];
}

static bool convert_cell(const struct rows *rows, const struct csv_record *record, size_t column,
			 struct named_value *to, struct err *err)
{
	struct slice text = record->cells[column];
	const char *reason;

	if (rows->attributes[column] < 0)
		return unknown_attribute(rows, column, record->line, err);
	const struct attribute *attribute = &rows->mapped->attributes[rows->attributes[column]];
	to->name = slice_cstr(attribute->name);
	to->value.kind = VALUE_NULL;
	if (rows->source.null_text != NULL && slice_equal(text, slice_cstr(rows->source.null_text)))
		return true;
	if (value_from_text(attribute, text, &to->value, &reason))
		return true;
	return line_error(err, csv_name(rows->csv), record->line, "attribute %s %s", attribute->name, reason);
}

static bool convert_record(struct rows *rows, const struct csv_record *record, struct arena *arena,
			   struct command *command, struct err *err)
{
	const struct extension *extension;

	if (!find_extension(rows, cell_of(record, rows->ext_name), csv_name(rows->csv), record->line, &extension, err))
		return false;
	if (extension != rows->mapped)
		map_columns(rows, extension);
	*command = (struct command){.command_id = cell_of(record, rows->command_id),
				    .customer_id = record->cells[rows->customer],
				    .ext_name = slice_cstr(extension->name),
				    .attributes = arena_array(arena, struct named_value, record->count)};
	bool clears_empty = rows->source.null_text != NULL && rows->source.null_text[0] == '\0';
	for (size_t i = 0; i < record->count; i++) {
		if (!is_attribute(rows, i) || (record->cells[i].len == 0 && !clears_empty))
			continue;
		if (!convert_cell(rows, record, i, &command->attributes[command->attribute_count++], err))
			return false;
	}
	return true;
}

static bool next_of_csv(struct rows *rows, struct arena *arena, struct command *command, bool *got, struct err *err)
{
	struct csv_record record;

	if (!csv_next(rows->csv, &record, got, err))
		return false;
	return !*got || convert_record(rows, &record, arena, command, err);
}

/* --- JSON Lines --------------------------------------------------------------------------------------------------- */

static bool check_value(const struct rows *rows, const struct extension *extension, const struct named_value *given,
			struct err *err)
{
	const char *file = json_lines_name(rows->lines), *reason;
	uint64_t line = json_lines_line(rows->lines);
	int index = extension_find(extension, given->name);
	struct cell cell;

	if (index < 0)
		return line_error(err, file, line, "extension %s has no attribute %.64s", extension->name,
				  given->name.base);
	const struct attribute *attribute = &extension->attributes[index];
	if (given->value.kind == VALUE_NULL || cell_from_value(attribute, &given->value, &cell, &reason))
		return true;
	line_error(err, file, line, "attribute %s, of type %s, %s", attribute->name,
		   attribute_type_name(attribute->type), reason);
	if (attribute->type == TYPE_CURRENCY && given->value.kind == VALUE_DOUBLE)
		return err_hint(err, "Write an amount with a fraction as a string: \"12.50\".");
	return false;
}

static bool next_of_json(struct rows *rows, struct arena *arena, struct command *command, bool *got, struct err *err)
{
	const struct extension *extension;

	if (!json_lines_next(rows->lines, arena, command, got, err))
		return false;
	if (!*got)
		return true;
	if (!find_extension(rows, command->ext_name, json_lines_name(rows->lines), json_lines_line(rows->lines),
			    &extension, err))
		return false;
	command->ext_name = slice_cstr(extension->name);
	for (uint32_t i = 0; i < command->attribute_count; i++)
		if (!check_value(rows, extension, &command->attributes[i], err))
			return false;
	return true;
}

/* --- both --------------------------------------------------------------------------------------------------------- */

static bool choose_extension(struct rows *rows, struct err *err)
{
	if (rows->source.ext_name == NULL)
		return true;
	rows->given = catalogue_find(rows->source.catalogue, slice_cstr(rows->source.ext_name));
	if (rows->given != NULL)
		return true;
	err_set(err, VERDICT_USAGE, "", "there is no extension %.64s", rows->source.ext_name);
	return err_hint(err, "`byunique schema list` shows those that exist.");
}

bool rows_open(struct rows **out, const struct rows_source *source, struct err *err)
{
	struct rows *rows = xcalloc(1, sizeof(*rows));

	rows->source = *source;
	bool ok = choose_extension(rows, err) &&
		  (source->format == ROWS_CSV ? open_csv(rows, err) : json_lines_open(&rows->lines, source->path, err));
	if (!ok) {
		rows_close(rows);
		rows = NULL;
	}
	*out = rows;
	return ok;
}

bool rows_next(struct rows *rows, struct arena *arena, struct command *command, bool *got, struct err *err)
{
	rows->number++;
	return rows->csv != NULL ? next_of_csv(rows, arena, command, got, err)
				 : next_of_json(rows, arena, command, got, err);
}

uint64_t rows_number(const struct rows *rows)
{
	return rows->number;
}

void rows_close(struct rows *rows)
{
	if (rows == NULL)
		return;
	csv_close(rows->csv);
	json_lines_close(rows->lines);
	header_release(&rows->header);
	free(rows->attributes);
	free(rows);
}
