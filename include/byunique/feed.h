/* Messages from elsewhere than Kafka, down the same path as `run` takes as far as PostgreSQL: decoded, validated, recalled,
 * planned and applied, with the same outcomes, ids and positions; nothing is published. One thread, one partition after the
 * other.
 *
 * Until feed_claim() messages are judged only: what can be told without a transaction. Afterwards they are stored. */
#ifndef BYUNIQUE_FEED_H
#define BYUNIQUE_FEED_H

#include "byunique/archive.h"
#include "byunique/config.h"
#include "byunique/outcome.h"
#include "byunique/pg.h"

struct feed;

/* Where a partition stands in the database. */
struct feed_start {
	int32_t partition;
	bool known;	     /* false: the database knows nothing of it */
	int64_t next_offset; /* of the first message to be applied */
	int64_t published_offset;
};

struct feed_counts {
	int64_t messages;
	int64_t codes[OUTCOME_CODES]; /* by outcome; judged only: OUTCOME_NONE where nothing is found wrong beforehand */
	int64_t unframed;	      /* of the malformed ones those that only a schema registry could tell, where none is
					 configured */
};

/* Connects, with the worker's session; the database objects have to be there. */
bool feed_open(struct feed **feed, const struct config *config, struct err *err) BYU_MUST_CHECK;
void feed_close(struct feed *feed); /* NULL is fine */
struct pg *feed_pg(struct feed *feed);

/* What is to be fed; told by its index afterwards. Counts begin anew. */
void feed_begin(struct feed *feed, const struct feed_start *starts, uint32_t count);
/* As a worker does at assignment: a slot of its own and its token on the position rows, which have to be as feed_begin() was
 * told. From then on no worker that had them can store anything; and when one takes them over, feeding fails. */
bool feed_claim(struct feed *feed, const char *cluster_id, struct err *err) BYU_MUST_CHECK;

/* One message, which is copied, in the order of offsets within its partition. That none is missing is the caller's to see to. */
bool feed_message(struct feed *feed, uint32_t index, const struct archived *message, struct err *err) BYU_MUST_CHECK;
/* What is not decided yet. */
bool feed_flush(struct feed *feed, struct err *err) BYU_MUST_CHECK;
/* There is no message between the last one and this offset. */
bool feed_advance(struct feed *feed, uint32_t index, int64_t next_offset, struct err *err) BYU_MUST_CHECK;

const struct feed_counts *feed_counts(const struct feed *feed, uint32_t index);

#endif
