/* PostgreSQL is where the time goes, so it never waits for the worker: while it is at one batch, the next full one is planned
 * and sent. One that is not full yet had better grow meanwhile. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"

struct batch *flights_next(struct pipeline *pipeline, const struct flights *flights, bool stop)
{
	enum { IDLE_MS = 1000, LOOK_MS = 2 };
	int64_t until_ms = clock_mono_ms() + IDLE_MS; /* then it is received, which has a deadline and heeds interrupts */

	if (flights->count == 0)
		return queue_pop(&pipeline->decoded, IDLE_MS);
	while (!stop && !pg_pipeline_wait(pipeline->pg, 0) && clock_mono_ms() < until_ms) {
		struct batch *batch = queue_take(&pipeline->decoded);
		if (batch != NULL || pg_pipeline_wait(pipeline->pg, LOOK_MS))
			return batch;
	}
	return NULL;
}

static void pop(struct pipeline *pipeline, struct flights *flights)
{
	for (unsigned i = 1; i < flights->count; i++)
		flights->list[i - 1] = flights->list[i];
	if (--flights->count == 0)
		pthread_mutex_unlock(&pipeline->pg_turn);
}

static bool receive(struct pipeline *pipeline, struct flights *flights, bool *in_doubt, struct err *err)
{
	bool ok = ahead_receive(pipeline->store, &flights->list[0], in_doubt, err);

	if (ok)
		histogram_add(pipeline->metrics->batch_commands, flights->list[0].span.end, 1);
	metrics_stage(pipeline->metrics, STAGE_APPLY, &flights->at_us);
	pop(pipeline, flights);
	return ok;
}

/* Of those behind a flight that failed, one may have been stored all the same, if the failure was at COMMIT and it is of
 * other partitions. */
void flights_land(struct pipeline *pipeline, struct flights *flights)
{
	struct batch *batches[PG_TRIPS_MAX];
	bool stored[PG_TRIPS_MAX], in_doubt, ignored_doubt;
	unsigned count = 0;
	struct err err, ignored;

	batches[count] = flights->list[0].span.batch;
	stored[count++] = receive(pipeline, flights, &in_doubt, &err);
	if (!stored[0]) {
		for (; flights->count > 0; count++) {
			batches[count] = flights->list[0].span.batch;
			stored[count] = receive(pipeline, flights, &ignored_doubt, &ignored);
		}
		stored[0] = store_batch(pipeline, batches[0], in_doubt ? NULL : &err);
	}
	pipeline_hand_over(pipeline, batches[0], stored[0], flights);
	for (unsigned i = 1; i < count; i++)
		pipeline_hand_over(pipeline, batches[i], stored[i] || store_batch(pipeline, batches[i], NULL), flights);
}

static bool send(struct pipeline *pipeline, struct flights *flights, struct batch *batch)
{
	const struct flight *before = flights->count > 0 ? &flights->list[flights->count - 1] : NULL;
	struct flight *flight = &flights->list[flights->count];
	int64_t at_us = clock_mono_us();

	if (pipeline->span_most > 0 || batch->assignment->lost || !ahead_plan(batch, before, flight))
		return false;
	FAILPOINT_REACH(store_ahead_planned);
	metrics_stage(pipeline->metrics, STAGE_RECALL, &at_us);
	if (before == NULL) {
		pthread_mutex_lock(&pipeline->pg_turn);
		flights->at_us = at_us;
	}
	ahead_send(pipeline->store, flight);
	if (flights->count++ > 0)
		FAILPOINT_REACH(store_ahead_behind);
	return true;
}

void flights_take(struct pipeline *pipeline, struct flights *flights, struct batch *batch)
{
	if (send(pipeline, flights, batch))
		return;
	while (flights->count > 0)
		flights_land(pipeline, flights);
	pipeline_hand_over(pipeline, batch, store_batch(pipeline, batch, NULL), flights);
}
