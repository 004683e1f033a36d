/* The demo's story is its data: stdout. Commands run with a pipe for both their outputs, which are shown indented. */
#include "demo.h"

#include "child.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *style(const char *code)
{
	return may_colour(STDOUT_FILENO) ? code : "";
}

void demo_heading(const char *text)
{
	printf("\n%s%s%s\n", style("\033[1m"), text, style("\033[0m"));
	fflush(stdout);
}

void demo_say(const char *fmt, ...)
{
	va_list args;

	fputs("  ", stdout);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void demo_show_command(const char *const *words, const char *suffix)
{
	printf("  %s$ byunique", style("\033[36m"));
	for (; *words != NULL; words++)
		printf(" %s", *words);
	printf("%s%s\n", suffix, style("\033[0m"));
	fflush(stdout);
}

/* What comes through the pipe, each line indented, until its end. */
static bool show_output(struct demo *demo, int output, struct err *err)
{
	char text[4096];
	bool line_begins = true;
	struct pollfd wait = {.fd = output, .events = POLLIN};

	for (;;) {
		if (!demo_worker_check(demo, err))
			return false;
		if (poll(&wait, 1, 100) <= 0)
			continue;
		ssize_t got = read(output, text, sizeof(text));
		if (got <= 0)
			return true;
		for (ssize_t i = 0; i < got; i++) {
			if (line_begins)
				fputs("    ", stdout);
			putchar(text[i]);
			line_begins = text[i] == '\n';
		}
		fflush(stdout);
	}
}

static bool check_status(const char *const *words, int status, int exit_code, struct err *err)
{
	char text[32];

	if (WIFEXITED(status) && WEXITSTATUS(status) == exit_code)
		return true;
	err_set(err, VERDICT_STOP, "", "`byunique %s` did not go as expected", words[0]);
	return err_detail(err, "it ended with %s, exit code %d was expected", child_status_text(status, text),
			  exit_code);
}

bool demo_command(struct demo *demo, int exit_code, const char *const *words, struct err *err)
{
	int output[2], status = 0;
	pid_t pid;

	demo_show_command(words, "");
	if (pipe2(output, O_CLOEXEC) != 0)
		return err_set(err, VERDICT_STOP, "", "can't make a pipe: %s", strerror(errno));
	bool ok = demo_spawn(demo, words, output[1], &pid, err);
	close(output[1]);
	if (ok) {
		ok = show_output(demo, output[0], err);
		if (!ok || !child_wait(pid, 10000, &status))
			status = child_stop(pid, SIGKILL, 1000);
		ok = ok && check_status(words, status, exit_code, err);
	}
	close(output[0]);
	return ok;
}
