/* submit: a file's rows become commands in the commands topic, and the answers come back as files.
 *
 * A file is read as often as it takes: once to check every row, once to send, and with --wait once more to part its rows by
 * their answers, so that nothing of them need be kept but a few bytes each (tally.h). Without --wait it is sent as a whole or
 * not at all. With --wait there is a place to say which rows are wrong, so the others are sent. What comes through a pipe is
 * sent as it comes without --wait, and kept in a file first with it.
 *
 * Answers are found by command id in the results topic, from where it ended before the first command was sent; to resume,
 * from its beginning. */
#include "byunique/cli.h"

#include "byunique/avro.h"
#include "byunique/clock.h"
#include "byunique/command_id.h"
#include "byunique/kafka.h"
#include "byunique/signals.h"
#include "cli/batch_files.h"
#include "cli/json_text.h"
#include "cli/progress.h"
#include "cli/rehearsal.h"

#include <stdio.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique submit updates.csv --extension Phone --dry-run\n"
	"  byunique submit updates.csv --extension Phone --batch 2024-05-17 --wait\n"
	"  byunique submit updates.csv --extension Phone --batch 2024-05-17 --resume\n"
	"  byunique submit updates.failed.csv --extension Phone --batch 2024-05-17b --wait\n"
	"  byunique submit crm.csv --extension Phone --map \"Customer No.=customer_id\" --ignore Notes --wait\n"
	"  byunique submit updates.jsonl --wait --output answers\n"
	"  psql -c \"\\copy (SELECT ...) TO STDOUT CSV HEADER\" | byunique submit - --format csv --extension Phone\n"
	"\n"
	"Sends one command for each row to the commands topic, keyed by customer id. Values are converted\n"
	"and checked by the extension's schema, which is read from PostgreSQL; what is wrong is told by\n"
	"file, line and attribute. A file with a bad row is not sent at all, unless with --wait. Standard\n"
	"input (FILE -) and pipes are sent as they come: a bad row ends it there.\n"
	"\n"
	"CSV: the first line names the columns: customer_id, attributes, and optionally command_id and\n"
	"ext_name; --map says what a column of another name holds. An empty cell leaves the attribute\n"
	"alone; the text given with --null clears it. Values are written as in 2024-02-29,\n"
	"2009-12-18T18:30:00Z, -12.50, true. Columns named byunique.… are passed over. Semicolons or tabs\n"
	"between cells are noticed when there is no comma in the first line.\n"
	"\n"
	"JSON Lines: one object for each line, as in\n"
	"  {\"customer_id\": \"c1\", \"ext_name\": \"Phone\", \"attributes\": {\"PhoneNumber\": \"1\"}}\n"
	"with optionally command_id, batch_id and issued_at (milliseconds since 1970). null clears, an\n"
	"attribute that is not there is left alone; an amount with a fraction is written as a string. A\n"
	"row's own ext_name outranks --extension, its own batch_id outranks --batch. Avro container files\n"
	"hold records with the same fields.\n"
	"\n"
	"--dry-run checks all rows by all that the schema tells, prints what is wrong, sends nothing and\n"
	"needs no Kafka; code 3 when a row is bad.\n"
	"\n"
	"With --batch ID, rows without a command_id get one that is made from batch, number of the row and\n"
	"content: submitting the file again repeats nothing that has taken effect, and sends rows that were\n"
	"corrected. Without it, a new batch id and new command ids are made up each time.\n"
	"\n"
	"--wait stays until all answers are there, prints how many there are of each kind, and ends with\n"
	"code 3 when one of them is an error. Rows go, each with what became of it, to NAME.success.csv,\n"
	"NAME.failed.csv (bad rows, which were not sent, too) and NAME.unprocessed.csv (no answer yet, code\n"
	"1) beside FILE, or where --output says. Correct NAME.failed.csv and submit it under a new batch. What\n"
	"is in the way is renamed. When it was interrupted, or gave up: the same command with --batch ID\n"
	"--resume looks for the answers that came in between and sends only rows without one.\n"
	"`byunique results --batch ID --files FILE` writes the files later, and sends nothing.";

static const struct option_spec options[] = {
	SOURCE_OPTIONS,
	{"batch", "ID", "name of the batch, copied to the results; makes submitting again harmless"},
	{"dry-run", NULL, "check all rows, send nothing"},
	{"limit", "N", "with --dry-run: print at most so many bad rows (default 20)"},
	{"wait", NULL, "wait for the answers, and part the rows by them"},
	{"timeout", "SECONDS", "with --wait: give up when no answer has come for so long (default 60)"},
	{"resume", NULL, "as --wait, but send only the batch's rows that have no answer yet"},
	{"output", "DIR", "folder for the files that --wait writes (default: beside FILE; of a pipe: here)"},
	{"force", NULL, "write over such files that are there, rather than renaming them"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

struct submission {
	const struct config *config;
	struct source source;
	const char *batch_id; /* of rows that have none */
	bool batch_given;     /* by the user; else made up */
	bool batch_used;      /* some row has none of its own */
	char made_up[37];
	struct uuid_series ids;
	bool wait, resume;
	struct schemas *schemas;
	struct kafka_sender *sender;
	struct kafka_reader *reader; /* of results; NULL without --wait */
	struct tally *tally;	     /* NULL without --wait */
	struct result_files files;
	struct progress progress;
	int64_t silence_ms; /* how long to wait without an answer */
	int64_t rows;	    /* in the file; 0: not known */
	int64_t sent;
};

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool choose_batch(const char *batch_id, struct submission *submission, struct err *err)
{
	struct uuid uuid;

	submission->batch_given = batch_id != NULL;
	submission->batch_id = batch_id != NULL ? batch_id : submission->made_up;
	uuid_series_next(&submission->ids, &uuid);
	uuid_format(&uuid, submission->made_up);
	if (submission->batch_id[0] == '\0' || !slice_is_utf8(slice_cstr(submission->batch_id)))
		return err_set(err, VERDICT_USAGE, "", "the batch id is empty or not in UTF-8");
	if (!submission->resume || submission->batch_given)
		return true;
	err_set(err, VERDICT_USAGE, "", "--resume needs --batch: which one is to be taken up?");
	return err_hint(err, "It is the one that the first run was given, or has told.");
}

static bool choose_timeout(const char *seconds, struct submission *submission, struct err *err)
{
	enum { DEFAULT_SECONDS = 60, MOST_SECONDS = 86400 };
	char *end;
	long number = seconds != NULL ? strtol(seconds, &end, 10) : DEFAULT_SECONDS;

	submission->silence_ms = number * 1000;
	if (seconds == NULL || (end != seconds && *end == '\0' && number >= 1 && number <= MOST_SECONDS))
		return true;
	return err_set(err, VERDICT_USAGE, "", "--timeout takes a number of seconds, 1 to %d", MOST_SECONDS);
}

static bool check_together(const struct cli_args *args, const struct submission *submission, struct err *err)
{
	bool dry = cli_flag(args, "dry-run");

	if (dry && submission->wait)
		return err_set(err, VERDICT_USAGE, "", "--dry-run sends nothing that could be waited for");
	if (!dry && cli_option(args, "limit") != NULL)
		return err_set(err, VERDICT_USAGE, "", "--limit goes with --dry-run");
	if (!submission->wait && (cli_option(args, "output") != NULL || cli_flag(args, "force")))
		return err_set(err, VERDICT_USAGE, "", "--output and --force go with --wait");
	return true;
}

static bool read_options(const struct cli_args *args, struct submission *submission, struct err *err)
{
	submission->config = args->config;
	submission->resume = cli_flag(args, "resume");
	submission->wait = submission->resume || cli_flag(args, "wait");
	return source_read_options(&submission->source, args->operands[0], args, err) &&
	       choose_batch(cli_option(args, "batch"), submission, err) &&
	       choose_timeout(cli_option(args, "timeout"), submission, err) && check_together(args, submission, err);
}

/* --- --dry-run ---------------------------------------------------------------------------------------------------- */

static int dry_run(struct submission *submission, const struct cli_args *args, struct err *err)
{
	int64_t limit = 20, bad;

	if (!cli_option_int(args, "limit", 0, INT64_MAX, &limit, err) ||
	    !rehearse(&submission->source, limit, cli_flag(args, "json"), &bad, err))
		return cli_fail(err);
	return bad > 0 ? EXIT_WITH_ERRORS : EXIT_DONE;
}

/* --- rows to commands --------------------------------------------------------------------------------------------- */

/* What the row leaves open. Who waits may want to resume, so ids are made from the row also where the batch's is made up. */
static void complete(struct submission *submission, uint64_t row, struct arena *arena, struct command *command)
{
	bool named = submission->batch_given || submission->wait || command->batch_id.base != NULL;
	struct uuid uuid;

	submission->batch_used |= command->batch_id.base == NULL;
	if (!command->has_issued_at)
		command->issued_at_ms = clock_wall_ms();
	command->has_issued_at = true;
	if (!named && command->command_id.base == NULL) {
		char *text = arena_alloc(arena, 37);
		uuid_series_next(&submission->ids, &uuid);
		uuid_format(&uuid, text);
		command->command_id = slice_cstr(text);
	}
	source_identify(submission->batch_id, row, arena, command);
}

static bool send_command(struct submission *submission, const struct command *command, struct buf *message,
			 struct err *err)
{
	buf_clear(message);
	command_encode(submission->schemas, command, message);
	if (!kafka_sender_send(submission->sender, submission->config->commands_topic, command->customer_id,
			       buf_slice(message), err))
		return false;
	submission->sent++;
	return true;
}

static bool take_results(struct submission *submission, int timeout_ms, int most, bool *answered, struct err *err);

/* Sent, unless it was answered already. */
static bool send_row(struct submission *submission, const struct rows *rows, struct arena *arena,
		     struct command *command, struct buf *message, struct err *err)
{
	enum { PAUSE_ROWS = 256 };
	uint64_t row = rows_number(rows);
	bool ignored;

	if (submission->wait && tally_answer(submission->tally, row - 1) != NULL)
		return true;
	complete(submission, row, arena, command);
	if (!send_command(submission, command, message, err))
		return false;
	/* What has come is taken now: it would have to be kept somewhere. */
	return !submission->wait || row % PAUSE_ROWS != 0 || take_results(submission, 0, 4 * PAUSE_ROWS, &ignored, err);
}

static bool bad_row_ends_it(struct err *err)
{
	if (err->hint[0] != '\0')
		return false;
	return err_hint(err, "Nothing was sent. --dry-run shows all that is wrong; with --wait the other rows are sent.");
}

/* All rows: sends them when there is a sender, else only looks at them. */
static bool go_through(struct submission *submission, struct rows *rows, struct err *err)
{
	struct buf message = BUF_EMPTY;
	struct command command;
	struct arena arena;
	enum rows_step step;
	int64_t count = 0;
	bool ok = true;

	arena_init(&arena);
	progress_begin(&submission->progress, submission->sender ? "sending" : "checking", submission->rows);
	while (ok && ((step = rows_next(rows, &arena, &command, err)) == ROWS_GOT || step == ROWS_BAD)) {
		if (step == ROWS_BAD)
			ok = submission->wait /* known since the first reading */ || bad_row_ends_it(err);
		else if (signals_stop_requested())
			ok = err_set(err, VERDICT_STOP, "", "interrupted");
		else if (submission->sender != NULL)
			ok = send_row(submission, rows, &arena, &command, &message, err);
		progress_show(&submission->progress, ++count);
		arena_clear(&arena);
	}
	progress_end(&submission->progress);
	submission->rows = count;
	arena_release(&arena);
	buf_release(&message);
	return ok && step == ROWS_END;
}

static bool read_through(struct submission *submission, struct err *err)
{
	struct rows *rows;

	if (!source_rows(&submission->source, &rows, err))
		return false;
	bool ok = go_through(submission, rows, err);
	rows_close(rows);
	return ok;
}

/* The commands before the one at fault are on their way: say how many, and what to do about them. */
static bool stopped_midway(struct submission *submission, struct err *err)
{
	struct err flush_err;
	int64_t acknowledged;

	if (submission->sent == 0)
		return false;
	if (!kafka_sender_flush(submission->sender, &acknowledged, &flush_err))
		acknowledged = kafka_sender_acknowledged(submission->sender);
	if (submission->wait)
		return err_hint(err, "%lld commands were sent before. The same command with --batch %.64s --resume sends the rest.",
				(long long)acknowledged, submission->batch_id);
	if (submission->batch_given)
		return err_hint(err,
				"%lld commands were sent before. Submit all again with the same --batch when this is "
				"put right: what has taken effect is not repeated.",
				(long long)acknowledged);
	return err_hint(err, "%lld commands were sent before, of batch %s.", (long long)acknowledged,
			submission->batch_id);
}

static bool send_all(struct submission *submission, struct err *err)
{
	int64_t acknowledged;

	if (submission->wait && tally_missing(submission->tally) == 0)
		return true;
	if (!kafka_sender_open(&submission->sender, submission->config, err))
		return false;
	if (!read_through(submission, err) || !kafka_sender_flush(submission->sender, &acknowledged, err))
		return stopped_midway(submission, err);
	return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* A result whose schema can't be had now is awaited as long as an answer is. */
static bool read_result(struct submission *submission, struct slice value, struct arena *arena, struct result *result,
			bool *readable, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + submission->silence_ms;
	enum decode_status status;
	struct slice detail;

	while ((status = result_decode(submission->schemas, value, arena, result, &detail)) == DECODE_LATER) {
		if (clock_mono_ms() > until_ms || signals_stop_requested()) {
			*err = *schemas_trouble(submission->schemas);
			return false;
		}
		clock_sleep_ms(100);
	}
	*readable = status == DECODE_OK;
	return true;
}

/* Up to `most` records of the results topic that are at hand; *answered when an answer to one of our commands was among
 * them. */
static bool take_results(struct submission *submission, int timeout_ms, int most, bool *answered, struct err *err)
{
	struct kafka_record record;
	struct result result;
	struct arena arena;
	bool ok = true, got = true, readable = false;

	*answered = false;
	arena_init(&arena);
	for (int i = 0; ok && got && i < most; i++) {
		ok = kafka_reader_next(submission->reader, timeout_ms, &record, &got, err);
		ok = ok && (!got || read_result(submission, record.value, &arena, &result, &readable, err));
		if (ok && got && readable)
			*answered |= tally_take(submission->tally, &result);
		arena_clear(&arena);
	}
	arena_release(&arena);
	return ok;
}

/* What was answered before this run began. */
static bool read_history(struct submission *submission, struct err *err)
{
	int64_t rows = (int64_t)tally_rows(submission->tally);
	bool ignored, ok = true;

	progress_go_on(&submission->progress, "earlier answers", rows, rows - tally_missing(submission->tally));
	while (ok && !kafka_reader_at_end(submission->reader)) {
		ok = take_results(submission, 100, 1000, &ignored, err);
		if (ok && signals_stop_requested())
			ok = err_set(err, VERDICT_STOP, "", "interrupted; nothing was sent");
		progress_show(&submission->progress, rows - tally_missing(submission->tally));
	}
	progress_end(&submission->progress);
	return ok;
}

/* Before anything is sent: the answers come behind what the topic holds now. */
static bool open_results(struct submission *submission, struct err *err)
{
	return kafka_reader_open(&submission->reader, submission->config, submission->config->results_topic,
				 submission->resume ? KAFKA_FROM_BEGINNING : KAFKA_FROM_END, err) &&
	       (!submission->resume || read_history(submission, err));
}

static bool missing_answers(const struct submission *submission, struct err *err)
{
	err_detail(err, "%lld of %lld answers are missing", (long long)tally_missing(submission->tally),
		   (long long)tally_rows(submission->tally) - (long long)tally_refused(submission->tally));
	return err_hint(err, "%sThe same command with --batch %.64s --resume takes up the answers that come later.",
			signals_stop_requested() ? "" : "Is a worker running? ", submission->batch_id);
}

static bool too_silent(const struct submission *submission, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "no answer for %lld s", (long long)submission->silence_ms / 1000);
	return missing_answers(submission, err);
}

static bool wait_for_results(struct submission *submission, struct err *err)
{
	int64_t last_ms = clock_mono_ms(), rows = (int64_t)tally_rows(submission->tally);
	bool ok = true, answered;

	progress_go_on(&submission->progress, "answers", rows, rows - tally_missing(submission->tally));
	while (ok && tally_missing(submission->tally) > 0) {
		ok = take_results(submission, 200, 100, &answered, err);
		if (ok && answered)
			last_ms = clock_mono_ms();
		else if (ok && clock_mono_ms() - last_ms > submission->silence_ms)
			ok = too_silent(submission, err);
		if (ok && signals_stop_requested()) {
			err_set(err, VERDICT_STOP, "", "interrupted");
			ok = missing_answers(submission, err);
		}
		progress_show(&submission->progress, rows - tally_missing(submission->tally));
	}
	progress_end(&submission->progress);
	return ok;
}

/* --- the summary -------------------------------------------------------------------------------------------------- */

static void report_json(const struct submission *submission)
{
	json_t *summary = json_pack("{s:I, s:o}", "sent", (json_int_t)submission->sent, "batch_id",
				    cstr_or_null(submission->batch_used ? submission->batch_id : NULL));

	if (submission->wait) {
		json_object_set_new(summary, "missing", json_integer(tally_missing(submission->tally)));
		json_object_set_new(summary, "results", tally_json(submission->tally));
	}
	print_json(summary);
}

static void report_text(const struct submission *submission)
{
	printf("%lld command%s sent", (long long)submission->sent, submission->sent == 1 ? "" : "s");
	if (submission->batch_used)
		printf(", batch %s", submission->batch_id);
	putchar('\n');
	if (submission->wait)
		tally_print(submission->tally);
}

static void report(const struct submission *submission, bool json)
{
	(json ? report_json : report_text)(submission);
	fflush(stdout);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool submit_and_leave(struct submission *submission, bool json, struct err *err)
{
	bool ok = (!submission->source.again || read_through(submission, err)) && send_all(submission, err);
	if (ok)
		report(submission, json);
	return ok;
}

/* Once something may have been sent, the files tell what became of it, however it goes on. */
static bool submit_and_wait(struct submission *submission, const struct cli_args *args, struct err *err)
{
	struct source *source = &submission->source;
	struct err write_err;

	submission->tally = tally_new();
	if (!source_keep(source, err) ||
	    !result_files_open(&submission->files, source, submission->batch_id, cli_option(args, "output"),
			       cli_flag(args, "force"), err) ||
	    !batch_survey(source, submission->batch_id, submission->tally, &submission->batch_used, err) ||
	    !open_results(submission, err))
		return false;
	submission->rows = (int64_t)tally_rows(submission->tally);
	bool ok = send_all(submission, err) && wait_for_results(submission, err);
	bool written = result_files_write(&submission->files, source, submission->batch_id, submission->tally, &write_err);
	report(submission, cli_flag(args, "json"));
	if (written)
		result_files_tell(&submission->files);
	else if (ok)
		*err = write_err;
	else
		err_print(&write_err);
	return ok && written;
}

static void release(struct submission *submission)
{
	kafka_sender_close(submission->sender);
	kafka_reader_close(submission->reader);
	schemas_close(submission->schemas);
	tally_free(submission->tally);
	result_files_release(&submission->files);
	source_release(&submission->source);
}

/* With a registry commands are framed with the id of our schema under the commands topic. */
static bool prepare_schemas(struct submission *submission, struct err *err)
{
	return schemas_open(&submission->schemas, NULL, false, err) &&
	       schemas_use_registry(submission->schemas, submission->config, err) &&
	       schemas_take_command_id(submission->schemas, submission->config->commands_topic, err);
}

static int submit(struct submission *submission, const struct cli_args *args, struct err *err)
{
	if (!read_options(args, submission, err) ||
	    !source_read_catalogue(&submission->source, args->config, "byunique submit", err))
		return cli_fail(err);
	if (cli_flag(args, "dry-run"))
		return dry_run(submission, args, err);
	if (!prepare_schemas(submission, err))
		return cli_fail(err);
	bool ok = submission->wait ? submit_and_wait(submission, args, err)
				   : submit_and_leave(submission, cli_flag(args, "json"), err);
	if (!ok)
		return cli_fail(err);
	return submission->wait && tally_has_errors(submission->tally) ? EXIT_WITH_ERRORS : EXIT_DONE;
}

static int run(const struct cli_args *args)
{
	struct submission submission = {0};
	struct err err;

	int code = submit(&submission, args, &err);
	release(&submission);
	return code;
}

const struct cli_command cmd_submit = {
	.name = "submit",
	.summary = "produce commands from a CSV, JSON Lines or Avro file",
	.synopsis = "FILE [--extension NAME] [--batch ID] [--null TEXT] [--map COLUMN=NAME]... [--dry-run | --wait | --resume] "
		    "[--json]",
	.help = help,
	.options = options,
	.operands_min = 1,
	.operands_max = 1,
	.needs_config = true,
	.until_stopped = true,
	.run = run,
};
