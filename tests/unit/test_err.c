/* Errors are values: filled whole, cut where they do not fit, one line each, printed in PostgreSQL's manner. */
#include "byunique/err.h"

#include "byunique/slice.h"
#include "capture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_set(void **state)
{
	struct err err;

	(void)state;
	memset(&err, 'x', sizeof(err));
	assert_false(err_set(&err, VERDICT_RETRY, "40001", "%s %d", "statement", 3));
	assert_int_equal(err.verdict, VERDICT_RETRY);
	assert_string_equal(err.origin, "40001");
	assert_string_equal(err.what, "statement 3");
	assert_string_equal(err.detail, "");
	assert_string_equal(err.hint, "");
	assert_false(err_detail(&err, "at offset %d", 7));
	assert_false(err_hint(&err, "Wait."));
	assert_string_equal(err.detail, "at offset 7");
	assert_string_equal(err.hint, "Wait.");
	err_set(&err, VERDICT_STOP, NULL, "other");
	assert_string_equal(err.origin, "");
	assert_string_equal(err.detail, "");
	assert_string_equal(err.hint, "");
}

static void test_one_line(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, VERDICT_STOP, "", "FATAL:\tthe server\r\nis gone\n \n");
	assert_string_equal(err.what, "FATAL: the server  is gone");
	err_detail(&err, "\n");
	assert_string_equal(err.detail, "");
	err_hint(&err, "a\nb");
	assert_string_equal(err.hint, "a b");
}

/* Cut at the end, and not within a character: logs and results are UTF-8. */
static void test_too_long(void **state)
{
	char text[2000];
	struct err err;

	(void)state;
	for (int shift = 0; shift < 4; shift++) {
		for (size_t i = 0; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "😀", 5);
		err_set(&err, VERDICT_STOP, "", "%.*s%s", shift, "abc", text);
		err_detail(&err, "%.*s%s", shift, "abc", text);
		err_hint(&err, "%.*s%s", shift, "abc", text);
		assert_true(strlen(err.what) > sizeof(err.what) - 5);
		assert_true(strlen(err.detail) > sizeof(err.detail) - 5);
		assert_true(strlen(err.hint) > sizeof(err.hint) - 5);
		assert_true(slice_is_utf8(slice_cstr(err.what)));
		assert_true(slice_is_utf8(slice_cstr(err.detail)));
		assert_true(slice_is_utf8(slice_cstr(err.hint)));
	}
}

/* What is no UTF-8 shows as a question mark: the rest is still to be read. */
static void test_other_encodings(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, VERDICT_STOP, "", "Datenbank \xBBx\xAB existiert nicht f\xFCr %.3s", "aé€");
	assert_string_equal(err.what, "Datenbank ?x? existiert nicht f?r aé");
	err_detail(&err, "\xE2\x82%s\xF0\x9F\x98", "€");
	assert_string_equal(err.detail, "??€???");
}

static void test_verdict_names(void **state)
{
	(void)state;
	for (int a = VERDICT_NONE; a <= VERDICT_USAGE; a++) {
		assert_non_null(verdict_name((enum verdict)a));
		for (int b = VERDICT_NONE; b < a; b++)
			assert_string_not_equal(verdict_name((enum verdict)a), verdict_name((enum verdict)b));
	}
	assert_string_equal(verdict_name(VERDICT_BISECT), "bisect");
}

static struct buf printed(const struct err *err)
{
	struct capture capture = capture_begin();
	err_print(err);
	return capture_end(&capture);
}

static void test_print(void **state)
{
	struct err err;
	struct buf text;

	(void)state;
	err_set(&err, VERDICT_USAGE, "", "unknown key");
	text = printed(&err);
	assert_string_equal(text.base, "byunique: unknown key\n");
	buf_release(&text);
	err_set(&err, VERDICT_STOP, "ENOENT", "100%% wrong");
	err_detail(&err, "facts");
	err_hint(&err, "Do this.");
	text = printed(&err);
	assert_string_equal(text.base, "byunique: 100% wrong (ENOENT)\nDETAIL: facts\nHINT: Do this.\n");
	buf_release(&text);
}

/* Runs in a child that has to end by abort(). */
static struct buf last_words(void (*body)(void))
{
	struct capture capture = capture_begin();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		signal(SIGABRT, SIG_DFL);
		body();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	struct buf text = capture_end(&capture);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	return text;
}

static void break_invariant(void)
{
	ASSERT(1 + 1 == 2);
	ASSERT(1 + 1 == 3);
}

static void test_die(void **state)
{
	struct buf text = last_words(break_invariant);

	(void)state;
	assert_non_null(strstr(text.base, "byunique: "));
	assert_non_null(strstr(text.base, "broken invariant: 1 + 1 == 3\n"));
	buf_release(&text);
}

static void test_memory(void **state)
{
	(void)state;
	char *zero = xmalloc(0), *none = xcalloc(0, 0), *grown = xmalloc(3);
	assert_non_null(zero);
	assert_non_null(none);
	memcpy(grown, "ab", 3);
	grown = xrealloc(grown, 1000);
	assert_string_equal(grown, "ab");
	grown = xrealloc(grown, 0);
	assert_non_null(grown);
	char *cleared = xcalloc(100, 3);
	for (int i = 0; i < 300; i++)
		assert_int_equal(cleared[i], 0);
	char *copy = xstrdup("text"), *made = xasprintf("%s-%d", copy, 5);
	assert_string_equal(made, "text-5");
	free(zero);
	free(none);
	free(grown);
	free(cleared);
	free(copy);
	free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),	      cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_too_long),      cmocka_unit_test(test_other_encodings),
		cmocka_unit_test(test_verdict_names), cmocka_unit_test(test_print),
		cmocka_unit_test(test_die),	      cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
