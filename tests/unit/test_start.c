/* Every row of the table in the design that says where a partition starts, and every way to be refused. */
#include "byunique/start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A topic that holds offsets 100 to 199; the database knows nothing of it. */
static struct start_facts unknown(int64_t committed)
{
	return (struct start_facts){
		.partition = 7,
		.log_start = 100,
		.log_end = 200,
		.committed = committed,
		.our_cluster_id = "cluster",
		.our_group_id = "group",
	};
}

/* The database has processed up to 149, and knows that the results below 140 are published. */
static struct start_facts known(int64_t committed)
{
	struct start_facts facts = unknown(committed);
	facts.known = true;
	facts.next_offset = 150;
	facts.published_offset = 140;
	facts.has_last = true;
	facts.cluster_id = "cluster";
	facts.group_id = "group";
	return facts;
}

static void assert_start(struct start_facts facts, int64_t offset, const char *warning)
{
	struct start start;
	struct err err;

	if (!start_decide(&facts, &start, &err))
		fail_msg("%s: %s", err.what, err.detail);
	assert_int_equal(start.offset, offset);
	if (warning == NULL) {
		assert_null(start.warning);
		assert_null(start.reason);
		return;
	}
	assert_non_null(start.warning);
	assert_string_equal(start.warning, warning);
	assert_non_null(start.reason);
}

/* What is missing, and what to do. */
static void assert_refused(struct start_facts facts, const char *what, const char *detail)
{
	struct start start;
	struct err err;

	assert_false(start_decide(&facts, &start, &err));
	assert_int_equal(err.verdict, VERDICT_REFUSE);
	assert_non_null(strstr(err.what, "partition 7"));
	if (strstr(err.what, what) == NULL)
		fail_msg("what: %s", err.what);
	if (strstr(err.detail, detail) == NULL)
		fail_msg("detail: %s", err.detail);
	assert_true(err.hint[0] != '\0');
	assert_true(start.refusal != START_FINE);
}

static void assert_reason(struct start_facts facts, enum start_refusal refusal)
{
	struct start start;
	struct err err;

	assert_true(start_decide(&facts, &start, &err) == (refusal == START_FINE));
	assert_int_equal(start.refusal, refusal);
}

/* For `replay adopt`: each choice answers one of them. */
static void test_reasons(void **state)
{
	struct start_facts facts = known(150);

	(void)state;
	assert_reason(facts, START_FINE);
	facts.last_is_another = true;
	assert_reason(facts, START_OTHER_TOPIC);
	facts.group_id = "other";
	assert_reason(facts, START_OTHER_GROUP);
	facts.cluster_id = "other";
	assert_reason(facts, START_OTHER_CLUSTER);
	facts = known(150);
	facts.log_start = 151;
	assert_reason(facts, START_LOST);
	facts = known(-1);
	facts.published_offset = 99;
	assert_reason(facts, START_LOST);
	facts = known(150);
	facts.log_end = 149;
	assert_reason(facts, START_OTHER_TOPIC);
	assert_reason(unknown(120), START_UNKNOWN);
	assert_reason(unknown(100), START_FINE);
}

static void test_nothing_known(void **state)
{
	struct start_facts facts = unknown(-1);

	(void)state;
	assert_start(facts, 100, NULL);
	facts.log_start = facts.log_end = 0;
	assert_start(facts, 0, NULL);
	facts.log_start = facts.log_end = 200; /* everything is gone */
	assert_start(facts, 200, NULL);
}

static void test_group_at_log_start(void **state)
{
	struct start_facts facts = unknown(100);

	(void)state;
	assert_start(facts, 100, "database_knows_nothing");
	facts.log_start = 0;
	facts.committed = 0;
	assert_start(facts, 0, "database_knows_nothing");
}

static void test_group_beyond_a_whole_log(void **state)
{
	struct start_facts facts = unknown(120);

	(void)state;
	facts.log_start = 0;
	assert_start(facts, 0, "database_knows_nothing");
	facts.committed = 200;
	assert_start(facts, 0, "database_knows_nothing");
}

static void test_group_beyond_a_cut_log(void **state)
{
	struct start_facts facts = unknown(120);

	(void)state;
	assert_refused(facts, "knows nothing", "120");
	facts.committed = 101;
	assert_refused(facts, "knows nothing", "log starts at 100");
	facts.log_start = 1;
	facts.committed = 2;
	assert_refused(facts, "knows nothing", "log starts at 1");
}

/* The group had not got to what is gone: those commands were never answered. */
static void test_group_before_log_start(void **state)
{
	(void)state;
	assert_refused(unknown(99), "", "99");
	assert_refused(unknown(0), "", "100");
}

static void test_group_has_no_offset(void **state)
{
	struct start_facts facts = known(-1);

	(void)state;
	assert_start(facts, 140, NULL);
	facts.published_offset = 150;
	assert_start(facts, 150, NULL);
	facts.published_offset = 100;
	assert_start(facts, 100, NULL);
	facts.published_offset = 99;
	assert_refused(facts, "no longer holds", "offset 99");
}

static void test_group_lower(void **state)
{
	struct start_facts facts = known(149);

	(void)state;
	assert_start(facts, 149, NULL);
	facts.committed = 100;
	assert_start(facts, 100, NULL);
	facts.committed = 150; /* the same */
	assert_start(facts, 150, NULL);
}

/* Published already, so what lies before the log's start need not be there. */
static void test_group_lower_than_log_start(void **state)
{
	struct start_facts facts = known(50);

	(void)state;
	assert_start(facts, 100, NULL);
	facts.published_offset = 100;
	assert_start(facts, 100, NULL);
	facts.published_offset = 99;
	assert_refused(facts, "no longer holds", "1 messages are missing");
}

static void test_group_higher(void **state)
{
	struct start_facts facts = known(151);

	(void)state;
	assert_start(facts, 150, "database_behind_group");
	facts.committed = 200;
	assert_start(facts, 150, "database_behind_group");
	facts.log_start = 150;
	assert_start(facts, 150, "database_behind_group");
	facts.log_start = 151;
	assert_refused(facts, "no longer holds", "offset 150");
}

static void test_group_raised_by_an_operator(void **state)
{
	struct start_facts facts = known(151);

	(void)state;
	facts.committed_by_others = true;
	assert_start(facts, 140, "database_behind_group");
	facts.committed = 150;
	assert_start(facts, 140, "group_offset_raised");
	facts.committed = 141;
	assert_start(facts, 140, "group_offset_raised");
	facts.committed = 140;
	assert_start(facts, 140, NULL);
	facts.committed = 120;
	assert_start(facts, 120, NULL);
}

static void test_position_outside_of_the_log(void **state)
{
	struct start_facts facts = known(-1);

	(void)state;
	for (int i = 0; i < 3; i++) {
		facts = known((const int64_t[]){-1, 120, 160}[i]);
		facts.log_end = 150; /* all processed */
		facts.log_start = 100;
		if (facts.committed < 150)
			assert_start(facts, facts.committed < 0 ? 140 : 120, NULL);
		facts.log_end = 149;
		assert_refused(facts, "ends before", "150");
		facts = known((const int64_t[]){-1, 120, 160}[i]);
		facts.log_start = 160;
		assert_refused(facts, "no longer holds", "10 messages are missing");
	}
}

static void test_another_topic(void **state)
{
	struct start_facts facts = known(150);

	(void)state;
	facts.last_is_another = true;
	assert_refused(facts, "recreated", "150");
	facts.has_last = false; /* nothing was processed, so nothing can differ */
	assert_start(facts, 150, NULL);
	facts = known(150);
	facts.cluster_id = "other";
	assert_refused(facts, "another Kafka cluster", "other");
	facts = known(150);
	facts.group_id = "other";
	assert_refused(facts, "another consumer group", "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_group_at_log_start),
		cmocka_unit_test(test_group_beyond_a_whole_log),
		cmocka_unit_test(test_group_beyond_a_cut_log),
		cmocka_unit_test(test_group_before_log_start),
		cmocka_unit_test(test_group_has_no_offset),
		cmocka_unit_test(test_group_lower),
		cmocka_unit_test(test_group_lower_than_log_start),
		cmocka_unit_test(test_group_higher),
		cmocka_unit_test(test_group_raised_by_an_operator),
		cmocka_unit_test(test_position_outside_of_the_log),
		cmocka_unit_test(test_another_topic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
