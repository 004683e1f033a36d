/* The last word on each command id that failed: which commands were answered with an error, and not with 204 since.
 * Takes 40 to 80 bytes for each. */
#ifndef CLI_FAILURES_H
#define CLI_FAILURES_H

#include "byunique/avro.h"

struct failure {
	uint64_t id;	/* hash of partition and command id; 0: free place */
	int64_t offset; /* of the message in the commands topic */
	int64_t processed_at_ms;
	int32_t partition;
	uint8_t code;	 /* an enum outcome_code */
	bool matches;	 /* what was asked for */
	bool superseded; /* by a 204 */
};

struct failures {
	struct failure *list; /* a hash table; after failures_sort() those to be sent, by partition and offset */
	size_t room, count;
};

/* The identity of a command within its partition: its id without case; a message that could not be read has only its
 * place. */
uint64_t failure_id(int32_t partition, struct slice command_id, int64_t offset);

/* A result with an error; `matches`: it is one of those asked for. The one of the latest message counts, of that the
 * one decided last. OutcomeExpired says nothing of what became of a command: not to be entered. */
void failures_enter(struct failures *failures, const struct result *result, bool matches);
/* A 204, entered after all errors. */
void failures_succeed(struct failures *failures, const struct result *result);
/* Those that match and were not superseded, sorted; *superseded tells how many matched otherwise. */
void failures_sort(struct failures *failures, int64_t *superseded);
/* After failures_sort(): NULL when there is none at this place. */
const struct failure *failures_find(const struct failures *failures, int32_t partition, int64_t offset);
void failures_release(struct failures *failures);

#endif
