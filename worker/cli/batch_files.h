/* What became of each row of a batch's file, without sending anything: the file's rows are told their ids, and answers looked
 * up by them. */
#ifndef CLI_BATCH_FILES_H
#define CLI_BATCH_FILES_H

#include "cli/result_files.h"

/* Every row of the source, expected in the tally or, when it is bad, refused. *uses_batch: some row has no batch of its own.
 * Errors: also an interrupt. */
bool batch_survey(struct source *source, const char *batch_id, struct tally *tally, bool *uses_batch,
		  struct err *err) BYU_MUST_CHECK;

/* `results --batch ID --files FILE`: reads the results topic to where it ends now and writes the files. */
int batch_files(const struct cli_args *args);

#endif
