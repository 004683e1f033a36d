/* Dead letters: the producer's headers and the worker's, bytes for people; places in a topic. */
#include "cli/letter.h"
#include "cli/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define H(name_, value_) {.name = (name_), .value = SLICE_LIT(value_)}
#define ADDED(partition, offset)                                                                                       \
	H("__connect.errors.topic", "commands"), H("__connect.errors.partition", partition),                           \
		H("__connect.errors.offset", offset), H("byunique.code", "InternalError"), H("byunique.detail", "why")
#define SOME SLICE_LIT("x") /* key or value */
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void test_headers(void **state)
{
	const struct kafka_header plain[] = {ADDED("3", "9223372036854775807")};
	const struct kafka_header own[] = {H("a", "1"), H("byunique.truncated", "headers"), H("byunique.code", "x"),
					   {"b", SLICE_NONE}, ADDED("1", "2"), ADDED("4", "5")};
	struct letter letter;

	(void)state;
	assert_true(letter_parse(plain, COUNT(plain), SOME, SOME, &letter));
	assert_int_equal(letter.header_count, 0);
	assert_int_equal(letter.partition, 3);
	assert_true(letter.offset == INT64_MAX);
	assert_true(slice_equal(letter.topic, SLICE_LIT("commands")));
	assert_true(slice_equal(letter.code, SLICE_LIT("InternalError")));
	assert_true(slice_equal(letter.detail, SLICE_LIT("why")));
	assert_false(letter.truncated);
	/* A producer may send what it likes, even a dead letter's headers. */
	assert_true(letter_parse(own, COUNT(own), SOME, SOME, &letter));
	assert_int_equal(letter.header_count, 9);
	assert_int_equal(letter.partition, 4);
	assert_false(letter.truncated);
}

#define LOST(what) H("byunique.truncated", what)

static void assert_parsed(const struct kafka_header *headers, size_t count, struct slice key, struct slice value,
			  size_t own_count, bool truncated)
{
	struct letter letter;

	assert_true(letter_parse(headers, count, key, value, &letter));
	assert_int_equal(letter.header_count, own_count);
	assert_int_equal(letter.truncated, truncated);
}

/* By whatever letter_headers() says. */
static void test_truncated(void **state)
{
	const struct kafka_header value[] = {H("a", "1"), LOST("value"), ADDED("1", "2")};
	const struct kafka_header headers[] = {LOST("detail"), LOST("value"), LOST("headers"), ADDED("1", "2")};
	const struct kafka_header only_headers[] = {LOST("headers"), ADDED("1", "2")};
	const struct kafka_header key[] = {H("a", "1"), LOST("key"), ADDED("1", "2")};
	const struct kafka_header all[] = {LOST("detail"), LOST("value"), LOST("headers"), LOST("key"), ADDED("1", "2")};
	const struct kafka_header detail[] = {H("a", "1"), LOST("detail"), ADDED("1", "2")};

	(void)state;
	assert_parsed(value, COUNT(value), SOME, SLICE_NONE, 1, true);
	assert_parsed(headers, COUNT(headers), SOME, SLICE_NONE, 0, true);
	assert_parsed(only_headers, COUNT(only_headers), SOME, SOME, 0, true);
	assert_parsed(key, COUNT(key), SLICE_NONE, SOME, 1, true);
	assert_parsed(all, COUNT(all), SLICE_NONE, SLICE_NONE, 0, true);
	assert_parsed(detail, COUNT(detail), SOME, SOME, 1, false);
}

/* A producer's own headers of these names stay his: what they say is lost is there. */
static void test_not_truncated(void **state)
{
	const struct kafka_header value[] = {H("a", "1"), LOST("value"), ADDED("1", "2")};
	const struct kafka_header key[] = {LOST("key"), ADDED("1", "2")};
	const struct kafka_header headers[] = {H("a", "1"), LOST("value"), LOST("headers"), ADDED("1", "2")};
	const struct kafka_header both[] = {LOST("headers"), H("a", "1"), LOST("value"), LOST("value"), ADDED("1", "2")};
	const struct kafka_header long_detail[] = {LOST("detail"),
		H("__connect.errors.topic", "commands"), H("__connect.errors.partition", "1"), H("__connect.errors.offset", "2"),
		H("byunique.code", "InternalError"),
		H("byunique.detail", "a detail that is longer than anything that would be left if it had been cut")};

	(void)state;
	assert_parsed(value, COUNT(value), SOME, SOME, 2, false);
	assert_parsed(key, COUNT(key), SOME, SOME, 1, false);
	assert_parsed(headers, COUNT(headers), SOME, SLICE_NONE, 3, false);
	assert_parsed(both, COUNT(both), SOME, SLICE_NONE, 3, true);
	assert_parsed(long_detail, COUNT(long_detail), SOME, SOME, 1, false);
}

static void test_no_letters(void **state)
{
	const struct kafka_header added[] = {ADDED("1", "2"), H("more", "x")};
	const struct kafka_header bad[][5] = {{ADDED("", "2")}, {ADDED("1", "-2")}, {ADDED("2147483648", "2")},
					      {ADDED("1", "9223372036854775808")}, {ADDED("1x", "2")}, {ADDED("+1", "2")}};
	struct letter letter;

	(void)state;
	assert_false(letter_parse(NULL, 0, SOME, SOME, &letter));
	assert_false(letter_parse(added, 4, SOME, SOME, &letter));
	assert_true(letter_parse(added, 5, SOME, SOME, &letter));
	assert_false(letter_parse(added, 6, SOME, SOME, &letter));
	assert_false(letter_parse(added + 1, 5, SOME, SOME, &letter));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(letter_parse(bad[i], 5, SOME, SOME, &letter));
}

static void assert_escaped(struct slice text, const char *expected)
{
	struct buf out = BUF_EMPTY;

	text_escape(text, &out);
	assert_string_equal(buf_slice(&out).base, expected);
	buf_release(&out);
}

static void test_bytes(void **state)
{
	struct buf out = BUF_EMPTY;

	(void)state;
	assert_true(bytes_are_text(SLICE_LIT("a\tb\n\xC3\xA9")));
	assert_true(bytes_are_text(SLICE_LIT("")));
	assert_false(bytes_are_text(SLICE_LIT("a\x1b[31m")));
	assert_false(bytes_are_text(SLICE_LIT("a\xC2\x9B")));
	assert_false(bytes_are_text(SLICE_LIT("a\xFF")));
	assert_escaped(SLICE_LIT("a\\\t\x7F\xC2\x9B\xC3\xA9"), "a\\\\\\x09\\x7f\\u009b\xC3\xA9");
	assert_escaped(SLICE_LIT("\xC3\xA9\xFF"), "\\xc3\\xa9\\xff");
	assert_escaped(SLICE_NONE, "-");
	hex_dump(SLICE_LIT("0123456789abcdef\x01~"), &out);
	assert_string_equal(out.base,
			    "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
			    "00000010  01 7e                                             |.~|\n");
	buf_release(&out);
}

static void assert_place(const char *text, int kind, int64_t value)
{
	struct kafka_place place = {.kind = KAFKA_PLACE_BEGINNING};
	struct err err;

	assert_true(place_parse("from", text, &place, &err));
	assert_int_equal(place.kind, kind);
	assert_true(place.value == value);
}

static void test_places(void **state)
{
	static const char *const wrong[] = {"",	       "5",	     "offset:",	   "offset:-1",	 "offset:+1", "offset:1x",
					    "offset: 1", "time:",    "time:1",	   "time:2024-05-17", "Beginning",
					    "offset:9223372036854775808", "time:1969-12-31T23:59:59Z"};
	struct kafka_place place = {0};
	struct err err;

	(void)state;
	assert_place("beginning", KAFKA_PLACE_BEGINNING, 0);
	assert_place("end", KAFKA_PLACE_END, 0);
	assert_place("offset:0", KAFKA_PLACE_OFFSET, 0);
	assert_place("offset:9223372036854775807", KAFKA_PLACE_OFFSET, INT64_MAX);
	assert_place("time:1970-01-01T00:00:00.25Z", KAFKA_PLACE_TIME, 250);
	assert_place("time:2009-12-18T20:30:00+02:00", KAFKA_PLACE_TIME, INT64_C(1261161000000));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_false(place_parse("from", wrong[i], &place, &err));
		assert_int_equal(err.verdict, VERDICT_USAGE);
	}
}

static void test_spots(void **state)
{
	static const char *const wrong[] = {"", "3", ":1", "3:", "3:-1", "-3:1", "3:1:2", "2147483648:0", "3: 1", " 3:1"};
	int32_t partition;
	int64_t offset;
	struct err err;

	(void)state;
	assert_true(spot_parse("3:1200", &partition, &offset, &err));
	assert_int_equal(partition, 3);
	assert_int_equal(offset, 1200);
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_false(spot_parse(wrong[i], &partition, &offset, &err));
}

static void test_times(void **state)
{
	struct buf out = BUF_EMPTY;

	(void)state;
	time_text(1261161000250, &out);
	buf_addc(&out, ' ');
	time_text(-1, &out);
	buf_addc(&out, ' ');
	time_text(INT64_MAX, &out);
	assert_string_equal(out.base, "2009-12-18T18:30:00.25Z - -");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers), cmocka_unit_test(test_truncated), cmocka_unit_test(test_not_truncated),
		cmocka_unit_test(test_no_letters),
		cmocka_unit_test(test_bytes),	cmocka_unit_test(test_places),	  cmocka_unit_test(test_spots),
		cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
