/* What people mistype, and what they should be told. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"postgres",		"postgres.schema",	  "commands.topic",
				    "results.topic",	"outcome.retention",	  "log.level",
				    "shutdown.timeout", "kafka.bootstrap.servers"};

static struct nearest nearest_to(const char *wanted)
{
	struct nearest nearest;

	nearest_init(&nearest, wanted);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		nearest_consider(&nearest, names[i]);
	return nearest;
}

static void test_mistakes(void **state)
{
	static const char *const pairs[][2] = {
		{"postgers", "postgres"},
		{"POSTGRES_SCHEMA", "postgres.schema"},
		{"command.topics", "commands.topic"},
		{"resutls.topic", "results.topic"},
		{"retention", "outcome.retention"},
		{"bootstrap.servers", "kafka.bootstrap.servers"},
		{"loglevel", "log.level"},
		{"shutdown-timeout", "shutdown.timeout"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct nearest nearest = nearest_to(pairs[i][0]);
		assert_string_equal(nearest.found, pairs[i][1]);
		assert_true(nearest_is_close(&nearest));
	}
}

static void test_costs(void **state)
{
	(void)state;
	assert_int_equal(nearest_to("postgres").cost, 0);
	assert_int_equal(nearest_to("Postgres").cost, 0);
	assert_int_equal(nearest_to("potsgres").cost, 1);  /* swapped */
	assert_int_equal(nearest_to("posgres").cost, 1);   /* one is missing */
	assert_int_equal(nearest_to("postgress").cost, 2); /* one too much */
	assert_int_equal(nearest_to("postgrez").cost, 2);  /* a wrong one */
	assert_int_equal(nearest_to("").cost, strlen("postgres"));
}

static void test_far_away(void **state)
{
	struct nearest nothing, far = nearest_to("xyzzy"), empty = nearest_to("");

	(void)state;
	assert_false(nearest_is_close(&far));
	assert_false(nearest_is_close(&empty));
	nearest_init(&nothing, "x");
	assert_false(nearest_is_close(&nothing));
	assert_string_equal(nothing.found, "");
}

static void test_long_names(void **state)
{
	char huge[5000];
	struct nearest nearest;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	nearest = nearest_to(huge);
	assert_false(nearest_is_close(&nearest) && nearest.cost == 0);
	nearest_init(&nearest, "x");
	nearest_consider(&nearest, huge);
	assert_int_equal(strlen(nearest.found), NEAREST_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_far_away),
		cmocka_unit_test(test_long_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
