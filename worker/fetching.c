/* The fetching thread, which is the main one: fetch → decode → validate, until a storing thread takes what it has.
 *
 * Each lane's messages come into a batch of their own. It is offered to the lane when it is full, or when the lane waits for
 * something to do; until all that is on offer has been taken, nothing more is read: to begin another batch sooner would take
 * memory, and it would be ready no sooner than it is needed. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <stdlib.h>

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

static bool is_over(struct pipeline *pipeline)
{
	return signals_stop_requested() || pipeline_has_failed(pipeline);
}

/* --- messages into batches ------------------------------------------------------------------------------------------------ */

static bool has_messages(const struct lane *lane)
{
	return lane->filling != NULL && lane->filling->count > 0;
}

static uint32_t count_messages(const struct pipeline *pipeline)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < pipeline->lane_count; i++)
		count += has_messages(&pipeline->lanes[i]) ? pipeline->lanes[i].filling->count : 0;
	return count;
}

static bool is_full(const struct pipeline *pipeline, const struct batch *batch)
{
	return batch != NULL && (batch->count >= pipeline->live.batch_max_commands || batch->bytes >= BATCH_BYTES_MAX);
}

/* The storing thread has nothing else to do. */
static bool is_wanted_by(struct lane *lane)
{
	return has_messages(lane) && offers_are_wanted(&lane->pipeline->offers, lane->number);
}

/* Asked every millisecond at most. While the storing threads are busy a batch may take long to fill, so observing goes on from
 * here. */
static bool is_wanted(void *context)
{
	enum { OBSERVE_EVERY = 64 };
	struct pipeline *pipeline = context;

	if (pipeline->looks++ % OBSERVE_EVERY == 0)
		observe(pipeline);
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		if (is_wanted_by(&pipeline->lanes[i]))
			return true;
	return pipeline->retired != NULL || is_over(pipeline);
}

static bool is_always_wanted(void *context)
{
	(void)context;
	return true;
}

static void drop_aside(struct lane *lane)
{
	if (lane->aside == NULL)
		return;
	pipeline_recycle(lane->pipeline, lane->aside);
	lane->aside = NULL;
}

/* What the batches were filled from is gone: so are they. */
static bool drop_if_retired(struct pipeline *pipeline)
{
	if (pipeline->retired == NULL)
		return false;
	for (unsigned i = 0; i < pipeline->lane_count; i++) {
		drop_aside(&pipeline->lanes[i]);
		if (pipeline->lanes[i].filling != NULL)
			batch_clear(pipeline->lanes[i].filling);
	}
	assignment_free(pipeline->retired);
	pipeline->retired = NULL;
	return true;
}

/* So much waits for a schema that nothing more may be read. */
static bool is_crowded(const struct pipeline *pipeline)
{
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		if (is_full(pipeline, pipeline->lanes[i].aside))
			return true;
	return false;
}

/* What was set aside comes first, when it is time to ask for its schemas again. NULL: there is none for a moment. */
static struct batch *batch_to_fill(struct lane *lane)
{
	struct pipeline *pipeline = lane->pipeline;

	if (has_messages(lane))
		return lane->filling;
	if (lane->aside == NULL || !schemas_due(pipeline->reading))
		return lane->filling != NULL ? lane->filling : queue_pop(&pipeline->idle, WAIT_MS);
	if (lane->filling != NULL)
		queue_give_back(&pipeline->idle, lane->filling);
	struct batch *batch = lane->aside;
	lane->aside = NULL;
	for (uint32_t i = 0; i < batch->assignment->count; i++)
		if (batch->assignment->partitions[i].lane == lane->number)
			batch->assignment->partitions[i].awaits = false;
	return batch;
}

/* A batch for each lane, with room for so many messages more than it has to have. */
static bool have_batches(struct pipeline *pipeline)
{
	uint32_t capacity = (uint32_t)pipeline->live.batch_max_commands + BATCH_ROOM;

	for (unsigned i = 0; i < pipeline->lane_count; i++) {
		struct lane *lane = &pipeline->lanes[i];
		lane->filling = batch_to_fill(lane);
		if (lane->filling == NULL)
			return false;
		uint32_t needed = lane->filling->count + BATCH_ROOM;
		batch_reserve(lane->filling, needed > capacity ? needed : capacity);
	}
	return true;
}

static bool fetch(struct pipeline *pipeline, const struct fetch_limits *limits, struct err *err)
{
	static struct assignment none; /* nothing is fetched, but the group is served */
	struct batch *batches[LANES_MAX];
	struct fetch_target target = {.assignment = pipeline->assignment ? pipeline->assignment : &none,
				      .batches = batches,
				      .lanes = pipeline->lane_count};

	for (unsigned i = 0; i < pipeline->lane_count; i++) {
		batches[i] = pipeline->lanes[i].filling;
		batches[i]->assignment = pipeline->assignment;
	}
	return fetch_batches(pipeline->consumer, &target, limits, err);
}

static bool fill(struct pipeline *pipeline, struct err *err)
{
	struct fetch_limits limits = {.max_commands = (uint32_t)pipeline->live.batch_max_commands,
				      .max_bytes = BATCH_BYTES_MAX,
				      .wait_ms = WAIT_MS,
				      .wanted = is_wanted,
				      .context = pipeline};
	uint32_t before = count_messages(pipeline);
	int64_t at_us = clock_mono_us();

	if (is_crowded(pipeline) && !consumer_pause(pipeline->consumer, true, err))
		return false;
	bool ok = fetch(pipeline, &limits, err);
	if (count_messages(pipeline) > before)
		metrics_stage(pipeline->metrics, STAGE_FETCH, &at_us);
	return ok;
}

/* --- decoded and validated ------------------------------------------------------------------------------------------------ */

/* Partitions that await a schema are not fetched, all others are. */
static bool hold_awaiting(struct pipeline *pipeline, const struct assignment *assignment, struct err *err)
{
	for (uint32_t i = 0; i < assignment->count; i++)
		if (!consumer_hold(pipeline->consumer, assignment->partitions[i].number, assignment->partitions[i].awaits,
				   err))
			return false;
	return true;
}

static void set_aside(struct lane *lane, const struct err *trouble)
{
	enum { LOG_REPEATS_MS = 10000 };
	struct pipeline *pipeline = lane->pipeline;

	if (!schemas_due(pipeline->reading) && log_limit(&pipeline->awaited_log_ms, LOG_REPEATS_MS))
		log_err(LOG_WARN, "schema_awaited", trouble);
	while (lane->aside == NULL)
		lane->aside = queue_pop(&pipeline->idle, WAIT_MS);
	batch_set_aside(lane->filling, lane->aside);
	if (lane->filling->count == 0)
		batch_clear(lane->filling);
}

/* All that is left in the batch then. Again only when more has come: validating takes memory. */
static bool prepare(struct lane *lane, struct err *err)
{
	struct pipeline *pipeline = lane->pipeline;
	struct batch *batch = lane->filling;
	const struct assignment *assignment = batch->assignment;
	int64_t at_us = clock_mono_us();

	if (batch->prepared == batch->count)
		return true;
	struct message_limits limits = message_limits(pipeline->config);
	struct err trouble;

	if (!decode_batch(batch, pipeline->reading, &limits, &trouble))
		set_aside(lane, &trouble);
	if (batch->count > 0) {
		struct catalogue *catalogue = pipeline_catalogue(pipeline);
		validate_batch(batch, catalogue);
		catalogue_drop(catalogue);
	}
	batch->prepared = batch->count;
	metrics_stage(pipeline->metrics, STAGE_DECODE, &at_us);
	return hold_awaiting(pipeline, assignment, err);
}

/* --- handed on ------------------------------------------------------------------------------------------------------------ */

/* Of the batches on offer, and this one. */
static bool is_any_full(const struct pipeline *pipeline, const struct batch *batch)
{
	bool any = is_full(pipeline, batch);

	for (unsigned i = 0; i < pipeline->lane_count; i++)
		any = any || (pipeline->lanes[i].offered && pipeline->lanes[i].offered_full);
	return any;
}

static bool offer_if_ready(struct lane *lane, struct err *err)
{
	struct pipeline *pipeline = lane->pipeline;

	if (lane->offered || !has_messages(lane) || !(is_full(pipeline, lane->filling) || is_wanted_by(lane)))
		return true;
	if (!prepare(lane, err))
		return false;
	if (lane->filling->count == 0)
		return true; /* all of it is set aside */
	if (!FAILPOINT_PASS(fetch_prepared, err))
		return false;
	lane->filling->more_to_come = is_any_full(pipeline, lane->filling);
	lane->offered_full = is_full(pipeline, lane->filling);
	pipeline_count_flight(pipeline, 1); /* before anybody can land it */
	lane->offered = true;
	offers_make(&pipeline->offers, lane->number, lane->filling);
	return true;
}

static bool offer_ready(struct pipeline *pipeline, struct err *err)
{
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		if (!offer_if_ready(&pipeline->lanes[i], err))
			return false;
	return true;
}

/* It is the fetching thread's again, unless it has been taken. */
static void withdraw(struct lane *lane)
{
	if (!lane->offered)
		return;
	lane->offered = false;
	if (offers_withdraw(&lane->pipeline->offers, lane->number))
		pipeline_count_flight(lane->pipeline, -1);
	else
		lane->filling = NULL;
}

static void withdraw_all(struct pipeline *pipeline)
{
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		withdraw(&pipeline->lanes[i]);
}

/* What has been taken is no longer ours. Is anything left on offer? */
static bool is_any_left(struct pipeline *pipeline)
{
	bool any = false;

	for (unsigned i = 0; i < pipeline->lane_count; i++) {
		struct lane *lane = &pipeline->lanes[i];
		if (lane->offered && offers_are_taken(&pipeline->offers, i)) {
			lane->offered = false;
			lane->filling = NULL;
		}
		any = any || lane->offered;
	}
	return any;
}

/* Lanes with messages that are not on offer: a bit for each. */
static unsigned lanes_to_offer(const struct pipeline *pipeline)
{
	unsigned lanes = 0;

	for (unsigned i = 0; i < pipeline->lane_count; i++)
		if (!pipeline->lanes[i].offered && has_messages(&pipeline->lanes[i]))
			lanes |= 1U << i;
	return lanes;
}

/* False: for so long nothing has come of what is on offer, or the session is over. */
static bool await_news(struct pipeline *pipeline, int waits)
{
	for (; waits > 0 && !is_over(pipeline); waits--) {
		if (offers_await(&pipeline->offers, lanes_to_offer(pipeline), WAIT_MS))
			return true;
		now_and_then(pipeline);
	}
	return false;
}

/* A storing thread is busy for long: fetching pauses, but the group has to be served. */
static bool serve_group(struct pipeline *pipeline, struct err *err)
{
	struct fetch_limits limits = {.max_commands = UINT32_MAX, .max_bytes = SIZE_MAX, .wanted = is_always_wanted};

	if (!consumer_pause(pipeline->consumer, true, err))
		return false;
	if (!have_batches(pipeline))
		return true;
	uint32_t before = count_messages(pipeline);
	if (!fetch(pipeline, &limits, err))
		return false;
	return count_messages(pipeline) == before || pipeline->retired != NULL || vouch_for_fetched(pipeline, err);
}

/* False with *err; else nothing is on offer any more. */
static bool hand_on(struct pipeline *pipeline, struct err *err)
{
	enum { PATIENCE = 10 };

	for (int waits = PATIENCE; !is_over(pipeline);) {
		now_and_then(pipeline);
		if (!offer_ready(pipeline, err))
			return false;
		if (!is_any_left(pipeline))
			return consumer_pause(pipeline->consumer, is_crowded(pipeline), err);
		if (await_news(pipeline, waits))
			continue;
		withdraw_all(pipeline);
		waits = 1;
		if (!is_over(pipeline) && !serve_group(pipeline, err))
			return false;
		if (drop_if_retired(pipeline))
			return true;
	}
	withdraw_all(pipeline);
	return true;
}

/* --- all of it ------------------------------------------------------------------------------------------------------------ */

static bool fetch_some(struct pipeline *pipeline, struct err *err)
{
	if (pipeline->is_given && !rebalance_start_given(pipeline, err))
		return false;
	if (!have_batches(pipeline))
		return true;
	bool ok = fill(pipeline, err);
	if (drop_if_retired(pipeline) || count_messages(pipeline) == 0)
		return ok;
	if (!ok || !vouch_for_fetched(pipeline, err) || !FAILPOINT_PASS(fetch_filled, err))
		return false;
	return hand_on(pipeline, err);
}

static void let_go(struct lane *lane)
{
	withdraw(lane);
	drop_aside(lane);
	if (lane->filling != NULL)
		pipeline_recycle(lane->pipeline, lane->filling);
	lane->filling = NULL;
}

bool fetch_until_stopped(struct pipeline *pipeline, struct err *err)
{
	bool ok = true;

	while (ok && !is_over(pipeline)) {
		now_and_then(pipeline);
		ok = fetch_some(pipeline, err);
	}
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		let_go(&pipeline->lanes[i]);
	if (ok && pipeline_has_failed(pipeline)) {
		*err = pipeline->failure;
		ok = false;
	}
	return ok;
}
