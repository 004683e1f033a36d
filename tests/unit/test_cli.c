/* The list of commands: how one is found, and what is said when there is none. */
#include "cli/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct cli_command *find(const char *first, const char *second)
{
	const char *const words[] = {first, second};

	return command_find(words, second ? 2 : 1);
}

static const char *hint(const char *first, const char *second)
{
	static struct err err;
	const char *const words[] = {first, second};

	assert_false(command_unknown(words, second ? 2 : 1, &err));
	assert_int_equal(err.verdict, VERDICT_USAGE);
	return err.hint;
}

static void test_find(void **state)
{
	(void)state;
	assert_ptr_equal(find("init", NULL), &cmd_init);
	assert_ptr_equal(find("init", "x"), &cmd_init);
	assert_ptr_equal(find("schema", "show"), &cmd_schema_show);
	assert_null(find("schema", NULL));
	assert_null(find("schema", "sho"));
	assert_ptr_equal(find("schema show", NULL), &cmd_schema_show); /* quoted: it is clear what is meant */
	assert_null(find("ini", NULL));
	assert_null(find("inits", NULL));
	assert_null(find("", NULL));
	assert_true(command_is_group("schema"));
	assert_false(command_is_group("init"));
	assert_false(command_is_group("sche"));
	assert_false(command_is_group(""));
}

static void test_every_command_is_found_by_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		char *name = xstrdup(cli_commands[i]->name), *second = name;
		char *first = strsep(&second, " ");
		assert_ptr_equal(find(first, second), cli_commands[i]);
		free(name);
	}
}

static void test_nearest(void **state)
{
	(void)state;
	assert_string_equal(hint("lod", "x.csv"), "Did you mean `byunique load`?");
	assert_string_equal(hint("resluts", NULL), "Did you mean `byunique results`?");
	assert_string_equal(hint("schema", "shwo"), "Did you mean `byunique schema show`?");
	assert_string_equal(hint("shema", "list"), "Did you mean `byunique schema list`?");
	assert_string_equal(hint("schema", NULL), "Try `byunique schema --help`.");
	assert_string_equal(hint("xyzzy", NULL), "`byunique --help` lists the commands.");
	assert_string_equal(hint("", NULL), "`byunique --help` lists the commands.");
}

/* A command's own option must not hide behind a common one. */
static void test_options(void **state)
{
	(void)state;
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		const struct option_spec *option = cli_commands[i]->options;
		for (; option != NULL && option->name != NULL; option++) {
			assert_string_not_equal(option->name, "version");
			for (const struct option_spec *common = common_options; common->name != NULL; common++)
				assert_string_not_equal(option->name, common->name);
		}
	}
}

static void test_numbers(void **state)
{
	static const struct option_spec options[] = {{"a", "N", ""}, {"b", "N", ""}, {NULL, NULL, NULL}};
	static const char *const bad[] = {"", "x", "1x", "0", "11", "1.0", "99999999999999999999"};
	const char *values[] = {"10", NULL};
	const struct cli_args args = {.options = options, .values = values};
	int64_t value = 5;
	struct err err;

	(void)state;
	assert_true(cli_option_int(&args, "b", 1, 10, &value, &err));
	assert_int_equal(value, 5);
	assert_true(cli_option_int(&args, "a", 1, 10, &value, &err));
	assert_int_equal(value, 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		values[0] = bad[i];
		assert_false(cli_option_int(&args, "a", 1, 10, &value, &err));
		assert_string_equal(err.what, "--a has to be a whole number from 1 to 10");
	}
	assert_int_equal(value, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),	cmocka_unit_test(test_every_command_is_found_by_its_name),
		cmocka_unit_test(test_nearest), cmocka_unit_test(test_options),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
