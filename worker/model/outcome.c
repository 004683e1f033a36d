/* Everything about a code stands in one row of outcome.def; only the detail texts that need no facts are here, as they may
 * be reworded: they are not stored with an outcome, the code is. */
#include "byunique/outcome.h"

#include "byunique/err.h"

struct row {
	int status;
	const char *name, *title;
};

static const struct row rows[OUTCOME_CODES] = {
#define OUTCOME(symbol, number, status, code, title) [number] = {status, code, title},
#include "byunique/outcome.def"
#undef OUTCOME
};

static const char *const details[OUTCOME_CODES] = {
	[OUTCOME_COMMAND_ID_REUSED] = "A command with this id but other content was answered 204 before; nothing was done.",
	[OUTCOME_CUSTOMER_NOT_FOUND] = "No customer profile has this customer id.",
	[OUTCOME_RECORD_NOT_FOUND] = "No record of this customer has these values of the unique attributes.",
	[OUTCOME_OUTCOME_EXPIRED] = "The message was processed before and its outcome is no longer kept; nothing was done.",
	[OUTCOME_INTERNAL_ERROR] = "The database refused the command for an unforeseen reason; the worker's log tells which.",
};

static const struct row *row_of(enum outcome_code code)
{
	ASSERT(outcome_code_valid((int)code));
	return &rows[code];
}

bool outcome_code_valid(int number)
{
	return number > OUTCOME_NONE && number < OUTCOME_CODES;
}

int outcome_status(enum outcome_code code)
{
	return row_of(code)->status;
}

const char *outcome_name(enum outcome_code code)
{
	return row_of(code)->name;
}

const char *outcome_title(enum outcome_code code)
{
	return row_of(code)->title;
}

enum outcome_code outcome_by_name(struct slice name)
{
	for (int code = OUTCOME_NONE + 1; code < OUTCOME_CODES; code++)
		if (rows[code].name != NULL && slice_equal_nocase(slice_cstr(rows[code].name), name))
			return (enum outcome_code)code;
	return OUTCOME_NONE;
}

void outcome_fill_detail(struct outcome *outcome)
{
	if (outcome->detail.base == NULL && outcome_code_valid((int)outcome->code))
		outcome->detail = slice_cstr(details[outcome->code]);
}

bool outcome_is_dead_letter(enum outcome_code code)
{
	return code == OUTCOME_MALFORMED_MESSAGE || code == OUTCOME_INTERNAL_ERROR;
}
