/* A state machine goes over the bytes once and notes where the cells are; only cells with doubled quotes are rewritten,
 * in place. Each state runs through its stretch of bytes in a loop of its own, so the usual byte costs one comparison.
 *
 * It is strict where a lenient reader guesses: a quote in the middle of a bare cell is most often a quoted cell that
 * was cut or joined by hand, and guessing wrong swallows records silently. */
#include "byunique/csv.h"

#include "input.h"

#include <stdlib.h>

enum state { CELL_BEGIN, BARE, QUOTED, QUOTE_SEEN, CR_SEEN, RECORD_END };

struct csv {
	struct input input;
	char delimiter; /* '\0': to be found out */
	bool can_go_on;
	uint64_t line; /* on which the next record begins */
	size_t width;  /* cells of the first record; 0 before it */
	struct slice *cells;
	size_t room; /* for cells */
	struct span *spans;
};

/* A cell, by its place in the input's rest: pointers do not survive reading on. */
struct span {
	size_t begin, len;
	bool doubled_quotes;
};

/* The record at hand. Places count from its first byte. */
struct scan {
	enum state state;
	size_t at;	     /* next byte */
	size_t begin;	     /* of the cell at hand, without its quote */
	size_t count;	     /* of cells that are complete */
	uint64_t lines;	     /* line breaks seen */
	uint64_t quote_line; /* line breaks seen before the last opening quote */
	bool doubled_quotes; /* in the cell at hand */
	bool any_quotes;     /* in the record */
};

static bool malformed(const struct csv *csv, uint64_t line, struct err *err, const char *reason)
{
	return err_set(err, VERDICT_STOP, "", "%s:%llu: %s", csv->input.name, (unsigned long long)line, reason);
}

static bool hint_at_quotes(struct err *err)
{
	return err_hint(err, "A cell that holds a quote stands in quotes, and its own quotes are doubled: \"5\"\" pipe\".");
}

static bool add_cell(struct csv *csv, struct scan *scan, size_t end, struct err *err)
{
	if (scan->count == CSV_CELLS_MAX)
		return malformed(csv, csv->line, err, "more than 4096 cells in a record");
	if (scan->count == csv->room) {
		csv->room = csv->room ? 2 * csv->room : 32;
		csv->spans = xrealloc(csv->spans, csv->room * sizeof(*csv->spans));
		csv->cells = xrealloc(csv->cells, csv->room * sizeof(*csv->cells));
	}
	csv->spans[scan->count++] = (struct span){scan->begin, end - scan->begin, scan->doubled_quotes};
	scan->doubled_quotes = false;
	return true;
}

/* The byte after a cell, which it ends or not. */
static bool end_cell(struct csv *csv, struct scan *scan, size_t end, char c, const char *otherwise, struct err *err)
{
	if (c == csv->delimiter)
		scan->state = CELL_BEGIN;
	else if (c == '\r')
		scan->state = CR_SEEN;
	else if (c == '\n')
		scan->state = RECORD_END;
	else
		return malformed(csv, csv->line + scan->lines, err, otherwise) || hint_at_quotes(err);
	scan->lines += c == '\n';
	scan->at++;
	return add_cell(csv, scan, end, err);
}

static void begin_cell(struct scan *scan, char c)
{
	scan->state = BARE;
	if (c == '"') {
		scan->state = QUOTED;
		scan->any_quotes = true;
		scan->quote_line = scan->lines;
		scan->at++;
	}
	scan->begin = scan->at;
}

static bool go_over_bare(struct csv *csv, struct scan *scan, struct slice rest, struct err *err)
{
	const char delimiter = csv->delimiter;
	size_t at = scan->at;

	for (; at < rest.len; at++) {
		char c = rest.base[at];
		if (c == delimiter || c == '\n' || c == '\r' || c == '"')
			break;
	}
	scan->at = at;
	if (at == rest.len)
		return true;
	return end_cell(csv, scan, at, rest.base[at], "a quote inside of a cell that does not begin with one", err);
}

static void go_over_quoted(struct scan *scan, struct slice rest)
{
	size_t at = scan->at;

	for (; at < rest.len && rest.base[at] != '"'; at++)
		scan->lines += rest.base[at] == '\n';
	if (at < rest.len) {
		scan->state = QUOTE_SEEN;
		at++;
	}
	scan->at = at;
}

static bool after_quote(struct csv *csv, struct scan *scan, char c, struct err *err)
{
	if (c != '"')
		return end_cell(csv, scan, scan->at - 1, c,
				csv->delimiter == ',' ? "something other than a comma behind a closing quote"
						      : "something other than the delimiter behind a closing quote",
				err);
	scan->doubled_quotes = true;
	scan->state = QUOTED;
	scan->at++;
	return true;
}

static bool after_carriage_return(struct csv *csv, struct scan *scan, char c, struct err *err)
{
	if (c != '\n')
		return malformed(csv, csv->line + scan->lines, err, "a carriage return without a line feed") ||
		       err_hint(err, "Save the file with lines that end in LF or CRLF.");
	scan->state = RECORD_END;
	scan->lines++;
	scan->at++;
	return true;
}

/* As far as the window goes. */
static bool go_over(struct csv *csv, struct scan *scan, struct slice rest, struct err *err)
{
	bool ok = true;

	while (ok && scan->at < rest.len && scan->state != RECORD_END) {
		char c = rest.base[scan->at];
		switch (scan->state) {
		case CELL_BEGIN: begin_cell(scan, c); break;
		case BARE: ok = go_over_bare(csv, scan, rest, err); break;
		case QUOTED: go_over_quoted(scan, rest); break;
		case QUOTE_SEEN: ok = after_quote(csv, scan, c, err); break;
		case CR_SEEN: ok = after_carriage_return(csv, scan, c, err); break;
		case RECORD_END: break;
		}
	}
	return ok;
}

/* The input ends inside of a record: fine, but for an open quote. */
static bool end_of_input(struct csv *csv, struct scan *scan, struct err *err)
{
	enum state state = scan->state;

	scan->state = RECORD_END;
	switch (state) {
	case QUOTED:
		return malformed(csv, csv->line + scan->quote_line, err, "a quoted cell begins here and never ends") ||
		       hint_at_quotes(err);
	case CELL_BEGIN: scan->begin = scan->at; return scan->at == 0 || add_cell(csv, scan, scan->at, err);
	case BARE: return add_cell(csv, scan, scan->at, err);
	case QUOTE_SEEN: return add_cell(csv, scan, scan->at - 1, err);
	case CR_SEEN:
	case RECORD_END: break;
	}
	return true;
}

static bool check_size(const struct csv *csv, const struct scan *scan, struct err *err)
{
	if (scan->at <= CSV_RECORD_BYTES_MAX)
		return true;
	malformed(csv, csv->line, err, "a record of more than 64 MiB begins here");
	return scan->state != QUOTED || err_hint(err, "Is a closing quote missing in line %llu?",
						 (unsigned long long)(csv->line + scan->quote_line));
}

/* Find the end of the record that begins with the input's rest. */
static bool scan_record(struct csv *csv, struct scan *scan, struct err *err)
{
	*scan = (struct scan){.state = CELL_BEGIN};
	for (;;) {
		if (!go_over(csv, scan, input_rest(&csv->input), err) || !check_size(csv, scan, err))
			return false;
		if (scan->state == RECORD_END)
			return true;
		if (csv->input.ended)
			return end_of_input(csv, scan, err);
		if (!input_more(&csv->input, err))
			return false;
	}
}

/* "" → ", in place. */
static size_t undouble(char *cell, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		cell[out++] = cell[i];
		i += cell[i] == '"';
	}
	return out;
}

static void fill_cells(struct csv *csv, const struct scan *scan)
{
	char *base = (char *)(uintptr_t)input_rest(&csv->input).base;

	for (size_t i = 0; i < scan->count; i++) {
		const struct span *span = &csv->spans[i];
		char *cell = base + span->begin;
		csv->cells[i] = slice_of(cell, span->doubled_quotes ? undouble(cell, span->len) : span->len);
	}
}

static bool check_record(struct csv *csv, const struct scan *scan, struct err *err)
{
	if (!slice_is_utf8(slice_of(input_rest(&csv->input).base, scan->at))) {
		malformed(csv, csv->line, err, "the record is not in UTF-8");
		return err_hint(err, "Save the file in UTF-8.");
	}
	if (csv->width == 0)
		csv->width = scan->count;
	if (scan->count == csv->width)
		return true;
	return err_set(err, VERDICT_STOP, "", "%s:%llu: %zu cells, where the first line has %zu", csv->input.name,
		       (unsigned long long)csv->line, scan->count, csv->width);
}

static bool is_blank_line(const struct csv *csv, const struct scan *scan)
{
	return scan->count == 1 && csv->spans[0].len == 0 && !scan->any_quotes;
}

/* --- the delimiter ------------------------------------------------------------------------------------------------ */

/* Which of them stand in the first line outside of quotes. False: the line does not end within `text`. */
static bool find_delimiters(struct slice text, bool found[3])
{
	bool quoted = false;

	found[0] = found[1] = found[2] = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.base[i];
		quoted ^= c == '"';
		if (c == '\n' && !quoted)
			return true;
		found[0] |= c == ',' && !quoted;
		found[1] |= c == ';' && !quoted;
		found[2] |= c == '\t' && !quoted;
	}
	return false;
}

static bool choose_delimiter(struct csv *csv, struct err *err)
{
	enum { HEADER_BYTES_MAX = 1024 * 1024 };
	bool found[3];

	while (!find_delimiters(input_rest(&csv->input), found) && !csv->input.ended &&
	       input_rest(&csv->input).len < HEADER_BYTES_MAX)
		if (!input_more(&csv->input, err))
			return false;
	csv->delimiter = ',';
	if (found[0] + found[1] + found[2] == 1)
		csv->delimiter = found[1] ? ';' : found[2] ? '\t' : ',';
	return true;
}

/* --- the reader --------------------------------------------------------------------------------------------------- */

bool csv_next(struct csv *csv, struct csv_record *record, bool *got, struct err *err)
{
	struct scan scan;

	csv->can_go_on = false;
	if (csv->delimiter == '\0' && !choose_delimiter(csv, err))
		return false;
	for (;;) {
		if (!scan_record(csv, &scan, err))
			return false;
		*got = scan.count > 0;
		if (!*got || !is_blank_line(csv, &scan))
			break;
		input_pass(&csv->input, scan.at);
		csv->line += scan.lines;
	}
	bool ok = !*got || check_record(csv, &scan, err);
	csv->can_go_on = true;
	fill_cells(csv, &scan);
	*record = (struct csv_record){csv->cells, scan.count, csv->line};
	input_pass(&csv->input, scan.at);
	csv->line += scan.lines;
	return ok;
}

bool csv_open(struct csv **out, const char *path, struct err *err)
{
	struct input input;
	return input_open(&input, path, err) && csv_open_input(out, &input, ',', err);
}

bool csv_open_input(struct csv **out, struct input *input, char delimiter, struct err *err)
{
	if (delimiter == '"' || delimiter == '\r' || delimiter == '\n') {
		input_close(input);
		return err_set(err, VERDICT_USAGE, "", "quotes and line ends can't separate cells");
	}
	struct csv *csv = xcalloc(1, sizeof(*csv));
	csv->input = *input;
	csv->delimiter = delimiter;
	csv->line = 1;
	*out = csv;
	return true;
}

char csv_delimiter(const struct csv *csv)
{
	return csv->delimiter;
}

bool csv_can_go_on(const struct csv *csv)
{
	return csv->can_go_on;
}

const char *csv_name(const struct csv *csv)
{
	return csv->input.name;
}

void csv_close(struct csv *csv)
{
	if (csv == NULL)
		return;
	input_close(&csv->input);
	free(csv->cells);
	free(csv->spans);
	free(csv);
}
