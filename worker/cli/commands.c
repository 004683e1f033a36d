/* What byunique can do. A new command is a file cmd_*.c, a declaration in cli.h and a line here. */
#include "base/nearest.h"
#include "cli/internal.h"

const struct cli_command *const cli_commands[] = {
	&cmd_run,
	&cmd_init,
	&cmd_schema_apply,
	&cmd_schema_list,
	&cmd_schema_show,
	&cmd_load,
	&cmd_submit,
	&cmd_results,
	&cmd_audit,
	&cmd_archive,
	/* longer names first: command_find() takes the first that matches */
	&cmd_replay_results,
	&cmd_replay_apply,
	&cmd_replay_failed,
	&cmd_replay_again,
	&cmd_replay_adopt,
	&cmd_replay_archive,
	&cmd_replay,
	&cmd_dead_letters_list,
	&cmd_dead_letters_show,
	&cmd_dead_letters_resubmit,
	&cmd_status,
	&cmd_demo,
	&cmd_help,
	NULL,
};

/* Is the name the first words, or all of them? */
static bool is_named(const char *name, const char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		size_t len = strlen(words[i]);
		if (strncmp(name, words[i], len) != 0)
			return false;
		if (name[len] == '\0')
			return true;
		if (name[len] != ' ')
			return false;
		name += len + 1;
	}
	return false;
}

const struct cli_command *command_find(const char *const *words, int count)
{
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (is_named(cli_commands[i]->name, words, count))
			return cli_commands[i];
	return NULL;
}

bool command_is_group(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (strncmp(cli_commands[i]->name, word, len) == 0 && cli_commands[i]->name[len] == ' ')
			return true;
	return false;
}

/* "schema apply" is compared with two words of the user's, "load" with one. */
static void consider(struct nearest *best, const char *name, const char *const *words, int count)
{
	struct nearest nearest;
	char wanted[NEAREST_MAX + 1];
	bool two = strchr(name, ' ') != NULL && count > 1;

	if (!two && count > 1 && command_is_group(words[0]))
		return; /* `replay`: it is the second word that is wrong */
	snprintf(wanted, sizeof(wanted), "%s%s%s", words[0], two ? " " : "", two ? words[1] : "");
	nearest_init(&nearest, wanted);
	nearest_consider(&nearest, name);
	nearest.wanted = words[0]; /* which outlives this function, and is what it is judged by */
	if (nearest.cost < best->cost)
		*best = nearest;
}

/* What other programs take as a command. */
static void consider_habits(struct nearest *best, const char *word)
{
	static const struct {
		const char *word, *meant;
	} habits[] = {{"config", "help config"}, {"version", "--version"}};

	for (size_t i = 0; i < sizeof(habits) / sizeof(*habits); i++) {
		struct nearest nearest;

		nearest_init(&nearest, word);
		nearest_consider(&nearest, habits[i].word);
		if (nearest.cost >= best->cost)
			continue;
		*best = nearest;
		snprintf(best->found, sizeof(best->found), "%s", habits[i].meant);
	}
}

bool command_unknown(const char *const *words, int count, struct err *err)
{
	struct nearest best;
	bool group = command_is_group(words[0]);

	if (group && count == 1) {
		err_set(err, VERDICT_USAGE, "", "\"%s\" needs one more word", words[0]);
		return err_hint(err, "Try `byunique %s --help`.", words[0]);
	}
	nearest_init(&best, words[0]);
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		consider(&best, cli_commands[i]->name, words, count);
	if (!group)
		consider_habits(&best, words[0]);
	err_set(err, VERDICT_USAGE, "", "there is no command \"%.60s%s%.60s\"", words[0], group ? " " : "",
		group ? words[1] : "");
	if (nearest_is_close(&best))
		return err_hint(err, "Did you mean `byunique %s`?", best.found);
	return err_hint(err, "`byunique --help` lists the commands.");
}
