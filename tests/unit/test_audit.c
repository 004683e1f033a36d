/* What an audit makes of a message. */
#include "byunique/audit.h"
#include "byunique/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct trace trace_of(unsigned code, uint32_t digest, int64_t offset)
{
	return (struct trace){.code = code & TRACE_CODE_ODD, .digest = digest, .offset = (uint64_t)offset,
			      .partition = 3, .processed_s = 1000};
}

static void test_names(void **state)
{
	(void)state;
	for (int kind = AUDIT_GONE + 1; kind < AUDIT_FINDINGS; kind++) {
		assert_non_null(audit_name((enum audit_finding)kind));
		assert_non_null(audit_text((enum audit_finding)kind));
	}
}

static void test_codes(void **state)
{
	(void)state;
	assert_int_equal(trace_code(204, SLICE_NONE, false), OUTCOME_DONE);
	assert_int_equal(trace_code(204, SLICE_NONE, true), OUTCOME_DUPLICATE);
	assert_int_equal(trace_code(404, SLICE_LIT("RecordNotFound"), false), OUTCOME_RECORD_NOT_FOUND);
	assert_int_equal(trace_code(500, SLICE_LIT("InternalError"), false), OUTCOME_INTERNAL_ERROR);
	/* No answer is like that. */
	assert_int_equal(trace_code(400, SLICE_LIT("RecordNotFound"), false), TRACE_CODE_ODD);
	assert_int_equal(trace_code(404, SLICE_LIT("RecordNotFound"), true), TRACE_CODE_ODD);
	assert_int_equal(trace_code(404, SLICE_LIT("Nothing"), false), TRACE_CODE_ODD);
	assert_int_equal(trace_code(404, SLICE_NONE, false), TRACE_CODE_ODD);
}

static enum audit_finding enter(struct trace *trace, unsigned code, uint32_t digest, int64_t offset)
{
	struct trace result = trace_of(code, digest, offset);
	return trace_enter(trace, &result);
}

static void test_results_of_a_message(void **state)
{
	struct trace trace = {0};

	(void)state;
	assert_int_equal(enter(&trace, OUTCOME_DONE, 7, (INT64_C(1) << 40) - 1), AUDIT_FINE);
	assert_int_equal(trace.offset, (INT64_C(1) << 40) - 1);
	assert_int_equal(enter(&trace, OUTCOME_DONE, 7, 11), AUDIT_REPEATED);
	assert_int_equal(enter(&trace, OUTCOME_DONE, 8, 12), AUDIT_DIFFERING);
	assert_int_equal(enter(&trace, OUTCOME_RECORD_NOT_FOUND, 9, 13), AUDIT_DIFFERING);
	assert_int_equal(trace.code, OUTCOME_RECORD_NOT_FOUND); /* the last one counts */
	assert_int_equal(trace.offset, 13);
	/* Read again late: it tells nothing new. */
	assert_int_equal(enter(&trace, OUTCOME_OUTCOME_EXPIRED, 5, 14), AUDIT_REPEATED);
	assert_int_equal(trace.code, OUTCOME_RECORD_NOT_FOUND);
	assert_int_equal(trace.offset, 13);
}

/* Cut for its size, and perhaps not next time: what is left has to agree. */
static void test_results_cut(void **state)
{
	struct trace trace = {0};

	(void)state;
	assert_int_equal(enter(&trace, OUTCOME_DONE, 7, 1), AUDIT_FINE);
	assert_int_equal(enter(&trace, OUTCOME_DONE, TRACE_DIGEST_CUT, 2), AUDIT_REPEATED);
	assert_int_equal(enter(&trace, OUTCOME_DONE, 8, 3), AUDIT_REPEATED);
	assert_int_equal(enter(&trace, OUTCOME_RECORD_NOT_FOUND, TRACE_DIGEST_CUT, 4), AUDIT_DIFFERING);
	struct trace later = trace_of(OUTCOME_RECORD_NOT_FOUND, 9, 5);
	later.processed_s++;
	assert_int_equal(trace_enter(&trace, &later), AUDIT_DIFFERING);
}

static void test_expired_first(void **state)
{
	struct trace trace = {0};

	(void)state;
	assert_int_equal(enter(&trace, OUTCOME_OUTCOME_EXPIRED, 5, 1), AUDIT_FINE);
	assert_int_equal(enter(&trace, OUTCOME_OUTCOME_EXPIRED, 6, 2), AUDIT_REPEATED);
	assert_int_equal(enter(&trace, OUTCOME_DONE, 7, 3), AUDIT_REPEATED);
	assert_int_equal(trace.code, OUTCOME_DONE);
}

/* Processed at 1,000 s and published, outcomes are kept since 900 s, no result is gone. */
static struct audit_facts facts_of(const struct trace *trace, enum audit_stored stored, int code)
{
	return (struct audit_facts){.processed = true,
				    .settled = true,
				    .trace = trace,
				    .stored = stored,
				    .code = code,
				    .processed_at_ms = 1000500,
				    .kept_since_ms = 900000};
}

static void test_answered(void **state)
{
	struct trace done = trace_of(OUTCOME_DONE, 1, 1), expired = trace_of(OUTCOME_OUTCOME_EXPIRED, 1, 1);
	struct audit_facts facts = facts_of(&done, AUDIT_STORED_SAME, OUTCOME_DONE);

	(void)state;
	assert_int_equal(audit_judge(&facts), AUDIT_FINE);
	facts.settled = false;
	assert_int_equal(audit_judge(&facts), AUDIT_FINE);
	facts.code = OUTCOME_DUPLICATE;
	assert_int_equal(audit_judge(&facts), AUDIT_AT_ODDS);
	facts.code = 999;
	assert_int_equal(audit_judge(&facts), AUDIT_AT_ODDS);
	facts.trace = &expired;
	assert_int_equal(audit_judge(&facts), AUDIT_FINE);
	facts.stored = AUDIT_STORED_OTHER;
	assert_int_equal(audit_judge(&facts), AUDIT_OTHER_MESSAGE);
	facts.processed = false;
	assert_int_equal(audit_judge(&facts), AUDIT_NOT_PROCESSED);
}

static void test_outcome_not_kept(void **state)
{
	struct trace done = trace_of(OUTCOME_DONE, 1, 1), expired = trace_of(OUTCOME_OUTCOME_EXPIRED, 1, 1);
	struct audit_facts facts = facts_of(&done, AUDIT_STORED_NONE, 0);

	(void)state;
	assert_int_equal(audit_judge(&facts), AUDIT_NO_OUTCOME);
	facts.kept_since_ms = 1000000;
	assert_int_equal(audit_judge(&facts), AUDIT_FINE);
	facts.kept_since_ms = 0;
	facts.trace = &expired;
	assert_int_equal(audit_judge(&facts), AUDIT_FINE);
}

static void test_unanswered(void **state)
{
	struct trace none = {0};
	struct audit_facts facts = facts_of(&none, AUDIT_STORED_SAME, OUTCOME_DONE);

	(void)state;
	assert_int_equal(audit_judge(&facts), AUDIT_MISSING);
	facts.results_since_ms = 1000499;
	assert_int_equal(audit_judge(&facts), AUDIT_MISSING);
	facts.results_since_ms = 1000500;
	assert_int_equal(audit_judge(&facts), AUDIT_GONE);
	facts.stored = AUDIT_STORED_NONE;
	assert_int_equal(audit_judge(&facts), AUDIT_GONE);
	facts.results_since_ms = 0;
	assert_int_equal(audit_judge(&facts), AUDIT_MISSING);
	facts.settled = false;
	assert_int_equal(audit_judge(&facts), AUDIT_PENDING);
	facts.processed = false;
	facts.settled = true; /* the group is beyond the position: told of the partition */
	assert_int_equal(audit_judge(&facts), AUDIT_PENDING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	       cmocka_unit_test(test_codes),
		cmocka_unit_test(test_results_of_a_message), cmocka_unit_test(test_results_cut),
		cmocka_unit_test(test_expired_first),
		cmocka_unit_test(test_answered),       cmocka_unit_test(test_outcome_not_kept),
		cmocka_unit_test(test_unanswered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
