/* The short way: one trip for a batch of which all is new, which may be sent while the one before is under way.
 *
 * It is sound because nothing rests on what the worker believes. The position rows tell what is new: a message at or beyond
 * next_offset never was processed, and next_offset moves with every batch; they are locked, and compared with what this
 * worker expects, by the transaction itself (guard.sql), with the owner's token and the version of the catalogue. An id that
 * is in nobody's index did not take effect, and the only ids not yet in it are those of the flight before. If that flight
 * fails, the position is not where this one expects it. */
#include "store.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"

#include <endian.h>

_Static_assert((int)PG_TRIPS_MAX == 2 && (int)SENT_MAX == 2, "meets_ids() knows of one flight before");

static bool meets_ids(const struct batch *batch, const struct flight *before)
{
	for (uint32_t i = 0; i < batch->count; i++)
		if (batch->messages[i].has_id && plan_has_id(&before->plan, before->span.batch, &batch->messages[i]))
			return true;
	return false;
}

bool ahead_plan(struct batch *batch, const struct flight *before, struct flight *flight)
{
	*flight = (struct flight){.span = {.batch = batch, .end = batch->count}};
	flight->reaches = span_reaches(&flight->span, &flight->reach_count);
	if (!recall_expects_news(&flight->span, flight->reaches, flight->reach_count) ||
	    (before != NULL && meets_ids(batch, before)))
		return false;
	recall_reset(&flight->span);
	plan_span(&flight->span, &flight->plan);
	return flight->span.end == batch->count;
}

static void send_guard(struct store *store, const struct flight *flight)
{
	const struct batch *batch = flight->span.batch;
	struct buf *expected = store_array(store, 1), *ids = store_array(store, 0); /* the larger first: buffers may move */
	uint64_t version = htobe64((uint64_t)batch->catalogue->version);

	pg_array_begin(ids, PG_INT4);
	pg_array_begin(expected, PG_INT8);
	for (uint32_t i = 0; i < flight->reach_count; i++) {
		pg_array_int4(ids, flight->reaches[i].partition->id);
		pg_array_int8(expected, partition_expected(flight->reaches[i].partition));
	}
	struct pg_param params[] = {pg_array_param(ids),
				    pg_array_param(expected),
				    {batch->assignment->token, sizeof(batch->assignment->token)},
				    {&version, sizeof(version)}};
	pg_pipeline_add(store->pg, &store->guard, params, 4);
}

void ahead_send(struct store *store, struct flight *flight)
{
	flight->processed_at_ms = clock_wall_ms();
	pg_pipeline_add(store->pg, &store->begin, NULL, 0);
	pg_pipeline_add(store->pg, &store->lock_catalogue, NULL, 0);
	send_guard(store, flight);
	apply_send(store, &flight->span, &flight->plan, flight->reaches, flight->reach_count, flight->processed_at_ms);
	for (uint32_t i = 0; i < flight->reach_count; i++)
		partition_sent(flight->reaches[i].partition, reach_next_offset(&flight->span, &flight->reaches[i]));
	pg_pipeline_send(store->pg);
}

/* An error that the server told: nothing was committed. */
static void take_back(const struct flight *flight)
{
	for (uint32_t i = 0; i < flight->reach_count; i++)
		partition_unsent(flight->reaches[i].partition, reach_next_offset(&flight->span, &flight->reaches[i]));
}

bool ahead_receive(struct store *store, struct flight *flight, bool *in_doubt, struct err *err)
{
	enum { BEFORE_APPLY = 3 };
	struct pg_rows *answers[PG_PIPELINE_MAX] = {NULL};
	bool ok = pg_pipeline_receive(store->pg, answers, err);

	*in_doubt = false;
	if (!ok && pg_alive(store->pg)) {
		*in_doubt = pg_pipeline_failed_by(store->pg, &store->guard);
		take_back(flight);
	}
	if (!ok)
		return false;
	apply_settle(&flight->span, &flight->plan, flight->reaches, flight->reach_count, answers + BEFORE_APPLY,
		     flight->processed_at_ms);
	for (int i = 0; i < PG_PIPELINE_MAX && answers[i] != NULL; i++)
		pg_rows_free(answers[i]);
	return true;
}
