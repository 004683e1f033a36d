/* The path of a batch, in order:
 *
 *     fetch → decode → validate → recall → plan → apply → answer → commit
 *                                └──── ahead ────┘
 * decode, validate and plan are pure; fetch, answer and commit talk to Kafka (kafka/), recall and apply to PostgreSQL
 * (pg/). pipeline.c is the only caller and the only place that reacts to an error's verdict. */
#ifndef BYUNIQUE_STAGES_H
#define BYUNIQUE_STAGES_H

#include "byunique/avro.h"
#include "byunique/batch.h"
#include "byunique/columns.h"
#include "byunique/consumer.h"
#include "byunique/pg_pipeline.h"
#include "byunique/producer.h"

/* fetch: messages into batches, those of a partition into its lane's. Waits up to wait_ms for the first one; then takes what is
 * there, until a batch is full or, once `wanted` says that there is one for which the next stage has nothing else to do, until
 * nothing more is at hand or there are many. A topic that is quiet thus waits for nothing, and a busy one fills its batches by
 * itself. */
struct fetch_limits {
	uint32_t max_commands;
	size_t max_bytes;
	int wait_ms;
	bool (*wanted)(void *context);
	void *context;
};
struct fetch_target {
	struct assignment *assignment; /* messages of other partitions are let go */
	struct batch *const *batches; /* of each lane; there may be messages in them */
	unsigned lanes;
};
bool fetch_batches(struct consumer *consumer, const struct fetch_target *target, const struct fetch_limits *limits,
		   struct err *err) BYU_MUST_CHECK;

/* What a message may have at most (limit.*). It says nothing of messages that were processed before: what they repeat of
 * their commands has to be in their results again, whatever the limits were then. */
struct message_limits {
	size_t message_bytes; /* key and value */
	size_t header_bytes;
	uint32_t attributes;
};

/* decode: raw values → commands, ids and content hashes. Undecodable or beyond a limit → OUTCOME_MALFORMED_MESSAGE; no UUID →
 * OUTCOME_INVALID_COMMAND_ID. False when a writer's schema can't be had now (VERDICT_RETRY): the messages of partitions that
 * await one (partition->awaits) are left undecided from there on. */
bool decode_batch(struct batch *batch, struct schemas *schemas, const struct message_limits *limits, struct err *err)
	BYU_MUST_CHECK;

/* validate: commands against the catalogue; fills extension, key_cells and cells, or the outcome. Rows of the contract's
 * table from InvalidCustomerId to InvalidAttributeValue, in that order. Takes a reference to the catalogue. May be called
 * again with a newer catalogue: everything that it decided is decided anew. */
void validate_batch(struct batch *batch, struct catalogue *catalogue);
/* The same for one message; the outcome code is OUTCOME_NONE when nothing is wrong. */
void validate_message(struct message *message, const struct catalogue *catalogue, struct arena *arena);

/* Messages begin to end - 1 of a batch: what goes through one PostgreSQL transaction. The whole batch at first; smaller
 * when a message has to be told apart from the others. */
struct span {
	struct batch *batch;
	uint32_t begin, end;
};

/* What recall and apply keep between batches: connection, prepared statements, buffers. One thread uses it. */
struct store;
/* Borrows the connection. Ids count for id_retention_ms, published outcomes for outcome_retention_ms. */
struct store *store_new(struct pg *pg, int64_t id_retention_ms, int64_t outcome_retention_ms);
void store_free(struct store *store);
/* From now on; by the thread that uses it. */
void store_retain(struct store *store, int64_t id_retention_ms, int64_t outcome_retention_ms);

/* Before recall: the index of ids learns of what was stored without it, by an earlier owner of the partition or by a COMMIT
 * whose answer was lost. Nothing to do, mostly. */
bool store_learn_ids(struct store *store, const struct span *span, struct err *err) BYU_MUST_CHECK;

/* recall: opens the transaction. Locks the catalogue and the position rows, checks the fence (VERDICT_REJOIN when another
 * worker has these partitions), finds what was processed before (state REPEATED, with the stored answer) and which
 * ids took effect before. Messages change only from here on, and are reset by calling it again.
 * *behind: a lost COMMIT turns out to have been one, and the index of ids lacks what it stored: end the transaction, call
 * store_learn_ids() and recall again. *catalogue_version is what holds until the transaction ends: if it is not the batch's, load the catalogue in this
 * transaction, validate again, and go on. VERDICT_REFUSE: the topic is not the one that was processed. */
bool recall_span(struct store *store, const struct span *span, int64_t *catalogue_version, bool *behind, struct err *err)
	BYU_MUST_CHECK;

/* One net change of one record: the commands of a span that meet it, folded in their order. */
struct change {
	uint32_t message;   /* the first command's index in the batch */
	struct cell *cells; /* what is to be stored in the end, sorted by attribute */
	uint32_t cell_count;
};

/* A further command folded into a change. */
struct folded {
	uint32_t change; /* index in the group */
	uint32_t message;
};

/* The changes of one extension, sorted by key, so that two workers lock records in the same order. Those that store
 * nothing are a group of their own, without columns. */
struct group {
	const struct extension *extension;
	struct change *changes;
	uint32_t change_count;
	struct folded *folded;
	uint32_t folded_count;
	struct columns columns; /* attributes stored by any of them */
};

/* The ids that may take effect: open addressing; an id's latest message in the batch. */
struct id_table {
	uint32_t *slots; /* message index, or NO_MESSAGE */
	uint32_t mask;
};

struct plan {
	struct group *groups;
	uint32_t group_count;
	uint32_t planned; /* commands in all groups */
	struct id_table ids;
};

/* Is this message's command going to be carried out? True from plan to apply's answers. Its id then takes effect, unless its
 * record is not found. */
static inline bool message_is_planned(const struct message *message)
{
	return message->state == MESSAGE_NEW && message->answer.code == OUTCOME_NONE && message->same_as == NO_MESSAGE;
}

/* plan: what is new and not refused, as conflict-free changes. Pure; in the batch's arena. An id that comes twice with the
 * same content: the later message gets same_as. With other content: span->end is moved before it, the rest of the batch
 * makes a span of its own. */
void plan_span(struct span *span, struct plan *plan);
/* May a command of this batch, whose plan it is, take effect under the message's id, in its partition? */
bool plan_has_id(const struct plan *plan, const struct batch *batch, const struct message *message);

/* apply: stores changes, ids, outcomes and positions, commits; then every message of the span has its answer. On error the
 * transaction is rolled back, except that the fate of a COMMIT without answer is open (recall finds out). */
bool apply_span(struct store *store, const struct span *span, const struct plan *plan, struct err *err) BYU_MUST_CHECK;

/* ahead: recall, plan and apply in one trip, for a batch that this worker believes to be new in all its messages and ids. What
 * recall would find out is a condition in the transaction, so that it fails rather than do what is not right; then, and
 * whenever it fails, the batch goes the long way. Nothing in it waits for an answer: a batch may be sent while another one,
 * `before`, is under way. */
struct flight {
	struct span span; /* the whole batch */
	struct plan plan;
	struct reach *reaches; /* in the batch's arena */
	uint32_t reach_count;
	int64_t processed_at_ms;
};
/* False: it has to go the long way, and nothing may be under way then. `before` may be NULL. */
bool ahead_plan(struct batch *batch, const struct flight *before, struct flight *flight);
void ahead_send(struct store *store, struct flight *flight);
/* Flights are received in the order in which they were sent. *in_doubt: it failed because the worker believed too much: no
 * trouble, go the long way. Otherwise as apply_span(). */
bool ahead_receive(struct store *store, struct flight *flight, bool *in_doubt, struct err *err) BYU_MUST_CHECK;

/* answer: the bytes of every message's result, in the arena `results`, and what has to go of results and dead letters so that
 * their topics take them. May be called again, with other bounds. How many messages lost something. */
uint32_t answer_batch(struct batch *batch, const struct config *config, struct schemas *schemas, const struct bounds *bounds,
		      struct arena *results);

/* commit: results, dead letters and the group's offsets of some batches, in order, in one Kafka transaction. All zero: none is
 * open. */
struct publication {
	uint32_t batch_count;
	struct assignment *assignment; /* of all its batches; borrowed */
	int64_t since_us;	       /* monotonic */
	struct next_offset *offsets;   /* behind its batches, for each partition in them; owned */
	uint32_t offset_count;
	bool offsets_sent; /* and no batch came since */
	/* What is counted when it is committed */
	uint64_t codes[OUTCOME_CODES], repeats, dead_letters;
	struct buf timestamps_ms; /* int64_t for each message; -1: it has none */
};
/* Begins with its first batches, one at least. Their memory is not needed any more then. `alone`: no other one is to be expected
 * soon. After an error the producer is of no use. */
bool publication_add(struct publication *publication, struct producer *producer, struct batch *const *batches,
		     uint32_t count, bool alone, struct err *err) BYU_MUST_CHECK;
bool publication_commit(struct publication *publication, struct producer *producer, struct err *err) BYU_MUST_CHECK;
void publication_reset(struct publication *publication); /* none is open, whatever became of it */

#endif
