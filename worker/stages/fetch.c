/* No timer decides when a batch is complete. The stage ahead does: while it works, the batch grows; when it asks, the
 * batch goes as soon as nothing more is at hand. */
#include "byunique/stages.h"

#include "byunique/clock.h"

enum { QUIET_MS = 100 };

static struct partition *find_partition(const struct assignment *assignment, int32_t number)
{
	for (uint32_t i = 0; i < assignment->count; i++)
		if (assignment->partitions[i].number == number)
			return &assignment->partitions[i];
	return NULL;
}

/* One without headers is nothing but two pieces of bytes: librdkafka's message, which takes several times as much, need not wait
 * for the answer. */
static void keep(struct batch *batch, struct message *message)
{
	if (message->header_count > 0) {
		arena_attach(&batch->arena, message_dispose, message->raw);
		return;
	}
	message->key = arena_copy(&batch->arena, message->key);
	message->value = arena_copy(&batch->arena, message->value);
	message_dispose(message->raw);
	message->raw = NULL;
}

/* A message that was under way when its partition was taken or refused has no partition here, and is let go; so is one
 * that a client library hands out again after a pause. */
static void take(const struct assignment *assignment, const struct message *message, int32_t number, struct batch *batch)
{
	struct partition *partition = find_partition(assignment, number);
	struct message *place = &batch->messages[batch->count];
	int64_t now_ms = clock_mono_ms();

	if (partition == NULL || message->offset < partition->fetched_offset) {
		message_dispose(message->raw);
		return;
	}
	*place = *message;
	place->partition = partition;
	place->follows = partition->fetched_offset;
	keep(batch, place);
	partition->fetched_offset = message->offset + 1;
	partition->was_quiet = partition->was_quiet || now_ms - partition->heard_ms > QUIET_MS;
	partition->heard_ms = now_ms;
	batch->count++;
	batch->bytes += message_bytes(message);
}

bool fetch_batch(struct consumer *consumer, struct assignment *assignment, const struct fetch_limits *limits,
		 struct batch *batch, struct err *err)
{
	enum { WAIT_WHILE_BUSY_MS = 1 };

	while (batch->count < limits->max_commands && batch->bytes < limits->max_bytes) {
		struct message message = {.same_as = NO_MESSAGE};
		bool wanted = limits->wanted(limits->context), got;
		int32_t number;
		int wait_ms = batch->count == 0 ? limits->wait_ms : wanted ? 0 : WAIT_WHILE_BUSY_MS;

		if (!consumer_poll(consumer, wait_ms, &message, &number, &got, err))
			return false;
		if (got)
			take(assignment, &message, number, batch);
		else if (batch->count == 0 || wanted)
			break;
	}
	return true;
}
