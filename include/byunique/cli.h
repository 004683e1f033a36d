/* The command line: each command is a value; each option a row in its command's table. */
#ifndef BYUNIQUE_CLI_H
#define BYUNIQUE_CLI_H

#include "byunique/config.h"

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_WITH_ERRORS = 3, EXIT_STUCK = 4 };

struct option_spec {
	const char *name;     /* "json" for --json */
	const char *argument; /* "TEXT" when the option takes one, else NULL */
	const char *help;
};

struct given_option {
	const struct option_spec *spec;
	const char *value;
};

/* What a command gets. */
struct cli_args {
	const struct config *config;
	const struct config_sources *sources; /* where it comes from */
	const struct option_spec *options; /* the command's table */
	const char **values;		   /* by option, NULL when absent, "" for a flag that is present */
	const struct given_option *given;  /* all that were given, in their order */
	size_t given_count;
	int operand_count;
	const char *const *operands;
	const char *program_path; /* argv[0], to start the own program again */
};

struct cli_command {
	const char *name;     /* "schema apply": words separated by one blank */
	const char *summary;  /* one line */
	const char *synopsis; /* "NAME FILE.csv [--null TEXT]" */
	const char *help;     /* paragraphs, examples first */
	const struct option_spec *options; /* ends with a NULL name; NULL: none */
	int operands_min, operands_max;	   /* max < 0: any number */
	bool needs_config;		   /* false: runs without reading a configuration (demo) */
	bool until_stopped;		   /* ends in good order on SIGTERM, from the very start: signals_install() */
	int (*run)(const struct cli_args *args); /* an enum exit_code; has printed its errors */
};

/* The value of an option ("" for a flag), or NULL when it was not given. The name has to be in the table. */
const char *cli_option(const struct cli_args *args, const char *name);
static inline bool cli_flag(const struct cli_args *args, const char *name)
{
	return cli_option(args, name) != 0;
}

/* Of an option that may be repeated: the value that was given as the n-th, from 0; NULL: not so often. Of others the last
 * one counts. */
const char *cli_option_nth(const struct cli_args *args, const char *name, size_t n);

/* The value of an option that is a whole number from min to max; *value stays when it was not given. */
bool cli_option_int(const struct cli_args *args, const char *name, int64_t min, int64_t max, int64_t *value,
		    struct err *err) BYU_MUST_CHECK;

/* Parse argv, load the configuration, run the command. main() returns what this returns. SIGPIPE is ignored: a command that
 * may write to stdout for ever has to look at ferror(stdout). What could not be written makes the exit code 1. */
int cli_main(int argc, char **argv);

/* An error as the end of a command: prints it, returns EXIT_USAGE for VERDICT_USAGE, else EXIT_FAILED. */
int cli_fail(const struct err *err);

/* The commands, in the order of --help (cli/commands.c lists them). */
extern const struct cli_command cmd_run, cmd_init, cmd_schema_apply, cmd_schema_list, cmd_schema_show, cmd_load,
	cmd_submit, cmd_results, cmd_audit, cmd_archive, cmd_dead_letters_list, cmd_dead_letters_show, cmd_dead_letters_resubmit, cmd_status,
	cmd_demo, cmd_replay, cmd_replay_results, cmd_replay_apply, cmd_replay_failed, cmd_replay_again, cmd_replay_adopt,
	cmd_replay_archive;

#endif
