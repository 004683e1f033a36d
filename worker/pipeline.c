/* `byunique run` as three threads, each straight-line code, that hand whole batches on:
 *
 *     fetching     fetch → decode → validate
 *     storing      recall → plan → apply        (storing.c: one PostgreSQL transaction for each batch)
 *     publishing   answer → commit              (one Kafka transaction for all batches that are ready)
 *
 * While PostgreSQL works on a batch, the next one is decoded and the one before is published. A batch has one owner at a
 * time; there are as many batches as the path can hold, so one is always at hand to be filled.
 *
 * A session is one membership of the consumer group with one transactional producer. What can't be mended inside of it
 * (fenced, a Kafka transaction of unknown fate) ends it: all batches are dropped, and a new session reads again from what
 * Kafka and PostgreSQL have committed. Nothing is lost by dropping: outcomes are stored, positions are known. */
#include "pipeline.h"

#include "byunique/cli.h"
#include "byunique/clock.h"
#include "byunique/kafka.h"
#include "byunique/log.h"
#include "byunique/pipeline.h"
#include "byunique/signals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	DECODED_BATCHES = 1,
	STORED_BATCHES = 2,
	BATCHES = 3 + DECODED_BATCHES - 1 + 2 * STORED_BATCHES, /* one being filled, one being stored, a set being published */
	BATCH_BYTES_MAX = 16 * 1024 * 1024,
	WAIT_MS = 100,		/* for anything; so often the signals are looked at */
	STUCK_MS = 180000,	/* a Kafka transaction that takes longer is given up, and the process with it */
	LAST_CHANCE_MS = 10000, /* for batches that were told to be dropped */
};

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

static bool has_failed(struct pipeline *pipeline)
{
	pthread_mutex_lock(&pipeline->flight_turn);
	bool failed = pipeline->failed;
	pthread_mutex_unlock(&pipeline->flight_turn);
	return failed;
}

void pipeline_pause(const struct batch *batch, int64_t pause_ms)
{
	int64_t until_ms = clock_mono_ms() + pause_ms, left_ms;

	while ((left_ms = until_ms - clock_mono_ms()) > 0 && !batch->assignment->lost)
		clock_sleep_ms(left_ms < WAIT_MS ? left_ms : WAIT_MS);
}

static void count_flight(struct pipeline *pipeline, int more)
{
	pthread_mutex_lock(&pipeline->flight_turn);
	pipeline->in_flight += more;
	pthread_mutex_unlock(&pipeline->flight_turn);
}

/* The batch is done, one way or the other: to be filled again. */
static void land(struct pipeline *pipeline, struct batch *batch)
{
	batch_clear(batch);
	ASSERT(queue_push(&pipeline->idle, batch, 0));
	count_flight(pipeline, -1);
}

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
		clock_sleep_ms(LOOK_MS);
	}
}

/* --- storing thread ------------------------------------------------------------------------------------------------------- */

static bool push_stored(struct pipeline *pipeline, struct batch *batch)
{
	while (!batch->assignment->lost)
		if (queue_push(&pipeline->stored, batch, WAIT_MS))
			return true;
	return false;
}

static void *storing_main(void *context)
{
	struct pipeline *pipeline = context;
	int64_t last_housekeeping_ms = clock_mono_ms();

	for (;;) {
		struct batch *batch = queue_pop(&pipeline->decoded, 1000);
		if (batch == NULL && queue_is_closed(&pipeline->decoded))
			return NULL;
		if (batch != NULL && !(store_batch(pipeline, batch) && push_stored(pipeline, batch)))
			land(pipeline, batch);
		store_housekeeping(pipeline, batch == NULL, &last_housekeeping_ms);
	}
}

/* --- publishing thread ---------------------------------------------------------------------------------------------------- */

static bool publish(struct pipeline *pipeline, struct batch *batches)
{
	struct err err;

	if (batches->assignment->lost)
		return false;
	for (struct batch *batch = batches; batch != NULL; batch = batch->next)
		answer_batch(batch, pipeline->config->commands_topic, pipeline->writing, pipeline->most_bytes);
	pipeline->publishing = true;
	bool ok = commit_batches(pipeline->producer, batches, &err);
	pipeline->publishing = false;
	return ok || pipeline_fail(pipeline, &err);
}

static void *publishing_main(void *context)
{
	struct pipeline *pipeline = context;

	for (;;) {
		struct batch *batches = queue_pop_all(&pipeline->stored, 1000), *next;
		if (batches == NULL && queue_is_closed(&pipeline->stored))
			return NULL;
		if (batches != NULL && !publish(pipeline, batches))
			batches->assignment->lost = true; /* what follows must not overtake what failed */
		for (struct batch *batch = batches; batch != NULL; batch = next) {
			next = batch->next;
			land(pipeline, batch);
		}
	}
}

/* --- rebalances, on the fetching thread -------------------------------------------------------------------------------------- */

static void set_assignment(struct pipeline *pipeline, struct assignment *assignment)
{
	pthread_mutex_lock(&pipeline->pg_turn);
	pipeline->assignment = assignment;
	pthread_mutex_unlock(&pipeline->pg_turn);
}

/* Batches in hand may finish within the time that is given; then they are dropped. */
static void drain(struct pipeline *pipeline, bool lost)
{
	struct assignment *assignment = pipeline->assignment;

	if (lost)
		assignment->lost = true;
	if (!lost && !has_failed(pipeline) && !wait_landed(pipeline, pipeline->config->shutdown_timeout)) {
		log_event(LOG_WARN, "batches_given_back", "reason=%s", "\"not finished within shutdown.timeout\"");
		assignment->lost = true;
	}
	if (wait_landed(pipeline, 1000))
		return;
	assignment->lost = true;
	pg_interrupt(pipeline->pg); /* it waits for PostgreSQL, in vain */
	wait_landed(pipeline, LAST_CHANCE_MS);
}

/* A batch that is being filled still needs it, so it is freed later. */
static void retire(struct pipeline *pipeline, bool lost)
{
	struct assignment *assignment = pipeline->assignment;

	if (assignment == NULL)
		return;
	drain(pipeline, lost);
	pthread_mutex_lock(&pipeline->pg_turn);
	if (!assignment->lost)
		store_published(pipeline);
	pipeline->assignment = NULL;
	pthread_mutex_unlock(&pipeline->pg_turn);
	pipeline->retired = assignment;
}

static void on_assigned(void *context, const int32_t *partitions, uint32_t count)
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
	log_event(LOG_INFO, "partitions_assigned", "count=%" PRIu32, count);
}

static void on_revoked(void *context, bool lost)
{
	struct pipeline *pipeline = context;

	log_event(lost ? LOG_WARN : LOG_INFO, "partitions_revoked", "lost=%s", lost ? "true" : "false");
	pipeline->is_given = false;
	retire(pipeline, lost);
}

/* Passes by itself: the group is served meanwhile. */
static bool is_passing(enum verdict verdict)
{
	return verdict == VERDICT_RETRY || verdict == VERDICT_RECONNECT || verdict == VERDICT_PAUSE ||
	       verdict == VERDICT_HALVE || verdict == VERDICT_PREPARE;
}

static bool start_given(struct pipeline *pipeline, struct err *err)
{
	enum { BASE_MS = 100, CAP_MS = 5000, ATTEMPTS_TO_LOG = 1 };
	struct assignment *assignment;

	if (clock_mono_ms() < pipeline->start_at_ms)
		return true;
	if (assignment_start(pipeline, pipeline->given, pipeline->given_count, &assignment, err)) {
		set_assignment(pipeline, assignment);
		pipeline->is_given = false;
		return true;
	}
	if (!is_passing(err->verdict))
		return false;
	log_err(pipeline->start_attempts == 0 ? LOG_WARN : LOG_INFO, "start_delayed", err);
	pipeline->start_at_ms = clock_mono_ms() + clock_backoff_ms(pipeline->start_attempts++, BASE_MS, CAP_MS);
	return true;
}

/* --- fetching thread: the main one ---------------------------------------------------------------------------------------------- */

static bool is_wanted(void *context)
{
	struct pipeline *pipeline = context;
	return queue_is_wanted(&pipeline->decoded) || pipeline->retired != NULL || signals_stop_requested();
}

static bool is_always_wanted(void *context)
{
	(void)context;
	return true;
}

/* What the batch was filled from is gone: so is the batch. */
static bool drop_if_retired(struct pipeline *pipeline, struct batch *batch)
{
	if (pipeline->retired == NULL)
		return false;
	batch_clear(batch);
	assignment_free(pipeline->retired);
	pipeline->retired = NULL;
	return true;
}

static bool fill(struct pipeline *pipeline, struct batch *batch, struct err *err)
{
	static struct assignment none; /* nothing is fetched, but the group is served */
	struct fetch_limits limits = {.max_commands = (uint32_t)pipeline->config->batch_max_commands,
				      .max_bytes = BATCH_BYTES_MAX,
				      .wait_ms = WAIT_MS,
				      .wanted = is_wanted,
				      .context = pipeline};

	batch->assignment = pipeline->assignment;
	return fetch_batch(pipeline->consumer, batch->assignment ? batch->assignment : &none, &limits, batch, err);
}

/* A batch that is not decoded when the worker is told to stop is not handed on. */
static void prepare(struct pipeline *pipeline, struct batch *batch)
{
	struct catalogue *catalogue = pipeline_catalogue(pipeline);
	struct err err;

	while (!decode_batch(batch, pipeline->reading, &err) && !signals_stop_requested()) {
		log_err(LOG_WARN, "schema_awaited", &err);
		clock_sleep_ms(WAIT_MS);
	}
	validate_batch(batch, catalogue);
	catalogue_drop(catalogue);
}

/* The storing thread is busy for long: fetching pauses, but the group has to be served. */
static bool serve_group(struct pipeline *pipeline, struct batch *batch, struct err *err)
{
	struct fetch_limits limits = {.max_commands = batch->capacity, .max_bytes = SIZE_MAX, .wanted = is_always_wanted};
	uint32_t before = batch->count;

	if (!consumer_pause(pipeline->consumer, true, err) ||
	    !fetch_batch(pipeline->consumer, batch->assignment, &limits, batch, err))
		return false;
	if (batch->count > before && pipeline->retired == NULL)
		prepare(pipeline, batch);
	return true;
}

static bool push_decoded(struct pipeline *pipeline, struct batch *batch)
{
	count_flight(pipeline, 1); /* before anybody can land it */
	if (queue_push(&pipeline->decoded, batch, WAIT_MS))
		return true;
	count_flight(pipeline, -1);
	return false;
}

/* False with *err, or the batch is the storing thread's, or gone, or the session is over and nobody wants it: *batch is
 * NULL unless the fetching thread still has it. */
static bool hand_on(struct pipeline *pipeline, struct batch **batch, struct err *err)
{
	enum { PATIENCE = 10 };

	for (int waits = 0; !signals_stop_requested() && !has_failed(pipeline); waits++) {
		if (push_decoded(pipeline, *batch)) {
			*batch = NULL;
			return consumer_pause(pipeline->consumer, false, err);
		}
		if (waits >= PATIENCE && !serve_group(pipeline, *batch, err))
			return false;
		if (drop_if_retired(pipeline, *batch))
			return true;
	}
	return true;
}

static bool fetch_one(struct pipeline *pipeline, struct batch **batch, struct err *err)
{
	if (pipeline->is_given && !start_given(pipeline, err))
		return false;
	if (*batch == NULL)
		*batch = queue_pop(&pipeline->idle, WAIT_MS);
	if (*batch == NULL)
		return true;
	bool ok = fill(pipeline, *batch, err);
	if (drop_if_retired(pipeline, *batch) || (*batch)->count == 0)
		return ok;
	if (!ok)
		return false;
	prepare(pipeline, *batch);
	return hand_on(pipeline, batch, err);
}

/* A Kafka call that never returns leaves nothing but to end the process. Time is counted in steps of this loop, so that a
 * process that was frozen does not look stuck. */
static void watch(struct pipeline *pipeline, int64_t *last_ms, int64_t *publishing_ms)
{
	int64_t now_ms = clock_mono_ms(), step_ms = now_ms - *last_ms;
	enum { STEP_MS = 2 * WAIT_MS };

	*publishing_ms = pipeline->publishing ? *publishing_ms + (step_ms < STEP_MS ? step_ms : STEP_MS) : 0;
	*last_ms = now_ms;
	if (*publishing_ms < STUCK_MS)
		return;
	log_event(LOG_ERROR, "stuck", "what=%s", "\"a Kafka transaction does not end\"");
	_exit(EXIT_STUCK);
}

static bool fetch_until_stopped(struct pipeline *pipeline, struct err *err)
{
	struct batch *batch = NULL;
	int64_t last_ms = clock_mono_ms(), publishing_ms = 0;
	bool ok = true;

	while (ok && !signals_stop_requested() && !has_failed(pipeline)) {
		watch(pipeline, &last_ms, &publishing_ms);
		ok = fetch_one(pipeline, &batch, err);
	}
	if (batch != NULL) {
		batch_clear(batch);
		ASSERT(queue_push(&pipeline->idle, batch, 0));
	}
	if (ok && has_failed(pipeline)) {
		*err = pipeline->failure;
		ok = false;
	}
	return ok;
}

/* --- a session --------------------------------------------------------------------------------------------------------------------- */

/* The transactional id is this worker's as long as its database session lives. */
static bool take_slot(struct pipeline *pipeline, struct err *err)
{
	if (!database_take(pipeline, err))
		return false;
	slot_release(&pipeline->slot);
	bool ok = slot_take(pipeline->pg, config_kafka(pipeline->config, "group.id"), &pipeline->slot, err);
	database_give(pipeline);
	return ok;
}

/* The producer comes first: it ends what a predecessor left open, so that the group's offsets are settled. */
static bool open_clients(struct pipeline *pipeline, struct err *err)
{
	struct rebalance_listener listener = {on_assigned, on_revoked, pipeline};

	return producer_open(&pipeline->producer, pipeline->config, pipeline->slot.transactional_id, err) &&
	       consumer_open(&pipeline->consumer, pipeline->config, listener, err);
}

/* consumer_close() leaves the group, with a last on_revoked(). */
static void close_clients(struct pipeline *pipeline)
{
	consumer_close(pipeline->consumer);
	pipeline->consumer = NULL;
	assignment_free(pipeline->retired);
	pipeline->retired = NULL;
	pipeline->is_given = false;
	producer_close(pipeline->producer);
	pipeline->producer = NULL;
}

static void join_or_end(struct pipeline *pipeline, pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STUCK_MS / 1000;
	if (pthread_timedjoin_np(thread, NULL, &until) == 0)
		return;
	log_event(LOG_ERROR, "stuck", "what=%s publishing=%s", "\"a thread does not end\"",
		  pipeline->publishing ? "true" : "false");
	_exit(EXIT_STUCK);
}

static bool run_threads(struct pipeline *pipeline, struct err *err)
{
	pthread_t storing, publishing;

	queue_init(&pipeline->decoded, DECODED_BATCHES);
	queue_init(&pipeline->stored, STORED_BATCHES);
	if (pthread_create(&storing, NULL, storing_main, pipeline) != 0 ||
	    pthread_create(&publishing, NULL, publishing_main, pipeline) != 0)
		die("can't create a thread");
	bool ok = fetch_until_stopped(pipeline, err);
	if (!ok && pipeline->assignment != NULL)
		pipeline->assignment->lost = true;
	retire(pipeline, !ok);
	queue_close(&pipeline->decoded);
	join_or_end(pipeline, storing);
	queue_close(&pipeline->stored);
	join_or_end(pipeline, publishing);
	queue_destroy(&pipeline->decoded);
	queue_destroy(&pipeline->stored);
	return ok;
}

/* A message that no topic takes would hold its partition up for ever: cut large ones down until they pass. */
static void heed_size(struct pipeline *pipeline, const struct err *err)
{
	enum { FIRST_BYTES = 1000000, LEAST_BYTES = 16384 };

	if (!kafka_is_too_large(err))
		return;
	if (pipeline->most_bytes > FIRST_BYTES)
		pipeline->most_bytes = FIRST_BYTES;
	else if (pipeline->most_bytes > LEAST_BYTES)
		pipeline->most_bytes /= 2;
	log_event(LOG_WARN, "messages_bounded", "most_bytes=%zu reason=%s", pipeline->most_bytes,
		  "\"the broker finds a result or a dead letter too large\"");
}

static bool run_session(struct pipeline *pipeline, struct err *err)
{
	pipeline->failed = false;
	bool ok = take_slot(pipeline, err) && open_clients(pipeline, err);
	if (ok) {
		producer_bound(pipeline->producer, pipeline->most_bytes);
		log_event(LOG_INFO, "session_started", "transactional_id=%s", log_quotes(pipeline->slot.transactional_id));
		ok = run_threads(pipeline, err);
	}
	close_clients(pipeline);
	if (!ok)
		heed_size(pipeline, err);
	return ok;
}

/* --- from start to end --------------------------------------------------------------------------------------------------------------- */

static void wait_unless_stopped(int64_t pause_ms)
{
	for (; pause_ms > 0 && !signals_stop_requested(); pause_ms -= WAIT_MS)
		clock_sleep_ms(pause_ms < WAIT_MS ? pause_ms : WAIT_MS);
}

/* Again and again until it works, fails for good, or the worker is told to stop. A try that lasted counts as a success. */
static bool persist(struct pipeline *pipeline, bool (*try)(struct pipeline *, struct err *), const char *event,
		    struct err *err)
{
	enum { BASE_MS = 200, CAP_MS = 10000, LASTED_MS = 60000 };

	for (unsigned attempt = 0; !signals_stop_requested(); attempt++) {
		int64_t begun_ms = clock_mono_ms();
		if (try(pipeline, err))
			return true;
		if (!is_passing(err->verdict) && err->verdict != VERDICT_REJOIN)
			return false;
		log_err(LOG_WARN, event, err);
		if (clock_mono_ms() - begun_ms > LASTED_MS)
			attempt = 0;
		wait_unless_stopped(clock_backoff_ms(attempt, BASE_MS, CAP_MS));
	}
	return true;
}

static bool connect_database(struct pipeline *pipeline, struct err *err)
{
	const struct config *config = pipeline->config;
	bool ok = pg_open(&pipeline->pg, config->postgres, config->postgres_schema, "byunique", err);

	ok = ok && pg_worker_session(pipeline->pg, err) && pg_check_version(pipeline->pg, err) &&
	     pg_load_catalogue(pipeline->pg, &pipeline->catalogue, err);
	if (!ok) {
		pg_close(pipeline->pg);
		pipeline->pg = NULL;
	}
	return ok;
}

static bool open_schemas(struct pipeline *pipeline, struct err *err)
{
	const char *dir = pipeline->config->schemas_dir;
	bool required = pipeline->config->schemas_dir_is_set;

	return schemas_open(&pipeline->reading, dir, required, err) && schemas_open(&pipeline->writing, NULL, false, err);
}

static void set_up(struct pipeline *pipeline, const struct config *config)
{
	enum { ROOM = 64 }; /* beyond a full batch, for what comes in spite of a pause */

	*pipeline = (struct pipeline){.config = config, .most_bytes = SIZE_MAX};
	pthread_mutex_init(&pipeline->pg_turn, NULL);
	pthread_mutex_init(&pipeline->catalogue_turn, NULL);
	pthread_mutex_init(&pipeline->flight_turn, NULL);
	queue_init(&pipeline->idle, BATCHES);
	for (int i = 0; i < BATCHES; i++)
		ASSERT(queue_push(&pipeline->idle, batch_new((uint32_t)config->batch_max_commands + ROOM), 0));
}

static void tear_down(struct pipeline *pipeline)
{
	struct batch *batch;

	while ((batch = queue_pop(&pipeline->idle, 0)) != NULL)
		batch_free(batch);
	queue_destroy(&pipeline->idle);
	store_free(pipeline->store);
	pg_close(pipeline->pg);
	slot_release(&pipeline->slot);
	catalogue_drop(pipeline->catalogue);
	schemas_close(pipeline->reading);
	schemas_close(pipeline->writing);
	free(pipeline->cluster_id);
	free(pipeline->given);
	pthread_mutex_destroy(&pipeline->pg_turn);
	pthread_mutex_destroy(&pipeline->catalogue_turn);
	pthread_mutex_destroy(&pipeline->flight_turn);
}

static int exit_code_of(const struct err *err)
{
	switch (err->verdict) {
	case VERDICT_USAGE: return EXIT_USAGE;
	case VERDICT_STOP: return EXIT_FAILED;
	default: return EXIT_STUCK;
	}
}

int pipeline_run(const struct config *config)
{
	struct pipeline pipeline;
	struct err err;

	set_up(&pipeline, config);
	log_event(LOG_INFO, "starting", "version=%s commands_topic=%s group=%s", VERSION,
		  log_quotes(config->commands_topic), log_quotes(config_kafka(config, "group.id")));
	bool ok = open_schemas(&pipeline, &err) && persist(&pipeline, connect_database, "postgres_away", &err);
	if (ok && pipeline.pg != NULL) {
		pipeline.store = store_new(pipeline.pg, config->idempotency_retention, config->outcome_retention);
		ok = persist(&pipeline, run_session, "session_ended", &err);
	}
	if (!ok)
		log_err(LOG_ERROR, "stopped", &err);
	else
		log_event(LOG_INFO, "stopped", "reason=%s", "\"told to stop\"");
	tear_down(&pipeline);
	return ok ? EXIT_DONE : exit_code_of(&err);
}
