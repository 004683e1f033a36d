/* Counting answers. */
#include "cli/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct slice id_of(int number, char text[40])
{
	snprintf(text, 40, "00000000-0000-4000-8000-%012d", number);
	return slice_cstr(text);
}

static bool take(struct tally *tally, struct slice id, int status, const char *code, bool duplicate)
{
	struct result result = {.status = status, .command_id = id, .code = slice_cstr(code), .duplicate = duplicate};
	return tally_take(tally, &result);
}

static void assert_shown(const struct tally *tally, const char *text, const char *json)
{
	struct buf out = BUF_EMPTY;

	tally_text(tally, &out);
	assert_string_equal(buf_slice(&out).base, text);
	buf_release(&out);
	json_t *kinds = tally_json(tally);
	char *dump = json_dumps(kinds, JSON_COMPACT | JSON_PRESERVE_ORDER);
	assert_string_equal(dump, json);
	free(dump);
	json_decref(kinds);
}

static void test_kinds(void **state)
{
	struct tally *tally = tally_new();
	char text[40];

	(void)state;
	assert_shown(tally, "", "[]");
	for (int i = 0; i < 6; i++)
		tally_expect(tally, id_of(i, text));
	assert_int_equal(tally_missing(tally), 6);
	assert_true(take(tally, id_of(3, text), 204, NULL, true));
	assert_true(take(tally, id_of(0, text), 204, NULL, false));
	assert_true(take(tally, id_of(1, text), 204, NULL, false));
	assert_false(tally_has_errors(tally));
	assert_true(take(tally, id_of(2, text), 404, "RecordNotFound", false));
	assert_true(take(tally, id_of(4, text), 404, "CustomerNotFound", false));
	assert_true(tally_has_errors(tally));
	assert_int_equal(tally_missing(tally), 1);
	assert_shown(tally,
		     "         2  204\n         1  204 (duplicate)\n         1  404 CustomerNotFound\n"
		     "         1  404 RecordNotFound\n",
		     "[{\"status\":204,\"code\":null,\"duplicate\":false,\"count\":2},"
		     "{\"status\":204,\"code\":null,\"duplicate\":true,\"count\":1},"
		     "{\"status\":404,\"code\":\"CustomerNotFound\",\"duplicate\":false,\"count\":1},"
		     "{\"status\":404,\"code\":\"RecordNotFound\",\"duplicate\":false,\"count\":1}]");
	tally_free(tally);
}

static void test_strangers(void **state)
{
	struct tally *tally = tally_new();
	char text[40];

	(void)state;
	tally_expect(tally, id_of(1, text));
	assert_false(take(tally, id_of(2, text), 204, NULL, false));
	assert_false(take(tally, SLICE_NONE, 400, "MalformedMessage", false));
	assert_true(take(tally, id_of(1, text), 204, NULL, false));
	assert_false(take(tally, id_of(1, text), 204, NULL, true)); /* answered already */
	assert_int_equal(tally_missing(tally), 0);
	assert_shown(tally, "         1  204\n", "[{\"status\":204,\"code\":null,\"duplicate\":false,\"count\":1}]");
	tally_free(tally);
}

static void test_id_twice(void **state)
{
	struct tally *tally = tally_new();

	(void)state;
	tally_expect(tally, SLICE_LIT("x"));
	tally_expect(tally, SLICE_LIT("x"));
	assert_true(take(tally, SLICE_LIT("x"), 204, NULL, false));
	assert_int_equal(tally_missing(tally), 1);
	assert_true(take(tally, SLICE_LIT("x"), 204, NULL, true));
	assert_false(take(tally, SLICE_LIT("x"), 204, NULL, true));
	tally_free(tally);
}

static void refuse(struct tally *tally, const char *code, const char *attribute, const char *detail)
{
	const struct answer answer = {.status = 400, .code = code, .attribute = attribute, .detail = detail};
	tally_refuse(tally, &answer);
}

static void test_rows(void **state)
{
	struct tally *tally = tally_new();
	char text[40];

	(void)state;
	tally_expect(tally, id_of(1, text));
	refuse(tally, "MalformedRow", "", "too short");
	refuse(tally, "MalformedRow", "", "too long");
	tally_expect(tally, id_of(2, text));
	refuse(tally, "InvalidAttributeValue", "prefix", "is longer");
	assert_true(take(tally, id_of(2, text), 404, "RecordNotFound", false));
	assert_int_equal(tally_rows(tally), 5);
	assert_int_equal(tally_missing(tally), 1);
	assert_int_equal(tally_refused(tally), 3);
	assert_null(tally_answer(tally, 0));
	assert_string_equal(tally_answer(tally, 1)->detail, "too short");
	assert_string_equal(tally_answer(tally, 2)->detail, "too long");
	assert_true(tally_answer(tally, 3)->sent && tally_answer(tally, 3)->status == 404);
	assert_string_equal(tally_answer(tally, 4)->attribute, "prefix");
	assert_false(tally_answer(tally, 4)->sent);
	assert_shown(tally,
		     "         1  404 RecordNotFound\n         1  400 InvalidAttributeValue (not sent)\n"
		     "         2  400 MalformedRow (not sent)\n",
		     "[{\"status\":404,\"code\":\"RecordNotFound\",\"duplicate\":false,\"count\":1},"
		     "{\"status\":400,\"code\":\"InvalidAttributeValue\",\"duplicate\":false,\"count\":1,\"sent\":false},"
		     "{\"status\":400,\"code\":\"MalformedRow\",\"duplicate\":false,\"count\":2,\"sent\":false}]");
	tally_free(tally);
}

/* An error may be followed by another answer, done by none. */
static void test_answered_again(void **state)
{
	struct tally *tally = tally_new();
	char text[40];

	(void)state;
	tally_expect(tally, id_of(1, text));
	assert_true(take(tally, id_of(1, text), 404, "RecordNotFound", false));
	assert_false(take(tally, id_of(1, text), 404, "CustomerNotFound", false));
	assert_string_equal(tally_answer(tally, 0)->code, "CustomerNotFound");
	assert_false(take(tally, id_of(1, text), 204, NULL, false));
	assert_false(take(tally, id_of(1, text), 204, NULL, true));
	assert_false(take(tally, id_of(1, text), 422, "CommandIdReused", false));
	assert_int_equal(tally_missing(tally), 0);
	assert_shown(tally, "         1  204\n", "[{\"status\":204,\"code\":null,\"duplicate\":false,\"count\":1}]");
	tally_free(tally);
}

/* All rows with one id, and more answers that differ than are kept. */
static void test_extremes(void **state)
{
	enum { MANY = 200000 };
	struct tally *same = tally_new(), *different = tally_new();
	char text[40];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		tally_expect(same, SLICE_LIT("x"));
		refuse(different, "MalformedRow", "", id_of(i, text).base);
	}
	for (int i = 0; i < MANY; i++)
		assert_true(take(same, SLICE_LIT("x"), i % 2 ? 204 : 404, i % 2 ? NULL : "RecordNotFound", false));
	for (int i = 0; i < MANY; i++)
		assert_int_equal(tally_answer(same, (size_t)i)->status, i % 2 ? 204 : 404);
	assert_int_equal(tally_missing(same), 0);
	assert_string_equal(tally_answer(different, 5)->detail, id_of(5, text).base);
	assert_string_equal(tally_answer(different, MANY - 1)->detail, "");
	assert_int_equal(tally_answer(different, MANY - 1)->status, 400);
	tally_free(same);
	tally_free(different);
}

static void test_many(void **state)
{
	enum { MANY = 100000 };
	struct tally *tally = tally_new();
	char text[40];

	(void)state;
	for (int i = 0; i < MANY; i++)
		tally_expect(tally, id_of(i, text));
	for (int i = MANY - 1; i >= 0; i--) {
		assert_true(take(tally, id_of(i, text), 204, NULL, false));
		assert_int_equal(tally_missing(tally), i);
	}
	tally_free(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_id_twice),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_answered_again),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
