/* What travels down the path: a batch of messages, owned by one stage at a time.
 *
 * fetch fills it, decode and validate decide what they can, recall and plan find out what is new, apply stores, answer
 * and commit publish. Everything in it lives in its arena, raw Kafka messages included. */
#ifndef BYUNIQUE_BATCH_H
#define BYUNIQUE_BATCH_H

#include "byunique/arena.h"
#include "byunique/catalogue.h"
#include "byunique/cell.h"
#include "byunique/command.h"
#include "byunique/outcome.h"

enum {
	SENT_MAX = 2,  /* batches under way on one connection to PostgreSQL */
	LANES_MAX = 16, /* connections that store batches: pipeline.h */
};

struct id_index;
struct rd_kafka_message_s;
struct rd_kafka_consumer_group_metadata_s;

/* One partition of the commands topic that this worker holds. Who may touch a field is said beside it. */
struct partition {
	int32_t number;		   /* fixed at assignment */
	int32_t id;		   /* of the position row; fixed at assignment */
	unsigned lane;		   /* whose storing thread stores it; fixed at assignment */
	int64_t start;		   /* first offset to fetch; fixed at assignment */
	int64_t fetched_offset;	   /* next to be fetched; fetching thread */
	int64_t heard_ms;	   /* when its last message was fetched; fetching thread */
	bool was_quiet;		   /* before messages that are in a batch now; fetching thread */
	bool offset_seen;	   /* the group is known to have an offset of it; fetching thread */
	_Atomic int64_t next_offset; /* as last stored in PostgreSQL; storing thread stores */
	int64_t uncertain_offset;  /* what a COMMIT without answer may have stored, -1: none; storing thread */
	/* What batches that were sent ahead move next_offset to, in their order, until it is known; storing thread */
	int64_t sent_offsets[SENT_MAX];
	unsigned sent_count;
	bool recalled;		   /* a batch of it has gone the long way since the assignment; storing thread */
	struct id_index *ids;	   /* those that took effect; owned; storing thread */
	int64_t ids_from;	   /* blocks from this offset on are not in the index yet; storing thread */
	int64_t published_stored;  /* as last stored in PostgreSQL; storing thread */
	bool refused;		   /* it turned out not to be the one that was processed; storing thread */
	bool awaits;		   /* a schema: its messages are set aside; fetching thread */
	_Atomic int64_t published; /* results below this offset are known to be published; publishing thread stores */
};

/* Where the next batch of the partition finds it, if all goes well that is under way. */
static inline int64_t partition_expected(const struct partition *partition)
{
	return partition->sent_count > 0 ? partition->sent_offsets[partition->sent_count - 1] : partition->next_offset;
}
/* Could this be where PostgreSQL's position row stands, by all that this worker did? */
bool partition_may_be_at(const struct partition *partition, int64_t next_offset);
/* That is where it stands: what was sent for less is settled. */
void partition_is_at(struct partition *partition, int64_t next_offset);
/* A batch was sent that moves it there; it was not stored after all. */
void partition_sent(struct partition *partition, int64_t next_offset);
void partition_unsent(struct partition *partition, int64_t next_offset);

/* What a rebalance gave to this worker; lives until the next one has drained the path. */
struct assignment {
	struct partition *partitions; /* owned; refused ones are left out */
	uint32_t count;
	uint8_t token[16]; /* this worker's mark on the position rows: the fence */
	struct rd_kafka_consumer_group_metadata_s *group; /* generation and member, for the Kafka transaction; owned */
	_Atomic bool lost; /* taken away without a chance to finish: its batches are dropped */
};

/* Where a message stands. */
enum message_state {
	MESSAGE_NEW,	  /* its offset was never processed; outcome may be decided already (refused) or not */
	MESSAGE_REPEATED, /* processed before: outcome is the stored one, nothing is applied */
};

struct message {
	struct rd_kafka_message_s *raw; /* disposed of by the batch's arena; NULL: it has no headers */
	struct partition *partition;
	int64_t offset;
	int64_t follows;    /* everything below this offset was read before it */
	struct slice key;   /* views raw, or in the batch's arena; absent when null */
	struct slice value; /* the same */
	struct slice schema_header; /* value of the header __value_schema_id; views raw; absent: none, or no registry */
	uint64_t hash;	    /* message_hash(key, value) */
	int64_t timestamp_ms; /* of the message in Kafka; -1: none */
	uint32_t header_count;
	size_t header_bytes; /* of all headers, as they lie in a record */
	/* where reply topics are configured, else absent; of several the last; view raw */
	struct slice reply_topic, reply_partition;
	/* where results are CloudEvents, else nothing */
	struct slice event_id;	      /* of the command; views raw; absent: it has none */
	uint32_t event_header_count; /* headers that the result's own attributes replace, and their bytes */
	size_t event_header_bytes;

	/* decode */
	bool decoded; /* command is filled, whatever the outcome */
	bool has_id;  /* command_id is a UUID: id and content are filled */
	struct command command;
	struct uuid id;
	struct content_hash content;

	/* validate: extension, key and cells are filled when nothing was found wrong */
	const struct extension *extension; /* held by the batch's catalogue */
	struct cell *key_cells;		   /* unique_count of them, in the order of extension->unique */
	struct cell *cells;		   /* what is to be stored: no unique attribute among them; sorted by attribute */
	uint32_t cell_count;

	/* recall, plan and apply */
	enum message_state state;
	uint32_t same_as; /* index in the batch of the earlier message with the same id and content, or NO_MESSAGE */
	struct outcome answer; /* the final outcome: starts as a copy of `outcome` each time the batch is recalled */
	struct slice result;   /* the answer as Avro, framed; by the answer stage, as long as its arena says */
	unsigned result_cuts, letter_cuts; /* what had to go (published.h); by the answer stage */
	struct outcome outcome; /* what decode and validate decided; code NONE: nothing wrong so far */
};

#define NO_MESSAGE UINT32_MAX

/* What a message of Kafka takes in memory, by and large. A value counts several times: attributes of two bytes take forty
 * when they are decoded. */
static inline size_t message_bytes(const struct message *message)
{
	enum { VALUE_TIMES = 4 };
	return message->key.len + VALUE_TIMES * message->value.len + message->header_bytes;
}

struct batch {
	struct arena arena;
	struct message *messages; /* in the order of reading; within a partition by offset */
	uint32_t count;
	uint32_t capacity;
	size_t bytes;		      /* message_bytes() of all */
	uint32_t prepared;	      /* messages when it was last decoded and validated */
	bool more_to_come;	      /* when it was offered, as many were at hand as a batch may have */
	struct assignment *assignment; /* borrowed; outlives its batches; all of the partitions are of one lane */
	struct catalogue *catalogue;	/* what validate used; a reference is held */
	struct batch *next;		/* in a queue or pool */
};

struct batch *batch_new(uint32_t capacity);
void batch_clear(struct batch *batch); /* to be filled again */
void batch_reserve(struct batch *batch, uint32_t capacity); /* at least so many messages; pointers to messages are void */
void batch_free(struct batch *batch);

/* Moves those messages that decode has left undecided, in their order, behind what `aside` holds. */
void batch_set_aside(struct batch *batch, struct batch *aside);

#endif
