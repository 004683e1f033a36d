/* Counters are plain atomics: threads of the worker add to them by the batch, the admin server reads them when it is asked.
 * A scrape may see a batch half counted, which the next one mends; what belongs together (the buckets of a histogram and
 * its count) is made from one reading.
 *
 * The text is written by hand: the format is small, and a library for it would want the counters to be its own. */
#include "byunique/metrics.h"

#include "byunique/clock.h"
#include "byunique/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- scales ------------------------------------------------------------------------------------------------------------- */

/* Microseconds. The stages of a batch: half a millisecond to half a minute. */
static const int64_t bounds_SECONDS[HISTOGRAM_BOUNDS] = {
	500,	1000,	2500,	5000,	 10000,	  25000,   50000,   100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};
/* From a command to its result: a few milliseconds, or hours after a stop. */
static const int64_t bounds_LONG_SECONDS[HISTOGRAM_BOUNDS] = {
	5000,	 10000,	  25000,   50000,    100000,   250000,	 500000,    1000000,
	2500000, 5000000, 10000000, 30000000, 60000000, 300000000, 3600000000, 86400000000};
static const int64_t bounds_COUNTS[HISTOGRAM_BOUNDS] = {1,   2,	   5,	 10,   20,   50,    100,   200,
							500, 1000, 2000, 4000, 8000, 20000, 50000, 100000};

enum { UNIT_SECONDS = 1000000, UNIT_LONG_SECONDS = 1000000, UNIT_COUNTS = 1 };

/* --- label sets ---------------------------------------------------------------------------------------------------------- */

static const char *const stages[STAGES] = {"fetch", "decode", "recall", "apply", "answer", "commit"};
static const char *const rebalances[REBALANCES] = {"assigned", "revoked", "lost"};

/* Those that a worker can meet; the last one is for all others. */
static const char *const classes[SQLSTATE_CLASSES] = {"connection", "08", "0A", "22", "23", "25", "26", "40",
						      "42",	    "53", "54", "55", "57", "58", "XX", "other"};

unsigned metric_sqlstate(const char *sqlstate)
{
	unsigned class = 1;

	if (sqlstate[0] == '\0')
		return 0;
	while (class < SQLSTATE_CLASSES - 1 && strncmp(sqlstate, classes[class], 2) != 0)
		class++;
	return class;
}

const char *metric_stage_name(enum metric_stage stage)
{
	return stages[stage];
}

static void label_NONE(unsigned index, struct buf *out)
{
	(void)index;
	(void)out;
}

static void label_OUTCOME(unsigned index, struct buf *out)
{
	enum outcome_code code = (enum outcome_code)index;
	const char *name = outcome_name(code);

	if (name == NULL)
		name = code == OUTCOME_DUPLICATE ? "Duplicate" : "Done";
	buf_printf(out, "status=\"%d\",code=\"%s\"", outcome_status(code), name);
}

static void label_STAGE(unsigned index, struct buf *out)
{
	buf_printf(out, "stage=\"%s\"", stages[index]);
}

static void label_REPLY(unsigned index, struct buf *out)
{
	buf_printf(out, "fate=\"%s\"", reply_fate_name((enum reply_fate)index));
}

static void label_REBALANCE(unsigned index, struct buf *out)
{
	buf_printf(out, "event=\"%s\"", rebalances[index]);
}

static void label_SQLSTATE(unsigned index, struct buf *out)
{
	buf_printf(out, "class=\"%s\"", classes[index]);
}

/* --- counting ------------------------------------------------------------------------------------------------------------ */

void metrics_init(struct metrics *metrics)
{
	memset(metrics, 0, sizeof(*metrics));
#define COUNTER(field, name, labels, help)
#define GAUGE(field, name, unit, help)
#define HISTOGRAM(field, name, labels, scale, help)                                                                    \
	for (unsigned i = 0; i < METRIC_LABELS_##labels; i++)                                                          \
		metrics->field[i].bounds = bounds_##scale;
#include "byunique/metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
	metrics->started_at_ms = clock_wall_ms();
	metrics->beat_ms = clock_mono_ms();
	pthread_mutex_init(&metrics->turn, NULL);
}

void metrics_release(struct metrics *metrics)
{
	free(metrics->partitions);
	pthread_mutex_destroy(&metrics->turn);
}

void histogram_add(struct histogram *histogram, int64_t value, uint64_t times)
{
	unsigned bucket = 0;

	value = value > 0 ? value : 0;
	while (bucket < HISTOGRAM_BOUNDS && value > histogram->bounds[bucket])
		bucket++;
	metric_add(&histogram->buckets[bucket], times);
	metric_add(&histogram->sum, (uint64_t)value * times);
}

void metrics_stage(struct metrics *metrics, enum metric_stage stage, int64_t *since_us)
{
	int64_t now_us = clock_mono_us();
	histogram_add(&metrics->stage_us[stage], now_us - *since_us, 1);
	*since_us = now_us;
}

void metrics_partitions(struct metrics *metrics, const struct partition_gauges *partitions, uint32_t count)
{
	pthread_mutex_lock(&metrics->turn);
	metrics->partitions = xrealloc(metrics->partitions, sizeof(*partitions) * (count + 1));
	if (count > 0)
		memcpy(metrics->partitions, partitions, sizeof(*partitions) * count);
	metrics->partition_count = count;
	pthread_mutex_unlock(&metrics->turn);
}

struct partition_gauges *metrics_copy_partitions(struct metrics *metrics, uint32_t *count)
{
	pthread_mutex_lock(&metrics->turn);
	struct partition_gauges *copy = xcalloc(metrics->partition_count + 1, sizeof(*copy));
	*count = metrics->partition_count;
	if (*count > 0)
		memcpy(copy, metrics->partitions, sizeof(*copy) * *count);
	pthread_mutex_unlock(&metrics->turn);
	return copy;
}

/* --- text ------------------------------------------------------------------------------------------------------------------ */

typedef void label_writer(unsigned index, struct buf *out);

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* value / unit as a decimal number, without zeros at its end. */
static void number(struct buf *out, int64_t value, int64_t unit)
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value, parts = (uint64_t)unit;

	buf_printf(out, "%s%" PRIu64, value < 0 ? "-" : "", size / parts);
	if (size % parts != 0)
		buf_addc(out, '.');
	while (size % parts != 0) {
		size = size % parts * 10;
		buf_addc(out, (char)('0' + size / parts));
	}
}

/* Backslash, double quote and line feed are escaped, as the format wants it. */
static void label_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			buf_addc(out, '\\');
		if (*text == '\n')
			buf_adds(out, "\\n");
		else
			buf_addc(out, *text);
	}
}

static void sample(struct buf *out, const char *name, unsigned index, label_writer *label)
{
	buf_adds(out, name);
	if (label == label_NONE)
		return;
	buf_addc(out, '{');
	label(index, out);
	buf_addc(out, '}');
}

/* Code 0 is no outcome. */
static void counter_text(struct buf *out, const char *name, const _Atomic uint64_t *values, unsigned count,
			 label_writer *label)
{
	for (unsigned i = label == label_OUTCOME ? 1 : 0; i < count; i++) {
		sample(out, name, i, label);
		buf_printf(out, " %" PRIu64 "\n", metric_count(&values[i]));
	}
}

static void bucket_head(struct buf *out, const char *name, unsigned index, label_writer *label)
{
	buf_printf(out, "%s_bucket{", name);
	label(index, out);
	buf_printf(out, "%sle=\"", label == label_NONE ? "" : ",");
}

static void histogram_text(struct buf *out, const char *name, const struct histogram *histogram, unsigned index,
			   label_writer *label, int64_t unit)
{
	uint64_t count = 0;
	char suffixed[64];

	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		count += metric_count(&histogram->buckets[i]);
		bucket_head(out, name, index, label);
		if (i < HISTOGRAM_BOUNDS)
			number(out, histogram->bounds[i], unit);
		else
			buf_adds(out, "+Inf");
		buf_printf(out, "\"} %" PRIu64 "\n", count);
	}
	snprintf(suffixed, sizeof(suffixed), "%s_sum", name);
	sample(out, suffixed, index, label);
	buf_addc(out, ' ');
	number(out, (int64_t)metric_count(&histogram->sum), unit);
	snprintf(suffixed, sizeof(suffixed), "\n%s_count", name);
	sample(out, suffixed, index, label);
	buf_printf(out, " %" PRIu64 "\n", count);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, int64_t value, int64_t unit)
{
	head(out, name, type, help);
	buf_printf(out, "%s ", name);
	number(out, value, unit);
	buf_addc(out, '\n');
}

static void table_text(const struct metrics *metrics, struct buf *out)
{
#define COUNTER(field, name, labels, help)                                                                             \
	head(out, name, "counter", help);                                                                              \
	counter_text(out, name, metrics->field, METRIC_LABELS_##labels, label_##labels);
#define GAUGE(field, name, unit, help)                                                                                 \
	one(out, name, "gauge", help, metric_get(&metrics->field), unit);
#define HISTOGRAM(field, name, labels, scale, help)                                                                    \
	head(out, name, "histogram", help);                                                                            \
	for (unsigned i = 0; i < METRIC_LABELS_##labels; i++)                                                          \
		histogram_text(out, name, &metrics->field[i], i, label_##labels, UNIT_##scale);
#include "byunique/metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
}

/* --- partitions ---------------------------------------------------------------------------------------------------------- */

static int64_t position_of(const struct partition_gauges *gauges)
{
	return gauges->position;
}

static int64_t log_end_of(const struct partition_gauges *gauges)
{
	return gauges->log_end;
}

static int64_t lag_of(const struct partition_gauges *gauges)
{
	return gauges->log_end > gauges->position ? gauges->log_end - gauges->position : 0;
}

static int64_t unpublished_of(const struct partition_gauges *gauges)
{
	return gauges->position > gauges->published ? gauges->position - gauges->published : 0;
}

static const struct partition_metric {
	const char *name, *help;
	int64_t (*value)(const struct partition_gauges *gauges);
	bool needs_end;
} partition_metrics[] = {
	{"byunique_partition_position", "Next offset of the partition to be stored in PostgreSQL.", position_of, false},
	{"byunique_partition_log_end", "Where the partition's log ends, as last heard from Kafka.", log_end_of, true},
	{"byunique_partition_lag", "Messages from the position to the log's end.", lag_of, true},
	{"byunique_partition_unpublished", "Messages below the position whose results are not known to be published.",
	 unpublished_of, false},
};

static void partitions_text(const struct partition_gauges *gauges, uint32_t count, const char *topic, struct buf *out)
{
	for (size_t m = 0; m < sizeof(partition_metrics) / sizeof(*partition_metrics); m++) {
		const struct partition_metric *metric = &partition_metrics[m];
		head(out, metric->name, "gauge", metric->help);
		for (uint32_t i = 0; i < count; i++) {
			if (metric->needs_end && gauges[i].log_end < 0)
				continue;
			buf_printf(out, "%s{topic=\"", metric->name);
			label_text(out, topic);
			buf_printf(out, "\",partition=\"%" PRId32 "\"} %" PRId64 "\n", gauges[i].partition,
				   metric->value(&gauges[i]));
		}
	}
}

/* --- the process ------------------------------------------------------------------------------------------------------------ */

static void process_text(const struct metrics *metrics, struct buf *out)
{
	struct process_facts facts;

	process_read(&facts);
	one(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent.", facts.cpu_ms, 1000);
	one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", facts.resident_bytes, 1);
	one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", facts.virtual_bytes, 1);
	one(out, "process_open_fds", "gauge", "Open file descriptors.", facts.open_fds, 1);
	if (facts.max_fds >= 0)
		one(out, "process_max_fds", "gauge", "Most file descriptors that may be open.", facts.max_fds, 1);
	one(out, "process_start_time_seconds", "gauge", "When the worker was started.", metrics->started_at_ms, 1000);
}

void metrics_text(struct metrics *metrics, const char *commands_topic, struct buf *out)
{
	uint32_t count;
	struct partition_gauges *partitions = metrics_copy_partitions(metrics, &count);

	head(out, "byunique_build_info", "gauge", "Always 1; the labels tell the version.");
	buf_adds(out, "byunique_build_info{version=\"");
	label_text(out, VERSION);
	buf_adds(out, "\"} 1\n");
	table_text(metrics, out);
	partitions_text(partitions, count, commands_topic, out);
	process_text(metrics, out);
	free(partitions);
}
