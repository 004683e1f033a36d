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

#include "byunique/audit.h"
#include "byunique/avro.h"
#include "byunique/clock.h"
#include "byunique/kafka.h"
#include "byunique/stored.h"
#include "cli/findings.h"
#include "cli/place.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
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

/* One partition of the commands topic. */
struct ledger {
	struct kafka_extent extent; /* of what is looked at */
	struct trace *traces;	    /* by offset, from extent.begin on */
	int64_t committed;	    /* the group's offset, -1: none */
	struct stored_position before, after; /* before and after the results were read; id 0: no row */
	struct stored *stored; /* NULL: nothing, or not asked yet */
};

struct audit {
	const struct config *config;
	int64_t partition; /* -1: all */
	struct kafka_place from, to;
	bool strict;
	struct findings findings;
	struct schemas *schemas;
	struct pg *pg;
	struct ledger *ledgers;
	int partitions;
	struct kafka_extent *results; /* by partition of the results topic */
	int64_t *oldest_ms;	      /* by partition of the results topic: of its first record, -1: none */
	int result_partitions;
	int64_t kept_since_ms, results_since_ms; /* see struct audit_facts */
	bool is_cut;				 /* the result at hand: byunique.truncated */
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

static bool is_chosen(const struct audit *audit, int64_t partition)
{
	return audit->partition < 0 || audit->partition == partition;
}

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
	bool ok = check_partition(audit, err) && kafka_look_committed(look, offsets, err);
	for (int i = 0; ok && i < audit->partitions; i++)
		audit->ledgers[i].committed = offsets[i];
	free(offsets);
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
	if (!is_chosen(audit, partition) || extent->end < extent->begin)
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

/* --- results ------------------------------------------------------------------------------------------------------ */

static void report_unreadable(struct audit *audit, const struct kafka_record *record, struct slice why)
{
	const struct finding finding = {.kind = AUDIT_UNREADABLE,
					.partition = -1,
					.result_partition = record->partition,
					.result_offset = record->offset};
	findings_report(&audit->findings, &finding, "a record of the results topic that is no result: " SLICE_FMT,
			SLICE_ARG(why));
}

static void report_again(struct audit *audit, enum audit_finding kind, const struct result *result,
			 const struct trace *before, const struct trace *now)
{
	const struct finding finding = {.kind = kind,
					.partition = result->source_partition,
					.offset = result->source_offset,
					.result_partition = (int32_t)now->partition,
					.result_offset = (int64_t)now->offset};
	findings_report(&audit->findings, &finding, "answered before at %d:%" PRId64 "%s", (int)before->partition,
			(int64_t)before->offset, kind == AUDIT_DIFFERING ? ", otherwise" : "");
}

static void report_beyond(struct audit *audit, const struct result *result, const struct kafka_record *record)
{
	const struct finding finding = {.kind = AUDIT_BEYOND_LOG,
					.partition = result->source_partition,
					.offset = result->source_offset,
					.result_partition = record->partition,
					.result_offset = record->offset};
	if (result->source_partition < 0 || result->source_partition >= audit->partitions)
		findings_report(&audit->findings, &finding, "there is no such partition");
	else
		findings_report(&audit->findings, &finding, "the log ends at %" PRId64,
				audit->ledgers[result->source_partition].extent.log_end);
}

static uint32_t digest_of(const struct kafka_record *record)
{
	uint32_t digest = (uint32_t)message_hash(record->key, record->value);
	return digest == TRACE_DIGEST_CUT ? 1 : digest;
}

/* A result of a message in the range. */
static void enter_result(struct audit *audit, const struct result *result, const struct kafka_record *record)
{
	struct ledger *ledger = &audit->ledgers[result->source_partition];
	struct trace *trace = &ledger->traces[result->source_offset - ledger->extent.begin], before = *trace;
	const struct trace now = {
		.partition = (uint16_t)record->partition,
		.offset = (uint64_t)record->offset & (((uint64_t)1 << 40) - 1),
		.code = trace_code(result->status, result->code, result->duplicate) & TRACE_CODE_ODD,
		.digest = audit->is_cut ? TRACE_DIGEST_CUT : digest_of(record),
		.processed_s = (uint32_t)(result->processed_at_ms / 1000),
	};
	enum audit_finding kind = trace_enter(trace, &now);

	audit->findings.results++;
	if (kind == AUDIT_FINE) {
		audit->findings.unknown++; /* until its message is met */
		return;
	}
	audit->findings.repeated += kind == AUDIT_REPEATED;
	if (kind == AUDIT_DIFFERING || audit->strict)
		report_again(audit, kind, result, &before, &now);
}

static void take_result(struct audit *audit, const struct result *result, const struct kafka_record *record)
{
	bool is_ours = slice_equal(result->source_topic, slice_cstr(audit->config->commands_topic));

	if (!is_ours || !is_chosen(audit, result->source_partition)) {
		audit->findings.outside++;
		return;
	}
	const struct ledger *ledger = result->source_partition >= 0 && result->source_partition < audit->partitions
					      ? &audit->ledgers[result->source_partition]
					      : NULL;
	if (ledger == NULL || result->source_offset < 0 || result->source_offset >= ledger->extent.log_end)
		report_beyond(audit, result, record);
	else if (result->source_offset < ledger->extent.log_start)
		audit->findings.unknown++;
	else if (result->source_offset < ledger->extent.begin || result->source_offset >= ledger->extent.end)
		audit->findings.outside++;
	else
		enter_result(audit, result, record);
}

static bool was_cut(const struct kafka_reader *reader)
{
	struct kafka_header header;

	for (size_t i = 0; kafka_reader_header(reader, i, &header); i++)
		if (strcmp(header.name, "byunique.truncated") == 0)
			return true;
	return false;
}

/* A result whose schema can't be had now is no finding: the audit ends. */
static bool take_record(struct audit *audit, const struct kafka_record *record, struct arena *arena, struct err *err)
{
	struct result result;
	struct slice detail;

	if (audit->oldest_ms[record->partition] < 0)
		audit->oldest_ms[record->partition] = record->timestamp_ms;
	switch (result_decode(audit->schemas, record->value, arena, &result, &detail)) {
	case DECODE_OK: take_result(audit, &result, record); return true;
	case DECODE_MALFORMED: report_unreadable(audit, record, detail); return true;
	case DECODE_LATER: break;
	}
	*err = *schemas_trouble(audit->schemas);
	return false;
}

static int64_t extents_total(const struct kafka_extent *extents, int count)
{
	int64_t total = 0;

	for (int i = 0; i < count; i++)
		total += extents[i].end > extents[i].begin ? extents[i].end - extents[i].begin : 0;
	return total;
}

/* What was published before this may be gone. */
static void find_results_since(struct audit *audit)
{
	for (int i = 0; i < audit->result_partitions; i++) {
		int64_t oldest_ms = audit->oldest_ms[i] < 0 ? INT64_MAX : audit->oldest_ms[i];
		if (audit->results[i].log_start > 0 && oldest_ms > audit->results_since_ms)
			audit->results_since_ms = oldest_ms;
	}
}

static bool read_results(struct audit *audit, struct err *err)
{
	struct kafka_reader *reader = NULL;
	struct kafka_record record;
	struct progress progress;
	struct arena arena;
	int64_t count = 0;
	bool got;

	bool ok = kafka_reader_open_extents(&reader, audit->config, audit->config->results_topic, audit->results,
					    audit->result_partitions, err);
	arena_init(&arena);
	progress_begin(&progress, "results", extents_total(audit->results, audit->result_partitions));
	audit->findings.progress = &progress;
	while (ok && !findings_reader_gone() && !kafka_reader_at_end(reader)) {
		ok = kafka_reader_next(reader, 100, &record, &got, err);
		audit->is_cut = ok && got && was_cut(reader);
		if (ok && got)
			ok = take_record(audit, &record, &arena, err);
		arena_clear(&arena);
		progress_show(&progress, count += ok && got);
	}
	progress_end(&progress);
	audit->findings.progress = NULL;
	arena_release(&arena);
	kafka_reader_close(reader);
	find_results_since(audit);
	return ok;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void code_text(int code, struct buf *out)
{
	if (!outcome_code_valid(code)) {
		buf_printf(out, "what no answer is");
		return;
	}
	const char *name = outcome_name((enum outcome_code)code);
	buf_printf(out, "%d%s%s", outcome_status((enum outcome_code)code), name || code == OUTCOME_DUPLICATE ? " " : "",
		   name ? name : code == OUTCOME_DUPLICATE ? "(duplicate)" : "");
}

static void explain(enum audit_finding kind, const struct audit_facts *facts, const struct ledger *ledger, struct buf *out)
{
	switch (kind) {
	case AUDIT_MISSING:
		buf_adds(out, "there is no result");
		if (facts->stored != AUDIT_STORED_SAME)
			break;
		buf_adds(out, "; the database says ");
		code_text(facts->code, out);
		buf_adds(out, ", processed ");
		time_text(facts->processed_at_ms, out);
		break;
	case AUDIT_AT_ODDS:
		buf_adds(out, "the result says ");
		code_text((int)facts->trace->code, out);
		buf_adds(out, ", the database ");
		code_text(facts->code, out);
		break;
	case AUDIT_NO_OUTCOME:
		buf_adds(out, "nothing is stored of it; the result says processed ");
		time_text(facts->trace->processed_s * INT64_C(1000), out);
		break;
	case AUDIT_NOT_PROCESSED:
		if (ledger->after.id == 0)
			buf_adds(out, "the database has no position of the partition");
		else
			buf_printf(out, "the database's position is %" PRId64, ledger->after.next_offset);
		break;
	default: buf_adds(out, audit_text(kind)); break;
	}
}

static void report_message(struct audit *audit, enum audit_finding kind, const struct kafka_record *record,
			   const struct audit_facts *facts, const struct ledger *ledger)
{
	bool answered = facts->trace->code != OUTCOME_NONE;
	const struct finding finding = {.kind = kind,
					.partition = record->partition,
					.offset = record->offset,
					.result_partition = answered ? (int32_t)facts->trace->partition : -1,
					.result_offset = (int64_t)facts->trace->offset};
	struct buf detail = BUF_EMPTY;

	explain(kind, facts, ledger, &detail);
	findings_report(&audit->findings, &finding, SLICE_FMT, SLICE_ARG(buf_slice(&detail)));
	buf_release(&detail);
}

static bool ask_stored(struct audit *audit, struct ledger *ledger, const struct kafka_record *record,
		       struct audit_facts *facts, struct err *err)
{
	enum stored_says says;

	if (ledger->stored == NULL)
		ledger->stored = stored_new(ledger->after.id);
	if (!stored_find(audit->pg, ledger->stored, record->offset, message_hash(record->key, record->value), &says,
			 &facts->code, &facts->processed_at_ms, err))
		return false;
	facts->stored = says == STORED_SAME    ? AUDIT_STORED_SAME
			: says == STORED_OTHER ? AUDIT_STORED_OTHER
					       : AUDIT_STORED_NONE;
	return true;
}

static void count_message(struct findings *findings, enum audit_finding kind, bool answered)
{
	findings->messages++;
	findings->answered += answered;
	findings->unknown -= answered;
	findings->pending += kind == AUDIT_PENDING;
	findings->gone += kind == AUDIT_GONE;
}

static bool judge_message(struct audit *audit, const struct kafka_record *record, struct err *err)
{
	struct ledger *ledger = &audit->ledgers[record->partition];
	const struct stored_position *before = &ledger->before;
	int64_t settled = ledger->committed > before->published_offset ? ledger->committed : before->published_offset;
	struct audit_facts facts = {
		.trace = &ledger->traces[record->offset - ledger->extent.begin],
		.processed = ledger->after.id != 0 && record->offset < ledger->after.next_offset,
		.settled = record->offset < settled,
		.kept_since_ms = audit->kept_since_ms,
		.results_since_ms = audit->results_since_ms,
	};

	if (facts.processed && !ask_stored(audit, ledger, record, &facts, err))
		return false;
	enum audit_finding kind = audit_judge(&facts);
	count_message(&audit->findings, kind, facts.trace->code != OUTCOME_NONE);
	if (kind > AUDIT_GONE)
		report_message(audit, kind, record, &facts, ledger);
	return true;
}

/* What is about to be deleted may be gone by the time it is asked for, and clocks differ a little. */
static void find_kept_since(struct audit *audit)
{
	enum { MARGIN_MS = 300000 };
	int64_t retention_ms = audit->config->outcome_retention;
	int64_t margin_ms = retention_ms / 10 < MARGIN_MS ? retention_ms / 10 : MARGIN_MS;
	audit->kept_since_ms = clock_wall_ms() - retention_ms + margin_ms;
}

static bool read_messages(struct audit *audit, struct err *err)
{
	struct kafka_reader *reader = NULL;
	struct kafka_extent *extents = xcalloc((unsigned long)audit->partitions, sizeof(*extents));
	struct kafka_record record;
	struct progress progress;
	bool got;

	for (int i = 0; i < audit->partitions; i++)
		extents[i] = audit->ledgers[i].extent;
	bool ok = kafka_reader_open_extents(&reader, audit->config, audit->config->commands_topic, extents,
					    audit->partitions, err);
	progress_begin(&progress, "messages", extents_total(extents, audit->partitions));
	audit->findings.progress = &progress;
	while (ok && !findings_reader_gone() && !kafka_reader_at_end(reader)) {
		ok = kafka_reader_next(reader, 100, &record, &got, err);
		find_kept_since(audit);
		/* A topic that is emptied meanwhile goes on elsewhere. */
		if (ok && got && record.offset >= extents[record.partition].begin)
			ok = judge_message(audit, &record, err);
		progress_show(&progress, audit->findings.messages);
	}
	progress_end(&progress);
	audit->findings.progress = NULL;
	kafka_reader_close(reader);
	free(extents);
	return ok;
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
		if (is_chosen(audit, i))
			judge_position(audit, i);
	if (!read_results(audit, err) || !read_positions(audit, true, err) || !read_messages(audit, err))
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
