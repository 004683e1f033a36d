/* dead-letters resubmit: messages go back to where they came from, byte for byte, as new messages at the end of their
 * partition, where the order of a customer's commands and the memory of ids hold.
 *
 * Letters are gone through twice: to count, so that what is about to happen can be said and asked about, and to send. Both
 * times to the same end, or what comes back as a dead letter at once would be sent again for ever. A message that stands
 * there twice, as its result was published twice, is sent once. */
#include "byunique/cli.h"

#include "cli/consent.h"
#include "cli/letters.h"
#include "cli/place.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique dead-letters resubmit --code InternalError --dry-run\n"
	"  byunique dead-letters resubmit --code InternalError --from time:2024-05-17T22:00:00Z\n"
	"  byunique dead-letters resubmit 0:17 0:21 --yes\n"
	"\n"
	"Puts messages back to the commands topic, into the partition they came from: key, value and headers\n"
	"byte for byte, without the headers that the worker had added. Which ones: by code, by the letters'\n"
	"time, one by one, or --all. It says how many there are and asks, unless --yes is given; --dry-run\n"
	"only says it.\n"
	"\n"
	"They are new messages and get new results. Mend the cause first: an InternalError is one of the\n"
	"database's (the worker's log tells), a MalformedMessage may be readable once its schema is in\n"
	"schemas.dir. Nothing takes effect twice: a command that became a dead letter had no effect, and one\n"
	"that has been sent again with success since is answered as a duplicate. The letters stay where they\n"
	"are.\n"
	"\n"
	"A letter that lacks a part (byunique.truncated), or that came from another topic, is passed over with\n"
	"a message; the exit code then is 1.";

static const struct option_spec options[] = {
	{"code", "CODE", "only these: MalformedMessage or InternalError"},
	{"from", "PLACE", "letters from beginning, offset:N or time:2024-05-17T10:00:00Z on"},
	{"all", NULL, "all there are"},
	{"dry-run", NULL, "only say what would be sent"},
	{"yes", NULL, "don't ask"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

/* Messages met before: a hash table that is at most two thirds full. A partition of -1 marks a free place. */
struct spot_set {
	struct spot *list;
	size_t room, count;
};

struct resubmission {
	const struct config *config;
	struct letters letters;
	struct spot *spots; /* of the operands; owned */
	struct spot_set met;
	struct kafka_sender *sender; /* NULL: only counting */
	int partitions;		     /* of the commands topic */
	int64_t selected, sendable, repeated, truncated, foreign;
};

/* --- messages met ------------------------------------------------------------------------------------------------- */

static void set_clear(struct spot_set *set)
{
	free(set->list);
	*set = (struct spot_set){0};
}

static struct spot *set_place(const struct spot_set *set, const struct spot *spot)
{
	uint64_t hash = ((uint64_t)spot->offset * 31 + (uint64_t)spot->partition) * UINT64_C(0x9E3779B97F4A7C15);

	for (size_t i = (size_t)(hash >> 20) & (set->room - 1);; i = (i + 1) & (set->room - 1)) {
		struct spot *there = &set->list[i];
		if (there->partition < 0 || (there->partition == spot->partition && there->offset == spot->offset))
			return there;
	}
}

static void set_grow(struct spot_set *set)
{
	struct spot_set larger = {.room = set->room ? 2 * set->room : 64, .count = set->count};

	larger.list = xcalloc(larger.room, sizeof(*larger.list));
	for (size_t i = 0; i < larger.room; i++)
		larger.list[i].partition = -1;
	for (size_t i = 0; i < set->room; i++)
		if (set->list[i].partition >= 0)
			*set_place(&larger, &set->list[i]) = set->list[i];
	free(set->list);
	*set = larger;
}

/* False: it was there already. */
static bool set_add(struct spot_set *set, const struct spot *spot)
{
	if (3 * set->count >= 2 * set->room)
		set_grow(set);
	struct spot *there = set_place(set, spot);
	if (there->partition >= 0)
		return false;
	*there = *spot;
	set->count++;
	return true;
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool read_spots(const struct cli_args *args, struct resubmission *resubmission, struct err *err)
{
	if (args->operand_count == 0)
		return true;
	resubmission->spots = xcalloc((unsigned long)args->operand_count, sizeof(*resubmission->spots));
	resubmission->letters.spots = resubmission->spots;
	resubmission->letters.spot_count = args->operand_count;
	for (int i = 0; i < args->operand_count; i++)
		if (!spot_parse(args->operands[i], &resubmission->spots[i].partition, &resubmission->spots[i].offset, err))
			return false;
	return true;
}

static bool check_selection(const struct cli_args *args, struct err *err)
{
	bool some = args->operand_count > 0 || cli_option(args, "code") != NULL || cli_option(args, "from") != NULL;

	if (some == cli_flag(args, "all")) {
		err_set(err, VERDICT_USAGE, "", some ? "--all, or a choice of letters?" : "which letters?");
		return err_hint(err, "Choose by --code, --from or PARTITION:OFFSET, or give --all.");
	}
	return true;
}

static bool read_options(const struct cli_args *args, struct resubmission *resubmission, struct err *err)
{
	resubmission->config = resubmission->letters.config = args->config;
	return check_selection(args, err) && consent_check(args, err) && read_spots(args, resubmission, err) &&
	       letters_code(cli_option(args, "code"), &resubmission->letters.code, err) &&
	       place_parse("from", cli_option(args, "from"), &resubmission->letters.from, err);
}

/* --- letters ------------------------------------------------------------------------------------------------------ */

/* Told once, while counting. */
static void pass_over(const struct resubmission *resubmission, const char *why)
{
	const struct kafka_record *record = &resubmission->letters.record;

	if (resubmission->sender == NULL)
		fprintf(stderr, "byunique: passed over: letter %d:%" PRId64 ": %s\n", (int)record->partition,
			record->offset, why);
}

/* Counts the letter at hand; is it one to send? */
static bool judge(struct resubmission *resubmission)
{
	const struct letter *letter = &resubmission->letters.letter;
	const struct spot source = {letter->partition, letter->offset};

	resubmission->selected++;
	if (!slice_equal(letter->topic, slice_cstr(resubmission->config->commands_topic))) {
		resubmission->foreign++;
		pass_over(resubmission, "it came from another topic");
		return false;
	}
	if (letter->partition >= resubmission->partitions) {
		resubmission->foreign++;
		pass_over(resubmission, "the commands topic has no such partition");
		return false;
	}
	if (letter->truncated) {
		resubmission->truncated++;
		pass_over(resubmission, "it was too large and is not whole (byunique.truncated)");
		return false;
	}
	bool is_new = set_add(&resubmission->met, &source);
	resubmission->sendable += is_new;
	resubmission->repeated += !is_new;
	return is_new;
}

static bool send_letter(struct resubmission *resubmission, struct err *err)
{
	const struct letters *letters = &resubmission->letters;
	const struct letter *letter = &letters->letter;

	return kafka_sender_send_to(resubmission->sender, resubmission->config->commands_topic, letter->partition,
				    letters->record.key, letters->record.value, letter->headers, letter->header_count,
				    err);
}

/* All that are chosen: sends them when there is a sender, else only counts. */
static bool go_through(struct resubmission *resubmission, int64_t total, struct err *err)
{
	struct progress progress;
	bool ok = true, got = true;

	set_clear(&resubmission->met);
	resubmission->selected = resubmission->sendable = resubmission->repeated = 0;
	resubmission->truncated = resubmission->foreign = 0;
	progress_begin(&progress, resubmission->sender != NULL ? "sending" : "reading", total);
	while (ok && got) {
		ok = letters_next(&resubmission->letters, &got, err);
		if (ok && got && judge(resubmission) && resubmission->sender != NULL)
			ok = send_letter(resubmission, err);
		progress_show(&progress, resubmission->sendable);
	}
	progress_end(&progress);
	return ok;
}

static bool stopped_midway(const struct resubmission *resubmission, struct err *err)
{
	struct err ignored;
	int64_t acknowledged;

	if (!kafka_sender_flush(resubmission->sender, &acknowledged, &ignored))
		acknowledged = kafka_sender_acknowledged(resubmission->sender);
	return err_hint(err, "%" PRId64 " of %" PRId64 " messages were sent before. To send all again does no harm.",
			acknowledged, resubmission->sendable);
}

static bool send_all(struct resubmission *resubmission, struct err *err)
{
	int64_t total = resubmission->sendable, acknowledged;

	if (total == 0)
		return true;
	if (!letters_again(&resubmission->letters, err) ||
	    !kafka_sender_open(&resubmission->sender, resubmission->config, err))
		return false;
	return (go_through(resubmission, total, err) &&
		kafka_sender_flush(resubmission->sender, &acknowledged, err)) ||
	       stopped_midway(resubmission, err);
}

static bool count_all(struct resubmission *resubmission, struct err *err)
{
	return kafka_count_partitions(resubmission->config, resubmission->config->commands_topic,
				      &resubmission->partitions, err) &&
	       letters_open(&resubmission->letters, err) && go_through(resubmission, 0, err);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool consents(const struct cli_args *args, const struct resubmission *resubmission)
{
	return resubmission->sendable == 0 ||
	       consent_ask(args, "Send %" PRId64 " message%s to %s again?", resubmission->sendable,
			   resubmission->sendable == 1 ? "" : "s", resubmission->config->commands_topic);
}

static void report(const struct resubmission *resubmission, bool sent, bool json)
{
	int64_t count = resubmission->sendable;

	if (json) {
		printf("{\"selected\":%" PRId64 ",\"sent\":%" PRId64 ",\"would_send\":%" PRId64 ",\"repeated\":%" PRId64
		       ",\"truncated\":%" PRId64 ",\"foreign\":%" PRId64 "}\n",
		       resubmission->selected, sent ? count : 0, sent ? 0 : count, resubmission->repeated,
		       resubmission->truncated, resubmission->foreign);
		return;
	}
	printf("%" PRId64 " message%s %s", count, count == 1 ? "" : "s", sent ? "sent" : "would be sent");
	if (resubmission->repeated > 0)
		printf(", %" PRId64 " met more than once", resubmission->repeated);
	if (resubmission->truncated > 0)
		printf(", %" PRId64 " not whole", resubmission->truncated);
	if (resubmission->foreign > 0)
		printf(", %" PRId64 " of another topic", resubmission->foreign);
	putchar('\n');
}

static bool carry_out(const struct cli_args *args, struct resubmission *resubmission, struct err *err)
{
	bool sends = !cli_flag(args, "dry-run");

	if (!count_all(resubmission, err))
		return false;
	if (sends && !consents(args, resubmission))
		return err_set(err, VERDICT_STOP, "", "nothing was sent");
	if (sends && !send_all(resubmission, err))
		return false;
	report(resubmission, sends, cli_flag(args, "json"));
	return true;
}

/* Was every letter that was chosen one that could be sent? */
static bool is_whole(const struct resubmission *resubmission)
{
	int64_t absent = resubmission->letters.spot_count - resubmission->selected - resubmission->letters.strangers;

	if (resubmission->letters.spots != NULL && absent > 0)
		fprintf(stderr, "byunique: %" PRId64 " of the letters named are not there, or of another code\n", absent);
	return resubmission->truncated + resubmission->foreign + resubmission->letters.strangers == 0 &&
	       (resubmission->letters.spots == NULL || absent <= 0);
}

static int run(const struct cli_args *args)
{
	struct resubmission resubmission = {0};
	struct err err;
	int code = EXIT_DONE;

	if (!read_options(args, &resubmission, &err) || !carry_out(args, &resubmission, &err))
		code = cli_fail(&err);
	else if (!is_whole(&resubmission))
		code = EXIT_FAILED;
	kafka_sender_close(resubmission.sender);
	letters_close(&resubmission.letters);
	set_clear(&resubmission.met);
	free(resubmission.spots);
	return code;
}

const struct cli_command cmd_dead_letters_resubmit = {
	.name = "dead-letters resubmit",
	.summary = "put dead letters back to the commands topic",
	.synopsis = "PARTITION:OFFSET... | [--code CODE] [--from PLACE] | --all [--dry-run] [--yes] [--json]",
	.help = help,
	.options = options,
	.operands_max = -1,
	.needs_config = true,
	.run = run,
};
