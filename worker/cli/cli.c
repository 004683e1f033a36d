/* argv → command, options, operands → exit code. By hand rather than by getopt_long(): commands of two words,
 * options before and after the command, and an unknown option that is told with its nearest one. */
#include "byunique/cli.h"
#include "byunique/signals.h"

#include "base/nearest.h"
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What argv says. Strings are argv's. */
struct invocation {
	int argc; /* what is left to be read */
	const char *const *argv;
	const struct cli_command *command; /* NULL: only common options */
	const char *group;		   /* the first word of a command that has two */
	const char *file;
	const char **overrides; /* the arguments of -X; owned */
	size_t override_count;
	const char **values;   /* by option of the command; owned */
	struct given_option *given; /* owned */
	size_t given_count;
	const char **operands; /* owned */
	int operand_count;
	bool help, version;
};

/* --- options ----------------------------------------------------------------------------------------------------- */

static const char *next_argument(struct invocation *in)
{
	in->argc--;
	return *in->argv++;
}

static bool hint_help(const struct invocation *in, struct err *err)
{
	if (in->command != NULL)
		return err_hint(err, "Try `byunique %s --help`.", in->command->name);
	return err_hint(err, "Try `byunique --help`.");
}

/* The argument of an option: what is attached to it, or the next of argv. */
static bool take_argument(struct invocation *in, const char *option, const char *attached, const char **argument,
			  struct err *err)
{
	if (attached == NULL && in->argc == 0) {
		err_set(err, VERDICT_USAGE, "", "%s needs an argument", option);
		return hint_help(in, err);
	}
	*argument = attached ? attached : next_argument(in);
	return true;
}

static void add_override(struct invocation *in, const char *pair)
{
	in->overrides = xrealloc(in->overrides, (in->override_count + 1) * sizeof(*in->overrides));
	in->overrides[in->override_count++] = pair;
}

static bool take_common(struct invocation *in, const char *option, const char *attached, struct err *err)
{
	const char *pair = NULL;

	if (strcmp(option, "--config") == 0 || strcmp(option, "-c") == 0)
		return take_argument(in, option, attached, &in->file, err);
	if (strcmp(option, "--set") == 0 || strcmp(option, "-X") == 0) {
		if (!take_argument(in, option, attached, &pair, err))
			return false;
		add_override(in, pair);
		return true;
	}
	if (attached != NULL)
		return err_set(err, VERDICT_USAGE, "", "%s takes no argument", option);
	if (strcmp(option, "--version") == 0)
		in->version = true;
	else
		in->help = true;
	return true;
}

static const char *const common_names[] = {"-c", "-X", "-h", "--config", "--set", "--help", "--version"};

enum { COMMON_NAMES = sizeof(common_names) / sizeof(*common_names) };

static bool is_common(const char *option)
{
	for (size_t i = 0; i < COMMON_NAMES; i++)
		if (strcmp(common_names[i], option) == 0)
			return true;
	return false;
}

static bool is_of_a_command(const char *option)
{
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		for (const struct option_spec *spec = cli_commands[i]->options; spec != NULL && spec->name != NULL; spec++)
			if (strncmp(option, "--", 2) == 0 && strcmp(spec->name, option + 2) == 0)
				return true;
	return false;
}

static bool fail_option(const struct invocation *in, const char *option, struct err *err)
{
	const struct option_spec *spec = in->command ? in->command->options : NULL;
	struct nearest nearest;
	char name[NEAREST_MAX + 1];

	nearest_init(&nearest, option);
	for (; spec != NULL && spec->name != NULL; spec++) {
		snprintf(name, sizeof(name), "--%s", spec->name);
		nearest_consider(&nearest, name);
	}
	for (size_t i = 0; i < COMMON_NAMES; i++)
		nearest_consider(&nearest, common_names[i]);
	err_set(err, VERDICT_USAGE, "", "there is no option %.60s%s%s", option, in->command ? " of " : "",
		in->command ? in->command->name : "");
	if (in->command == NULL && is_of_a_command(option))
		return err_hint(err, "It belongs behind the command: byunique COMMAND %s", option);
	if (strlen(option) > 2 && nearest_is_close(&nearest))
		return err_hint(err, "Did you mean %s?", nearest.found);
	return hint_help(in, err);
}

static void add_given(struct invocation *in, const struct option_spec *spec, const char *value)
{
	in->given = xrealloc(in->given, (in->given_count + 1) * sizeof(*in->given));
	in->given[in->given_count++] = (struct given_option){spec, value};
}

static bool take_own(struct invocation *in, const char *option, const char *attached, struct err *err)
{
	const struct option_spec *spec = in->command ? in->command->options : NULL;

	for (size_t i = 0; strncmp(option, "--", 2) == 0 && spec != NULL && spec[i].name != NULL; i++) {
		if (strcmp(spec[i].name, option + 2) != 0)
			continue;
		if (spec[i].argument == NULL && attached != NULL)
			return err_set(err, VERDICT_USAGE, "", "%s takes no argument", option);
		in->values[i] = "";
		if (spec[i].argument != NULL && !take_argument(in, option, attached, &in->values[i], err))
			return false;
		add_given(in, &spec[i], in->values[i]);
		return true;
	}
	return fail_option(in, option, err);
}

/* "--name", "--name=value", "-c", "-cFILE". */
static bool take_option(struct invocation *in, const char *text, struct err *err)
{
	bool is_long = text[1] == '-';
	size_t len = is_long ? strcspn(text, "=") : 2;
	const char *attached = is_long ? (text[len] == '=' ? text + len + 1 : NULL) : (text[2] ? text + 2 : NULL);
	char *option = xasprintf("%.*s", (int)len, text);
	bool ok;

	if (is_common(option))
		ok = take_common(in, option, attached, err);
	else
		ok = take_own(in, is_long ? option : text, attached, err);
	free(option);
	return ok;
}

/* "-" is an operand: where a file is wanted, standard input. */
static bool is_option(const char *text)
{
	return text[0] == '-' && text[1] != '\0';
}

/* --- the command line -------------------------------------------------------------------------------------------- */

static void take_command(struct invocation *in, const struct cli_command *command)
{
	size_t options = 0;

	in->command = command;
	while (command->options != NULL && command->options[options].name != NULL)
		options++;
	in->values = xcalloc(options, sizeof(*in->values));
	in->operands = xcalloc((unsigned long)in->argc, sizeof(*in->operands));
}

/* One word of the command: the whole of it, its first, or its second. */
static bool take_word(struct invocation *in, const char *word, struct err *err)
{
	const char *words[] = {in->group ? in->group : word, in->group ? word : NULL};
	int count = in->group ? 2 : 1;
	/* `replay` is a command, and `replay failed` another: the longer name counts. */
	if (count == 1 && command_is_group(word) && in->argc > 0)
		words[count] = in->argv[0];
	const struct cli_command *command = command_find(words, words[1] != NULL ? 2 : 1);

	if (command != NULL) {
		if (in->group == NULL && strchr(command->name, ' ') != NULL)
			next_argument(in);
		take_command(in, command);
		return true;
	}
	if (count == 1 && command_is_group(word)) {
		in->group = word;
		return true;
	}
	if (count == 1 && in->argc > 0)
		words[count++] = in->argv[0];
	return command_unknown(words, count, err);
}

/* `schema --help` lists what there is; `schema` alone is an error. */
static bool check_complete(const struct invocation *in, struct err *err)
{
	if (in->group != NULL && in->command == NULL && !in->help)
		return command_unknown(&in->group, 1, err);
	return true;
}

static bool parse(struct invocation *in, struct err *err)
{
	bool only_operands = false;

	while (in->argc > 0) {
		if (!only_operands && strcmp(in->argv[0], "--") == 0) {
			only_operands = true;
			next_argument(in);
		} else if (!only_operands && is_option(in->argv[0])) {
			if (!take_option(in, next_argument(in), err))
				return false;
		} else if (in->command == NULL) {
			if (!take_word(in, next_argument(in), err))
				return false;
		} else {
			in->operands[in->operand_count++] = next_argument(in);
		}
	}
	return check_complete(in, err);
}

static bool check_operands(const struct invocation *in, struct err *err)
{
	const struct cli_command *command = in->command;
	bool few = in->operand_count < command->operands_min;

	if (!few && (command->operands_max < 0 || in->operand_count <= command->operands_max))
		return true;
	err_set(err, VERDICT_USAGE, "", "%s: %s", command->name, few ? "something is missing" : "there is too much");
	err_detail(err, "usage: byunique %s %s", command->name, command->synopsis ? command->synopsis : "");
	return err_hint(err, "Try `byunique %s --help`.", command->name);
}

/* --- for commands ------------------------------------------------------------------------------------------------ */

const char *cli_option(const struct cli_args *args, const char *name)
{
	for (size_t i = 0; args->options != NULL && args->options[i].name != NULL; i++)
		if (strcmp(args->options[i].name, name) == 0)
			return args->values[i];
	die("an option --%s is asked for that is not in the table", name);
}

const char *cli_option_nth(const struct cli_args *args, const char *name, size_t n)
{
	for (size_t i = 0; i < args->given_count; i++)
		if (strcmp(args->given[i].spec->name, name) == 0 && n-- == 0)
			return args->given[i].value;
	return NULL;
}

bool cli_option_int(const struct cli_args *args, const char *name, int64_t min, int64_t max, int64_t *value,
		    struct err *err)
{
	const char *text = cli_option(args, name);
	char *end;

	if (text == NULL)
		return true;
	errno = 0;
	int64_t number = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && number >= min && number <= max) {
		*value = number;
		return true;
	}
	return err_set(err, VERDICT_USAGE, "", "--%s has to be a whole number from %" PRId64 " to %" PRId64, name, min,
		       max);
}

int cli_fail(const struct err *err)
{
	err_print(err);
	return err->verdict == VERDICT_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

/* --- run --------------------------------------------------------------------------------------------------------- */

static int run_with(const struct invocation *in, const struct config *config, const char *program_path)
{
	const struct config_sources sources = {in->file, in->overrides, in->override_count};
	const struct cli_args args = {
		.config = config,
		.sources = &sources,
		.options = in->command->options,
		.values = in->values,
		.given = in->given,
		.given_count = in->given_count,
		.operand_count = in->operand_count,
		.operands = in->operands,
		.program_path = program_path,
	};
	return in->command->run(&args);
}

static int run_command(const struct invocation *in, const char *program_path)
{
	struct config config;
	struct err err;

	if (!check_operands(in, &err))
		return cli_fail(&err);
	if (!in->command->needs_config && (in->file != NULL || in->override_count > 0)) {
		err_set(&err, VERDICT_USAGE, "", "%s reads no configuration: leave out -c and -X", in->command->name);
		return cli_fail(&err);
	}
	if (in->command->until_stopped)
		signals_install();
	if (!in->command->needs_config)
		return run_with(in, NULL, program_path);
	if (!config_load(&config, in->file, in->overrides, in->override_count, &err))
		return cli_fail(&err);
	log_setup(config.log_level, config.log_format);
	int code = run_with(in, &config, program_path);
	config_release(&config);
	return code;
}

static int run(const struct invocation *in, const char *program_path)
{
	if (in->version)
		puts("byunique " VERSION);
	else if (in->help && in->command != NULL)
		help_command(in->command, stdout);
	else if (in->help && in->group != NULL)
		help_group(in->group, stdout);
	else if (in->help)
		help_overview(stdout);
	else if (in->command != NULL)
		return run_command(in, program_path);
	else {
		help_overview(stderr);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

/* A closed standard stream's number would be given to the next socket, and output would go there. A closed one stays
 * unwritable. */
static void occupy_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			die("can't open /dev/null");
}

/* Data that did not arrive is a failure; when the reader has gone (`| head`), one that needs no words. */
static int finish_output(int code)
{
	bool failed = ferror(stdout);

	errno = 0;
	failed |= fflush(stdout) != 0 || fclose(stdout) != 0;
	if (!failed)
		return code;
	if (errno != EPIPE)
		fprintf(stderr, "byunique: can't write to standard output%s%s\n", errno ? ": " : "",
			errno ? strerror(errno) : "");
	return code == EXIT_DONE || code == EXIT_WITH_ERRORS ? EXIT_FAILED : code;
}

int cli_main(int argc, char **argv)
{
	struct invocation in = {.argc = argc - 1, .argv = (const char *const *)argv + 1};
	struct err err;

	if (argc < 1)
		return EXIT_USAGE;
	occupy_standard_streams();
	signal(SIGPIPE, SIG_IGN); /* shows up as a write error: of stdout in finish_output() */
	int code = parse(&in, &err) ? run(&in, argv[0]) : cli_fail(&err);
	free(in.overrides);
	free(in.values);
	free(in.given);
	free(in.operands);
	return finish_output(code);
}
