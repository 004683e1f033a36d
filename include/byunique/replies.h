/* Request/reply as Spring Kafka does it: a command says in its header kafka_replyTopic where it wants its answer, and perhaps
 * in kafka_replyPartition in which partition. It gets a copy of its result there, in the same Kafka transaction; the results
 * topic has every answer all the same.
 *
 * What a command asks for must not hold up its partition. So only topics of the configuration count (reply.topics), and what
 * can't be delivered is dropped, counted and told of before librdkafka has it: a message that fails there takes its whole
 * transaction along. What can't be seen beforehand, such as a right that is missing, ends a session; the topic is then left
 * out for a while, longer each time. */
#ifndef BYUNIQUE_REPLIES_H
#define BYUNIQUE_REPLIES_H

#include "byunique/err.h"
#include "byunique/slice.h"

struct config;
struct message;
struct rd_kafka_s;
struct rd_kafka_metadata;

#define REPLY_TOPIC_HEADER "kafka_replyTopic"
#define REPLY_PARTITION_HEADER "kafka_replyPartition"

/* What became of a reply that was asked for; the index of a metric's series. */
enum reply_fate {
	REPLY_SENT,
	REPLY_NOT_ALLOWED,  /* reply.topics does not name the topic */
	REPLY_MALFORMED,    /* the partition is not in four bytes */
	REPLY_NO_TOPIC,	    /* there is none, or it may not be seen */
	REPLY_NO_PARTITION, /* the topic has fewer */
	REPLY_NO_LEADER,    /* the partition has none; without a partition: any of the topic's */
	REPLY_TOO_LARGE,    /* for the topic */
	REPLY_LEFT_OUT,	    /* the topic failed a transaction a short while ago */
	REPLY_FATES,
	REPLY_NOT_ASKED = REPLY_FATES,
};
const char *reply_fate_name(enum reply_fate fate);

struct reply_topic {
	char *name;		    /* owned */
	int32_t partitions;	    /* 0: no such topic */
	bool *has_leader;	    /* for each partition; owned */
	int64_t max_message_bytes;  /* as the broker says; 0: not known */
	size_t most_bytes;	    /* of a record batch; made from it by topic_bounds() */
	bool used;		    /* in the transaction at hand, or the last one if it failed */
	int32_t used_partitions;    /* how many it had then */
	bool proven;		    /* a transaction with it was committed since it was last left out */
	unsigned left_out;	    /* times since then */
	int64_t left_out_until_ms; /* monotonic */
};

/* One thread at a time: the publishing one, or the fetching one while there is no session. */
struct replies {
	struct reply_topic *topics; /* owned; at least one */
	uint32_t count;
	char *results_topic;		/* owned */
	unsigned failures;		/* transactions with replies that failed in a row */
	bool blamed;			/* for the last one, even if the topics look all right */
	int64_t looked_ms;		/* when the topics were last looked at; monotonic */
	uint64_t fates[REPLY_FATES];	/* of the transaction at hand */
	int64_t told_ms[REPLY_FATES]; /* when one was last logged */
};

struct replies *replies_new(const struct config *config); /* NULL: no topic is configured, and nothing is asked of it */
void replies_free(struct replies *replies);		   /* NULL is fine, here and below where it is said */

/* --- pure ----------------------------------------------------------------------------------------------------------------- */

/* Where a reply goes. */
struct reply_place {
	struct reply_topic *topic;
	int32_t partition; /* -1: by key */
};

/* By the headers alone: NOT_ASKED, NOT_ALLOWED, MALFORMED, or SENT with *reply filled. A command that names the results topic
 * asks for what it gets anyway. */
enum reply_fate reply_address(const struct replies *replies, const struct message *message, struct reply_place *reply);
/* By what is known of the topic, for a record batch so large. */
enum reply_fate reply_check(const struct reply_place *reply, size_t bytes, int64_t now_ms);
/* Is what is known too old to go by? The sooner when there is something wrong. */
bool replies_due(const struct replies *replies, enum reply_fate fate, int64_t now_ms);

/* What Kafka's list of topics says: for each partition whether it has a leader. */
void reply_topic_seen(struct reply_topic *topic, int32_t partitions, const bool *leaders);
/* For a minute, then two, four … */
void reply_topic_leave_out(struct reply_topic *topic, int64_t now_ms);

void replies_use(struct reply_topic *topic); /* a reply is on its way there */
void replies_begin(struct replies *replies);	 /* a transaction; NULL is fine */
void replies_committed(struct replies *replies); /* NULL is fine */
/* The last transaction failed, and it may have been for them. NULL is fine. */
bool replies_are_suspected(const struct replies *replies);
/* After replies_blame(), with the topics looked at anew: what shows why the transaction failed is gone by; else those topics
 * that may be at fault are left out. */
void replies_convict(struct replies *replies, int64_t now_ms);
/* Counts and, from time to time, tells. */
void replies_note(struct replies *replies, enum reply_fate fate, const struct message *message, int64_t now_ms);

/* --- Kafka ---------------------------------------------------------------------------------------------------------------- */

/* Asks for the list of topics. When that fails, what was known stays. What replies_blame() left open is decided. */
void replies_look(struct replies *replies, struct rd_kafka_s *client);
void replies_take(struct replies *replies, const struct rd_kafka_metadata *metadata);

/* A transaction failed: were it the replies in it? Then the session's end is one that another session follows, which will
 * go on without them. NULL is fine. */
void replies_blame(struct replies *replies, struct err *err);

#endif
