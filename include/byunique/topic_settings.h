/* What the worker's topics are set to, as far as its promises depend on it: how large a message may be, and what could lose
 * one that was acknowledged. */
#ifndef BYUNIQUE_TOPIC_SETTINGS_H
#define BYUNIQUE_TOPIC_SETTINGS_H

#include "byunique/config.h"
#include "byunique/log.h"
#include "byunique/published.h"
#include "byunique/replies.h"

enum topic_role { TOPIC_COMMANDS, TOPIC_RESULTS, TOPIC_DEAD_LETTERS, TOPIC_ROLES };

struct topic_settings {
	bool known; /* else the rest is nothing: no right to ask, or no such topic */
	int64_t max_message_bytes;
	int replication_factor;
	int min_insync_replicas;
	bool unclean_election;
	bool compacted;
};

/* Asks the brokers, by a client of its own; what there is of reply topics as well (NULL: none are configured). A topic that
 * can't be described is left unknown. */
bool topic_settings_read(const struct config *config, struct topic_settings settings[TOPIC_ROLES], struct replies *replies,
			 struct err *err) BYU_MUST_CHECK;

/* How large records and batches of results, dead letters and replies may be. Brokers' default for what is not known; never
 * more than kafka.message.max.bytes, kafka.queue.buffering.max.kbytes or most_bytes. Error when it is too little for any
 * result; a reply topic that takes so little gets no replies. */
bool topic_bounds(const struct config *config, const struct topic_settings settings[TOPIC_ROLES], struct replies *replies,
		  size_t most_bytes, struct bounds *bounds, struct err *err) BYU_MUST_CHECK;

struct weakness {
	enum log_level level;
	const char *setting;
	char value[16];
	const char *what;
};
enum { WEAKNESSES_MAX = 4 };

/* What weakens the promise, or may look like it. Pure; how many. */
unsigned topic_weaknesses(enum topic_role role, const struct topic_settings *settings,
			  struct weakness weaknesses[WEAKNESSES_MAX]);

const char *topic_of(const struct config *config, enum topic_role role);

#endif
