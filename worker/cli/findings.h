/* What an audit prints: a line for each finding on stdout, as it is found, and a summary. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include "byunique/audit.h"
#include "byunique/err.h"

struct progress;

struct findings {
	bool json;
	int64_t limit;		   /* lines printed */
	struct progress *progress; /* a bar that makes way for a line; NULL: none */
	int64_t found[AUDIT_FINDINGS], printed;
	/* of the range */
	int64_t messages, answered, pending;
	int64_t gone; /* messages without a result, of a time of which the results topic no longer holds all */
	int64_t results, repeated;
	int64_t unknown; /* results of messages that the topic no longer holds */
	int64_t outside; /* results that are none of the range's */
};

struct finding {
	enum audit_finding kind;
	int32_t partition;	  /* of the message; -1: none */
	int64_t offset;
	int32_t result_partition; /* -1: none */
	int64_t result_offset;
};

void findings_begin(struct findings *findings); /* headings, on a terminal */
void findings_report(struct findings *findings, const struct finding *finding, const char *fmt, ...) BYU_PRINTF(3, 4);
void findings_summary(const struct findings *findings);
bool findings_any(const struct findings *findings);
/* Nobody reads on: there is no use in going on. */
bool findings_reader_gone(void);

#endif
