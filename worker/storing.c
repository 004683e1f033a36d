/* A batch into PostgreSQL, whatever gets in the way. Here is what each verdict of pg/verdict.c leads to.
 *
 * A batch goes as one span, one transaction. Trouble with the whole transaction repeats the span; a command that the
 * database refuses is found by halving it: pieces go in the order of offsets, so commands of one record keep theirs. As
 * each piece that succeeds is done with, the search costs one transaction for each bit of the span's length. Where one
 * command is refused there may be more, and trying large spans in vain costs most: the next span is half as long as the
 * last stretch without one, also in the next batch, and spans grow by half with each that succeeds. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/id_index.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <inttypes.h>
#include <stdlib.h>

enum { HOUSEKEEPING_MS = 10000, LOG_REPEATS_MS = 10000 };

/* --- one span ------------------------------------------------------------------------------------------------------------ */

/* The catalogue is newer than what the batch was validated against. It is read in the transaction, under its lock; then
 * the transaction is begun anew, as recall's answers rest on the old outcomes. */
static bool follow_catalogue(struct lane *lane, struct batch *batch, struct err *err)
{
	struct catalogue *catalogue;

	if (!pg_read_catalogue(lane->pg, &catalogue, err)) {
		pg_rollback(lane->pg);
		return false;
	}
	pg_rollback(lane->pg);
	validate_batch(batch, catalogue);
	int64_t version = catalogue->version;
	if (pipeline_renew_catalogue(lane->pipeline, catalogue)) /* several batches may have been made for the old one */
		log_event(LOG_INFO, "catalogue_changed", "version=%" PRId64, version);
	return true;
}

static bool store_span(struct lane *lane, struct span *span, struct err *err)
{
	int64_t version, at_us = clock_mono_us();
	struct plan plan;
	bool behind;

	for (;;) {
		if (!store_learn_ids(lane->store, span, err) || !FAILPOINT_PASS(store_ids_learnt, err) ||
		    !recall_span(lane->store, span, &version, &behind, err) || !FAILPOINT_PASS(store_recalled, err))
			return false;
		if (behind)
			pg_rollback(lane->pg);
		else if (version == span->batch->catalogue->version)
			break;
		else if (!follow_catalogue(lane, span->batch, err))
			return false;
	}
	metrics_stage(lane->pipeline->metrics, STAGE_RECALL, &at_us);
	plan_span(span, &plan);
	bool ok = FAILPOINT_PASS(store_planned, err) && apply_span(lane->store, span, &plan, err);
	metrics_stage(lane->pipeline->metrics, STAGE_APPLY, &at_us);
	return ok;
}

/* --- reactions ------------------------------------------------------------------------------------------------------------- */

struct effort {
	uint32_t most;	    /* messages in the next span */
	uint32_t bad_end;   /* one before this message is refused, and none of those stored; 0: nothing is known */
	uint32_t good_from; /* behind the last one refused */
	unsigned attempt; /* of the same span */
	int64_t last_log_ms;
	bool away;
};

static void halve(struct effort *effort, const struct span *span)
{
	effort->most = (span->end - span->begin) / 2;
	effort->attempt = 0;
}

/* The one command left is the culprit: it is answered InternalError, together with what follows it. When it was refused
 * before it reached the database, the fault is not its own. */
static bool refuse_command(struct lane *lane, const struct span *span, struct effort *effort, struct err *err)
{
	enum { LEAST = 16 };
	struct message *message = &span->batch->messages[span->begin];

	if (message->outcome.code != OUTCOME_NONE) {
		err->verdict = VERDICT_STOP;
		err_hint(err, "The database refuses even a batch that changes no record: look into its log.");
		return pipeline_fail(lane->pipeline, err);
	}
	log_event(LOG_WARN, "command_refused_by_database", "partition=%" PRId32 " offset=%" PRId64 " sqlstate=%s detail=%s",
		  message->partition->number, message->offset, log_quotes(err->origin), log_quotes(err->detail));
	message->outcome = (struct outcome){.code = OUTCOME_INTERNAL_ERROR};
	outcome_fill_detail(&message->outcome);
	uint32_t stretch = span->begin - effort->good_from;
	effort->most = stretch / 2 > LEAST ? stretch / 2 : LEAST;
	effort->good_from = span->end;
	effort->bad_end = 0;
	return true;
}

/* What is wrong with a partition shows up in the middle of it: a new session leaves it out, and goes on with the others. */
static bool refuse_partitions(struct lane *lane, const struct assignment *assignment, struct err *err)
{
	struct pipeline *pipeline = lane->pipeline;

	log_err(LOG_ERROR, "partition_refused", err);
	pthread_mutex_lock(&pipeline->flight_turn);
	for (uint32_t i = 0; i < assignment->count; i++) {
		if (assignment->partitions[i].lane != lane->number || !assignment->partitions[i].refused)
			continue;
		pipeline->refused = xrealloc(pipeline->refused, sizeof(*pipeline->refused) * (pipeline->refused_count + 1));
		pipeline->refused[pipeline->refused_count++] = assignment->partitions[i].number;
	}
	pthread_mutex_unlock(&pipeline->flight_turn);
	err->verdict = VERDICT_REJOIN;
	return pipeline_fail(lane->pipeline, err);
}

static void log_trouble(struct effort *effort, const char *event, const struct err *err)
{
	if (log_limit(&effort->last_log_ms, LOG_REPEATS_MS))
		log_err(LOG_WARN, event, err);
}

static bool come_back(struct lane *lane, const struct batch *batch, struct effort *effort, struct err *err)
{
	enum { BASE_MS = 100, CAP_MS = 10000 };

	log_trouble(effort, "postgres_away", err);
	effort->away = true;
	for (;;) {
		if (effort->attempt > 0)
			pipeline_pause(batch, clock_backoff_ms(effort->attempt, BASE_MS, CAP_MS));
		effort->attempt++;
		if (batch->assignment->lost)
			return false;
		if (lane_reconnect(lane, err))
			return true;
		if (!verdict_is_passing(err->verdict))
			return pipeline_fail(lane->pipeline, err);
		log_trouble(effort, "postgres_away", err);
	}
}

static bool react(struct lane *lane, const struct span *span, struct effort *effort, struct err *err)
{
	enum { RETRY_BASE_MS = 5, RETRY_CAP_MS = 2000, PAUSE_BASE_MS = 500, PAUSE_CAP_MS = 15000 };
	bool single = span->end - span->begin == 1;

	observe_trouble(lane, err);
	switch (err->verdict) {
	case VERDICT_HALVE:
		if (!single) {
			halve(effort, span);
			return true;
		} /* fall through */
	case VERDICT_RETRY:
		log_trouble(effort, "batch_again", err);
		pipeline_pause(span->batch, clock_backoff_ms(effort->attempt++, RETRY_BASE_MS, RETRY_CAP_MS));
		return true;
	case VERDICT_PAUSE:
		log_trouble(effort, "postgres_in_need", err);
		effort->away = true;
		pipeline_pause(span->batch, clock_backoff_ms(effort->attempt++, PAUSE_BASE_MS, PAUSE_CAP_MS));
		return true;
	case VERDICT_RECONNECT: return come_back(lane, span->batch, effort, err);
	case VERDICT_PREPARE:
		if (effort->attempt++ > 0)
			pipeline_pause(span->batch, clock_backoff_ms(effort->attempt, RETRY_BASE_MS, RETRY_CAP_MS));
		return pg_deallocate(lane->pg, err) || come_back(lane, span->batch, effort, err);
	case VERDICT_BISECT:
		if (single)
			return refuse_command(lane, span, effort, err);
		halve(effort, span);
		effort->bad_end = span->end;
		return true;
	case VERDICT_REFUSE: return refuse_partitions(lane, span->batch->assignment, err);
	default: return pipeline_fail(lane->pipeline, err);
	}
}

/* All up to `end` are stored, of `all` in the batch. */
static void went_well(struct effort *effort, uint32_t end, uint32_t all)
{
	if (effort->away)
		log_event(LOG_INFO, "postgres_back", "attempts=%u", effort->attempt);
	effort->away = false;
	effort->attempt = 0;
	if (effort->bad_end > end + 1)
		effort->most = (effort->bad_end - end) / 2;
	else if (effort->bad_end > end)
		effort->most = 1;
	else
		effort->most = effort->most > all / 3 * 2 ? all : effort->most + effort->most / 2 + 1;
}

/* A failure before: of the whole batch, which went ahead; NULL: none. */
static bool store_spans(struct lane *lane, struct batch *batch, struct err *before)
{
	struct effort effort = {.most = lane->span_most > 0 ? lane->span_most : batch->count};
	struct span span = {.batch = batch, .end = batch->count};
	struct err err;

	if (before == NULL && !pg_alive(lane->pg)) { /* it may have been interrupted for the sake of another lane */
		err_set(&err, VERDICT_RECONNECT, "", "the connection to PostgreSQL was given up");
		before = &err;
	}
	if (before != NULL && (batch->assignment->lost || !react(lane, &span, &effort, before)))
		return false;
	while (span.begin < batch->count) {
		uint32_t left = batch->count - span.begin;
		span.end = span.begin + (left < effort.most ? left : effort.most);
		if (batch->assignment->lost)
			return false;
		if (store_span(lane, &span, &err)) {
			span.begin = span.end;
			went_well(&effort, span.end, batch->count);
		} else if (batch->assignment->lost || !react(lane, &span, &effort, &err)) {
			return false;
		}
	}
	lane->span_most = effort.most < batch->count ? effort.most : 0;
	return true;
}

bool store_batch(struct lane *lane, struct batch *batch, struct err *before)
{
	pthread_mutex_lock(&lane->turn);
	store_retain(lane->store, lane->pipeline->live.idempotency_retention_ms, lane->pipeline->live.outcome_retention_ms);
	bool ok = store_spans(lane, batch, before);
	if (ok)
		histogram_add(lane->pipeline->metrics->batch_commands, batch->count, 1);
	pthread_mutex_unlock(&lane->turn);
	return ok;
}

/* --- between batches -------------------------------------------------------------------------------------------------------- */

/* Only what is new; the rows may lag, so trouble is no more than noted. */
void store_published(struct lane *lane)
{
	const struct assignment *assignment = lane->pipeline->assignment;
	int32_t *ids = xcalloc(assignment->count, sizeof(*ids));
	int64_t *offsets = xcalloc(assignment->count, sizeof(*offsets));
	uint32_t count = 0;
	struct err err;

	for (uint32_t i = 0; i < assignment->count; i++) {
		struct partition *partition = &assignment->partitions[i];
		int64_t published = partition->published;
		if (partition->lane != lane->number || published <= partition->published_stored)
			continue;
		ids[count] = partition->id;
		offsets[count++] = published;
		partition->published_stored = published;
	}
	if (count > 0 && pg_alive(lane->pg) &&
	    !position_publish(lane->pg, ids, offsets, count, assignment->token, &err))
		log_err(LOG_DEBUG, "housekeeping_failed", &err);
	free(ids);
	free(offsets);
}

/* *more: there was so much to delete that the statement's limit may have been met. */
static bool expire(struct lane *lane, const struct assignment *assignment, bool *more, struct err *err)
{
	enum { MANY_ROWS = 1000 };
	const struct tunables *live = &lane->pipeline->live;
	int64_t ids_ms = live->idempotency_retention_ms, outcomes_ms = live->outcome_retention_ms;
	int64_t deleted = 0, older_than_ms = clock_wall_ms() - (ids_ms > outcomes_ms ? ids_ms : outcomes_ms);
	struct partition **partitions = xcalloc(assignment->count, sizeof(struct partition *));
	int32_t *ids = xcalloc(assignment->count, sizeof(*ids));
	int64_t *gone_below = xcalloc(assignment->count, sizeof(*gone_below));
	uint32_t count = 0;

	for (uint32_t i = 0; i < assignment->count; i++) {
		if (assignment->partitions[i].lane != lane->number)
			continue;
		partitions[count] = &assignment->partitions[i];
		ids[count++] = assignment->partitions[i].id;
	}
	bool ok = count == 0 ||
		  retention_expire_outcomes(lane->pg, ids, count, older_than_ms, gone_below, &deleted, err);
	for (uint32_t i = 0; ok && i < count; i++)
		id_index_forget(partitions[i]->ids, gone_below[i]);
	*more = ok && deleted >= MANY_ROWS;
	if (ok && deleted > 0)
		log_event(LOG_INFO, "retention", "outcome_batches_deleted=%" PRId64, deleted);
	free(partitions);
	free(ids);
	free(gone_below);
	return ok;
}

/* Without commands nobody would notice that the connection is gone, nor that it can be had again. */
static void look_after_connection(struct lane *lane)
{
	bool was_away = !lane->connected;
	struct err err;

	if (pg_alive(lane->pg) && pg_script(lane->pg, "SELECT", &err))
		return;
	if (pg_alive(lane->pg))
		return; /* what the server has to say, the next batch will hear as well */
	if (lane_reconnect(lane, &err)) {
		log_event(LOG_INFO, "postgres_back", "away=%s", was_away ? "true" : "false");
		return;
	}
	log_err(LOG_WARN, "postgres_away", &err);
	if (!verdict_is_passing(err.verdict))
		pipeline_fail(lane->pipeline, &err);
}

bool store_housekeeping_due(int64_t last_ms)
{
	return clock_mono_ms() - last_ms >= HOUSEKEEPING_MS;
}

void store_housekeeping(struct lane *lane, bool idle, int64_t *last_ms)
{
	bool due = log_limit(last_ms, HOUSEKEEPING_MS), more = false;
	const struct pipeline *pipeline = lane->pipeline;
	struct err err;

	if (!due && !idle)
		return;
	pthread_mutex_lock(&lane->turn);
	pg_heed(lane->pg, signals_stop_requested); /* it can be left undone */
	if (due)
		look_after_connection(lane);
	if (pipeline->assignment != NULL && pg_alive(lane->pg)) {
		store_published(lane);
		FAILPOINT_REACH(housekeeping_published);
		if (due && pg_alive(lane->pg) && !expire(lane, pipeline->assignment, &more, &err))
			log_err(signals_stop_requested() ? LOG_DEBUG : LOG_WARN, "housekeeping_failed", &err);
		if (due)
			FAILPOINT_REACH(housekeeping_expired);
		if (more)
			*last_ms = 0; /* again after the next batch */
	}
	pg_heed(lane->pg, NULL);
	pthread_mutex_unlock(&lane->turn);
}
