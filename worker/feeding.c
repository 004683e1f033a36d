/* The worker's path without its ends: messages come from a caller, results are left to the worker that comes next. The storing
 * half of the pipeline is used as it is, so what it does about trouble, be it a command that the database refuses or a
 * server that goes away, is the same. There is one batch and no other thread. */
#include "byunique/feed.h"

#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/id_index.h"
#include "byunique/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

struct feed {
	struct pipeline pipeline;
	struct metrics metrics; /* nobody reads them */
	struct batch *batch;
	struct feed_start *starts; /* owned */
	struct feed_counts *counts; /* by index, as the partitions of the assignment; owned */
	struct assignment *assignment;
	bool claimed;
};

/* --- open and close ----------------------------------------------------------------------------------------------------- */

static bool connect_database(struct pipeline *pipeline, struct err *err)
{
	const struct config *config = pipeline->config;

	return pg_open(&pipeline->lanes[0].pg, config, "byunique replay", err) &&
	       pg_worker_session(pipeline_pg(pipeline), err) && pg_check_version(pipeline_pg(pipeline), err) &&
	       pg_load_catalogue(pipeline_pg(pipeline), &pipeline->catalogue, err);
}

static bool open_schemas(struct pipeline *pipeline, struct err *err)
{
	const struct config *config = pipeline->config;

	return schemas_open(&pipeline->reading, config->schemas_dir, config->schemas_dir_is_set, err) &&
	       schemas_use_registry(pipeline->reading, config, err);
}

bool feed_open(struct feed **out, const struct config *config, struct err *err)
{
	struct feed *feed = xcalloc(1, sizeof(*feed));
	struct pipeline *pipeline = &feed->pipeline;

	metrics_init(&feed->metrics);
	*pipeline = (struct pipeline){.config = config, .metrics = &feed->metrics, .notify = {.socket_fd = -1}, .lane_count = 1};
	pipeline->lanes[0].pipeline = pipeline;
	tunables_set(&pipeline->live, config);
	pthread_mutex_init(&pipeline->lanes[0].turn, NULL);
	pthread_mutex_init(&pipeline->catalogue_turn, NULL);
	pthread_mutex_init(&pipeline->flight_turn, NULL);
	feed->batch = batch_new((uint32_t)config->batch_max_commands);
	if (!open_schemas(pipeline, err) || !connect_database(pipeline, err)) {
		feed_close(feed);
		return false;
	}
	pipeline->lanes[0].store = store_new(pipeline_pg(pipeline), config->idempotency_retention, config->outcome_retention);
	*out = feed;
	return true;
}

void feed_close(struct feed *feed)
{
	if (feed == NULL)
		return;
	struct pipeline *pipeline = &feed->pipeline;
	batch_free(feed->batch);
	assignment_free(feed->assignment);
	store_free(pipeline->lanes[0].store);
	pg_close(pipeline_pg(pipeline));
	slot_release(&pipeline->slot);
	catalogue_drop(pipeline->catalogue);
	schemas_close(pipeline->reading);
	free(pipeline->refused);
	pthread_mutex_destroy(&pipeline->lanes[0].turn);
	pthread_mutex_destroy(&pipeline->catalogue_turn);
	pthread_mutex_destroy(&pipeline->flight_turn);
	metrics_release(&feed->metrics);
	free(feed->starts);
	free(feed->counts);
	free(feed);
}

struct pg *feed_pg(struct feed *feed)
{
	return pipeline_pg(&feed->pipeline);
}

const struct feed_counts *feed_counts(const struct feed *feed, uint32_t index)
{
	return &feed->counts[index];
}

/* --- partitions --------------------------------------------------------------------------------------------------------- */

static struct assignment *assignment_of(const struct feed_start *starts, uint32_t count)
{
	struct assignment *assignment = xcalloc(1, sizeof(*assignment));

	assignment->partitions = xcalloc(count, sizeof(*assignment->partitions));
	assignment->count = count;
	if (getrandom(assignment->token, sizeof(assignment->token), 0) != (ssize_t)sizeof(assignment->token))
		die("the kernel gives no random bytes");
	for (uint32_t i = 0; i < count; i++)
		assignment->partitions[i] = (struct partition){
			.number = starts[i].partition,
			.start = starts[i].next_offset,
			.fetched_offset = starts[i].next_offset,
			.next_offset = starts[i].next_offset,
			.uncertain_offset = -1,
			.ids = id_index_new(),
			.published_stored = starts[i].published_offset,
			.published = starts[i].published_offset,
		};
	return assignment;
}

void feed_begin(struct feed *feed, const struct feed_start *starts, uint32_t count)
{
	batch_clear(feed->batch);
	assignment_free(feed->assignment);
	free(feed->counts);
	free(feed->starts);
	feed->starts = xcalloc(count, sizeof(*feed->starts));
	memcpy(feed->starts, starts, sizeof(*starts) * count);
	feed->counts = xcalloc(count, sizeof(*feed->counts));
	feed->assignment = feed->pipeline.assignment = assignment_of(starts, count);
}

static bool check_rows(const struct feed *feed, const struct position *positions, struct err *err)
{
	for (uint32_t i = 0; i < feed->assignment->count; i++) {
		const struct feed_start *start = &feed->starts[i];
		if (positions[i].known == start->known &&
		    (!start->known || positions[i].next_offset == start->next_offset))
			continue;
		err_set(err, VERDICT_STOP, "", "partition %" PRId32 " was processed by somebody else meanwhile",
			start->partition);
		return err_hint(err, "Stop the workers, and begin again.");
	}
	return true;
}

/* Claimed by one transaction, under locks that position_read() takes. */
static bool claim(struct feed *feed, const char *cluster_id, struct arena *arena, struct err *err)
{
	struct pipeline *pipeline = &feed->pipeline;
	struct assignment *assignment = feed->assignment;
	const char *topic = pipeline->config->commands_topic, *group = config_kafka(pipeline->config, "group.id");
	uint32_t count = assignment->count;
	int32_t *numbers = arena_array(arena, int32_t, count), *ids = arena_zarray(arena, int32_t, count);
	int64_t *next_offsets = arena_array(arena, int64_t, count);
	struct position *positions = arena_zarray(arena, struct position, count);

	for (uint32_t i = 0; i < count; i++) {
		numbers[i] = assignment->partitions[i].number;
		next_offsets[i] = assignment->partitions[i].next_offset;
	}
	bool ok = position_read(pipeline_pg(pipeline), topic, numbers, count, false, arena, positions, err) &&
		  check_rows(feed, positions, err) &&
		  position_claim(pipeline_pg(pipeline), topic, numbers, next_offsets, count, assignment->token, cluster_id, group,
				 ids, err);
	if (!ok)
		pg_rollback(pipeline_pg(pipeline));
	for (uint32_t i = 0; ok && i < count; i++)
		assignment->partitions[i].id = ids[i];
	return ok;
}

bool feed_claim(struct feed *feed, const char *cluster_id, struct err *err)
{
	struct pipeline *pipeline = &feed->pipeline;
	struct arena arena;

	if (!slot_take(pipeline_pg(pipeline), config_kafka(pipeline->config, "group.id"), &pipeline->slot, err))
		return false;
	arena_init(&arena);
	feed->claimed = claim(feed, cluster_id, &arena, err);
	arena_release(&arena);
	return feed->claimed;
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

/* The registry may be slow, or away for a moment; no group waits here, so patience costs nothing. */
static bool decode(struct feed *feed, struct err *err)
{
	enum { PATIENCE_MS = 60000, LOOK_MS = 100 };
	int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
	struct message_limits limits = message_limits(feed->pipeline.config);

	while (!decode_batch(feed->batch, feed->pipeline.reading, &limits, err)) {
		for (uint32_t i = 0; i < feed->assignment->count; i++)
			feed->assignment->partitions[i].awaits = false;
		if (clock_mono_ms() > until_ms)
			return false;
		clock_sleep_ms(LOOK_MS);
	}
	return true;
}

static bool needs_registry(const struct message *message)
{
	return message->outcome.code == OUTCOME_MALFORMED_MESSAGE &&
	       (message->schema_header.base != NULL || (message->value.len > 0 && message->value.base[0] == 0));
}

static void count(struct feed *feed)
{
	bool has_registry = feed->pipeline.config->schema_registry_url[0] != '\0';

	for (uint32_t i = 0; i < feed->batch->count; i++) {
		const struct message *message = &feed->batch->messages[i];
		struct feed_counts *counts = &feed->counts[message->partition - feed->assignment->partitions];
		counts->messages++;
		counts->codes[feed->claimed ? message->answer.code : message->outcome.code]++;
		counts->unframed += !has_registry && needs_registry(message);
	}
}

static bool store(struct feed *feed, struct err *err)
{
	struct pipeline *pipeline = &feed->pipeline;

	if (!feed->claimed || store_batch(&pipeline->lanes[0], feed->batch, NULL))
		return true;
	*err = pipeline->failure;
	return false;
}

bool feed_flush(struct feed *feed, struct err *err)
{
	struct batch *batch = feed->batch;

	if (batch->count == 0)
		return true;
	batch->assignment = feed->assignment;
	if (!decode(feed, err))
		return false;
	struct catalogue *catalogue = pipeline_catalogue(&feed->pipeline);
	validate_batch(batch, catalogue);
	catalogue_drop(catalogue);
	if (!store(feed, err))
		return false;
	count(feed);
	batch_clear(batch);
	return true;
}

/* Without a registry the header means nothing to decode(), but says that there was one. */
static struct slice schema_header(const struct archived *message)
{
	struct slice last = SLICE_NONE;

	for (uint32_t i = 0; i < message->header_count; i++)
		if (slice_equal(message->headers[i].name, SLICE_LIT(SCHEMA_HEADER)))
			last = message->headers[i].value;
	return last;
}

bool feed_message(struct feed *feed, uint32_t index, const struct archived *source, struct err *err)
{
	struct batch *batch = feed->batch;

	if (batch->count >= (uint32_t)feed->pipeline.config->batch_max_commands || batch->bytes >= BATCH_BYTES_MAX)
		if (!feed_flush(feed, err))
			return false;
	struct partition *partition = &feed->assignment->partitions[index];
	struct message *message = &batch->messages[batch->count++];
	*message = (struct message){
		.same_as = NO_MESSAGE,
		.partition = partition,
		.offset = source->offset,
		.follows = partition->fetched_offset,
		.key = arena_copy(&batch->arena, source->key),
		.value = arena_copy(&batch->arena, source->value),
		.schema_header = arena_copy(&batch->arena, schema_header(source)),
		.hash = message_hash(source->key, source->value),
		.timestamp_ms = source->timestamp_ms,
	};
	partition->fetched_offset = source->offset + 1;
	batch->bytes += message_bytes(message);
	return true;
}

bool feed_advance(struct feed *feed, uint32_t index, int64_t next_offset, struct err *err)
{
	struct partition *partition = &feed->assignment->partitions[index];

	if (!feed_flush(feed, err) ||
	    !position_advance(pipeline_pg(&feed->pipeline), partition->id, next_offset, feed->assignment->token, err))
		return false;
	if (next_offset > partition->next_offset)
		partition->next_offset = next_offset;
	return true;
}
