/* results: the answers in the results topic, one line each. Reads by itself, outside of any consumer group, so it never
 * takes anything from a program that consumes the results. */
#include "byunique/cli.h"

#include "byunique/avro.h"
#include "byunique/kafka.h"
#include "byunique/signals.h"
#include "cli/batch_files.h"
#include "result_text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Examples:\n"
	"  byunique results --batch 2024-05-17 --status error\n"
	"  byunique results --follow --from end --json | jq 'select(.status == 404)'\n"
	"  byunique results --batch 2024-05-17 --files updates.csv --extension Phone\n"
	"\n"
	"Prints one line for each answer: status, code, command, customer, extension, attribute at fault,\n"
	"and what was wrong. Control characters are escaped. With --json each line is an object with the\n"
	"fields of UpdateResult.avsc (times in milliseconds since 1970) and, as `result`, where the answer\n"
	"stands in the results topic.\n"
	"\n"
	"Without --follow it ends where the topic ended when it began. Answers of one customer come in the\n"
	"order of the commands, those of different customers in any order. An answer that comes twice was\n"
	"published twice: the group's offsets were reset.\n"
	"\n"
	"A record that is no answer is told on stderr and passed over; the exit code then is 1. With --batch,\n"
	"it is 3 when there was an error among the answers to the batch, printed or not.\n"
	"\n"
	"With --files, the rows of the file that was submitted under the batch are parted by their answers\n"
	"into NAME.success.csv, NAME.failed.csv and NAME.unprocessed.csv, as by `submit --wait`. The options\n"
	"that say how to read it have to be the same as then: ids are made from what was read.";

static const struct option_spec options[] = {
	{"batch", "ID", "only answers to commands of this batch"},
	{"status", "N|Nxx|error", "only these: 404, 4xx, or all errors"},
	{"follow", NULL, "wait for more, until interrupted"},
	{"from", "beginning|end", "where to begin (default beginning); end goes with --follow"},
	{"limit", "N", "end after N lines"},
	{"json", NULL, "print JSON Lines"},
	{"files", "FILE", "part the rows of this file, submitted under --batch, by their answers"},
	{"output", "DIR", "with --files: folder for the files (default: beside FILE)"},
	{"force", NULL, "with --files: write over such files that are there, rather than renaming them"},
	SOURCE_OPTIONS,
	{NULL, NULL, NULL},
};

struct listing {
	const struct config *config;
	struct slice batch_id; /* absent: all */
	int status_min, status_max;
	int64_t limit; /* lines */
	enum kafka_from from;
	bool follow, json;

	struct schemas *schemas;
	struct kafka_reader *reader;
	struct buf output; /* lines not yet written */
	bool reader_gone;
	int64_t printed, matched, errors, unreadable; /* matched and errors: in the batch, whatever their status */
};

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool choose_status(const char *text, struct listing *listing, struct err *err)
{
	listing->status_min = 0;
	listing->status_max = 999;
	if (text == NULL)
		return true;
	if (strcmp(text, "error") == 0) {
		listing->status_min = 400;
		return true;
	}
	bool family = isdigit((unsigned char)text[0]) && strcmp(text + 1, "xx") == 0;
	if (family || (strlen(text) == 3 && strspn(text, "0123456789") == 3)) {
		listing->status_min = family ? (text[0] - '0') * 100 : (int)strtol(text, NULL, 10);
		listing->status_max = listing->status_min + (family ? 99 : 0);
		return true;
	}
	err_set(err, VERDICT_USAGE, "", "--status does not take %.32s", text);
	return err_hint(err, "Give a status such as 404, a family such as 4xx, or error.");
}

static bool choose_from(const char *text, struct listing *listing, struct err *err)
{
	listing->from = KAFKA_FROM_BEGINNING;
	if (text == NULL || strcmp(text, "beginning") == 0)
		return true;
	listing->from = KAFKA_FROM_END;
	if (strcmp(text, "end") != 0)
		return err_set(err, VERDICT_USAGE, "", "--from takes beginning or end");
	if (!listing->follow)
		return err_set(err, VERDICT_USAGE, "", "--from end without --follow would print nothing");
	return true;
}

static bool read_options(const struct cli_args *args, struct listing *listing, struct err *err)
{
	listing->config = args->config;
	listing->batch_id = slice_cstr(cli_option(args, "batch"));
	listing->follow = cli_flag(args, "follow");
	listing->json = cli_flag(args, "json");
	listing->limit = INT64_MAX;
	return choose_status(cli_option(args, "status"), listing, err) &&
	       choose_from(cli_option(args, "from"), listing, err) &&
	       cli_option_int(args, "limit", 1, INT64_MAX, &listing->limit, err);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static bool is_wanted(struct listing *listing, const struct result *result)
{
	if (listing->batch_id.base != NULL && !slice_equal(listing->batch_id, result->batch_id))
		return false;
	listing->matched++;
	listing->errors += result->status != 204;
	return result->status >= listing->status_min && result->status <= listing->status_max;
}

static void warn_unreadable(struct listing *listing, const struct kafka_record *record, struct slice detail)
{
	listing->unreadable++;
	fprintf(stderr, "byunique: no answer: partition %d, offset %" PRId64 ": " SLICE_FMT "\n",
		(int)record->partition, record->offset, SLICE_ARG(detail));
}

static bool take(struct listing *listing, const struct kafka_record *record, struct arena *arena, struct err *err)
{
	struct result result;
	struct slice detail;

	switch (result_decode(listing->schemas, record->value, arena, &result, &detail)) {
	case DECODE_OK: break;
	case DECODE_MALFORMED: warn_unreadable(listing, record, detail); return true;
	case DECODE_LATER: *err = *schemas_trouble(listing->schemas); return false;
	}
	if (!is_wanted(listing, &result))
		return true;
	if (listing->json)
		result_json(&result, record, &listing->output);
	else
		result_text(&result, &listing->output);
	listing->printed++;
	return true;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

/* Not by stdio, which forgets why a write failed: a reader that has gone (`| head`) is no news. */
static bool write_output(struct listing *listing, struct err *err)
{
	size_t done = 0;

	while (done < listing->output.len) {
		ssize_t written = write(STDOUT_FILENO, listing->output.base + done, listing->output.len - done);
		if (written < 0 && errno == EPIPE)
			listing->reader_gone = true;
		if (written < 0 && errno != EINTR)
			return listing->reader_gone ||
			       err_set(err, VERDICT_STOP, "", "can't write to standard output: %s", strerror(errno));
		done += written > 0 ? (size_t)written : 0;
	}
	buf_clear(&listing->output);
	return true;
}

/* Nobody reads on, or enough was printed, or all was read. */
static bool is_over(const struct listing *listing)
{
	return listing->reader_gone || listing->printed >= listing->limit || signals_stop_requested() ||
	       (!listing->follow && kafka_reader_at_end(listing->reader));
}

static bool print_all(struct listing *listing, struct err *err)
{
	enum { CHUNK_BYTES = 65536 };
	struct kafka_record record;
	struct arena arena;
	bool ok = true, got;

	arena_init(&arena);
	while (ok && !is_over(listing)) {
		ok = kafka_reader_next(listing->reader, 100, &record, &got, err);
		if (ok && got)
			ok = take(listing, &record, &arena, err);
		/* In a pause, what is known is shown. */
		if (ok && (!got || listing->output.len >= CHUNK_BYTES))
			ok = write_output(listing, err);
		arena_clear(&arena);
	}
	arena_release(&arena);
	return ok && write_output(listing, err);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int exit_code(const struct listing *listing)
{
	if (listing->reader_gone)
		return EXIT_FAILED;
	if (listing->unreadable > 0) {
		fprintf(stderr, "byunique: %" PRId64 " record%s could not be read\n", listing->unreadable,
			listing->unreadable == 1 ? "" : "s");
		return EXIT_FAILED;
	}
	if (listing->batch_id.base != NULL && listing->matched == 0)
		fprintf(stderr, "byunique: there is no answer to a command of batch %s\n", listing->batch_id.base);
	return listing->batch_id.base != NULL && listing->errors > 0 ? EXIT_WITH_ERRORS : EXIT_DONE;
}

static int run(const struct cli_args *args)
{
	struct listing listing = {0};
	struct err err;

	signals_install();
	if (cli_option(args, "files") != NULL)
		return batch_files(args);
	bool ok = read_options(args, &listing, &err) &&
		  schemas_open(&listing.schemas, args->config->schemas_dir, args->config->schemas_dir_is_set, &err) &&
		  schemas_use_registry(listing.schemas, args->config, &err) &&
		  kafka_reader_open(&listing.reader, args->config, args->config->results_topic, listing.from, &err);
	if (ok && !listing.json && isatty(STDOUT_FILENO))
		result_heading(&listing.output);
	ok = ok && print_all(&listing, &err);
	int code = ok ? exit_code(&listing) : cli_fail(&err);
	buf_release(&listing.output);
	kafka_reader_close(listing.reader);
	schemas_close(listing.schemas);
	return code;
}

const struct cli_command cmd_results = {
	.name = "results",
	.summary = "print the answers, one line each",
	.synopsis = "[--batch ID] [--status N|Nxx|error] [--follow] [--from beginning|end] [--limit N] "
		    "[--files FILE] [--json]",
	.help = help,
	.options = options,
	.needs_config = true,
	.run = run,
};
