#include "cli/auditing.h"

#include "byunique/clock.h"
#include "cli/place.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <stdlib.h>

static void explain(enum audit_finding kind, const struct audit_facts *facts, const struct ledger *ledger, struct buf *out)
{
	switch (kind) {
	case AUDIT_MISSING:
		buf_adds(out, "there is no result");
		if (facts->stored != AUDIT_STORED_SAME)
			break;
		buf_adds(out, "; the database says ");
		audit_code_text(facts->code, out);
		buf_adds(out, ", processed ");
		time_text(facts->processed_at_ms, out);
		break;
	case AUDIT_AT_ODDS:
		buf_adds(out, "the result says ");
		audit_code_text((int)facts->trace->code, out);
		buf_adds(out, ", the database ");
		audit_code_text(facts->code, out);
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
	bool group_is_ahead = ledger->committed > before->published_offset && !ledger->committed_by_others;
	int64_t settled = group_is_ahead ? ledger->committed : before->published_offset;
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

bool audit_read_messages(struct audit *audit, struct err *err)
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
	progress_begin(&progress, "messages", audit_records(extents, audit->partitions));
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
