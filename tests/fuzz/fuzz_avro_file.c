/* Any bytes as an Avro container file: commands with well-formed strings, numbered in order, or refused.
 *
 * The first byte of an input says how to take the rest: 0, as blocks behind a header that is right, without a codec; 1, as a
 * whole file. So the fuzzer need not guess a schema. */
#include "fuzz.h"

#include "byunique/avro_file.h"
#include "byunique/buf.h"
#include "model/input.h"

#define SCHEMA                                                                                                         \
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"customer_id\",\"type\":\"string\"},"              \
	"{\"name\":\"more\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"R\"]}},"                                \
	"{\"name\":\"attributes\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"int\",\"double\",\"string\"]}}]}"

static void add_header(struct buf *out)
{
	buf_add(out, AVRO_FILE_MAGIC, 4);
	buf_varint(out, 2 * 1);
	buf_varint(out, 2 * 11);
	buf_adds(out, "avro.schema");
	buf_varint(out, 2 * strlen(SCHEMA));
	buf_adds(out, SCHEMA);
	buf_addc(out, '\0');
	buf_adds(out, "0123456789abcdef");
}

static void check_command(const struct command *command)
{
	HOLDS(command->customer_id.base != NULL && slice_is_utf8(command->customer_id));
	HOLDS(slice_is_utf8(command->command_id) && slice_is_utf8(command->ext_name));
	HOLDS(slice_is_utf8(command->batch_id));
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		const struct value *value = &command->attributes[i].value;
		HOLDS(slice_is_utf8(command->attributes[i].name));
		HOLDS(value->kind != VALUE_STRING || slice_is_utf8(value->string));
	}
}

static void read_all(struct avro_file *file)
{
	static struct arena arena;
	struct command command;
	uint64_t count = 0;
	struct err err;
	bool got;

	for (;;) {
		arena_clear(&arena);
		if (!avro_file_next(file, &arena, &command, &got, &err)) {
			HOLDS(err.verdict == VERDICT_STOP);
			check_error(&err);
			return;
		}
		if (!got)
			return;
		HOLDS(avro_file_record(file) == ++count);
		check_command(&command);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf bytes = BUF_EMPTY;
	struct avro_file *file;
	struct input input;
	struct err err;

	if (size == 0)
		return 0;
	if (data[0] == 0)
		add_header(&bytes);
	buf_add(&bytes, data + 1, size - 1);
	if (!input_open(&input, fuzz_file(bytes.base, bytes.len), &err))
		die("%s", err.what);
	if (avro_file_open(&file, &input, &err)) {
		read_all(file);
		avro_file_close(file);
	} else {
		check_error(&err);
	}
	buf_release(&bytes);
	return 0;
}
