/* Kafka's offsets say what was published, PostgreSQL's position what was processed. Where they differ, what lies
 * between is read again: answered from stored outcomes below the position, applied from there on. Nothing is ever
 * skipped: what can't be told to be this topic, or is no longer in it, is refused. */
#include "byunique/start.h"

#include <inttypes.h>
#include <string.h>

static bool refuse(struct err *err, struct start *start, enum start_refusal refusal, const struct start_facts *facts,
		   const char *what)
{
	start->refusal = refusal;
	return err_set(err, VERDICT_REFUSE, "", "partition %" PRId32 " is refused: %s", facts->partition, what);
}

static bool is_other_topic(const struct start_facts *facts, struct start *start, struct err *err)
{
	if (strcmp(facts->cluster_id, facts->our_cluster_id) != 0) {
		refuse(err, start, START_OTHER_CLUSTER, facts, "the database knows it from another Kafka cluster");
		err_detail(err, "processed on cluster %s, connected to %s", facts->cluster_id, facts->our_cluster_id);
		err_hint(err,
			 "If this is meant: `byunique replay adopt --cluster`, or --forget when it is a new topic.");
	} else if (strcmp(facts->group_id, facts->our_group_id) != 0) {
		refuse(err, start, START_OTHER_GROUP, facts, "the database knows it from another consumer group");
		err_detail(err, "processed by group %s, this is %s", facts->group_id, facts->our_group_id);
		err_hint(err, "If the group was renamed: `byunique replay adopt --group`.");
	} else if (facts->next_offset > facts->log_end) {
		refuse(err, start, START_OTHER_TOPIC, facts,
		       "the topic ends before what was processed, so it was deleted and recreated");
		err_detail(err, "processed up to offset %" PRId64 ", the log ends at %" PRId64, facts->next_offset,
			   facts->log_end);
		err_hint(err, "If this is meant: `byunique replay adopt --forget`; every message in it is new then.");
	} else if (facts->has_last && facts->last_is_another) {
		refuse(err, start, START_OTHER_TOPIC, facts,
		       "the last message processed is another one now, so the topic was deleted and recreated");
		err_detail(err, "at the offset before %" PRId64, facts->next_offset);
		err_hint(err, "If this is meant: `byunique replay adopt --forget`; every message in it is new then.");
	}
	return start->refusal != START_FINE;
}

static bool is_lost(const struct start_facts *facts, int64_t needed, struct start *start, struct err *err)
{
	if (needed >= facts->log_start)
		return false;
	refuse(err, start, START_LOST, facts, "the topic no longer holds all that is needed");
	err_detail(err,
		   "needed from offset %" PRId64 ", the log starts at %" PRId64 ": %" PRId64 " messages are missing",
		   needed, facts->log_start, facts->log_start - needed);
	err_hint(err, "Apply an archive (`byunique replay archive`), restore a newer backup, or accept the loss: "
		      "`byunique replay "
		      "adopt --accept-loss`.");
	return true;
}

static bool start_unknown(const struct start_facts *facts, struct start *start, struct err *err)
{
	if (facts->committed >= 0 && facts->committed != facts->log_start && facts->log_start > 0) {
		refuse(err, start, START_UNKNOWN, facts,
		       "this database knows nothing of it, and what the group processed is partly gone");
		err_detail(err, "the group is at offset %" PRId64 ", the log starts at %" PRId64, facts->committed,
			   facts->log_start);
		return err_hint(err,
				"Is `postgres` the right database? Restore its backup, or begin with what is left: "
				"`byunique replay adopt --forget`.");
	}
	start->offset = facts->log_start;
	if (facts->committed >= 0) {
		start->warning = "database_knows_nothing";
		start->reason =
			"the group has processed this topic, this database has not: starting from the log's start";
	}
	return true;
}

static bool start_known(const struct start_facts *facts, struct start *start, struct err *err)
{
	int64_t from = facts->committed < 0 ? facts->published_offset : facts->committed;

	if (is_lost(facts, facts->next_offset, start, err))
		return false;
	bool is_raised = facts->committed_by_others && from > facts->published_offset;
	if (is_raised) {
		start->warning = "group_offset_raised";
		start->reason = "not by a worker: publishing what is not known to be published";
	}
	if (from > facts->next_offset) {
		start->warning = "database_behind_group";
		start->reason = is_raised ? "the group's offset was put forward: catching up, as nothing is skipped"
					  : "PostgreSQL was restored or lost commits: catching up, results are published again";
		from = facts->next_offset;
	}
	if (is_raised)
		from = facts->published_offset;
	if (from < facts->log_start) {
		/* What was published already need not be there; what was not, does. */
		if (is_lost(facts, facts->published_offset, start, err))
			return false;
		from = facts->log_start;
	}
	start->offset = from;
	return true;
}

bool start_decide(const struct start_facts *facts, struct start *start, struct err *err)
{
	*start = (struct start){0};
	if (!facts->known)
		return start_unknown(facts, start, err);
	return !is_other_topic(facts, start, err) && start_known(facts, start, err);
}
