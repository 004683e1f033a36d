/* Any bytes as JSON Lines: commands with well-formed strings, or refused. */
#include "fuzz.h"

#include "byunique/json_lines.h"

static void check_command(const struct command *command)
{
	HOLDS(slice_is_utf8(command->command_id) && slice_is_utf8(command->customer_id));
	HOLDS(slice_is_utf8(command->ext_name) && slice_is_utf8(command->batch_id));
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		const struct value *value = &command->attributes[i].value;
		HOLDS(slice_is_utf8(command->attributes[i].name));
		HOLDS(value->kind != VALUE_STRING || slice_is_utf8(value->string));
		HOLDS(value->kind != VALUE_INT || (value->integer >= INT32_MIN && value->integer <= INT32_MAX));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena arena;
	struct json_lines *lines;
	struct command command;
	struct err err;
	bool got;

	if (!json_lines_open(&lines, fuzz_file(data, size), &err))
		die("%s", err.what);
	for (;;) {
		arena_clear(&arena);
		if (!json_lines_next(lines, &arena, &command, &got, &err)) {
			HOLDS(err.verdict == VERDICT_STOP);
			check_error(&err);
			break;
		}
		if (!got)
			break;
		check_command(&command);
	}
	json_lines_close(lines);
	return 0;
}
