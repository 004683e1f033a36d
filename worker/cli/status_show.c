/* The report for people and for programs. */
#include "status_report.h"

#include "byunique/clock.h"
#include "progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *code_name(enum outcome_code code)
{
	const char *name = outcome_name(code);
	return name != NULL ? name : code == OUTCOME_DUPLICATE ? "Duplicate" : "Done";
}

static void utc(int64_t at_ms, char text[32])
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* --- text ------------------------------------------------------------------------------------------------------------------ */

struct style {
	const char *bold, *red, *yellow, *plain;
};

static const struct style colours = {"\033[1m", "\033[31m", "\033[33m", "\033[m"}, no_colours = {"", "", "", ""};

/* The owner's name as it is told from others on one host: the last of a member's id is random. */
static void owner_text(const struct group_member *owner, char *text, size_t size)
{
	if (owner == NULL) {
		snprintf(text, size, "-");
		return;
	}
	size_t len = strlen(owner->member_id);
	snprintf(text, size, "%s@%s/%s", owner->client_id, owner->host, len > 4 ? owner->member_id + len - 4 : owner->member_id);
}

/* Columns as wide as what stands in them. The figures come first: a narrow terminal cuts the owners off, not the lag. */
enum { PARTITION, LAG, POSITION, COMMITTED, UNPUBLISHED, LOG_START, LOG_END, OWNER, COLUMNS, CELL_SIZE = 64 };
static const char *const headings[COLUMNS] = {"partition", "lag", "position", "committed", "unpublished", "log start", "log end",
					      "owner"};
struct row {
	char cells[COLUMNS][CELL_SIZE];
};

static void set_number(char cell[CELL_SIZE], bool there, int64_t value)
{
	snprintf(cell, CELL_SIZE, there ? "%" PRId64 : "-", value);
}

static void partition_row(const struct report_partition *partition, struct row *row)
{
	const struct group_partition *kafka = partition->kafka;
	const struct standing *standing = partition->standing;

	set_number(row->cells[PARTITION], true, kafka->partition);
	set_number(row->cells[LAG], true, partition->lag);
	set_number(row->cells[POSITION], standing != NULL, standing ? standing->next_offset : 0);
	set_number(row->cells[COMMITTED], kafka->committed >= 0, kafka->committed);
	set_number(row->cells[UNPUBLISHED], true, partition->unpublished);
	set_number(row->cells[LOG_START], true, kafka->log_start);
	set_number(row->cells[LOG_END], true, kafka->log_end);
	owner_text(kafka->owner, row->cells[OWNER], CELL_SIZE);
}

static void write_row(const struct row *row, const int *widths, struct buf *out)
{
	for (int c = 0; c < OWNER; c++)
		buf_printf(out, "%*s  ", widths[c], row->cells[c]);
	buf_adds(out, row->cells[OWNER]);
	while (out->len > 0 && out->base[out->len - 1] == ' ')
		out->len--;
	buf_addc(out, '\n');
}

static void write_table(const struct row *rows, uint32_t count, const struct style *style, struct buf *out)
{
	int widths[COLUMNS] = {0};

	for (uint32_t r = 0; r < count; r++)
		for (int c = 0; c < COLUMNS; c++)
			if ((int)strlen(rows[r].cells[c]) > widths[c])
				widths[c] = (int)strlen(rows[r].cells[c]);
	for (uint32_t r = 0; r < count; r++) {
		buf_adds(out, r == 0 ? style->bold : "");
		write_row(&rows[r], widths, out);
		buf_adds(out, r == 0 ? style->plain : "");
	}
}

static void notes_text(const struct report *report, const struct style *style, struct buf *out)
{
	for (uint32_t i = 0; i < report->view.partition_count; i++) {
		const struct report_partition *partition = &report->partitions[i];
		if (partition->refused != NULL)
			buf_printf(out, "%spartition %" PRIu32 " is refused: %s%s\n", style->red, i, partition->refused,
				   style->plain);
		else if (partition->warning != NULL)
			buf_printf(out, "%spartition %" PRIu32 ": %s%s\n", style->yellow, i, partition->warning, style->plain);
	}
	if (report->strangers > 0)
		buf_printf(out, "%sthe database knows %" PRIu32 " partitions that the topic has not%s\n", style->red,
			   report->strangers, style->plain);
}

static void partitions_text(const struct report *report, const struct style *style, struct buf *out)
{
	uint32_t count = report->view.partition_count, rows = count + 2;
	struct row *table = xcalloc(rows, sizeof(*table));

	for (int c = 0; c < COLUMNS; c++)
		snprintf(table[0].cells[c], CELL_SIZE, "%s", headings[c]);
	for (uint32_t i = 0; i < count; i++)
		partition_row(&report->partitions[i], &table[i + 1]);
	snprintf(table[count + 1].cells[PARTITION], CELL_SIZE, "all");
	set_number(table[count + 1].cells[LAG], true, report->lag);
	set_number(table[count + 1].cells[UNPUBLISHED], true, report->unpublished);
	write_table(table, rows, style, out);
	notes_text(report, style, out);
	free(table);
}

static void outcomes_text(const struct report *report, const struct report_recent *recent, const struct style *style,
			  struct buf *out)
{
	int64_t seconds = (report->taken_at_ms - recent->since_ms + 500) / 1000;
	char digits[32];

	buf_printf(out, "\n%sOutcomes of the last %" PRId64 " %s%s: %s messages\n", style->bold,
		   seconds >= 120 ? seconds / 60 : seconds, seconds >= 120 ? "minutes" : "seconds", style->plain,
		   group_digits(recent->messages, digits));
	for (int code = OUTCOME_DONE; code < OUTCOME_CODES; code++)
		if (recent->counts[code] > 0)
			buf_printf(out, "  %14s  %5.1f %%  %d %s\n", group_digits(recent->counts[code], digits),
				   100.0 * (double)recent->counts[code] / (double)(recent->messages > 0 ? recent->messages : 1),
				   outcome_status((enum outcome_code)code), code_name((enum outcome_code)code));
}

static void errors_text(const struct report_recent *recent, const struct style *style, struct buf *out)
{
	if (recent->error_count == 0)
		return;
	buf_printf(out, "\n%sLast errors%s\n", style->bold, style->plain);
	for (uint32_t i = 0; i < recent->error_count; i++) {
		const struct stored_error *error = &recent->errors[i];
		char when[32];
		utc(error->processed_at_ms, when);
		buf_printf(out, "  %s  %d %-22s  partition %" PRId32 ", offset %" PRId64 "\n", when, outcome_status(error->code),
			   code_name(error->code), error->partition, error->offset);
	}
}

void report_text(const struct report *report, const struct report_recent *recent, bool coloured, struct buf *out)
{
	const struct style *style = coloured ? &colours : &no_colours;
	char when[32], lag[32], rate[32];

	utc(report->taken_at_ms, when);
	buf_printf(out, "%s%s%s, group %s: %" PRIu32 " member%s, %s\n", style->bold, report->topic, style->plain, report->group,
		   report->view.member_count, report->view.member_count == 1 ? "" : "s", when);
	buf_printf(out, "lag %s", group_digits(report->lag, lag));
	if (report->rate >= 0)
		buf_printf(out, ", %s messages a second", group_digits((int64_t)(report->rate + 0.5), rate));
	buf_adds(out, "\n\n");
	partitions_text(report, style, out);
	outcomes_text(report, recent, style, out);
	errors_text(recent, style, out);
}

/* --- JSON ------------------------------------------------------------------------------------------------------------------ */

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
	json_t *string = value != NULL ? json_string(value) : json_null();
	return string != NULL ? string : json_string("?"); /* not UTF-8 */
}

static json_t *owner_json(const struct group_member *owner)
{
	if (owner == NULL)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "client_id", text(owner->client_id), "host", text(owner->host), "member_id",
			 text(owner->member_id));
}

static json_t *partition_json(const struct report_partition *partition)
{
	const struct group_partition *kafka = partition->kafka;
	const struct standing *standing = partition->standing;

	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "partition", (int)kafka->partition, "owner",
			 owner_json(kafka->owner), "position",
			 integer_or_null(standing != NULL, standing ? standing->next_offset : 0), "committed",
			 integer_or_null(kafka->committed >= 0, kafka->committed), "unpublished",
			 integer(partition->unpublished), "log_start", integer(kafka->log_start), "log_end",
			 integer(kafka->log_end), "lag", integer(partition->lag), "refused", text(partition->refused), "warning",
			 text(partition->warning));
}

static json_t *outcomes_json(const struct report_recent *recent)
{
	json_t *codes = json_array();

	for (int code = OUTCOME_DONE; code < OUTCOME_CODES; code++)
		if (recent->counts[code] > 0)
			json_array_append_new(codes, json_pack("{s:i, s:s, s:o}", "status",
							       outcome_status((enum outcome_code)code), "code",
							       code_name((enum outcome_code)code), "count",
							       integer(recent->counts[code])));
	return json_pack("{s:o, s:o, s:o}", "since", integer(recent->since_ms), "messages", integer(recent->messages), "codes",
			 codes);
}

static json_t *errors_json(const struct report_recent *recent)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < recent->error_count; i++) {
		const struct stored_error *error = &recent->errors[i];
		json_array_append_new(all, json_pack("{s:o, s:i, s:s, s:i, s:o}", "time", integer(error->processed_at_ms),
						     "status", outcome_status(error->code), "code", code_name(error->code),
						     "partition", (int)error->partition, "offset", integer(error->offset)));
	}
	return all;
}

void report_json(const struct report *report, const struct report_recent *recent, struct buf *out)
{
	json_t *partitions = json_array();

	for (uint32_t i = 0; i < report->view.partition_count; i++)
		json_array_append_new(partitions, partition_json(&report->partitions[i]));
	json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "topic", text(report->topic),
				"group", text(report->group), "cluster_id", text(report->view.cluster_id), "time",
				integer(report->taken_at_ms), "members", (int)report->view.member_count, "lag",
				integer(report->lag), "unpublished", integer(report->unpublished), "rate",
				report->rate >= 0 ? json_real(report->rate) : json_null(), "partitions", partitions,
				"unknown_partitions", (int)report->strangers, "outcomes", outcomes_json(recent), "last_errors",
				errors_json(recent));
	ASSERT(all != NULL);
	char *dump = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	ASSERT(dump != NULL);
	buf_adds(out, dump);
	buf_addc(out, '\n');
	free(dump);
	json_decref(all);
}
