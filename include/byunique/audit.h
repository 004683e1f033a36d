/* What an audit decides of one message, from its results, the database and the log. Pure; cli/cmd_audit.c gathers. */
#ifndef BYUNIQUE_AUDIT_H
#define BYUNIQUE_AUDIT_H

#include "byunique/outcome.h"

enum audit_finding {
	AUDIT_FINE,
	AUDIT_PENDING, /* not processed yet, or its result not known to be published: nothing to be said of it */
	AUDIT_GONE,    /* no result, but the results topic no longer holds all of that time */
#define AUDIT(symbol, name, text) AUDIT_##symbol,
#include "byunique/audit.def"
#undef AUDIT
	AUDIT_FINDINGS
};
const char *audit_name(enum audit_finding finding); /* of those in audit.def */
const char *audit_text(enum audit_finding finding);

/* What is remembered of a message's results: 16 bytes, for each offset of the range. All zero: there is none. */
struct trace {
	uint64_t offset : 40; /* where the result that counts stands in the results topic */
	uint64_t partition : 16;
	uint64_t code : 6; /* an enum outcome_code, or TRACE_CODE_ODD; 0: no result */
	uint32_t digest;   /* of key and value, or TRACE_DIGEST_CUT */
	uint32_t processed_s; /* what it says of when it was processed, seconds since the epoch */
};
enum { TRACE_CODE_ODD = 63 }; /* status and code that no outcome has */
enum { TRACE_DIGEST_CUT = 0 }; /* parts of it were cut for its size, by a limit that may be another next time */

/* The code that a result's fields stand for, or TRACE_CODE_ODD. */
unsigned trace_code(int status, struct slice code, bool duplicate);
/* Enters a result. AUDIT_FINE: the first one; AUDIT_REPEATED: the very same again, or OutcomeExpired, as a message read again
 * late is answered; AUDIT_DIFFERING. The last result counts, but OutcomeExpired only when there is no other. */
enum audit_finding trace_enter(struct trace *trace, const struct trace *result);

/* What the database has stored of a message. */
enum audit_stored { AUDIT_STORED_NONE, AUDIT_STORED_SAME, AUDIT_STORED_OTHER /* another message */ };

struct audit_facts {
	bool processed; /* its offset is below the position, read after the results */
	bool settled;	/* its result was known to be published before the results were read */
	const struct trace *trace;
	enum audit_stored stored;
	int code;		  /* of the stored outcome: an enum outcome_code, or what somebody made of it */
	int64_t processed_at_ms;  /* of the stored outcome */
	int64_t kept_since_ms;	  /* outcomes processed after this must still be stored */
	int64_t results_since_ms; /* results published before this may be gone from their topic; 0: none is */
};
/* One of AUDIT_FINE, PENDING, GONE, MISSING, AT_ODDS, NO_OUTCOME, OTHER_MESSAGE, NOT_PROCESSED. */
enum audit_finding audit_judge(const struct audit_facts *facts);

#endif
