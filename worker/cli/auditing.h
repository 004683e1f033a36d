/* The parts of `audit`, and what they know of each other. In which order they come, and why: cmd_audit.c. */
#ifndef CLI_AUDITING_H
#define CLI_AUDITING_H

#include "byunique/audit.h"
#include "byunique/avro.h"
#include "byunique/kafka.h"
#include "byunique/stored.h"
#include "cli/findings.h"

/* One partition of the commands topic. */
struct ledger {
	struct kafka_extent extent; /* of what is looked at */
	struct trace *traces;	    /* by offset, from extent.begin on */
	int64_t committed;	    /* the group's offset, -1: none */
	bool committed_by_others;   /* it tells nothing of what was published */
	struct stored_position before, after; /* before and after the results were read; id 0: no row */
	struct stored *stored; /* NULL: nothing, or not asked yet */
};

struct audit {
	const struct config *config;
	int64_t partition; /* -1: all */
	struct kafka_place from, to;
	bool strict;
	struct findings findings;
	struct schemas *schemas;
	struct pg *pg;
	struct ledger *ledgers;
	int partitions;
	struct kafka_extent *results; /* by partition of the results topic */
	int64_t *oldest_ms;	      /* by partition of the results topic: of its first record, -1: none */
	int result_partitions;
	int64_t kept_since_ms, results_since_ms; /* see struct audit_facts */
	bool is_cut;				 /* the result at hand: byunique.truncated */
};

static inline bool audit_wants(const struct audit *audit, int64_t partition)
{
	return audit->partition < 0 || audit->partition == partition;
}

/* All results are entered into the ledgers; what is wrong with one by itself is reported. */
bool audit_read_results(struct audit *audit, struct err *err) BYU_MUST_CHECK;
/* Messages of the range, each judged by its trace and what is stored of it. */
bool audit_read_messages(struct audit *audit, struct err *err) BYU_MUST_CHECK;
/* Status and code of an answer; appended. */
void audit_code_text(int code, struct buf *out);
/* How many records the extents may hold, for a bar of progress. */
int64_t audit_records(const struct kafka_extent *extents, int count);

#endif
