/* avro-c's generic values, one per schema, filled anew for every message and written into the caller's buffer. Facts of
 * avro-c 1.11.1 that shape this:
 * - avro_value_set_string_len copies; avro_value_give_string_len takes a buffer as it is, and one without a `free` stays
 *   ours. So strings are lent, never copied: no allocation per value (314 ns a result). The size that it wants counts a
 *   terminating NUL, which is neither read nor written.
 * - A map's keys are C strings and equal ones are merged; a command must be writable with a name twice. In Avro's binary
 *   encoding a map is the same bytes as an array of records of key and value, so the value for commands is made from our
 *   schema with the map replaced by such an array.
 * - avro_strerror() is shared by all threads: used while opening only. Afterwards nothing can fail but by a mistake of
 *   ours, which ends the process. */
#include "avro/encode.h"

#include "avro/embedded.h"

#include <avro.h>
#include <jansson.h>
#include <stdlib.h>

#define MUST(call) ASSERT((call) == 0)

/* A schema and the one value of it that is written again and again. */
struct mould {
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t value;
	bool has_value;
};

struct encoder {
	struct mould command, result;
	avro_writer_t writer;
};

/* ---- opening ---- */

static bool mould_open(struct mould *mould, struct slice json, struct err *err)
{
	if (avro_schema_from_json_length(json.base, json.len, &mould->schema) != 0)
		goto failed;
	mould->iface = avro_generic_class_from_schema(mould->schema);
	if (mould->iface == NULL || avro_generic_value_new(mould->iface, &mould->value) != 0)
		goto failed;
	mould->has_value = true;
	return true;
failed:
	err_set(err, VERDICT_STOP, "", "can't prepare our own Avro schema for writing");
	return err_detail(err, "%s", avro_strerror());
}

static void mould_close(struct mould *mould)
{
	if (mould->has_value)
		avro_value_decref(&mould->value);
	if (mould->iface != NULL)
		avro_value_iface_decref(mould->iface);
	if (mould->schema != NULL)
		avro_schema_decref(mould->schema);
}

/* The map of attributes becomes an array of records of key and value. */
static bool open_command_mould(struct mould *mould, struct err *err)
{
	struct slice schema = embedded_command_schema();
	json_t *json = json_loadb(schema.base, schema.len, 0, NULL);
	json_t *field;
	size_t i;

	json_array_foreach (json_object_get(json, "fields"), i, field) {
		json_t *map = json_object_get(field, "type");
		const char *type = json_string_value(json_object_get(map, "type"));
		if (type == NULL || strcmp(type, "map") != 0)
			continue;
		json_t *array = json_pack("{s:s, s:{s:s, s:s, s:[{s:s, s:s}, {s:s, s:O}]}}", "type", "array", "items", "type",
					  "record", "name", "Entry", "fields", "name", "key", "type", "string", "name",
					  "value", "type", json_object_get(map, "values"));
		json_object_set_new(field, "type", array);
	}
	char *text = json_dumps(json, JSON_COMPACT);
	bool ok = mould_open(mould, slice_cstr(text), err);
	free(text);
	json_decref(json);
	return ok;
}

bool encoder_open(struct encoder **out, struct err *err)
{
	struct encoder *encoder = xcalloc(1, sizeof(*encoder));

	encoder->writer = avro_writer_memory(NULL, 0);
	bool ok = encoder->writer != NULL && open_command_mould(&encoder->command, err) &&
		  mould_open(&encoder->result, embedded_result_schema(), err);
	if (!ok) {
		encoder_close(encoder);
		encoder = NULL;
	}
	*out = encoder;
	return ok;
}

void encoder_close(struct encoder *encoder)
{
	if (encoder == NULL)
		return;
	mould_close(&encoder->command);
	mould_close(&encoder->result);
	if (encoder->writer != NULL)
		avro_writer_free(encoder->writer);
	free(encoder);
}

/* ---- filling ---- */

static avro_value_t field_of(avro_value_t *record, size_t index)
{
	avro_value_t field;
	MUST(avro_value_get_by_index(record, index, &field, NULL));
	return field;
}

static avro_value_t branch_of(avro_value_t *value, int index)
{
	avro_value_t branch;
	MUST(avro_value_set_branch(value, index, &branch));
	return branch;
}

/* The string stays the caller's, and has to stay until the value is written. */
static void lend_string(avro_value_t *value, struct slice text)
{
	avro_wrapped_buffer_t lent = {.buf = text.base ? text.base : "", .size = text.len + 1};
	MUST(avro_value_give_string_len(value, &lent));
}

static void put_string(avro_value_t *record, size_t index, struct slice text)
{
	avro_value_t field = field_of(record, index);
	lend_string(&field, text);
}

/* Of a union of null and something: the branch to be filled. */
static bool put_presence(avro_value_t *record, size_t index, bool present, avro_value_t *branch)
{
	avro_value_t field = field_of(record, index);

	*branch = branch_of(&field, present);
	if (!present)
		MUST(avro_value_set_null(branch));
	return present;
}

static void put_nullable_string(avro_value_t *record, size_t index, struct slice text)
{
	avro_value_t branch;
	if (put_presence(record, index, text.base != NULL, &branch))
		lend_string(&branch, text);
}

static void put_int(avro_value_t *record, size_t index, int32_t number)
{
	avro_value_t field = field_of(record, index);
	MUST(avro_value_set_int(&field, number));
}

static void put_long(avro_value_t *record, size_t index, int64_t number)
{
	avro_value_t field = field_of(record, index);
	MUST(avro_value_set_long(&field, number));
}

static void put_nullable_long(avro_value_t *record, size_t index, bool present, int64_t number)
{
	avro_value_t branch;
	if (put_presence(record, index, present, &branch))
		MUST(avro_value_set_long(&branch, number));
}

/* `bound` is never less than what the value takes. */
static void write_value(struct encoder *encoder, avro_value_t *value, size_t bound, struct buf *out)
{
	avro_writer_memory_set_dest(encoder->writer, buf_reserve(out, bound), (int64_t)bound);
	MUST(avro_value_write(encoder->writer, value));
	out->len += (size_t)avro_writer_tell(encoder->writer);
	out->base[out->len] = '\0';
}

enum { NUMBER_BYTES_MAX = 10 };

/* ---- commands: fields in the order of UpdateByUnique.avsc ---- */

_Static_assert(VALUE_NULL == 0 && VALUE_BOOLEAN == 1 && VALUE_INT == 2 && VALUE_LONG == 3 && VALUE_FLOAT == 4 &&
		       VALUE_DOUBLE == 5 && VALUE_STRING == 6,
	       "kinds of values are the branches of the schema's union, in its order");

static void fill_value(avro_value_t *branch, const struct value *value)
{
	switch (value->kind) {
	case VALUE_NULL: MUST(avro_value_set_null(branch)); break;
	case VALUE_BOOLEAN: MUST(avro_value_set_boolean(branch, value->boolean)); break;
	case VALUE_INT: MUST(avro_value_set_int(branch, (int32_t)value->integer)); break;
	case VALUE_LONG: MUST(avro_value_set_long(branch, value->integer)); break;
	case VALUE_FLOAT: MUST(avro_value_set_float(branch, (float)value->real)); break;
	case VALUE_DOUBLE: MUST(avro_value_set_double(branch, value->real)); break;
	case VALUE_STRING: lend_string(branch, value->string); break;
	case VALUE_DATE:
	case VALUE_TIMESTAMP:
	case VALUE_LOCAL_TIME:
	case VALUE_DECIMAL: die("a command of ours with a value that our schema has not");
	}
}

static size_t fill_attributes(avro_value_t *array, const struct command *command)
{
	size_t bound = 0;

	MUST(avro_value_reset(array));
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		const struct named_value *attribute = &command->attributes[i];
		avro_value_t entry;
		MUST(avro_value_append(array, &entry, NULL));
		put_string(&entry, 0, attribute->name);
		avro_value_t value = field_of(&entry, 1);
		avro_value_t branch = branch_of(&value, (int)attribute->value.kind);
		fill_value(&branch, &attribute->value);
		bound += attribute->name.len + 3 * NUMBER_BYTES_MAX;
		if (attribute->value.kind == VALUE_STRING)
			bound += attribute->value.string.len;
	}
	return bound;
}

void encode_command(struct encoder *encoder, const struct command *command, struct buf *out)
{
	avro_value_t *record = &encoder->command.value;

	put_string(record, 0, command->command_id);
	put_string(record, 1, command->customer_id);
	put_string(record, 2, command->ext_name);
	avro_value_t attributes = field_of(record, 3);
	size_t bound = fill_attributes(&attributes, command);
	put_nullable_string(record, 4, command->batch_id);
	put_nullable_long(record, 5, command->has_issued_at, command->issued_at_ms);
	bound += command->command_id.len + command->customer_id.len + command->ext_name.len + command->batch_id.len +
		 10 * NUMBER_BYTES_MAX;
	write_value(encoder, record, bound, out);
}

/* ---- results: fields in the order of UpdateResult.avsc ---- */

static void fill_problem(avro_value_t *problem, const struct result *result)
{
	put_string(problem, 0, result->code);
	put_string(problem, 1, result->title);
	put_string(problem, 2, result->detail);
	put_nullable_string(problem, 3, result->attribute);
}

static void fill_source(avro_value_t *source, const struct result *result)
{
	put_string(source, 0, result->source_topic);
	put_int(source, 1, result->source_partition);
	put_long(source, 2, result->source_offset);
}

static void fill_result(avro_value_t *record, const struct result *result)
{
	avro_value_t problem;

	put_int(record, 0, result->status);
	put_nullable_string(record, 1, result->command_id);
	put_nullable_string(record, 2, result->customer_id);
	put_nullable_string(record, 3, result->ext_name);
	put_nullable_string(record, 4, result->batch_id);
	if (put_presence(record, 5, result->code.base != NULL, &problem))
		fill_problem(&problem, result);
	avro_value_t duplicate = field_of(record, 6);
	MUST(avro_value_set_boolean(&duplicate, result->duplicate));
	avro_value_t source = field_of(record, 7);
	fill_source(&source, result);
	put_nullable_long(record, 8, result->has_issued_at, result->issued_at_ms);
	put_long(record, 9, result->processed_at_ms);
}

void encode_result(struct encoder *encoder, const struct result *result, struct buf *out)
{
	size_t bound = result->command_id.len + result->customer_id.len + result->ext_name.len + result->batch_id.len +
		       result->code.len + result->title.len + result->detail.len + result->attribute.len +
		       result->source_topic.len + 24 * NUMBER_BYTES_MAX;

	fill_result(&encoder->result.value, result);
	write_value(encoder, &encoder->result.value, bound, out);
}
