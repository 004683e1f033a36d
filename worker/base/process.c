#include "byunique/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t cpu_ms(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000) +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* /proc/self/statm: pages of the whole, then of what is resident. */
static void read_memory(struct process_facts *facts)
{
	FILE *file = fopen("/proc/self/statm", "re");
	char line[128], *end;
	int64_t page = sysconf(_SC_PAGESIZE);

	if (file == NULL)
		return;
	if (fgets(line, sizeof(line), file) != NULL) {
		facts->virtual_bytes = strtoll(line, &end, 10) * page;
		facts->resident_bytes = strtoll(end, NULL, 10) * page;
	}
	fclose(file);
}

static int64_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int64_t count = -3; /* ".", ".." and the one that reads */

	if (folder == NULL)
		return 0;
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count > 0 ? count : 0;
}

void process_read(struct process_facts *facts)
{
	struct rlimit limit = {0};

	*facts = (struct process_facts){.cpu_ms = cpu_ms(), .open_fds = count_fds()};
	read_memory(facts);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		facts->max_fds = limit.rlim_cur == RLIM_INFINITY ? -1 : (int64_t)limit.rlim_cur;
}

static _Atomic int threads_left;

void process_leave_thread(void)
{
	threads_left++;
}

void process_thread_ended(void)
{
	threads_left--;
}

bool process_has_left_threads(void)
{
	return threads_left > 0;
}
