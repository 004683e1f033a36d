/* How long Kafka is given to be done with a transaction. */
#include "byunique/settling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_after_a_refusal_it_waits_longer(void **state)
{
	(void)state;
	assert_true(settling_learn(5000, 5100, true) > 5100);
	assert_true(settling_learn(5000, 12000, true) > 12000); /* so long it can take, as well */
}

static void test_it_comes_down_slowly(void **state)
{
	int64_t settling_us = settling_learn(8000, 8100, false);
	(void)state;

	assert_in_range(settling_us, 7000, 7999);
	for (int i = 0; i < 1000; i++)
		settling_us = settling_learn(settling_us, settling_us + 100, false);
	assert_in_range(settling_us, 0, 100);
}

/* An idle worker's transactions would bring it down to nothing, and the first busy moment pay for it. */
static void test_what_comes_late_proves_nothing(void **state)
{
	(void)state;
	assert_int_equal(settling_learn(8000, 30000, false), 8000);
	assert_int_equal(settling_learn(8000, 9001, false), 8000);
}

/* Whatever takes long then, it is not that. */
static void test_a_slow_answer_to_what_comes_late_is_no_refusal(void **state)
{
	(void)state;
	assert_int_equal(settling_learn(8000, SETTLING_MOST_US, true), 8000);
}

static void test_there_is_a_limit(void **state)
{
	int64_t settling_us = SETTLING_START_US;
	(void)state;

	for (int i = 0; i < 100; i++)
		settling_us = settling_learn(settling_us, settling_us + 100, true);
	assert_int_equal(settling_us, SETTLING_MOST_US);
	assert_true(settling_learn(settling_us, settling_us + 100, false) < SETTLING_MOST_US); /* and a way back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_a_refusal_it_waits_longer),
		cmocka_unit_test(test_it_comes_down_slowly),
		cmocka_unit_test(test_what_comes_late_proves_nothing),
		cmocka_unit_test(test_a_slow_answer_to_what_comes_late_is_no_refusal),
		cmocka_unit_test(test_there_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
