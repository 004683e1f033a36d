/* Which commands failed, and have not succeeded since: in whatever order their results lie. */
#include "cli/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct result result(int32_t partition, const char *id, int64_t offset, int64_t processed_at_ms,
			    const char *code)
{
	return (struct result){
		.status = code != NULL ? 404 : 204,
		.command_id = slice_cstr(id),
		.code = slice_cstr(code),
		.source_partition = partition,
		.source_offset = offset,
		.processed_at_ms = processed_at_ms,
	};
}

static void enter(struct failures *failures, const char *id, int64_t offset, int64_t processed_at_ms, bool matches)
{
	struct result failed = result(1, id, offset, processed_at_ms, "RecordNotFound");
	failures_enter(failures, &failed, matches);
}

static void succeed(struct failures *failures, const char *id, int64_t offset, int64_t processed_at_ms)
{
	struct result done = result(1, id, offset, processed_at_ms, NULL);
	failures_succeed(failures, &done);
}

/* Sorted, how many are left, and how many were superseded? */
static void assert_left(struct failures *failures, size_t count, int64_t superseded)
{
	int64_t told;

	failures_sort(failures, &told);
	assert_int_equal(failures->count, count);
	assert_int_equal(told, superseded);
}

static void test_empty(void **state)
{
	struct failures failures = {0};

	(void)state;
	succeed(&failures, "a", 1, 1);
	assert_left(&failures, 0, 0);
	assert_null(failures_find(&failures, 1, 1));
	failures_release(&failures);
}

static void test_identity(void **state)
{
	static const char lower[] = "7f8e1c52-0b1d-4c7e-9a59-2f64c1d3a001",
			  upper[] = "7F8E1C52-0B1D-4C7E-9A59-2F64C1D3A001";

	(void)state;
	assert_true(failure_id(1, slice_cstr(lower), 5) == failure_id(1, slice_cstr(upper), 6));
	assert_true(failure_id(1, slice_cstr(lower), 5) != failure_id(2, slice_cstr(lower), 5));
	assert_true(failure_id(1, slice_cstr("no id"), 5) != failure_id(1, slice_cstr("No id"), 5));
	assert_true(failure_id(1, SLICE_NONE, 5) != failure_id(1, SLICE_NONE, 6));
}

static void test_last_message_counts(void **state)
{
	struct failures failures = {0};

	(void)state;
	enter(&failures, "a", 20, 1, true);
	enter(&failures, "a", 10, 9, true);
	enter(&failures, "b", 10, 1, true);
	enter(&failures, "b", 30, 1, false);
	assert_left(&failures, 1, 0);
	assert_non_null(failures_find(&failures, 1, 20));
	assert_null(failures_find(&failures, 1, 10));
	assert_null(failures_find(&failures, 2, 20));
	failures_release(&failures);
}

/* A restored database decides the same message anew. */
static void test_last_decision_counts(void **state)
{
	struct failures failures = {0};

	(void)state;
	enter(&failures, "failed first", 10, 100, true);
	succeed(&failures, "failed first", 10, 200);
	enter(&failures, "failed last", 11, 200, true);
	succeed(&failures, "failed last", 11, 100);
	assert_left(&failures, 1, 1);
	assert_non_null(failures_find(&failures, 1, 11));
	failures_release(&failures);
}

static void test_success_since(void **state)
{
	struct failures failures = {0};

	(void)state;
	enter(&failures, "a", 10, 1, true);
	enter(&failures, "b", 11, 1, true);
	enter(&failures, "c", 12, 1, false);
	succeed(&failures, "a", 15, 2);
	succeed(&failures, "b", 9, 2);
	succeed(&failures, "c", 16, 2);
	succeed(&failures, "never failed", 17, 2);
	assert_left(&failures, 1, 1);
	assert_non_null(failures_find(&failures, 1, 11));
	failures_release(&failures);
}

static void test_many(void **state)
{
	struct failures failures = {0};
	char id[16];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(id, sizeof(id), "%d", i);
		enter(&failures, id, 100000 - i, 1, true);
	}
	for (int i = 0; i < 100000; i += 2) {
		snprintf(id, sizeof(id), "%d", i);
		succeed(&failures, id, 200000, 1);
	}
	assert_left(&failures, 50000, 50000);
	for (size_t i = 0; i < failures.count; i++)
		assert_int_equal(failures.list[i].offset, 1 + 2 * i);
	failures_release(&failures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_last_message_counts),
		cmocka_unit_test(test_last_decision_counts),
		cmocka_unit_test(test_success_since),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
