/* For LD_PRELOAD: the wall clock that a program's own code sees is set forward or back by the seconds in the file
 * $WALLCLOCK_FILE, which may change at any time. Its libraries see the true one, as do all timers: what waits for a point in
 * wall time would wait by the kernel's clock, which is not changed, and be confused as no jump of a real clock confuses it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int is_from_the_program(const void *caller)
{
	Dl_info who;
	struct link_map *map = NULL;
	return dladdr1(caller, &who, (void **)&map, RTLD_DL_LINKMAP) != 0 && map != NULL && map->l_name[0] == '\0';
}

static long offset_s(void)
{
	const char *path = getenv("WALLCLOCK_FILE");
	FILE *file = path != NULL ? fopen(path, "r") : NULL;
	long seconds = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld", &seconds) != 1)
		seconds = 0;
	fclose(file);
	return seconds;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(id, now);
	if (result == 0 && id == CLOCK_REALTIME && is_from_the_program(__builtin_return_address(0)))
		now->tv_sec += offset_s();
	return result;
}
