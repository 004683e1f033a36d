/* From start to end: connect, then one session after the other.
 *
 * A session is one membership of the consumer group with one transactional producer. What can't be mended inside of it
 * (fenced, a Kafka transaction of unknown fate) ends it: all batches are dropped, and a new session reads again from what
 * Kafka and PostgreSQL have committed. Nothing is lost by dropping: outcomes are stored, positions are known. */
#include "pipeline.h"

#include "byunique/admin.h"
#include "byunique/cli.h"
#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/log.h"
#include "byunique/pipeline.h"
#include "byunique/secret.h"
#include "byunique/signals.h"
#include "byunique/topic_settings.h"

#include <stdlib.h>

/* --- a session --------------------------------------------------------------------------------------------------------------------- */

/* The transactional id is this worker's as long as its database session lives. */
static bool take_slot(struct pipeline *pipeline, struct err *err)
{
	if (!database_take(&pipeline->lanes[0], err))
		return false;
	slot_release(&pipeline->slot);
	bool ok = slot_take(pipeline_pg(pipeline), config_kafka(pipeline->config, "group.id"), &pipeline->slot, err) &&
		  FAILPOINT_PASS(start_slot_taken, err);
	database_give(&pipeline->lanes[0]);
	return ok;
}

static void tell_weaknesses(struct pipeline *pipeline, const struct topic_settings *settings)
{
	struct weakness weaknesses[WEAKNESSES_MAX];

	for (int role = 0; role < TOPIC_ROLES && !pipeline->weaknesses_told; role++) {
		unsigned count = topic_weaknesses(role, &settings[role], weaknesses);
		for (unsigned i = 0; i < count; i++)
			log_event(weaknesses[i].level, "weak_setting", "of=kafka topic=%s setting=%s value=%s what=%s",
				  log_quotes(topic_of(pipeline->config, role)), weaknesses[i].setting, weaknesses[i].value,
				  log_quotes(weaknesses[i].what));
	}
	pipeline->weaknesses_told = true;
}

/* A broker refused what was within the bounds, and it is not that they were lowered meanwhile. */
static bool is_unexplained(const struct bounds *before, const struct bounds *now)
{
	return now->result_bytes >= before->result_bytes && now->letter_bytes >= before->letter_bytes &&
	       now->reply_bytes >= before->reply_bytes;
}

/* For a broker that doesn't tell its limits, or counts otherwise: less and less until it passes, as a message that no topic
 * takes would hold its partition up for ever. */
static void lower_bounds(struct pipeline *pipeline)
{
	const struct bounds *bounds = &pipeline->bounds;
	size_t bytes = bounds->result_bytes < bounds->letter_bytes ? bounds->result_bytes : bounds->letter_bytes;

	pipeline->most_bytes = bytes / 2 > BOUND_LEAST_BYTES ? bytes / 2 : BOUND_LEAST_BYTES;
	pipeline->bounded_at_ms = clock_mono_ms();
	log_event(LOG_WARN, "messages_bounded", "most_bytes=%zu reason=%s", pipeline->most_bytes,
		  "\"the broker finds a result or a dead letter too large\"");
}

bool pipeline_learn_bounds(struct pipeline *pipeline, struct err *err)
{
	enum { BOUNDED_MS = 600000 };
	struct topic_settings settings[TOPIC_ROLES];
	struct bounds bounds;

	pipeline->bounds_at_ms = clock_mono_ms();
	if (pipeline->bounds_at_ms - pipeline->bounded_at_ms > BOUNDED_MS)
		pipeline->most_bytes = SIZE_MAX; /* what was too large is long gone */
	if (!topic_settings_read(pipeline->config, settings, pipeline->replies, err))
		return false;
	tell_weaknesses(pipeline, settings);
	if (!topic_bounds(pipeline->config, settings, pipeline->replies, pipeline->most_bytes, &bounds, err))
		return false;
	if (pipeline->refused_for_size && is_unexplained(&pipeline->bounds, &bounds)) {
		lower_bounds(pipeline);
		if (!topic_bounds(pipeline->config, settings, pipeline->replies, pipeline->most_bytes, &bounds, err))
			return false;
	}
	pipeline->refused_for_size = false;
	bounds.packed_bytes = producer_packing(pipeline->config);
	bounds.visible_names = pipeline->most_bytes != SIZE_MAX;
	pipeline->bounds = bounds;
	return true;
}

/* The producer comes first: it ends what a predecessor left open, so that the group's offsets are settled. */
static bool open_clients(struct pipeline *pipeline, struct err *err)
{
	struct rebalance_listener listener = {rebalance_assigned, rebalance_revoked, pipeline};

	return pipeline_learn_bounds(pipeline, err) &&
	       producer_open(&pipeline->producer, pipeline->config, pipeline->slot.transactional_id, &pipeline->bounds,
			     pipeline->replies, err) &&
	       FAILPOINT_PASS(start_producer_ready, err) &&
	       consumer_open(&pipeline->consumer, pipeline->config, listener, err) && FAILPOINT_PASS(start_subscribed, err);
}

/* consumer_close() leaves the group, with a last on_revoked(). */
static void close_clients(struct pipeline *pipeline)
{
	pipeline->closing = true;
	FAILPOINT_REACH(stop_leaving);
	consumer_close(pipeline->consumer);
	FAILPOINT_REACH(stop_left);
	pipeline->consumer = NULL;
	metric_set(&pipeline->metrics->group_member, 0);
	assignment_free(pipeline->retired);
	pipeline->retired = NULL;
	pipeline->is_given = false;
	producer_close(pipeline->producer);
	FAILPOINT_REACH(stop_closed);
	pipeline->producer = NULL;
	pipeline->closing = false;
}

static bool run_session(struct pipeline *pipeline, struct err *err)
{
	pipeline->failed = false;
	bool ok = take_slot(pipeline, err);
	if (ok)
		lanes_open_others(pipeline);
	ok = ok && open_clients(pipeline, err);
	if (ok) {
		pipeline->was_let_in = true;
		metric_add(&pipeline->metrics->sessions[0], 1);
		log_event(LOG_INFO, "session_started", "transactional_id=%s", log_quotes(pipeline->slot.transactional_id));
		ok = pipeline_run_threads(pipeline, err);
	}
	close_clients(pipeline);
	pipeline->refused_for_size = !ok && kafka_is_too_large(err) && !replies_are_suspected(pipeline->replies);
	/* A password that was good, and that lies in a file, is being renewed. */
	if (!ok && pipeline->was_let_in && kafka_is_refused_login(err) && config_kafka_files(pipeline->config))
		err->verdict = VERDICT_REJOIN;
	return ok;
}

/* --- from start to end --------------------------------------------------------------------------------------------------------------- */

static void wait_unless_stopped(struct pipeline *pipeline, int64_t pause_ms)
{
	for (; pause_ms > 0 && !signals_stop_requested(); pause_ms -= WAIT_MS) {
		observe_beat(pipeline);
		reload_if_asked(pipeline);
		clock_sleep_ms(pause_ms < WAIT_MS ? pause_ms : WAIT_MS);
	}
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
		if (!verdict_is_passing(err->verdict) && err->verdict != VERDICT_REJOIN)
			return false;
		log_err(LOG_WARN, event, err);
		if (clock_mono_ms() - begun_ms > LASTED_MS)
			attempt = 0;
		wait_unless_stopped(pipeline, clock_backoff_ms(attempt, BASE_MS, CAP_MS));
	}
	return true;
}

static bool connect_database(struct pipeline *pipeline, struct err *err)
{
	const struct config *config = pipeline->config;
	struct pg *pg = NULL;
	bool ok = pg_open_heeding(&pg, config, "byunique", signals_stop_requested, err) && pg_worker_session(pg, err) &&
		  pg_check_version(pg, err) && pg_check_rights(pg, config->postgres_require_least_privilege, err) &&
		  pg_load_catalogue(pg, &pipeline->catalogue, err) && FAILPOINT_PASS(start_connected, err);
	if (ok) {
		pg_warn_weak_settings(pg);
		lane_begin(&pipeline->lanes[0], pg);
	} else {
		catalogue_drop(pipeline->catalogue);
		pipeline->catalogue = NULL;
		pg_close(pg);
	}
	return ok;
}

static bool open_schemas(struct pipeline *pipeline, struct err *err)
{
	const char *dir = pipeline->config->schemas_dir;
	bool required = pipeline->config->schemas_dir_is_set;

	return schemas_open(&pipeline->reading, dir, required, err) &&
	       schemas_use_registry(pipeline->reading, pipeline->current, err) &&
	       schemas_open(&pipeline->writing, NULL, false, err) &&
	       schemas_use_registry(pipeline->writing, pipeline->config, err);
}

/* Before anything is answered: results are framed with it. */
static bool take_result_id(struct pipeline *pipeline, struct err *err)
{
	return schemas_take_result_id(pipeline->writing, pipeline->config->results_topic, err);
}

static void tell_open_secret(const char *key, const char *path)
{
	if (path != NULL && path[0] != '\0' && secret_is_open(path))
		log_event(LOG_WARN, "secret_readable", "key=%s detail=%s hint=%s", log_quotes(key),
			  "\"everybody on this machine may read the file\"", "\"chmod 600, or 440 for a group.\"");
}

static void tell_open_secrets(const struct config *config)
{
	tell_open_secret("postgres.password.file", config->postgres_password_file);
	tell_open_secret("schema.registry.password.file", config->schema_registry_password_file);
	tell_open_secret("schema.registry.token.file", config->schema_registry_token_file);
	for (size_t i = 0; i < config->kafka_count; i++) {
		char *key = xasprintf("kafka.%s.file", config->kafka[i].name);
		tell_open_secret(key, config->kafka[i].file);
		free(key);
	}
}

static void set_up(struct pipeline *pipeline, const struct config *config, const struct config_sources *sources,
		   struct metrics *metrics)
{
	*pipeline = (struct pipeline){
		.config = config, .sources = sources, .metrics = metrics, .most_bytes = SIZE_MAX};
	tunables_set(&pipeline->live, config);
	pipeline->current = xcalloc(1, sizeof(*pipeline->current));
	config_copy(pipeline->current, config);
	notify_open(&pipeline->notify);
	pipeline->replies = replies_new(config);
	lanes_set_up(pipeline);
	pthread_mutex_init(&pipeline->catalogue_turn, NULL);
	pthread_mutex_init(&pipeline->flight_turn, NULL);
	unsigned batches = batches_in_all(config);
	queue_init(&pipeline->idle, batches);
	for (unsigned i = 0; i < batches; i++)
		ASSERT(queue_push(&pipeline->idle, batch_new((uint32_t)config->batch_max_commands + BATCH_ROOM), 0));
}

static void tear_down(struct pipeline *pipeline)
{
	struct batch *batch;

	while ((batch = queue_pop(&pipeline->idle, 0)) != NULL)
		batch_free(batch);
	queue_destroy(&pipeline->idle);
	lanes_tear_down(pipeline);
	slot_release(&pipeline->slot);
	replies_free(pipeline->replies);
	arena_release(&pipeline->results);
	catalogue_drop(pipeline->catalogue);
	schemas_close(pipeline->reading);
	schemas_close(pipeline->writing);
	config_release(pipeline->current);
	free(pipeline->current);
	notify_close(&pipeline->notify);
	free(pipeline->cluster_id);
	free(pipeline->given);
	free(pipeline->refused);
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

int pipeline_run(const struct config *config, const struct config_sources *sources)
{
	enum { EVENTS = 200 };
	struct pipeline pipeline;
	struct metrics metrics;
	struct log_ring *events = log_ring_new(EVENTS);
	struct admin *admin = NULL;
	struct err err;

	signals_serve();
	metrics_init(&metrics);
	log_keep(events);
	set_up(&pipeline, config, sources, &metrics);
	log_event(LOG_INFO, "starting", "version=%s commands_topic=%s group=%s", VERSION,
		  log_quotes(config->commands_topic), log_quotes(config_kafka(config, "group.id")));
	tell_open_secrets(config);
	watchdog_start(&pipeline);
	bool ok = admin_start(&admin, config, &metrics, events, &err) && open_schemas(&pipeline, &err);
	if (ok) /* whatever is away from here on is waited for */
		notify_say(&pipeline.notify, "READY=1\nSTATUS=starting");
	ok = ok && persist(&pipeline, take_result_id, "registry_away", &err) &&
	     persist(&pipeline, connect_database, "postgres_away", &err);
	if (ok && pipeline.lane_count > 0)
		ok = persist(&pipeline, run_session, "session_ended", &err);
	if (!ok)
		log_err(LOG_ERROR, "stopped", &err);
	else
		log_event(LOG_INFO, "stopped", "reason=%s", "\"told to stop\"");
	watchdog_stop(&pipeline);
	tear_down(&pipeline);
	admin_stop(admin);
	log_keep(NULL);
	log_ring_free(events);
	metrics_release(&metrics);
	return ok ? EXIT_DONE : exit_code_of(&err);
}
