/* Some calls of librdkafka can block for ever, and those that end may take minutes while no broker answers. A thread of its
 * own sees to it that the process ends all the same: nothing is lost, its successor reads again. Time is counted in steps
 * of this thread, so that a process that was frozen does not look stuck. */
#include "pipeline.h"

#include "byunique/cli.h"
#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <unistd.h>

/* How long something has gone on. */
static void count(int64_t *spent_ms, bool goes_on, int64_t step_ms)
{
	*spent_ms = goes_on ? *spent_ms + step_ms : 0;
}

/* Told to stop, and the time to finish is long over: a group that can't be left expels this member by itself. */
static _Noreturn void end_now(void)
{
	log_event(LOG_WARN, "stopped", "reason=%s",
		  "\"told to stop, but Kafka does not let go in time; what was in hand is left to a successor\"");
	_exit(EXIT_DONE);
}

static void *watchdog_main(void *context)
{
	enum { STEP_MAX_MS = 2 * WAIT_MS, GRACE_MS = 10000 };
	struct pipeline *pipeline = context;
	int64_t publishing_ms = 0, closing_ms = 0, stopping_ms = 0, last_ms = clock_mono_ms();
	int64_t most_ms = FAILPOINT_MS("BYUNIQUE_TEST_STUCK_MS", STUCK_MS);

	while (!pipeline->unwatched) {
		clock_sleep_ms(WAIT_MS);
		int64_t now_ms = clock_mono_ms(), step_ms = now_ms - last_ms < STEP_MAX_MS ? now_ms - last_ms : STEP_MAX_MS;
		last_ms = now_ms;
		reload_log_level();
		count(&publishing_ms, pipeline->publishing, step_ms);
		count(&closing_ms, pipeline->closing, step_ms);
		count(&stopping_ms, signals_stop_requested(), step_ms);
		if (stopping_ms > pipeline->live.shutdown_timeout_ms + GRACE_MS)
			end_now();
		if (publishing_ms > most_ms)
			pipeline_stuck("a Kafka transaction does not end");
		if (closing_ms > most_ms)
			pipeline_stuck("Kafka's clients can't be closed");
	}
	return NULL;
}

void watchdog_start(struct pipeline *pipeline)
{
	if (pthread_create(&pipeline->watchdog, NULL, watchdog_main, pipeline) != 0)
		die("can't create a thread");
}

void watchdog_stop(struct pipeline *pipeline)
{
	pipeline->unwatched = true;
	pthread_join(pipeline->watchdog, NULL);
}
