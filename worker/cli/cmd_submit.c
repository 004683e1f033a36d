/* submit: a file's rows become commands in the commands topic.
 *
 * A file is read twice, first to check every row: it is sent as a whole or not at all. What comes through a pipe can be
 * read only once, and is sent as it comes; a bad row then ends it, and the rows before it are sent. */
#include "byunique/cli.h"

#include "byunique/avro.h"
#include "byunique/clock.h"
#include "byunique/command_id.h"
#include "byunique/kafka.h"
#include "byunique/pg.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char help[] =
	"Examples:\n"
	"  byunique submit updates.csv --extension Phone --batch 2024-05-17\n"
	"  byunique submit updates.jsonl --wait\n"
	"  psql -c \"\\copy (SELECT ...) TO STDOUT CSV HEADER\" | byunique submit - --format csv --extension Phone\n"
	"\n"
	"Sends one command for each row to the commands topic, keyed by customer id. Values are converted\n"
	"and checked by the extension's schema, which is read from PostgreSQL; what is wrong is told by\n"
	"file, line and attribute. A file is checked as a whole before anything is sent. Standard input\n"
	"(FILE -) and pipes are sent as they come: a bad row ends it there.\n"
	"\n"
	"CSV: the first line names the columns: customer_id, attributes, and optionally command_id and\n"
	"ext_name. An empty cell leaves the attribute alone; the text given with --null clears it. Values\n"
	"are written as in 2024-02-29, 2009-12-18T18:30:00Z, -12.50, true.\n"
	"\n"
	"JSON Lines: one object for each line, as in\n"
	"  {\"customer_id\": \"c1\", \"ext_name\": \"Phone\", \"attributes\": {\"PhoneNumber\": \"1\"}}\n"
	"with optionally command_id, batch_id and issued_at (milliseconds since 1970). null clears, an\n"
	"attribute that is not there is left alone; an amount with a fraction is written as a string. A\n"
	"row's own ext_name outranks --extension, its own batch_id outranks --batch.\n"
	"\n"
	"With --batch ID, rows without a command_id get one that is made from batch, number of the row and\n"
	"content: submitting the file again repeats nothing that has taken effect, and sends rows that were\n"
	"corrected. Without it, a new batch id and new command ids are made up each time.\n"
	"\n"
	"--wait stays until all answers are there, prints how many there are of each kind, and ends with\n"
	"code 3 when one of them is an error. `byunique results --batch ID` shows them one by one.";

static const struct option_spec options[] = {
	{"extension", "NAME", "extension of rows that name none"},
	{"batch", "ID", "name of the batch, copied to the results; makes submitting again harmless"},
	{"null", "TEXT", "this text in a CSV cell clears the attribute"},
	{"format", "csv|jsonl", "how to read the file (default: by its name: .csv, .jsonl, .ndjson)"},
	{"wait", NULL, "wait for the answers"},
	{"timeout", "SECONDS", "with --wait: give up when no answer has come for so long (default 60)"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

struct submission {
	const struct config *config;
	struct catalogue *catalogue;
	struct rows_source source;
	const char *batch_id; /* of rows that have none */
	bool batch_given;     /* by the user; else made up */
	bool batch_used;      /* some row has none of its own */
	char made_up[37];
	struct uuid_series ids;
	struct schemas *schemas;
	struct kafka_sender *sender;
	struct kafka_reader *reader; /* of results; NULL without --wait */
	struct tally *tally;	     /* NULL without --wait */
	int64_t silence_ms;	     /* how long to wait without an answer */
	int64_t sent;
};

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool has_suffix(const char *path, const char *suffix)
{
	size_t len = strlen(path), suffix_len = strlen(suffix);
	return len > suffix_len && strcasecmp(path + len - suffix_len, suffix) == 0;
}

static bool choose_format(const char *format, struct rows_source *source, struct err *err)
{
	const char *path = source->path;

	source->format = ROWS_CSV;
	if (format != NULL ? strcmp(format, "csv") == 0 : has_suffix(path, ".csv"))
		return true;
	source->format = ROWS_JSON_LINES;
	if (format != NULL ? strcmp(format, "jsonl") == 0 : has_suffix(path, ".jsonl") || has_suffix(path, ".ndjson"))
		return true;
	if (format != NULL)
		err_set(err, VERDICT_USAGE, "", "unknown format %.64s", format);
	else
		err_set(err, VERDICT_USAGE, "", "the name %.128s does not tell the file's format", path);
	return err_hint(err, "Use --format csv or --format jsonl.");
}

static bool choose_batch(const char *batch_id, struct submission *submission, struct err *err)
{
	struct uuid uuid;

	submission->batch_given = batch_id != NULL;
	submission->batch_id = batch_id != NULL ? batch_id : submission->made_up;
	uuid_series_next(&submission->ids, &uuid);
	uuid_format(&uuid, submission->made_up);
	if (submission->batch_id[0] != '\0' && slice_is_utf8(slice_cstr(submission->batch_id)))
		return true;
	return err_set(err, VERDICT_USAGE, "", "the batch id is empty or not in UTF-8");
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

static bool read_options(const struct cli_args *args, struct submission *submission, struct err *err)
{
	submission->config = args->config;
	submission->source = (struct rows_source){.path = args->operands[0],
						  .ext_name = cli_option(args, "extension"),
						  .null_text = cli_option(args, "null")};
	return choose_format(cli_option(args, "format"), &submission->source, err) &&
	       choose_batch(cli_option(args, "batch"), submission, err) &&
	       choose_timeout(cli_option(args, "timeout"), submission, err);
}

/* --- rows to commands --------------------------------------------------------------------------------------------- */

/* What the row leaves open. */
static void complete(struct submission *submission, uint64_t row, struct arena *arena, struct command *command)
{
	bool named = submission->batch_given || command->batch_id.base != NULL;
	struct content_hash content;
	struct uuid uuid;

	if (command->batch_id.base == NULL) {
		command->batch_id = slice_cstr(submission->batch_id);
		submission->batch_used = true;
	}
	if (!command->has_issued_at)
		command->issued_at_ms = clock_wall_ms();
	command->has_issued_at = true;
	if (command->command_id.base != NULL)
		return;
	if (named) {
		command_content_hash(command, arena, &content);
		uuid_of_row(command->batch_id, row, &content, &uuid);
	} else {
		uuid_series_next(&submission->ids, &uuid);
	}
	char *text = arena_alloc(arena, 37);
	uuid_format(&uuid, text);
	command->command_id = slice_cstr(text);
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
	if (submission->tally != NULL)
		tally_expect(submission->tally, command->command_id);
	return true;
}

/* The next row; at the end *got is false. */
static bool next_row(struct submission *submission, struct rows *rows, struct arena *arena, struct buf *message,
		     bool *got, struct err *err)
{
	struct command command;

	arena_clear(arena);
	if (!rows_next(rows, arena, &command, got, err))
		return false;
	if (!*got || submission->sender == NULL)
		return true;
	complete(submission, rows_number(rows), arena, &command);
	return send_command(submission, &command, message, err);
}

/* All rows: sends them when there is a sender, else only looks at them. *count tells how many there are. */
static bool go_through(struct submission *submission, int64_t *count, struct err *err)
{
	struct buf message = BUF_EMPTY;
	struct progress progress;
	struct arena arena;
	struct rows *rows;
	bool ok, got;

	if (!rows_open(&rows, &submission->source, err))
		return false;
	arena_init(&arena);
	progress_begin(&progress, submission->sender != NULL ? "sending" : "checking", *count);
	for (*count = 0; (ok = next_row(submission, rows, &arena, &message, &got, err)) && got;)
		progress_show(&progress, ++*count);
	progress_end(&progress);
	arena_release(&arena);
	buf_release(&message);
	rows_close(rows);
	return ok;
}

static bool can_read_twice(const char *path)
{
	struct stat stat_of;
	return strcmp(path, "-") != 0 && stat(path, &stat_of) == 0 && S_ISREG(stat_of.st_mode);
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
	int64_t count = 0, acknowledged;

	if (can_read_twice(submission->source.path) && !go_through(submission, &count, err))
		return false;
	if (!kafka_sender_open(&submission->sender, submission->config, err))
		return false;
	if (!go_through(submission, &count, err) || !kafka_sender_flush(submission->sender, &acknowledged, err))
		return stopped_midway(submission, err);
	return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* Before anything is sent: the answers come behind what the topic holds now. */
static bool open_results(struct submission *submission, struct err *err)
{
	submission->tally = tally_new();
	return kafka_reader_open(&submission->reader, submission->config, submission->config->results_topic,
				 KAFKA_FROM_END, err);
}

static bool too_silent(const struct submission *submission, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "no answer for %lld s", (long long)submission->silence_ms / 1000);
	err_detail(err, "%lld of %lld answers are missing", (long long)tally_missing(submission->tally),
		   (long long)submission->sent);
	return err_hint(err, "Is a worker running? `byunique results --batch %s` shows answers that come later.",
			submission->batch_id);
}

/* A result whose schema can't be had now is awaited as long as an answer is. */
static bool read_result(struct submission *submission, struct slice value, struct arena *arena, struct result *result,
			bool *readable, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + submission->silence_ms;
	enum decode_status status;
	struct slice detail;

	while ((status = result_decode(submission->schemas, value, arena, result, &detail)) == DECODE_LATER) {
		if (clock_mono_ms() > until_ms) {
			*err = *schemas_trouble(submission->schemas);
			return false;
		}
		clock_sleep_ms(100);
	}
	*readable = status == DECODE_OK;
	return true;
}

/* The next record of the results topic; *answered when it is an answer to one of our commands. */
static bool next_result(struct submission *submission, struct arena *arena, bool *answered, struct err *err)
{
	struct kafka_record record;
	struct result result;

	arena_clear(arena);
	if (!kafka_reader_next(submission->reader, 200, &record, answered, err) ||
	    (*answered && !read_result(submission, record.value, arena, &result, answered, err)))
		return false;
	*answered = *answered && tally_take(submission->tally, &result);
	return true;
}

static bool wait_for_results(struct submission *submission, struct err *err)
{
	int64_t last_ms = clock_mono_ms();
	struct progress progress;
	struct arena arena;
	bool ok = true, answered;

	arena_init(&arena);
	progress_begin(&progress, "answers", submission->sent);
	while (ok && tally_missing(submission->tally) > 0) {
		ok = next_result(submission, &arena, &answered, err);
		if (ok && answered)
			last_ms = clock_mono_ms();
		else if (ok && clock_mono_ms() - last_ms > submission->silence_ms)
			ok = too_silent(submission, err);
		progress_show(&progress, submission->sent - tally_missing(submission->tally));
	}
	progress_end(&progress);
	arena_release(&arena);
	return ok;
}

/* With a registry commands are framed with the id of our schema under the commands topic. */
static bool prepare_schemas(struct submission *submission, struct err *err)
{
	return schemas_open(&submission->schemas, NULL, false, err) &&
	       schemas_use_registry(submission->schemas, submission->config, err) &&
	       schemas_take_command_id(submission->schemas, submission->config->commands_topic, err);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool read_catalogue(struct submission *submission, struct err *err)
{
	struct pg *pg = NULL;
	const struct config *config = submission->config;

	bool ok = pg_open(&pg, config->postgres, config->postgres_schema, "byunique submit", err) &&
		  pg_check_version(pg, err) && pg_load_catalogue(pg, &submission->catalogue, err);
	pg_close(pg);
	submission->source.catalogue = submission->catalogue;
	return ok;
}

static void json_string(const char *text, struct buf *out)
{
	buf_addc(out, '"');
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20)
			buf_printf(out, "\\u%04x", (unsigned char)*text);
		else
			buf_printf(out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
	}
	buf_addc(out, '"');
}

static void report_json(const struct submission *submission, struct buf *out)
{
	buf_printf(out, "{\"sent\":%lld,\"batch_id\":", (long long)submission->sent);
	if (submission->batch_used)
		json_string(submission->batch_id, out);
	else
		buf_adds(out, "null");
	if (submission->tally != NULL) {
		buf_printf(out, ",\"missing\":%lld,\"results\":", (long long)tally_missing(submission->tally));
		tally_json(submission->tally, out);
	}
	buf_adds(out, "}\n");
}

static void report(const struct submission *submission, bool json)
{
	struct buf out = BUF_EMPTY;

	if (json) {
		report_json(submission, &out);
	} else {
		buf_printf(&out, "%lld command%s sent", (long long)submission->sent, submission->sent == 1 ? "" : "s");
		if (submission->batch_used)
			buf_printf(&out, ", batch %s", submission->batch_id);
		buf_addc(&out, '\n');
		if (submission->tally != NULL)
			tally_text(submission->tally, &out);
	}
	fwrite(out.base, 1, out.len, stdout);
	fflush(stdout);
	buf_release(&out);
}

static void release(struct submission *submission)
{
	kafka_sender_close(submission->sender);
	kafka_reader_close(submission->reader);
	schemas_close(submission->schemas);
	tally_free(submission->tally);
	catalogue_drop(submission->catalogue);
}

static int run(const struct cli_args *args)
{
	struct submission submission = {0};
	bool json = cli_flag(args, "json"), wait = cli_flag(args, "wait");
	struct err err;
	int code = EXIT_DONE;

	bool ok = read_options(args, &submission, &err) && read_catalogue(&submission, &err) &&
		  prepare_schemas(&submission, &err) && (!wait || open_results(&submission, &err)) &&
		  send_all(&submission, &err);
	if (ok) {
		ok = !wait || wait_for_results(&submission, &err);
		report(&submission, json);
	}
	if (!ok)
		code = cli_fail(&err);
	else if (wait && tally_has_errors(submission.tally))
		code = EXIT_WITH_ERRORS;
	release(&submission);
	return code;
}

const struct cli_command cmd_submit = {
	.name = "submit",
	.summary = "produce commands from a CSV or JSON Lines file",
	.synopsis = "FILE [--extension NAME] [--batch ID] [--null TEXT] [--format csv|jsonl] [--wait] [--json]",
	.help = help,
	.options = options,
	.operands_min = 1,
	.operands_max = 1,
	.needs_config = true,
	.run = run,
};
