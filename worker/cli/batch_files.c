#include "cli/batch_files.h"

#include "byunique/kafka.h"
#include "byunique/signals.h"
#include "cli/json_text.h"
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the rows ----------------------------------------------------------------------------------------------------- */

static void refuse(const struct row_fault *fault, struct tally *tally)
{
	const struct answer answer = {
		.status = fault->status,
		.code = fault->code,
		.attribute = fault->attribute,
		.detail = fault->reason,
	};
	tally_refuse(tally, &answer);
}

static bool survey_rows(struct rows *rows, const char *batch_id, struct tally *tally, bool *uses_batch, struct err *err)
{
	struct progress progress;
	struct command command;
	struct arena arena;
	enum rows_step step;

	arena_init(&arena);
	progress_begin(&progress, "checking", 0);
	while ((step = rows_next(rows, &arena, &command, err)) == ROWS_GOT || step == ROWS_BAD) {
		*uses_batch |= step == ROWS_GOT && command.batch_id.base == NULL;
		if (step == ROWS_BAD) {
			refuse(rows_fault(rows), tally);
		} else {
			source_identify(batch_id, rows_number(rows), &arena, &command);
			tally_expect(tally, command.command_id);
		}
		progress_show(&progress, (int64_t)tally_rows(tally));
		arena_clear(&arena);
		if (signals_stop_requested()) {
			err_set(err, VERDICT_STOP, "", "interrupted; nothing was sent");
			step = ROWS_FAILED;
			break;
		}
	}
	progress_end(&progress);
	arena_release(&arena);
	return step == ROWS_END;
}

bool batch_survey(struct source *source, const char *batch_id, struct tally *tally, bool *uses_batch, struct err *err)
{
	struct rows *rows;

	*uses_batch = false;
	if (!source_rows(source, &rows, err))
		return false;
	bool ok = survey_rows(rows, batch_id, tally, uses_batch, err);
	rows_close(rows);
	return ok;
}

/* --- the answers -------------------------------------------------------------------------------------------------- */

static bool look_up(struct kafka_reader *reader, struct schemas *schemas, struct tally *tally, struct err *err)
{
	struct kafka_record record;
	struct progress progress;
	struct result result;
	struct slice detail;
	struct arena arena;
	int64_t rows = (int64_t)tally_rows(tally);
	bool ok = true, got;

	arena_init(&arena);
	progress_go_on(&progress, "answers", rows, rows - tally_missing(tally));
	while (ok && !kafka_reader_at_end(reader)) {
		enum decode_status status = DECODE_MALFORMED;
		ok = kafka_reader_next(reader, 100, &record, &got, err);
		if (ok && got)
			status = result_decode(schemas, record.value, &arena, &result, &detail);
		if (status == DECODE_OK)
			tally_take(tally, &result);
		if (status == DECODE_LATER) {
			*err = *schemas_trouble(schemas);
			ok = false;
		}
		if (ok && signals_stop_requested())
			ok = err_set(err, VERDICT_STOP, "", "interrupted; no file was written");
		progress_show(&progress, rows - tally_missing(tally));
		arena_clear(&arena);
	}
	progress_end(&progress);
	arena_release(&arena);
	return ok;
}

static bool read_answers(const struct config *config, struct tally *tally, struct err *err)
{
	struct schemas *schemas = NULL;
	struct kafka_reader *reader = NULL;

	bool ok = schemas_open(&schemas, config->schemas_dir, config->schemas_dir_is_set, err) &&
		  schemas_use_registry(schemas, config, err) &&
		  kafka_reader_open(&reader, config, config->results_topic, KAFKA_FROM_BEGINNING, err) &&
		  look_up(reader, schemas, tally, err);
	kafka_reader_close(reader);
	schemas_close(schemas);
	return ok;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

struct batch {
	const char *id;
	struct source source;
	struct tally *tally;
	struct result_files files;
};

static bool check_options(const struct cli_args *args, struct err *err)
{
	static const char *const others[] = {"status", "from", "limit", "follow"};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (cli_option(args, others[i]) != NULL)
			return err_set(err, VERDICT_USAGE, "", "--%s does not go with --files, which takes all answers",
				       others[i]);
	const char *batch_id = cli_option(args, "batch");
	if (batch_id != NULL && batch_id[0] != '\0' && slice_is_utf8(slice_cstr(batch_id)))
		return true;
	err_set(err, VERDICT_USAGE, "", "--files needs --batch");
	return err_hint(err, "It is the one that the file was submitted under: the rows' ids depend on it.");
}

static bool write_files(struct batch *batch, const struct cli_args *args, struct err *err)
{
	bool ignored;

	if (!check_options(args, err) || !source_read_options(&batch->source, cli_option(args, "files"), args, err))
		return false;
	batch->id = cli_option(args, "batch");
	batch->tally = tally_new();
	return source_read_catalogue(&batch->source, args->config, "byunique results", err) &&
	       source_keep(&batch->source, err) &&
	       result_files_open(&batch->files, &batch->source, batch->id, cli_option(args, "output"),
				 cli_flag(args, "force"), err) &&
	       batch_survey(&batch->source, batch->id, batch->tally, &ignored, err) &&
	       read_answers(args->config, batch->tally, err) &&
	       result_files_write(&batch->files, &batch->source, batch->id, batch->tally, err);
}

static void report(const struct batch *batch, bool json)
{
	if (json)
		print_json(json_pack("{s:I, s:I, s:o}", "rows", (json_int_t)tally_rows(batch->tally), "missing",
				     (json_int_t)tally_missing(batch->tally), "results", tally_json(batch->tally)));
	else
		tally_print(batch->tally);
	fflush(stdout);
	result_files_tell(&batch->files);
}

int batch_files(const struct cli_args *args)
{
	struct batch batch = {0};
	int code = EXIT_DONE;
	struct err err;

	if (!write_files(&batch, args, &err))
		code = cli_fail(&err);
	else {
		report(&batch, cli_flag(args, "json"));
		code = tally_has_errors(batch.tally) ? EXIT_WITH_ERRORS : EXIT_DONE;
	}
	tally_free(batch.tally);
	result_files_release(&batch.files);
	source_release(&batch.source);
	return code;
}
