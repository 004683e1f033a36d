/* The queue between two threads: order, bounds, time limits, closing; and that nothing is lost when it is busy. */
#include "byunique/queue.h"

#include "byunique/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_order_and_bounds(void **state)
{
	struct batch a = {0}, b = {0}, c = {0};
	struct queue queue;

	(void)state;
	queue_init(&queue, 2);
	assert_null(queue_pop(&queue, 0));
	assert_null(queue_take(&queue));
	assert_true(queue_push(&queue, &a, 0));
	assert_ptr_equal(queue_take(&queue), &a);
	assert_true(queue_push(&queue, &a, 0));
	assert_true(queue_push(&queue, &b, 0));
	assert_false(queue_push(&queue, &c, 0));
	assert_ptr_equal(queue_pop(&queue, 0), &a);
	assert_null(a.next);
	assert_true(queue_push(&queue, &c, 0));
	assert_ptr_equal(queue_pop(&queue, 0), &b);
	assert_ptr_equal(queue_pop(&queue, 0), &c);
	assert_null(queue_pop(&queue, 0));
	assert_true(queue_push(&queue, &a, 0)); /* after it was empty */
	assert_ptr_equal(queue_pop(&queue, 0), &a);
	queue_destroy(&queue);
}

static void test_given_back(void **state)
{
	struct batch a = {0}, b = {0}, c = {0};
	struct queue queue;

	(void)state;
	queue_init(&queue, 3);
	queue_give_back(&queue, &a);
	queue_give_back(&queue, &b);
	assert_true(queue_push(&queue, &c, 0));
	assert_ptr_equal(queue_pop(&queue, 0), &b);
	assert_ptr_equal(queue_pop(&queue, 0), &a);
	assert_ptr_equal(queue_pop(&queue, 0), &c);
	queue_destroy(&queue);
}

static void test_time_limits(void **state)
{
	struct batch a = {0}, b = {0};
	struct queue queue;

	(void)state;
	queue_init(&queue, 1);
	int64_t begin = clock_mono_ms();
	assert_null(queue_pop(&queue, 30));
	assert_in_range(clock_mono_ms() - begin, 29, 5000);
	queue_push(&queue, &a, 0);
	begin = clock_mono_ms();
	assert_false(queue_push(&queue, &b, 30));
	assert_in_range(clock_mono_ms() - begin, 29, 5000);
	assert_ptr_equal(queue_pop(&queue, 1500), &a);
	assert_true(clock_mono_ms() - begin < 1500); /* what is there is taken at once */
	queue_destroy(&queue);
}

static void test_close(void **state)
{
	struct batch a = {0}, b = {0};
	struct queue queue;

	(void)state;
	queue_init(&queue, 2);
	queue_push(&queue, &a, 0);
	assert_false(queue_is_closed(&queue));
	queue_close(&queue);
	assert_true(queue_is_closed(&queue));
	assert_false(queue_push(&queue, &b, 60000)); /* at once */
	assert_ptr_equal(queue_pop(&queue, 60000), &a);
	assert_null(queue_pop(&queue, 60000));
	queue_destroy(&queue);
}

static void *push_one(void *argument)
{
	static struct batch late;
	return queue_push(argument, &late, 60000) ? &late : NULL;
}

static void test_close_wakes_writer(void **state)
{
	struct batch a = {0};
	struct queue queue;
	pthread_t writer;
	void *pushed;

	(void)state;
	queue_init(&queue, 1);
	queue_push(&queue, &a, 0);
	pthread_create(&writer, NULL, push_one, &queue);
	clock_sleep_ms(20);
	queue_close(&queue);
	pthread_join(writer, &pushed);
	assert_null(pushed);
	assert_ptr_equal(queue_pop(&queue, 0), &a);
	queue_destroy(&queue);
}

enum { MANY = 20000 };

struct stream {
	struct queue queue;
	struct batch batches[MANY];
};

static void *push_many(void *argument)
{
	struct stream *stream = argument;
	for (uint32_t i = 0; i < MANY; i++) {
		stream->batches[i].count = i;
		if (!queue_push(&stream->queue, &stream->batches[i], 60000))
			break;
	}
	queue_close(&stream->queue);
	return NULL;
}

/* One thread writes, one reads, waiting or not. */
static void test_two_threads(void **state)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));
	struct batch *batch;
	pthread_t writer;
	uint32_t expected = 0;

	(void)state;
	queue_init(&stream->queue, 2);
	pthread_create(&writer, NULL, push_many, stream);
	for (int turn = 0;; turn++) {
		batch = turn % 3 ? NULL : queue_take(&stream->queue);
		if (batch == NULL)
			batch = queue_pop(&stream->queue, 60000);
		if (batch == NULL)
			break;
		assert_null(batch->next);
		assert_int_equal(batch->count, expected++);
	}
	pthread_join(writer, NULL);
	assert_int_equal(expected, MANY);
	queue_destroy(&stream->queue);
	free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_bounds), cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_time_limits),	 cmocka_unit_test(test_close),
		cmocka_unit_test(test_close_wakes_writer), cmocka_unit_test(test_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
