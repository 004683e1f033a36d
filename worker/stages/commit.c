/* One Kafka transaction for all batches that are ready: registering its partitions with the coordinator costs most of it,
 * so it is shared under load. It begins only here, after PostgreSQL has committed: a transaction that waits for
 * PostgreSQL could outlive transaction.timeout.ms. */
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

/* Batches are in order, so the last message of a partition is the furthest. */
static uint32_t collect_offsets(const struct batch *batches, struct next_offset *offsets)
{
	uint32_t count = 0;

	for (const struct batch *batch = batches; batch != NULL; batch = batch->next)
		for (uint32_t i = 0; i < batch->count; i++) {
			const struct message *message = &batch->messages[i];
			uint32_t at = 0;
			while (at < count && offsets[at].partition != message->partition->number)
				at++;
			offsets[at] = (struct next_offset){message->partition->number, message->offset + 1};
			count += at == count;
		}
	return count;
}

static void mark_published(const struct assignment *assignment, const struct next_offset *offsets, uint32_t count)
{
	for (uint32_t p = 0; p < assignment->count; p++)
		for (uint32_t i = 0; i < count; i++)
			if (offsets[i].partition == assignment->partitions[p].number &&
			    offsets[i].offset > assignment->partitions[p].published)
				assignment->partitions[p].published = offsets[i].offset;
}

static bool send_offsets(struct producer *producer, const struct assignment *assignment, const struct next_offset *offsets,
			 uint32_t count, struct err *err)
{
	return producer_offsets(producer, assignment, offsets, count, err) && FAILPOINT_PASS(publish_offsets_sent, err);
}

/* Right behind another transaction the offsets go first: they are taken as soon as Kafka is done with that one, while a
 * topic's partitions would be put off for twenty milliseconds. Otherwise they go beside the messages. */
bool commit_batches(struct producer *producer, struct batch *batches, struct err *err)
{
	const struct assignment *assignment = batches->assignment;
	struct next_offset *offsets = xcalloc(assignment->count, sizeof(*offsets));
	uint32_t count = collect_offsets(batches, offsets);
	bool offsets_first = producer_is_settling(producer);
	bool ok = producer_begin(producer, err) && FAILPOINT_PASS(publish_begun, err) &&
		  (!offsets_first || send_offsets(producer, assignment, offsets, count, err));

	for (const struct batch *batch = batches; ok && batch != NULL; batch = batch->next)
		ok = send_batch(producer, batch, err);
	ok = ok && FAILPOINT_PASS(publish_sent, err) &&
	     (offsets_first || send_offsets(producer, assignment, offsets, count, err)) && producer_commit(producer, err) &&
	     FAILPOINT_PASS(publish_committed, err);
	if (ok)
		mark_published(assignment, offsets, count);
	FAILPOINT_REACH(publish_marked);
	free(offsets);
	return ok;
}
