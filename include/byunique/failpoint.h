/* Failures on demand, for tests: at a named place (failpoint.def) the process crashes, waits, or gets an error. Only in
 * builds made with `make FAILPOINTS=1`; in others nothing of it is left.
 *
 * BYUNIQUE_TEST_FAILPOINTS = name=action[@N], ...
 *   crash      the process kills itself, as if the machine had lost power
 *   wait:MS    so many milliseconds
 *   freeze     the process stops itself (SIGSTOP)
 *   fail       the error that the table gives
 *   @N         at the N-th time only (default 1); @N+: from then on
 * BYUNIQUE_TEST_JITTER_MS: each failpoint that is passed waits up to so many milliseconds, which mixes the threads' order.
 * BYUNIQUE_TEST_STUCK_MS: the watchdog's limit, instead of three minutes.
 * BYUNIQUE_TEST_ANSWER_MS: how long a worker waits for PostgreSQL's answers, instead of two and a half minutes.
 * BYUNIQUE_TEST_ALONE_MS: how long a consumer that forgets its brokers waits for one before it is made anew, instead of a minute.
 * BYUNIQUE_TEST_PATIENCE_MS: how long a change of tables waits for locks, instead of five minutes.
 * BYUNIQUE_TEST_NEXT_MIGRATION: SQL that makes the program one of the version after the newest.
 * A list that can't be read ends the process. What is struck is logged as the event `failpoint`. */
#ifndef BYUNIQUE_FAILPOINT_H
#define BYUNIQUE_FAILPOINT_H

#include "byunique/err.h"

#include <stdint.h>

#ifdef BYUNIQUE_FAILPOINTS

enum failpoint {
#define FAILPOINT(name, verdict, text) AT_##name,
#include "byunique/failpoint.def"
#undef FAILPOINT
	FAILPOINT_COUNT
};

/* False with *err when a failure was asked for. Any thread. */
bool failpoint_pass(enum failpoint failpoint, struct err *err) BYU_MUST_CHECK;
/* For places that can't fail. */
void failpoint_reach(enum failpoint failpoint);

/* A time limit: what the environment's variable says, or what it is otherwise. */
int64_t failpoint_ms(const char *variable, int64_t otherwise_ms);

#define FAILPOINT_PASS(name, err) failpoint_pass(AT_##name, err)
#define FAILPOINT_REACH(name) failpoint_reach(AT_##name)
#define FAILPOINT_MS(variable, otherwise_ms) failpoint_ms(variable, otherwise_ms)

#else

#define FAILPOINT_PASS(name, err) ((void)(err), true)
#define FAILPOINT_REACH(name) ((void)0)
#define FAILPOINT_MS(variable, otherwise_ms) (otherwise_ms)

#endif
#endif
