/* The page's figures. Totals since the start: the page makes rates of the differences, so that any number of people may
 * look without a state here. */
#include "byunique/admin.h"

#include "byunique/clock.h"
#include "byunique/process.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static json_t *integer(int64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *integer_or_null(bool there, int64_t value)
{
	return there ? integer(value) : json_null();
}

static json_t *text(const char *value)
{
	json_t *string = json_string(value);
	return string != NULL ? string : json_string("?"); /* not UTF-8 */
}

static json_t *counter(const _Atomic uint64_t *value)
{
	return integer((int64_t)metric_count(value));
}

/* --- parts ----------------------------------------------------------------------------------------------------------------- */

static json_t *health(bool (*check)(const struct metrics *, struct buf *), const struct metrics *metrics)
{
	struct buf reason = BUF_EMPTY;
	bool ok = check(metrics, &reason);

	while (reason.len > 0 && reason.base[reason.len - 1] == '\n')
		reason.base[--reason.len] = '\0';
	for (size_t i = 0; i < reason.len; i++)
		if (reason.base[i] == '\n')
			reason.base[i] = ';';
	json_t *all = json_pack("{s:b, s:o}", "ok", (int)ok, "reason", ok ? json_null() : text(reason.base));
	buf_release(&reason);
	return all;
}

static bool alive_now(const struct metrics *metrics, struct buf *reason)
{
	return health_alive(metrics, clock_mono_ms(), reason);
}

static json_t *outcomes(const struct metrics *metrics)
{
	json_t *all = json_array();

	for (int code = OUTCOME_NONE + 1; code < OUTCOME_CODES; code++) {
		const char *name = outcome_name((enum outcome_code)code);
		if (name == NULL)
			name = code == OUTCOME_DUPLICATE ? "Duplicate" : "Done";
		json_array_append_new(all, json_pack("{s:i, s:s, s:o}", "status", outcome_status((enum outcome_code)code),
						     "code", name, "count", counter(&metrics->commands[code])));
	}
	return all;
}

static json_t *partition(const struct partition_gauges *gauges)
{
	int64_t lag = gauges->log_end - gauges->position, unpublished = gauges->position - gauges->published;
	bool known = gauges->log_end >= 0;

	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "partition", (int)gauges->partition, "position",
			 integer(gauges->position), "log_end", integer_or_null(known, gauges->log_end), "lag",
			 integer_or_null(known, lag > 0 ? lag : 0), "unpublished", integer(unpublished > 0 ? unpublished : 0));
}

static json_t *partitions(struct metrics *metrics)
{
	uint32_t count;
	struct partition_gauges *gauges = metrics_copy_partitions(metrics, &count);
	json_t *all = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(all, partition(&gauges[i]));
	free(gauges);
	return all;
}

/* With its bounds, so that the page need not know them. */
static json_t *histogram(const struct histogram *histogram, double unit)
{
	json_t *bounds = json_array(), *buckets = json_array();

	for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
		json_array_append_new(bounds, json_real((double)histogram->bounds[i] / unit));
	for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
		json_array_append_new(buckets, counter(&histogram->buckets[i]));
	double sum = (double)metric_count(&histogram->sum) / unit;
	return json_pack("{s:o, s:o, s:f}", "bounds", bounds, "buckets", buckets, "sum", sum);
}

static json_t *stage_list(const struct metrics *metrics)
{
	json_t *all = json_array();

	for (int stage = 0; stage < STAGES; stage++) {
		json_t *one = histogram(&metrics->stage_us[stage], 1e6);
		json_object_set_new(one, "stage", text(metric_stage_name((enum metric_stage)stage)));
		json_array_append_new(all, one);
	}
	return all;
}

static int64_t sum_of(const _Atomic uint64_t *counters, unsigned count)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += (int64_t)metric_count(&counters[i]);
	return sum;
}

static json_t *connections(const struct metrics *metrics)
{
	return json_pack("{s:b, s:b, s:o, s:o, s:o}", "postgres", metric_get(&metrics->postgres_connected) != 0, "group",
			 metric_get(&metrics->group_member) != 0, "assigned", integer(metric_get(&metrics->partitions_assigned)), "started",
			 integer(metric_get(&metrics->partitions_started)), "refused", integer(metric_get(&metrics->partitions_refused)));
}

static json_t *troubles(const struct metrics *metrics)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "repeats", counter(metrics->repeats), "dead_letters",
			 counter(metrics->dead_letters), "retries", integer(sum_of(metrics->retries, SQLSTATE_CLASSES)),
			 "reconnects", counter(metrics->postgres_reconnects), "sessions", counter(metrics->sessions),
			 "rebalances", counter(&metrics->rebalances[REBALANCE_ASSIGNED]));
}

static json_t *process(const struct metrics *metrics)
{
	struct process_facts facts;

	process_read(&facts);
	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "pid", (int)getpid(), "started_at", integer(metrics->started_at_ms),
			 "resident_bytes", integer(facts.resident_bytes), "cpu_ms", integer(facts.cpu_ms), "open_fds",
			 integer(facts.open_fds));
}

/* The log's own JSON, which is checked all the same: a bad line must not spoil the page. */
static void add_event(void *context, const char *json)
{
	json_t *event = json_loads(json, 0, NULL);

	if (event != NULL)
		json_array_append_new(context, event);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------- */

void status_json(const struct config *config, struct metrics *metrics, struct log_ring *events, struct buf *out)
{
	json_t *event_list = json_array();
	int64_t last_result_ms = metric_get(&metrics->last_result_ms);
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	log_ring_each(events, add_event, event_list);
	json_t *all = json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", VERSION, "host",
		text(host), "now", integer(clock_wall_ms()), "topic", text(config->commands_topic), "group",
		text(config_kafka(config, "group.id")), "alive", health(alive_now, metrics), "ready",
		health(health_ready, metrics), "connections", connections(metrics), "outcomes", outcomes(metrics), "partitions",
		partitions(metrics), "answer_seconds", histogram(metrics->answer_us, 1e6), "batch_commands",
		histogram(metrics->batch_commands, 1), "stages", stage_list(metrics), "troubles", troubles(metrics), "process",
		process(metrics), "events", event_list);
	ASSERT(all != NULL);
	json_object_set_new(all, "last_result_at", integer_or_null(last_result_ms != 0, last_result_ms));
	char *dump = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
	ASSERT(dump != NULL);
	buf_adds(out, dump);
	buf_addc(out, '\n');
	free(dump);
	json_decref(all);
}
