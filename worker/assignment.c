/* Partitions are claimed under a lock on their position rows, so a batch of the last owner that is still under way ends
 * first, and one that comes later fails at the fence. What Kafka knows is asked for after the assignment: from then on the
 * group refuses offsets of the last owner's generation, and offsets in a transaction still open are waited for. */
#include "pipeline.h"

#include "byunique/failpoint.h"
#include "byunique/id_index.h"
#include "byunique/log.h"
#include "byunique/producer.h"
#include "byunique/start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

/* One partition while it is decided where it starts. */
struct candidate {
	struct position position;
	struct log_facts log;
	struct peek *last; /* the last message processed, or NULL when it can't be looked at */
	struct start start;
	bool refused;
};

static struct assignment *assignment_new(uint32_t count)
{
	struct assignment *assignment = xcalloc(1, sizeof(*assignment));

	assignment->partitions = xcalloc(count, sizeof(*assignment->partitions));
	if (getrandom(assignment->token, sizeof(assignment->token), 0) != (ssize_t)sizeof(assignment->token))
		die("the kernel gives no random bytes");
	return assignment;
}

void assignment_free(struct assignment *assignment)
{
	if (assignment == NULL)
		return;
	group_free(assignment->group);
	for (uint32_t i = 0; i < assignment->count; i++)
		id_index_free(assignment->partitions[i].ids);
	free(assignment->partitions);
	free(assignment);
}

/* --- the facts ------------------------------------------------------------------------------------------------------ */

static bool read_log_facts(struct pipeline *pipeline, const int32_t *numbers, uint32_t count, struct arena *arena,
			   struct candidate *candidates, struct err *err)
{
	struct log_facts *facts = arena_zarray(arena, struct log_facts, count);

	if (pipeline->cluster_id == NULL && !consumer_cluster_id(pipeline->consumer, &pipeline->cluster_id, err))
		return false;
	if (!consumer_facts(pipeline->consumer, numbers, count, facts, err))
		return false;
	for (uint32_t i = 0; i < count; i++)
		candidates[i].log = facts[i];
	return true;
}

/* The last owner may have been stopped with the rows locked. */
static void end_frozen_owner(struct pipeline *pipeline, const int32_t *numbers, uint32_t count)
{
	int64_t ended;
	struct err err;

	if (!position_end_frozen(pipeline_pg(pipeline), pipeline->config->commands_topic, numbers, count, &ended, &err))
		log_err(LOG_WARN, "frozen_worker_kept", &err);
	else if (ended > 0)
		log_event(LOG_WARN, "frozen_worker_ended",
			  "topic=%s sessions=%" PRId64 " what=\"a worker that lost these partitions stood still in the "
			  "middle of a batch\"",
			  log_quotes(pipeline->config->commands_topic), ended);
}

static bool read_positions(struct pipeline *pipeline, const int32_t *numbers, uint32_t count, struct arena *arena,
			   struct candidate *candidates, struct err *err)
{
	struct position *positions = arena_zarray(arena, struct position, count);

	if (!position_read(pipeline_pg(pipeline), pipeline->config->commands_topic, numbers, count, true, arena, positions, err)) {
		if (pg_lock_was_missing(err))
			end_frozen_owner(pipeline, numbers, count);
		return false;
	}
	for (uint32_t i = 0; i < count; i++)
		candidates[i].position = positions[i];
	return true;
}

/* Kafka is slow, or a partition has no leader: that passes, and nobody else is to suffer from it by a rebalance. */
static void wait_for_kafka(struct err *err)
{
	if (err->verdict == VERDICT_REJOIN)
		err->verdict = VERDICT_RETRY;
}

/* Is the last message processed still the same one? */
static bool peek_at_last(const struct config *config, uint32_t count, struct arena *arena, struct candidate *candidates,
			 struct err *err)
{
	struct peek *peeks = arena_zarray(arena, struct peek, count);
	uint32_t peek_count = 0;

	for (uint32_t i = 0; i < count; i++) {
		int64_t last = candidates[i].position.last_offset;
		if (!candidates[i].position.known || last < candidates[i].log.log_start || last >= candidates[i].log.log_end)
			continue;
		candidates[i].last = &peeks[peek_count++];
		*candidates[i].last = (struct peek){.partition = candidates[i].position.partition, .offset = last};
	}
	bool ok = consumer_peek(config, peeks, peek_count, err);
	if (!ok)
		wait_for_kafka(err);
	return ok;
}

/* --- the decision ----------------------------------------------------------------------------------------------------- */

static bool was_refused(const struct pipeline *pipeline, int32_t partition)
{
	for (uint32_t i = 0; i < pipeline->refused_count; i++)
		if (pipeline->refused[i] == partition)
			return true;
	return false;
}

static void decide(const struct pipeline *pipeline, struct candidate *candidate)
{
	const char *topic = log_quotes(pipeline->config->commands_topic);
	const struct position *position = &candidate->position;
	const struct peek *last = candidate->last;
	struct start_facts facts = {
		.partition = position->partition,
		.log_start = candidate->log.log_start,
		.log_end = candidate->log.log_end,
		.committed = candidate->log.committed,
		.committed_by_others = candidate->log.committed_by_others,
		.known = position->known,
		.next_offset = position->next_offset,
		.published_offset = position->published_offset,
		.has_last = last != NULL && last->found,
		.last_is_another = last != NULL && last->found && last->hash != position->last_hash,
		.cluster_id = position->cluster_id.base,
		.group_id = position->group_id.base,
		.our_cluster_id = pipeline->cluster_id,
		.our_group_id = config_kafka(pipeline->config, "group.id"),
	};
	struct err err;

	candidate->refused = was_refused(pipeline, position->partition);
	if (candidate->refused)
		return; /* its reason was logged */
	candidate->refused = !start_decide(&facts, &candidate->start, &err);
	if (candidate->refused) {
		log_event(LOG_ERROR, "partition_refused", "topic=%s partition=%" PRId32 " what=%s detail=%s hint=%s", topic,
			  position->partition, log_quotes(err.what), log_quotes(err.detail), log_quotes(err.hint));
		return;
	}
	if (candidate->start.warning != NULL) {
		metric_add(&pipeline->metrics->behind[0], strcmp(candidate->start.warning, "database_behind_group") == 0);
		log_event(LOG_WARN, candidate->start.warning, "topic=%s partition=%" PRId32 " reason=%s position=%" PRId64
							      " committed=%" PRId64 " start=%" PRId64,
			  topic, position->partition, log_quotes(candidate->start.reason),
			  position->known ? position->next_offset : -1, facts.committed, candidate->start.offset);
	}
}

static void add_partition(struct assignment *assignment, const struct candidate *candidate)
{
	struct partition *partition = &assignment->partitions[assignment->count++];
	const struct position *position = &candidate->position;
	int64_t next_offset = position->known ? position->next_offset : candidate->start.offset;
	int64_t published = position->known ? position->published_offset : candidate->start.offset;

	if (candidate->log.committed > published && !candidate->log.committed_by_others) /* but not beyond what this database knows */
		published = candidate->log.committed < next_offset ? candidate->log.committed : next_offset;
	*partition = (struct partition){
		.number = position->partition,
		.start = candidate->start.offset,
		.fetched_offset = candidate->start.offset,
		.offset_seen = candidate->log.committed >= 0,
		.next_offset = next_offset,
		.uncertain_offset = -1,
		.ids = id_index_new(),
		.published_stored = position->known ? position->published_offset : candidate->start.offset,
		.published = published,
	};
}

/* --- the claim ---------------------------------------------------------------------------------------------------------- */

static bool claim(struct pipeline *pipeline, struct assignment *assignment, struct arena *arena, struct err *err)
{
	uint32_t count = assignment->count;
	int32_t *numbers = arena_array(arena, int32_t, count), *ids = arena_zarray(arena, int32_t, count);
	int64_t *next_offsets = arena_array(arena, int64_t, count);

	for (uint32_t i = 0; i < count; i++) {
		numbers[i] = assignment->partitions[i].number;
		next_offsets[i] = assignment->partitions[i].next_offset;
	}
	if (!position_claim(pipeline_pg(pipeline), pipeline->config->commands_topic, numbers, next_offsets, count,
			    assignment->token, pipeline->cluster_id, config_kafka(pipeline->config, "group.id"), ids, err))
		return false;
	for (uint32_t i = 0; i < count; i++)
		assignment->partitions[i].id = ids[i];
	return true;
}

/* What is caught up is to be published again. A group that stays ahead would have a successor, after a crash in the middle
 * of it, begin behind what is stored and not published; so the group goes back first. */
static bool rewind_group(struct pipeline *pipeline, const struct candidate *candidates, uint32_t count, struct arena *arena,
			 struct err *err)
{
	struct next_offset *offsets = arena_array(arena, struct next_offset, count);
	uint32_t ahead = 0;

	for (uint32_t i = 0; i < count; i++)
		if (!candidates[i].refused && candidates[i].log.committed > candidates[i].start.offset)
			offsets[ahead++] = (struct next_offset){candidates[i].position.partition, candidates[i].start.offset};
	return ahead == 0 || consumer_rewind(pipeline->consumer, offsets, ahead, err);
}

/* With the database taken: facts, decisions and claim, in one PostgreSQL transaction. */
static bool decide_and_claim(struct pipeline *pipeline, const int32_t *numbers, uint32_t count, struct arena *arena,
			     struct candidate *candidates, struct assignment *assignment, struct err *err)
{
	bool ok = read_positions(pipeline, numbers, count, arena, candidates, err) &&
		  peek_at_last(pipeline->config, count, arena, candidates, err) &&
		  FAILPOINT_PASS(assign_positions_read, err);

	for (uint32_t i = 0; ok && i < count; i++) {
		decide(pipeline, &candidates[i]);
		if (!candidates[i].refused)
			add_partition(assignment, &candidates[i]);
	}
	ok = ok && assignment->count > 0 && rewind_group(pipeline, candidates, count, arena, err) &&
	     claim(pipeline, assignment, arena, err) && FAILPOINT_PASS(assign_claimed, err);
	if (!ok)
		pg_rollback(pipeline_pg(pipeline));
	return ok;
}

/* In turn, as messages come partition by partition. */
static void share_out(struct pipeline *pipeline, struct assignment *assignment)
{
	for (uint32_t i = 0; i < assignment->count; i++)
		assignment->partitions[i].lane = i % pipeline->lane_count;
	pipeline->lanes_in_use = assignment->count < pipeline->lane_count ? assignment->count : pipeline->lane_count;
}

static void log_start(const struct pipeline *pipeline, const struct assignment *assignment)
{
	struct buf list = BUF_EMPTY;

	for (uint32_t i = 0; i < assignment->count; i++)
		buf_printf(&list, "%s%" PRId32 "@%" PRId64, i ? "," : "", assignment->partitions[i].number,
			   assignment->partitions[i].start);
	log_event(LOG_INFO, "partitions_started", "topic=%s count=%" PRIu32 " partitions=%s",
		  log_quotes(pipeline->config->commands_topic), assignment->count, list.base);
	buf_release(&list);
}

static bool start(struct pipeline *pipeline, const int32_t *numbers, uint32_t count, struct arena *arena,
		  struct assignment *assignment, struct err *err)
{
	struct candidate *candidates = arena_zarray(arena, struct candidate, count);

	if (!read_log_facts(pipeline, numbers, count, arena, candidates, err) || !FAILPOINT_PASS(assign_facts_read, err)) {
		wait_for_kafka(err);
		return false;
	}
	if (!database_take(&pipeline->lanes[0], err))
		return false;
	err->verdict = VERDICT_NONE;
	bool ok = decide_and_claim(pipeline, numbers, count, arena, candidates, assignment, err);
	database_give(&pipeline->lanes[0]);
	if (!ok && err->verdict == VERDICT_NONE) {
		err_set(err, VERDICT_REFUSE, "", "every partition given to this worker is refused");
		return err_detail(err, "the reasons are logged above, as partition_refused");
	}
	if (ok)
		share_out(pipeline, assignment);
	if (!ok || !consumer_start(pipeline->consumer, assignment->partitions, assignment->count, err))
		return false;
	assignment->group = consumer_group(pipeline->consumer);
	log_start(pipeline, assignment);
	FAILPOINT_REACH(assign_started);
	return true;
}

bool assignment_start(struct pipeline *pipeline, const int32_t *numbers, uint32_t count, struct assignment **out,
		      struct err *err)
{
	struct assignment *assignment = assignment_new(count);
	struct arena arena;

	arena_init(&arena);
	bool ok = start(pipeline, numbers, count, &arena, assignment, err);
	arena_release(&arena);
	if (!ok) {
		assignment_free(assignment);
		assignment = NULL;
	}
	*out = assignment;
	return ok;
}
