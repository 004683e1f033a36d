/* Kafka's offsets of the group come first, then PostgreSQL's positions, then the logs' ends: a worker that goes on meanwhile
 * then never seems to be beyond a log, nor its database behind the group.
 *
 * Whether a partition would be refused is decided by the worker's own rule. The one thing that is not looked at is the
 * content of the last message processed. */
#include "status_report.h"

#include "byunique/clock.h"
#include "byunique/start.h"

#include <stdlib.h>

/* --- partitions ------------------------------------------------------------------------------------------------------------ */

static const struct standing *find_standing(const struct report *report, int32_t partition)
{
	for (uint32_t i = 0; i < report->standing_count; i++)
		if (report->standings[i].partition == partition)
			return &report->standings[i];
	return NULL;
}

static const char *without_subject(const char *what)
{
	const char *reason = strstr(what, "refused: ");
	return reason != NULL ? reason + strlen("refused: ") : what;
}

static void judge(const struct report *report, struct arena *arena, struct report_partition *partition)
{
	const struct group_partition *kafka = partition->kafka;
	const struct standing *standing = partition->standing;
	struct start_facts facts = {
		.partition = kafka->partition,
		.log_start = kafka->log_start,
		.log_end = kafka->log_end,
		.committed = kafka->committed,
		.known = standing != NULL,
		.next_offset = standing ? standing->next_offset : 0,
		.published_offset = standing ? standing->published_offset : 0,
		.cluster_id = standing ? standing->cluster_id : NULL,
		.group_id = standing ? standing->group_id : NULL,
		.our_cluster_id = report->view.cluster_id,
		.our_group_id = report->group,
	};
	struct start start;
	struct err err;

	if (!start_decide(&facts, &start, &err))
		partition->refused = arena_cstr(arena, slice_cstr(without_subject(err.what)));
	else
		partition->warning = start.reason;
	int64_t position = standing ? standing->next_offset : start.offset;
	partition->lag = kafka->log_end > position ? kafka->log_end - position : 0;
	if (standing != NULL) {
		int64_t published = kafka->committed >= 0 ? kafka->committed : standing->published_offset;
		partition->unpublished = standing->next_offset > published ? standing->next_offset - published : 0;
	}
}

static void assess(struct arena *arena, struct report *report)
{
	report->partitions = arena_zarray(arena, struct report_partition, report->view.partition_count);
	for (uint32_t i = 0; i < report->view.partition_count; i++) {
		struct report_partition *partition = &report->partitions[i];
		partition->kafka = &report->view.partitions[i];
		partition->standing = find_standing(report, partition->kafka->partition);
		judge(report, arena, partition);
		report->lag += partition->lag;
		report->unpublished += partition->unpublished;
		report->position += partition->standing ? partition->standing->next_offset : 0;
	}
	for (uint32_t i = 0; i < report->standing_count; i++)
		report->strangers += (uint32_t)report->standings[i].partition >= report->view.partition_count;
}

bool report_gather(const struct config *config, struct group_observer *observer, struct pg *pg, struct arena *arena,
		   struct report *report, struct err *err)
{
	*report = (struct report){
		.topic = config->commands_topic, .group = config_kafka(config, "group.id"), .rate = -1};
	if (!group_observer_look(observer, arena, &report->view, err) ||
	    !standing_read(pg, report->topic, arena, &report->standings, &report->standing_count, err) ||
	    !group_observer_look_at_logs(observer, &report->view, err))
		return false;
	report->taken_at_ms = clock_wall_ms();
	assess(arena, report);
	return true;
}

/* --- lately ----------------------------------------------------------------------------------------------------------------- */

struct window {
	struct stored_batch *batches;
	uint32_t count;
	int64_t from_offset; /* of the first message that counts */
};

/* The window is the same for all partitions: that of the busiest one, of which the least time was read. */
static bool read_windows(struct pg *pg, const struct report *report, struct arena *arena, struct window *windows,
			 struct report_recent *recent, struct err *err)
{
	for (uint32_t i = 0; i < report->standing_count; i++) {
		int64_t since_ms = recent->since_ms;
		if (!standing_batches(pg, report->standings[i].id, arena, &since_ms, &windows[i].batches, &windows[i].count, err))
			return false;
		if (since_ms > recent->since_ms)
			recent->since_ms = since_ms;
	}
	return true;
}

static void count_window(struct window *window, int64_t minute_since_ms, struct report_recent *recent)
{
	window->from_offset = INT64_MAX;
	for (uint32_t b = 0; b < window->count; b++) {
		const struct stored_batch *batch = &window->batches[b];
		if (batch->processed_at_ms < recent->since_ms)
			break;
		window->from_offset = batch->first_offset;
		recent->messages += batch->messages;
		if (batch->processed_at_ms >= minute_since_ms)
			recent->minute_messages += batch->messages;
	}
}

static int newest_first(const void *a, const void *b)
{
	int64_t at = ((const struct stored_error *)a)->processed_at_ms, other = ((const struct stored_error *)b)->processed_at_ms;
	return (at < other) - (at > other);
}

/* The last ones of each partition together, then the last of all of them. */
static bool read_errors(struct pg *pg, const struct report *report, const struct window *windows, struct arena *arena,
			struct report_recent *recent, struct err *err)
{
	enum { ROOM = sizeof(recent->errors) / sizeof(*recent->errors) };
	struct stored_error *all = arena_array(arena, struct stored_error, ROOM *(report->standing_count + 1));
	uint32_t total = 0;

	for (uint32_t i = 0; i < report->standing_count; i++) {
		uint32_t count;
		if (!standing_errors(pg, report->standings[i].id, windows[i].from_offset, all + total, ROOM, &count, err))
			return false;
		for (uint32_t e = 0; e < count; e++)
			all[total + e].partition = report->standings[i].partition;
		total += count;
	}
	qsort(all, total, sizeof(*all), newest_first);
	recent->error_count = total < ROOM ? total : ROOM;
	memcpy(recent->errors, all, sizeof(*all) * recent->error_count);
	return true;
}

static bool gather_recent(struct pg *pg, const struct report *report, struct arena *arena, struct report_recent *recent,
			  struct err *err)
{
	enum { MINUTE_MS = 60000, HOUR_MS = 3600000 };
	struct window *windows = arena_zarray(arena, struct window, report->standing_count + 1);
	int64_t now_ms = clock_wall_ms();

	*recent = (struct report_recent){.since_ms = now_ms - HOUR_MS};
	if (!read_windows(pg, report, arena, windows, recent, err))
		return false;
	recent->minute_ms = now_ms - recent->since_ms < MINUTE_MS ? now_ms - recent->since_ms : MINUTE_MS;
	for (uint32_t i = 0; i < report->standing_count; i++) {
		count_window(&windows[i], now_ms - recent->minute_ms, recent);
		if (!standing_codes(pg, report->standings[i].id, windows[i].from_offset, recent->counts, err))
			return false;
	}
	int64_t others = 0;
	for (int code = OUTCOME_DONE + 1; code < OUTCOME_CODES; code++)
		others += recent->counts[code];
	recent->counts[OUTCOME_DONE] = recent->messages > others ? recent->messages - others : 0;
	return read_errors(pg, report, windows, arena, recent, err);
}

bool report_gather_recent(struct pg *pg, const struct report *report, struct report_recent *recent, struct err *err)
{
	struct arena arena;

	arena_init(&arena);
	bool ok = gather_recent(pg, report, &arena, recent, err);
	arena_release(&arena);
	return ok;
}
