/* Whatever comes from the commands topic: decoding ends, stays in its bounds, and what it accepts means the same after
 * it was encoded again. Then the command goes through validation against an extension of every type, and its hash is
 * taken.
 *
 * The first byte of an input says how to take the rest: 0, as the body of our own schema behind the right frame; 1, as
 * a result; 2, as a whole message. So the fuzzer need not guess a fingerprint. */
#include "fuzz.h"

#include "../unit/sample.h"
#include "byunique/stages.h"

#define EXTENSION                                                                                                      \
	"{\"name\": \"E\", \"type\": \"multi-valued\", \"unique\": [\"s\"], \"attributes\": ["                         \
	"{\"name\": \"s\", \"type\": \"string\", \"length\": 3}, {\"name\": \"i\", \"type\": \"integer\"},"            \
	"{\"name\": \"l\", \"type\": \"long\"}, {\"name\": \"d\", \"type\": \"double\"}, {\"name\": \"y\", \"type\": " \
	"\"date\"},"                                                                                                   \
	"{\"name\": \"t\", \"type\": \"datetime\"}, {\"name\": \"c\", \"type\": \"currency\"}, {\"name\": \"b\", "     \
	"\"type\": \"boolean\"}]}"

/* Made once, kept for all inputs: as in the worker, where one handle decodes millions. */
static struct schemas *schemas;
static struct catalogue *catalogue;
static struct arena arena;
static struct buf frame;

static void set_up(void)
{
	const struct command empty = {.command_id = SLICE_LIT(""),
				      .customer_id = SLICE_LIT(""),
				      .ext_name = SLICE_LIT("")};
	struct err err;

	if (schemas != NULL)
		return;
	if (!schemas_open(&schemas, NULL, false, &err))
		die("%s", err.what);
	catalogue = sample_catalogue(EXTENSION);
	command_encode(schemas, &empty, &frame);
	frame.len = 10; /* the frame alone */
}

/* avro-c keeps its values' pointers at addresses that the leak checker does not look at: what grows there only looks
 * lost. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:avro_raw_array_ensure_size\nleak:libavro";
}

static bool same_value(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case VALUE_NULL: return true;
	case VALUE_BOOLEAN: return a->boolean == b->boolean;
	case VALUE_INT:
	case VALUE_LONG: return a->integer == b->integer;
	case VALUE_FLOAT:
	case VALUE_DOUBLE:
		return (a->real != a->real && b->real != b->real) || memcmp(&a->real, &b->real, sizeof(a->real)) == 0;
	case VALUE_STRING: return slice_equal(a->string, b->string);
	default: break; /* our own schema has no others */
	}
	return false;
}

static bool same_text(struct slice a, struct slice b)
{
	return (a.base == NULL) == (b.base == NULL) && slice_equal(a, b);
}

static void check_same(const struct command *a, const struct command *b)
{
	struct content_hash hash_a, hash_b;

	HOLDS(same_text(a->command_id, b->command_id));
	HOLDS(same_text(a->customer_id, b->customer_id));
	HOLDS(same_text(a->ext_name, b->ext_name));
	HOLDS(same_text(a->batch_id, b->batch_id));
	HOLDS(a->has_issued_at == b->has_issued_at && (!a->has_issued_at || a->issued_at_ms == b->issued_at_ms));
	HOLDS(a->attribute_count == b->attribute_count);
	for (uint32_t i = 0; i < a->attribute_count; i++) {
		HOLDS(same_text(a->attributes[i].name, b->attributes[i].name));
		HOLDS(same_value(&a->attributes[i].value, &b->attributes[i].value));
	}
	command_content_hash(a, &arena, &hash_a);
	command_content_hash(b, &arena, &hash_b);
	HOLDS(memcmp(&hash_a, &hash_b, sizeof(hash_a)) == 0);
}

static void check_strings(const struct command *command)
{
	HOLDS(slice_is_utf8(command->command_id) && slice_is_utf8(command->customer_id));
	HOLDS(slice_is_utf8(command->ext_name) && slice_is_utf8(command->batch_id));
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		HOLDS(slice_is_utf8(command->attributes[i].name));
		if (command->attributes[i].value.kind == VALUE_STRING)
			HOLDS(slice_is_utf8(command->attributes[i].value.string));
	}
}

static void validate(const struct command *command)
{
	struct message message = {.decoded = true, .command = *command};

	message.has_id = uuid_parse(command->command_id, &message.id);
	validate_message(&message, catalogue, &arena);
	if (message.outcome.code == OUTCOME_NONE)
		HOLDS(message.extension != NULL && message.key_cells != NULL);
	else
		HOLDS(message.outcome.detail.base != NULL && slice_is_utf8(message.outcome.detail));
}

static void take_command(struct slice message)
{
	struct slice detail = SLICE_NONE;
	struct buf bytes = BUF_EMPTY;
	struct command command, again;

	if (command_decode(schemas, message, &arena, &command, &detail) != DECODE_OK) {
		HOLDS(detail.base != NULL && slice_is_utf8(detail));
		return;
	}
	check_strings(&command);
	command_encode(schemas, &command, &bytes);
	HOLDS(command_decode(schemas, buf_slice(&bytes), &arena, &again, &detail) == DECODE_OK);
	check_same(&command, &again);
	validate(&command);
	buf_release(&bytes);
}

static void take_result(struct slice message)
{
	struct slice detail = SLICE_NONE;
	struct buf bytes = BUF_EMPTY, twice = BUF_EMPTY;
	struct result result, again;

	if (result_decode(schemas, message, &arena, &result, &detail) == DECODE_OK) {
		result_encode(schemas, &result, &bytes);
		HOLDS(result_decode(schemas, buf_slice(&bytes), &arena, &again, &detail) == DECODE_OK);
		result_encode(schemas, &again, &twice);
		HOLDS(slice_equal(buf_slice(&bytes), buf_slice(&twice)));
	}
	buf_release(&bytes);
	buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf framed = BUF_EMPTY;

	set_up();
	if (size > 0 && data[0] == 0) {
		buf_add(&framed, frame.base, frame.len);
		buf_add(&framed, data + 1, size - 1);
		take_command(buf_slice(&framed));
	} else if (size > 0 && data[0] == 1) {
		take_result(slice_of(data + 1, size - 1));
	} else if (size > 0 && data[0] == 2) {
		take_command(slice_of(data + 1, size - 1));
	}
	buf_release(&framed);
	arena_clear(&arena);
	return 0;
}
