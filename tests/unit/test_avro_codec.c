/* Commands and results in our own schemas, and bytes of every kind of malice. The golden bytes were written by another
 * implementation (fastavro 1.13.1). */
#include "avro_bytes.h"
#include "byunique/catalogue.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FRAME_BYTES = 10 };
static const uint64_t command_fingerprint = 0x18d8fe7b55d037b8, result_fingerprint = 0x281780312d27e20f;

#define GOLDEN_COMMAND                                                                                                 \
	"\x48"                                                                                                         \
	"018f4a2e-7c1b-7d3e-9f4a-2b6c8d0e1f23"                                                                         \
	"\x04"                                                                                                         \
	"C1"                                                                                                           \
	"\x0A"                                                                                                         \
	"Phone"                                                                                                        \
	"\x0E\x02n\x00\x02"                                                                                            \
	"b\x02\x01\x02i\x04\x09\x02l\x06\x80\x80\x80\x80\x80\x40\x02"                                                  \
	"f\x08\x00\x00\xC0\x3F\x02"                                                                                    \
	"d\x0A\x00\x00\x00\x00\x00\x00\x02\xC0\x02s\x0C\x06\xC3\xA9\x00\x00\x02\x04"                                   \
	"b1\x02\x80\xA0\xAB\xFE\xF9\x62"

#define GOLDEN_DONE                                                                                                    \
	"\x98\x03\x02\x04id\x02\x04"                                                                                   \
	"C1\x02\x0APhone\x02\x04"                                                                                      \
	"b1\x00\x01\x02t\x06\x80\x80\x80\x80\x40\x02\x80\xA0\xAB\xFE\xF9\x62\x82\xA0\xAB\xFE\xF9\x62"

#define GOLDEN_FAILED                                                                                                  \
	"\xA0\x06\x00\x00\x00\x00\x02\x20MalformedMessage\x02T\x06"                                                    \
	"d\x00"                                                                                                        \
	"e\x02\x02"                                                                                                    \
	"a\x00\x00\x00\x00\x00\x01"

struct fixture {
	struct schemas *schemas;
	struct arena arena;
	struct buf message;
	struct command command;
	struct slice detail;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err;

	arena_init(&f->arena);
	if (!schemas_open(&f->schemas, NULL, false, &err))
		fail_msg("%s: %s", err.what, err.detail);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	schemas_close(f->schemas);
	arena_release(&f->arena);
	buf_release(&f->message);
	free(f);
	return 0;
}

static void assert_slice(struct slice slice, const char *text)
{
	assert_non_null(slice.base);
	assert_int_equal(slice.len, strlen(text));
	assert_memory_equal(slice.base, text, slice.len);
}

static void assert_says(struct slice detail, const char *part)
{
	char text[1024];

	assert_non_null(detail.base);
	assert_true(detail.len < sizeof(text));
	memcpy(text, detail.base, detail.len);
	text[detail.len] = '\0';
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

/* Decodes a copy without a byte to spare, so that the address sanitizer sees any reading beyond. */
static enum decode_status decode_exact(struct fixture *f, const char *bytes, size_t len)
{
	char *copy = xmalloc(len);

	memcpy(copy, bytes, len);
	arena_clear(&f->arena);
	enum decode_status status =
		command_decode(f->schemas, slice_of(copy, len), &f->arena, &f->command, &f->detail);
	free(copy); /* the command has to stand on its own */
	return status;
}

static void put_golden(struct fixture *f)
{
	buf_clear(&f->message);
	put_frame(&f->message, command_fingerprint);
	buf_add(&f->message, GOLDEN_COMMAND, sizeof(GOLDEN_COMMAND) - 1);
}

static void test_golden_command(void **state)
{
	struct fixture *f = *state;
	const struct command *c = &f->command;

	put_golden(f);
	assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_OK);
	assert_slice(c->command_id, "018f4a2e-7c1b-7d3e-9f4a-2b6c8d0e1f23");
	assert_slice(c->customer_id, "C1");
	assert_slice(c->ext_name, "Phone");
	assert_slice(c->batch_id, "b1");
	assert_true(c->has_issued_at);
	assert_int_equal(c->issued_at_ms, 1700000000000);
	assert_int_equal(c->attribute_count, 7);
	const char *names[] = {"n", "b", "i", "l", "f", "d", "s"};
	for (uint32_t i = 0; i < 7; i++) {
		assert_slice(c->attributes[i].name, names[i]);
		assert_int_equal(c->attributes[i].value.kind, i); /* kinds in their order */
	}
	assert_true(c->attributes[1].value.boolean);
	assert_int_equal(c->attributes[2].value.integer, -5);
	assert_int_equal(c->attributes[3].value.integer, INT64_C(1) << 40);
	assert_true(c->attributes[4].value.real == 1.5);
	assert_true(c->attributes[5].value.real == -2.25);
	assert_int_equal(c->attributes[6].value.string.len, 3);
	assert_memory_equal(c->attributes[6].value.string.base, "\xC3\xA9\x00", 3);
	struct buf again = BUF_EMPTY;
	command_encode(f->schemas, c, &again);
	assert_int_equal(again.len, f->message.len);
	assert_memory_equal(again.base, f->message.base, again.len);
	buf_release(&again);
}

static void test_smallest_command(void **state)
{
	struct fixture *f = *state;
	struct command empty = {.command_id = SLICE_LIT(""), .customer_id = SLICE_LIT(""), .ext_name = SLICE_LIT("")};

	command_encode(f->schemas, &empty, &f->message);
	assert_int_equal(f->message.len, FRAME_BYTES + 6);
	assert_memory_equal(f->message.base + FRAME_BYTES, "\0\0\0\0\0\0", 6);
	assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_OK);
	assert_slice(f->command.command_id, "");
	assert_null(f->command.batch_id.base);
	assert_false(f->command.has_issued_at);
	assert_int_equal(f->command.attribute_count, 0);
}

/* More than one doubling; and a value is filled again with fewer, with others, and with more. */
static void test_many_attributes(void **state)
{
	struct fixture *f = *state;
	enum { MANY = 1000 };
	struct named_value *attributes = xcalloc(MANY, sizeof(*attributes));
	struct command command = {.command_id = SLICE_LIT("i"), .customer_id = SLICE_LIT("c"), .ext_name = SLICE_LIT("e")};
	const uint32_t counts[] = {MANY, 3, 0, MANY - 1};

	command.attributes = attributes;
	for (int round = 0; round < 4; round++) {
		command.attribute_count = counts[round];
		for (uint32_t i = 0; i < command.attribute_count; i++) {
			struct value number = {.kind = VALUE_LONG, .integer = i};
			struct value text = {.kind = VALUE_STRING, .string = slice_of("0123456789", i % 11)};
			attributes[i] = (struct named_value){SLICE_LIT("same"), (i + (uint32_t)round) % 2 ? number : text};
		}
		buf_clear(&f->message);
		command_encode(f->schemas, &command, &f->message);
		assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_OK);
		assert_int_equal(f->command.attribute_count, command.attribute_count);
		for (uint32_t i = 0; i < command.attribute_count; i++) {
			const struct value *value = &f->command.attributes[i].value;
			assert_slice(f->command.attributes[i].name, "same");
			assert_int_equal(value->kind, attributes[i].value.kind);
			if (value->kind == VALUE_LONG)
				assert_int_equal(value->integer, i);
			else
				assert_int_equal(value->string.len, i % 11);
		}
	}
	free(attributes);
}

static void put_ids(struct buf *out)
{
	buf_clear(out);
	put_frame(out, command_fingerprint);
	put_text(out, "id");
	put_text(out, "C1");
	put_text(out, "Phone");
}

/* An equal key in another block, a block that states its size, and a key that only a C string would take for equal. */
static void test_duplicate_keys(void **state)
{
	struct fixture *f = *state;

	put_ids(&f->message);
	put_long(&f->message, 2);
	put_text(&f->message, "prefix");
	buf_add(&f->message, "\x04\x02", 2);
	put_text(&f->message, "prefix");
	buf_add(&f->message, "\x00", 1);
	put_long(&f->message, -1);
	put_long(&f->message, 11);
	put_bytes(&f->message, "prefix\0x", 8);
	buf_add(&f->message, "\x04\x04", 2);
	buf_add(&f->message, "\x00\x00\x00", 3);
	assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_OK);
	assert_int_equal(f->command.attribute_count, 3);
	assert_slice(f->command.attributes[0].name, "prefix");
	assert_int_equal(f->command.attributes[0].value.integer, 1);
	assert_slice(f->command.attributes[1].name, "prefix");
	assert_int_equal(f->command.attributes[1].value.kind, VALUE_NULL);
	assert_int_equal(f->command.attributes[2].name.len, 8);
	assert_int_equal(f->command.attributes[2].value.integer, 2);

	struct buf again = BUF_EMPTY;
	command_encode(f->schemas, &f->command, &again);
	struct command copy;
	assert_int_equal(command_decode(f->schemas, buf_slice(&again), &f->arena, &copy, &f->detail), DECODE_OK);
	assert_int_equal(copy.attribute_count, 3);
	assert_int_equal(copy.attributes[2].name.len, 8);
	buf_release(&again);
}

static void test_framing(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *bytes;
		size_t len;
		const char *detail;
	} cases[] = {
		{"", 0, "no value"},
		{"{\"command_id\":", 14, "unknown framing"},
		{"\xC3\x02 234567890", 12, "unknown framing"},
		{"\xC3", 1, "ends within its framing"},
		{"\xC3\x01 2345678", 9, "ends within its framing"},
		{"\xC3\x01 23456789", 10, "unknown writer's schema: none known has the fingerprint 3837363534333220"},
		{"\x00\x00\x00\x00", 4, "ends within its framing"},
		{"\x00\x00\x00\x01\x02", 5, "(schema id 258), but no schema registry is configured"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->detail = SLICE_NONE;
		assert_int_equal(decode_exact(f, cases[i].bytes, cases[i].len), DECODE_MALFORMED);
		assert_says(f->detail, cases[i].detail);
	}
	assert_int_equal(command_decode(f->schemas, SLICE_NONE, &f->arena, &f->command, &f->detail), DECODE_MALFORMED);
	assert_says(f->detail, "no value");
}

static void test_result_as_command(void **state)
{
	struct fixture *f = *state;
	struct result result = {.source_topic = SLICE_LIT("t")};

	result_encode(f->schemas, &result, &f->message);
	assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_MALFORMED);
	assert_says(f->detail, "byunique.UpdateResult can't be resolved to UpdateByUnique: attributes is missing");
}

static void test_details_name_field_and_byte(void **state)
{
	struct fixture *f = *state;

	put_ids(&f->message);
	size_t at = f->message.len + 1 + 2;
	put_long(&f->message, 1);
	put_text(&f->message, "x");
	buf_add(&f->message, "\x0E\x00\x00\x00\x00", 5);
	char expected[100];
	snprintf(expected, sizeof(expected), "attributes: the index of a union or an enum is out of range, at byte %zu", at);
	assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_MALFORMED);
	assert_says(f->detail, expected);
	assert_null(f->command.command_id.base); /* nothing half read */
}

static void test_ill_formed_text(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xC3"};

	for (size_t i = 0; i < 4; i++)
		for (int where = 0; where < 3; where++) {
			put_ids(&f->message);
			put_long(&f->message, 1);
			put_text(&f->message, where == 0 ? texts[i] : "key");
			buf_add(&f->message, "\x0C", 1);
			put_text(&f->message, where == 1 ? texts[i] : "value");
			buf_add(&f->message, "\x00\x02", 2);
			put_text(&f->message, where == 2 ? texts[i] : "batch");
			buf_add(&f->message, "\x00", 1);
			assert_int_equal(decode_exact(f, f->message.base, f->message.len), DECODE_MALFORMED);
			assert_says(f->detail, "not well-formed UTF-8");
		}
}

static void test_every_truncation(void **state)
{
	struct fixture *f = *state;

	put_golden(f);
	for (size_t len = 0; len < f->message.len; len++)
		assert_int_equal(decode_exact(f, f->message.base, len), DECODE_MALFORMED);
}

/* Every byte replaced by every other. What still decodes has been read to its end: one byte more is one too many. */
static void test_every_mutation(void **state)
{
	struct fixture *f = *state;
	unsigned decoded = 0;

	put_golden(f);
	buf_addc(&f->message, '\0');
	size_t len = f->message.len - 1;
	for (size_t at = 0; at < len; at++) {
		char original = f->message.base[at];
		for (int step = 1; step < 256; step++) {
			f->message.base[at] = (char)(original + step);
			if (decode_exact(f, f->message.base, len) != DECODE_OK)
				continue;
			decoded++;
			assert_true(slice_is_utf8(f->command.customer_id));
			assert_int_equal(decode_exact(f, f->message.base, len + 1), DECODE_MALFORMED);
			assert_says(f->detail, "bytes follow");
		}
		f->message.base[at] = original;
	}
	assert_true(decoded > 1000); /* letters changed to others, numbers to others */
}

/* A block that promises more than there is must not be believed with memory either. */
static void test_promised_memory(void **state)
{
	struct fixture *f = *state;
	enum { PROMISED = 1 << 20 };

	put_ids(&f->message);
	put_long(&f->message, PROMISED);
	char *rest = buf_reserve(&f->message, PROMISED);
	memset(rest, 1, PROMISED); /* a negative length */
	f->message.len += PROMISED;
	arena_clear(&f->arena);
	assert_int_equal(command_decode(f->schemas, buf_slice(&f->message), &f->arena, &f->command, &f->detail),
			 DECODE_MALFORMED);
	assert_true(f->arena.used_bytes < 2 * (size_t)PROMISED);
}

/* What a rule says about attribute number `i` of MANY: its name, and whether it has to be kept. */
enum { MANY = 60000, DIFFERENT = ATTRIBUTES_MAX + 1 };
struct rule {
	const char *what;
	unsigned (*name)(unsigned i);
	bool (*kept)(unsigned i);
};

static unsigned all_the_same(unsigned i) { return i * 0; }
static unsigned all_different(unsigned i) { return i; }
static unsigned twice_each(unsigned i) { return i / 2; }
static unsigned different_at_last(unsigned i) { return i < MANY - 5 ? i % 7 : i; }
static unsigned late_repeat(unsigned i) { return i < MANY - 1 ? i : 3; }
static bool first_two(unsigned i) { return i < 2; }
static bool first_ones(unsigned i) { return i < DIFFERENT; }
static bool first_and_one(unsigned i) { return i == 1 || (i % 2 == 0 && i / 2 < DIFFERENT); }
static bool seven_one_and_five(unsigned i) { return i < 8 || i >= MANY - 5; }
static bool first_ones_and_last(unsigned i) { return i < DIFFERENT || i == MANY - 1; }

static const struct rule rules[] = {
	{"one name", all_the_same, first_two},
	{"no name twice", all_different, first_ones},
	{"each name twice", twice_each, first_and_one},
	{"few names, and new ones at the end", different_at_last, seven_one_and_five},
	{"a name twice at the very end", late_repeat, first_ones_and_last},
};

/* Of more attributes than any extension can have, those that decide are kept, in their order; names are taken without case. */
static void test_too_many_attributes(void **state)
{
	struct fixture *f = *state;
	char name[20];

	for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
		uint32_t place = 0;
		put_ids(&f->message);
		put_long(&f->message, MANY);
		for (unsigned i = 0; i < MANY; i++) {
			snprintf(name, sizeof(name), "%s%u", i % 3 ? "n" : "N", rules[r].name(i));
			put_text(&f->message, name);
			buf_add(&f->message, "\x04", 1);
			put_long(&f->message, i);
		}
		buf_add(&f->message, "\0\0\0", 3);
		arena_clear(&f->arena);
		assert_int_equal(command_decode(f->schemas, buf_slice(&f->message), &f->arena, &f->command, &f->detail), DECODE_OK);
		assert_true(f->arena.used_bytes < f->message.len + 128 * 1024);
		for (unsigned i = 0; i < MANY; i++)
			if (rules[r].kept(i) && (place >= f->command.attribute_count ||
						 f->command.attributes[place++].value.integer != i))
				fail_msg("%s: number %u is not kept", rules[r].what, i);
		assert_int_equal(place, f->command.attribute_count);
	}
}

static void check_golden_result(struct fixture *f, const char *golden, size_t len, struct result *result)
{
	buf_clear(&f->message);
	put_frame(&f->message, result_fingerprint);
	buf_add(&f->message, golden, len);
	assert_int_equal(result_decode(f->schemas, buf_slice(&f->message), &f->arena, result, &f->detail), DECODE_OK);
	struct buf again = BUF_EMPTY;
	buf_adds(&again, "appended:");
	result_encode(f->schemas, result, &again);
	assert_int_equal(again.len, 9 + f->message.len);
	assert_memory_equal(again.base + 9, f->message.base, f->message.len);
	assert_int_equal(again.base[again.len], '\0');
	buf_release(&again);
	for (size_t cut = 0; cut < f->message.len; cut++) {
		struct result ignored;
		assert_int_equal(result_decode(f->schemas, slice_of(f->message.base, cut), &f->arena, &ignored, &f->detail),
				 DECODE_MALFORMED);
	}
}

/* Twice, in turn: a value that is used again must not remember. */
static void test_golden_results(void **state)
{
	struct fixture *f = *state;
	struct result done, failed;

	for (int round = 0; round < 2; round++) {
		check_golden_result(f, GOLDEN_DONE, sizeof(GOLDEN_DONE) - 1, &done);
		check_golden_result(f, GOLDEN_FAILED, sizeof(GOLDEN_FAILED) - 1, &failed);
	}
	assert_int_equal(done.status, 204);
	assert_slice(done.command_id, "id");
	assert_slice(done.customer_id, "C1");
	assert_slice(done.ext_name, "Phone");
	assert_slice(done.batch_id, "b1");
	assert_null(done.code.base);
	assert_true(done.duplicate);
	assert_slice(done.source_topic, "t");
	assert_int_equal(done.source_partition, 3);
	assert_int_equal(done.source_offset, INT64_C(1) << 33);
	assert_true(done.has_issued_at);
	assert_int_equal(done.issued_at_ms, 1700000000000);
	assert_int_equal(done.processed_at_ms, 1700000000001);
	assert_int_equal(failed.status, 400);
	assert_null(failed.command_id.base);
	assert_null(failed.customer_id.base);
	assert_slice(failed.code, "MalformedMessage");
	assert_slice(failed.title, "T");
	assert_int_equal(failed.detail.len, 3);
	assert_memory_equal(failed.detail.base, "d\0e", 3);
	assert_slice(failed.attribute, "a");
	assert_false(failed.has_issued_at);
	assert_int_equal(failed.processed_at_ms, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden_command, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_smallest_command, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_attributes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_duplicate_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_framing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_result_as_command, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details_name_field_and_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ill_formed_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_truncation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_mutation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_promised_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_attributes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_golden_results, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
