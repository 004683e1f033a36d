/* Where a reply goes, whether it can, and whom a failed transaction is laid to. */
#include "byunique/replies.h"

#include "byunique/batch.h"
#include "byunique/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MINUTE_MS = 60000 };

static struct partition partition = {.number = 3};
static const int64_t now_ms = 1000000;

static struct replies *replies_of(const char *topics)
{
	static char results[] = "results";
	struct config config = {.reply_topics = (char *)(uintptr_t)topics, .results_topic = results};

	return replies_new(&config);
}

/* Each topic with three partitions. */
static int set_up(void **state)
{
	static const bool has_leader[] = {true, true, true};
	struct replies *replies = replies_of(" first, second\t,,first,third ");

	for (uint32_t i = 0; i < replies->count; i++) {
		reply_topic_seen(&replies->topics[i], 3, has_leader);
		replies->topics[i].most_bytes = 1000;
	}
	*state = replies;
	return 0;
}

static int tear_down(void **state)
{
	replies_free(*state);
	return 0;
}

static struct message asking(struct slice topic, struct slice number)
{
	return (struct message){.partition = &partition, .reply_topic = topic, .reply_partition = number};
}

static void test_topics(void **state)
{
	struct replies *replies = *state;

	assert_int_equal(replies->count, 3);
	assert_string_equal(replies->topics[0].name, "first");
	assert_string_equal(replies->topics[1].name, "second");
	assert_string_equal(replies->topics[2].name, "third");
	assert_null(replies_of(""));
	assert_null(replies_of(" , ,"));
	replies_begin(NULL);
	replies_committed(NULL);
	assert_false(replies_are_suspected(NULL));
	replies_free(NULL);
}

static void test_address(void **state)
{
	struct slice second = SLICE_LIT("second");
	const struct {
		struct slice topic, number;
		enum reply_fate fate;
		int32_t partition;
	} rows[] = {
		{SLICE_NONE, SLICE_NONE, REPLY_NOT_ASKED, 0},
		{SLICE_NONE, SLICE_LIT("\0\0\0\1"), REPLY_NOT_ASKED, 0},
		{SLICE_LIT("results"), SLICE_LIT("x"), REPLY_NOT_ASKED, 0},
		{SLICE_LIT(""), SLICE_NONE, REPLY_NOT_ALLOWED, 0},
		{SLICE_LIT("secon"), SLICE_NONE, REPLY_NOT_ALLOWED, 0},
		{SLICE_LIT("second\0"), SLICE_NONE, REPLY_NOT_ALLOWED, 0},
		{SLICE_LIT("Second"), SLICE_NONE, REPLY_NOT_ALLOWED, 0},
		{second, SLICE_NONE, REPLY_SENT, -1},
		{second, SLICE_LIT("\0\0\0\0"), REPLY_SENT, 0},
		{second, SLICE_LIT("\0\0\0\2"), REPLY_SENT, 2},
		{second, SLICE_LIT("\x01\x02\x03\x04"), REPLY_SENT, 0x01020304},
		{second, SLICE_LIT("\x7F\xFF\xFF\xFF"), REPLY_SENT, INT32_MAX},
		{second, SLICE_LIT("\xFF\xFF\xFF\xFF"), REPLY_NO_PARTITION, 0},
		{second, SLICE_LIT("\x80\0\0\0"), REPLY_NO_PARTITION, 0},
		{second, SLICE_LIT(""), REPLY_MALFORMED, 0},
		{second, SLICE_LIT("1"), REPLY_MALFORMED, 0},
		{second, SLICE_LIT("\0\0\1"), REPLY_MALFORMED, 0},
		{second, SLICE_LIT("\0\0\0\0\1"), REPLY_MALFORMED, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct message message = asking(rows[i].topic, rows[i].number);
		struct reply_place place;
		assert_int_equal(reply_address(*state, &message, &place), rows[i].fate);
		if (rows[i].fate != REPLY_SENT)
			continue;
		assert_string_equal(place.topic->name, "second");
		assert_int_equal(place.partition, rows[i].partition);
	}
}

static void test_check(void **state)
{
	struct replies *replies = *state;
	struct reply_place place = {.topic = &replies->topics[0], .partition = 2};

	assert_int_equal(reply_check(&place, 1000, now_ms), REPLY_SENT);
	assert_int_equal(reply_check(&place, 1001, now_ms), REPLY_TOO_LARGE);
	place.partition = 3;
	assert_int_equal(reply_check(&place, 1, now_ms), REPLY_NO_PARTITION);
	place.partition = -1;
	assert_int_equal(reply_check(&place, 1000, now_ms), REPLY_SENT);
	reply_topic_seen(place.topic, 0, NULL);
	assert_int_equal(reply_check(&place, 1, now_ms), REPLY_NO_TOPIC);
}

static void test_leaders(void **state)
{
	static const bool all[] = {true, true, true, true}, not_3[] = {true, true, true, false};
	struct replies *replies = *state;
	struct reply_topic *topic = &replies->topics[0];
	struct reply_place at_3 = {topic, 3}, at_2 = {topic, 2}, by_key = {topic, -1};

	reply_topic_seen(topic, 4, not_3);
	assert_int_equal(reply_check(&at_3, 1, now_ms), REPLY_NO_LEADER);
	assert_int_equal(reply_check(&by_key, 1, now_ms), REPLY_NO_LEADER);
	assert_int_equal(reply_check(&at_2, 1, now_ms), REPLY_SENT);
	reply_topic_seen(topic, 4, all);
	assert_int_equal(reply_check(&at_3, 1, now_ms), REPLY_SENT);
	assert_int_equal(reply_check(&by_key, 1, now_ms), REPLY_SENT);
}

static void test_due(void **state)
{
	struct replies *replies = *state;

	replies->looked_ms = now_ms;
	assert_false(replies_due(replies, REPLY_NO_TOPIC, now_ms + 999));
	assert_true(replies_due(replies, REPLY_NO_TOPIC, now_ms + 1000));
	assert_true(replies_due(replies, REPLY_NO_PARTITION, now_ms + 1000));
	assert_true(replies_due(replies, REPLY_NO_LEADER, now_ms + 1000));
	assert_false(replies_due(replies, REPLY_SENT, now_ms + 2999));
	assert_true(replies_due(replies, REPLY_SENT, now_ms + 3000));
	assert_false(replies_due(replies, REPLY_LEFT_OUT, now_ms + 1000));
}

static void test_notes(void **state)
{
	struct replies *replies = *state;
	struct message message = asking(SLICE_LIT("first"), SLICE_NONE);

	replies_note(replies, REPLY_SENT, &message, now_ms);
	replies_note(replies, REPLY_SENT, &message, now_ms);
	replies_note(replies, REPLY_NOT_ASKED, &message, now_ms);
	assert_int_equal(replies->fates[REPLY_SENT], 2);
	replies_begin(replies);
	assert_int_equal(replies->fates[REPLY_SENT], 0);
	for (enum reply_fate fate = 0; fate < REPLY_FATES; fate++)
		assert_non_null(reply_fate_name(fate));
}

/* --- after a transaction that failed ------------------------------------------------------------------------------------------ */

static struct err error_of(const char *origin, enum verdict verdict)
{
	struct err err;

	err_set(&err, verdict, origin, "can't commit the Kafka transaction");
	return err;
}

/* A transaction with replies to these topics fails so; what the topics look like then is the same as before. */
static enum verdict fail_with(struct replies *replies, unsigned topics, const char *origin, enum verdict verdict)
{
	struct err err = error_of(origin, verdict);

	replies_begin(replies);
	for (uint32_t i = 0; i < replies->count; i++)
		if (topics & 1U << i)
			replies_use(&replies->topics[i]);
	replies_blame(replies, &err);
	return err.verdict;
}

static void commit_with(struct replies *replies, unsigned topics)
{
	replies_begin(replies);
	for (uint32_t i = 0; i < replies->count; i++)
		if (topics & 1U << i)
			replies_use(&replies->topics[i]);
	replies_committed(replies);
}

static unsigned left_out(const struct replies *replies, int64_t at_ms)
{
	unsigned topics = 0;

	for (uint32_t i = 0; i < replies->count; i++) {
		struct reply_place place = {&replies->topics[i], 0};
		topics |= reply_check(&place, 1, at_ms) == REPLY_LEFT_OUT ? 1U << i : 0;
	}
	return topics;
}

/* A right that is missing: those that have never worked, for a minute; then two. */
static void test_unproven_are_left_out(void **state)
{
	struct replies *replies = *state;

	commit_with(replies, 1);
	assert_int_equal(fail_with(replies, 1 | 2, "TOPIC_AUTHORIZATION_FAILED", VERDICT_STOP), VERDICT_REJOIN);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms), 2);
	assert_int_equal(left_out(replies, now_ms + MINUTE_MS), 0);
	fail_with(replies, 1 | 2, "TOPIC_AUTHORIZATION_FAILED", VERDICT_STOP);
	replies_convict(replies, now_ms + MINUTE_MS);
	assert_int_equal(left_out(replies, now_ms + 3 * MINUTE_MS - 1), 2);
	assert_int_equal(left_out(replies, now_ms + 3 * MINUTE_MS), 0);
	commit_with(replies, 2); /* it works: all is forgotten */
	fail_with(replies, 2, "TOPIC_AUTHORIZATION_FAILED", VERDICT_STOP);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms + MINUTE_MS - 1), 2);
	assert_int_equal(left_out(replies, now_ms + MINUTE_MS), 0);
}

static void test_all_are_left_out_where_all_have_worked(void **state)
{
	struct replies *replies = *state;

	commit_with(replies, 1 | 2 | 4);
	fail_with(replies, 1 | 4, "INVALID_RECORD", VERDICT_REJOIN);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms), 1 | 4);
}

/* The topic has gone, or lost partitions: nobody else has to suffer for it. */
static void test_what_is_evident(void **state)
{
	static const bool all[] = {true, true, true}, not_1[] = {true, false, true};
	struct replies *replies = *state;
	struct reply_place at_1 = {&replies->topics[1], 1};

	fail_with(replies, 1 | 2, "UNKNOWN_TOPIC_OR_PART", VERDICT_STOP);
	reply_topic_seen(&replies->topics[1], 0, all);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms), 0);
	reply_topic_seen(&replies->topics[1], 3, all);
	fail_with(replies, 1 | 2, "_TIMED_OUT", VERDICT_REJOIN);
	reply_topic_seen(&replies->topics[1], 3, not_1);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms), 0);
	assert_int_equal(reply_check(&at_1, 1, now_ms), REPLY_NO_LEADER);
	assert_int_equal(replies->failures, 0);
}

/* What a broker's absence does as well takes two failures, with nothing committed in between. */
static void test_once_is_no_evidence(void **state)
{
	struct replies *replies = *state;

	for (int i = 0; i < 2; i++) {
		fail_with(replies, 1, "_TIMED_OUT", VERDICT_REJOIN);
		replies_convict(replies, now_ms);
		assert_int_equal(left_out(replies, now_ms), 0);
		commit_with(replies, 2);
	}
	fail_with(replies, 1, "_TIMED_OUT", VERDICT_REJOIN);
	replies_convict(replies, now_ms);
	assert_true(replies_are_suspected(replies));
	fail_with(replies, 1, "_MSG_TIMED_OUT", VERDICT_REJOIN);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms), 1);
	assert_false(replies_are_suspected(replies));
}

static void test_not_the_replies(void **state)
{
	struct replies *replies = *state;
	struct err err = error_of("TOPIC_AUTHORIZATION_FAILED", VERDICT_STOP);

	assert_int_equal(fail_with(replies, 0, "TOPIC_AUTHORIZATION_FAILED", VERDICT_STOP), VERDICT_STOP);
	assert_int_equal(fail_with(replies, 1, "GROUP_AUTHORIZATION_FAILED", VERDICT_STOP), VERDICT_STOP);
	assert_int_equal(fail_with(replies, 1, "_FENCED", VERDICT_REJOIN), VERDICT_REJOIN);
	replies_convict(replies, now_ms);
	assert_int_equal(left_out(replies, now_ms), 0);
	replies_blame(NULL, &err);
	assert_int_equal(err.verdict, VERDICT_STOP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_topics),
		TEST(test_address),
		TEST(test_check),
		TEST(test_leaders),
		TEST(test_due),
		TEST(test_notes),
		TEST(test_unproven_are_left_out),
		TEST(test_all_are_left_out_where_all_have_worked),
		TEST(test_what_is_evident),
		TEST(test_once_is_no_evidence),
		TEST(test_not_the_replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
