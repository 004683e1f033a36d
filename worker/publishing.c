/* The publishing thread: answer → commit. A Kafka transaction costs the broker as much as thousands of results, and PostgreSQL
 * has to share the machine's processors with it. So while whole batches come one behind the other, several are in one
 * transaction, each sent as soon as it is stored. One that is not full has all there is, and goes at once. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/log.h"

enum { PUBLICATION_OPEN_MS = 250 }; /* waits no longer for another batch; far less than transaction.timeout.ms */

static bool is_more_under_way(struct pipeline *pipeline, const struct publication *publication)
{
	pthread_mutex_lock(&pipeline->flight_turn);
	bool more = pipeline->in_flight > (int)publication->batch_count;
	pthread_mutex_unlock(&pipeline->flight_turn);
	return more;
}

/* NULL: what is open is to be committed, or there was nothing for a second. */
static struct batch *next_batch(struct pipeline *pipeline, const struct publication *publication, bool more)
{
	enum { IDLE_MS = 1000 };
	int64_t left_ms = publication->since_us / 1000 + PUBLICATION_OPEN_MS - clock_mono_ms();

	if (publication->batch_count == 0) {
		producer_settle(pipeline->producer);
		return queue_pop(&pipeline->stored, IDLE_MS);
	}
	if (publication->batch_count == PUBLICATION_BATCHES)
		return NULL;
	if (more && left_ms > 0 && is_more_under_way(pipeline, publication))
		return queue_pop(&pipeline->stored, (int)left_ms);
	return queue_take(&pipeline->stored);
}

static bool commit(struct pipeline *pipeline, struct publication *publication, struct err *err)
{
	pipeline->publishing = true;
	bool ok = publication_commit(publication, pipeline->producer, err);
	pipeline->publishing = false;
	metrics_stage(pipeline->metrics, STAGE_COMMIT, &publication->since_us);
	if (!ok)
		return false;
	observe_published(pipeline, publication);
	pipeline_count_flight(pipeline, -(int)publication->batch_count);
	publication_reset(publication);
	return true;
}

/* Before anything is cut, the topics are asked whether it still has to be. Trouble shows up in the transaction. */
static bool bounds_have_grown(struct pipeline *pipeline)
{
	struct bounds before = pipeline->bounds;
	struct err err;

	if (!pipeline_learn_bounds(pipeline, &err))
		log_err(LOG_DEBUG, "topic_settings_unknown", &err);
	return pipeline->bounds.result_bytes > before.result_bytes || pipeline->bounds.letter_bytes > before.letter_bytes;
}

static bool answer(struct pipeline *pipeline, struct publication *publication, struct batch *batch, struct err *err)
{
	enum { RECENT_MS = 5000 };
	int64_t at_us = clock_mono_us();
	uint32_t cut_count = answer_batch(batch, pipeline->config, pipeline->writing, &pipeline->bounds, &pipeline->results);

	if (cut_count > 0 && clock_mono_ms() - pipeline->bounds_at_ms >= RECENT_MS) {
		/* To ask may take long, and what is open has a time limit. */
		if (publication->batch_count > 0 && !commit(pipeline, publication, err))
			return false;
		if (bounds_have_grown(pipeline))
			answer_batch(batch, pipeline->config, pipeline->writing, &pipeline->bounds, &pipeline->results);
	}
	metrics_stage(pipeline->metrics, STAGE_ANSWER, &at_us);
	return true;
}

static void land_all(struct pipeline *pipeline, struct batch **batches, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		pipeline_land(pipeline, batches[i]);
}

static bool add(struct pipeline *pipeline, struct publication *publication, struct batch **batches, uint32_t count, bool more,
		struct err *err)
{
	if (batches[0]->assignment->lost) { /* they are dropped; what is open came before, and the group may refuse it */
		land_all(pipeline, batches, count);
		return true;
	}
	arena_clear(&pipeline->results);
	for (uint32_t i = 0; i < count; i++)
		if (!answer(pipeline, publication, batches[i], err)) {
			land_all(pipeline, batches, count);
			return false;
		}
	pipeline->publishing = true;
	bool ok = publication_add(publication, pipeline->producer, batches, count, !more, err);
	pipeline->publishing = false;
	for (uint32_t i = 0; i < count; i++)
		pipeline_recycle(pipeline, batches[i]);
	return ok;
}

/* The session is over; what follows must not overtake what failed. */
static void fail(struct pipeline *pipeline, struct publication *publication, struct err *err)
{
	replies_blame(pipeline->replies, err);
	pipeline_fail(pipeline, err);
	publication->assignment->lost = true;
	pipeline_count_flight(pipeline, -(int)publication->batch_count);
	publication_reset(publication);
}

/* The batch, and those behind it that are at hand, as far as they are not of many: how many. One of those is better off alone, as
 * its memory is wanted again. */
static uint32_t take_small(struct pipeline *pipeline, const struct publication *publication, struct batch *first,
			   struct batch **batches)
{
	uint32_t count = 0;

	while (first != NULL) {
		batches[count++] = first;
		first = !first->more_to_come && publication->batch_count + count < PUBLICATION_BATCHES
				? queue_take(&pipeline->stored) : NULL;
	}
	return count;
}

void *publishing_main(void *context)
{
	struct pipeline *pipeline = context;
	struct publication publication = {0};
	struct batch *batches[PUBLICATION_BATCHES];
	bool more = false, ok;
	struct err err;

	for (;;) {
		struct batch *batch = next_batch(pipeline, &publication, more);
		if (batch == NULL && publication.batch_count == 0) {
			if (queue_is_closed(&pipeline->stored))
				return NULL;
			continue;
		}
		if (batch != NULL) {
			uint32_t count = take_small(pipeline, &publication, batch, batches);
			more = batches[count - 1]->more_to_come;
			ok = add(pipeline, &publication, batches, count, more, &err);
		} else {
			ok = commit(pipeline, &publication, &err);
		}
		if (!ok)
			fail(pipeline, &publication, &err);
	}
}
