/* What the forms of `replay` have in common. */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include "byunique/avro.h"
#include "byunique/cli.h"
#include "cli/json_text.h"
#include "cli/outlook.h"

/* Is this one meant? `partition` is that of --partition, -1: all. */
static inline bool replay_wants(int64_t partition, int number)
{
	return partition < 0 || partition == number;
}

/* What is known of the partition, for --json; to be added to. */
json_t *replay_partition_json(const struct prospect *prospect, int partition);
/* {"replay": form, "dry_run": …, "done": …, "members": …}; to be added to. */
json_t *replay_summary_json(const char *form, const struct cli_args *args, const struct outlook *outlook, bool done);

/* "byunique: partition 3 is refused: …" on stderr, for those that are wanted. Returns how many there are. */
int replay_tell_refused(const struct outlook *outlook, int64_t partition);
/* On stderr: what stands in the way of a change, for a dry run to say. */
void replay_tell_members(const struct outlook *outlook);

const char *plural(int64_t count); /* "" or "s" */

/* For the last record read. *readable false: what the message holds is no command. Error when that can't be told now.
 */
bool replay_decode(struct schemas *schemas, const struct kafka_record *record, const struct kafka_reader *reader,
		   struct arena *arena, struct command *command, bool *readable, struct err *err) BYU_MUST_CHECK;

/* Messages of a topic, partition by partition in the order of their offsets, by a function that is called for each. */
typedef bool replay_visit(void *context, const struct kafka_record *record, const struct kafka_reader *reader,
			  struct err *err);
bool replay_read(const struct config *config, const char *topic, const struct kafka_extent *extents, int partitions,
		 const char *label, replay_visit *visit, void *context, struct err *err) BYU_MUST_CHECK;

#endif
