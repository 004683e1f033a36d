/* No timer decides when a batch is complete. The stage ahead does: while it works, the batch grows; when it asks, the
 * batch goes as soon as nothing more is at hand, or there are many in it already. */
#include "byunique/stages.h"

#include "byunique/clock.h"

enum { QUIET_MS = 100, MANY = 1024 };

/* Messages come many of a partition in a row: `last` is the partition of the one before, or NULL. */
static struct partition *find_partition(const struct assignment *assignment, int32_t number, struct partition *last)
{
	if (last != NULL && last->number == number)
		return last;
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

/* The batch's next message. One that was under way when its partition was taken or refused has no partition here, and is let
 * go; so is one that a client library hands out again after a pause. */
static void take(struct batch *batch, struct partition *partition, int64_t now_ms)
{
	struct message *message = &batch->messages[batch->count];

	if (partition == NULL || message->offset < partition->fetched_offset) {
		message_dispose(message->raw);
		return;
	}
	message->partition = partition;
	message->follows = partition->fetched_offset;
	keep(batch, message);
	partition->fetched_offset = message->offset + 1;
	partition->was_quiet = partition->was_quiet || now_ms - partition->heard_ms > QUIET_MS;
	partition->heard_ms = now_ms;
	batch->count++;
	batch->bytes += message_bytes(message);
}

/* How long to wait where nothing is at hand. 0: no longer, what there is may go. */
static int patience_ms(const struct fetch_limits *limits, const struct batch *batch, int waited_ms)
{
	enum { WHILE_BUSY_MS = 1 };

	if (batch->count == 0)
		return waited_ms == 0 ? limits->wait_ms : 0;
	return limits->wanted(limits->context) ? 0 : WHILE_BUSY_MS;
}

/* What is at hand is taken without a look at the clock, and with few at the stage ahead: those took an eighth of the fetching
 * thread's time. */
bool fetch_batch(struct consumer *consumer, struct assignment *assignment, const struct fetch_limits *limits,
		 struct batch *batch, struct err *err)
{
	struct partition *partition = NULL;
	int64_t now_ms = clock_mono_ms();
	int wait_ms = 0;

	while (batch->count < limits->max_commands && batch->bytes < limits->max_bytes) {
		struct message *message = &batch->messages[batch->count];
		int32_t number;
		bool got;

		*message = (struct message){.same_as = NO_MESSAGE};
		if (!consumer_poll(consumer, wait_ms, message, &number, &got, err))
			return false;
		if (wait_ms > 0)
			now_ms = clock_mono_ms();
		if (got) {
			partition = find_partition(assignment, number, partition);
			take(batch, partition, now_ms);
			wait_ms = 0;
			if (batch->count % MANY == 0 && limits->wanted(limits->context))
				break;
			continue;
		}
		wait_ms = patience_ms(limits, batch, wait_ms);
		if (wait_ms == 0)
			break;
	}
	return true;
}
