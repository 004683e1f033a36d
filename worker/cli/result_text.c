/* Columns have fixed widths, as results come one by one and the widest is not known; a longer text moves the rest of
 * its line. What a client sent as its ids is shown as it is, but for control characters: they could play tricks on a
 * terminal. */
#include "result_text.h"

#include "cli/json_text.h"
#include "cli/letter.h"

#include <stdlib.h>

static const struct {
	const char *heading;
	unsigned width; /* code points; 0: the last one */
} columns[] = {
	{"STATUS", 6},	   {"CODE", 22},      {"COMMAND", 36}, {"CUSTOMER", 16},
	{"EXTENSION", 12}, {"ATTRIBUTE", 14}, {"DETAIL", 0},
};

enum { COLUMN_COUNT = sizeof(columns) / sizeof(*columns) };

static void add_cell(unsigned column, struct slice text, struct buf *out)
{
	size_t begin = out->len;

	text_escape(text, out);
	if (columns[column].width == 0)
		return;
	size_t width = slice_code_points(slice_of(out->base + begin, out->len - begin));
	buf_printf(out, "%*s", width < columns[column].width ? (int)(columns[column].width - width) + 2 : 2, "");
}

static void end_line(struct buf *out)
{
	while (out->len > 0 && out->base[out->len - 1] == ' ')
		out->len--;
	buf_addc(out, '\n');
}

void result_heading(struct buf *out)
{
	for (unsigned i = 0; i < COLUMN_COUNT; i++)
		add_cell(i, slice_cstr(columns[i].heading), out);
	end_line(out);
}

void result_text(const struct result *result, struct buf *out)
{
	char status[16];
	snprintf(status, sizeof(status), "%d", (int)result->status);
	const struct slice cells[COLUMN_COUNT] = {
		slice_cstr(status),
		result->duplicate ? SLICE_LIT("(duplicate)") : result->code,
		result->command_id,
		result->customer_id,
		result->ext_name,
		result->attribute,
		result->status == 204 ? SLICE_LIT("") : result->detail,
	};

	for (unsigned i = 0; i < COLUMN_COUNT; i++)
		add_cell(i, cells[i], out);
	end_line(out);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *time_or_null(bool there, int64_t ms)
{
	return there ? json_integer(ms) : json_null();
}

static json_t *problem(const struct result *result)
{
	if (result->code.base == NULL)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "code", text_or_null(result->code), "title",
			 text_or_null(result->title), "detail", text_or_null(result->detail), "attribute",
			 text_or_null(result->attribute));
}

static json_t *source(const struct result *result)
{
	return json_pack("{s:o, s:i, s:I}", "topic", text_or_null(result->source_topic), "partition",
			 (int)result->source_partition, "offset", (json_int_t)result->source_offset);
}

static json_t *position(const struct kafka_record *record)
{
	return json_pack("{s:i, s:I, s:o}", "partition", (int)record->partition, "offset", (json_int_t)record->offset,
			 "timestamp", time_or_null(record->timestamp_ms >= 0, record->timestamp_ms));
}

void result_json(const struct result *result, const struct kafka_record *record, struct buf *out)
{
	json_t *all = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:I, s:o}", "status",
				(int)result->status, "command_id", text_or_null(result->command_id), "customer_id",
				text_or_null(result->customer_id), "ext_name", text_or_null(result->ext_name),
				"batch_id", text_or_null(result->batch_id), "error", problem(result), "duplicate",
				(int)result->duplicate, "source", source(result), "issued_at",
				time_or_null(result->has_issued_at, result->issued_at_ms), "processed_at",
				(json_int_t)result->processed_at_ms, "result", position(record));
	ASSERT(all != NULL); /* what was decoded is well-formed UTF-8 */
	char *text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
	ASSERT(text != NULL);
	buf_adds(out, text);
	buf_addc(out, '\n');
	free(text);
	json_decref(all);
}
