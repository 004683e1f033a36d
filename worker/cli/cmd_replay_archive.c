/* replay archive: messages that the database lacks, from files that `byunique archive` wrote, without Kafka. It takes
 * the worker's own path as far as PostgreSQL (feed.h), so the worker that comes next finds positions, outcomes and ids
 * as if it had been there itself.
 *
 * All files are read twice: first to the last byte, judging only, so that nothing is applied of an archive that is
 * damaged, has a gap, or is of another topic. That it is the same topic is told by name, cluster and, where the archive
 * reaches back to it, the hash of the last message processed. */
#include "byunique/feed.h"
#include "byunique/stored.h"
#include "cli/archive_files.h"
#include "cli/consent.h"
#include "cli/progress.h"
#include "cli/replay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique replay archive /var/lib/byunique/archive --dry-run\n"
	"  byunique replay archive /var/lib/byunique/archive\n"
	"  byunique replay archive commands-3-00000000000000120000.avro --yes\n"
	"\n"
	"Applies archived messages of the commands topic that the database does not know, without Kafka: for a\n"
	"database that was restored from a backup older than what the topic still holds. What the database has\n"
	"processed already is passed over. Positions, stored answers and ids are then as if the worker had done\n"
	"it, so the next `byunique run` goes on from there. Results of messages that are still in the topic and\n"
	"are not known to be published it publishes; those of messages that are gone were published when they\n"
	"were first processed.\n"
	"\n"
	"Every file is checked first. Nothing is done when one is damaged, when files are missing between the\n"
	"database's position and the archive's end, or when they are of another topic or Kafka cluster.\n"
	"\n"
	"The workers have to be stopped. It first says how many messages it will apply, and asks, unless --yes is\n"
	"given; --dry-run only says it. Interrupted, the same command goes on.";

static const struct option_spec options[] = {
	{"partition", "N", "only this partition of the commands topic"},
	{"no-registry", NULL, "there never was a schema registry: messages that name a schema of one are malformed"},
	{"dry-run", NULL, "only say what would be done"},
	{"yes", NULL, "don't ask"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

/* One partition. */
struct refill {
	struct archive_stretch stretch;
	struct feed_start start;
	int64_t last_offset; /* the last message that was processed, -1: none */
	uint64_t last_hash;
	int64_t known; /* messages that the database has processed, of the files that are read */
	struct feed_counts foreseen;
};

struct refilling {
	const struct config *config;
	int64_t partition;
	struct archive_files files;
	struct feed *feed;
	struct stored_position *positions;
	int position_count;
	struct refill *refills;
	uint32_t count;
	struct arena arena;
	struct progress progress;
	int64_t read;
};

/* --- which files, and for which partitions --------------------------------------------------------------------------
 */

static bool other_topic(const struct refilling *refilling, struct err *err)
{
	const char *topic = refilling->config->commands_topic;

	if (refilling->files.count == 0)
		return err_set(err, VERDICT_USAGE, "", "there is no archive in what was named");
	err_set(err, VERDICT_USAGE, "", "the archive holds nothing of the topic \"%.120s\"", topic);
	err_detail(err, "it is of \"%.200s\"", refilling->files.list[0].label.topic);
	return err_hint(err, "Name the commands topic's archive, or the right configuration (commands.topic).");
}

static bool find_files(const struct cli_args *args, struct refilling *refilling, struct err *err)
{
	for (int i = 0; i < args->operand_count; i++)
		if (!archive_files_add(&refilling->files, args->operands[i], err))
			return false;
	archive_files_sort(&refilling->files);
	return true;
}

static const struct stored_position *find_position(const struct refilling *refilling, int32_t partition)
{
	for (int i = 0; i < refilling->position_count; i++)
		if (refilling->positions[i].partition == partition)
			return &refilling->positions[i];
	return NULL;
}

static bool unlike(const struct refill *refill, const char *what, const char *theirs, const char *ours, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "partition %" PRId32 " is known to the database from another %s",
		refill->start.partition, what);
	return err_detail(err, "processed with %.100s, this is %.100s", theirs, ours);
}

/* Position and identity: the archive has to be of what the database knows, and to begin where that ends, or before. */
static bool check_start(const struct refilling *refilling, const struct stored_position *position,
			const struct refill *refill, struct err *err)
{
	const char *group = config_kafka(refilling->config, "group.id");
	const struct archive_label *label = &refill->stretch.files->label;

	if (position != NULL && strcmp(position->cluster_id, label->cluster_id) != 0)
		return unlike(refill, "Kafka cluster", position->cluster_id, label->cluster_id, err);
	if (strcmp(label->cluster_id, refilling->refills[0].stretch.files->label.cluster_id) != 0)
		return err_set(err, VERDICT_USAGE, "", "the archive's files are of several Kafka clusters");
	if (position != NULL && strcmp(position->group_id, group) != 0)
		return unlike(refill, "consumer group", position->group_id, group, err);
	if (refill->stretch.first_offset <= refill->start.next_offset)
		return true;
	err_set(err, VERDICT_STOP, "", "the archive of partition %" PRId32 " begins behind what the database needs",
		refill->start.partition);
	err_detail(err, "%s offset %" PRId64 ", the archive begins at %" PRId64,
		   position ? "the database goes on at" : "the database knows nothing of it, so it needs",
		   refill->start.next_offset, refill->stretch.first_offset);
	return err_hint(err, "Name the files before it as well, or restore a newer backup.");
}

static bool add_partition(struct refilling *refilling, int32_t partition, struct err *err)
{
	const struct stored_position *position = find_position(refilling, partition);
	struct refill *refill = &refilling->refills[refilling->count];

	*refill = (struct refill){.start = {.partition = partition}, .last_offset = -1};
	if (position != NULL) {
		refill->start.known = true;
		refill->start.next_offset = position->next_offset;
		refill->start.published_offset = position->published_offset;
		refill->last_offset = position->last_offset;
		refill->last_hash = position->last_hash;
	}
	if (!archive_files_find(&refilling->files, refilling->config->commands_topic, partition, &refill->stretch,
				err) ||
	    !check_start(refilling, position, refill, err))
		return false;
	refilling->count++;
	return true;
}

/* Sorted, so a partition's files are side by side. */
static bool add_partitions(struct refilling *refilling, struct err *err)
{
	const struct archive_files *files = &refilling->files;
	int32_t before = -1;

	refilling->refills = xcalloc(files->count + 1, sizeof(*refilling->refills));
	for (size_t i = 0; i < files->count; i++) {
		const struct archive_label *label = &files->list[i].label;
		if (strcmp(label->topic, refilling->config->commands_topic) != 0 || label->partition == before ||
		    !replay_wants(refilling->partition, label->partition))
			continue;
		before = label->partition;
		if (!add_partition(refilling, label->partition, err))
			return false;
	}
	if (refilling->count > 0)
		return true;
	if (refilling->partition >= 0)
		return err_set(err, VERDICT_USAGE, "", "the archive holds nothing of partition %" PRId64,
			       refilling->partition);
	return other_topic(refilling, err);
}

static void begin(struct refilling *refilling)
{
	struct feed_start *starts = xcalloc(refilling->count, sizeof(*starts));

	for (uint32_t i = 0; i < refilling->count; i++)
		starts[i] = refilling->refills[i].start;
	feed_begin(refilling->feed, starts, refilling->count);
	free(starts);
}

/* --- messages -------------------------------------------------------------------------------------------------------
 */

static bool check_last(const struct refill *refill, const struct archived *message, struct err *err)
{
	if (message->offset != refill->last_offset || message_hash(message->key, message->value) == refill->last_hash)
		return true;
	err_set(err, VERDICT_STOP, "", "the archive of partition %" PRId32 " is not of the topic that was processed",
		refill->start.partition);
	err_detail(err, "the message at offset %" PRId64 " is another one", message->offset);
	return err_hint(err, "Is it the right archive, and `postgres` the right database?");
}

static bool take(struct refilling *refilling, uint32_t index, const struct archived *message, int64_t *reached,
		 struct err *err)
{
	struct refill *refill = &refilling->refills[index];
	bool known = message->offset < refill->start.next_offset;

	progress_show(&refilling->progress, ++refilling->read);
	if (!check_last(refill, message, err))
		return false;
	if (message->offset < *reached)
		return true; /* files may overlap */
	refill->known += known;
	if (!known && !feed_message(refilling->feed, index, message, err))
		return false;
	*reached = message->offset + 1;
	return true;
}

static bool read_file(struct refilling *refilling, uint32_t index, const struct archive_file *file, int64_t *reached,
		      struct err *err)
{
	struct archive_reader *reader;
	struct archived message;
	bool got = true;

	if (!archive_open(&reader, file->path, err))
		return false;
	bool ok = true;
	while (ok && got) {
		arena_clear(&refilling->arena);
		ok = archive_next(reader, &refilling->arena, &message, &got, err) &&
		     (!got || take(refilling, index, &message, reached, err));
	}
	archive_close(reader);
	if (*reached < file->label.next_offset)
		*reached = file->label.next_offset;
	return ok;
}

/* Files that hold only what was processed are left alone, but for the one with the last message processed. */
static bool is_needed(const struct refill *refill, const struct archive_label *label)
{
	return label->next_offset > refill->start.next_offset ||
	       (refill->last_offset >= label->first_offset && refill->last_offset < label->next_offset);
}

static bool read_partition(struct refilling *refilling, uint32_t index, struct err *err)
{
	struct refill *refill = &refilling->refills[index];
	int64_t reached = refill->stretch.first_offset;

	refill->known = 0;
	for (size_t i = 0; i < refill->stretch.count; i++) {
		const struct archive_file *file = &refill->stretch.files[i];
		if (is_needed(refill, &file->label) && !read_file(refilling, index, file, &reached, err))
			return false;
		if (reached < file->label.next_offset)
			reached = file->label.next_offset;
	}
	return feed_flush(refilling->feed, err);
}

static int64_t total(const struct refilling *refilling)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < refilling->count; i++)
		for (size_t j = 0; j < refilling->refills[i].stretch.count; j++)
			if (is_needed(&refilling->refills[i], &refilling->refills[i].stretch.files[j].label))
				sum += refilling->refills[i].stretch.files[j].label.records;
	return sum;
}

static bool is_new(const struct refill *refill)
{
	return refill->stretch.next_offset > refill->start.next_offset;
}

/* Also what lies behind the last message belongs to the stretch. */
static bool read_all(struct refilling *refilling, bool applies, struct err *err)
{
	bool ok = true;

	refilling->read = 0;
	progress_begin(&refilling->progress, applies ? "applying" : "checking", total(refilling));
	for (uint32_t i = 0; ok && i < refilling->count; i++) {
		struct refill *refill = &refilling->refills[i];
		if (applies && !is_new(refill))
			continue;
		ok = read_partition(refilling, i, err) &&
		     (!applies || feed_advance(refilling->feed, i, refill->stretch.next_offset, err));
		if (ok && !applies)
			refill->foreseen = *feed_counts(refilling->feed, i);
	}
	progress_end(&refilling->progress);
	return ok;
}

/* --- what it comes to -----------------------------------------------------------------------------------------------
 */

static int64_t refused(const struct feed_counts *counts)
{
	int64_t sum = 0;

	for (int code = 0; code < OUTCOME_CODES; code++)
		if (code != OUTCOME_NONE && outcome_code_valid(code) && outcome_status((enum outcome_code)code) != 204)
			sum += counts->codes[code];
	return sum;
}

struct sums {
	int64_t known, applied, refused, malformed, unframed;
};

static struct sums add_up(const struct refilling *refilling)
{
	struct sums sums = {0};

	for (uint32_t i = 0; i < refilling->count; i++) {
		const struct refill *refill = &refilling->refills[i];
		sums.known += refill->known;
		sums.applied += refill->foreseen.messages;
		sums.refused += refused(&refill->foreseen);
		sums.malformed += refill->foreseen.codes[OUTCOME_MALFORMED_MESSAGE];
		sums.unframed += refill->foreseen.unframed;
	}
	return sums;
}

static void show(const struct refilling *refilling, const struct sums *sums)
{
	char digits[32], position[32], end[32], known[32], applied[32], wrong[32];

	fprintf(stderr, "%9s  %14s  %14s  %12s  %12s  %12s\n", "PARTITION", "POSITION", "ARCHIVE'S END", "KNOWN",
		"APPLIED", "REFUSED");
	for (uint32_t i = 0; i < refilling->count; i++) {
		const struct refill *refill = &refilling->refills[i];
		fprintf(stderr, "%9" PRId32 "  %14s  %14s  %12s  %12s  %12s\n", refill->start.partition,
			refill->start.known ? group_digits(refill->start.next_offset, position) : "-",
			group_digits(refill->stretch.next_offset, end), group_digits(refill->known, known),
			group_digits(refill->foreseen.messages, applied),
			group_digits(refused(&refill->foreseen), wrong));
	}
	fprintf(stderr, "%s message%s will be applied to PostgreSQL; Kafka is not asked.\n",
		group_digits(sums->applied, digits), plural(sums->applied));
	if (sums->refused > 0)
		fprintf(stderr, "%s of them will be answered with an error, as far as can be told beforehand.\n",
			group_digits(sums->refused, digits));
	if (sums->malformed > 0)
		fprintf(stderr, "%s of these can't be read (400 MalformedMessage): is `schemas.dir` the workers'?\n",
			group_digits(sums->malformed, digits));
}

static bool check_framing(const struct cli_args *args, const struct sums *sums, struct err *err)
{
	if (sums->unframed == 0 || cli_flag(args, "no-registry"))
		return true;
	err_set(err, VERDICT_USAGE, "",
		"%" PRId64 " message%s of the archive name%s a schema of a registry, and none is configured",
		sums->unframed, plural(sums->unframed), sums->unframed == 1 ? "s" : "");
	return err_hint(err,
			"Set schema.registry.url, or they would be answered 400 for good. If the workers never had a "
			"registry: --no-registry.");
}

static json_t *refill_json(const struct refilling *refilling, uint32_t index, bool done)
{
	const struct refill *refill = &refilling->refills[index];
	const struct feed_counts *counts = done ? feed_counts(refilling->feed, index) : &refill->foreseen;
	json_t *object =
		json_pack("{s:i, s:o, s:I, s:I, s:I, s:I, s:I}", "partition", (int)refill->start.partition, "position",
			  refill->start.known ? json_integer(refill->start.next_offset) : json_null(), "archive_begin",
			  (json_int_t)refill->stretch.first_offset, "archive_end",
			  (json_int_t)refill->stretch.next_offset, "known", (json_int_t)refill->known, "applied",
			  (json_int_t)counts->messages, "refused", (json_int_t)refused(counts));
	ASSERT(object != NULL);
	return object;
}

static void report(const struct cli_args *args, const struct refilling *refilling, const struct sums *sums, bool done)
{
	int64_t applied = 0, wrong = 0;
	json_t *partitions = json_array();
	char digits[32], errors[32];

	for (uint32_t i = 0; i < refilling->count; i++) {
		applied += done ? feed_counts(refilling->feed, i)->messages : 0;
		wrong += done ? refused(feed_counts(refilling->feed, i)) : 0;
		json_array_append_new(partitions, refill_json(refilling, i, done));
	}
	if (cli_flag(args, "json")) {
		json_t *summary =
			json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:O}", "replay", "archive", "dry_run",
				  (int)cli_flag(args, "dry-run"), "done", (int)done, "known", (json_int_t)sums->known,
				  "applied", (json_int_t)(done ? applied : sums->applied), "refused",
				  (json_int_t)(done ? wrong : sums->refused), "partitions", partitions);
		print_json(summary);
	} else if (done) {
		printf("%s message%s applied, %s answered with an error\n", group_digits(applied, digits),
		       plural(applied), group_digits(wrong, errors));
	}
	json_decref(partitions);
}

/* --- the command ----------------------------------------------------------------------------------------------------
 */

static bool look(const struct cli_args *args, struct refilling *refilling, struct err *err)
{
	refilling->config = args->config;
	refilling->partition = -1;
	if (!consent_check(args, err) || !cli_option_int(args, "partition", 0, INT32_MAX, &refilling->partition, err) ||
	    !find_files(args, refilling, err) || !feed_open(&refilling->feed, args->config, err) ||
	    !stored_positions(feed_pg(refilling->feed), args->config->commands_topic, &refilling->positions,
			      &refilling->position_count, err) ||
	    !add_partitions(refilling, err))
		return false;
	begin(refilling);
	return read_all(refilling, false, err);
}

static bool apply(struct refilling *refilling, struct err *err)
{
	begin(refilling);
	if (!outlook_check_sessions(feed_pg(refilling->feed), refilling->config, err) ||
	    !feed_claim(refilling->feed, refilling->refills[0].stretch.files->label.cluster_id, err))
		return false;
	if (read_all(refilling, true, err))
		return true;
	if (err->hint[0] == '\0')
		err_hint(err, "What was applied stays. The same command goes on from there.");
	return false;
}

static bool any_is_new(const struct refilling *refilling)
{
	for (uint32_t i = 0; i < refilling->count; i++)
		if (is_new(&refilling->refills[i]))
			return true;
	return false;
}

static bool carry_out(const struct cli_args *args, struct refilling *refilling, struct err *err)
{
	bool dry = cli_flag(args, "dry-run");

	if (!look(args, refilling, err))
		return false;
	struct sums sums = add_up(refilling);
	show(refilling, &sums);
	if (!check_framing(args, &sums, err))
		return false;
	bool acts = !dry && any_is_new(refilling);
	if (acts && !outlook_check_sessions(feed_pg(refilling->feed), refilling->config, err))
		return false;
	if (acts && !consent_ask(args, "Apply them?"))
		return err_set(err, VERDICT_STOP, "", "nothing was applied");
	if (acts && !apply(refilling, err))
		return false;
	report(args, refilling, &sums, acts);
	return true;
}

static int run(const struct cli_args *args)
{
	struct refilling refilling = {0};
	struct err err;

	arena_init(&refilling.arena);
	int code = carry_out(args, &refilling, &err) ? EXIT_DONE : cli_fail(&err);
	stored_positions_free(refilling.positions, refilling.position_count);
	feed_close(refilling.feed);
	archive_files_release(&refilling.files);
	free(refilling.refills);
	arena_release(&refilling.arena);
	return code;
}

const struct cli_command cmd_replay_archive = {
	.name = "replay archive",
	.summary = "apply archived messages that the topic no longer holds, without Kafka",
	.synopsis = "FILE|DIR... [--partition N] [--no-registry] [--dry-run] [--yes] [--json]",
	.help = help,
	.options = options,
	.operands_min = 1,
	.operands_max = -1,
	.needs_config = true,
	.run = run,
};
