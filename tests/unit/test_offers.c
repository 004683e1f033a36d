/* What is on offer between the fetching thread and the lanes: it can be taken once, or withdrawn; each lane has its own; who
 * waits is known. */
#include "byunique/offers.h"

#include "byunique/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LONG_MS = 60000, A_MOMENT_MS = 30, FIRST = 1U << 0, SECOND = 1U << 1 };

static void test_taken_or_withdrawn(void **state)
{
	struct batch a = {0}, b = {0};
	struct offers offers;

	(void)state;
	offers_init(&offers);
	assert_null(offers_take(&offers, 0, 0));
	offers_make(&offers, 0, &a);
	assert_null(offers_take(&offers, 1, 0)); /* it is for the first lane */
	assert_false(offers_are_taken(&offers, 0));
	assert_ptr_equal(offers_take(&offers, 0, 0), &a);
	assert_true(offers_are_taken(&offers, 0));
	assert_false(offers_withdraw(&offers, 0)); /* too late */
	offers_make(&offers, 0, &a);
	offers_make(&offers, 1, &b);
	assert_true(offers_withdraw(&offers, 0));
	assert_null(offers_take(&offers, 0, 0));
	assert_ptr_equal(offers_take(&offers, 1, LONG_MS), &b); /* at once */
	offers_destroy(&offers);
}

static void test_time_limits(void **state)
{
	struct batch a = {0}, b = {0};
	struct offers offers;

	(void)state;
	offers_init(&offers);
	int64_t begin_ms = clock_mono_ms();
	assert_null(offers_take(&offers, 0, A_MOMENT_MS));
	assert_in_range(clock_mono_ms() - begin_ms, A_MOMENT_MS - 1, LONG_MS);
	offers_make(&offers, 0, &a);
	offers_make(&offers, 1, &b);
	begin_ms = clock_mono_ms();
	assert_false(offers_await(&offers, 0, A_MOMENT_MS)); /* nobody takes it */
	assert_in_range(clock_mono_ms() - begin_ms, A_MOMENT_MS - 1, LONG_MS);
	assert_ptr_equal(offers_take(&offers, 0, 0), &a);
	assert_false(offers_await(&offers, FIRST, 0)); /* one is left, and the first lane does not wait */
	assert_ptr_equal(offers_take(&offers, 1, 0), &b);
	assert_true(offers_await(&offers, 0, LONG_MS)); /* at once */
	offers_destroy(&offers);
}

struct reader {
	struct offers *offers;
	unsigned lane;
};

static void *take_one(void *argument)
{
	const struct reader *reader = argument;
	return offers_take(reader->offers, reader->lane, LONG_MS);
}

static void await_reader(struct offers *offers, unsigned lane)
{
	for (int i = 0; i < 5000 && !offers_are_wanted(offers, lane); i++)
		clock_sleep_ms(1);
	assert_true(offers_are_wanted(offers, lane));
}

static void test_wanted(void **state)
{
	struct batch a = {0}, b = {0};
	struct offers offers;
	struct reader second = {&offers, 1};
	pthread_t reader;
	void *taken;

	(void)state;
	offers_init(&offers);
	offers_make(&offers, 0, &a);
	assert_false(offers_are_wanted(&offers, 1)); /* nobody waits */
	pthread_create(&reader, NULL, take_one, &second);
	await_reader(&offers, 1);
	assert_false(offers_are_wanted(&offers, 0));
	assert_true(offers_await(&offers, SECOND, LONG_MS)); /* at once */
	assert_false(offers_await(&offers, FIRST, 0));	     /* that lane does not wait, and one is on offer */
	offers_make(&offers, 1, &b);
	assert_false(offers_are_wanted(&offers, 1)); /* there is something, */
	pthread_join(reader, &taken);
	assert_ptr_equal(taken, &b); /* which it has or will have */
	assert_false(offers_are_wanted(&offers, 1));
	assert_ptr_equal(offers_take(&offers, 0, 0), &a);
	offers_destroy(&offers);
}

static void *await_second(void *offers)
{
	return offers_await(offers, SECOND, LONG_MS) ? offers : NULL;
}

/* Who waits for news is woken by a lane that begins to wait. */
static void test_waiting_is_news(void **state)
{
	struct batch a = {0}, b = {0};
	struct offers offers;
	struct reader second = {&offers, 1};
	pthread_t writer, reader;
	void *told, *taken;

	(void)state;
	offers_init(&offers);
	offers_make(&offers, 0, &a);
	pthread_create(&writer, NULL, await_second, &offers);
	clock_sleep_ms(A_MOMENT_MS);
	pthread_create(&reader, NULL, take_one, &second);
	pthread_join(writer, &told);
	assert_ptr_equal(told, &offers);
	offers_make(&offers, 1, &b);
	pthread_join(reader, &taken);
	assert_ptr_equal(taken, &b);
	assert_true(offers_withdraw(&offers, 0));
	offers_destroy(&offers);
}

static void test_close(void **state)
{
	struct batch a = {0};
	struct offers offers;
	struct reader second = {&offers, 1};
	pthread_t reader;
	void *taken;

	(void)state;
	offers_init(&offers);
	assert_false(offers_are_closed(&offers));
	offers_make(&offers, 0, &a);
	pthread_create(&reader, NULL, take_one, &second);
	await_reader(&offers, 1);
	offers_close(&offers); /* wakes the reader */
	pthread_join(reader, &taken);
	assert_null(taken);
	assert_true(offers_are_closed(&offers));
	assert_ptr_equal(offers_take(&offers, 0, LONG_MS), &a); /* what is there can be taken */
	assert_null(offers_take(&offers, 0, LONG_MS));	       /* at once */
	offers_destroy(&offers);
}

enum { MANY = 20000, LANES = 3 };

struct stream {
	struct offers offers;
	struct batch batches[MANY];
	uint32_t taken[LANES];
};

struct lane_of {
	struct stream *stream;
	unsigned lane;
};

static void *take_many(void *argument)
{
	const struct lane_of *of = argument;
	struct stream *stream = of->stream;
	uint32_t last = 0;

	for (int turn = 0;; turn++) {
		struct batch *batch = offers_take(&stream->offers, of->lane, turn % 3 ? LONG_MS : 0);
		if (batch == NULL && offers_are_closed(&stream->offers))
			return NULL;
		if (batch == NULL)
			continue;
		assert_true(stream->taken[of->lane] == 0 || batch->count > last);
		last = batch->count;
		stream->taken[of->lane]++;
	}
}

/* One thread offers, three take; now and then it is withdrawn, and offered again. */
static void test_many_threads(void **state)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));
	struct lane_of lanes[LANES];
	pthread_t readers[LANES];

	(void)state;
	offers_init(&stream->offers);
	for (unsigned i = 0; i < LANES; i++) {
		lanes[i] = (struct lane_of){stream, i};
		pthread_create(&readers[i], NULL, take_many, &lanes[i]);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		unsigned lane = i % LANES;
		stream->batches[i].count = i;
		while (!offers_are_taken(&stream->offers, lane))
			(void)offers_await(&stream->offers, 1U << lane, LONG_MS);
		offers_make(&stream->offers, lane, &stream->batches[i]);
		if (i % 7 == 0 && offers_withdraw(&stream->offers, lane))
			offers_make(&stream->offers, lane, &stream->batches[i]);
	}
	while (!offers_await(&stream->offers, 0, LONG_MS))
		;
	offers_close(&stream->offers);
	uint32_t taken = 0;
	for (unsigned i = 0; i < LANES; i++) {
		pthread_join(readers[i], NULL);
		taken += stream->taken[i];
	}
	assert_int_equal(taken, MANY);
	offers_destroy(&stream->offers);
	free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_or_withdrawn), cmocka_unit_test(test_time_limits),
		cmocka_unit_test(test_wanted),		   cmocka_unit_test(test_waiting_is_news),
		cmocka_unit_test(test_close),		   cmocka_unit_test(test_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
