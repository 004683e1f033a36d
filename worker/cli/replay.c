/* Tables go to stderr: they are what is asked about. What a program reads is one JSON object on stdout. */
#include "cli/replay.h"

#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char *plural(int64_t count)
{
	return count == 1 ? "" : "s";
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *offset_json(bool known, int64_t offset)
{
	return known && offset >= 0 ? json_integer(offset) : json_null();
}

json_t *replay_partition_json(const struct prospect *prospect, int partition)
{
	const struct stored_position *position = prospect->position;

	json_t *object = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "partition", partition, "log_start",
				   offset_json(prospect->in_topic, prospect->extent.log_start), "log_end",
				   offset_json(prospect->in_topic, prospect->extent.log_end), "position",
				   offset_json(position != NULL, position ? position->next_offset : -1), "published",
				   offset_json(position != NULL, position ? position->published_offset : -1),
				   "committed", offset_json(true, prospect->committed));
	ASSERT(object != NULL);
	return object;
}

json_t *replay_summary_json(const char *form, const struct cli_args *args, const struct outlook *outlook, bool done)
{
	json_t *object = json_pack("{s:s, s:b, s:b, s:i}", "replay", form, "dry_run", (int)cli_flag(args, "dry-run"),
				   "done", (int)done, "members", outlook->members);
	ASSERT(object != NULL);
	return object;
}

/* --- what stands in the way --------------------------------------------------------------------------------------- */

int replay_tell_refused(const struct outlook *outlook, int64_t partition)
{
	int count = 0;

	for (int i = 0; i < outlook->count; i++) {
		const struct prospect *prospect = &outlook->prospects[i];
		if (!replay_wants(partition, i) || prospect->start.refusal == START_FINE)
			continue;
		count++;
		fprintf(stderr, "%s\n  %s\n  %s\n", prospect->refusal.what, prospect->refusal.detail,
			prospect->refusal.hint);
	}
	return count;
}

void replay_tell_members(const struct outlook *outlook)
{
	if (outlook->members > 0)
		fprintf(stderr, "The group has %d member%s: stop the workers before you do this.\n", outlook->members,
			plural(outlook->members));
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static struct slice schema_header(const struct kafka_reader *reader)
{
	struct slice last = SLICE_NONE;
	struct kafka_header header;

	for (size_t i = 0; kafka_reader_header(reader, i, &header); i++)
		if (strcmp(header.name, SCHEMA_HEADER) == 0)
			last = header.value;
	return last;
}

bool replay_decode(struct schemas *schemas, const struct kafka_record *record, const struct kafka_reader *reader,
		   struct arena *arena, struct command *command, bool *readable, struct err *err)
{
	struct slice detail;
	struct slice value = arena_copy(arena, record->value);
	enum decode_status status =
		command_decode_headed(schemas, value, schema_header(reader), ATTRIBUTES_ANY, arena, command, &detail);

	*readable = status == DECODE_OK;
	if (status == DECODE_LATER)
		*err = *schemas_trouble(schemas);
	return status != DECODE_LATER;
}

static int64_t total_of(const struct kafka_extent *extents, int partitions)
{
	int64_t total = 0;

	for (int i = 0; i < partitions; i++)
		total += extents[i].end > extents[i].begin ? extents[i].end - extents[i].begin : 0;
	return total;
}

bool replay_read(const struct config *config, const char *topic, const struct kafka_extent *extents, int partitions,
		 const char *label, replay_visit *visit, void *context, struct err *err)
{
	struct kafka_reader *reader = NULL;
	struct kafka_record record;
	struct progress progress;
	int64_t count = 0;
	bool got;

	bool ok = kafka_reader_open_extents(&reader, config, topic, extents, partitions, err);
	progress_begin(&progress, label, total_of(extents, partitions));
	while (ok && !kafka_reader_at_end(reader)) {
		ok = kafka_reader_next(reader, 100, &record, &got, err);
		/* A topic that is emptied meanwhile goes on elsewhere. */
		got = ok && got && record.offset >= extents[record.partition].begin;
		ok = ok && (!got || visit(context, &record, reader, err));
		progress_show(&progress, count += got);
	}
	progress_end(&progress);
	kafka_reader_close(reader);
	return ok;
}
