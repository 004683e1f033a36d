/* Where a partition starts: decided at assignment from what PostgreSQL, the group and the log know. Pure. */
#ifndef BYUNIQUE_START_H
#define BYUNIQUE_START_H

#include "byunique/err.h"

#include <stdint.h>

struct start_facts {
	int32_t partition;
	int64_t log_start, log_end; /* of the topic's partition */
	int64_t committed;	    /* the group's offset, -1: none */
	bool committed_by_others;   /* not by a worker, together with results */

	bool known; /* the database has a position row; the rest is from it */
	int64_t next_offset;
	int64_t published_offset;
	bool has_last;	      /* a message was processed before */
	bool last_is_another; /* the message at its offset has another hash */
	const char *cluster_id, *group_id; /* which the row was made with */

	const char *our_cluster_id, *our_group_id;
};

/* Why a partition is refused. */
enum start_refusal {
	START_FINE = 0,
	START_OTHER_CLUSTER, /* the database knows it from another cluster */
	START_OTHER_GROUP,   /* … from another consumer group */
	START_OTHER_TOPIC,   /* deleted and recreated */
	START_LOST,	     /* messages that are needed are no longer there */
	START_UNKNOWN,	     /* the database knows nothing of it, the group does, and the beginning is gone */
};

struct start {
	enum start_refusal refusal;
	int64_t offset;	      /* of the first message to fetch; below, when it is refused, nothing holds */
	const char *warning;  /* an event word, or NULL */
	const char *reason;   /* of the warning, for a person */
};

/* False: the partition is refused (VERDICT_REFUSE), with what is missing and what to do. */
bool start_decide(const struct start_facts *facts, struct start *start, struct err *err) BYU_MUST_CHECK;

#endif
