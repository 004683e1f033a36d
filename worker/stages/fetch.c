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

/* The next message of its lane's batch. One that was under way when its partition was taken or refused has no partition here,
 * and is let go; so is one that a client library hands out again after a pause. NULL: it was. */
static struct batch *take(const struct fetch_target *target, struct message *polled, struct partition *partition, int64_t now_ms)
{
	if (partition == NULL || polled->offset < partition->fetched_offset) {
		message_dispose(polled->raw);
		return NULL;
	}
	struct batch *batch = target->batches[partition->lane];
	struct message *message = &batch->messages[batch->count];
	if (message != polled) /* it was read into the batch of the one before */
		*message = *polled;
	message->partition = partition;
	message->follows = partition->fetched_offset;
	keep(batch, message);
	partition->fetched_offset = message->offset + 1;
	partition->was_quiet = partition->was_quiet || now_ms - partition->heard_ms > QUIET_MS;
	partition->heard_ms = now_ms;
	batch->count++;
	batch->bytes += message_bytes(message);
	return batch;
}

static uint32_t count_all(const struct fetch_target *target)
{
	uint32_t count = 0;

	for (unsigned lane = 0; lane < target->lanes; lane++)
		count += target->batches[lane]->count;
	return count;
}

static bool has_room(const struct fetch_limits *limits, const struct batch *batch)
{
	return batch->count < limits->max_commands && batch->count < batch->capacity && batch->bytes < limits->max_bytes;
}

static bool have_room(const struct fetch_limits *limits, const struct fetch_target *target)
{
	for (unsigned lane = 0; lane < target->lanes; lane++)
		if (!has_room(limits, target->batches[lane]))
			return false;
	return true;
}

/* How long to wait where nothing is at hand. 0: no longer, what there is may go. */
static int patience_ms(const struct fetch_limits *limits, bool any, int waited_ms)
{
	enum { WHILE_BUSY_MS = 1 };

	if (!any)
		return waited_ms == 0 ? limits->wait_ms : 0;
	return limits->wanted(limits->context) ? 0 : WHILE_BUSY_MS;
}

/* What is at hand is taken without a look at the clock, and with few at the stage ahead: those took an eighth of the fetching
 * thread's time. */
bool fetch_batches(struct consumer *consumer, const struct fetch_target *target, const struct fetch_limits *limits,
		   struct err *err)
{
	struct batch *batch = target->batches[0]; /* that of the message before */
	struct partition *partition = NULL;
	uint32_t count = count_all(target);
	int64_t now_ms = clock_mono_ms();
	int wait_ms = 0;

	for (bool room = have_room(limits, target); room; room = has_room(limits, batch)) {
		struct message *message = &batch->messages[batch->count];
		int32_t number;
		bool got;

		*message = (struct message){.same_as = NO_MESSAGE};
		if (!consumer_poll(consumer, wait_ms, message, &number, &got, err))
			return false;
		if (wait_ms > 0)
			now_ms = clock_mono_ms();
		if (got) {
			partition = find_partition(target->assignment, number, partition);
			struct batch *taken = take(target, message, partition, now_ms);
			batch = taken != NULL ? taken : batch;
			count += taken != NULL;
			wait_ms = 0;
			if (count % MANY == 0 && limits->wanted(limits->context))
				break;
			continue;
		}
		wait_ms = patience_ms(limits, count > 0, wait_ms);
		if (wait_ms == 0)
			break;
	}
	return true;
}
