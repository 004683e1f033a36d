/* What the next worker will do with each partition of the commands topic, as it is decided at assignment (start.h),
 * looked at from outside: nothing is locked, so beside a running worker it is true of that moment only. */
#ifndef CLI_OUTLOOK_H
#define CLI_OUTLOOK_H

#include "byunique/config.h"
#include "byunique/kafka.h"
#include "byunique/pg.h"
#include "byunique/start.h"
#include "byunique/stored.h"

struct prospect {
	bool in_topic;				/* false: the database knows a partition that the topic does not have */
	struct kafka_extent extent;		/* the log, and the range that was asked for */
	int64_t committed;			/* the group's offset, -1: none */
	bool committed_by_others;		/* see struct start_facts */
	const struct stored_position *position; /* NULL: the database knows nothing of it */
	bool last_found;			/* the last message processed is there to be looked at */
	uint64_t last_hash;			/* of what stands there now */
	struct start_facts facts;
	struct start start;
	struct err refusal; /* why, when start.refusal says that it is */
};

struct outlook {
	const struct config *config;
	struct pg *pg;
	char *cluster_id;
	int members; /* of the group */
	int topic_partitions;
	struct prospect *prospects; /* by partition: the topic's, then what only the database knows */
	int count;
	struct stored_position *positions;
	int position_count;
};

/* `outlook` starts cleared. The range from `from` up to, not including, `to` is noted in each extent. `application`
 * names the session in PostgreSQL. */
bool outlook_open(struct outlook *outlook, const struct config *config, const char *application,
		  struct kafka_place from, struct kafka_place to, struct err *err) BYU_MUST_CHECK;
void outlook_close(struct outlook *outlook); /* also after a failure */

/* Decides again, after facts were changed: "what if". */
void prospect_decide(struct prospect *prospect);
/* A partition that does not exist: error. -1 is fine: all. */
bool outlook_check_partition(const struct outlook *outlook, int64_t partition, struct err *err) BYU_MUST_CHECK;
/* Positions and offsets are changed only while nobody works with them: error when the group has members, or a worker of
 * it or of a group named in the position rows holds a session in the database. */
bool outlook_check_idle(struct outlook *outlook, struct err *err) BYU_MUST_CHECK;
/* The half of it that PostgreSQL knows. */
bool outlook_check_sessions(struct pg *pg, const struct config *config, struct err *err) BYU_MUST_CHECK;

#endif
