/* What this process takes of the machine, as the kernel tells it in /proc/self; and the threads that it has left to
 * themselves. */
#ifndef BYUNIQUE_PROCESS_H
#define BYUNIQUE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_facts {
	int64_t resident_bytes, virtual_bytes;
	int64_t cpu_ms;
	int64_t open_fds, max_fds; /* max_fds -1: no limit */
};

/* What can't be read is 0. */
void process_read(struct process_facts *facts);

/* A thread that nobody waits for any more, as a call of a library does not come back: told beforehand, and by the thread
 * itself when it did. While one is left, main() leaves out the libraries' own clean-up, which it may be in the middle of. */
void process_leave_thread(void);
void process_thread_ended(void);
bool process_has_left_threads(void);

#endif
