/* Answers as lines. */
#include "cli/progress.h"
#include "cli/result_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID "7f8e1c52-0b1d-4c7e-9a59-2f64c1d3a001"

static struct result done(void)
{
	return (struct result){
		.status = 204,
		.command_id = SLICE_LIT(ID),
		.customer_id = SLICE_LIT("0000Sb5U97XE000Y"),
		.ext_name = SLICE_LIT("Phone"),
		.source_topic = SLICE_LIT("byunique.commands"),
		.source_partition = 3,
		.source_offset = INT64_MAX,
		.processed_at_ms = 1261161000001,
	};
}

static struct result refused(void)
{
	struct result result = done();
	result.status = 400;
	result.code = SLICE_LIT("InvalidAttributeValue");
	result.title = SLICE_LIT("An attribute value is not valid.");
	result.detail = SLICE_LIT("prefix is too long.");
	result.attribute = SLICE_LIT("prefix");
	return result;
}

static void assert_text(struct result result, const char *expected)
{
	struct buf out = BUF_EMPTY;
	result_text(&result, &out);
	assert_string_equal(out.base, expected);
	buf_release(&out);
}

static void test_columns(void **state)
{
	struct buf out = BUF_EMPTY;

	(void)state;
	result_heading(&out);
	assert_string_equal(out.base,
			    "STATUS  CODE                    COMMAND                               CUSTOMER    "
			    "      EXTENSION     ATTRIBUTE       DETAIL\n");
	buf_release(&out);
	assert_text(done(), "204     -                       " ID "  0000Sb5U97XE000Y  Phone         -\n");
	assert_text(refused(), "400     InvalidAttributeValue   " ID
			       "  0000Sb5U97XE000Y  Phone         prefix          prefix is too long.\n");
}

static void test_duplicate(void **state)
{
	struct result result = done();

	(void)state;
	result.duplicate = true;
	assert_text(result, "204     (duplicate)             " ID "  0000Sb5U97XE000Y  Phone         -\n");
}

/* Of a message that could not be decoded, next to nothing is known. */
static void test_absent(void **state)
{
	struct result result = {.status = 400, .code = SLICE_LIT("MalformedMessage"), .detail = SLICE_LIT("no value")};

	(void)state;
	assert_text(result,
		    "400     MalformedMessage        -                                     -                 -    "
		    "         -               no value\n");
}

/* Columns are counted in code points; one that is too narrow moves the rest of its line. */
static void test_widths(void **state)
{
	struct result result = done();

	(void)state;
	result.customer_id = SLICE_LIT("Jos\xC3\xA9");
	result.ext_name = SLICE_LIT("A_name_of_26_characters_OK");
	assert_text(result,
		    "204     -                       " ID "  Jos\xC3\xA9              A_name_of_26_characters_OK  -\n");
}

static void test_escapes(void **state)
{
	struct result result = done();

	(void)state;
	result.customer_id = SLICE_LIT("a\x1B[2J\n\\\x7F\0b");
	result.ext_name = SLICE_LIT("\xC2\x9B\xC2\xA0x");
	assert_text(result,
		    "204     -                       " ID "  a\\x1b[2J\\x0a\\\\\\x7f\\x00b  \\u009b\xC2\xA0x      -\n");
}

static void assert_json(struct result result, struct kafka_record record, const char *expected)
{
	struct buf out = BUF_EMPTY;
	result_json(&result, &record, &out);
	assert_string_equal(out.base, expected);
	buf_release(&out);
}

static void test_json(void **state)
{
	struct kafka_record record = {.partition = 2, .offset = 1099511627776, .timestamp_ms = 1261161000002};
	struct result result = refused();

	(void)state;
	assert_json(done(), record,
		    "{\"status\":204,\"command_id\":\"" ID
		    "\",\"customer_id\":\"0000Sb5U97XE000Y\",\"ext_name\":\"Phone\","
		    "\"batch_id\":null,\"error\":null,\"duplicate\":false,\"source\":{\"topic\":\"byunique.commands\","
		    "\"partition\":3,\"offset\":9223372036854775807},\"issued_at\":null,\"processed_at\":1261161000001,"
		    "\"result\":{\"partition\":2,\"offset\":1099511627776,\"timestamp\":1261161000002}}\n");
	record.timestamp_ms = -1;
	result.command_id = SLICE_NONE;
	result.customer_id = SLICE_LIT("\"\0\n\xC3\xA9");
	result.batch_id = SLICE_LIT("");
	result.has_issued_at = true;
	result.issued_at_ms = -1;
	assert_json(
		result, record,
		"{\"status\":400,\"command_id\":null,\"customer_id\":\"\\\"\\u0000\\n\xC3\xA9\",\"ext_name\":\"Phone\","
		"\"batch_id\":\"\",\"error\":{\"code\":\"InvalidAttributeValue\",\"title\":\"An attribute value is not "
		"valid.\",\"detail\":\"prefix is too long.\",\"attribute\":\"prefix\"},\"duplicate\":false,\"source\":{"
		"\"topic\":\"byunique.commands\",\"partition\":3,\"offset\":9223372036854775807},\"issued_at\":-1,"
		"\"processed_at\":1261161000001,\"result\":{\"partition\":2,\"offset\":1099511627776,\"timestamp\":"
		"null}"
		"}\n");
}

static void test_digits(void **state)
{
	static const struct {
		int64_t number;
		const char *text;
	} cases[] = {
		{0, "0"},
		{999, "999"},
		{1000, "1,000"},
		{1234567, "1,234,567"},
		{-1000, "-1,000"},
		{-100, "-100"},
		{INT64_MIN, "-9,223,372,036,854,775,808"},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(group_digits(cases[i].number, text), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns), cmocka_unit_test(test_duplicate), cmocka_unit_test(test_absent),
		cmocka_unit_test(test_widths),	cmocka_unit_test(test_escapes),	  cmocka_unit_test(test_json),
		cmocka_unit_test(test_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
