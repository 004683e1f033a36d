/* The contract's table of types, row by row: every kind of value against every type, and the limits of each on either side.
 * What is expected stands here as in the contract, not as in the code. */
#include "byunique/cell.h"

#include "byunique/buf.h"
#include "values.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct attribute of_type[ATTRIBUTE_TYPE_COUNT] = {
	[TYPE_STRING] = {.type = TYPE_STRING},	 [TYPE_INTEGER] = {.type = TYPE_INTEGER},
	[TYPE_LONG] = {.type = TYPE_LONG},	 [TYPE_DOUBLE] = {.type = TYPE_DOUBLE},
	[TYPE_DATE] = {.type = TYPE_DATE},	 [TYPE_DATETIME] = {.type = TYPE_DATETIME},
	[TYPE_CURRENCY] = {.type = TYPE_CURRENCY}, [TYPE_BOOLEAN] = {.type = TYPE_BOOLEAN},
};

static const char *reason_of(const struct attribute *attribute, struct value value, struct cell *cell)
{
	const char *reason = NULL;
	if (cell_from_value(attribute, &value, cell, &reason)) {
		assert_false(cell->null);
		return NULL;
	}
	assert_non_null(reason);
	return reason;
}

static struct cell accepted(enum attribute_type type, struct value value)
{
	struct cell cell = {0};
	const char *reason = reason_of(&of_type[type], value, &cell);
	if (reason != NULL)
		fail_msg("%s", reason);
	return cell;
}

static void refused(enum attribute_type type, struct value value)
{
	struct cell cell = {0};
	if (reason_of(&of_type[type], value, &cell) == NULL)
		fail_msg("a value of kind %d is accepted for %s", (int)value.kind, attribute_type_name(type));
}

static struct value text_value(const char *text)
{
	return (struct value){.kind = VALUE_STRING, .string = slice_cstr(text)};
}

/* No other conversion takes place. The string is one that each type would take if it took strings. */
static void test_every_kind_for_every_type(void **state)
{
	static const char accepts[ATTRIBUTE_TYPE_COUNT][VALUE_STRING + 1] = {
		/*                 null bool int long float double string */
		[TYPE_STRING] =   {0, 0, 0, 0, 0, 0, 1},
		[TYPE_INTEGER] =  {0, 0, 1, 1, 0, 0, 0},
		[TYPE_LONG] =     {0, 0, 1, 1, 0, 0, 0},
		[TYPE_DOUBLE] =   {0, 0, 1, 1, 1, 1, 0},
		[TYPE_DATE] =     {0, 0, 1, 1, 0, 0, 1},
		[TYPE_DATETIME] = {0, 0, 1, 1, 0, 0, 1},
		[TYPE_CURRENCY] = {0, 0, 1, 1, 0, 0, 1},
		[TYPE_BOOLEAN] =  {0, 1, 0, 0, 0, 0, 0},
	};
	static const char *const texts[ATTRIBUTE_TYPE_COUNT] = {"5", "5", "5", "5", "2024-01-01", "2024-01-01T00:00:00Z", "5",
								"true"};

	(void)state;
	for (int type = 0; type < ATTRIBUTE_TYPE_COUNT; type++) {
		struct value values[] = {NUL, BOOL(true), INT(1), LONG(1), FLOAT(1), DOUBLE(1), text_value(texts[type])};
		for (int kind = 0; kind <= VALUE_STRING; kind++) {
			struct cell cell;
			assert_int_equal(values[kind].kind, kind);
			if ((reason_of(&of_type[type], values[kind], &cell) == NULL) != accepts[type][kind])
				fail_msg("%s, kind %d", attribute_type_name((enum attribute_type)type), kind);
		}
	}
}

/* A length counts code points, not bytes and not what a person sees. */
static void test_string_length(void **state)
{
	static const struct attribute three = {.type = TYPE_STRING, .length = 3};
	struct cell cell;

	(void)state;
	assert_null(reason_of(&three, STRING(""), &cell));
	assert_null(reason_of(&three, STRING("abc"), &cell));
	assert_non_null(reason_of(&three, STRING("abcd"), &cell));
	assert_null(reason_of(&three, STRING("€€€"), &cell));
	assert_non_null(reason_of(&three, STRING("€€€€"), &cell));
	assert_null(reason_of(&three, STRING("😀😀😀"), &cell));
	assert_non_null(reason_of(&three, STRING("😀😀😀a"), &cell));
	assert_null(reason_of(&three, STRING("ae\u0301"), &cell));
	assert_non_null(reason_of(&three, STRING("aae\u0301"), &cell));
	assert_non_null(reason_of(&three, STRING("   a"), &cell)); /* blanks count … */
	assert_non_null(reason_of(&three, STRING("a   "), &cell)); /* … at the end, too */
	assert_null(reason_of(&three, STRING("a  "), &cell));
	assert_int_equal(cell.text.len, 3);
}

static void test_string(void **state)
{
	char *big = xmalloc(1 << 20);
	struct cell cell;

	(void)state;
	memset(big, 'x', 1 << 20);
	struct value value = {.kind = VALUE_STRING, .string = slice_of(big, 1 << 20)};
	cell = accepted(TYPE_STRING, value);
	assert_ptr_equal(cell.text.base, big);
	assert_int_equal(cell.text.len, 1 << 20);
	assert_int_equal(accepted(TYPE_STRING, STRING("")).text.len, 0);
	refused(TYPE_STRING, STRING("\0"));
	refused(TYPE_STRING, STRING("ab\0"));
	refused(TYPE_STRING, STRING("a\0b"));
	accepted(TYPE_STRING, STRING("\x01\x7F\xC2\x80\uFFFE\U0010FFFF\\"));
	free(big);
}

static void test_integer_and_long(void **state)
{
	(void)state;
	assert_true(accepted(TYPE_INTEGER, INT(INT32_MIN)).integer == INT32_MIN);
	assert_true(accepted(TYPE_INTEGER, LONG(INT32_MIN)).integer == INT32_MIN);
	assert_true(accepted(TYPE_INTEGER, LONG(INT32_MAX)).integer == INT32_MAX);
	refused(TYPE_INTEGER, LONG(INT64_C(2147483648)));
	refused(TYPE_INTEGER, LONG(INT64_C(-2147483649)));
	refused(TYPE_INTEGER, LONG(INT64_C(4294967296)));
	refused(TYPE_INTEGER, LONG(INT64_MIN));
	assert_true(accepted(TYPE_LONG, LONG(INT64_MIN)).integer == INT64_MIN);
	assert_true(accepted(TYPE_LONG, LONG(INT64_MAX)).integer == INT64_MAX);
	assert_true(accepted(TYPE_LONG, INT(-1)).integer == -1);
}

static void test_double(void **state)
{
	(void)state;
	assert_true(accepted(TYPE_DOUBLE, DOUBLE(DBL_MAX)).real == DBL_MAX);
	assert_true(accepted(TYPE_DOUBLE, DOUBLE(-DBL_MAX)).real == -DBL_MAX);
	assert_true(accepted(TYPE_DOUBLE, DOUBLE(DBL_TRUE_MIN)).real == DBL_TRUE_MIN);
	assert_true(accepted(TYPE_DOUBLE, FLOAT(0.1f)).real == (double)0.1f);
	assert_true(accepted(TYPE_DOUBLE, FLOAT(FLT_MAX)).real == (double)FLT_MAX);
	assert_true(accepted(TYPE_DOUBLE, INT(-7)).real == -7.0);
	assert_true(accepted(TYPE_DOUBLE, LONG(INT64_MAX)).real == 0x1p63);
	assert_true(signbit(accepted(TYPE_DOUBLE, DOUBLE(-0.0)).real));
	refused(TYPE_DOUBLE, DOUBLE(NAN));
	refused(TYPE_DOUBLE, DOUBLE(INFINITY));
	refused(TYPE_DOUBLE, DOUBLE(-INFINITY));
	refused(TYPE_DOUBLE, FLOAT(NAN));
	refused(TYPE_DOUBLE, FLOAT(-INFINITY));
}

/* Days since 1970 in, days since 2000 out. 719162 and 2932896: what any calendar says of 0001-01-01 and 9999-12-31. */
static void test_date(void **state)
{
	(void)state;
	assert_true(accepted(TYPE_DATE, INT(0)).integer == -10957);
	assert_true(accepted(TYPE_DATE, LONG(10957)).integer == 0);
	assert_true(accepted(TYPE_DATE, STRING("1970-01-01")).integer == -10957);
	assert_true(accepted(TYPE_DATE, STRING("2000-02-29")).integer == 59);
	assert_true(accepted(TYPE_DATE, INT(-719162)).integer == accepted(TYPE_DATE, STRING("0001-01-01")).integer);
	assert_true(accepted(TYPE_DATE, INT(2932896)).integer == accepted(TYPE_DATE, STRING("9999-12-31")).integer);
	refused(TYPE_DATE, INT(-719163));
	refused(TYPE_DATE, INT(2932897));
	refused(TYPE_DATE, LONG(INT64_MIN));
	refused(TYPE_DATE, LONG(INT64_MAX));
	refused(TYPE_DATE, STRING("0000-12-31"));
	refused(TYPE_DATE, STRING("2023-02-29"));
	refused(TYPE_DATE, STRING("2024-1-1"));
	refused(TYPE_DATE, STRING("2024-01-01T00:00:00Z"));
	refused(TYPE_DATE, STRING(""));
}

/* Milliseconds since 1970 in, microseconds since 2000 out. */
static void test_datetime(void **state)
{
	static const int64_t first_ms = INT64_C(-62135596800000), last_ms = INT64_C(253402300799999);

	(void)state;
	assert_true(accepted(TYPE_DATETIME, LONG(0)).integer == INT64_C(-946684800000000));
	assert_true(accepted(TYPE_DATETIME, INT(-1)).integer == INT64_C(-946684800001000));
	assert_true(accepted(TYPE_DATETIME, LONG(INT64_C(946684800123))).integer == 123000);
	assert_true(accepted(TYPE_DATETIME, LONG(first_ms)).integer ==
		    accepted(TYPE_DATETIME, STRING("0001-01-01T00:00:00Z")).integer);
	assert_true(accepted(TYPE_DATETIME, LONG(last_ms)).integer ==
		    accepted(TYPE_DATETIME, STRING("9999-12-31T23:59:59.999Z")).integer);
	refused(TYPE_DATETIME, LONG(first_ms - 1));
	refused(TYPE_DATETIME, LONG(last_ms + 1));
	refused(TYPE_DATETIME, LONG(INT64_MIN));
	refused(TYPE_DATETIME, LONG(INT64_MAX));
	assert_true(accepted(TYPE_DATETIME, STRING("2000-01-01T05:30:00.000001+0530")).integer == 1);
	refused(TYPE_DATETIME, STRING("2024-01-01"));
	refused(TYPE_DATETIME, STRING("2024-01-01T00:00:00"));
	refused(TYPE_DATETIME, STRING("2024-01-01T00:00:00+16:00"));
	refused(TYPE_DATETIME, STRING("9999-12-31T23:59:59-00:01"));
}

static void assert_currency(struct value value, uint64_t scaled, bool negative)
{
	struct cell cell = accepted(TYPE_CURRENCY, value);
	if (cell.decimal.scaled != scaled || cell.decimal.negative != negative)
		fail_msg("%.*s is read as %llu", value.kind == VALUE_STRING ? (int)value.string.len : 0,
			 value.kind == VALUE_STRING ? value.string.base : "", (unsigned long long)cell.decimal.scaled);
}

static void test_currency(void **state)
{
	static const char *const bad[] = {
		"", "-", "+", ".", ".5", "5.", "-.5", "1e3", "1,5", "1,000.00", " 1", "1 ", "1.2.3", "--1", "+-1", "0x10",
		"NaN", "Infinity", "12.50 €", "$5", "1_000", "१", "1.00000", "0.00000", "1000000000000000",
		"-1000000000000000", "1000000000000000.0", "99999999999999999999999999", "18446744073709551617",
		"340282366920938463463374607431768211457", "1.99999999999999999999999999"};

	(void)state;
	assert_currency(STRING("-12.50"), 125000, true);
	assert_currency(STRING("+12.5"), 125000, false);
	assert_currency(STRING("0"), 0, false);
	assert_currency(STRING("-0"), 0, false);
	assert_currency(STRING("-0.0000"), 0, false);
	assert_currency(STRING("0.0001"), 1, false);
	assert_currency(STRING("-0.0001"), 1, true);
	assert_currency(STRING("999999999999999.9999"), UINT64_C(9999999999999999999), false);
	assert_currency(STRING("-999999999999999.9999"), UINT64_C(9999999999999999999), true);
	assert_currency(STRING("000000000000000000000000000000001.10"), 11000, false);
	assert_currency(STRING("0000000000999999999999999"), UINT64_C(9999999999999990000), false);
	assert_currency(INT(-7), 70000, true);
	assert_currency(INT(0), 0, false);
	assert_currency(LONG(INT64_C(999999999999999)), UINT64_C(9999999999999990000), false);
	assert_currency(LONG(INT64_C(-999999999999999)), UINT64_C(9999999999999990000), true);
	refused(TYPE_CURRENCY, LONG(INT64_C(1000000000000000)));
	refused(TYPE_CURRENCY, LONG(INT64_C(-1000000000000000)));
	refused(TYPE_CURRENCY, LONG(INT64_MIN));
	refused(TYPE_CURRENCY, STRING("1\0"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(TYPE_CURRENCY, text_value(bad[i]));
}

static struct value decimal_value(char bytes[24], __int128 unscaled, unsigned size, uint32_t scale)
{
	for (unsigned i = size; i-- > 0; unscaled >>= 8)
		bytes[i] = (char)(unscaled & 0xFF);
	return (struct value){.kind = VALUE_DECIMAL, .scale = scale, .string = slice_of(bytes, size)};
}

/* Against arithmetic on 128 bits; 16 bytes, or 24 with nothing but the sign in front. */
static void test_random_decimals(void **state)
{
	unsigned seed = 4711;

	(void)state;
	for (int turn = 0; turn < 200000; turn++) {
		__int128 unscaled = 0, magnitude, scaled;
		uint32_t scale = (uint32_t)rand_r(&seed) % 20;
		bool whole = true;
		char bytes[24];
		struct cell cell;

		for (int i = 0; i < 4; i++)
			unscaled = unscaled << 31 | rand_r(&seed);
		unscaled >>= rand_r(&seed) % 120;
		for (int tens = rand_r(&seed) % 12; tens > 0 && unscaled < ((__int128)1 << 120); tens--)
			unscaled *= 10;
		magnitude = scaled = unscaled;
		for (uint32_t s = scale; s > 4; s--) {
			whole = whole && scaled % 10 == 0;
			scaled /= 10;
		}
		for (uint32_t s = scale; s < 4 && scaled < ((__int128)1 << 100); s++)
			scaled *= 10;
		bool fits = whole && scaled < (__int128)10000000000000000000u;
		bool negative = rand_r(&seed) % 2;
		struct value value =
			decimal_value(bytes, negative ? -magnitude : magnitude, rand_r(&seed) % 2 ? 16 : 24, scale);
		assert_int_equal(reason_of(&of_type[TYPE_CURRENCY], value, &cell) == NULL, fits);
		if (!fits)
			continue;
		assert_true(cell.decimal.scaled == (uint64_t)scaled);
		assert_int_equal(cell.decimal.negative, negative && scaled > 0);
	}
}

static void test_boolean(void **state)
{
	(void)state;
	assert_int_equal(accepted(TYPE_BOOLEAN, BOOL(true)).integer, 1);
	assert_int_equal(accepted(TYPE_BOOLEAN, BOOL(false)).integer, 0);
}

/* Reasons are published: nothing of the value may stand in them. */
static void test_reasons_hold_no_value(void **state)
{
	struct cell cell;

	(void)state;
	for (int type = 0; type < ATTRIBUTE_TYPE_COUNT; type++) {
		static const struct attribute short_string = {.type = TYPE_STRING, .length = 1};
		const struct attribute *attribute = type == TYPE_STRING ? &short_string : &of_type[type];
		const char *reason = reason_of(attribute, STRING("SECRET4711"), &cell);
		assert_non_null(reason);
		assert_null(strstr(reason, "SECRET"));
		assert_null(strstr(reason, "4711"));
	}
}

/* --- text ------------------------------------------------------------------------------------------------------ */

static void test_text_of_files(void **state)
{
	static const struct {
		enum attribute_type type;
		const char *text;
		bool good;
	} cases[] = {
		{TYPE_STRING, "", true},	{TYPE_STRING, " a ", true},
		{TYPE_INTEGER, "5", true},	{TYPE_INTEGER, "-5", true},	{TYPE_INTEGER, "+5", true},
		{TYPE_INTEGER, "007", true},	{TYPE_INTEGER, "2147483647", true}, {TYPE_INTEGER, "-2147483648", true},
		{TYPE_INTEGER, "2147483648", false}, {TYPE_INTEGER, "-2147483649", false}, {TYPE_INTEGER, "", false},
		{TYPE_INTEGER, "-", false},	{TYPE_INTEGER, "5.0", false},	{TYPE_INTEGER, " 5", false},
		{TYPE_INTEGER, "5 ", false},	{TYPE_INTEGER, "0x5", false},	{TYPE_INTEGER, "1e3", false},
		{TYPE_INTEGER, "99999999999999999999999", false},
		{TYPE_LONG, "9223372036854775807", true}, {TYPE_LONG, "-9223372036854775808", true},
		{TYPE_LONG, "9223372036854775808", false}, {TYPE_LONG, "-9223372036854775809", false},
		{TYPE_LONG, "18446744073709551617", false},
		{TYPE_DOUBLE, "0.1", true},	{TYPE_DOUBLE, "-1e308", true},	{TYPE_DOUBLE, "1E-5", true},
		{TYPE_DOUBLE, "5", true},	{TYPE_DOUBLE, "1e309", false},	{TYPE_DOUBLE, "nan", false},
		{TYPE_DOUBLE, "inf", false},	{TYPE_DOUBLE, "0x1p3", false},	{TYPE_DOUBLE, "", false},
		{TYPE_DOUBLE, " 1", false},	{TYPE_DOUBLE, "1 ", false},	{TYPE_DOUBLE, "1e", false},
		{TYPE_DOUBLE, "1-2", false},	{TYPE_DOUBLE, "1,5", false},
		{TYPE_BOOLEAN, "true", true},	{TYPE_BOOLEAN, "FALSE", true},	{TYPE_BOOLEAN, "t", false},
		{TYPE_BOOLEAN, "1", false},	{TYPE_BOOLEAN, "", false},	{TYPE_BOOLEAN, "truex", false},
		{TYPE_DATE, "2024-02-29", true}, {TYPE_DATE, "2023-02-29", false}, {TYPE_DATE, "19000", false},
		{TYPE_DATETIME, "2024-02-29T00:00:00Z", true}, {TYPE_DATETIME, "0", false},
		{TYPE_CURRENCY, "-12.50", true}, {TYPE_CURRENCY, "12.50001", false}, {TYPE_CURRENCY, "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct attribute *attribute = &of_type[cases[i].type];
		const char *reason = NULL;
		struct value value;
		struct cell cell;
		bool good = value_from_text(attribute, slice_cstr(cases[i].text), &value, &reason);
		if (good != cases[i].good)
			fail_msg("%s %s", attribute_type_name(cases[i].type), cases[i].text);
		if (good)
			assert_null(reason_of(attribute, value, &cell)); /* the command would be accepted, too */
		else
			assert_non_null(reason);
	}
}

static void assert_kind(enum attribute_type type, const char *text, enum value_kind kind)
{
	const char *reason;
	struct value value;

	assert_true(value_from_text(&of_type[type], slice_cstr(text), &value, &reason));
	assert_int_equal(value.kind, kind);
}

static void test_kinds_of_text(void **state)
{
	const char *reason;
	struct value value;

	(void)state;
	assert_kind(TYPE_STRING, "5", VALUE_STRING);
	assert_kind(TYPE_INTEGER, "5", VALUE_INT);
	assert_kind(TYPE_LONG, "5", VALUE_LONG);
	assert_kind(TYPE_DOUBLE, "5", VALUE_DOUBLE);
	assert_kind(TYPE_DATE, "2024-01-01", VALUE_STRING);
	assert_kind(TYPE_DATETIME, "2024-01-01T00:00:00Z", VALUE_STRING);
	assert_kind(TYPE_CURRENCY, "5", VALUE_STRING);
	assert_kind(TYPE_BOOLEAN, "True", VALUE_BOOLEAN);
	assert_false(value_from_text(&of_type[TYPE_INTEGER], SLICE_LIT("5\0"), &value, &reason));
	assert_false(value_from_text(&of_type[TYPE_DOUBLE], SLICE_LIT("5\0"), &value, &reason));
	assert_false(value_from_text(&of_type[TYPE_STRING], SLICE_LIT("5\0"), &value, &reason));
	assert_false(value_from_text(&of_type[TYPE_INTEGER], SLICE_NONE, &value, &reason));
	assert_true(value_from_text(&of_type[TYPE_STRING], slice_of("abc", 2), &value, &reason)); /* not beyond its end */
	assert_int_equal(value.string.len, 2);
}

static void assert_written(enum attribute_type type, struct value value, const char *expected)
{
	struct cell cell = accepted(type, value), again;
	struct buf text = BUF_EMPTY;
	const char *reason;
	struct value back;

	cell_text(type, &cell, &text);
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.len ? text.base : "", expected, text.len);
	assert_true(value_from_text(&of_type[type], buf_slice(&text), &back, &reason));
	again = accepted(type, back);
	assert_int_equal(cell_compare(type, &cell, &again), 0);
	if (type == TYPE_DOUBLE)
		assert_memory_equal(&cell.real, &again.real, sizeof(cell.real));
	buf_release(&text);
}

static void test_written_and_read_back(void **state)
{
	(void)state;
	assert_written(TYPE_STRING, STRING("a,\"b\"\n"), "a,\"b\"\n");
	assert_written(TYPE_STRING, STRING(""), "");
	assert_written(TYPE_INTEGER, INT(INT32_MIN), "-2147483648");
	assert_written(TYPE_LONG, LONG(INT64_MIN), "-9223372036854775808");
	assert_written(TYPE_DOUBLE, DOUBLE(0.1), "0.1");
	assert_written(TYPE_DOUBLE, DOUBLE(0.1 + 0.2), "0.30000000000000004");
	assert_written(TYPE_DOUBLE, DOUBLE(1e300), "1e+300");
	assert_written(TYPE_DOUBLE, DOUBLE(DBL_TRUE_MIN), "4.94065645841247e-324");
	assert_written(TYPE_DOUBLE, DOUBLE(DBL_MAX), "1.7976931348623157e+308");
	assert_written(TYPE_DOUBLE, DOUBLE(-0.0), "-0");
	assert_written(TYPE_DATE, INT(-719162), "0001-01-01");
	assert_written(TYPE_DATE, INT(2932896), "9999-12-31");
	assert_written(TYPE_DATETIME, STRING("2009-12-18T18:30:00.000Z"), "2009-12-18T18:30:00Z");
	assert_written(TYPE_DATETIME, STRING("2009-12-18T18:30:00.12+01:00"), "2009-12-18T17:30:00.12Z");
	assert_written(TYPE_CURRENCY, STRING("-12.5"), "-12.5000");
	assert_written(TYPE_CURRENCY, STRING("-0.0001"), "-0.0001");
	assert_written(TYPE_CURRENCY, STRING("-999999999999999.9999"), "-999999999999999.9999");
	assert_written(TYPE_CURRENCY, STRING("-0"), "0.0000");
	assert_written(TYPE_BOOLEAN, BOOL(true), "true");
	assert_written(TYPE_BOOLEAN, BOOL(false), "false");
}

static void test_random_doubles(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = (uint64_t)rand_r(&seed) << 42 ^ (uint64_t)rand_r(&seed) << 21 ^ (uint64_t)rand_r(&seed);
		struct buf text = BUF_EMPTY;
		const char *reason;
		struct value value;
		double real;
		memcpy(&real, &bits, sizeof(real));
		if (!isfinite(real))
			continue;
		struct cell cell = accepted(TYPE_DOUBLE, DOUBLE(real));
		cell_text(TYPE_DOUBLE, &cell, &text);
		assert_true(value_from_text(&of_type[TYPE_DOUBLE], buf_slice(&text), &value, &reason));
		assert_memory_equal(&value.real, &real, sizeof(real));
		buf_release(&text);
	}
}

/* --- order ----------------------------------------------------------------------------------------------------- */

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

/* Values of one type in ascending order, no two equal. */
static void assert_ascending(enum attribute_type type, const struct value *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			struct cell a = accepted(type, values[i]), b = accepted(type, values[j]);
			if (sign(cell_compare(type, &a, &b)) != (i > j) - (i < j))
				fail_msg("%s: %zu and %zu", attribute_type_name(type), i, j);
		}
}

#define ASCENDING(type, ...)                                                                                           \
	assert_ascending(type, (const struct value[]){__VA_ARGS__},                                                    \
			 sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))

static void assert_equal_cells(enum attribute_type type, struct value left, struct value right)
{
	struct cell a = accepted(type, left), b = accepted(type, right);
	assert_int_equal(cell_compare(type, &a, &b), 0);
}

static void test_order(void **state)
{
	(void)state;
	ASCENDING(TYPE_STRING, STRING(""), STRING(" "), STRING("A"), STRING("a"), STRING("a "), STRING("aa"), STRING("b"),
		  STRING("é"), STRING("\uFFFF"), STRING("😀"));
	ASCENDING(TYPE_INTEGER, INT(INT32_MIN), INT(-1), INT(0), INT(1), INT(INT32_MAX));
	ASCENDING(TYPE_LONG, LONG(INT64_MIN), LONG(INT32_MIN), LONG(0), LONG(INT64_MAX));
	ASCENDING(TYPE_DOUBLE, DOUBLE(-DBL_MAX), DOUBLE(-1), DOUBLE(-DBL_TRUE_MIN), DOUBLE(0), DOUBLE(DBL_TRUE_MIN),
		  FLOAT(0.1f - 0.05f), DOUBLE(0.1), FLOAT(0.1f), DOUBLE(DBL_MAX));
	ASCENDING(TYPE_DATE, STRING("0001-01-01"), INT(-1), INT(0), STRING("9999-12-31"));
	ASCENDING(TYPE_DATETIME, STRING("0001-01-01T00:00:00Z"), LONG(-1), STRING("1970-01-01T00:00:00Z"), LONG(1));
	ASCENDING(TYPE_CURRENCY, STRING("-999999999999999.9999"), INT(-2), STRING("-1.0001"), INT(-1), STRING("-0.0001"),
		  INT(0), STRING("0.0001"), INT(1), STRING("999999999999999.9999"));
	ASCENDING(TYPE_BOOLEAN, BOOL(false), BOOL(true));
	assert_equal_cells(TYPE_DOUBLE, DOUBLE(-0.0), INT(0));
	assert_equal_cells(TYPE_CURRENCY, STRING("-0.00"), INT(0));
	assert_equal_cells(TYPE_CURRENCY, STRING("+007.5"), STRING("7.5000"));
	assert_equal_cells(TYPE_DATETIME, STRING("2000-01-01T01:00:00+01:00"), STRING("2000-01-01T00:00:00.000Z"));
	assert_equal_cells(TYPE_DATE, STRING("1970-01-01"), INT(0));
	assert_equal_cells(TYPE_INTEGER, INT(5), LONG(5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_for_every_type), cmocka_unit_test(test_string_length),
		cmocka_unit_test(test_string),			  cmocka_unit_test(test_integer_and_long),
		cmocka_unit_test(test_double),			  cmocka_unit_test(test_date),
		cmocka_unit_test(test_datetime),		  cmocka_unit_test(test_currency),
		cmocka_unit_test(test_boolean),			  cmocka_unit_test(test_reasons_hold_no_value),
		cmocka_unit_test(test_text_of_files),		  cmocka_unit_test(test_kinds_of_text),
		cmocka_unit_test(test_written_and_read_back),	  cmocka_unit_test(test_random_doubles),
		cmocka_unit_test(test_order),			  cmocka_unit_test(test_random_decimals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
