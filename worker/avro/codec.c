/* The public doors: framing, then the schema it names, then the value. */
#include "avro/encode.h"
#include "avro/schemas.h"

/* All strings view the message. */
static enum decode_status decode(struct schemas *schemas, struct slice message, struct slice schema_header,
				 uint32_t most_attributes, struct arena *arena, enum subject subject, void *into,
				 struct slice *detail)
{
	bool headed = schema_header.base != NULL && schemas->registry != NULL;
	const struct known_schema *known;
	struct frame frame;
	const char *wrong;

	if (headed ? !frame_read_header(message, schema_header, &frame, &wrong) : !frame_read(message, &frame, &wrong)) {
		*detail = slice_cstr(wrong);
		return DECODE_MALFORMED;
	}
	enum decode_status status = schemas_find(schemas, &frame, arena, &known, detail);
	if (status != DECODE_OK)
		return status;
	const struct plan *plan = &known->plans[subject];
	if (plan->unusable.base != NULL) {
		*detail = arena_copy(arena, plan->unusable);
		return DECODE_MALFORMED;
	}
	struct cursor cursor = cursor_over(message, frame.body);
	return plan_read(plan, &cursor, most_attributes, arena, into, detail) ? DECODE_OK : DECODE_MALFORMED;
}

enum decode_status command_decode_headed(struct schemas *schemas, struct slice message, struct slice schema_header,
					 uint32_t most_attributes, struct arena *arena, struct command *command,
					 struct slice *detail)
{
	*command = (struct command){0};
	enum decode_status status = decode(schemas, message, schema_header, most_attributes, arena, SUBJECT_COMMAND, command,
					   detail);
	if (status != DECODE_OK)
		*command = (struct command){0};
	return status;
}

/* The bytes are copied whole: cheaper than a copy of each string. */
enum decode_status command_decode(struct schemas *schemas, struct slice message, struct arena *arena,
				  struct command *command, struct slice *detail)
{
	return command_decode_headed(schemas, arena_copy(arena, message), SLICE_NONE, ATTRIBUTES_ANY, arena, command, detail);
}

enum decode_status result_decode(struct schemas *schemas, struct slice message, struct arena *arena,
				 struct result *result, struct slice *detail)
{
	*result = (struct result){0};
	enum decode_status status = decode(schemas, arena_copy(arena, message), SLICE_NONE, ATTRIBUTES_ANY, arena, SUBJECT_RESULT,
					   result, detail);
	if (status != DECODE_OK)
		*result = (struct result){0};
	return status;
}

static void put_frame(const struct schemas *schemas, enum subject subject, struct buf *out)
{
	if (schemas->is_registered[subject])
		frame_confluent(schemas->ids[subject], out);
	else
		frame_single_object(schemas->own[subject], out);
}

void command_encode(struct schemas *schemas, const struct command *command, struct buf *out)
{
	put_frame(schemas, SUBJECT_COMMAND, out);
	encode_command(schemas->encoder, command, out);
}

void result_encode(struct schemas *schemas, const struct result *result, struct buf *out)
{
	put_frame(schemas, SUBJECT_RESULT, out);
	encode_result(result, out);
}
