/* PostgreSQL is where the time goes, so it never waits for the worker: while it is at one batch, the next full one is planned
 * and sent. One that is not full yet had better grow meanwhile. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"

struct batch *flights_next(struct lane *lane, const struct flights *flights, bool stop)
{
	enum { IDLE_MS = 1000, LOOK_MS = 2 };
	struct offers *offers = &lane->pipeline->offers;
	int64_t until_ms = clock_mono_ms() + IDLE_MS; /* then it is received, which has a deadline and heeds interrupts */

	if (flights->count == 0)
		return offers_take(offers, lane->number, IDLE_MS);
	while (!stop && !pg_pipeline_wait(lane->pg, 0) && clock_mono_ms() < until_ms) {
		struct batch *batch = offers_take(offers, lane->number, 0);
		if (batch != NULL || pg_pipeline_wait(lane->pg, LOOK_MS))
			return batch;
	}
	return NULL;
}

static void pop(struct lane *lane, struct flights *flights)
{
	for (unsigned i = 1; i < flights->count; i++)
		flights->list[i - 1] = flights->list[i];
	if (--flights->count == 0)
		pthread_mutex_unlock(&lane->turn);
}

static bool receive(struct lane *lane, struct flights *flights, bool *in_doubt, struct err *err)
{
	bool ok = ahead_receive(lane->store, &flights->list[0], in_doubt, err);

	if (ok)
		histogram_add(lane->pipeline->metrics->batch_commands, flights->list[0].span.end, 1);
	metrics_stage(lane->pipeline->metrics, STAGE_APPLY, &flights->at_us);
	pop(lane, flights);
	return ok;
}

/* Of those behind a flight that failed, one may have been stored all the same, if the failure was at COMMIT and it is of
 * other partitions. */
void flights_land(struct lane *lane, struct flights *flights)
{
	struct batch *batches[PG_TRIPS_MAX];
	bool stored[PG_TRIPS_MAX], in_doubt, ignored_doubt;
	unsigned count = 0;
	struct err err, ignored;

	batches[count] = flights->list[0].span.batch;
	stored[count++] = receive(lane, flights, &in_doubt, &err);
	if (!stored[0]) {
		for (; flights->count > 0; count++) {
			batches[count] = flights->list[0].span.batch;
			stored[count] = receive(lane, flights, &ignored_doubt, &ignored);
		}
		stored[0] = store_batch(lane, batches[0], in_doubt ? NULL : &err);
	}
	pipeline_hand_over(lane, batches[0], stored[0], flights);
	for (unsigned i = 1; i < count; i++)
		pipeline_hand_over(lane, batches[i], stored[i] || store_batch(lane, batches[i], NULL), flights);
}

static bool send(struct lane *lane, struct flights *flights, struct batch *batch)
{
	const struct flight *before = flights->count > 0 ? &flights->list[flights->count - 1] : NULL;
	struct flight *flight = &flights->list[flights->count];
	int64_t at_us = clock_mono_us();

	if (lane->span_most > 0 || batch->assignment->lost || !pg_alive(lane->pg) || !ahead_plan(batch, before, flight))
		return false;
	FAILPOINT_REACH(store_ahead_planned);
	metrics_stage(lane->pipeline->metrics, STAGE_RECALL, &at_us);
	if (before == NULL) {
		pthread_mutex_lock(&lane->turn);
		flights->at_us = at_us;
	}
	ahead_send(lane->store, flight);
	if (flights->count++ > 0)
		FAILPOINT_REACH(store_ahead_behind);
	return true;
}

void flights_take(struct lane *lane, struct flights *flights, struct batch *batch)
{
	if (send(lane, flights, batch))
		return;
	while (flights->count > 0)
		flights_land(lane, flights);
	pipeline_hand_over(lane, batch, store_batch(lane, batch, NULL), flights);
}
