/* replay results: the group's offsets are lowered, and the next worker does what it does after a crash. Nothing is
 * published from here: one place only makes results, so they are the same to the byte, in their order, in one
 * transaction with the offsets. That is why there is no end to be given: what is read again is read up to the position.
 *
 * replay apply: nothing to do, as the worker starts from what PostgreSQL knows. It shows what that will come to. */
#include "byunique/clock.h"
#include "cli/consent.h"
#include "cli/internal.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/replay.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- results ------------------------------------------------------------------------------------------------------ */

static const char results_help[] =
	"Examples:\n"
	"  byunique replay results --from time:2024-05-17T22:00:00Z --dry-run\n"
	"  byunique replay results --from offset:120000 --partition 3\n"
	"  byunique replay results --from beginning --yes\n"
	"\n"
	"Publishes results again, of the messages from there on up to where the database is: the group's\n"
	"offsets are lowered, and the next `byunique run` answers these messages from what is stored, with the\n"
	"very same bytes. Nothing takes effect again. Messages whose answers are no longer kept\n"
	"(outcome.retention) are answered 410 OutcomeExpired.\n"
	"\n"
	"It first says how many messages that will be, and asks, unless --yes is given; --dry-run only says it,\n"
	"also while workers run. For anything else they have to be stopped: a group's offsets can be set only\n"
	"while it has no members.\n"
	"\n"
	"Other forms: `replay apply` tells what the next worker will do; `replay failed` sends commands again\n"
	"that were answered with an error; `replay again` applies a range once more, on purpose; `replay adopt`\n"
	"accepts a topic, cluster or group that the worker refuses; `replay archive` applies what the topic no\n"
	"longer holds.";

static const struct option_spec results_options[] = {
	{"from", "PLACE", "first message: beginning, offset:N or time:2024-05-17T10:00:00Z"},
	{"partition", "N", "only this partition of the commands topic"},
	{"dry-run", NULL, "only say what would be done"},
	{"yes", NULL, "don't ask"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

/* One partition of those that are read again. */
struct rerun {
	int64_t from; /* where it starts, -1: not at all */
	bool lowers;  /* the group's offset lies beyond it */
	int64_t repeated, expired, gone;
	struct stored *stored;
};

struct repetition {
	const struct config *config;
	int64_t partition;
	struct outlook outlook;
	struct rerun *reruns;
	int64_t repeated, expired, gone, applied;
	int refused;
};

static bool check_from(const struct cli_args *args, struct kafka_place *from, struct err *err)
{
	if (cli_option(args, "from") != NULL)
		return place_parse("from", cli_option(args, "from"), from, err);
	err_set(err, VERDICT_USAGE, "", "from where on?");
	return err_hint(err,
			"Give --from beginning, offset:1200 or time:2024-05-17T10:00:00Z; look with --dry-run first.");
}

/* What lies before the log's start, as far as it was asked for and processed. */
static int64_t count_gone(const struct prospect *prospect, const struct kafka_place *from)
{
	int64_t start = prospect->extent.log_start, next = prospect->position->next_offset;

	if (from->kind != KAFKA_PLACE_OFFSET || from->value >= start)
		return 0;
	return (start < next ? start : next) - from->value;
}

static void choose(struct repetition *repetition, int number, const struct kafka_place *from)
{
	const struct prospect *prospect = &repetition->outlook.prospects[number];
	struct rerun *rerun = &repetition->reruns[number];

	rerun->from = -1;
	if (!replay_wants(repetition->partition, number) || !prospect->in_topic ||
	    prospect->start.refusal != START_FINE)
		return;
	int64_t next = prospect->position ? prospect->position->next_offset : prospect->start.offset;
	repetition->applied += prospect->extent.log_end - next;
	if (prospect->position == NULL || prospect->extent.begin >= next)
		return;
	rerun->lowers = prospect->extent.begin < prospect->start.offset;
	rerun->from = rerun->lowers ? prospect->extent.begin : prospect->start.offset;
	rerun->gone = count_gone(prospect, from);
	rerun->stored = stored_new(prospect->position->id);
}

static bool other_message(const struct kafka_record *record, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "partition %d does not hold the messages that were processed",
		(int)record->partition);
	err_detail(err, "the message at offset %" PRId64 " is another one: the topic was deleted and recreated",
		   record->offset);
	return err_hint(err, "Choose others with --partition, or `byunique replay adopt --forget --partition %d`.",
			(int)record->partition);
}

static bool count_message(void *context, const struct kafka_record *record, const struct kafka_reader *reader,
			  struct err *err)
{
	struct repetition *repetition = context;
	struct rerun *rerun = &repetition->reruns[record->partition];
	const struct prospect *prospect = &repetition->outlook.prospects[record->partition];
	int64_t processed_at_ms = 0;
	enum stored_says says;
	int code;

	(void)reader;
	if (!stored_find(repetition->outlook.pg, rerun->stored, record->offset,
			 message_hash(record->key, record->value), &says, &code, &processed_at_ms, err))
		return false;
	if (says == STORED_OTHER)
		return other_message(record, err);
	bool expired =
		says == STORED_NONE || (processed_at_ms < clock_wall_ms() - repetition->config->outcome_retention &&
					record->offset < prospect->position->published_offset);
	rerun->repeated += !expired;
	rerun->expired += expired;
	return true;
}

static bool count_all(struct repetition *repetition, struct err *err)
{
	int count = repetition->outlook.topic_partitions;
	struct kafka_extent *extents = xcalloc((unsigned long)count, sizeof(*extents));

	for (int i = 0; i < count; i++) {
		if (repetition->reruns[i].from < 0)
			continue;
		extents[i].begin = repetition->reruns[i].from;
		extents[i].end = repetition->outlook.prospects[i].position->next_offset;
	}
	bool ok = replay_read(repetition->config, repetition->config->commands_topic, extents, count, "reading",
			      count_message, repetition, err);
	for (int i = 0; i < count; i++) {
		repetition->repeated += repetition->reruns[i].repeated;
		repetition->expired += repetition->reruns[i].expired;
		repetition->gone += repetition->reruns[i].gone;
	}
	free(extents);
	return ok;
}

static void show_rerun(const struct prospect *prospect, const struct rerun *rerun, int number)
{
	char from[32], to[32], repeated[32], expired[32];

	fprintf(stderr, "%9d  %14s  %14s  %12s  %8s%s\n", number, group_digits(rerun->from, from),
		group_digits(prospect->position->next_offset, to), group_digits(rerun->repeated, repeated),
		group_digits(rerun->expired, expired), rerun->lowers ? "" : "  (also without this)");
}

static void show_results(const struct repetition *repetition)
{
	char digits[32];
	int64_t count = repetition->repeated + repetition->expired;

	if (count > 0)
		fprintf(stderr, "%9s  %14s  %14s  %12s  %8s\n", "PARTITION", "FROM", "TO", "REPEATED", "EXPIRED");
	for (int i = 0; count > 0 && i < repetition->outlook.topic_partitions; i++)
		if (repetition->reruns[i].from >= 0)
			show_rerun(&repetition->outlook.prospects[i], &repetition->reruns[i], i);
	fprintf(stderr, "%s message%s will be answered again by the next `byunique run`; nothing takes effect.\n",
		group_digits(count, digits), plural(count));
	if (repetition->expired > 0)
		fprintf(stderr, "%s of them with 410 OutcomeExpired, as the answer is no longer kept.\n",
			group_digits(repetition->expired, digits));
	if (repetition->applied > 0)
		fprintf(stderr, "%s message%s after these will be applied, as usual: they are not processed yet.\n",
			group_digits(repetition->applied, digits), plural(repetition->applied));
	if (repetition->gone > 0)
		fprintf(stderr, "%s asked for are no longer in the topic.\n", group_digits(repetition->gone, digits));
	if (repetition->refused > 0)
		fprintf(stderr, "%d refused partition%s left out.\n", repetition->refused,
			repetition->refused == 1 ? " is" : "s are");
}

static bool lower(struct repetition *repetition, struct err *err)
{
	int count = repetition->outlook.topic_partitions;
	int64_t *offsets = xcalloc((unsigned long)count, sizeof(*offsets));

	for (int i = 0; i < count; i++)
		offsets[i] = repetition->reruns[i].lowers ? repetition->reruns[i].from : -1;
	bool ok = kafka_group_commit(repetition->config, repetition->config->commands_topic, offsets, count, err);
	free(offsets);
	return ok;
}

static void report_results(const struct cli_args *args, const struct repetition *repetition, bool done)
{
	const struct outlook *outlook = &repetition->outlook;

	if (!cli_flag(args, "json"))
		return;
	json_t *summary, *partitions = json_array();
	for (int i = 0; i < outlook->topic_partitions; i++) {
		const struct rerun *rerun = &repetition->reruns[i];
		if (rerun->from < 0)
			continue;
		json_t *object = replay_partition_json(&outlook->prospects[i], i);
		json_object_set_new(object, "from", json_integer(rerun->from));
		json_object_set_new(object, "repeated", json_integer(rerun->repeated));
		json_object_set_new(object, "expired", json_integer(rerun->expired));
		json_array_append_new(partitions, object);
	}
	summary = replay_summary_json("results", args, outlook, done);
	json_object_set_new(summary, "repeated", json_integer(repetition->repeated));
	json_object_set_new(summary, "expired", json_integer(repetition->expired));
	json_object_set_new(summary, "applied", json_integer(repetition->applied));
	json_object_set_new(summary, "gone", json_integer(repetition->gone));
	json_object_set_new(summary, "refused", json_integer(repetition->refused));
	json_object_set_new(summary, "partitions", partitions);
	print_json(summary);
}

static bool look(const struct cli_args *args, struct repetition *repetition, struct err *err)
{
	struct kafka_place from = {.kind = KAFKA_PLACE_BEGINNING}, end = {.kind = KAFKA_PLACE_END};

	repetition->config = args->config;
	repetition->partition = -1;
	if (!check_from(args, &from, err) || !consent_check(args, err) ||
	    !cli_option_int(args, "partition", 0, INT32_MAX, &repetition->partition, err) ||
	    !outlook_open(&repetition->outlook, args->config, "byunique replay", from, end, err) ||
	    !outlook_check_partition(&repetition->outlook, repetition->partition, err))
		return false;
	repetition->reruns = xcalloc((unsigned long)repetition->outlook.count, sizeof(*repetition->reruns));
	for (int i = 0; i < repetition->outlook.count; i++)
		choose(repetition, i, &from);
	repetition->refused = replay_tell_refused(&repetition->outlook, repetition->partition);
	return count_all(repetition, err);
}

static bool any_lowers(const struct repetition *repetition)
{
	for (int i = 0; i < repetition->outlook.topic_partitions; i++)
		if (repetition->reruns[i].lowers)
			return true;
	return false;
}

static bool repeat(const struct cli_args *args, struct repetition *repetition, struct err *err)
{
	bool dry = cli_flag(args, "dry-run");

	if (!look(args, repetition, err))
		return false;
	show_results(repetition);
	bool acts = !dry && any_lowers(repetition);
	if (dry)
		replay_tell_members(&repetition->outlook);
	if (acts && !outlook_check_idle(&repetition->outlook, err))
		return false;
	if (acts && !consent_ask(args, "Set the group's offsets back?"))
		return err_set(err, VERDICT_STOP, "", "nothing was changed");
	if (acts && !lower(repetition, err))
		return false;
	if (acts)
		fprintf(stderr, "The group's offsets are set back. Start the workers.\n");
	else if (!dry)
		fprintf(stderr, "There is nothing to set back.\n");
	report_results(args, repetition, acts);
	return true;
}

static int run_results(const struct cli_args *args)
{
	struct repetition repetition = {0};
	struct err err;

	int code = repeat(args, &repetition, &err) ? EXIT_DONE : cli_fail(&err);
	for (int i = 0; repetition.reruns != NULL && i < repetition.outlook.count; i++)
		stored_free(repetition.outlook.pg, repetition.reruns[i].stored);
	free(repetition.reruns);
	outlook_close(&repetition.outlook);
	return code;
}

const struct cli_command cmd_replay_results = {
	.name = "replay results",
	.summary = "publish results again",
	.synopsis = "--from PLACE [--partition N] [--dry-run] [--yes] [--json]",
	.help = results_help,
	.options = results_options,
	.needs_config = true,
	.run = run_results,
};

/* --- without a form ----------------------------------------------------------------------------------------------- */

static int run_replay(const struct cli_args *args)
{
	struct err err;

	if (args->operand_count == 0)
		return run_results(args);
	const char *words[] = {"replay", args->operands[0]};
	if (command_find(words, 2) != &cmd_replay) {
		err_set(&err, VERDICT_USAGE, "", "\"%.60s\" comes too late", words[1]);
		err_hint(&err, "Say `byunique replay %.60s`, then the options.", words[1]);
	} else {
		command_unknown(words, 2, &err);
	}
	return cli_fail(&err);
}

const struct cli_command cmd_replay = {
	.name = "replay",
	.summary = "publish results again: the same as `replay results`",
	.synopsis = "[results|apply|failed|again|adopt|archive] [options]",
	.help = results_help,
	.options = results_options,
	.operands_max = 1,
	.needs_config = true,
	.run = run_replay,
};

/* --- apply -------------------------------------------------------------------------------------------------------- */

static const char apply_help[] =
	"Examples:\n"
	"  byunique replay apply\n"
	"  byunique replay apply --partition 3 --json\n"
	"\n"
	"What PostgreSQL lost, because a backup was restored or a standby lacked commits, is applied again by\n"
	"itself: the worker starts from what the database knows. This only shows what the next `byunique run`\n"
	"will do with each partition, and changes nothing:\n"
	"\n"
	"  POSITION   how far the database is: the next message to process\n"
	"  GROUP      the group's offset\n"
	"  START      where the worker begins to read\n"
	"  REPEATED   messages processed before: answered from what is stored\n"
	"  APPLIED    messages the database does not know: new ones, and those that it lost\n"
	"  LOST       of these, how many were processed once: the group's offset lies beyond the position\n"
	"\n"
	"Counted by offsets, so a compacted topic may hold fewer. A partition that a worker refuses is told with\n"
	"the reason and what to do. Beside running workers it is a view of the moment.";

static const struct option_spec apply_options[] = {
	{"partition", "N", "only this partition of the commands topic"},
	{"dry-run", NULL, "changes nothing here, as nothing is done anyway"},
	{"json", NULL, "print JSON"},
	{NULL, NULL, NULL},
};

struct forecast {
	int64_t repeated, applied, lost;
};

static int64_t distance(int64_t from, int64_t to)
{
	return to > from ? to - from : 0;
}

static struct forecast forecast(const struct prospect *prospect)
{
	const struct stored_position *position = prospect->position;
	int64_t next = position ? position->next_offset : prospect->start.offset;
	int64_t was_done = prospect->committed_by_others ? next : prospect->committed;

	return (struct forecast){
		.repeated = distance(prospect->start.offset, next),
		.applied = distance(next, prospect->extent.log_end),
		.lost = distance(next, was_done < prospect->extent.log_end ? was_done : prospect->extent.log_end),
	};
}

static void show_forecast(const struct prospect *prospect, int number, const struct forecast *forecast)
{
	char position[32] = "-", group[32] = "-", start[32], repeated[32], applied[32], lost[32];

	if (prospect->position != NULL)
		group_digits(prospect->position->next_offset, position);
	if (prospect->committed >= 0)
		group_digits(prospect->committed, group);
	printf("%9d  %14s  %14s  %14s  %12s  %12s  %12s\n", number, position, group,
	       group_digits(prospect->start.offset, start), group_digits(forecast->repeated, repeated),
	       group_digits(forecast->applied, applied), group_digits(forecast->lost, lost));
}

static json_t *forecast_json(const struct prospect *prospect, int number, const struct forecast *forecast)
{
	json_t *object = replay_partition_json(prospect, number);
	bool refused = prospect->start.refusal != START_FINE;

	json_object_set_new(object, "refused", refused ? json_string(prospect->refusal.what) : json_null());
	json_object_set_new(object, "start", refused ? json_null() : json_integer(prospect->start.offset));
	json_object_set_new(object, "repeated", json_integer(forecast->repeated));
	json_object_set_new(object, "applied", json_integer(forecast->applied));
	json_object_set_new(object, "lost", json_integer(forecast->lost));
	return object;
}

static void conclude(const struct forecast *total, int refused)
{
	char lost[32];

	if (total->lost > 0)
		printf("PostgreSQL lost %s message%s: the next `byunique run` applies them, in order, and publishes "
		       "their results "
		       "again.\n",
		       group_digits(total->lost, lost), plural(total->lost));
	else if (refused == 0)
		puts("Nothing is lost: there is nothing to apply again.");
}

static void tell_absent(const struct prospect *prospect, int number)
{
	if (!prospect->in_topic && prospect->position != NULL)
		fprintf(stderr,
			"partition %d: the database knows it, the topic does not have it (`byunique replay adopt "
			"--forget`)\n",
			number);
}

static void show_forecasts(const struct outlook *outlook, int64_t partition, json_t *partitions)
{
	struct forecast total = {0};

	if (partitions == NULL)
		printf("%9s  %14s  %14s  %14s  %12s  %12s  %12s\n", "PARTITION", "POSITION", "GROUP", "START",
		       "REPEATED", "APPLIED", "LOST");
	for (int i = 0; i < outlook->count; i++) {
		const struct prospect *prospect = &outlook->prospects[i];
		struct forecast one = {0};
		if (!replay_wants(partition, i))
			continue;
		tell_absent(prospect, i);
		if (!prospect->in_topic)
			continue;
		bool refused = prospect->start.refusal != START_FINE;
		if (!refused)
			one = forecast(prospect);
		total.lost += one.lost;
		if (partitions != NULL)
			json_array_append_new(partitions, forecast_json(prospect, i, &one));
		else if (!refused)
			show_forecast(prospect, i, &one);
	}
	fflush(stdout);
	int refused = replay_tell_refused(outlook, partition);
	if (partitions == NULL)
		conclude(&total, refused);
}

static int run_apply(const struct cli_args *args)
{
	const struct kafka_place beginning = {.kind = KAFKA_PLACE_BEGINNING}, end = {.kind = KAFKA_PLACE_END};
	struct outlook outlook = {0};
	int64_t partition = -1;
	struct err err;

	bool ok = cli_option_int(args, "partition", 0, INT32_MAX, &partition, &err) &&
		  outlook_open(&outlook, args->config, "byunique replay", beginning, end, &err) &&
		  outlook_check_partition(&outlook, partition, &err);
	if (ok) {
		json_t *partitions = cli_flag(args, "json") ? json_array() : NULL;
		show_forecasts(&outlook, partition, partitions);
		if (partitions != NULL) {
			json_t *summary = replay_summary_json("apply", args, &outlook, false);
			json_object_set_new(summary, "partitions", partitions);
			print_json(summary);
		}
	}
	outlook_close(&outlook);
	return ok ? EXIT_DONE : cli_fail(&err);
}

const struct cli_command cmd_replay_apply = {
	.name = "replay apply",
	.summary = "show what the next worker will do, and what PostgreSQL lost",
	.synopsis = "[--partition N] [--json]",
	.help = apply_help,
	.options = apply_options,
	.needs_config = true,
	.run = run_apply,
};
