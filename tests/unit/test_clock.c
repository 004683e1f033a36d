/* Time passes, never backwards; pauses last; back-off stays within its bounds and uses all of them. */
#include "byunique/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_wall(void **state)
{
	(void)state;
	int64_t seconds = time(NULL), ms = clock_wall_ms();
	assert_in_range(ms - seconds * 1000, 0, 2000);
}

static void test_mono(void **state)
{
	int64_t before = clock_mono_us();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_mono_us();
		assert_true(now >= before);
		before = now;
	}
	assert_in_range(clock_mono_ms() - before / 1000, 0, 1000);
}

static void test_sleep(void **state)
{
	int64_t begin = clock_mono_us();

	(void)state;
	clock_sleep_ms(0);
	clock_sleep_ms(-5);
	assert_true(clock_mono_us() - begin < 1000000);
	begin = clock_mono_us();
	clock_sleep_ms(20);
	assert_true(clock_mono_us() - begin >= 20000);
}

static void assert_backoff(unsigned attempt, int64_t base_ms, int64_t cap_ms, int64_t bound_ms)
{
	int64_t least = INT64_MAX, most = 0;

	for (int i = 0; i < 2000; i++) {
		int64_t pause = clock_backoff_ms(attempt, base_ms, cap_ms);
		least = pause < least ? pause : least;
		most = pause > most ? pause : most;
	}
	assert_in_range(least, 1, 1 + bound_ms / 10);		   /* full jitter: from nearly nothing … */
	assert_in_range(most, bound_ms - bound_ms / 10, bound_ms); /* … to all of it */
}

static void test_backoff(void **state)
{
	(void)state;
	assert_backoff(0, 100, 5000, 100);
	assert_backoff(1, 100, 5000, 200);
	assert_backoff(5, 100, 5000, 3200);
	assert_backoff(6, 100, 5000, 5000);
	assert_backoff(4000000000u, 100, 5000, 5000);
	assert_backoff(0, 9000, 5000, 5000);
	assert_int_equal(clock_backoff_ms(0, 1, 1), 1);
	assert_int_equal(clock_backoff_ms(3, 0, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wall),
		cmocka_unit_test(test_mono),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_backoff),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
