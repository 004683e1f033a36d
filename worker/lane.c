/* Connections to PostgreSQL, and whose turn it is. The first one is the worker's: its session holds the slot. Others are there for
 * speed, so where they can't be had, the worker does with fewer. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <inttypes.h>

void lanes_set_up(struct pipeline *pipeline)
{
	for (unsigned i = 0; i < LANES_MAX; i++) {
		pipeline->lanes[i].pipeline = pipeline;
		pipeline->lanes[i].number = i;
		pthread_mutex_init(&pipeline->lanes[i].turn, NULL);
	}
}

void lanes_tear_down(struct pipeline *pipeline)
{
	for (unsigned i = 0; i < LANES_MAX; i++) {
		store_free(pipeline->lanes[i].store);
		pg_close(pipeline->lanes[i].pg);
		pthread_mutex_destroy(&pipeline->lanes[i].turn);
	}
}

void lane_begin(struct lane *lane, struct pg *pg)
{
	const struct config *config = lane->pipeline->config;

	pg_heed(pg, NULL);
	lane->pg = pg;
	lane->store = store_new(pg, config->idempotency_retention, config->outcome_retention);
	lane->pipeline->lane_count = lane->number + 1;
	observe_connected(lane, true);
}

static bool open_another(struct pipeline *pipeline, struct err *err)
{
	struct pg *pg = NULL;
	bool ok = pg_open_heeding(&pg, pipeline->config, "byunique", signals_stop_requested, err) &&
		  pg_worker_session(pg, err) && slot_join(pg, err);

	if (ok)
		lane_begin(&pipeline->lanes[pipeline->lane_count], pg);
	else
		pg_close(pg);
	return ok;
}

void lanes_open_others(struct pipeline *pipeline)
{
	int64_t wanted = pipeline->config->postgres_connections;
	struct err err;

	while (pipeline->lane_count < wanted && !signals_stop_requested()) {
		if (open_another(pipeline, &err))
			continue;
		err_hint(&err, "The worker goes on with %u of %" PRId64 " connections (postgres.connections).",
			 pipeline->lane_count, wanted);
		log_err(signals_stop_requested() ? LOG_DEBUG : LOG_WARN, "connections_missing", &err);
		return;
	}
}

/* --- again -------------------------------------------------------------------------------------------------------------- */

/* Whoever holds it may be our own last session, which ends when it is done with what it was sent. */
static bool take_slot_again(struct lane *lane, struct err *err)
{
	enum { PATIENCE_MS = 3000, LOOK_MS = 20 };
	const struct pipeline *pipeline = lane->pipeline;
	int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
	bool kept = false;

	if (pipeline->slot.transactional_id == NULL)
		return true; /* none taken yet */
	for (;;) {
		if (!slot_keep(lane->pg, config_kafka(pipeline->config, "group.id"), &pipeline->slot, &kept, err))
			return false;
		if (kept || clock_mono_ms() > until_ms)
			break;
		clock_sleep_ms(LOOK_MS);
	}
	return kept || err_set(err, VERDICT_REJOIN, "", "another worker took the transactional id over meanwhile");
}

/* It may be another server now, or the same with another past: one that was restored, or a standby that lacked commits.
 * A batch would notice that at the fence, but for its own partitions only; in a quiet one, what is lost would stay lost. */
static bool find_positions_again(struct lane *lane, struct err *err)
{
	const struct assignment *assignment = lane->pipeline->assignment;
	bool kept = true;

	if (assignment == NULL)
		return true;
	if (!position_kept(lane->pg, assignment, lane->number, &kept, err))
		return false;
	return kept || err_set(err, VERDICT_REJOIN, "", "PostgreSQL came back with other positions than this worker had stored");
}

bool lane_reconnect(struct lane *lane, struct err *err)
{
	bool ok = pg_reconnect(lane->pg, err) &&
		  (lane->number == 0 ? take_slot_again(lane, err) : slot_join(lane->pg, err)) &&
		  find_positions_again(lane, err);

	observe_connected(lane, ok);
	metric_add(&lane->pipeline->metrics->postgres_reconnects[0], ok);
	return ok;
}

/* --- turns -------------------------------------------------------------------------------------------------------------- */

bool database_take(struct lane *lane, struct err *err)
{
	pthread_mutex_lock(&lane->turn);
	pg_heed(lane->pg, signals_stop_requested); /* no batch is in hand */
	if (pg_alive(lane->pg) || lane_reconnect(lane, err))
		return true;
	database_give(lane);
	return false;
}

void database_give(struct lane *lane)
{
	pg_heed(lane->pg, NULL);
	pthread_mutex_unlock(&lane->turn);
}

void pipeline_take_turns(struct pipeline *pipeline)
{
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		pthread_mutex_lock(&pipeline->lanes[i].turn);
}

void pipeline_give_turns(struct pipeline *pipeline)
{
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		pthread_mutex_unlock(&pipeline->lanes[i].turn);
}
