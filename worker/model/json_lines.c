/* Each line is a JSON text of its own for jansson; its tree hangs on the caller's arena, so strings need no copy.
 * jansson's own words about a syntax error quote the text, and with it attribute values: they are not passed on. */
#include "byunique/json_lines.h"

#include "input.h"

#include <jansson.h>
#include <stdlib.h>

struct json_lines {
	struct input input;
	uint64_t line;	   /* of the last one read */
	struct slice text; /* of it; absent while it could not be read whole */
};

static bool BYU_PRINTF(3, 4) malformed(const struct json_lines *lines, struct err *err, const char *fmt, ...)
{
	char reason[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return err_set(err, VERDICT_STOP, "", "%s:%llu: %s", lines->input.name, (unsigned long long)lines->line,
		       reason);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static bool is_blank(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.base[i] != ' ' && text.base[i] != '\t' && text.base[i] != '\r')
			return false;
	return true;
}

/* The next line, without its end; absent behind the last one. */
static bool next_line(struct json_lines *lines, struct slice *line, struct err *err)
{
	size_t searched = 0;

	lines->line++;
	for (;;) {
		struct slice rest = input_rest(&lines->input);
		const char *end = memchr(rest.base + searched, '\n', rest.len - searched);
		size_t len = end != NULL ? (size_t)(end - rest.base) : rest.len;
		if (len > JSON_LINE_BYTES_MAX)
			return malformed(lines, err, "a line of more than 64 MiB");
		if (end != NULL || lines->input.ended) {
			*line = end == NULL && len == 0 ? SLICE_NONE : slice_of(rest.base, len);
			input_pass(&lines->input, len + (end != NULL));
			return true;
		}
		searched = rest.len;
		if (!input_more(&lines->input, err))
			return false;
	}
}

/* --- one line to a command ---------------------------------------------------------------------------------------- */

static void drop_tree(void *tree)
{
	json_decref(tree);
}

static const char *syntax_reason(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_invalid_utf8: return "a string that is not UTF-8";
	case json_error_null_character:
	case json_error_null_byte_in_key: return "a string with the character U+0000";
	case json_error_duplicate_key: return "a member that is there twice";
	case json_error_numeric_overflow: return "a number out of range";
	case json_error_end_of_input_expected: return "something behind the object";
	case json_error_premature_end_of_input: return "it ends too early";
	default: return "it is not well-formed";
	}
}

static bool parse_line(const struct json_lines *lines, struct slice text, struct arena *arena, json_t **tree,
		       struct err *err)
{
	json_error_t error;

	*tree = json_loadb(text.base, text.len, JSON_REJECT_DUPLICATES, &error);
	if (*tree == NULL)
		return malformed(lines, err, "not a JSON object: %s (column %d)", syntax_reason(&error), error.column);
	arena_attach(arena, drop_tree, *tree);
	return json_is_object(*tree) || malformed(lines, err, "not a JSON object");
}

static struct slice string_of(const json_t *json)
{
	return slice_of(json_string_value(json), json_string_length(json));
}

static bool take_string(const struct json_lines *lines, const char *name, const json_t *json, struct slice *string,
			struct err *err)
{
	if (json_is_null(json))
		return true;
	if (!json_is_string(json))
		return malformed(lines, err, "%s is no string", name);
	*string = string_of(json);
	return true;
}

static bool take_issued_at(const struct json_lines *lines, const json_t *json, struct command *command, struct err *err)
{
	if (json_is_null(json))
		return true;
	if (!json_is_integer(json))
		return malformed(lines, err, "issued_at is no whole number of milliseconds since 1970-01-01T00:00:00Z");
	command->has_issued_at = true;
	command->issued_at_ms = json_integer_value(json);
	return true;
}

static bool take_value(const json_t *json, struct value *value)
{
	switch (json_typeof(json)) {
	case JSON_NULL: *value = (struct value){.kind = VALUE_NULL}; return true;
	case JSON_TRUE:
	case JSON_FALSE: *value = (struct value){.kind = VALUE_BOOLEAN, .boolean = json_is_true(json)}; return true;
	case JSON_INTEGER: {
		int64_t integer = json_integer_value(json);
		bool is_int = integer >= INT32_MIN && integer <= INT32_MAX;
		*value = (struct value){.kind = is_int ? VALUE_INT : VALUE_LONG, .integer = integer};
		return true;
	}
	case JSON_REAL: *value = (struct value){.kind = VALUE_DOUBLE, .real = json_real_value(json)}; return true;
	case JSON_STRING: *value = (struct value){.kind = VALUE_STRING, .string = string_of(json)}; return true;
	case JSON_OBJECT:
	case JSON_ARRAY: break;
	}
	return false;
}

static bool take_attributes(const struct json_lines *lines, json_t *json, struct arena *arena, struct command *command,
			    struct err *err)
{
	const char *name;
	json_t *member;

	if (!json_is_object(json))
		return malformed(lines, err, "attributes is no object");
	command->attributes = arena_array(arena, struct named_value, json_object_size(json));
	json_object_foreach(json, name, member)
	{
		struct named_value *attribute = &command->attributes[command->attribute_count++];
		attribute->name = slice_cstr(name);
		if (!take_value(member, &attribute->value))
			return malformed(lines, err, "attribute %.64s is %s", name,
					 json_is_array(member) ? "a list" : "an object");
	}
	return true;
}

static bool take_member(const struct json_lines *lines, const char *name, json_t *json, struct arena *arena,
			struct command *command, struct err *err)
{
	if (strcmp(name, "customer_id") == 0)
		return take_string(lines, name, json, &command->customer_id, err);
	if (strcmp(name, "ext_name") == 0)
		return take_string(lines, name, json, &command->ext_name, err);
	if (strcmp(name, "command_id") == 0)
		return take_string(lines, name, json, &command->command_id, err);
	if (strcmp(name, "batch_id") == 0)
		return take_string(lines, name, json, &command->batch_id, err);
	if (strcmp(name, "issued_at") == 0)
		return take_issued_at(lines, json, command, err);
	if (strcmp(name, "attributes") == 0)
		return take_attributes(lines, json, arena, command, err);
	malformed(lines, err, "unknown member \"%.64s\"", name);
	return err_hint(err,
			"A line has the members customer_id, ext_name, attributes, command_id, batch_id, issued_at.");
}

static bool take_command(const struct json_lines *lines, json_t *tree, struct arena *arena, struct command *command,
			 struct err *err)
{
	const char *name;
	json_t *member;

	*command = (struct command){0};
	json_object_foreach(tree, name,
			    member) if (!take_member(lines, name, member, arena, command, err)) return false;
	if (command->customer_id.base == NULL)
		return malformed(lines, err, "customer_id is missing");
	return command->attributes != NULL || malformed(lines, err, "attributes is missing");
}

/* --- the reader --------------------------------------------------------------------------------------------------- */

bool json_lines_next(struct json_lines *lines, struct arena *arena, struct command *command, bool *got, struct err *err)
{
	json_t *tree;

	do {
		lines->text = SLICE_NONE;
		if (!next_line(lines, &lines->text, err))
			return false;
	} while (lines->text.base != NULL && is_blank(lines->text));
	*got = lines->text.base != NULL;
	return !*got || (parse_line(lines, lines->text, arena, &tree, err) && take_command(lines, tree, arena, command, err));
}

bool json_lines_open(struct json_lines **out, const char *path, struct err *err)
{
	struct input input;

	if (!input_open(&input, path, err))
		return false;
	json_lines_open_input(out, &input);
	return true;
}

void json_lines_open_input(struct json_lines **out, struct input *input)
{
	struct json_lines *lines = xcalloc(1, sizeof(*lines));

	lines->input = *input;
	*out = lines;
}

bool json_lines_can_go_on(const struct json_lines *lines)
{
	return lines->text.base != NULL;
}

struct slice json_lines_text(const struct json_lines *lines)
{
	return lines->text;
}

uint64_t json_lines_line(const struct json_lines *lines)
{
	return lines->line;
}

const char *json_lines_name(const struct json_lines *lines)
{
	return lines->input.name;
}

void json_lines_close(struct json_lines *lines)
{
	if (lines == NULL)
		return;
	input_close(&lines->input);
	free(lines);
}
