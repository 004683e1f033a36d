/* A message without a stored outcome or without a result is a finding only where it had to be kept: both are deleted after
 * a time, by different hands. In doubt it is none: an operator who was called for nothing does not come again. */
#include "byunique/audit.h"

#include "byunique/err.h"

static const struct {
	const char *name, *text;
} findings[AUDIT_FINDINGS] = {
#define AUDIT(symbol, name, text) [AUDIT_##symbol] = {name, text},
#include "byunique/audit.def"
#undef AUDIT
};

_Static_assert(sizeof(struct trace) == 16, "memory is said to be 16 bytes for a message");
_Static_assert((int)OUTCOME_CODES <= (int)TRACE_CODE_ODD, "outcome codes have to fit into a trace");

const char *audit_name(enum audit_finding finding)
{
	ASSERT(findings[finding].name != NULL);
	return findings[finding].name;
}

const char *audit_text(enum audit_finding finding)
{
	ASSERT(findings[finding].text != NULL);
	return findings[finding].text;
}

unsigned trace_code(int status, struct slice code, bool duplicate)
{
	if (code.base == NULL)
		return status != 204 ? TRACE_CODE_ODD : duplicate ? OUTCOME_DUPLICATE : OUTCOME_DONE;
	enum outcome_code known = outcome_by_name(code);
	return known == OUTCOME_NONE || outcome_status(known) != status || duplicate ? TRACE_CODE_ODD : known;
}

/* The very same? Of one that was cut, as far as can be told. */
static bool agree(const struct trace *a, const struct trace *b)
{
	if (a->digest == TRACE_DIGEST_CUT || b->digest == TRACE_DIGEST_CUT)
		return a->code == b->code && a->processed_s == b->processed_s;
	return a->digest == b->digest;
}

enum audit_finding trace_enter(struct trace *trace, const struct trace *result)
{
	struct trace before = *trace;

	if (before.code != OUTCOME_NONE && result->code == OUTCOME_OUTCOME_EXPIRED)
		return AUDIT_REPEATED;
	*trace = *result;
	if (before.code == OUTCOME_NONE)
		return AUDIT_FINE;
	return agree(&before, result) || before.code == OUTCOME_OUTCOME_EXPIRED ? AUDIT_REPEATED : AUDIT_DIFFERING;
}

static enum audit_finding judge_unanswered(const struct audit_facts *facts)
{
	if (!facts->settled)
		return AUDIT_PENDING;
	if (facts->stored == AUDIT_STORED_NONE)
		return facts->results_since_ms > 0 ? AUDIT_GONE : AUDIT_MISSING;
	return facts->processed_at_ms <= facts->results_since_ms ? AUDIT_GONE : AUDIT_MISSING;
}

/* OutcomeExpired tells nothing that could be compared. */
static enum audit_finding judge_answered(const struct audit_facts *facts)
{
	const struct trace *trace = facts->trace;

	if (trace->code == OUTCOME_OUTCOME_EXPIRED)
		return AUDIT_FINE;
	if (facts->stored == AUDIT_STORED_SAME)
		return (int)trace->code == facts->code ? AUDIT_FINE : AUDIT_AT_ODDS;
	return trace->processed_s * INT64_C(1000) > facts->kept_since_ms ? AUDIT_NO_OUTCOME : AUDIT_FINE;
}

enum audit_finding audit_judge(const struct audit_facts *facts)
{
	bool answered = facts->trace->code != OUTCOME_NONE;

	if (!facts->processed)
		return answered ? AUDIT_NOT_PROCESSED : AUDIT_PENDING;
	if (facts->stored == AUDIT_STORED_OTHER)
		return AUDIT_OTHER_MESSAGE;
	return answered ? judge_answered(facts) : judge_unanswered(facts);
}
