/* What the worker counts, and the text that Prometheus reads. The threads add without a lock; nothing is added for a single
 * command, but for a batch at a time. metrics.def lists what there is:
 *
 *     metric_add(&metrics->sessions[0], 1);
 *     metric_set(&metrics->group_member, 1);
 *     histogram_add(&metrics->batch_commands[0], batch->count, 1); */
#ifndef BYUNIQUE_METRICS_H
#define BYUNIQUE_METRICS_H

#include "byunique/buf.h"
#include "byunique/outcome.h"
#include "byunique/replies.h"

#include <pthread.h>
#include <stdatomic.h>

/* Label sets: the index of a series. */
enum metric_stage { STAGE_FETCH, STAGE_DECODE, STAGE_RECALL, STAGE_APPLY, STAGE_ANSWER, STAGE_COMMIT, STAGES };
enum metric_rebalance { REBALANCE_ASSIGNED, REBALANCE_REVOKED, REBALANCE_LOST, REBALANCES };
const char *metric_stage_name(enum metric_stage stage);
enum { SQLSTATE_CLASSES = 16 };
unsigned metric_sqlstate(const char *sqlstate); /* the index of its class; "" is a lost connection */

enum metric_labels {
	METRIC_LABELS_NONE = 1,
	METRIC_LABELS_OUTCOME = OUTCOME_CODES,
	METRIC_LABELS_STAGE = STAGES,
	METRIC_LABELS_REPLY = REPLY_FATES,
	METRIC_LABELS_REBALANCE = REBALANCES,
	METRIC_LABELS_SQLSTATE = SQLSTATE_CLASSES,
};

enum { HISTOGRAM_BOUNDS = 16 };
struct histogram {
	_Atomic uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* not cumulated; the last one is for what is beyond all bounds */
	_Atomic uint64_t sum;
	const int64_t *bounds; /* inclusive, HISTOGRAM_BOUNDS of them */
};

/* A partition that is being processed, as last seen by the fetching thread. */
struct partition_gauges {
	int32_t partition;
	int64_t position;  /* next offset to be stored in PostgreSQL */
	int64_t published; /* results below it are known to be published */
	int64_t log_end;   /* -1: not known yet */
};

struct metrics {
#define COUNTER(field, name, labels, help) _Atomic uint64_t field[METRIC_LABELS_##labels];
#define GAUGE(field, name, unit, help) _Atomic int64_t field;
#define HISTOGRAM(field, name, labels, scale, help) struct histogram field[METRIC_LABELS_##labels];
#include "byunique/metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
	int64_t started_at_ms;	/* since the epoch */
	_Atomic int64_t beat_ms; /* monotonic; when the fetching thread was last seen to go on */

	pthread_mutex_t turn; /* guards what follows */
	struct partition_gauges *partitions; /* owned */
	uint32_t partition_count;
};

void metrics_init(struct metrics *metrics);
void metrics_release(struct metrics *metrics);

static inline void metric_add(_Atomic uint64_t *counter, uint64_t more)
{
	atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static inline void metric_set(_Atomic int64_t *gauge, int64_t value)
{
	atomic_store_explicit(gauge, value, memory_order_relaxed);
}

static inline int64_t metric_get(const _Atomic int64_t *gauge)
{
	return atomic_load_explicit(gauge, memory_order_relaxed);
}

static inline uint64_t metric_count(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* `times` observations of the same value; a negative one counts as 0. */
void histogram_add(struct histogram *histogram, int64_t value, uint64_t times);

/* The time since *since_us (monotonic, microseconds), which becomes now. */
void metrics_stage(struct metrics *metrics, enum metric_stage stage, int64_t *since_us);

/* The partitions that are being processed, in place of those before. */
void metrics_partitions(struct metrics *metrics, const struct partition_gauges *partitions, uint32_t count);
/* A copy, freed by the caller. */
struct partition_gauges *metrics_copy_partitions(struct metrics *metrics, uint32_t *count);

/* Prometheus' text format 0.0.4, the process' own figures included. */
void metrics_text(struct metrics *metrics, const char *commands_topic, struct buf *out);

#endif
