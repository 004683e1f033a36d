/* `byunique run` as three threads, each straight-line code, that hand whole batches on:
 *
 *     fetching     fetch → decode → validate
 *     storing      recall → plan → apply        (flights.c, storing.c: one PostgreSQL transaction for each batch)
 *     publishing   answer → commit              (publishing.c: a Kafka transaction for the batches that are ready)
 *
 * While PostgreSQL works on a batch, the next one is decoded and the one before is published. A batch has one owner at a
 * time; there are as many batches as the path can hold, so one is always at hand to be filled. */
#include "pipeline.h"

#include "byunique/cli.h"
#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH_BYTES_MAX = 16 * 1024 * 1024 };

/* --- what the threads share --------------------------------------------------------------------------------------------- */

struct catalogue *pipeline_catalogue(struct pipeline *pipeline)
{
	pthread_mutex_lock(&pipeline->catalogue_turn);
	struct catalogue *catalogue = catalogue_hold(pipeline->catalogue);
	pthread_mutex_unlock(&pipeline->catalogue_turn);
	return catalogue;
}

void pipeline_renew_catalogue(struct pipeline *pipeline, struct catalogue *catalogue)
{
	pthread_mutex_lock(&pipeline->catalogue_turn);
	struct catalogue *before = pipeline->catalogue;
	pipeline->catalogue = catalogue;
	pthread_mutex_unlock(&pipeline->catalogue_turn);
	catalogue_drop(before);
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

/* --- storing thread ------------------------------------------------------------------------------------------------------- */

static bool push_stored(struct pipeline *pipeline, struct batch *batch, const struct flights *flights)
{
	enum { SOON_MS = 5 };

	while (!batch->assignment->lost) {
		if (queue_push(&pipeline->stored, batch, flights->count > 0 ? SOON_MS : WAIT_MS))
			return true;
		if (flights->count > 0) /* a transaction of which a part is not written yet holds its locks */
			(void)pg_pipeline_wait(pipeline->pg, 0);
	}
	return false;
}

void pipeline_hand_over(struct pipeline *pipeline, struct batch *batch, bool stored, const struct flights *flights)
{
	if (stored && push_stored(pipeline, batch, flights))
		return;
	batch->assignment->lost = true; /* what follows must not step over it */
	pipeline_land(pipeline, batch);
}

static void *storing_main(void *context)
{
	struct pipeline *pipeline = context;
	struct flights flights = {.count = 0};
	int64_t last_housekeeping_ms = clock_mono_ms();

	for (;;) {
		struct batch *batch = flights_next(pipeline, &flights, store_housekeeping_due(last_housekeeping_ms));
		bool idle = batch == NULL && flights.count == 0;
		if (idle && queue_is_closed(&pipeline->decoded))
			return NULL;
		if (batch != NULL)
			flights_take(pipeline, &flights, batch);
		if (flights.count == PG_TRIPS_MAX || (batch == NULL && flights.count > 0))
			flights_land(pipeline, &flights);
		if (flights.count == 0)
			store_housekeeping(pipeline, idle, &last_housekeeping_ms);
	}
}

/* --- fetching thread: the main one ---------------------------------------------------------------------------------------------- */

static void observe(struct pipeline *pipeline)
{
	observe_beat(pipeline);
	observe_partitions(pipeline);
}

/* What is done now and then. */
static void now_and_then(struct pipeline *pipeline)
{
	observe(pipeline);
	vouch_meanwhile(pipeline);
	reload_if_asked(pipeline);
}

/* Asked every millisecond at most. While the storing thread is busy a batch may take long to fill, so observing goes on from
 * here. */
static bool is_wanted(void *context)
{
	enum { OBSERVE_EVERY = 64 };
	struct pipeline *pipeline = context;

	if (pipeline->looks++ % OBSERVE_EVERY == 0)
		observe(pipeline);
	return queue_is_wanted(&pipeline->decoded) || pipeline->retired != NULL || signals_stop_requested();
}

static bool is_always_wanted(void *context)
{
	(void)context;
	return true;
}

static void drop_aside(struct pipeline *pipeline)
{
	if (pipeline->aside == NULL)
		return;
	pipeline_recycle(pipeline, pipeline->aside);
	pipeline->aside = NULL;
}

/* What the batch was filled from is gone: so is the batch. */
static bool drop_if_retired(struct pipeline *pipeline, struct batch *batch)
{
	if (pipeline->retired == NULL)
		return false;
	drop_aside(pipeline);
	batch_clear(batch);
	assignment_free(pipeline->retired);
	pipeline->retired = NULL;
	return true;
}

/* So much waits for a schema that nothing more may be read. */
static bool is_crowded(const struct pipeline *pipeline)
{
	const struct batch *aside = pipeline->aside;
	return aside != NULL &&
	       (aside->count >= pipeline->live.batch_max_commands || aside->bytes >= BATCH_BYTES_MAX);
}

static bool fill(struct pipeline *pipeline, struct batch *batch, struct err *err)
{
	static struct assignment none; /* nothing is fetched, but the group is served */
	struct fetch_limits limits = {.max_commands = (uint32_t)pipeline->live.batch_max_commands,
				      .max_bytes = BATCH_BYTES_MAX,
				      .wait_ms = WAIT_MS,
				      .wanted = is_wanted,
				      .context = pipeline};

	int64_t at_us = clock_mono_us();
	batch_reserve(batch, limits.max_commands + BATCH_ROOM);
	batch->assignment = pipeline->assignment;
	if (is_crowded(pipeline) && !consumer_pause(pipeline->consumer, true, err))
		return false;
	bool ok = fetch_batch(pipeline->consumer, batch->assignment ? batch->assignment : &none, &limits, batch, err);
	if (batch->count > 0)
		metrics_stage(pipeline->metrics, STAGE_FETCH, &at_us);
	return ok;
}

/* Partitions that await a schema are not fetched, all others are. */
static bool hold_awaiting(struct pipeline *pipeline, const struct assignment *assignment, struct err *err)
{
	for (uint32_t i = 0; i < assignment->count; i++)
		if (!consumer_hold(pipeline->consumer, assignment->partitions[i].number, assignment->partitions[i].awaits,
				   err))
			return false;
	return true;
}

static void set_aside(struct pipeline *pipeline, struct batch *batch, const struct err *trouble)
{
	enum { LOG_REPEATS_MS = 10000 };

	if (!schemas_due(pipeline->reading) && log_limit(&pipeline->awaited_log_ms, LOG_REPEATS_MS))
		log_err(LOG_WARN, "schema_awaited", trouble);
	while (pipeline->aside == NULL)
		pipeline->aside = queue_pop(&pipeline->idle, WAIT_MS);
	batch_set_aside(batch, pipeline->aside);
	if (batch->count == 0)
		batch_clear(batch);
}

/* Decoded and validated, all that is left in the batch. */
static bool prepare(struct pipeline *pipeline, struct batch *batch, struct err *err)
{
	const struct assignment *assignment = batch->assignment;
	int64_t at_us = clock_mono_us();
	struct message_limits limits = message_limits(pipeline->config);
	struct err trouble;

	if (!decode_batch(batch, pipeline->reading, &limits, &trouble))
		set_aside(pipeline, batch, &trouble);
	if (batch->count > 0) {
		struct catalogue *catalogue = pipeline_catalogue(pipeline);
		validate_batch(batch, catalogue);
		catalogue_drop(catalogue);
	}
	metrics_stage(pipeline->metrics, STAGE_DECODE, &at_us);
	return hold_awaiting(pipeline, assignment, err);
}

/* The storing thread is busy for long: fetching pauses, but the group has to be served. */
static bool serve_group(struct pipeline *pipeline, struct batch *batch, struct err *err)
{
	struct fetch_limits limits = {.max_commands = batch->capacity, .max_bytes = SIZE_MAX, .wanted = is_always_wanted};
	uint32_t before = batch->count;

	if (!consumer_pause(pipeline->consumer, true, err) ||
	    !fetch_batch(pipeline->consumer, batch->assignment, &limits, batch, err))
		return false;
	return batch->count == before || pipeline->retired != NULL ||
	       (vouch_for_fetched(pipeline, err) && prepare(pipeline, batch, err));
}

/* The batch is the storing thread's as soon as that wants it. Until then the next one is not begun: that would take memory, and be
 * ready no sooner than it is needed. */
static void offer(struct pipeline *pipeline, struct batch *batch)
{
	pipeline_count_flight(pipeline, 1); /* before anybody can land it */
	while (!queue_push(&pipeline->decoded, batch, WAIT_MS))
		; /* the one before is about to be taken */
}

/* False: it has been taken. */
static bool withdraw(struct pipeline *pipeline, struct batch *batch)
{
	if (!queue_take_back(&pipeline->decoded, batch))
		return false;
	pipeline_count_flight(pipeline, -1);
	return true;
}

static bool is_over(struct pipeline *pipeline)
{
	return signals_stop_requested() || pipeline_has_failed(pipeline);
}

/* False: nobody has wanted it for a while, or the session is over, and the fetching thread has it again. */
static bool is_taken(struct pipeline *pipeline, struct batch *batch, int waits)
{
	for (; waits > 0 && !is_over(pipeline); waits--) {
		if (queue_await_taken(&pipeline->decoded, batch, WAIT_MS))
			return true;
		now_and_then(pipeline);
	}
	return !withdraw(pipeline, batch);
}

/* False with *err, or the batch is the storing thread's, or gone, or the session is over and nobody wants it: *batch is
 * NULL unless the fetching thread still has it. */
static bool hand_on(struct pipeline *pipeline, struct batch **batch, struct err *err)
{
	enum { PATIENCE = 10 };

	for (int waits = PATIENCE; !is_over(pipeline); waits = 1) {
		now_and_then(pipeline);
		offer(pipeline, *batch);
		if (is_taken(pipeline, *batch, waits)) {
			*batch = NULL;
			return consumer_pause(pipeline->consumer, is_crowded(pipeline), err);
		}
		if (!is_over(pipeline) && !serve_group(pipeline, *batch, err))
			return false;
		if (drop_if_retired(pipeline, *batch))
			return true;
	}
	return true;
}

/* What was set aside comes first, when it is time to ask for its schemas again. */
static struct batch *next_batch(struct pipeline *pipeline, struct batch *empty)
{
	if (pipeline->aside == NULL || !schemas_due(pipeline->reading))
		return empty != NULL ? empty : queue_pop(&pipeline->idle, WAIT_MS);
	if (empty != NULL)
		queue_give_back(&pipeline->idle, empty);
	struct batch *batch = pipeline->aside;
	pipeline->aside = NULL;
	for (uint32_t i = 0; i < batch->assignment->count; i++)
		batch->assignment->partitions[i].awaits = false;
	return batch;
}

static bool fetch_one(struct pipeline *pipeline, struct batch **batch, struct err *err)
{
	if (pipeline->is_given && !rebalance_start_given(pipeline, err))
		return false;
	*batch = next_batch(pipeline, *batch);
	if (*batch == NULL)
		return true;
	bool ok = fill(pipeline, *batch, err);
	if (drop_if_retired(pipeline, *batch) || (*batch)->count == 0)
		return ok;
	if (!ok || !vouch_for_fetched(pipeline, err) || !FAILPOINT_PASS(fetch_filled, err))
		return false;
	if (!prepare(pipeline, *batch, err))
		return false;
	return (*batch)->count == 0 || (FAILPOINT_PASS(fetch_prepared, err) && hand_on(pipeline, batch, err));
}

static bool fetch_until_stopped(struct pipeline *pipeline, struct err *err)
{
	struct batch *batch = NULL;
	bool ok = true;

	while (ok && !is_over(pipeline)) {
		now_and_then(pipeline);
		ok = fetch_one(pipeline, &batch, err);
	}
	drop_aside(pipeline);
	if (batch != NULL)
		pipeline_recycle(pipeline, batch);
	if (ok && pipeline_has_failed(pipeline)) {
		*err = pipeline->failure;
		ok = false;
	}
	return ok;
}

/* --- the three of them ------------------------------------------------------------------------------------------------- */

static void join_or_end(pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STUCK_MS / 1000;
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0)
		return;
	pipeline_stuck("a thread does not end");
}

bool pipeline_run_threads(struct pipeline *pipeline, struct err *err)
{
	pthread_t storing, publishing;

	queue_init(&pipeline->decoded, 1);
	queue_init(&pipeline->stored, stored_batches(pipeline->config));
	if (pthread_create(&storing, NULL, storing_main, pipeline) != 0 ||
	    pthread_create(&publishing, NULL, publishing_main, pipeline) != 0)
		die("can't create a thread");
	bool ok = fetch_until_stopped(pipeline, err);
	if (!ok && pipeline->assignment != NULL)
		pipeline->assignment->lost = true;
	if (signals_stop_requested())
		notify_say(&pipeline->notify, "STOPPING=1");
	rebalance_retire(pipeline, !ok);
	queue_close(&pipeline->decoded);
	join_or_end(storing);
	queue_close(&pipeline->stored);
	join_or_end(publishing);
	queue_destroy(&pipeline->decoded);
	queue_destroy(&pipeline->stored);
	return ok;
}
