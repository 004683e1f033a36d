/* Is it still the same topic? One that is deleted and made anew under a running worker, and grows past what was fetched
 * before the worker fetches again, looks like one in which nothing happened: Kafka's protocol, as librdkafka 2.0.2 speaks it,
 * knows topics by their names. But the group's offsets go with a topic. So where a partition was quiet for a moment, as it
 * must have been meanwhile, they are asked for before what comes then is handed on. When they are gone, the session ends: the
 * next one looks at the last message processed, and refuses the partition for good, as nothing of the new topic is stored.
 *
 * Rejected: to read the last message again, which takes a client, or a connection, and ten times as long; to ask
 * periodically, as that would notice only when something is done already. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/log.h"

#include <inttypes.h>
#include <stdlib.h>

/* That the group has an offset has to be seen before its absence tells anything (a group may begin; librdkafka's mock cluster
 * forgets). Seen once is enough, so this is asked when something was published, and at most once a second. */
static bool is_worth_seeing(const struct partition *partition)
{
	return !partition->offset_seen && partition->published > partition->start;
}

static bool has_vanished(struct partition *partition, int64_t committed)
{
	bool vanished = partition->offset_seen && committed < 0;

	partition->offset_seen = partition->offset_seen || committed >= 0;
	partition->was_quiet = false;
	return vanished;
}

static bool refuse(const struct pipeline *pipeline, int32_t number, struct err *err)
{
	err_set(err, VERDICT_REJOIN, "", "the group's offset of partition %" PRId32 " has vanished", number);
	return err_detail(err, "so the topic %s was deleted, and perhaps recreated", pipeline->config->commands_topic);
}

static bool ask(struct pipeline *pipeline, struct partition **asked, uint32_t count, struct err *err)
{
	int32_t *numbers = xcalloc(count, sizeof(*numbers));
	int64_t *committed = xcalloc(count, sizeof(*committed));

	for (uint32_t i = 0; i < count; i++)
		numbers[i] = asked[i]->number;
	bool ok = consumer_committed(pipeline->consumer, numbers, count, committed, err);
	for (uint32_t i = 0; ok && i < count; i++)
		ok = !has_vanished(asked[i], committed[i]) || refuse(pipeline, asked[i]->number, err);
	free(numbers);
	free(committed);
	return ok;
}

static bool any(const struct assignment *assignment, bool (*is_asked)(const struct partition *))
{
	for (uint32_t i = 0; assignment != NULL && i < assignment->count; i++)
		if (is_asked(&assignment->partitions[i]))
			return true;
	return false;
}

static bool ask_where(struct pipeline *pipeline, bool (*is_asked)(const struct partition *), struct err *err)
{
	struct assignment *assignment = pipeline->assignment;
	uint32_t count = 0;

	if (!any(assignment, is_asked))
		return true;
	struct partition **asked = xcalloc(assignment->count, sizeof(struct partition *));
	for (uint32_t i = 0; i < assignment->count; i++)
		if (is_asked(&assignment->partitions[i]))
			asked[count++] = &assignment->partitions[i];
	bool ok = ask(pipeline, asked, count, err);
	free(asked);
	return ok;
}

static bool is_in_doubt(const struct partition *partition)
{
	return partition->was_quiet;
}

bool vouch_for_fetched(struct pipeline *pipeline, struct err *err)
{
	return ask_where(pipeline, is_in_doubt, err);
}

void vouch_meanwhile(struct pipeline *pipeline)
{
	enum { ASK_MS = 1000 };
	struct err err;

	if (any(pipeline->assignment, is_worth_seeing) && log_limit(&pipeline->vouched_at_ms, ASK_MS) &&
	    !ask_where(pipeline, is_worth_seeing, &err))
		log_err(LOG_DEBUG, "offsets_unknown", &err);
}
