/* The table of outcomes, against the contract's. */
#include "byunique/outcome.h"

#include "byunique/err.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Numbers are stored in PostgreSQL: they never change. */
static const struct {
	int number, status;
	const char *name;
	bool dead_letter, constant_detail;
} codes[] = {
	{1, 204, NULL, false, false},
	{2, 204, NULL, false, false},
	{3, 400, "MalformedMessage", true, false},
	{4, 400, "InvalidCommandId", false, false},
	{5, 422, "CommandIdReused", false, true},
	{6, 400, "InvalidCustomerId", false, false},
	{7, 400, "InvalidExtensionName", false, false},
	{8, 404, "ExtensionNotFound", false, false},
	{9, 409, "NotMultiValued", false, false},
	{10, 400, "UnknownAttribute", false, false},
	{11, 400, "DuplicateAttribute", false, false},
	{12, 400, "MissingUniqueAttribute", false, false},
	{13, 400, "MandatoryAttribute", false, false},
	{14, 400, "InvalidAttributeValue", false, false},
	{15, 404, "CustomerNotFound", false, true},
	{16, 404, "RecordNotFound", false, true},
	{17, 410, "OutcomeExpired", false, true},
	{18, 500, "InternalError", true, true},
};

enum { CODES = sizeof(codes) / sizeof(*codes) };

static void test_table(void **state)
{
	(void)state;
	assert_int_equal(OUTCOME_CODES, CODES + 1);
	for (int i = 0; i < CODES; i++) {
		enum outcome_code code = (enum outcome_code)codes[i].number;
		assert_int_equal(outcome_status(code), codes[i].status);
		assert_int_equal(outcome_is_dead_letter(code), codes[i].dead_letter);
		if (codes[i].name == NULL) {
			assert_null(outcome_name(code));
			assert_null(outcome_title(code));
			continue;
		}
		assert_string_equal(outcome_name(code), codes[i].name);
		assert_true(strlen(outcome_title(code)) > 10);
		assert_int_equal(outcome_by_name(slice_cstr(codes[i].name)), code);
	}
}

static void test_valid_numbers(void **state)
{
	(void)state;
	for (int number = 1; number <= CODES; number++)
		assert_true(outcome_code_valid(number));
	assert_false(outcome_code_valid(0));
	assert_false(outcome_code_valid(-1));
	assert_false(outcome_code_valid(CODES + 1));
	assert_false(outcome_code_valid(INT32_MAX));
	assert_false(outcome_code_valid(INT32_MIN));
}

static void test_by_name(void **state)
{
	(void)state;
	assert_int_equal(outcome_by_name(SLICE_LIT("recordNOTfound")), OUTCOME_RECORD_NOT_FOUND);
	assert_int_equal(outcome_by_name(SLICE_LIT("RecordNotFoun")), OUTCOME_NONE);
	assert_int_equal(outcome_by_name(SLICE_LIT("RecordNotFoundd")), OUTCOME_NONE);
	assert_int_equal(outcome_by_name(SLICE_LIT("RecordNotFound\0")), OUTCOME_NONE);
	assert_int_equal(outcome_by_name(SLICE_LIT("")), OUTCOME_NONE);
	assert_int_equal(outcome_by_name(SLICE_NONE), OUTCOME_NONE);
}

static void test_details(void **state)
{
	(void)state;
	for (int i = 0; i < CODES; i++) {
		struct outcome outcome = {.code = (enum outcome_code)codes[i].number};
		outcome_fill_detail(&outcome);
		assert_int_equal(outcome.detail.base != NULL, codes[i].constant_detail);
		if (outcome.detail.base != NULL)
			assert_true(outcome.detail.len > 20);
	}
	struct outcome own = {.code = OUTCOME_INTERNAL_ERROR, .detail = SLICE_LIT("mine")};
	outcome_fill_detail(&own);
	assert_true(slice_equal(own.detail, SLICE_LIT("mine")));
	struct outcome none = {.code = OUTCOME_NONE};
	outcome_fill_detail(&none);
	assert_null(none.detail.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_valid_numbers),
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_details),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
