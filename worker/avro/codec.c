/* The public doors: framing, then the schema it names, then the value. */
#include "avro/encode.h"
#include "avro/schemas.h"

/* The bytes are copied whole, once, and all strings view that copy: cheaper than a copy of each. */
static bool decode(struct schemas *schemas, struct slice message, struct arena *arena, enum subject subject, void *into,
		   struct slice *detail)
{
	struct frame frame;
	const char *wrong;

	if (!frame_read(message, &frame, &wrong)) {
		*detail = slice_cstr(wrong);
		return false;
	}
	const struct known_schema *known = schemas_find(schemas, &frame, arena, detail);
	if (known == NULL)
		return false;
	const struct plan *plan = &known->plans[subject];
	if (plan->unusable.base != NULL) {
		*detail = arena_copy(arena, plan->unusable);
		return false;
	}
	struct cursor cursor = cursor_over(arena_copy(arena, message), frame.body);
	return plan_read(plan, &cursor, arena, into, detail);
}

enum decode_status command_decode(struct schemas *schemas, struct slice message, struct arena *arena,
				  struct command *command, struct slice *detail)
{
	*command = (struct command){0};
	if (decode(schemas, message, arena, SUBJECT_COMMAND, command, detail))
		return DECODE_OK;
	*command = (struct command){0};
	return DECODE_MALFORMED;
}

enum decode_status result_decode(struct schemas *schemas, struct slice message, struct arena *arena,
				 struct result *result, struct slice *detail)
{
	*result = (struct result){0};
	if (decode(schemas, message, arena, SUBJECT_RESULT, result, detail))
		return DECODE_OK;
	*result = (struct result){0};
	return DECODE_MALFORMED;
}

void command_encode(struct schemas *schemas, const struct command *command, struct buf *out)
{
	frame_single_object(schemas->own[SUBJECT_COMMAND], out);
	encode_command(schemas->encoder, command, out);
}

void result_encode(struct schemas *schemas, const struct result *result, struct buf *out)
{
	frame_single_object(schemas->own[SUBJECT_RESULT], out);
	encode_result(schemas->encoder, result, out);
}
