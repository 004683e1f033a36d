/* A replication factor of 1 is a visible choice, of a test or of a storage that replicates by itself: told, not warned of. */
#include "byunique/topic_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char *topic_of(const struct config *config, enum topic_role role)
{
	switch (role) {
	case TOPIC_COMMANDS: return config->commands_topic;
	case TOPIC_RESULTS: return config->results_topic;
	default: return config->dead_letter_topic;
	}
}

enum { UNKNOWN_BYTES = 1000000 }; /* brokers take 1048588 unless told otherwise */

/* --- bounds --------------------------------------------------------------------------------------------------------------- */

/* What librdkafka takes from us: a message at most, and all that waits to be sent. A message that is larger than the queue
 * would find it full for ever. */
static bool producer_takes(const struct config *config, size_t *bytes, struct err *err)
{
	static const struct {
		const char *key;
		size_t unit;
	} limits[] = {{"message.max.bytes", 1}, {"queue.buffering.max.kbytes", 1024}};

	*bytes = SIZE_MAX;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		const char *given = config_kafka(config, limits[i].key);
		size_t takes = given ? (size_t)strtoull(given, NULL, 10) * limits[i].unit : SIZE_MAX;
		if (takes < BOUND_LEAST_BYTES) {
			err_set(err, VERDICT_USAGE, "", "kafka.%s is too small for results", limits[i].key);
			return err_detail(err, "at least %d bytes are needed", BOUND_LEAST_BYTES);
		}
		*bytes = takes < *bytes ? takes : *bytes;
	}
	return true;
}

static bool bound(const struct config *config, enum topic_role role, const struct topic_settings *settings, size_t most_bytes,
		  size_t *bytes, struct err *err)
{
	size_t given_bytes;

	*bytes = settings->known ? (size_t)settings->max_message_bytes : UNKNOWN_BYTES;
	if (*bytes < BOUND_LEAST_BYTES) {
		err_set(err, VERDICT_STOP, "", "the topic \"%s\" takes no message as large as a result", topic_of(config, role));
		err_detail(err, "its max.message.bytes is %zu, at least %d are needed", *bytes, BOUND_LEAST_BYTES);
		return err_hint(err, "Raise it.");
	}
	if (!producer_takes(config, &given_bytes, err))
		return false;
	*bytes = given_bytes < *bytes ? given_bytes : *bytes;
	*bytes = most_bytes < *bytes ? most_bytes : *bytes;
	return true;
}

/* The least counts for batches, but for that of a topic which gets nothing anyway. */
static bool bound_replies(const struct config *config, struct replies *replies, size_t most_bytes, size_t *bytes,
			  struct err *err)
{
	size_t given_bytes;

	*bytes = SIZE_MAX;
	if (!producer_takes(config, &given_bytes, err))
		return false;
	for (uint32_t i = 0; replies != NULL && i < replies->count; i++) {
		struct reply_topic *topic = &replies->topics[i];
		size_t takes = topic->max_message_bytes > 0 ? (size_t)topic->max_message_bytes : UNKNOWN_BYTES;
		takes = given_bytes < takes ? given_bytes : takes;
		topic->most_bytes = most_bytes < takes ? most_bytes : takes;
		if (topic->most_bytes < BOUND_LEAST_BYTES)
			topic->most_bytes = 0;
		else if (topic->partitions > 0 && topic->most_bytes < *bytes)
			*bytes = topic->most_bytes;
	}
	return true;
}

bool topic_bounds(const struct config *config, const struct topic_settings settings[TOPIC_ROLES], struct replies *replies,
		  size_t most_bytes, struct bounds *bounds, struct err *err)
{
	bounds->letter_bytes = SIZE_MAX;
	return bound_replies(config, replies, most_bytes, &bounds->reply_bytes, err) &&
	       bound(config, TOPIC_RESULTS, &settings[TOPIC_RESULTS], most_bytes, &bounds->result_bytes, err) &&
	       (config->dead_letter_topic[0] == '\0' ||
		bound(config, TOPIC_DEAD_LETTERS, &settings[TOPIC_DEAD_LETTERS], most_bytes, &bounds->letter_bytes, err));
}

/* --- weaknesses ----------------------------------------------------------------------------------------------------------- */

static const char what_unclean[] = "a replica that lacks acknowledged messages may become the leader: they are lost";
static const char what_min_insync[] = "one replica alone may acknowledge: when it is lost, so is what it acknowledged";
static const char what_compacted_commands[] = "a command is removed, unanswered, when a later one has its key";
static const char what_compacted[] = "a message is removed when a later one has its key";
static const char what_one_replica[] = "there is no second copy of a message";

static void add(struct weakness *weaknesses, unsigned *count, enum log_level level, const char *setting, const char *value,
		const char *what)
{
	struct weakness *weakness = &weaknesses[(*count)++];

	*weakness = (struct weakness){.level = level, .setting = setting, .what = what};
	snprintf(weakness->value, sizeof(weakness->value), "%s", value);
}

unsigned topic_weaknesses(enum topic_role role, const struct topic_settings *settings,
			  struct weakness weaknesses[WEAKNESSES_MAX])
{
	unsigned count = 0;

	if (!settings->known)
		return 0;
	if (settings->replication_factor == 1)
		add(weaknesses, &count, LOG_INFO, "replication.factor", "1", what_one_replica);
	if (settings->replication_factor > 1 && settings->min_insync_replicas == 1)
		add(weaknesses, &count, LOG_WARN, "min.insync.replicas", "1", what_min_insync);
	if (settings->unclean_election)
		add(weaknesses, &count, LOG_WARN, "unclean.leader.election.enable", "true", what_unclean);
	if (settings->compacted)
		add(weaknesses, &count, LOG_WARN, "cleanup.policy", "compact",
		    role == TOPIC_COMMANDS ? what_compacted_commands : what_compacted);
	return count;
}
