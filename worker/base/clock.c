#include "byunique/clock.h"

#include <errno.h>
#include <stdlib.h>

static int64_t now_us(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return now_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

void clock_sleep_ms(int64_t ms)
{
	clock_sleep_us(ms * 1000);
}

void clock_sleep_us(int64_t us)
{
	struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	if (us > 0)
		while (nanosleep(&left, &left) != 0 && errno == EINTR)
			;
}

void clock_cond_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct timespec clock_deadline(int64_t timeout_ms)
{
	int64_t at_us = clock_mono_us() + timeout_ms * 1000;
	return (struct timespec){.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
}

int64_t clock_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms)
{
	static _Thread_local unsigned seed;
	int64_t bound = base_ms;

	if (seed == 0)
		seed = (unsigned)now_us(CLOCK_REALTIME) | 1;
	while (attempt-- > 0 && bound < cap_ms)
		bound *= 2;
	if (bound > cap_ms)
		bound = cap_ms;
	return 1 + rand_r(&seed) % (bound > 0 ? bound : 1);
}
