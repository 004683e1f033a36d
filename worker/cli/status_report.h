/* What `byunique status` tells: gathered from Kafka and PostgreSQL, then shown as text or JSON. */
#ifndef BYUNIQUE_CLI_STATUS_REPORT_H
#define BYUNIQUE_CLI_STATUS_REPORT_H

#include "byunique/kafka_group.h"
#include "byunique/standing.h"

struct report_partition {
	const struct group_partition *kafka;
	const struct standing *standing; /* NULL: PostgreSQL knows nothing of it */
	int64_t lag, unpublished;
	const char *refused; /* why a worker refuses it, or NULL */
	const char *warning; /* what a worker would say when it takes it, or NULL */
};

/* What became of messages lately. */
struct report_recent {
	int64_t since_ms, messages;
	int64_t minute_messages, minute_ms; /* of the last minute, or less when there were very many */
	int64_t counts[OUTCOME_CODES];
	struct stored_error errors[10]; /* newest first */
	uint32_t error_count;
};

struct report {
	const char *topic, *group;
	int64_t taken_at_ms;
	struct group_view view;
	struct standing *standings;
	uint32_t standing_count;
	struct report_partition *partitions; /* as many as the view's */
	int64_t lag, unpublished, position;  /* sums */
	uint32_t strangers;		     /* partitions that PostgreSQL knows and the topic has not */
	double rate;			     /* messages a second; < 0: not known */
};

/* In the arena. */
bool report_gather(const struct config *config, struct group_observer *observer, struct pg *pg, struct arena *arena,
		   struct report *report, struct err *err) BYU_MUST_CHECK;
bool report_gather_recent(struct pg *pg, const struct report *report, struct report_recent *recent, struct err *err)
	BYU_MUST_CHECK;

/* Lines without colour unless `coloured`. */
void report_text(const struct report *report, const struct report_recent *recent, bool coloured, struct buf *out);
/* One line. */
void report_json(const struct report *report, const struct report_recent *recent, struct buf *out);

#endif
