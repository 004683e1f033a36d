/* replay adopt: a worker refuses a partition where it could only guess. What a person knows better is said here, one
 * choice at a time, and only for partitions that were refused for the reason that the choice answers, unless one is
 * named.
 *
 * A choice is tried on the facts before it is made: what the worker would refuse afterwards as another topic, because
 * offsets and messages don't fit, is not adopted. Kafka comes first where the group's offsets are changed as well: that
 * fails while somebody works, and repeating it after a crash does the rest. */
#include "byunique/adopt.h"
#include "cli/consent.h"
#include "cli/progress.h"
#include "cli/replay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique replay apply                       which partitions are refused, and why\n"
	"  byunique replay adopt --forget --dry-run\n"
	"  byunique replay adopt --accept-loss --partition 3\n"
	"\n"
	"Accepts what the worker refuses, by exactly one choice. It concerns the partitions that are refused for\n"
	"this reason, or the one that is named.\n"
	"\n"
	"  --forget       The topic was deleted and recreated, or is a new one on another cluster: the database\n"
	"                 forgets its position, the stored answers and the ids that took effect. Records stay.\n"
	"                 Every message that is in the topic is new then, and takes effect (again); a group that\n"
	"                 had come further goes back to the log's start. Also for a new database that is to\n"
	"                 begin with what is left of a topic.\n"
	"  --cluster      The topic was mirrored to this cluster byte for byte, with its offsets.\n"
	"  --group        The consumer group was renamed, to the one that is configured.\n"
	"  --accept-loss  Commands that the database needs, or their results, are no longer in the topic, and\n"
	"                 are given up: the worker goes on at the log's start.\n"
	"\n"
	"The workers have to be stopped. It first says what it would do, and asks, unless --yes is given;\n"
	"--dry-run only says it.";

static const struct option_spec options[] = {
	{"forget", NULL, "the topic is a new one: every message in it is"},
	{"cluster", NULL, "the topic is the same, on another cluster"},
	{"group", NULL, "the group is the same, by another name"},
	{"accept-loss", NULL, "what is needed and gone is given up"},
	{"partition", "N", "only this partition of the commands topic"},
	{"dry-run", NULL, "only say what would be done"},
	{"yes", NULL, "don't ask"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

static const struct choice {
	const char *option;
	enum adoption adoption;
	const char *question;
} choices[] = {
	{"forget", ADOPT_FORGET, "Forget what is known of them?"},
	{"cluster", ADOPT_CLUSTER, "Take them over from the other cluster?"},
	{"group", ADOPT_GROUP, "Take them over from the other group?"},
	{"accept-loss", ADOPT_LOSS, "Give these messages up?"},
};

enum { CHOICES = sizeof(choices) / sizeof(*choices) };

struct adopting {
	const struct config *config;
	const struct choice *choice;
	int64_t partition;
	struct outlook outlook;
	int32_t *partitions; /* those that are adopted */
	int64_t *log_starts; /* of them */
	int64_t *offsets;    /* the group's, by partition of the topic; -1: stays */
	uint32_t count;
};

/* --- which ones --------------------------------------------------------------------------------------------------- */

static bool take_choice(const struct cli_args *args, struct adopting *adopting, struct err *err)
{
	int count = 0;

	for (int i = 0; i < CHOICES; i++) {
		if (!cli_flag(args, choices[i].option))
			continue;
		adopting->choice = &choices[i];
		count++;
	}
	if (count == 1)
		return true;
	err_set(err, VERDICT_USAGE, "", count == 0 ? "what is to be adopted?" : "one choice at a time");
	return err_hint(
		err,
		"`byunique replay apply` tells what is refused; then --forget, --cluster, --group or --accept-loss.");
}

static bool answers(enum adoption adoption, const struct prospect *prospect)
{
	enum start_refusal refusal = prospect->start.refusal;

	switch (adoption) {
	case ADOPT_FORGET:
		return !prospect->in_topic || refusal == START_OTHER_TOPIC || refusal == START_OTHER_CLUSTER ||
		       refusal == START_UNKNOWN;
	case ADOPT_CLUSTER: return refusal == START_OTHER_CLUSTER;
	case ADOPT_GROUP: return refusal == START_OTHER_GROUP;
	case ADOPT_LOSS: return refusal == START_LOST;
	}
	return false;
}

/* One that is named may be forgotten whatever it is; the other choices make no sense where their reason is none. */
static bool is_meant(const struct adopting *adopting, const struct prospect *prospect, int number)
{
	if (!replay_wants(adopting->partition, number))
		return false;
	if (prospect->position == NULL && prospect->start.refusal != START_UNKNOWN)
		return false;
	return answers(adopting->choice->adoption, prospect) ||
	       (adopting->partition == number && adopting->choice->adoption == ADOPT_FORGET);
}

/* What the worker will say then. */
static void suppose(struct adopting *adopting, struct prospect *prospect)
{
	struct start_facts *facts = &prospect->facts;

	switch (adopting->choice->adoption) {
	case ADOPT_FORGET:
		facts->known = false;
		facts->committed = facts->committed >= 0 ? facts->log_start : -1;
		break;
	case ADOPT_CLUSTER: facts->cluster_id = facts->our_cluster_id; break;
	case ADOPT_GROUP: facts->group_id = facts->our_group_id; break;
	case ADOPT_LOSS:
		if (facts->next_offset < facts->log_start) {
			facts->next_offset = facts->log_start;
			facts->has_last = false;
		}
		if (facts->published_offset < facts->log_start)
			facts->published_offset = facts->log_start;
		break;
	}
	if (prospect->in_topic)
		prospect_decide(prospect);
}

static void add(struct adopting *adopting, int number, const struct prospect *prospect)
{
	adopting->partitions[adopting->count] = number;
	adopting->log_starts[adopting->count++] = prospect->extent.log_start;
	if (adopting->choice->adoption == ADOPT_FORGET && prospect->in_topic && prospect->committed >= 0 &&
	    prospect->committed != prospect->extent.log_start)
		adopting->offsets[number] = prospect->extent.log_start;
}

/* --- what it comes to --------------------------------------------------------------------------------------------- */

static void show_loss(const struct start_facts *before)
{
	bool commands =
		before->next_offset < before->log_start; /* else only their results were still to be published */
	int64_t count = before->log_start - (commands ? before->next_offset : before->published_offset);
	char digits[32];

	fprintf(stderr, "%s%s %s%s given up, ", commands ? "" : "the results of ", group_digits(count, digits),
		commands ? "command" : "message", count == 1 ? (commands ? " is" : " are") : "s are");
}

static void show_one(const struct adopting *adopting, const struct prospect *before, const struct prospect *after,
		     int number)
{
	int64_t begin = after->facts.known ? after->facts.next_offset : after->start.offset;
	int64_t count = after->facts.log_end - begin;
	char digits[32];

	fprintf(stderr, "partition %d: ", number);
	if (!after->in_topic) {
		fputs("is forgotten, the topic does not have it\n", stderr);
		return;
	}
	if (adopting->choice->adoption == ADOPT_LOSS)
		show_loss(&before->facts);
	fprintf(stderr, "begins at offset %" PRId64 ", %s message%s will be applied%s\n", begin,
		group_digits(count, digits), plural(count),
		before->start.refusal == START_FINE ? ", also those that took effect before: it is not refused now"
						    : "");
}

static bool check_one(const struct prospect *prospect, struct err *err)
{
	if (!prospect->in_topic || prospect->start.refusal == START_FINE)
		return true;
	*err = prospect->refusal;
	err->verdict = VERDICT_STOP;
	return err_hint(err, "It would still be refused: this choice is not the right one, or not the first.");
}

static bool choose(struct adopting *adopting, struct err *err)
{
	for (int i = 0; i < adopting->outlook.count; i++) {
		struct prospect *prospect = &adopting->outlook.prospects[i], before = *prospect;
		if (!is_meant(adopting, prospect, i))
			continue;
		if (before.start.refusal != START_FINE)
			fprintf(stderr, "%s\n  %s\n", before.refusal.what, before.refusal.detail);
		suppose(adopting, prospect);
		if (!check_one(prospect, err))
			return false;
		add(adopting, i, prospect);
		show_one(adopting, &before, prospect, i);
	}
	if (adopting->count == 0)
		fprintf(stderr, "There is no partition that --%s is for.\n", adopting->choice->option);
	return true;
}

static bool look(const struct cli_args *args, struct adopting *adopting, struct err *err)
{
	const struct kafka_place beginning = {.kind = KAFKA_PLACE_BEGINNING}, end = {.kind = KAFKA_PLACE_END};

	adopting->config = args->config;
	adopting->partition = -1;
	if (!take_choice(args, adopting, err) || !consent_check(args, err) ||
	    !cli_option_int(args, "partition", 0, INT32_MAX, &adopting->partition, err) ||
	    !outlook_open(&adopting->outlook, args->config, "byunique replay", beginning, end, err) ||
	    !outlook_check_partition(&adopting->outlook, adopting->partition, err))
		return false;
	unsigned long count = (unsigned long)adopting->outlook.count;
	adopting->partitions = xcalloc(count, sizeof(*adopting->partitions));
	adopting->log_starts = xcalloc(count, sizeof(*adopting->log_starts));
	adopting->offsets = xcalloc(count, sizeof(*adopting->offsets));
	for (int i = 0; i < adopting->outlook.count; i++)
		adopting->offsets[i] = -1;
	return choose(adopting, err);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool change(struct adopting *adopting, struct err *err)
{
	const struct config *config = adopting->config;
	enum adoption adoption = adopting->choice->adoption;
	const char *name = adoption == ADOPT_CLUSTER ? adopting->outlook.cluster_id
			   : adoption == ADOPT_GROUP ? config_kafka(config, "group.id")
						     : NULL;

	return kafka_group_commit(config, config->commands_topic, adopting->offsets, adopting->outlook.topic_partitions,
				  err) &&
	       position_adopt(adopting->outlook.pg, config->commands_topic, adoption, adopting->partitions,
			      adopting->count, name, adoption == ADOPT_LOSS ? adopting->log_starts : NULL, err);
}

static void report(const struct cli_args *args, const struct adopting *adopting, bool done)
{
	if (!cli_flag(args, "json")) {
		if (done)
			printf("%" PRIu32 " partition%s adopted\n", adopting->count, plural(adopting->count));
		return;
	}
	json_t *summary, *partitions = json_array();
	for (uint32_t i = 0; i < adopting->count; i++)
		json_array_append_new(partitions, json_integer(adopting->partitions[i]));
	summary = replay_summary_json("adopt", args, &adopting->outlook, done);
	json_object_set_new(summary, "choice", json_string(adopting->choice->option));
	json_object_set_new(summary, "partitions", partitions);
	print_json(summary);
}

static bool carry_out(const struct cli_args *args, struct adopting *adopting, struct err *err)
{
	bool dry = cli_flag(args, "dry-run");

	if (!look(args, adopting, err))
		return false;
	bool acts = !dry && adopting->count > 0;
	if (dry)
		replay_tell_members(&adopting->outlook);
	if (acts && !outlook_check_idle(&adopting->outlook, err))
		return false;
	if (acts && !consent_ask(args, "%s", adopting->choice->question))
		return err_set(err, VERDICT_STOP, "", "nothing was changed");
	/* The answer may have taken its time. */
	if (acts && (!outlook_check_idle(&adopting->outlook, err) || !change(adopting, err)))
		return false;
	report(args, adopting, acts);
	return true;
}

static int run(const struct cli_args *args)
{
	struct adopting adopting = {0};
	struct err err;

	int code = carry_out(args, &adopting, &err) ? EXIT_DONE : cli_fail(&err);
	free(adopting.partitions);
	free(adopting.log_starts);
	free(adopting.offsets);
	outlook_close(&adopting.outlook);
	return code;
}

const struct cli_command cmd_replay_adopt = {
	.name = "replay adopt",
	.summary = "accept a topic, cluster or group that the worker refuses",
	.synopsis = "--forget | --cluster | --group | --accept-loss [--partition N] [--dry-run] [--yes] [--json]",
	.help = help,
	.options = options,
	.needs_config = true,
	.run = run,
};
