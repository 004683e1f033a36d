/* The same facts, asked for in the same order, and the same decision as in assignment.c, but without its locks. */
#include "cli/outlook.h"

#include "byunique/consumer.h"
#include "sql/statements.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- the facts ---------------------------------------------------------------------------------------------------- */

static bool read_log(struct outlook *outlook, struct kafka_look *look, struct kafka_place from, struct kafka_place to,
		     struct err *err)
{
	int count = outlook->topic_partitions = outlook->count = kafka_look_partitions(look);
	int64_t *committed = xcalloc((unsigned long)count, sizeof(*committed));
	bool *by_others = xcalloc((unsigned long)count, sizeof(*by_others));
	struct kafka_extent *extents = xcalloc((unsigned long)count, sizeof(*extents));

	outlook->prospects = xcalloc((unsigned long)count, sizeof(*outlook->prospects));
	bool ok = kafka_look_cluster(look, &outlook->cluster_id, err) && kafka_look_committed(look, committed, by_others, err) &&
		  kafka_look_extents(look, from, to, extents, err);
	for (int i = 0; ok && i < count; i++)
		outlook->prospects[i] = (struct prospect){.in_topic = true,
							  .extent = extents[i],
							  .committed = committed[i],
							  .committed_by_others = by_others[i]};
	free(committed);
	free(by_others);
	free(extents);
	return ok;
}

static bool ask_kafka(struct outlook *outlook, struct kafka_place from, struct kafka_place to, struct err *err)
{
	struct kafka_look *look = NULL;

	if (!kafka_look_open(&look, outlook->config, outlook->config->commands_topic, false, err))
		return false;
	bool ok = read_log(outlook, look, from, to, err);
	kafka_look_close(look);
	return ok &&
	       kafka_group_members(outlook->config, config_kafka(outlook->config, "group.id"), &outlook->members, err);
}

/* Room for partitions that only the database knows. */
static void extend(struct outlook *outlook, int count)
{
	outlook->prospects = xrealloc(outlook->prospects, (unsigned long)count * sizeof(*outlook->prospects));
	for (; outlook->count < count; outlook->count++)
		outlook->prospects[outlook->count] = (struct prospect){.committed = -1};
}

static bool ask_database(struct outlook *outlook, const char *application, struct err *err)
{
	const struct config *config = outlook->config;

	if (!pg_open(&outlook->pg, config, application, err) ||
	    !pg_check_version(outlook->pg, err) ||
	    !stored_positions(outlook->pg, config->commands_topic, &outlook->positions, &outlook->position_count, err))
		return false;
	for (int i = 0; i < outlook->position_count; i++) {
		const struct stored_position *position = &outlook->positions[i];
		if (position->partition >= outlook->count)
			extend(outlook, position->partition + 1);
		outlook->prospects[position->partition].position = position;
	}
	return true;
}

/* Is the last message processed still the same one? */
static bool peek_at_last(struct outlook *outlook, struct err *err)
{
	struct peek *peeks = xcalloc((unsigned long)outlook->count, sizeof(*peeks));
	uint32_t count = 0;

	for (int i = 0; i < outlook->topic_partitions; i++) {
		const struct prospect *prospect = &outlook->prospects[i];
		int64_t last = prospect->position ? prospect->position->last_offset : -1;
		if (last >= prospect->extent.log_start && last < prospect->extent.log_end)
			peeks[count++] = (struct peek){.partition = i, .offset = last};
	}
	bool ok = consumer_peek(outlook->config, peeks, count, err);
	for (uint32_t i = 0; ok && i < count; i++) {
		outlook->prospects[peeks[i].partition].last_found = peeks[i].found;
		outlook->prospects[peeks[i].partition].last_hash = peeks[i].hash;
	}
	free(peeks);
	return ok;
}

/* --- the decision ------------------------------------------------------------------------------------------------- */

static void collect(const struct outlook *outlook, int partition)
{
	struct prospect *prospect = &outlook->prospects[partition];
	const struct stored_position *position = prospect->position;

	prospect->facts = (struct start_facts){
		.partition = partition,
		.log_start = prospect->extent.log_start,
		.log_end = prospect->extent.log_end,
		.committed = prospect->committed,
		.committed_by_others = prospect->committed_by_others,
		.known = position != NULL,
		.our_cluster_id = outlook->cluster_id,
		.our_group_id = config_kafka(outlook->config, "group.id"),
	};
	if (position == NULL)
		return;
	prospect->facts.next_offset = position->next_offset;
	prospect->facts.published_offset = position->published_offset;
	prospect->facts.has_last = prospect->last_found;
	prospect->facts.last_is_another = prospect->last_found && prospect->last_hash != position->last_hash;
	prospect->facts.cluster_id = position->cluster_id;
	prospect->facts.group_id = position->group_id;
}

void prospect_decide(struct prospect *prospect)
{
	if (!start_decide(&prospect->facts, &prospect->start, &prospect->refusal))
		ASSERT(prospect->start.refusal != START_FINE);
}

bool outlook_open(struct outlook *outlook, const struct config *config, const char *application,
		  struct kafka_place from, struct kafka_place to, struct err *err)
{
	outlook->config = config;
	if (!ask_kafka(outlook, from, to, err) || !ask_database(outlook, application, err) ||
	    !peek_at_last(outlook, err))
		return false;
	for (int i = 0; i < outlook->count; i++) {
		collect(outlook, i);
		if (outlook->prospects[i].in_topic)
			prospect_decide(&outlook->prospects[i]);
	}
	return true;
}

void outlook_close(struct outlook *outlook)
{
	stored_positions_free(outlook->positions, outlook->position_count);
	free(outlook->prospects);
	free(outlook->cluster_id);
	pg_close(outlook->pg);
}

/* --- may it be done? ---------------------------------------------------------------------------------------------- */

bool outlook_check_partition(const struct outlook *outlook, int64_t partition, struct err *err)
{
	if (partition < outlook->count)
		return true;
	err_set(err, VERDICT_USAGE, "", "there is no partition %" PRId64, partition);
	return err_detail(err, "the topic \"%.200s\" has %d", outlook->config->commands_topic,
			  outlook->topic_partitions);
}

static bool is_busy(int members, const char *group, struct err *err)
{
	if (members == 0)
		return false;
	err_set(err, VERDICT_STOP, "", "the consumer group \"%.120s\" has %d member%s", group, members,
		members == 1 ? "" : "s");
	err_hint(err, "Stop the group's workers first; a killed one is gone after its session timeout.");
	return true;
}

/* A worker that is not, or not yet, in the group. */
bool outlook_check_sessions(struct pg *pg, const struct config *config, struct err *err)
{
	const char *params[] = {config_kafka(config, "group.id"), config->commands_topic};
	struct pg_rows *rows = NULL;

	if (!pg_query(pg, sql_workers_alive, params, 2, &rows, err))
		return false;
	int64_t count = pg_rows_int(rows, 0, 0);
	pg_rows_free(rows);
	if (count == 0)
		return true;
	err_set(err, VERDICT_STOP, "", "%" PRId64 " worker%s of this database %s running", count, count == 1 ? "" : "s",
		count == 1 ? "is" : "are");
	return err_hint(err, "Stop the workers first.");
}

bool outlook_check_idle(struct outlook *outlook, struct err *err)
{
	const char *ours = config_kafka(outlook->config, "group.id");

	if (!kafka_group_members(outlook->config, ours, &outlook->members, err) || is_busy(outlook->members, ours, err))
		return false;
	for (int i = 0; i < outlook->position_count; i++) {
		const char *group = outlook->positions[i].group_id;
		int members = 0;
		bool is_new =
			strcmp(group, ours) != 0 && (i == 0 || strcmp(group, outlook->positions[i - 1].group_id) != 0);
		if (is_new &&
		    (!kafka_group_members(outlook->config, group, &members, err) || is_busy(members, group, err)))
			return false;
	}
	return outlook_check_sessions(outlook->pg, outlook->config, err);
}
