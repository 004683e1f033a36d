/* When the next Kafka transaction may follow the last one. Pure.
 *
 * A broker answers a commit before all partitions know of it, and refuses what belongs to the next transaction until they do.
 * librdkafka asks again only after retry.backoff.ms, or twenty milliseconds, so it pays to come a little later: how much is
 * learnt, as it depends on the cluster and on how busy it is. */
#ifndef BYUNIQUE_SETTLING_H
#define BYUNIQUE_SETTLING_H

#include <stdbool.h>
#include <stdint.h>

/* How long Kafka seems to take, to begin with and at most. */
enum { SETTLING_START_US = 5000, SETTLING_MOST_US = 20000 };

/* What settling_us becomes after a first request that was sent so long after the commit. */
int64_t settling_learn(int64_t settling_us, int64_t sent_after_us, bool refused);

#endif
