/* Commands read from a file's rows, with attribute values converted and checked by the catalogue.
 *
 * A CSV file's first line names its columns: customer_id, then optionally command_id and ext_name, and attributes. An
 * empty cell leaves the attribute alone (absent), a cell that holds the null text clears it (null). JSON Lines are as
 * in json_lines.h. A row that is no command (an unknown extension or attribute, a value that is not of the attribute's
 * type) is an error with file, line and reason; what only the worker can judge is left to it. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "byunique/arena.h"
#include "byunique/catalogue.h"
#include "byunique/command.h"
#include "byunique/err.h"

enum rows_format { ROWS_CSV, ROWS_JSON_LINES };

struct rows_source {
	const char *path; /* "-": standard input */
	enum rows_format format;
	const struct catalogue *catalogue;
	const char *ext_name;  /* of rows that name none; NULL */
	const char *null_text; /* CSV; NULL: nothing clears */
};

struct rows;
/* *source is copied; what it points to stays the caller's. Errors: the file can't be read, its first line is not right,
 * or the extension is unknown. */
bool rows_open(struct rows **rows, const struct rows_source *source, struct err *err) BYU_MUST_CHECK;
/* The next row as a command: what it does not give (command_id, batch_id, issued_at) is absent. Valid until the next
 * call and as long as the arena's content. *got is false at the end. */
bool rows_next(struct rows *rows, struct arena *arena, struct command *command, bool *got,
	       struct err *err) BYU_MUST_CHECK;
uint64_t rows_number(const struct rows *rows); /* of the last row, from 1 */
void rows_close(struct rows *rows);	       /* NULL is fine */

#endif
