/* What changes something says so first, and asks. */
#ifndef CLI_CONSENT_H
#define CLI_CONSENT_H

#include "byunique/cli.h"

/* For commands with --yes and --dry-run. Error (VERDICT_USAGE) when neither is given and there is no terminal to ask
 * on: to be called before any work is done. */
bool consent_check(const struct cli_args *args, struct err *err) BYU_MUST_CHECK;
/* Asks the question, unless --yes is given. False: no. */
bool consent_ask(const struct cli_args *args, const char *fmt, ...) BYU_PRINTF(2, 3);

#endif
