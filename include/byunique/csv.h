/* CSV files as RFC 4180 has them, read record by record in constant memory.
 *
 * Cells are separated by commas, or by another character. A cell in double quotes may hold commas, line breaks and, doubled, quotes. Lines end
 * with LF or CRLF; a byte order mark and empty lines are passed over. Anything else is an error that names file and
 * line: a quote inside of a cell without quotes, something behind the closing quote, a lone carriage return, a record
 * with another number of cells than the first, bytes that are not UTF-8. The last two leave no doubt where the record ends:
 * who wants to may go on behind it. */
#ifndef BYUNIQUE_CSV_H
#define BYUNIQUE_CSV_H

#include "byunique/err.h"
#include "byunique/slice.h"

enum {
	CSV_RECORD_BYTES_MAX = 64 * 1024 * 1024, /* with quotes */
	CSV_CELLS_MAX = 4096,
};

struct csv_record {
	struct slice *cells; /* without quotes; never absent; valid until the next csv_next() */
	size_t count;	     /* the same for every record of a file */
	uint64_t line;	     /* where it begins, from 1 */
};

struct csv;
/* `path` "-" is standard input. Errors: VERDICT_USAGE when the file can't be read. */
bool csv_open(struct csv **csv, const char *path, struct err *err) BYU_MUST_CHECK;
/* The same from what was opened already, which is taken over, also in case of failure. `delimiter` is a character that is
 * neither quote nor line end; '\0': found out from the first line: the only one of comma, semicolon and tab that stands
 * in it outside of quotes, else the comma. */
struct input;
bool csv_open_input(struct csv **csv, struct input *input, char delimiter, struct err *err) BYU_MUST_CHECK;
char csv_delimiter(const struct csv *csv);
/* The next record, the header included. *got is false at the end. Errors: VERDICT_STOP for what is no CSV. After an
 * error only csv_close() may follow, unless csv_can_go_on(): then *record is the record at fault, as far as it could be
 * read, and the next one may be asked for. */
bool csv_next(struct csv *csv, struct csv_record *record, bool *got, struct err *err) BYU_MUST_CHECK;
bool csv_can_go_on(const struct csv *csv); /* after an error */
const char *csv_name(const struct csv *csv); /* of the file, for messages */
void csv_close(struct csv *csv);	     /* NULL is fine */

#endif
