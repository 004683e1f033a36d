#include "cli/rehearsal.h"

#include "byunique/cli.h"
#include "byunique/signals.h"
#include "byunique/stages.h"
#include "cli/json_text.h"
#include "cli/progress.h"

#include <stdio.h>

struct rehearsal {
	const struct catalogue *catalogue;
	int64_t limit; /* bad rows that are told */
	int64_t good, bad;
	json_t *problems; /* NULL: they are printed as they are found */
};

static void show_problem(const struct rehearsal *rehearsal, const struct rows *rows, const struct err *err)
{
	const struct row_fault *fault = rows_fault(rows);
	const char *column = fault->column >= 0 ? rows_column(rows, (size_t)fault->column) : NULL;

	if (rehearsal->problems == NULL) {
		printf("%s", err->what);
		if (column != NULL)
			printf(" (column %d, %s)", fault->column + 1, column);
		putchar('\n');
		return;
	}
	json_array_append_new(rehearsal->problems,
			      json_pack("{s:I, s:i, s:o, s:o, s:o, s:o}", "line", (json_int_t)rows_line(rows), "status",
					fault->status, "code", cstr_or_null(fault->code), "detail", cstr_or_null(fault->reason),
					"attribute", cstr_or_null(fault->attribute), "column", cstr_or_null(column)));
}

/* All that the worker would say without looking at records. */
static bool is_acceptable(const struct rehearsal *rehearsal, const struct command *command, struct arena *arena,
			  struct outcome *outcome)
{
	struct message message = {.decoded = true, .command = *command};
	struct uuid uuid;

	if (command->command_id.base != NULL && !uuid_parse(command->command_id, &uuid))
		message.outcome = (struct outcome){.code = OUTCOME_INVALID_COMMAND_ID,
						   .detail = SLICE_LIT("command_id is no UUID")};
	else
		validate_message(&message, rehearsal->catalogue, arena);
	*outcome = message.outcome;
	return outcome->code == OUTCOME_NONE;
}

static bool check_rows(struct rehearsal *rehearsal, struct rows *rows, struct err *err)
{
	struct progress progress;
	struct command command;
	struct outcome outcome;
	struct arena arena;
	enum rows_step step;

	arena_init(&arena);
	progress_begin(&progress, "checking", 0);
	while ((step = rows_next(rows, &arena, &command, err)) == ROWS_GOT || step == ROWS_BAD) {
		if (step == ROWS_GOT && !is_acceptable(rehearsal, &command, &arena, &outcome)) {
			rows_accuse(rows, &outcome, err);
			step = ROWS_BAD;
		}
		rehearsal->good += step == ROWS_GOT;
		rehearsal->bad += step == ROWS_BAD;
		if (step == ROWS_BAD && rehearsal->bad <= rehearsal->limit) {
			progress_clear(&progress);
			show_problem(rehearsal, rows, err);
		}
		progress_show(&progress, rehearsal->good + rehearsal->bad);
		arena_clear(&arena);
		if (signals_stop_requested()) {
			err_set(err, VERDICT_STOP, "", "interrupted");
			step = ROWS_FAILED;
			break;
		}
	}
	progress_end(&progress);
	arena_release(&arena);
	return step == ROWS_END;
}

static void report(const struct rehearsal *rehearsal)
{
	long long rows = rehearsal->good + rehearsal->bad, unseen = rehearsal->bad - rehearsal->limit;

	if (rehearsal->problems != NULL) {
		print_json(json_pack("{s:I, s:I, s:I, s:O}", "rows", (json_int_t)rows, "good", (json_int_t)rehearsal->good, "bad",
				     (json_int_t)rehearsal->bad, "problems", rehearsal->problems));
		return;
	}
	if (unseen > 0)
		printf("… and %lld more\n", unseen);
	printf("%lld row%s, %lld of them bad; nothing was sent\n", rows, rows == 1 ? "" : "s", (long long)rehearsal->bad);
}

bool rehearse(struct source *source, int64_t limit, bool json, int64_t *bad, struct err *err)
{
	struct rehearsal rehearsal = {
		.catalogue = source->catalogue, .limit = limit, .problems = json ? json_array() : NULL};
	struct rows *rows = NULL;

	bool ok = source_rows(source, &rows, err) && check_rows(&rehearsal, rows, err);
	if (ok)
		report(&rehearsal);
	rows_close(rows);
	json_decref(rehearsal.problems);
	*bad = rehearsal.bad;
	return ok;
}
