/* Findings are few, or so many that the first ones tell all: they are written one by one. */
#include "cli/findings.h"

#include "cli/json_text.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void findings_begin(struct findings *findings)
{
	if (!findings->json && findings->limit > 0 && isatty(STDOUT_FILENO))
		printf("%-14s  %-16s  %-16s  %s\n", "FINDING", "MESSAGE", "RESULT", "DETAIL");
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static const char *spot(int32_t partition, int64_t offset, char text[40])
{
	if (partition < 0)
		return "-";
	snprintf(text, 40, "%d:%" PRId64, (int)partition, offset);
	return text;
}

static void print_text(const struct finding *finding, const char *detail)
{
	char message[40], result[40];

	printf("%-14s  %-16s  %-16s  %s\n", audit_name(finding->kind),
	       spot(finding->partition, finding->offset, message),
	       spot(finding->result_partition, finding->result_offset, result), detail);
}

static json_t *spot_json(int32_t partition, int64_t offset)
{
	if (partition < 0)
		return json_null();
	return json_pack("{s:i, s:I}", "partition", (int)partition, "offset", (json_int_t)offset);
}

void findings_report(struct findings *findings, const struct finding *finding, const char *fmt, ...)
{
	char detail[512];
	va_list args;

	findings->found[finding->kind]++;
	if (findings->printed >= findings->limit)
		return;
	findings->printed++;
	progress_clear(findings->progress);
	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	if (findings->json)
		print_json(json_pack("{s:s, s:o, s:o, s:s}", "finding", audit_name(finding->kind), "message",
				     spot_json(finding->partition, finding->offset), "result",
				     spot_json(finding->result_partition, finding->result_offset), "detail", detail));
	else
		print_text(finding, detail);
	fflush(stdout);
}

bool findings_reader_gone(void)
{
	return ferror(stdout) != 0;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static int64_t total(const struct findings *findings)
{
	int64_t sum = 0;

	for (int kind = 0; kind < AUDIT_FINDINGS; kind++)
		sum += findings->found[kind];
	return sum;
}

bool findings_any(const struct findings *findings)
{
	return total(findings) > 0;
}

static void summary_json(const struct findings *findings)
{
	json_t *kinds = json_object();

	for (int kind = AUDIT_GONE + 1; kind < AUDIT_FINDINGS; kind++)
		if (findings->found[kind] > 0)
			json_object_set_new(kinds, audit_name((enum audit_finding)kind),
					    json_integer(findings->found[kind]));
	print_json(json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}}", "summary", "messages",
			     (json_int_t)findings->messages, "answered", (json_int_t)findings->answered, "pending",
			     (json_int_t)findings->pending, "no_longer_kept", (json_int_t)findings->gone, "results",
			     (json_int_t)findings->results, "repeated", (json_int_t)findings->repeated, "unknown",
			     (json_int_t)findings->unknown, "outside", (json_int_t)findings->outside, "findings",
			     (json_int_t)total(findings), "by_kind", kinds));
}

static void also(const char *before, int64_t count, const char *what)
{
	char digits[32];

	if (count > 0)
		printf("%s%s %s", before, group_digits(count, digits), what);
}

static void summary_text(const struct findings *findings)
{
	char messages[32], answered[32], results[32];

	printf("%s messages: %s answered", group_digits(findings->messages, messages),
	       group_digits(findings->answered, answered));
	also(", ", findings->pending, "pending");
	also(", ", findings->gone, "whose results are no longer kept");
	printf("\n%s results", group_digits(findings->results, results));
	also(", ", findings->repeated, "of them the same again");
	also(", ", findings->unknown, "of messages that are no longer there");
	also(", ", findings->outside, "others outside of the range");
	putchar('\n');
	if (!findings_any(findings))
		puts("nothing found");
	for (int kind = AUDIT_GONE + 1; kind < AUDIT_FINDINGS; kind++) {
		if (findings->found[kind] == 0)
			continue;
		also("", findings->found[kind], "");
		printf("%s: %s\n", audit_name((enum audit_finding)kind), audit_text((enum audit_finding)kind));
	}
}

void findings_summary(const struct findings *findings)
{
	if (findings->json)
		summary_json(findings);
	else
		summary_text(findings);
}
