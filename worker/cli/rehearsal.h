/* `submit --dry-run`: all rows of a file checked by all that the schema tells, without Kafka and without a command sent. */
#ifndef CLI_REHEARSAL_H
#define CLI_REHEARSAL_H

#include "cli/source.h"

/* Prints on stdout what is wrong, of `limit` bad rows at most, and a summary; with `json` one object when all is read.
 * *bad: how many rows are. Errors: the file can't be read to its end; VERDICT_STOP when it was interrupted. */
bool rehearse(struct source *source, int64_t limit, bool json, int64_t *bad, struct err *err) BYU_MUST_CHECK;

#endif
