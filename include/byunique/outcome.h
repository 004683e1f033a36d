/* The answer to one command. A bad command is a value, not an error: it travels in its message and leaves as a result. */
#ifndef BYUNIQUE_OUTCOME_H
#define BYUNIQUE_OUTCOME_H

#include "byunique/slice.h"

enum outcome_code {
	OUTCOME_NONE = 0, /* not decided yet */
#define OUTCOME(symbol, number, status, code, title) OUTCOME_##symbol = (number),
#include "byunique/outcome.def"
#undef OUTCOME
	OUTCOME_CODES
};

struct outcome {
	enum outcome_code code;
	struct slice attribute;	 /* the attribute at fault, or absent; batch memory */
	struct slice detail;	 /* for a person, no secret; absent unless an error; batch memory */
	int64_t processed_at_ms; /* when it was decided, since the epoch; one for all of a transaction */
};

bool outcome_code_valid(int number);
int outcome_status(enum outcome_code code);	     /* HTTP status */
const char *outcome_name(enum outcome_code code);  /* "RecordNotFound"; NULL for a 204 */
const char *outcome_title(enum outcome_code code); /* NULL for a 204 */
/* The code of a name as in "RecordNotFound", without case; OUTCOME_NONE when there is none. */
enum outcome_code outcome_by_name(struct slice name);

/* Detail texts that are the same for every command of a code (RecordNotFound, CustomerNotFound, CommandIdReused,
 * OutcomeExpired, InternalError): not stored in PostgreSQL, filled in here where the outcome has none. */
void outcome_fill_detail(struct outcome *outcome);

/* Is it also written to the dead-letter topic? */
bool outcome_is_dead_letter(enum outcome_code code);

#endif
