/* One Kafka transaction for several batches under load: registering its partitions with the coordinator, and telling them
 * of its end, costs as much as thousands of results. A batch is in it when PostgreSQL has committed, and its memory is free
 * again when the results are librdkafka's. */
#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/stages.h"

#include <stdlib.h>

static bool send_batch(struct producer *producer, const struct batch *batch, struct err *err)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct message *message = &batch->messages[i];
		if (!producer_result(producer, message, err))
			return false;
		if (outcome_is_dead_letter(message->answer.code) && !producer_dead_letter(producer, message, err))
			return false;
		if (i == batch->count / 2 && !FAILPOINT_PASS(publish_half_sent, err))
			return false;
	}
	return true;
}

/* Batches come in order, so the last message of a partition is the furthest. */
static void note_offsets(struct publication *publication, const struct batch *batch)
{
	struct next_offset *offsets = publication->offsets;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct message *message = &batch->messages[i];
		uint32_t at = 0;
		while (at < publication->offset_count && offsets[at].partition != message->partition->number)
			at++;
		offsets[at] = (struct next_offset){message->partition->number, message->offset + 1};
		publication->offset_count += at == publication->offset_count;
	}
	publication->offsets_sent = false;
}

static void note_answers(struct publication *publication, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct message *message = &batch->messages[i];
		publication->codes[message->answer.code]++;
		publication->repeats += message->state == MESSAGE_REPEATED;
		publication->dead_letters += outcome_is_dead_letter(message->answer.code);
		buf_add(&publication->timestamps_ms, &message->timestamp_ms, sizeof(message->timestamp_ms));
	}
}

static bool send_offsets(struct publication *publication, struct producer *producer, struct err *err)
{
	publication->offsets_sent = true;
	return producer_offsets(producer, publication->assignment, publication->offsets, publication->offset_count, err) &&
	       FAILPOINT_PASS(publish_offsets_sent, err);
}

static bool begin(struct publication *publication, struct producer *producer, struct err *err)
{
	publication->since_us = clock_mono_us();
	publication->offsets = xcalloc(publication->assignment->count, sizeof(*publication->offsets));
	return producer_begin(producer, err) && FAILPOINT_PASS(publish_begun, err);
}

/* Right behind another transaction the offsets of a small one go first: they are taken as soon as Kafka is done with that one,
 * while a topic's partitions would be put off for twenty milliseconds. Otherwise they go at the end. */
bool publication_add(struct publication *publication, struct producer *producer, struct batch *const *batches,
		     uint32_t count, bool alone, struct err *err)
{
	bool first = publication->batch_count == 0, offsets_first = first && alone && producer_is_settling(producer);

	publication->assignment = batches[0]->assignment;
	publication->batch_count += count;
	if (!FAILPOINT_PASS(publish_answered, err) || (first && !begin(publication, producer, err)))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		note_offsets(publication, batches[i]);
		note_answers(publication, batches[i]);
	}
	if (offsets_first && !send_offsets(publication, producer, err))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!send_batch(producer, batches[i], err))
			return false;
	return FAILPOINT_PASS(publish_sent, err);
}

static void mark_published(const struct publication *publication)
{
	const struct assignment *assignment = publication->assignment;
	const struct next_offset *offsets = publication->offsets;

	for (uint32_t p = 0; p < assignment->count; p++)
		for (uint32_t i = 0; i < publication->offset_count; i++)
			if (offsets[i].partition == assignment->partitions[p].number &&
			    offsets[i].offset > assignment->partitions[p].published)
				assignment->partitions[p].published = offsets[i].offset;
}

bool publication_commit(struct publication *publication, struct producer *producer, struct err *err)
{
	bool ok = (publication->offsets_sent || send_offsets(publication, producer, err)) && producer_commit(producer, err) &&
		  FAILPOINT_PASS(publish_committed, err);
	if (ok)
		mark_published(publication);
	FAILPOINT_REACH(publish_marked);
	return ok;
}

void publication_reset(struct publication *publication)
{
	free(publication->offsets);
	buf_release(&publication->timestamps_ms);
	*publication = (struct publication){0};
}
