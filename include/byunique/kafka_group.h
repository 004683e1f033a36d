/* A topic and a consumer group, looked at from outside: nothing is joined, nothing is changed. */
#ifndef BYUNIQUE_KAFKA_GROUP_H
#define BYUNIQUE_KAFKA_GROUP_H

#include "byunique/arena.h"
#include "byunique/config.h"

/* Member of the group. Texts are in the arena. */
struct group_member {
	const char *client_id, *host, *member_id;
};

struct group_partition {
	int32_t partition;
	int64_t committed;		  /* the group's offset, -1: none */
	int64_t log_start, log_end;
	const struct group_member *owner; /* NULL: nobody */
};

/* What was seen. Partitions by number, from 0. */
struct group_view {
	const char *cluster_id;
	struct group_partition *partitions;
	uint32_t partition_count, member_count;
};

struct group_observer;
bool group_observer_open(struct group_observer **observer, const struct config *config, struct err *err) BYU_MUST_CHECK;
void group_observer_close(struct group_observer *observer); /* NULL is fine */
/* All but log_start and log_end; in the arena. */
bool group_observer_look(struct group_observer *observer, struct arena *arena, struct group_view *view, struct err *err)
	BYU_MUST_CHECK;
/* These, of a view. Asked for later, so that what was processed meanwhile does not lie beyond the log's end. */
bool group_observer_look_at_logs(struct group_observer *observer, struct group_view *view, struct err *err) BYU_MUST_CHECK;

#endif
