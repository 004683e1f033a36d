/* audit: results, database and log beside each other, message by message, while workers run.
 *
 * What a running worker is about to do must not look like a fault, so the order in which things are read is all that
 * matters. A worker goes on in this order: COMMIT in PostgreSQL (outcomes, position), then the Kafka transaction (results,
 * the group's offsets), then published_offset. It is read against that order where something must be there, and along with
 * it where something must not:
 *
 *     1. the group's offsets   a result below them, or below published_offset, is in the results topic by now, if perhaps
 *     2. positions             hidden by a transaction that is just being ended; and they can't be beyond the position (2),
 *     3. end of the results    nor that beyond the end of the log (4). The end of the results is that of the log, not of
 *     4. end of the commands   what is committed, and is waited for.
 *     5. the results           Each was made from a message below 4, and stored before it was visible, so that
 *     6. positions again       its message is below 6,
 *     7. messages, outcomes    and its outcome can be read now, but for what retention has deleted.
 *
 * Results are read first and whole: they lie anywhere in their topic. 16 bytes are kept for each offset of the range
 * (struct trace). Then the messages are read in order, with the outcomes beside them, and judged one by one. */
#include "byunique/cli.h"

#include "cli/auditing.h"
#include "cli/place.h"

#include <inttypes.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique audit\n"
	"  byunique audit --from time:2024-05-17T22:00:00Z --json\n"
	"  byunique audit --partition 3 --from offset:12000 --to offset:15000\n"
	"\n"
	"Looks at the messages of the commands topic, their results and what the database has stored of\n"
	"them, and prints one line for each finding:\n"
	"\n"
	"  missing        processed, but there is no result\n"
	"  differing      two results that differ; after a restored backup, commands decided anew\n"
	"  at_odds        the result says another status or code than the database\n"
	"  no_outcome     processed, younger than outcome.retention, but no outcome is stored\n"
	"  other_message  not the message that was processed: the topic was recreated\n"
	"  not_processed  there is a result, but the database has not come that far: it lost commits\n"
	"  beyond_log     there is a result, but the log does not go that far\n"
	"  unreadable     a record of the results topic that is no result\n"
	"  position       a partition's position lies beyond its log's end, or the group's offset beyond it\n"
	"  repeated       only with --strict: the very same result again\n"
	"\n"
	"The very same result again is what a reset of the group's offsets brings about; such are counted,\n"
	"and so are results of messages that the topic no longer holds. Messages not yet processed are\n"
	"pending. It may run while workers do. It changes nothing: the right to SELECT is enough in\n"
	"PostgreSQL, to read in Kafka. All of the results topic is read, and 16 bytes of memory are taken\n"
	"for each offset of the range.\n"
	"\n"
	"Exit code: 0 when nothing was found, 3 when something was, 1 when it could not be done.";

static const struct option_spec options[] = {
	{"partition", "N", "only this partition of the commands topic"},
	{"from", "PLACE", "first message: beginning (default), offset:N or time:2024-05-17T10:00:00Z"},
	{"to", "PLACE", "up to, not including: end (default), offset:N or time:..."},
	{"strict", NULL, "report repeated results, too"},
	{"limit", "N", "print at most N findings; all are counted"},
	{"json", NULL, "print JSON Lines: findings, then a summary"},
	{NULL, NULL, NULL},
};

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool read_options(const struct cli_args *args, struct audit *audit, struct err *err)
{
	audit->config = args->config;
	audit->partition = -1;
	audit->from.kind = KAFKA_PLACE_BEGINNING;
	audit->to.kind = KAFKA_PLACE_END;
	audit->strict = cli_flag(args, "strict");
	audit->findings.limit = INT64_MAX;
	audit->findings.json = cli_flag(args, "json");
	return cli_option_int(args, "partition", 0, INT32_MAX, &audit->partition, err) &&
	       cli_option_int(args, "limit", 0, INT64_MAX, &audit->findings.limit, err) &&
	       place_parse("from", cli_option(args, "from"), &audit->from, err) &&
	       place_parse("to", cli_option(args, "to"), &audit->to, err);
}

/* --- where things begin and end ----------------------------------------------------------------------------------- */

static bool check_partition(const struct audit *audit, struct err *err)
{
	if (audit->partition < audit->partitions)
		return true;
	err_set(err, VERDICT_USAGE, "", "there is no partition %" PRId64, audit->partition);
	return err_detail(err, "the topic \"%.200s\" has %d", audit->config->commands_topic, audit->partitions);
}

static bool read_committed(struct audit *audit, struct err *err)
{
	struct kafka_look *look = NULL;

	/* Uncommitted: offsets of a transaction under way are not waited for. */
	if (!kafka_look_open(&look, audit->config, audit->config->commands_topic, true, err))
		return false;
	audit->partitions = kafka_look_partitions(look);
	audit->ledgers = xcalloc((unsigned long)audit->partitions, sizeof(*audit->ledgers));
	int64_t *offsets = xcalloc((unsigned long)audit->partitions, sizeof(*offsets));
	bool *by_others = xcalloc((unsigned long)audit->partitions, sizeof(*by_others));
	bool ok = check_partition(audit, err) && kafka_look_committed(look, offsets, by_others, err);
	for (int i = 0; ok && i < audit->partitions; i++) {
		audit->ledgers[i].committed = offsets[i];
		audit->ledgers[i].committed_by_others = by_others[i];
	}
	free(offsets);
	free(by_others);
	kafka_look_close(look);
	return ok;
}

static bool read_positions(struct audit *audit, bool after, struct err *err)
{
	struct stored_position *positions;
	int count;

	if (!stored_positions(audit->pg, audit->config->commands_topic, &positions, &count, err))
		return false;
	for (int i = 0; i < count; i++) {
		if (positions[i].partition >= audit->partitions)
			continue;
		struct ledger *ledger = &audit->ledgers[positions[i].partition];
		struct stored_position *place = after ? &ledger->after : &ledger->before;
		*place = positions[i];
		place->cluster_id = place->group_id = NULL; /* not copied */
	}
	stored_positions_free(positions, count);
	return true;
}

static bool read_results_end(struct audit *audit, struct err *err)
{
	const struct kafka_place beginning = {.kind = KAFKA_PLACE_BEGINNING}, end = {.kind = KAFKA_PLACE_END};
	struct kafka_look *look = NULL;

	if (!kafka_look_open(&look, audit->config, audit->config->results_topic, true, err))
		return false;
	audit->result_partitions = kafka_look_partitions(look);
	audit->results = xcalloc((unsigned long)audit->result_partitions, sizeof(*audit->results));
	audit->oldest_ms = xcalloc((unsigned long)audit->result_partitions, sizeof(*audit->oldest_ms));
	for (int i = 0; i < audit->result_partitions; i++)
		audit->oldest_ms[i] = -1;
	bool ok = kafka_look_extents(look, beginning, end, audit->results, err);
	kafka_look_close(look);
	return ok;
}

static void take_extent(const struct audit *audit, int partition, const struct kafka_extent *extent)
{
	struct ledger *ledger = &audit->ledgers[partition];

	ledger->extent = *extent;
	if (!audit_wants(audit, partition) || extent->end < extent->begin)
		ledger->extent.end = extent->begin;
	ledger->traces = xcalloc((unsigned long)(ledger->extent.end - ledger->extent.begin) + 1, sizeof(*ledger->traces));
}

static bool read_commands_end(struct audit *audit, struct err *err)
{
	struct kafka_look *look = NULL;
	struct kafka_extent *extents = xcalloc((unsigned long)audit->partitions, sizeof(*extents));

	bool ok = kafka_look_open(&look, audit->config, audit->config->commands_topic, false, err);
	if (ok && kafka_look_partitions(look) != audit->partitions)
		ok = err_set(err, VERDICT_STOP, "", "the commands topic was changed meanwhile");
	ok = ok && kafka_look_extents(look, audit->from, audit->to, extents, err);
	for (int i = 0; ok && i < audit->partitions; i++)
		take_extent(audit, i, &extents[i]);
	kafka_look_close(look);
	free(extents);
	return ok;
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

static void report_position(struct audit *audit, int partition, int64_t offset, const char *what, int64_t other)
{
	const struct finding finding = {
		.kind = AUDIT_POSITION, .partition = partition, .offset = offset, .result_partition = -1};
	findings_report(&audit->findings, &finding, "%s %" PRId64, what, other);
}

static void judge_position(struct audit *audit, int partition)
{
	const struct ledger *ledger = &audit->ledgers[partition];
	const struct stored_position *position = &ledger->before;

	if (position->id == 0) {
		if (ledger->committed > 0)
			report_position(audit, partition, 0,
					"the database knows nothing of it, and the group's offset is", ledger->committed);
		return;
	}
	if (position->next_offset > ledger->extent.log_end)
		report_position(audit, partition, position->next_offset,
				"the database's position lies beyond the log's end,", ledger->extent.log_end);
	if (ledger->committed > position->next_offset)
		report_position(audit, partition, position->next_offset,
				"the database's position lies before the group's offset,", ledger->committed);
	if (position->published_offset > position->next_offset)
		report_position(audit, partition, position->next_offset,
				"the database's position lies before what is said to be published,",
				position->published_offset);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool open_database(struct audit *audit, struct err *err)
{
	const struct config *config = audit->config;

	return pg_open(&audit->pg, config, "byunique audit", err) &&
	       pg_check_version(audit->pg, err);
}

static bool carry_out(struct audit *audit, struct err *err)
{
	if (!read_committed(audit, err) || !read_positions(audit, false, err) || !read_results_end(audit, err) ||
	    !read_commands_end(audit, err))
		return false;
	findings_begin(&audit->findings);
	for (int i = 0; i < audit->partitions; i++)
		if (audit_wants(audit, i))
			judge_position(audit, i);
	if (!audit_read_results(audit, err) || !read_positions(audit, true, err) || !audit_read_messages(audit, err))
		return false;
	findings_summary(&audit->findings);
	return true;
}

static void release(struct audit *audit)
{
	for (int i = 0; i < audit->partitions; i++) {
		stored_free(audit->pg, audit->ledgers[i].stored);
		free(audit->ledgers[i].traces);
	}
	free(audit->ledgers);
	free(audit->results);
	free(audit->oldest_ms);
	pg_close(audit->pg);
	schemas_close(audit->schemas);
}

static int run(const struct cli_args *args)
{
	struct audit audit = {0};
	struct err err;

	bool ok = read_options(args, &audit, &err) &&
		  schemas_open(&audit.schemas, NULL, false, &err) &&
		  schemas_use_registry(audit.schemas, args->config, &err) && open_database(&audit, &err) &&
		  carry_out(&audit, &err);
	int code = !ok ? cli_fail(&err) : findings_any(&audit.findings) ? EXIT_WITH_ERRORS : EXIT_DONE;
	release(&audit);
	return code;
}

const struct cli_command cmd_audit = {
	.name = "audit",
	.summary = "compare messages, results and database",
	.synopsis = "[--partition N] [--from PLACE] [--to PLACE] [--strict] [--limit N] [--json]",
	.help = help,
	.options = options,
	.needs_config = true,
	.run = run,
};
