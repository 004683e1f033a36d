/* Bytes: order, case, and well-formed UTF-8 against a decoder written from RFC 3629's definition instead of its table. */
#include "byunique/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void test_compare(void **state)
{
	static const struct slice sorted[] = {{"", 0},	 {"\0", 1}, {"\0a", 2},	 {"A", 1},    {"a", 1}, {"a\0", 2},
					      {"aa", 2}, {"b", 1},  {"\x7F", 1}, {"\x80", 1}, {"é", 2}, {"\xFF", 1}};
	enum { COUNT = sizeof(sorted) / sizeof(*sorted) };

	(void)state;
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < COUNT; j++) {
			assert_int_equal(sign(slice_compare(sorted[i], sorted[j])), sign(i - j));
			assert_int_equal(slice_equal(sorted[i], sorted[j]), i == j);
		}
	assert_int_equal(slice_compare(SLICE_NONE, SLICE_LIT("")), 0);
	assert_true(slice_equal(SLICE_NONE, SLICE_LIT("")));
}

/* ASCII letters and nothing else: the neighbours of the letters, and the Kelvin sign, are themselves alone. */
static void test_equal_nocase(void **state)
{
	(void)state;
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++) {
			char left = (char)a, right = (char)b;
			bool letter = (a >= 'A' && a <= 'Z') || (a >= 'a' && a <= 'z');
			assert_int_equal(slice_equal_nocase(slice_of(&left, 1), slice_of(&right, 1)),
					 a == b || (letter && (a ^ b) == 0x20));
		}
	assert_true(slice_equal_nocase(SLICE_LIT("Phone_1"), SLICE_LIT("pHONE_1")));
	assert_false(slice_equal_nocase(SLICE_LIT("Phone"), SLICE_LIT("Phones")));
	assert_false(slice_equal_nocase(SLICE_LIT("Phone"), SLICE_LIT("Phone\0")));
	assert_false(slice_equal_nocase(SLICE_LIT("k"), SLICE_LIT("\u212a")));
	assert_true(slice_equal_nocase(SLICE_NONE, SLICE_NONE));
}

/* Number of bytes that the lead byte announces, its bits, and the smallest code point that needs so many bytes. */
static bool announced(unsigned char lead, size_t *len, uint32_t *bits, uint32_t *least)
{
	if (lead < 0x80)
		*len = 1, *bits = lead, *least = 0;
	else if ((lead & 0xE0) == 0xC0)
		*len = 2, *bits = lead & 0x1F, *least = 0x80;
	else if ((lead & 0xF0) == 0xE0)
		*len = 3, *bits = lead & 0x0F, *least = 0x800;
	else if ((lead & 0xF8) == 0xF0)
		*len = 4, *bits = lead & 0x07, *least = 0x10000;
	else
		return false;
	return true;
}

/* One code point and nothing more? */
static bool is_one_code_point(const unsigned char *p, size_t size)
{
	uint32_t point, least;
	size_t len;

	if (size == 0 || !announced(p[0], &len, &point, &least) || len != size)
		return false;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return false;
		point = point << 6 | (p[i] & 0x3F);
	}
	return point >= least && point <= 0x10FFFF && !(point >= 0xD800 && point <= 0xDFFF);
}

static bool is_text(const unsigned char *p, size_t size)
{
	for (size_t at = 0; at < size;) {
		size_t len = 1;
		while (len <= 4 && at + len <= size && !is_one_code_point(p + at, len))
			len++;
		if (len > 4 || at + len > size)
			return false;
		at += len;
	}
	return true;
}

static void check(const unsigned char *p, size_t size)
{
	if (slice_is_utf8(slice_of(p, size)) != is_text(p, size))
		fail_msg("%zu bytes: %02x %02x %02x %02x", size, p[0], p[1], p[2], p[3]);
}

/* All sequences of up to three bytes; of four those with bytes at the borders of the ranges. */
static void test_every_short_sequence(void **state)
{
	static const unsigned char border[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
					       0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};
	unsigned char p[4] = {0};

	(void)state;
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++) {
			p[0] = (unsigned char)a;
			p[1] = (unsigned char)b;
			check(p, 1);
			check(p, 2);
			for (size_t c = 0; c < sizeof(border); c++)
				for (size_t d = 0; d < sizeof(border); d++) {
					p[2] = border[c];
					p[3] = border[d];
					check(p, 3);
					check(p, 4);
				}
		}
}

static size_t encode(uint32_t point, char *out)
{
	if (point < 0x80)
		return out[0] = (char)point, 1;
	if (point < 0x800)
		return out[0] = (char)(0xC0 | point >> 6), out[1] = (char)(0x80 | (point & 0x3F)), 2;
	if (point < 0x10000)
		return out[0] = (char)(0xE0 | point >> 12), out[1] = (char)(0x80 | (point >> 6 & 0x3F)),
		       out[2] = (char)(0x80 | (point & 0x3F)), 3;
	return out[0] = (char)(0xF0 | point >> 18), out[1] = (char)(0x80 | (point >> 12 & 0x3F)),
	       out[2] = (char)(0x80 | (point >> 6 & 0x3F)), out[3] = (char)(0x80 | (point & 0x3F)), 4;
}

static void test_every_code_point(void **state)
{
	char text[4];

	(void)state;
	for (uint32_t point = 0; point <= 0x110000; point++) {
		size_t len = encode(point, text);
		bool good = !(point >= 0xD800 && point <= 0xDFFF) && point <= 0x10FFFF;
		if (slice_is_utf8(slice_of(text, len)) != good || slice_code_points(slice_of(text, len)) != 1)
			fail_msg("U+%04X", point);
	}
}

/* A fault shows at any place of a longer text, across the blocks of eight bytes, and at its end. */
static void test_faults_anywhere(void **state)
{
	static const char *const faults[] = {"\x80",	 "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
					     "\xE2\x82", "\xFF"};
	char text[64];

	(void)state;
	for (size_t f = 0; f < sizeof(faults) / sizeof(*faults); f++)
		for (size_t before = 0; before < 20; before++)
			for (size_t after = 0; after < 20; after++) {
				size_t len = strlen(faults[f]);
				memset(text, 'a', sizeof(text));
				assert_true(slice_is_utf8(slice_of(text, before + len + after)));
				memcpy(text + before, faults[f], len);
				assert_false(slice_is_utf8(slice_of(text, before + len + after)));
			}
}

static void test_code_points(void **state)
{
	(void)state;
	assert_int_equal(slice_code_points(SLICE_NONE), 0);
	assert_int_equal(slice_code_points(SLICE_LIT("abc")), 3);
	assert_int_equal(slice_code_points(SLICE_LIT("a\0b")), 3);
	assert_int_equal(slice_code_points(SLICE_LIT("é€😀")), 3);
	assert_int_equal(slice_code_points(SLICE_LIT("e\u0301")), 2); /* combining marks count */
	assert_true(slice_is_utf8(SLICE_LIT("é€😀, and more of it")));
	assert_true(slice_is_utf8(SLICE_NONE));
}

static void test_whole(void **state)
{
	static const char text[] = "aé€😀b";
	static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++)
		assert_int_equal(slice_whole(slice_of(text, len)), whole[len]);
	assert_int_equal(slice_whole(SLICE_NONE), 0);
	assert_int_equal(slice_whole(SLICE_LIT("\x80\x80\x80\x80\x80")), 5); /* no text at all: nothing is cut off */
	assert_int_equal(slice_whole(SLICE_LIT("a\x80")), 2);
	assert_int_equal(slice_whole(SLICE_LIT("\xF0")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_equal_nocase),
		cmocka_unit_test(test_every_short_sequence),
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_faults_anywhere),
		cmocka_unit_test(test_code_points),
		cmocka_unit_test(test_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
