/* What the worker says about itself in metrics and to systemd. Here, so that the path keeps its one line for each; nothing in here has a say
 * in what happens. */
#include "pipeline.h"

#include "byunique/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void observe_beat(struct pipeline *pipeline)
{
	metric_set(&pipeline->metrics->beat_ms, clock_mono_ms());
	notify_feed(&pipeline->notify);
}

/* --- the group ------------------------------------------------------------------------------------------------------------ */

void observe_given(struct pipeline *pipeline, uint32_t count)
{
	metric_add(&pipeline->metrics->rebalances[REBALANCE_ASSIGNED], 1);
	metric_set(&pipeline->metrics->partitions_assigned, count);
	metric_set(&pipeline->metrics->group_member, 1);
}

void observe_started(struct pipeline *pipeline)
{
	uint32_t started = pipeline->assignment->count;
	char status[64];

	snprintf(status, sizeof(status), "STATUS=processing %" PRIu32 " partitions", started);
	notify_say(&pipeline->notify, status);
	metric_set(&pipeline->metrics->partitions_started, started);
	metric_set(&pipeline->metrics->partitions_refused, (int64_t)pipeline->given_count - started);
	pipeline->observed_at_ms = 0;
	observe_partitions(pipeline);
}

void observe_revoked(struct pipeline *pipeline, bool lost)
{
	struct metrics *metrics = pipeline->metrics;

	metric_add(&metrics->rebalances[lost ? REBALANCE_LOST : REBALANCE_REVOKED], 1);
	notify_say(&pipeline->notify, "STATUS=waiting for partitions");
	metric_set(&metrics->group_member, 0);
	metric_set(&metrics->partitions_assigned, 0);
	metric_set(&metrics->partitions_started, 0);
	metric_set(&metrics->partitions_refused, 0);
	metrics_partitions(metrics, NULL, 0);
}

/* Cheap while messages are fetched. While they are not, what Kafka told is old, and the lag is what one wants to know. */
static bool ask_kafka(struct pipeline *pipeline)
{
	enum { ASK_MS = 5000 };
	int64_t now_ms = clock_mono_ms();

	if (!consumer_is_paused(pipeline->consumer) || now_ms - pipeline->asked_at_ms < ASK_MS)
		return false;
	pipeline->asked_at_ms = now_ms;
	return true;
}

void observe_partitions(struct pipeline *pipeline)
{
	enum { OBSERVE_MS = 1000 };
	const struct assignment *assignment = pipeline->assignment;
	int64_t now_ms = clock_mono_ms();

	if (assignment == NULL || now_ms - pipeline->observed_at_ms < OBSERVE_MS)
		return;
	pipeline->observed_at_ms = now_ms;
	struct partition_gauges *gauges = xcalloc(assignment->count, sizeof(*gauges));
	int32_t *numbers = xcalloc(assignment->count, sizeof(*numbers));
	int64_t *log_ends = xcalloc(assignment->count, sizeof(*log_ends));
	for (uint32_t i = 0; i < assignment->count; i++)
		numbers[i] = assignment->partitions[i].number;
	consumer_log_ends(pipeline->consumer, numbers, assignment->count, ask_kafka(pipeline), log_ends);
	for (uint32_t i = 0; i < assignment->count; i++) {
		const struct partition *partition = &assignment->partitions[i];
		gauges[i] = (struct partition_gauges){partition->number, partition->next_offset, partition->published,
						      log_ends[i]};
	}
	metrics_partitions(pipeline->metrics, gauges, assignment->count);
	free(gauges);
	free(numbers);
	free(log_ends);
}

void observe_connected(struct lane *lane, bool connected)
{
	struct pipeline *pipeline = lane->pipeline;
	bool all = connected;

	pthread_mutex_lock(&pipeline->flight_turn);
	lane->connected = connected;
	for (unsigned i = 0; i < pipeline->lane_count; i++)
		all = all && pipeline->lanes[i].connected;
	metric_set(&pipeline->metrics->postgres_connected, all);
	pthread_mutex_unlock(&pipeline->flight_turn);
}

/* --- the path --------------------------------------------------------------------------------------------------------------- */

void observe_trouble(struct lane *lane, const struct err *err)
{
	if (err->verdict == VERDICT_REJOIN || err->verdict == VERDICT_REFUSE || err->verdict == VERDICT_STOP)
		return; /* nothing is tried again */
	metric_add(&lane->pipeline->metrics->retries[metric_sqlstate(err->origin)], 1);
	if (err->verdict == VERDICT_RECONNECT)
		observe_connected(lane, false);
}

/* Messages of a batch come from one or a few moments: neighbours with the same time are counted together. */
static void observe_delays(struct metrics *metrics, const struct buf *timestamps_ms, int64_t now_ms)
{
	const int64_t *at_ms = (const int64_t *)(const void *)timestamps_ms->base;
	size_t count = timestamps_ms->len / sizeof(*at_ms);
	uint64_t times = 0;

	for (size_t i = 0; i < count; i++) {
		times++;
		if (i + 1 < count && at_ms[i + 1] == at_ms[i])
			continue;
		if (at_ms[i] >= 0)
			histogram_add(metrics->answer_us, (now_ms - at_ms[i]) * 1000, times);
		times = 0;
	}
}

void observe_published(struct pipeline *pipeline, const struct publication *publication)
{
	bool has_letters = pipeline->config->dead_letter_topic[0] != '\0';
	struct metrics *metrics = pipeline->metrics;
	int64_t now_ms = clock_wall_ms();

	observe_delays(metrics, &publication->timestamps_ms, now_ms);
	for (unsigned code = 0; code < OUTCOME_CODES; code++)
		metric_add(&metrics->commands[code], publication->codes[code]);
	metric_add(metrics->repeats, publication->repeats);
	metric_add(metrics->dead_letters, has_letters ? publication->dead_letters : 0);
	for (unsigned fate = 0; pipeline->replies != NULL && fate < REPLY_FATES; fate++)
		metric_add(&metrics->replies[fate], pipeline->replies->fates[fate]);
	metric_set(&metrics->last_result_ms, now_ms);
}
