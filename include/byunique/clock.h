/* Time. Wall time for what is stored or published, monotonic time for every duration. */
#ifndef BYUNIQUE_CLOCK_H
#define BYUNIQUE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
void clock_sleep_ms(int64_t ms);
void clock_sleep_us(int64_t us);

/* A condition of which pthread_cond_timedwait() takes clock_deadline(): so far from now, in monotonic time. */
void clock_cond_init(pthread_cond_t *condition);
struct timespec clock_deadline(int64_t timeout_ms);

/* Full-jitter exponential back-off: a random pause up to base_ms * 2^attempt, at most cap_ms; attempt counts from 0. */
int64_t clock_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms);

#endif
