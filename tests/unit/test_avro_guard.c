/* The guard against bytes that lie. */
#include "avro/guard.h"
#include "byunique/buf.h"
#include "byunique/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES(s) (s), sizeof(s) - 1
#define NEGATIVE_LONG_MIN "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
#define EMPTY_RECORD "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"n\",\"type\":\"null\"}]}"
#define ARRAY(items) "{\"type\":\"array\",\"items\":" items "}"
#define MAP(values) "{\"type\":\"map\",\"values\":" values "}"

static const struct {
	const char *schema, *bytes;
	size_t len;
	const char *wrong; /* a part of it; NULL: nothing is wrong */
	size_t at;
} cases[] = {
	{"\"null\"", BYTES(""), NULL, 0},
	{"\"null\"", BYTES("\x00"), "bytes follow", 0},
	{"\"boolean\"", BYTES("\x01"), NULL, 0},
	{"\"boolean\"", BYTES("\x02"), "neither 0 nor 1", 0},
	{"\"boolean\"", BYTES(""), "ends before a boolean", 0},
	{"\"boolean\"", BYTES("\x00\x00"), "bytes follow", 1},
	/* numbers */
	{"\"int\"", BYTES("\xFE\xFF\xFF\xFF\x0F"), NULL, 0},
	{"\"int\"", BYTES("\xFF\xFF\xFF\xFF\x0F"), NULL, 0},
	{"\"int\"", BYTES("\x80\x80\x80\x80\x10"), "more than 32 bits", 0},
	{"\"int\"", BYTES("\x81\x80\x80\x80\x10"), "more than 32 bits", 0},
	{"\"int\"", BYTES(""), "ends within a number", 0},
	{"\"int\"", BYTES("\x80\x00"), NULL, 0}, /* longer than need be */
	{"\"long\"", BYTES(NEGATIVE_LONG_MIN), NULL, 0},
	{"\"long\"", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), "more than 64 bits", 0},
	{"\"long\"", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), "more than 64 bits", 0},
	{"\"long\"", BYTES("\x80\x80"), "ends within a number", 0},
	{"\"float\"", BYTES("abcd"), NULL, 0},
	{"\"float\"", BYTES("abc"), "ends within a value of fixed size", 0},
	{"\"double\"", BYTES("abcdefgh"), NULL, 0},
	{"\"double\"", BYTES("abcdefg"), "ends within a value of fixed size", 0},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", BYTES("abc"), NULL, 0},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", BYTES("ab"), "ends within a value of fixed size", 0},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2147483647}", BYTES("ab"), "ends within a value of fixed size", 0},
	/* lengths */
	{"\"bytes\"", BYTES("\x04\xFF\xFE"), NULL, 0},
	{"\"bytes\"", BYTES("\x06\xFF\xFE"), "a length goes beyond", 0},
	{"\"bytes\"", BYTES("\x01"), "a length is negative", 0},
	{"\"bytes\"", BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "a length goes beyond", 0},
	{"\"bytes\"", BYTES(NEGATIVE_LONG_MIN), "a length is negative", 0},
	{"\"string\"", BYTES("\x00"), NULL, 0},
	{"\"string\"", BYTES("\x04\xC3\xA9"), NULL, 0},
	{"\"string\"", BYTES("\x02\xC3\xA9"), "not well-formed UTF-8", 0},
	{"\"string\"", BYTES("\x06\xED\xA0\x80"), "not well-formed UTF-8", 0},
	{"\"string\"", BYTES("\x02\x00"), NULL, 0},
	/* indexes */
	{"[\"null\",\"int\"]", BYTES("\x00"), NULL, 0},
	{"[\"null\",\"int\"]", BYTES("\x02\x02"), NULL, 0},
	{"[\"null\",\"int\"]", BYTES("\x04"), "index of a union", 0},
	{"[\"null\",\"int\"]", BYTES("\x01"), "index of a union", 0},
	{"[\"null\",\"int\"]", BYTES("\x80\x80\x80\x80\x20"), "index of a union", 0}, /* 0 in 32 bits */
	{"[]", BYTES("\x00"), "index of a union", 0},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", BYTES("\x02"), NULL, 0},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", BYTES("\x04"), "index of a union or an enum", 0},
	/* blocks */
	{ARRAY("\"int\""), BYTES("\x00"), NULL, 0},
	{ARRAY("\"int\""), BYTES("\x04\x02\x04\x00"), NULL, 0},
	{ARRAY("\"int\""), BYTES("\x02\x02\x02\x04\x00"), NULL, 0},
	{ARRAY("\"int\""), BYTES("\x03\x04\x02\x04\x00"), NULL, 0}, /* 2 items in 2 bytes */
	{ARRAY("\"int\""), BYTES("\x03\x06\x02\x04\x00"), "does not end where it says", 4},
	{ARRAY("\"int\""), BYTES("\x03\x02\x02\x04\x00"), "count of a block goes beyond", 0},
	{ARRAY("\"int\""), BYTES("\x03\x08\x02\x04\x00"), "size of a block goes beyond", 1},
	{ARRAY("\"int\""), BYTES("\x03\x03\x02\x04\x00"), "size of a block goes beyond", 1},
	{ARRAY("\"int\""), BYTES(NEGATIVE_LONG_MIN "\x00\x00"), "count of a block is out of range", 10},
	{ARRAY("\"int\""), BYTES("\x04\x02"), "count of a block goes beyond", 0},
	{ARRAY("\"int\""), BYTES("\x04\x02\x04"), "ends within a number", 3},
	{ARRAY("\"int\""), BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "count of a block goes beyond", 0},
	/* items without bytes: any count, and no time */
	{ARRAY("\"null\""), BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00"), NULL, 0},
	{ARRAY("\"null\""), BYTES("\xFD\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00\x00"), NULL, 0},
	{ARRAY("\"null\""), BYTES("\x03\x02\x00\x00"), "does not end where it says", 2},
	{ARRAY(EMPTY_RECORD), BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00"), NULL, 0},
	{MAP("\"null\""), BYTES("\x04\x02g\x02h\x00"), NULL, 0},
	{MAP("\"null\""), BYTES("\xFE\xFF\xFF\xFF\x0F\x00"), "count of a block goes beyond", 0},
	{MAP("\"int\""), BYTES("\x02\x02g\x02\x00"), NULL, 0},
	{MAP("\"int\""), BYTES("\x02\x02\xFF\x02\x00"), "not well-formed UTF-8", 1},
};

/* Walks a copy without a byte to spare, so that the address sanitizer sees any reading beyond. */
static struct cursor walk(const char *schema, const char *bytes, size_t len)
{
	struct arena arena;
	const struct shape *shape;
	struct err err;

	arena_init(&arena);
	if (!shape_compile(slice_cstr(schema), &arena, &shape, &err))
		fail_msg("%s: %s", schema, err.detail);
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	struct cursor cursor = cursor_over(slice_of(copy, len), 0);
	bool ok = guard_value(&cursor, shape) && guard_end(&cursor);
	assert_int_equal(ok, cursor.wrong == NULL);
	free(copy);
	arena_release(&arena);
	return cursor;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cursor cursor = walk(cases[i].schema, cases[i].bytes, cases[i].len);
		const char *wrong = cursor.wrong ? cursor.wrong : "nothing";
		if (strstr(wrong, cases[i].wrong ? cases[i].wrong : "nothing") == NULL)
			fail_msg("case %zu, %s: \"%s\"", i, cases[i].schema, wrong);
		if (cursor.wrong != NULL)
			assert_int_equal(cursor.wrong_at, cases[i].at);
	}
}

/* Linked lists of two values a level: record, then the union that holds the next record. */
static void test_depth_of_data(void **state)
{
	const char *list = "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}";
	char bytes[100];

	(void)state;
	memset(bytes, 2, sizeof(bytes));
	bytes[GUARD_DEPTH_MAX - 1] = 0;
	assert_null(walk(list, bytes, GUARD_DEPTH_MAX).wrong);
	bytes[GUARD_DEPTH_MAX - 1] = 2;
	bytes[GUARD_DEPTH_MAX] = 0;
	assert_string_equal(walk(list, bytes, GUARD_DEPTH_MAX + 1).wrong, "values are nested too deeply");
}

/* Of the record that a list is of. */
static uint32_t solid_fields(struct slice schema)
{
	const struct shape *shape;
	struct arena arena;
	struct err err;

	arena_init(&arena);
	assert_true(shape_compile(schema, &arena, &shape, &err));
	uint32_t count = shape->parts[0]->solid_count;
	arena_release(&arena);
	return count;
}

/* Fields that take no byte are not looked at, however many the schema has for each byte of the message: this would be two
 * thousand million steps. */
static void test_fields_without_bytes(void **state)
{
	enum { FIELDS = 9900, ITEMS = 250000 };
	struct buf schema = BUF_EMPTY, bytes = BUF_EMPTY;

	(void)state;
	buf_adds(&schema, "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"R\",\"fields\":["
			  "{\"name\":\"a\",\"type\":\"boolean\"}");
	for (unsigned i = 0; i < FIELDS; i++)
		buf_printf(&schema, ",{\"name\":\"n%u\",\"type\":\"null\"}", i);
	buf_adds(&schema, "]}}");
	buf_add(&bytes, "\xA0\xC2\x1E", 3); /* ITEMS, zigzag */
	memset(buf_reserve(&bytes, ITEMS + 1), 0, ITEMS + 1);
	bytes.len += ITEMS + 1;
	assert_null(walk(schema.base, bytes.base, bytes.len).wrong);
	assert_int_equal(solid_fields(buf_slice(&schema)), 1);
	buf_release(&schema);
	buf_release(&bytes);
}

/* Records without an end, one within the other, twice each: must be refused at once, without 2^64 steps. */
static void test_endless_record(void **state)
{
	(void)state;
	assert_non_null(walk("{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"a\",\"type\":\"N\"},{\"name\":"
			     "\"b\",\"type\":\"N\"}]}",
			     BYTES(""))
				.wrong);
}

/* 50 records that each hold the next one twice, the last of nulls: 2^50 values in no byte. */
static void test_wide_empty_record(void **state)
{
	enum { LEVELS = 50 };
	struct buf schema = BUF_EMPTY;
	struct err err;
	struct arena arena;
	const struct shape *shape;

	(void)state;
	for (int i = LEVELS; i > 0; i--)
		buf_printf(&schema, "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":", i);
	buf_adds(&schema, "\"null\"");
	for (int i = 1; i <= LEVELS; i++)
		if (i == 1)
			buf_adds(&schema, "}]}");
		else
			buf_printf(&schema, "},{\"name\":\"b\",\"type\":\"R%d\"}]}", i - 1);
	arena_init(&arena);
	if (!shape_compile(buf_slice(&schema), &arena, &shape, &err))
		fail_msg("%s", err.detail);
	struct cursor cursor = cursor_over(SLICE_LIT(""), 0);
	assert_true(shape->empty);
	assert_true(guard_value(&cursor, shape) && guard_end(&cursor));
	arena_release(&arena);
	buf_release(&schema);
}

static void test_position_counts_framing(void **state)
{
	struct cursor cursor = cursor_over(SLICE_LIT("frame\x02"), 5);
	bool value;

	(void)state;
	assert_false(guard_boolean(&cursor, &value));
	assert_int_equal(cursor.wrong_at, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_depth_of_data),
		cmocka_unit_test(test_endless_record),
		cmocka_unit_test(test_fields_without_bytes),
		cmocka_unit_test(test_wide_empty_record),
		cmocka_unit_test(test_position_counts_framing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
