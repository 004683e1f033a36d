/* Binary parameters. The bytes expected are what PostgreSQL 15's array_send() and numeric_send() give for the same
 * values. */
#include "byunique/cell.h"
#include "byunique/pg_pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Ends the array and releases it. */
static void assert_bytes(struct buf *array, const char *hex)
{
	struct pg_param param = pg_array_param(array);
	const unsigned char *bytes = param.data;
	struct buf text = BUF_EMPTY;

	for (size_t i = 0; i < param.len; i++)
		buf_printf(&text, "%02x", bytes[i]);
	assert_string_equal(text.base, hex);
	buf_release(&text);
	buf_release(array);
}

static void test_elements(void **state)
{
	struct buf array = BUF_EMPTY;

	(void)state;
	pg_array_begin(&array, PG_TEXT);
	pg_array_bytes(&array, "a", 1);
	pg_array_null(&array);
	pg_array_bytes(&array, "", 0);
	assert_bytes(&array, "00000001000000010000001900000003000000010000000161ffffffff00000000");
	pg_array_begin(&array, PG_INT4);
	pg_array_int4(&array, 1);
	pg_array_null(&array);
	assert_bytes(&array, "00000001000000010000001700000002000000010000000400000001ffffffff");
	pg_array_begin(&array, PG_INT2);
	pg_array_int2(&array, 1);
	pg_array_int2(&array, -2);
	assert_bytes(&array, "0000000100000000000000150000000200000001000000020001"
			     "00000002fffe");
	pg_array_begin(&array, PG_INT8);
	pg_array_int8(&array, INT64_MIN);
	assert_bytes(&array, "00000001000000000000001400000001000000010000000880000000"
			     "00000000");
	pg_array_begin(&array, PG_INT4); /* one dimension without elements: an empty array */
	assert_bytes(&array, "0000000100000000000000170000000000000001");
}

/* Begun again, nothing of the array before is left, its null included. */
static void test_used_again(void **state)
{
	struct buf array = BUF_EMPTY;

	(void)state;
	pg_array_begin(&array, PG_TEXT);
	for (int i = 0; i < 10000; i++)
		pg_array_null(&array);
	struct pg_param param = pg_array_param(&array);
	assert_int_equal(param.len, 20 + 4 * 10000);
	pg_array_begin(&array, PG_INT4);
	pg_array_int4(&array, 1);
	assert_bytes(&array, "00000001000000000000001700000001000000010000000400000001");
}

static void assert_cell(enum attribute_type type, struct cell cell, const char *element)
{
	struct buf array = BUF_EMPTY, hex = BUF_EMPTY;

	pg_array_begin(&array, pg_type_oid((int)type));
	pg_array_cell(&array, (int)type, &cell);
	buf_printf(&hex, "00000001%08x%08x0000000100000001%s", cell.null, pg_type_oid((int)type), element);
	assert_bytes(&array, hex.base);
	buf_release(&hex);
}

static void test_cells(void **state)
{
	(void)state;
	assert_cell(TYPE_STRING, (struct cell){.text = SLICE_LIT("é")}, "00000002c3a9");
	assert_cell(TYPE_STRING, (struct cell){.text = SLICE_LIT("")}, "00000000");
	assert_cell(TYPE_INTEGER, (struct cell){.integer = INT32_MIN}, "0000000480000000");
	assert_cell(TYPE_LONG, (struct cell){.integer = -2}, "00000008fffffffffffffffe");
	assert_cell(TYPE_DOUBLE, (struct cell){.real = 0.1}, "000000083fb999999999999a");
	assert_cell(TYPE_DOUBLE, (struct cell){.real = -0.0}, "000000088000000000000000");
	assert_cell(TYPE_DATE, (struct cell){.integer = -730119}, "00000004fff4dbf9"); /* 0001-01-01 */
	assert_cell(TYPE_DATETIME, (struct cell){.integer = INT64_C(314476200000000)}, "0000000800011e03b230fa00");
	assert_cell(TYPE_BOOLEAN, (struct cell){.integer = 1}, "0000000101");
	assert_cell(TYPE_BOOLEAN, (struct cell){.integer = 0}, "0000000100");
	for (int type = 0; type < ATTRIBUTE_TYPE_COUNT; type++)
		assert_cell((enum attribute_type)type, (struct cell){.null = true}, "ffffffff");
}

/* Value of a numeric's wire form, times 10^4: each digit counts 10000^(weight - place). */
static uint64_t numeric_value(const unsigned char *wire, size_t len, bool *negative)
{
	int count = wire[0] << 8 | wire[1], weight = (int16_t)(wire[2] << 8 | wire[3]);
	uint64_t value = 0;

	assert_int_equal(len, 8 + 2 * count);
	*negative = (wire[4] << 8 | wire[5]) == 0x4000;
	assert_true(*negative || (wire[4] << 8 | wire[5]) == 0);
	assert_int_equal(wire[6] << 8 | wire[7], 4); /* display scale */
	for (int i = 0; i < count; i++) {
		unsigned digit = (unsigned)(wire[8 + 2 * i] << 8 | wire[9 + 2 * i]);
		uint64_t unit = 1;
		assert_true(digit < 10000);
		assert_true(i > 0 || digit > 0);
		for (int power = weight - i; power > -1; power--)
			unit *= 10000;
		assert_true(weight - i >= -1);
		value += digit * unit;
	}
	return value;
}

static void assert_decimal(uint64_t scaled, bool negative)
{
	struct buf array = BUF_EMPTY;
	struct cell cell = {.decimal = {scaled, negative}};
	bool is_negative;

	pg_array_begin(&array, PG_NUMERIC);
	pg_array_cell(&array, TYPE_CURRENCY, &cell);
	struct pg_param param = pg_array_param(&array);
	const unsigned char *wire = (const unsigned char *)param.data + 24;
	if (numeric_value(wire, param.len - 24, &is_negative) != scaled || is_negative != negative)
		fail_msg("%llu", (unsigned long long)scaled);
	buf_release(&array);
}

static void test_decimals(void **state)
{
	(void)state;
	assert_cell(TYPE_CURRENCY, (struct cell){.decimal = {125000, true}}, "0000000c0002000040000004000c1388");
	assert_cell(TYPE_CURRENCY, (struct cell){.decimal = {1, false}}, "0000000a0001ffff000000040001");
	assert_cell(TYPE_CURRENCY, (struct cell){.decimal = {99999999, false}}, "0000000c0002000000000004270f270f");
	assert_cell(TYPE_CURRENCY, (struct cell){.decimal = {UINT64_C(9999999999999999999), true}},
		    "00000012000500034000000403e7270f270f270f270f");
	assert_decimal(0, false);
	for (uint64_t scaled = 1; scaled <= UINT64_C(1000000000000000000); scaled *= 10)
		for (int more = -1; more <= 1; more++) {
			assert_decimal(scaled + (uint64_t)more, false);
			assert_decimal(scaled * 9 + 7, true);
		}
}

static void assert_escaped(struct slice text, const char *expected)
{
	struct arena arena;

	arena_init(&arena);
	struct slice escaped = pg_text_escape(text, &arena), back = pg_text_unescape(escaped, &arena);
	assert_true(slice_equal(escaped, slice_cstr(expected)));
	assert_true(slice_equal(back, text));
	assert_int_equal(back.base == NULL, text.base == NULL);
	arena_release(&arena);
}

/* A text column takes no U+0000: what goes in is without, what comes out is the same. */
static void test_escapes(void **state)
{
	(void)state;
	assert_escaped(SLICE_NONE, NULL);
	assert_escaped(SLICE_LIT(""), "");
	assert_escaped(SLICE_LIT("Phone"), "Phone");
	assert_escaped(SLICE_LIT("a\0b"), "a\\0b");
	assert_escaped(SLICE_LIT("\0\0"), "\\0\\0");
	assert_escaped(SLICE_LIT("\\"), "\\\\");
	assert_escaped(SLICE_LIT("\\0"), "\\\\0");
	assert_escaped(SLICE_LIT("\\\0\\"), "\\\\\\0\\\\");
}

static void test_types(void **state)
{
	static const struct {
		enum attribute_type type;
		int oid; /* pg_type.dat */
		const char *array;
	} rows[] = {{TYPE_STRING, 25, "text[]"},	{TYPE_INTEGER, 23, "int4[]"},
		    {TYPE_LONG, 20, "int8[]"},		{TYPE_DOUBLE, 701, "float8[]"},
		    {TYPE_DATE, 1082, "date[]"},	{TYPE_DATETIME, 1184, "timestamptz[]"},
		    {TYPE_CURRENCY, 1700, "numeric[]"}, {TYPE_BOOLEAN, 16, "bool[]"}};

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(*rows), ATTRIBUTE_TYPE_COUNT);
	for (size_t i = 0; i < ATTRIBUTE_TYPE_COUNT; i++) {
		assert_int_equal(pg_type_oid((int)rows[i].type), rows[i].oid);
		assert_string_equal(pg_type_array((int)rows[i].type), rows[i].array);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements), cmocka_unit_test(test_used_again), cmocka_unit_test(test_cells),
		cmocka_unit_test(test_decimals), cmocka_unit_test(test_escapes),    cmocka_unit_test(test_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
