/* What this process takes of the machine, as the kernel tells it in /proc/self. */
#ifndef BYUNIQUE_PROCESS_H
#define BYUNIQUE_PROCESS_H

#include <stdint.h>

struct process_facts {
	int64_t resident_bytes, virtual_bytes;
	int64_t cpu_ms;
	int64_t open_fds, max_fds; /* max_fds -1: no limit */
};

/* What can't be read is 0. */
void process_read(struct process_facts *facts);

#endif
