/* Files of secrets: what is taken from them, and which are refused. */
#include "byunique/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/byunique-test-secret-XXXXXX";

static void write_file(const char *bytes, size_t len, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_taken(const char *bytes, const char *wanted)
{
	struct buf secret = BUF_EMPTY;
	struct err err;

	write_file(bytes, strlen(bytes), 0600);
	buf_adds(&secret, "what was there before");
	if (!secret_read("x.file", path, &secret, &err))
		fail_msg("refused: %s", err.what);
	assert_string_equal(secret.base, wanted);
	assert_int_equal(secret.len, strlen(wanted));
	secret_release(&secret);
	assert_null(secret.base);
}

static struct err refused(const char *file, const char *why)
{
	struct buf secret = BUF_EMPTY;
	struct err err;

	buf_adds(&secret, "what was there before");
	if (secret_read("x.file", file, &secret, &err))
		fail_msg("taken: %s", file);
	assert_int_equal(err.verdict, VERDICT_USAGE);
	assert_memory_equal(err.what, "x.file: ", 8);
	if (strstr(err.what, why) == NULL && strstr(err.detail, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.what, why);
	assert_null(secret.base); /* nothing old is taken for the secret */
	return err;
}

static void test_content(void **state)
{
	(void)state;
	assert_taken("secret", "secret");
	assert_taken("secret\n", "secret");
	assert_taken("secret\r\n\n", "secret");
	assert_taken(" two words\t\n", " two words\t");
	assert_taken("-----BEGIN\nline\n-----END\n", "-----BEGIN\nline\n-----END");
}

static void test_no_secret(void **state)
{
	static char large[64 * 1024 + 2];

	(void)state;
	refused("/nonexistent/secret", "No such file");
	refused("", "No such file");
	refused("/tmp", "no regular file");
	refused("/dev/null", "no regular file");
	write_file("", 0, 0600);
	refused(path, "is empty");
	write_file("\n\r\n", 3, 0600);
	refused(path, "is empty");
	write_file("hunter\0two", 10, 0600);
	assert_null(strstr(refused(path, "NUL").detail, "hunter"));
	memset(large, 'x', sizeof(large));
	write_file(large, sizeof(large), 0600);
	refused(path, "too large");
}

static void test_rights(void **state)
{
	struct buf secret = BUF_EMPTY;
	struct err err;

	(void)state;
	write_file("secret", 6, 0620);
	assert_string_equal(refused(path, "by others than its owner").detail, "its mode is 620");
	write_file("secret", 6, 0602);
	refused(path, "by others than its owner");
	write_file("secret", 6, 0440);
	assert_false(secret_is_open(path));
	assert_true(secret_read("x.file", path, &secret, &err));
	write_file("secret", 6, 0444);
	assert_true(secret_is_open(path));
	assert_true(secret_read("x.file", path, &secret, &err));
	assert_false(secret_is_open("/nonexistent/secret"));
	secret_release(&secret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_no_secret),
		cmocka_unit_test(test_rights),
	};
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
