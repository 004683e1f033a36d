/* A batch's rows, parted into files by what became of each:
 *
 *   NAME.success.csv      byunique.status, byunique.code ("duplicate": it had taken effect before), the row
 *   NAME.failed.csv       byunique.status, .code, .detail, .attribute, the row: to be corrected and submitted again
 *   NAME.unprocessed.csv  the row: it has no answer yet
 *
 * For CSV "the row" is the cells of the file, in its columns and with its delimiter; columns that such files lead with are
 * left out, so that a failed file's own failed file is no wider. For JSON Lines and Avro it is command_id, customer_id,
 * ext_name and the line's or record's number, and of JSON Lines there also is NAME.failed.jsonl, the lines as they were.
 *
 * The rows are read again from the source: nothing of them is kept. Files are written beside their places and put there at
 * the end, whole. One of other content that is in the way is renamed, to its name and ".1" or the next number that is free,
 * unless `force`. */
#ifndef CLI_RESULT_FILES_H
#define CLI_RESULT_FILES_H

#include "cli/source.h"
#include "cli/tally.h"

enum result_file { RESULT_SUCCESS, RESULT_FAILED, RESULT_UNPROCESSED, RESULT_FAILED_LINES, RESULT_FILES };

struct result_files {
	char *stem; /* folder and NAME; owned */
	bool force;
	char *paths[RESULT_FILES];   /* owned; NULL: not written */
	int64_t counts[RESULT_FILES]; /* rows in them */
};

/* `folder` NULL: beside the source's file; for a source without a name the folder at hand, and NAME is the batch's id.
 * Errors: nothing can be written there (VERDICT_USAGE). */
bool result_files_open(struct result_files *files, const struct source *source, const char *batch_id,
		       const char *folder, bool force, struct err *err) BYU_MUST_CHECK;
bool result_files_write(struct result_files *files, struct source *source, const char *batch_id,
			const struct tally *tally, struct err *err) BYU_MUST_CHECK;
/* Tell a person where rows are that want attention: on stderr. */
void result_files_tell(const struct result_files *files);
void result_files_release(struct result_files *files);

#endif
