/* Child processes that do not outlive us: told to end when this process ends, however it ends. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include "byunique/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct child_spec {
	const char *const *argv; /* argv[0] is looked up in PATH unless it holds a slash */
	const char *folder;	 /* to run in */
	int output;		 /* descriptor for stdout and stderr; stays the caller's. stdin is /dev/null */
	uid_t uid;		 /* to run as; 0: as we are */
	gid_t gid;
	int death_signal; /* what it gets when we die */
};

/* Starts it in a process group of its own, so that Ctrl-C reaches us alone. Errors: it can't be executed. */
bool child_start(pid_t *pid, const struct child_spec *spec, struct err *err) BYU_MUST_CHECK;
/* Has it ended? *status is then what waitpid() says, and the pid is no longer one of ours. */
bool child_ended(pid_t pid, int *status);
/* Wait for its end; false: it goes on after timeout_ms. */
bool child_wait(pid_t pid, int timeout_ms, int *status);
/* Signal it, wait, and kill it when it does not end in time. Returns the status of waitpid(). */
int child_stop(pid_t pid, int signal_number, int timeout_ms);
/* "exit code 1", "signal 9": for messages. */
const char *child_status_text(int status, char text[32]);

#endif
