#include "cli/auditing.h"

#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>

int64_t audit_records(const struct kafka_extent *extents, int count)
{
	int64_t total = 0;

	for (int i = 0; i < count; i++)
		total += extents[i].end > extents[i].begin ? extents[i].end - extents[i].begin : 0;
	return total;
}

void audit_code_text(int code, struct buf *out)
{
	if (!outcome_code_valid(code)) {
		buf_printf(out, "what no answer is");
		return;
	}
	const char *name = outcome_name((enum outcome_code)code);
	buf_printf(out, "%d%s%s", outcome_status((enum outcome_code)code), name || code == OUTCOME_DUPLICATE ? " " : "",
		   name ? name : code == OUTCOME_DUPLICATE ? "(duplicate)" : "");
}

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
	struct buf detail = BUF_EMPTY;

	if (kind == AUDIT_DIFFERING && before->code == now->code) {
		buf_adds(&detail, ", with the same status and code, but not the same bytes");
	} else if (kind == AUDIT_DIFFERING) {
		buf_adds(&detail, ", with ");
		audit_code_text((int)before->code, &detail);
		buf_adds(&detail, "; now ");
		audit_code_text((int)now->code, &detail);
	}
	findings_report(&audit->findings, &finding, "answered before at %d:%" PRId64 SLICE_FMT, (int)before->partition,
			(int64_t)before->offset, SLICE_ARG(buf_slice(&detail)));
	buf_release(&detail);
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

	if (!is_ours || !audit_wants(audit, result->source_partition)) {
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

/* What was published before this may be gone. */
static void find_results_since(struct audit *audit)
{
	for (int i = 0; i < audit->result_partitions; i++) {
		int64_t oldest_ms = audit->oldest_ms[i] < 0 ? INT64_MAX : audit->oldest_ms[i];
		if (audit->results[i].log_start > 0 && oldest_ms > audit->results_since_ms)
			audit->results_since_ms = oldest_ms;
	}
}

bool audit_read_results(struct audit *audit, struct err *err)
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
	progress_begin(&progress, "results", audit_records(audit->results, audit->result_partitions));
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
