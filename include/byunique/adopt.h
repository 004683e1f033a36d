/* What a person decides where the worker refuses to guess: changes to the position rows, made while no worker runs. */
#ifndef BYUNIQUE_ADOPT_H
#define BYUNIQUE_ADOPT_H

#include "byunique/pg.h"

enum adoption {
	ADOPT_FORGET,  /* positions, stored answers and ids are deleted: every message is new */
	ADOPT_CLUSTER, /* the same topic on another cluster: `name` is its id */
	ADOPT_GROUP,   /* the group was renamed: to `name` */
	ADOPT_LOSS,    /* what lies before log_starts[i] of partitions[i] is given up */
};

/* One transaction, which waits for a batch under way. Afterwards no worker that had these partitions passes the fence.
 * `name` and `log_starts` as said above, else NULL. */
bool position_adopt(struct pg *pg, const char *topic, enum adoption adoption, const int32_t *partitions, uint32_t count,
		    const char *name, const int64_t *log_starts, struct err *err) BYU_MUST_CHECK;

#endif
