/* The file of a batch, as `submit` and `results --files` are told of it: read once as it comes, or several times. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "cli/rows.h"

#include <sys/stat.h>

#define SOURCE_OPTIONS                                                                                                 \
	{"extension", "NAME", "extension of rows that name none"},                                                     \
		{"null", "TEXT", "this text in a CSV cell clears the attribute"}, MAPPING_OPTIONS,                     \
		{"delimiter", "CHAR", "what separates a CSV file's cells; tab is a word for it (default: by its first line)"}, \
	{                                                                                                              \
		"format", "csv|jsonl|avro", "how to read the file (default: by its name, or how it begins)"            \
	}

struct source {
	struct rows_source rows;
	struct catalogue *catalogue; /* held */
	bool again;		     /* it can be read more than once */
	bool is_file;		     /* it has a name of its own: no pipe, no standard input */
	off_t start;		     /* of standard input, when it can be read again */
	struct stat seen;	     /* as it was when it was first read, when is_file */
};

/* What the options say; `path` has to live as long. Errors: VERDICT_USAGE. */
bool source_read_options(struct source *source, const char *path, const struct cli_args *args,
			 struct err *err) BYU_MUST_CHECK;
bool source_read_catalogue(struct source *source, const struct config *config, const char *program,
			   struct err *err) BYU_MUST_CHECK;
/* Make it readable again: what comes through a pipe is copied to a file without a name, in $TMPDIR or /var/tmp, which takes
 * the place of standard input. */
bool source_keep(struct source *source, struct err *err) BYU_MUST_CHECK;
/* Its rows from the first. Errors: also a file that was changed since it was first read. */
bool source_rows(struct source *source, struct rows **rows, struct err *err) BYU_MUST_CHECK;
void source_release(struct source *source);

/* What the row leaves open of what tells it: its batch and, made from batch, number and content, its id. */
void source_identify(const char *batch_id, uint64_t row, struct arena *arena, struct command *command);

#endif
