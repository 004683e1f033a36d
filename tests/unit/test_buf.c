/* The growing buffer: content survives growth, a NUL follows it, numbers have their bytes in the right order. */
#include "byunique/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_content(const struct buf *buf, const void *bytes, size_t len)
{
	assert_int_equal(buf->len, len);
	assert_memory_equal(buf->base, bytes, len);
	assert_int_equal(buf->base[len], '\0');
	assert_true(buf->cap > len);
}

static void test_empty(void **state)
{
	struct buf buf = BUF_EMPTY;

	(void)state;
	assert_non_null(buf_slice(&buf).base); /* empty, not absent */
	assert_int_equal(buf_slice(&buf).len, 0);
	buf_clear(&buf);
	assert_null(buf.base);
	buf_adds(&buf, "");
	assert_content(&buf, "", 0);
	buf_add(&buf, NULL, 0);
	assert_content(&buf, "", 0);
	buf_release(&buf);
	assert_null(buf.base);
	buf_release(&buf);
}

static void test_growth(void **state)
{
	enum { BYTES = 70000 };
	static char expected[BYTES];
	struct buf buf = BUF_EMPTY;

	(void)state;
	for (int i = 0; i < BYTES; i++) {
		expected[i] = (char)(i * 7);
		buf_addc(&buf, expected[i]);
		assert_int_equal(buf.base[i + 1], '\0');
	}
	assert_content(&buf, expected, BYTES);
	const char *before = buf.base;
	buf_clear(&buf);
	assert_content(&buf, "", 0);
	buf_adds(&buf, "again");
	assert_ptr_equal(buf.base, before);
	assert_content(&buf, "again", 5);
	buf_release(&buf);
}

static void test_reserve(void **state)
{
	struct buf buf = BUF_EMPTY;

	(void)state;
	buf_adds(&buf, "ab");
	char *end = buf_reserve(&buf, 1000);
	assert_ptr_equal(end, buf.base + 2);
	assert_int_equal(buf.len, 2);
	assert_true(buf.cap >= 1003);
	assert_memory_equal(buf.base, "ab", 2);
	buf_release(&buf);
}

/* Every length around where the buffer has to grow. */
static void test_printf(void **state)
{
	(void)state;
	for (int len = 0; len < 600; len++) {
		struct buf buf = BUF_EMPTY;
		buf_adds(&buf, "x");
		buf_printf(&buf, "%0*d", len + 1, 5);
		assert_int_equal(buf.len, len + 2);
		assert_int_equal(buf.base[0], 'x');
		assert_int_equal(buf.base[len + 1], '5');
		assert_int_equal(buf.base[len + 2], '\0');
		buf_release(&buf);
	}
}

static void test_numbers(void **state)
{
	struct buf buf = BUF_EMPTY;

	(void)state;
	buf_be16(&buf, 0x0102);
	buf_be32(&buf, 0x03040506);
	buf_be64(&buf, UINT64_C(0x0708090A0B0C0D0E));
	assert_content(&buf, "\1\2\3\4\5\6\7\x08\x09\x0A\x0B\x0C\x0D\x0E", 14);
	buf_release(&buf);
}

static void assert_varint(uint64_t v, const char *bytes, size_t len)
{
	struct buf buf = BUF_EMPTY;
	buf_varint(&buf, v);
	assert_content(&buf, bytes, len);
	buf_release(&buf);
}

static void test_varint(void **state)
{
	(void)state;
	assert_varint(0, "\0", 1);
	assert_varint(1, "\1", 1);
	assert_varint(0x7F, "\x7F", 1);
	assert_varint(0x80, "\x80\x01", 2);
	assert_varint(300, "\xAC\x02", 2);
	assert_varint(0x3FFF, "\xFF\x7F", 2);
	assert_varint(0x4000, "\x80\x80\x01", 3);
	assert_varint(UINT64_MAX, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),  cmocka_unit_test(test_growth),  cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_printf), cmocka_unit_test(test_numbers), cmocka_unit_test(test_varint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
