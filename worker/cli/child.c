/* PR_SET_PDEATHSIG is what makes "leaves nothing behind" hold even for kill -9. It is cleared when the user changes,
 * hence set after that; and as the parent may be gone by then already, the parent is asked for once more. */
#include "child.h"

#include "byunique/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool change_user(const struct child_spec *spec)
{
	return spec->uid == 0 || (setgroups(0, NULL) == 0 && setgid(spec->gid) == 0 && setuid(spec->uid) == 0);
}

static bool redirect(const struct child_spec *spec)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(spec->output, STDOUT_FILENO) >= 0 &&
	       dup2(spec->output, STDERR_FILENO) >= 0;
}

/* In the child: becomes the program, or tells errno through the pipe. */
static void become(const struct child_spec *spec, pid_t parent, int report)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (setpgid(0, 0) == 0 && redirect(spec) && change_user(spec) &&
	    prctl(PR_SET_PDEATHSIG, spec->death_signal) == 0 && chdir(spec->folder) == 0 && getppid() == parent)
		execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
	int reason = errno;
	ssize_t written = write(report, &reason, sizeof(reason));
	_exit(written == sizeof(reason) ? 127 : 126);
}

static bool fail(struct err *err, const char *program, int reason)
{
	return err_set(err, VERDICT_STOP, "", "can't start %s: %s", program, strerror(reason));
}

bool child_start(pid_t *pid, const struct child_spec *spec, struct err *err)
{
	int report[2], reason = 0;
	pid_t parent = getpid();

	if (pipe2(report, O_CLOEXEC) != 0)
		return fail(err, spec->argv[0], errno);
	*pid = fork();
	if (*pid == 0)
		become(spec, parent, report[1]);
	if (*pid < 0)
		reason = errno;
	close(report[1]);
	ssize_t got = *pid < 0 ? 0 : read(report[0], &reason, sizeof(reason));
	close(report[0]);
	if (*pid > 0 && got > 0)
		waitpid(*pid, NULL, 0);
	return reason == 0 || fail(err, spec->argv[0], reason);
}

bool child_ended(pid_t pid, int *status)
{
	pid_t ended = waitpid(pid, status, WNOHANG);

	ASSERT(ended >= 0); /* who knows that it has ended does not ask again */
	return ended == pid;
}

bool child_wait(pid_t pid, int timeout_ms, int *status)
{
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;

	while (!child_ended(pid, status)) {
		if (clock_mono_ms() >= deadline_ms)
			return false;
		clock_sleep_ms(10);
	}
	return true;
}

int child_stop(pid_t pid, int signal_number, int timeout_ms)
{
	int status = 0;

	kill(pid, signal_number);
	if (!child_wait(pid, timeout_ms, &status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return status;
}

const char *child_status_text(int status, char text[32])
{
	if (WIFEXITED(status))
		snprintf(text, 32, "exit code %d", WEXITSTATUS(status));
	else
		snprintf(text, 32, "signal %d", WTERMSIG(status));
	return text;
}
