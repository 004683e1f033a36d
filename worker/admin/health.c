/* Alive: restarting the process would not help. Ready: it could take a command now. A worker whose database is away is alive,
 * as it waits and comes back by itself, but not ready. */
#include "byunique/admin.h"

#include <inttypes.h>

/* As long as the longest wait that the fetching thread may be in: that for a Kafka transaction, after which the process ends
 * itself. */
enum { SILENCE_MS_MAX = 200000 };

bool health_alive(const struct metrics *metrics, int64_t now_ms, struct buf *reason)
{
	int64_t silence_ms = now_ms - metric_get(&metrics->beat_ms);

	if (silence_ms <= SILENCE_MS_MAX)
		return true;
	buf_printf(reason, "the fetching thread has not been seen for %" PRId64 " s\n", silence_ms / 1000);
	return false;
}

bool health_ready(const struct metrics *metrics, struct buf *reason)
{
	int64_t assigned = metric_get(&metrics->partitions_assigned), started = metric_get(&metrics->partitions_started);
	size_t before = reason->len;

	if (metric_get(&metrics->postgres_connected) == 0)
		buf_adds(reason, "PostgreSQL is not connected\n");
	if (metric_get(&metrics->group_member) == 0)
		buf_adds(reason, "not a member of the consumer group\n");
	else if (assigned > 0 && started == 0)
		buf_printf(reason, "%" PRId64 " partitions are assigned, but not started\n", assigned);
	return reason->len == before;
}
