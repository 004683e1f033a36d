/* Commands read from a file's rows, with attribute values converted and checked by the catalogue.
 *
 * A CSV file's first line names its columns: customer_id, then optionally command_id and ext_name, and attributes, in any
 * order and by the mapping's leave under any name. Columns whose name begins with "byunique." are passed over: they are
 * what result files lead with. An empty cell leaves the attribute alone (absent), a cell that holds the null text clears it
 * (null). JSON Lines are as in json_lines.h, Avro files as in avro_file.h. A row that is no command (an unknown extension
 * or attribute, a value that is not of the attribute's type) is told with file, line and reason; what only the worker can
 * judge is left to it. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "byunique/arena.h"
#include "byunique/catalogue.h"
#include "byunique/command.h"
#include "byunique/csv.h"
#include "byunique/err.h"
#include "byunique/outcome.h"
#include "cli/mapping.h"

enum rows_format { ROWS_ANY, ROWS_CSV, ROWS_JSON_LINES, ROWS_AVRO };

/* "csv", "jsonl" or "avro", to the format. */
bool rows_format_parse(const char *text, enum rows_format *format, struct err *err) BYU_MUST_CHECK;

#define RESULT_COLUMN_PREFIX "byunique."

struct rows_source {
	const char *path;	 /* "-": standard input */
	enum rows_format format; /* ROWS_ANY: by its name, or else by how it begins */
	const struct catalogue *catalogue;
	const char *ext_name;  /* of rows that name none; NULL */
	const char *null_text; /* CSV; NULL: nothing clears */
	char delimiter;	       /* CSV; '\0': csv_open_input() finds it out */
	struct mapping mapping;
};

enum rows_step {
	ROWS_GOT,
	ROWS_BAD, /* a row that is no command; the next one may be asked for */
	ROWS_END,
	ROWS_FAILED, /* nothing can be read beyond this */
};

/* What is wrong with a bad row. */
struct row_fault {
	int status;
	const char *code;	  /* as the worker would answer; "MalformedRow" for one that can't be read */
	char attribute[64 + 1];	  /* the one at fault; may be empty */
	int column;		  /* of a CSV file, from 0; -1: none */
	char reason[200];	  /* one line, no value */
};

struct rows;
/* *source is copied; what it points to stays the caller's. Errors: the file can't be read, its first line is not right,
 * or the extension is unknown. */
bool rows_open(struct rows **rows, const struct rows_source *source, struct err *err) BYU_MUST_CHECK;
/* The next row as a command: what it does not give (command_id, batch_id, issued_at) is absent. Valid until the next
 * call and as long as the arena's content. ROWS_BAD: *err says what and where, rows_fault() in parts; of *command there
 * is what could be read. */
enum rows_step rows_next(struct rows *rows, struct arena *arena, struct command *command, struct err *err);
uint64_t rows_number(const struct rows *rows); /* of the last row, from 1 */
uint64_t rows_line(const struct rows *rows);   /* where it begins, from 1; of an Avro file the record's number */
const struct row_fault *rows_fault(const struct rows *rows);
/* Find fault with the last row, as rows_next() does for what it can see: the outcome that the worker would decide on. */
void rows_accuse(struct rows *rows, const struct outcome *outcome, struct err *err);

/* For files that repeat rows as they were. */
enum rows_format rows_format(const struct rows *rows); /* never ROWS_ANY */
char rows_delimiter(const struct rows *rows);	       /* CSV */
bool rows_had_mark(const struct rows *rows);	       /* the file began with a byte order mark */
size_t rows_column_count(const struct rows *rows);     /* CSV */
const char *rows_column(const struct rows *rows, size_t column); /* its name */
bool rows_is_result_column(const struct rows *rows, size_t column);
const struct csv_record *rows_cells(const struct rows *rows); /* CSV: of the last row, also of a bad one */
struct slice rows_text(const struct rows *rows);	      /* JSON Lines: the last line, also a bad one */
void rows_close(struct rows *rows);			      /* NULL is fine */

#endif
