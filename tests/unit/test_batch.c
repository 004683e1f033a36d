/* Messages that wait for their schema leave a batch, in their order, with what hangs on its arena. */
#include "byunique/batch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MESSAGES = 10 };

static void count_down(void *resource)
{
	--*(int *)resource;
}

/* Messages are told apart by their offsets; `raw` counts how often it has still to be disposed of. */
static struct batch *filled(int raws[MESSAGES])
{
	struct batch *batch = batch_new(MESSAGES);

	for (int i = 0; i < MESSAGES; i++) {
		raws[i] = 1;
		batch->messages[i] = (struct message){.raw = (void *)&raws[i], .offset = i, .value = SLICE_LIT("abc")};
		batch->messages[i].decoded = i % 3 != 0;
		batch->bytes += message_bytes(&batch->messages[i]);
		arena_attach(&batch->arena, count_down, &raws[i]);
	}
	batch->messages[3].outcome.code = OUTCOME_MALFORMED_MESSAGE; /* decided, though not decoded */
	batch->count = MESSAGES;
	return batch;
}

static void test_set_aside(void **state)
{
	static const int64_t kept[] = {1, 2, 3, 4, 5, 7, 8}, moved[] = {0, 6, 9};
	struct batch *aside = batch_new(2); /* it grows */
	int raws[MESSAGES];
	struct batch *batch = filled(raws);

	(void)state;
	batch_set_aside(batch, aside);
	assert_int_equal(batch->count, 7);
	assert_int_equal(aside->count, 3);
	size_t each = message_bytes(&aside->messages[0]);
	assert_int_equal(batch->bytes, 7 * each);
	assert_int_equal(aside->bytes, 3 * each);
	for (int i = 0; i < 7; i++)
		assert_int_equal(batch->messages[i].offset, kept[i]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(aside->messages[i].offset, moved[i]);
	batch_free(batch);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(raws[i], i == 0 || i == 6 || i == 9);
	batch_free(aside);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(raws[i], 0);
}

static void test_behind_others(void **state)
{
	static const int64_t moved[] = {0, 6, 9, 0, 6, 9};
	struct batch *aside = batch_new(MESSAGES);
	int raws[2][MESSAGES];
	struct batch *first = filled(raws[0]), *second = filled(raws[1]);

	(void)state;
	batch_set_aside(first, aside);
	batch_set_aside(second, aside);
	assert_int_equal(aside->count, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(aside->messages[i].offset, moved[i]);
	batch_free(aside);
	batch_free(first);
	batch_free(second);
}

/* A message without headers lies in its batch's memory, so it moves with its bytes. */
static void test_bytes_of_its_own(void **state)
{
	struct batch *batch = batch_new(1), *aside = batch_new(1);

	(void)state;
	batch->messages[batch->count++] = (struct message){.key = arena_copy(&batch->arena, SLICE_LIT("alice")),
							   .value = arena_copy(&batch->arena, SLICE_LIT("\1\2\3"))};
	batch_set_aside(batch, aside);
	batch_free(batch);
	assert_int_equal(aside->count, 1);
	assert_true(slice_equal(aside->messages[0].key, SLICE_LIT("alice")));
	assert_true(slice_equal(aside->messages[0].value, SLICE_LIT("\1\2\3")));
	batch_free(aside);
}

static int disposed[MESSAGES], disposed_count;

static void note(void *resource)
{
	disposed[disposed_count++] = *(int *)resource;
}

/* What was attached last is first in the arena's list, where a transfer looks for it: with tens of thousands of messages it
 * would take seconds each time, if the order were lost on the way. */
static void test_again_and_again(void **state)
{
	struct batch *batch = batch_new(MESSAGES), *aside = batch_new(MESSAGES);
	int raws[MESSAGES];

	(void)state;
	for (int i = 0; i < MESSAGES; i++) {
		raws[i] = i;
		batch->messages[batch->count++] = (struct message){.raw = (void *)&raws[i], .offset = i};
		arena_attach(&batch->arena, note, &raws[i]);
	}
	for (int times = 0; times < 3; times++) {
		batch_set_aside(batch, aside);
		batch_clear(batch);
		struct batch *filled = aside;
		aside = batch;
		batch = filled;
		assert_int_equal(batch->count, MESSAGES);
		assert_int_equal(disposed_count, 0);
	}
	batch_free(batch);
	assert_int_equal(disposed_count, MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(disposed[i], MESSAGES - 1 - i);
	batch_free(aside);
}

/* --- where a partition stands ------------------------------------------------------------------------------------- */

static void test_sent_ahead(void **state)
{
	struct partition p = {.next_offset = 5, .uncertain_offset = -1};

	(void)state;
	assert_int_equal(partition_expected(&p), 5);
	partition_sent(&p, 9);
	partition_sent(&p, 12);
	assert_int_equal(partition_expected(&p), 12);
	for (int64_t offset = 0; offset < 20; offset++)
		assert_int_equal(partition_may_be_at(&p, offset), offset == 5 || offset == 9 || offset == 12);
	partition_is_at(&p, 9); /* the first one was stored */
	assert_int_equal(partition_expected(&p), 12);
	assert_false(partition_may_be_at(&p, 5));
	partition_sent(&p, 20);
	partition_unsent(&p, 12); /* it failed, and so will the one behind it */
	assert_false(partition_may_be_at(&p, 12));
	assert_true(partition_may_be_at(&p, 20));
	partition_unsent(&p, 20);
	assert_int_equal(partition_expected(&p), 9);
	p.uncertain_offset = 30;
	assert_true(partition_may_be_at(&p, 30));
}

/* The second one's COMMIT was the last thing heard of: the first is settled as well. */
static void test_both_settled(void **state)
{
	struct partition p = {.next_offset = 0, .uncertain_offset = -1};

	(void)state;
	partition_sent(&p, 4);
	partition_sent(&p, 8);
	partition_is_at(&p, 8);
	assert_int_equal(p.sent_count, 0);
	assert_int_equal(partition_expected(&p), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_aside),
		cmocka_unit_test(test_behind_others),
		cmocka_unit_test(test_bytes_of_its_own),
		cmocka_unit_test(test_again_and_again),
		cmocka_unit_test(test_sent_ahead),
		cmocka_unit_test(test_both_settled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
