/* `byunique run` as threads, each straight-line code, that hand whole batches on:
 *
 *     fetching     fetch → decode → validate    (fetching.c)
 *     storing      recall → plan → apply        (flights.c, storing.c: one PostgreSQL transaction for each batch)
 *     publishing   answer → commit              (publishing.c: a Kafka transaction for the batches that are ready)
 *
 * While PostgreSQL works on a batch, the next one is decoded and the one before is published. There is a storing thread for each
 * lane: a connection to PostgreSQL, which stores some of the partitions. A batch has one owner at a time; there are as many
 * batches as the path can hold, so one is always at hand to be filled. */
#include "pipeline.h"

#include "byunique/cli.h"
#include "byunique/clock.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <unistd.h>

/* --- what the threads share --------------------------------------------------------------------------------------------- */

struct catalogue *pipeline_catalogue(struct pipeline *pipeline)
{
	pthread_mutex_lock(&pipeline->catalogue_turn);
	struct catalogue *catalogue = catalogue_hold(pipeline->catalogue);
	pthread_mutex_unlock(&pipeline->catalogue_turn);
	return catalogue;
}

bool pipeline_renew_catalogue(struct pipeline *pipeline, struct catalogue *catalogue)
{
	pthread_mutex_lock(&pipeline->catalogue_turn);
	struct catalogue *before = pipeline->catalogue;
	bool is_news = catalogue->version != before->version;
	pipeline->catalogue = catalogue;
	pthread_mutex_unlock(&pipeline->catalogue_turn);
	catalogue_drop(before);
	return is_news;
}

bool pipeline_fail(struct pipeline *pipeline, const struct err *err)
{
	pthread_mutex_lock(&pipeline->flight_turn);
	if (!pipeline->failed)
		pipeline->failure = *err;
	pipeline->failed = true;
	pthread_mutex_unlock(&pipeline->flight_turn);
	return false;
}

bool pipeline_has_failed(struct pipeline *pipeline)
{
	pthread_mutex_lock(&pipeline->flight_turn);
	bool failed = pipeline->failed;
	pthread_mutex_unlock(&pipeline->flight_turn);
	return failed;
}

_Noreturn void pipeline_stuck(const char *what)
{
	log_event(LOG_ERROR, "stuck", "what=%s", log_quotes(what));
	_exit(EXIT_STUCK);
}

void pipeline_pause(const struct batch *batch, int64_t pause_ms)
{
	int64_t until_ms = clock_mono_ms() + pause_ms, left_ms;

	while ((left_ms = until_ms - clock_mono_ms()) > 0 && !batch->assignment->lost)
		clock_sleep_ms(left_ms < WAIT_MS ? left_ms : WAIT_MS);
}

void pipeline_count_flight(struct pipeline *pipeline, int more)
{
	pthread_mutex_lock(&pipeline->flight_turn);
	pipeline->in_flight += more;
	pthread_mutex_unlock(&pipeline->flight_turn);
}

void pipeline_recycle(struct pipeline *pipeline, struct batch *batch)
{
	batch_clear(batch);
	queue_give_back(&pipeline->idle, batch);
}

/* The batch is done, one way or the other. */
void pipeline_land(struct pipeline *pipeline, struct batch *batch)
{
	pipeline_recycle(pipeline, batch);
	pipeline_count_flight(pipeline, -1);
}

/* --- storing threads ------------------------------------------------------------------------------------------------------ */

static bool push_stored(struct lane *lane, struct batch *batch, const struct flights *flights)
{
	enum { SOON_MS = 5 };

	while (!batch->assignment->lost) {
		if (queue_push(&lane->pipeline->stored, batch, flights->count > 0 ? SOON_MS : WAIT_MS))
			return true;
		if (flights->count > 0) /* a transaction of which a part is not written yet holds its locks */
			(void)pg_pipeline_wait(lane->pg, 0);
	}
	return false;
}

void pipeline_hand_over(struct lane *lane, struct batch *batch, bool stored, const struct flights *flights)
{
	if (stored && push_stored(lane, batch, flights))
		return;
	batch->assignment->lost = true; /* what follows must not step over it */
	pipeline_land(lane->pipeline, batch);
}

static void *storing_main(void *context)
{
	struct lane *lane = context;
	struct pipeline *pipeline = lane->pipeline;
	struct flights flights = {.count = 0};
	int64_t last_housekeeping_ms = clock_mono_ms();

	for (;;) {
		struct batch *batch = flights_next(lane, &flights, store_housekeeping_due(last_housekeeping_ms));
		bool idle = batch == NULL && flights.count == 0;
		if (idle && offers_are_closed(&pipeline->offers))
			return NULL;
		if (batch != NULL)
			flights_take(lane, &flights, batch);
		if (flights.count == trips_at_once(pipeline) || (batch == NULL && flights.count > 0))
			flights_land(lane, &flights);
		if (flights.count == 0)
			store_housekeeping(lane, idle, &last_housekeeping_ms);
	}
}

/* --- all of them ------------------------------------------------------------------------------------------------------- */

static void join_or_end(pthread_t thread)
{
	struct timespec until = clock_deadline(STUCK_MS);

	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0)
		return;
	pipeline_stuck("a thread does not end");
}

static void start_threads(struct pipeline *pipeline, pthread_t *publishing)
{
	offers_init(&pipeline->offers);
	queue_init(&pipeline->stored, stored_batches(pipeline->config));
	bool ok = pthread_create(publishing, NULL, publishing_main, pipeline) == 0;
	for (unsigned i = 0; ok && i < pipeline->lane_count; i++)
		ok = pthread_create(&pipeline->lanes[i].thread, NULL, storing_main, &pipeline->lanes[i]) == 0;
	if (!ok)
		die("can't create a thread");
}

/* Each ends when there is nothing left to be done. */
static void end_threads(struct pipeline *pipeline, pthread_t publishing)
{
	offers_close(&pipeline->offers);
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		join_or_end(pipeline->lanes[i].thread);
	queue_close(&pipeline->stored);
	join_or_end(publishing);
	offers_destroy(&pipeline->offers);
	queue_destroy(&pipeline->stored);
}

bool pipeline_run_threads(struct pipeline *pipeline, struct err *err)
{
	pthread_t publishing;

	start_threads(pipeline, &publishing);
	bool ok = fetch_until_stopped(pipeline, err);
	if (!ok && pipeline->assignment != NULL)
		pipeline->assignment->lost = true;
	if (signals_stop_requested())
		notify_say(&pipeline->notify, "STOPPING=1");
	rebalance_retire(pipeline, !ok);
	end_threads(pipeline, publishing);
	return ok;
}
