/* Shared by the files of cli/ only. */
#ifndef BYUNIQUE_CLI_INTERNAL_H
#define BYUNIQUE_CLI_INTERNAL_H

#include "byunique/cli.h"

#include <stdio.h>

/* All commands, in the order of --help; ends with NULL. */
extern const struct cli_command *const cli_commands[];
extern const struct cli_command cmd_help;

/* Options that every command takes; values come in argv like any other's. */
extern const struct option_spec common_options[];

/* The command whose name is what `words` begin with, or NULL. */
const struct cli_command *command_find(const char *const *words, int count);
/* "schema" is what several commands begin with. */
bool command_is_group(const char *word);
/* No such command: names the nearest one. Returns false. */
bool command_unknown(const char *const *words, int count, struct err *err);

void help_overview(FILE *out);
void help_command(const struct cli_command *command, FILE *out);
void help_group(const char *word, FILE *out);

#endif
