/* --help: everything is composed from the tables, so that it can't be out of date. Data, hence on stdout when asked
 * for. */
#include "cli/internal.h"

#include <string.h>

const struct option_spec common_options[] = {
	{"config", "FILE", "read the configuration from FILE (also -c FILE)"},
	{"set", "KEY=VALUE", "set one key, over file and environment (also -X KEY=VALUE); may be repeated"},
	{"help", NULL, "show this (also -h)"},
	{NULL, NULL, NULL},
};

static const char usage[] = "byunique [-c FILE] [-X key=value]...";

static const char more[] = "  byunique COMMAND --help    tells more about a command\n"
			   "  byunique help config       lists the configuration's keys\n"
			   "  byunique --version         tells the version\n";

static const char exit_codes[] =
	"Exit codes:\n"
	"  0  done\n"
	"  1  failed\n"
	"  2  wrong usage or configuration\n"
	"  3  done, but some commands were answered with an error, or an audit found something\n"
	"  4  `run` stopped by itself (fenced, stuck, or every partition refused): start it again\n";

static const char config_rules[] =
	"A configuration file holds lines `key = value`; # begins a comment line. Environment variables (BYUNIQUE_\n"
	"and the key in capitals, dots as underscores) override the file, -X key=value overrides both.\n\n";

static bool is_in(const struct cli_command *command, const char *group)
{
	size_t len = group ? strlen(group) : 0;
	return group == NULL || (strncmp(command->name, group, len) == 0 && command->name[len] == ' ');
}

static void print_commands(const char *group, FILE *out)
{
	size_t width = 0;

	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (is_in(cli_commands[i], group) && strlen(cli_commands[i]->name) > width)
			width = strlen(cli_commands[i]->name);
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (is_in(cli_commands[i], group))
			fprintf(out, "  %-*s  %s\n", (int)width, cli_commands[i]->name, cli_commands[i]->summary);
}

void help_overview(FILE *out)
{
	fprintf(out,
		"Usage: %s COMMAND [options]\n\n"
		"Applies \"update by unique\" commands from Kafka to PostgreSQL and answers each of them.\n\n"
		"Commands:\n",
		usage);
	print_commands(NULL, out);
	fprintf(out, "\n%s\n%s", more, exit_codes);
}

void help_group(const char *word, FILE *out)
{
	fprintf(out, "Usage: %s %s COMMAND [options]\n\nCommands:\n", usage, word);
	print_commands(word, out);
}

static void print_options(const struct option_spec *options, FILE *out)
{
	for (; options != NULL && options->name != NULL; options++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", options->name, options->argument ? " " : "",
			 options->argument ? options->argument : "");
		fprintf(out, "  %-24s  %s\n", left, options->help);
	}
}

void help_command(const struct cli_command *command, FILE *out)
{
	const char *synopsis = command->synopsis ? command->synopsis : "";

	fprintf(out, "byunique %s: %s\n\nUsage: %s %s%s%s\n\n", command->name, command->summary, usage, command->name,
		*synopsis ? " " : "", synopsis);
	if (command->help != NULL && command->help[0] != '\0')
		fprintf(out, "%s%s\n", command->help, command->help[strlen(command->help) - 1] == '\n' ? "" : "\n");
	fputs("Options:\n", out);
	print_options(command->options, out);
	print_options(common_options, out);
}

/* --- the command `help` ------------------------------------------------------------------------------------------ */

static int help_config(bool sample)
{
	struct buf text = BUF_EMPTY;

	if (sample)
		config_sample(&text);
	else {
		buf_adds(&text, config_rules);
		config_help(&text);
	}
	fputs(text.base, stdout);
	buf_release(&text);
	return EXIT_DONE;
}

static int run_help(const struct cli_args *args)
{
	struct err err;

	if (args->operand_count == 0) {
		help_overview(stdout);
		return EXIT_DONE;
	}
	const struct cli_command *command = command_find(args->operands, args->operand_count);
	if (command == NULL && strcmp(args->operands[0], "config") == 0)
		return help_config(cli_flag(args, "sample"));
	if (command == NULL && args->operand_count == 1 && command_is_group(args->operands[0]))
		help_group(args->operands[0], stdout);
	else if (command == NULL && !command_unknown(args->operands, args->operand_count, &err))
		return cli_fail(&err);
	else
		help_command(command, stdout);
	return EXIT_DONE;
}

static const struct option_spec options[] = {
	{"sample", NULL, "with `config`: print a commented configuration file"},
	{NULL, NULL, NULL},
};

const struct cli_command cmd_help = {
	.name = "help",
	.summary = "tell about a command, or about the configuration",
	.synopsis = "[COMMAND | config [--sample]]",
	.help = "Examples:\n"
		"  byunique help schema apply\n"
		"  byunique help config         every key of the configuration, with its default\n",
	.options = options,
	.operands_max = 2,
	.run = run_help,
};
