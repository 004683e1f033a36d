/* Nothing here trusts a header: a topic is looked for among those of the configuration, a partition among those that there
 * are. A reply that would go to another partition than the one asked for is none: who waits for it reads only that one. */
#include "byunique/replies.h"

#include "byunique/batch.h"
#include "byunique/config.h"
#include "byunique/log.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const names[REPLY_FATES] = {
	[REPLY_SENT] = "sent",		   [REPLY_NOT_ALLOWED] = "not_allowed",	  [REPLY_MALFORMED] = "malformed",
	[REPLY_NO_TOPIC] = "no_topic",	   [REPLY_NO_PARTITION] = "no_partition", [REPLY_NO_LEADER] = "no_leader",
	[REPLY_TOO_LARGE] = "too_large",   [REPLY_LEFT_OUT] = "left_out",
};

const char *reply_fate_name(enum reply_fate fate)
{
	return names[fate];
}

/* --- life ----------------------------------------------------------------------------------------------------------------- */

static struct reply_topic *find(const struct replies *replies, struct slice name)
{
	for (uint32_t i = 0; i < replies->count; i++)
		if (slice_equal(slice_cstr(replies->topics[i].name), name))
			return &replies->topics[i];
	return NULL;
}

struct replies *replies_new(const struct config *config)
{
	struct replies *replies = xcalloc(1, sizeof(*replies));
	struct slice name;

	for (const char *rest = config->reply_topics; (name = config_next_name(&rest)).len > 0;) {
		if (find(replies, name) != NULL)
			continue;
		replies->topics = xrealloc(replies->topics, (replies->count + 1) * sizeof(*replies->topics));
		replies->topics[replies->count++] = (struct reply_topic){.name = xasprintf(SLICE_FMT, SLICE_ARG(name))};
	}
	if (replies->count == 0) {
		free(replies);
		return NULL;
	}
	replies->results_topic = xstrdup(config->results_topic);
	return replies;
}

void replies_free(struct replies *replies)
{
	if (replies == NULL)
		return;
	for (uint32_t i = 0; i < replies->count; i++) {
		free(replies->topics[i].name);
		free(replies->topics[i].has_leader);
	}
	free(replies->topics);
	free(replies->results_topic);
	free(replies);
}

/* --- one reply ------------------------------------------------------------------------------------------------------------ */

enum reply_fate reply_address(const struct replies *replies, const struct message *message, struct reply_place *reply)
{
	struct slice topic = message->reply_topic, partition = message->reply_partition;
	uint32_t number;

	if (topic.base == NULL || slice_equal(topic, slice_cstr(replies->results_topic)))
		return REPLY_NOT_ASKED;
	*reply = (struct reply_place){.topic = find(replies, topic), .partition = -1};
	if (reply->topic == NULL)
		return REPLY_NOT_ALLOWED;
	if (partition.base == NULL)
		return REPLY_SENT;
	if (partition.len != sizeof(number))
		return REPLY_MALFORMED;
	memcpy(&number, partition.base, sizeof(number));
	reply->partition = (int32_t)be32toh(number);
	return reply->partition >= 0 ? REPLY_SENT : REPLY_NO_PARTITION;
}

/* Not even for the moment that an election takes: a transaction with a partition that has no leader can't be ended, neither
 * way, and until it is, no other can be begun. Where the key leads is librdkafka's to say, so there every partition counts. */
static bool has_leader(const struct reply_topic *topic, int32_t partition)
{
	bool all = true;

	if (partition >= 0)
		return topic->has_leader[partition];
	for (int32_t i = 0; i < topic->partitions; i++)
		all = all && topic->has_leader[i];
	return all;
}

enum reply_fate reply_check(const struct reply_place *reply, size_t bytes, int64_t now_ms)
{
	const struct reply_topic *topic = reply->topic;

	if (topic->partitions == 0)
		return REPLY_NO_TOPIC;
	if (reply->partition >= topic->partitions)
		return REPLY_NO_PARTITION;
	if (now_ms < topic->left_out_until_ms)
		return REPLY_LEFT_OUT;
	if (!has_leader(topic, reply->partition))
		return REPLY_NO_LEADER;
	return bytes > topic->most_bytes ? REPLY_TOO_LARGE : REPLY_SENT;
}

bool replies_due(const struct replies *replies, enum reply_fate fate, int64_t now_ms)
{
	enum { GOOD_MS = 3000, BAD_MS = 1000 };
	bool bad = fate == REPLY_NO_TOPIC || fate == REPLY_NO_PARTITION || fate == REPLY_NO_LEADER;

	return now_ms - replies->looked_ms >= (bad ? BAD_MS : GOOD_MS);
}

/* --- topics --------------------------------------------------------------------------------------------------------------- */

void reply_topic_seen(struct reply_topic *topic, int32_t partitions, const bool *leaders)
{
	topic->has_leader = xrealloc(topic->has_leader, (size_t)partitions + 1);
	if (partitions > 0)
		memcpy(topic->has_leader, leaders, (size_t)partitions * sizeof(*leaders));
	topic->partitions = partitions;
}

void reply_topic_leave_out(struct reply_topic *topic, int64_t now_ms)
{
	enum { FIRST_MS = 60000, DOUBLINGS = 5 };
	unsigned doublings = topic->left_out < DOUBLINGS ? topic->left_out : DOUBLINGS;

	topic->left_out++;
	topic->left_out_until_ms = now_ms + ((int64_t)FIRST_MS << doublings);
	topic->proven = false;
}

/* --- transactions --------------------------------------------------------------------------------------------------------- */

void replies_use(struct reply_topic *topic)
{
	topic->used = true;
	topic->used_partitions = topic->partitions;
}

void replies_begin(struct replies *replies)
{
	if (replies == NULL)
		return;
	memset(replies->fates, 0, sizeof(replies->fates));
	for (uint32_t i = 0; i < replies->count; i++)
		replies->topics[i].used = false;
}

void replies_committed(struct replies *replies)
{
	if (replies == NULL)
		return;
	for (uint32_t i = 0; i < replies->count; i++) {
		struct reply_topic *topic = &replies->topics[i];
		if (!topic->used)
			continue;
		topic->used = false;
		topic->proven = true;
		topic->left_out = 0;
		replies->failures = 0;
	}
}

bool replies_are_suspected(const struct replies *replies)
{
	return replies != NULL && replies->failures > 0;
}

/* Has it lost partitions since, or a leader? */
static bool is_evident(const struct reply_topic *topic)
{
	return topic->partitions < topic->used_partitions || !has_leader(topic, -1);
}

/* Those that were never in a transaction that was committed; if there are none, all that were in this one. */
static void leave_out_suspects(struct replies *replies, int64_t now_ms)
{
	bool any_unproven = false;

	for (uint32_t i = 0; i < replies->count; i++)
		any_unproven = any_unproven || (replies->topics[i].used && !replies->topics[i].proven);
	for (uint32_t i = 0; i < replies->count; i++) {
		struct reply_topic *topic = &replies->topics[i];
		if (!topic->used || (any_unproven && topic->proven))
			continue;
		reply_topic_leave_out(topic, now_ms);
		log_event(LOG_WARN, "reply_topic_left_out", "topic=%s seconds=%" PRId64 " reason=%s", log_quotes(topic->name),
			  (topic->left_out_until_ms - now_ms) / 1000,
			  "\"a Kafka transaction with replies failed, perhaps for this topic\"");
	}
}

void replies_convict(struct replies *replies, int64_t now_ms)
{
	bool any_evident = false;

	if (replies->failures == 0)
		return;
	for (uint32_t i = 0; i < replies->count; i++)
		if (replies->topics[i].used && is_evident(&replies->topics[i]))
			any_evident = true;
	if (!any_evident && replies->blamed)
		leave_out_suspects(replies, now_ms);
	if (any_evident || replies->blamed)
		replies->failures = 0;
	replies->blamed = false;
}

/* A header may hold anything, and a log is no place for that. */
static bool is_tellable(struct slice topic)
{
	enum { NAME_BYTES_MAX = 249 };
	bool fine = topic.len > 0 && topic.len <= NAME_BYTES_MAX;

	for (size_t i = 0; fine && i < topic.len; i++)
		fine = topic.base[i] > ' ' && topic.base[i] <= '~';
	return fine;
}

void replies_note(struct replies *replies, enum reply_fate fate, const struct message *message, int64_t now_ms)
{
	enum { REPEATS_MS = 10000 };

	if (fate == REPLY_NOT_ASKED)
		return;
	replies->fates[fate]++;
	if (fate == REPLY_SENT || (replies->told_ms[fate] != 0 && now_ms - replies->told_ms[fate] < REPEATS_MS))
		return;
	replies->told_ms[fate] = now_ms;
	log_event(LOG_WARN, "reply_dropped", "topic=%s reason=%s partition=%" PRId32 " offset=%" PRId64,
		  is_tellable(message->reply_topic) ? log_quote(message->reply_topic) : "\"(no name of a topic)\"",
		  names[fate], message->partition->number, message->offset);
}
