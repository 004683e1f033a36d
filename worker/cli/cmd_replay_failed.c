/* replay failed: a command that was answered with an error took no effect, and its id may be sent again. What failed is
 * told by the results topic, not by the database: it is what the senders were told, and it may be kept longer.
 *
 * The results are read twice: errors first, then what has become of the same ids since (failures.h). Then the messages
 * are looked up in the commands topic, and sent again as they are, to the end of their partition. */
#include "base/nearest.h"
#include "cli/consent.h"
#include "cli/failures.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/replay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique replay failed --batch 2024-05-17 --dry-run\n"
	"  byunique replay failed --code CustomerNotFound,RecordNotFound --from time:2024-05-17T22:00:00Z\n"
	"  byunique replay failed --all --partition 3\n"
	"\n"
	"Sends commands again that were answered with an error, after its cause was mended: a missing\n"
	"record, an extension that was not there yet, a trigger. They are found by their results, and sent to\n"
	"the end of their partition byte for byte: key, value, headers. The command id is the same, which is\n"
	"fine for one that was answered with an error.\n"
	"\n"
	"Which ones: by --code, --batch, or the time or offset of the message (--from, --to), or --all. The\n"
	"last word on a command id counts: one that was answered 204 since is left out, and one that failed\n"
	"more than once is sent once. OutcomeExpired is no failure: such a message was processed before.\n"
	"\n"
	"Beware: a command that is sent again comes after all that was sent since.\n"
	"\n"
	"It first says how many messages that will be, and asks, unless --yes is given; --dry-run only says it.\n"
	"Workers may run. The results topic is read as a whole, twice; up to 80 bytes of memory are taken for\n"
	"each command that failed. What is no longer in one of the two topics can't be found.";

static const struct option_spec options[] = {
	{"code", "CODE,...", "only these: RecordNotFound, InternalError, ..."},
	{"batch", "ID", "only commands of this batch"},
	{"from", "PLACE", "messages from beginning, offset:N or time:2024-05-17T10:00:00Z on"},
	{"to", "PLACE", "up to, not including: end (default), offset:N or time:..."},
	{"partition", "N", "only this partition of the commands topic"},
	{"all", NULL, "all that failed"},
	{"dry-run", NULL, "only say what would be sent"},
	{"yes", NULL, "don't ask"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

struct retry {
	const struct config *config;
	int64_t partition;
	bool codes[OUTCOME_CODES]; /* wanted; all when none is named */
	struct slice batch_id;	   /* absent: any */
	struct kafka_place from, to;
	struct outlook outlook;
	struct schemas *schemas;
	struct arena arena;
	bool succeeded_only; /* the second time that the results are read */
	struct failures failures;
	struct failures unreadable;  /* messages that can't be read, by their content: each is sent once */
	struct stored **stored;	     /* by partition; NULL: not asked yet */
	struct kafka_sender *sender; /* NULL: only counting */
	struct kafka_header *headers;
	size_t header_room;
	int64_t by_code[OUTCOME_CODES];
	int64_t sendable, superseded, repeated, gone, other;
	int refused;
};

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool unknown_code(struct slice name, struct err *err)
{
	struct nearest nearest;
	char wanted[61];

	snprintf(wanted, sizeof(wanted), "%.*s", name.len < 60 ? (int)name.len : 60, name.base);
	nearest_init(&nearest, wanted);
	for (int code = OUTCOME_NONE + 1; code < OUTCOME_CODES; code++)
		if (outcome_name((enum outcome_code)code) != NULL)
			nearest_consider(&nearest, outcome_name((enum outcome_code)code));
	err_set(err, VERDICT_USAGE, "", "there is no code \"%s\"", wanted);
	if (nearest_is_close(&nearest))
		return err_hint(err, "Did you mean %s?", nearest.found);
	return err_hint(err, "Codes are as in the results: RecordNotFound, InternalError, ...");
}

static bool take_code(struct retry *retry, struct slice name, struct err *err)
{
	enum outcome_code code = outcome_by_name(name);

	if (code == OUTCOME_NONE)
		return unknown_code(name, err);
	if (code == OUTCOME_OUTCOME_EXPIRED) {
		err_set(err, VERDICT_USAGE, "", "OutcomeExpired is no failure");
		return err_hint(err,
				"Such a message was processed before; `byunique replay again` applies it once more.");
	}
	retry->codes[code] = true;
	return true;
}

static bool take_codes(struct retry *retry, const char *list, struct err *err)
{
	for (const char *at = list; at != NULL;) {
		size_t len = strcspn(at, ",");
		if (!take_code(retry, slice_of(at, len), err))
			return false;
		at = at[len] == ',' ? at + len + 1 : NULL;
	}
	for (int code = OUTCOME_NONE + 1; list == NULL && code < OUTCOME_CODES; code++)
		retry->codes[code] = code != OUTCOME_OUTCOME_EXPIRED;
	return true;
}

static bool check_selection(const struct cli_args *args, struct err *err)
{
	bool some = cli_option(args, "code") != NULL || cli_option(args, "batch") != NULL ||
		    cli_option(args, "from") != NULL || cli_option(args, "to") != NULL;

	if (some != cli_flag(args, "all"))
		return true;
	err_set(err, VERDICT_USAGE, "", some ? "--all, or a choice of commands?" : "which commands?");
	return err_hint(err, "Choose by --code, --batch, --from or --to, or give --all.");
}

static bool read_options(const struct cli_args *args, struct retry *retry, struct err *err)
{
	retry->config = args->config;
	retry->partition = -1;
	retry->from.kind = KAFKA_PLACE_BEGINNING;
	retry->to.kind = KAFKA_PLACE_END;
	retry->batch_id = slice_cstr(cli_option(args, "batch"));
	return check_selection(args, err) && consent_check(args, err) &&
	       take_codes(retry, cli_option(args, "code"), err) &&
	       cli_option_int(args, "partition", 0, INT32_MAX, &retry->partition, err) &&
	       place_parse("from", cli_option(args, "from"), &retry->from, err) &&
	       place_parse("to", cli_option(args, "to"), &retry->to, err);
}

/* --- results ------------------------------------------------------------------------------------------------------ */

/* Messages that are no longer there have no time: that of their result stands in. */
static bool is_in_range(const struct retry *retry, const struct result *result)
{
	const struct kafka_extent *extent = &retry->outlook.prospects[result->source_partition].extent;

	if (result->source_offset >= extent->log_start)
		return result->source_offset >= extent->begin && result->source_offset < extent->end;
	bool after = retry->from.kind == KAFKA_PLACE_OFFSET ? result->source_offset >= retry->from.value
		     : retry->from.kind == KAFKA_PLACE_TIME ? result->processed_at_ms >= retry->from.value
							    : retry->from.kind == KAFKA_PLACE_BEGINNING;
	return after && extent->end > extent->log_start;
}

static bool is_wanted(const struct retry *retry, const struct result *result)
{
	return retry->codes[outcome_by_name(result->code)] && is_in_range(retry, result) &&
	       (retry->batch_id.base == NULL ||
		(result->batch_id.base != NULL && slice_equal(retry->batch_id, result->batch_id)));
}

static bool is_ours(const struct retry *retry, const struct result *result)
{
	int number = result->source_partition;

	return slice_equal(result->source_topic, slice_cstr(retry->config->commands_topic)) && number >= 0 &&
	       number < retry->outlook.topic_partitions && replay_wants(retry->partition, number) &&
	       retry->outlook.prospects[number].start.refusal == START_FINE;
}

static void take_result(struct retry *retry, const struct result *result)
{
	if (!is_ours(retry, result))
		return;
	if (retry->succeeded_only && result->status == 204)
		failures_succeed(&retry->failures, result);
	else if (!retry->succeeded_only && result->status != 204 &&
		 outcome_by_name(result->code) != OUTCOME_OUTCOME_EXPIRED)
		failures_enter(&retry->failures, result, is_wanted(retry, result));
}

/* A record that is no result is none of ours: an audit tells of it. */
static bool visit_result(void *context, const struct kafka_record *record, const struct kafka_reader *reader,
			 struct err *err)
{
	struct retry *retry = context;
	struct result result;
	struct slice detail;

	(void)reader;
	enum decode_status status = result_decode(retry->schemas, record->value, &retry->arena, &result, &detail);
	if (status == DECODE_OK)
		take_result(retry, &result);
	else if (status == DECODE_LATER)
		*err = *schemas_trouble(retry->schemas);
	arena_clear(&retry->arena);
	return status != DECODE_LATER;
}

static bool read_twice(struct retry *retry, const struct kafka_extent *extents, int count, struct err *err)
{
	if (!replay_read(retry->config, retry->config->results_topic, extents, count, "errors", visit_result, retry,
			 err))
		return false;
	retry->succeeded_only = true;
	return retry->failures.count == 0 || replay_read(retry->config, retry->config->results_topic, extents, count,
							 "answers since", visit_result, retry, err);
}

static bool read_results(struct retry *retry, struct err *err)
{
	const struct kafka_place beginning = {.kind = KAFKA_PLACE_BEGINNING}, end = {.kind = KAFKA_PLACE_END};
	struct kafka_look *look = NULL;

	if (!kafka_look_open(&look, retry->config, retry->config->results_topic, false, err))
		return false;
	int count = kafka_look_partitions(look);
	struct kafka_extent *extents = xcalloc((unsigned long)count, sizeof(*extents));
	bool ok = kafka_look_extents(look, beginning, end, extents, err);
	kafka_look_close(look);
	ok = ok && read_twice(retry, extents, count, err);
	free(extents);
	failures_sort(&retry->failures, &retry->superseded);
	return ok;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static size_t read_headers(struct retry *retry, const struct kafka_reader *reader)
{
	for (size_t count = 0;; count++) {
		if (count == retry->header_room) {
			retry->header_room += 16;
			retry->headers = xrealloc(retry->headers, retry->header_room * sizeof(*retry->headers));
		}
		if (!kafka_reader_header(reader, count, &retry->headers[count]))
			return count;
	}
}

/* A message that could not be read has no id to tell it by: is it still the one that was processed? */
static bool is_same(struct retry *retry, const struct kafka_record *record, bool *same, struct err *err)
{
	struct stored **stored = &retry->stored[record->partition];
	const struct stored_position *position = retry->outlook.prospects[record->partition].position;
	int64_t processed_at_ms;
	enum stored_says says;
	int code = OUTCOME_NONE;

	*same = false;
	if (position == NULL || record->offset >= position->next_offset)
		return true;
	if (*stored == NULL)
		*stored = stored_new(position->id);
	if (!stored_find(retry->outlook.pg, *stored, record->offset, message_hash(record->key, record->value), &says,
			 &code, &processed_at_ms, err))
		return false;
	*same = says == STORED_NONE || (says == STORED_SAME && code == OUTCOME_MALFORMED_MESSAGE);
	return true;
}

/* Each content once, or sending what fails again would double it each time. */
static bool is_first(struct retry *retry, const struct kafka_record *record)
{
	uint64_t hash = message_hash(record->key, record->value);
	struct result result = {.source_partition = record->partition, .command_id = slice_of(&hash, sizeof(hash))};
	size_t before = retry->unreadable.count;

	failures_enter(&retry->unreadable, &result, true);
	return retry->unreadable.count > before;
}

static bool has_id(struct retry *retry, const struct kafka_record *record, const struct kafka_reader *reader,
		   uint64_t id, bool *same, struct err *err)
{
	struct command command;
	bool readable;

	if (!replay_decode(retry->schemas, record, reader, &retry->arena, &command, &readable, err))
		return false;
	*same = readable && failure_id(record->partition, command.command_id, record->offset) == id;
	arena_clear(&retry->arena);
	return true;
}

/* Counts the message; is it one to send? */
static bool judge(struct retry *retry, const struct failure *failure, const struct kafka_record *record,
		  const struct kafka_reader *reader, bool *send, struct err *err)
{
	bool same, malformed = failure->code == OUTCOME_MALFORMED_MESSAGE;

	if (!(malformed ? is_same(retry, record, &same, err) : has_id(retry, record, reader, failure->id, &same, err)))
		return false;
	bool first = !malformed || !same || is_first(retry, record);
	*send = same && first;
	retry->other += !same;
	retry->repeated += !first;
	retry->sendable += *send;
	retry->by_code[failure->code] += *send;
	return true;
}

static bool visit_message(void *context, const struct kafka_record *record, const struct kafka_reader *reader,
			  struct err *err)
{
	struct retry *retry = context;
	const struct failure *failure = failures_find(&retry->failures, record->partition, record->offset);
	bool send = false;

	if (failure == NULL)
		return true;
	if (!judge(retry, failure, record, reader, &send, err))
		return false;
	if (!send || retry->sender == NULL)
		return true;
	size_t count = read_headers(retry, reader);
	return kafka_sender_send_to(retry->sender, retry->config->commands_topic, record->partition, record->key,
				    record->value, retry->headers, count, err);
}

/* Of each partition the stretch that holds them. */
static void narrow(const struct retry *retry, struct kafka_extent *extents)
{
	for (size_t i = 0; i < retry->failures.count; i++) {
		const struct failure *failure = &retry->failures.list[i];
		const struct kafka_extent *log = &retry->outlook.prospects[failure->partition].extent;
		struct kafka_extent *extent = &extents[failure->partition];
		if (failure->offset < log->log_start || failure->offset >= log->log_end)
			continue;
		extent->begin = extent->end == 0 ? failure->offset : extent->begin;
		extent->end = failure->offset + 1;
	}
}

static bool go_through(struct retry *retry, const char *label, struct err *err)
{
	int count = retry->outlook.topic_partitions;
	struct kafka_extent *extents = xcalloc((unsigned long)count, sizeof(*extents));

	retry->sendable = retry->other = retry->repeated = 0;
	memset(retry->by_code, 0, sizeof(retry->by_code));
	failures_release(&retry->unreadable);
	for (int i = 0; i < count; i++) {
		stored_free(retry->outlook.pg, retry->stored[i]); /* it goes forward only */
		retry->stored[i] = NULL;
	}
	narrow(retry, extents);
	bool ok = replay_read(retry->config, retry->config->commands_topic, extents, count, label, visit_message, retry,
			      err);
	free(extents);
	retry->gone = (int64_t)retry->failures.count - retry->sendable - retry->other - retry->repeated;
	return ok;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool look(const struct cli_args *args, struct retry *retry, struct err *err)
{
	if (!read_options(args, retry, err) ||
	    !schemas_open(&retry->schemas, args->config->schemas_dir, args->config->schemas_dir_is_set, err) ||
	    !schemas_use_registry(retry->schemas, args->config, err) ||
	    !outlook_open(&retry->outlook, args->config, "byunique replay", retry->from, retry->to, err) ||
	    !outlook_check_partition(&retry->outlook, retry->partition, err))
		return false;
	retry->stored = xcalloc((unsigned long)retry->outlook.topic_partitions, sizeof(struct stored *));
	retry->refused = replay_tell_refused(&retry->outlook, retry->partition);
	return read_results(retry, err) && go_through(retry, "reading", err);
}

static void show_part(int64_t count, const char *what)
{
	char digits[32];

	if (count > 0)
		fprintf(stderr, "%12s  %s\n", group_digits(count, digits), what);
}

static void show(const struct retry *retry)
{
	char digits[32];

	fprintf(stderr, "%s command%s that failed will be sent again%s\n", group_digits(retry->sendable, digits),
		plural(retry->sendable), retry->sendable > 0 ? ":" : ".");
	for (int code = 0; code < OUTCOME_CODES; code++)
		if (retry->by_code[code] > 0)
			show_part(retry->by_code[code], outcome_name((enum outcome_code)code));
	if (retry->superseded + retry->gone + retry->other + retry->repeated + retry->refused > 0)
		fputs("Left out:\n", stderr);
	show_part(retry->superseded, "were answered 204 since");
	show_part(retry->repeated, "are the same unreadable message again");
	show_part(retry->gone, "are no longer in the topic");
	show_part(retry->other, "are other messages now: the topic was recreated");
	show_part(retry->refused, "partitions are refused");
}

static bool send_all(struct retry *retry, struct err *err)
{
	struct err ignored;
	int64_t acknowledged, total = retry->sendable;

	if (!kafka_sender_open(&retry->sender, retry->config, err))
		return false;
	if (go_through(retry, "sending", err) && kafka_sender_flush(retry->sender, &acknowledged, err))
		return true;
	if (!kafka_sender_flush(retry->sender, &acknowledged, &ignored))
		acknowledged = kafka_sender_acknowledged(retry->sender);
	return err_hint(err, "%" PRId64 " of %" PRId64 " were sent. To send all again does no harm.", acknowledged,
			total);
}

static void report(const struct cli_args *args, const struct retry *retry, bool done)
{
	char digits[32];

	if (!cli_flag(args, "json")) {
		if (done)
			printf("%s command%s sent\n", group_digits(retry->sendable, digits), plural(retry->sendable));
		return;
	}
	json_t *summary = replay_summary_json("failed", args, &retry->outlook, done), *codes = json_object();
	for (int code = 0; code < OUTCOME_CODES; code++)
		if (retry->by_code[code] > 0)
			json_object_set_new(codes, outcome_name((enum outcome_code)code),
					    json_integer(retry->by_code[code]));
	json_object_set_new(summary, "sent", json_integer(done ? retry->sendable : 0));
	json_object_set_new(summary, "would_send", json_integer(done ? 0 : retry->sendable));
	json_object_set_new(summary, "by_code", codes);
	json_object_set_new(summary, "superseded", json_integer(retry->superseded));
	json_object_set_new(summary, "repeated", json_integer(retry->repeated));
	json_object_set_new(summary, "gone", json_integer(retry->gone));
	json_object_set_new(summary, "other", json_integer(retry->other));
	json_object_set_new(summary, "refused", json_integer(retry->refused));
	print_json(summary);
}

static bool carry_out(const struct cli_args *args, struct retry *retry, struct err *err)
{
	if (!look(args, retry, err))
		return false;
	show(retry);
	bool sends = !cli_flag(args, "dry-run") && retry->sendable > 0;
	if (sends && !consent_ask(args, "Send them?"))
		return err_set(err, VERDICT_STOP, "", "nothing was sent");
	if (sends && !send_all(retry, err))
		return false;
	report(args, retry, sends);
	return true;
}

static void release(struct retry *retry)
{
	kafka_sender_close(retry->sender);
	for (int i = 0; retry->stored != NULL && i < retry->outlook.topic_partitions; i++)
		stored_free(retry->outlook.pg, retry->stored[i]);
	free(retry->stored);
	failures_release(&retry->failures);
	failures_release(&retry->unreadable);
	free(retry->headers);
	arena_release(&retry->arena);
	schemas_close(retry->schemas);
	outlook_close(&retry->outlook);
}

static int run(const struct cli_args *args)
{
	struct retry retry = {0};
	struct err err;

	arena_init(&retry.arena);
	int code = carry_out(args, &retry, &err) ? EXIT_DONE : cli_fail(&err);
	release(&retry);
	return code;
}

const struct cli_command cmd_replay_failed = {
	.name = "replay failed",
	.summary = "send commands again that were answered with an error",
	.synopsis = "[--code CODE,...] [--batch ID] [--from PLACE] [--to PLACE] | --all [--partition N] [--dry-run] "
		    "[--yes] "
		    "[--json]",
	.help = help,
	.options = options,
	.needs_config = true,
	.run = run,
};
