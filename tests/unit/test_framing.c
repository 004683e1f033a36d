/* Which schema a message says that it was written with: every length of every framing. */
#include "avro/framing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char guid[] = "\x01"
			   "0123456789abcdef";

static void test_header(void **state)
{
	struct slice value = SLICE_LIT("x");
	struct frame frame;
	const char *wrong;

	(void)state;
	assert_true(frame_read_header(value, slice_of("\x00\x00\x00\x01\x02", 5), &frame, &wrong));
	assert_int_equal(frame.framing, FRAMING_CONFLUENT);
	assert_false(frame.schema.by_guid);
	assert_int_equal(frame.schema.id, 258);
	assert_int_equal(frame.body, 0);
	assert_true(frame_read_header(value, slice_of(guid, 17), &frame, &wrong));
	assert_true(frame.schema.by_guid);
	assert_memory_equal(frame.schema.guid, guid + 1, 16);
	assert_int_equal(frame.body, 0);
}

static void test_no_header(void **state)
{
	static const char zeros[32];
	struct frame frame;
	const char *wrong = NULL;

	(void)state;
	for (size_t len = 0; len <= sizeof(zeros); len++) {
		assert_int_equal(frame_read_header(SLICE_LIT("x"), slice_of(zeros, len), &frame, &wrong), len == 5);
		if (len < sizeof(guid))
			assert_int_equal(frame_read_header(SLICE_LIT("x"), slice_of(guid, len), &frame, &wrong), len == 17);
	}
	assert_false(frame_read_header(SLICE_NONE, slice_of(guid, 17), &frame, &wrong));
	assert_false(frame_read_header(SLICE_LIT(""), slice_of(guid, 17), &frame, &wrong));
	assert_string_equal(wrong, "the message has no value");
}

static void test_written_and_read_back(void **state)
{
	struct buf out = BUF_EMPTY;
	struct frame frame;
	const char *wrong;

	(void)state;
	frame_confluent(0x01020304, &out);
	assert_true(frame_read(buf_slice(&out), &frame, &wrong));
	assert_int_equal(frame.framing, FRAMING_CONFLUENT);
	assert_int_equal(frame.schema.id, 0x01020304);
	assert_int_equal(frame.body, out.len);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_no_header),
		cmocka_unit_test(test_written_and_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
