/* What a change of the group's membership does to the path. All of it runs on the fetching thread: librdkafka calls back
 * from inside of a poll.
 *
 * Partitions that are given are only noted; where they start needs PostgreSQL, which may be away while the group waits for
 * nothing. Partitions that are taken away drain first: batches in hand finish, for a limited time. Batches of partitions
 * that were lost are dropped, as their next owner answers from what is stored. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/log.h"

#include <inttypes.h>
#include <stdlib.h>

/* True when all batches have landed. Seldom needed, so it looks now and then. */
static bool wait_landed(struct pipeline *pipeline, int64_t timeout_ms)
{
	enum { LOOK_MS = 5 };
	int64_t until_ms = clock_mono_ms() + timeout_ms;

	for (;;) {
		pthread_mutex_lock(&pipeline->flight_turn);
		bool landed = pipeline->in_flight == 0;
		pthread_mutex_unlock(&pipeline->flight_turn);
		if (landed || clock_mono_ms() >= until_ms)
			return landed;
		observe_beat(pipeline);
		clock_sleep_ms(LOOK_MS);
	}
}

static void set_assignment(struct pipeline *pipeline, struct assignment *assignment)
{
	pipeline_take_turns(pipeline);
	pipeline->assignment = assignment;
	pipeline_give_turns(pipeline);
}

/* Batches in hand may finish within the time that is given; then they are dropped. */
static void drain(struct pipeline *pipeline, bool lost)
{
	struct assignment *assignment = pipeline->assignment;

	if (lost)
		assignment->lost = true;
	if (!lost && !pipeline_has_failed(pipeline) && !wait_landed(pipeline, pipeline->live.shutdown_timeout_ms)) {
		log_event(LOG_WARN, "batches_given_back", "reason=%s", "\"not finished within shutdown.timeout\"");
		assignment->lost = true;
	}
	if (wait_landed(pipeline, 1000))
		return;
	assignment->lost = true;
	for (int64_t until_ms = clock_mono_ms() + STUCK_MS; clock_mono_ms() < until_ms;) {
		for (unsigned i = 0; i < pipeline->lane_count; i++)
			pg_interrupt(pipeline->lanes[i].pg); /* it waits for PostgreSQL, in vain; a reconnect would forget that */
		if (wait_landed(pipeline, 1000))
			return;
	}
	pipeline_stuck("a batch can't be dropped");
}

static void store_last_published(struct lane *lane, int64_t until_ms)
{
	int64_t left_ms = until_ms - clock_mono_ms();

	if (left_ms <= 0)
		return;
	pthread_mutex_lock(&lane->turn);
	pg_limit(lane->pg, left_ms);
	store_published(lane);
	pg_limit(lane->pg, 0);
	pthread_mutex_unlock(&lane->turn);
}

/* A batch that is being filled still needs it, so it is freed later. */
void rebalance_retire(struct pipeline *pipeline, bool lost)
{
	enum { LAST_MS = 2000 }; /* it can be left undone */
	struct assignment *assignment = pipeline->assignment;

	if (assignment == NULL)
		return;
	FAILPOINT_REACH(revoke_begun);
	drain(pipeline, lost);
	FAILPOINT_REACH(revoke_drained);
	int64_t until_ms = clock_mono_ms() + LAST_MS;
	for (unsigned i = 0; !assignment->lost && i < pipeline->lane_count; i++)
		store_last_published(&pipeline->lanes[i], until_ms);
	set_assignment(pipeline, NULL);
	pipeline->retired = assignment;
	FAILPOINT_REACH(revoke_done);
}

void rebalance_assigned(void *context, const int32_t *partitions, uint32_t count)
{
	struct pipeline *pipeline = context;

	free(pipeline->given);
	pipeline->given = xcalloc(count, sizeof(*pipeline->given));
	if (count > 0)
		memcpy(pipeline->given, partitions, sizeof(*partitions) * count);
	pipeline->given_count = count;
	pipeline->is_given = count > 0;
	pipeline->start_attempts = 0;
	pipeline->start_at_ms = 0;
	observe_given(pipeline, count);
	log_event(LOG_INFO, "partitions_assigned", "count=%" PRIu32, count);
	FAILPOINT_REACH(assign_given);
}

void rebalance_revoked(void *context, bool lost)
{
	struct pipeline *pipeline = context;

	log_event(lost ? LOG_WARN : LOG_INFO, "partitions_revoked", "lost=%s", lost ? "true" : "false");
	pipeline->is_given = false;
	observe_revoked(pipeline, lost);
	rebalance_retire(pipeline, lost);
}

bool rebalance_start_given(struct pipeline *pipeline, struct err *err)
{
	enum { BASE_MS = 100, CAP_MS = 5000 };
	struct assignment *assignment;

	if (clock_mono_ms() < pipeline->start_at_ms)
		return true;
	if (assignment_start(pipeline, pipeline->given, pipeline->given_count, &assignment, err)) {
		set_assignment(pipeline, assignment);
		pipeline->is_given = false;
		observe_started(pipeline);
		return true;
	}
	if (!verdict_is_passing(err->verdict))
		return false;
	log_err(pipeline->start_attempts == 0 ? LOG_WARN : LOG_INFO, "start_delayed", err);
	pipeline->start_at_ms = clock_mono_ms() + clock_backoff_ms(pipeline->start_attempts++, BASE_MS, CAP_MS);
	return true;
}
