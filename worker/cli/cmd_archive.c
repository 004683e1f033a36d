/* archive: what Kafka holds of a topic, into files, so that it outlives the topic's retention. A file covers a stretch
 * of offsets without a gap: where Kafka had no message in between, there was none (a transaction's mark, or
 * compaction). So the reader must not be moved on by retention, and where a stretch ends is known only when it was read
 * to its end.
 *
 * No state but the files: the next run goes on where the last one ends. A lock on the folder keeps two runs apart. */
#include "byunique/archive.h"
#include "byunique/kafka.h"
#include "byunique/signals.h"
#include "cli/archive_files.h"
#include "cli/internal.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
	"Examples:\n"
	"  byunique archive /var/lib/byunique/archive\n"
	"  byunique archive /backup/kafka --from time:2024-05-17T00:00:00Z --partition 3\n"
	"  byunique archive /backup/results --topic results\n"
	"\n"
	"Writes the messages of the commands topic, or of another one, into Avro container files, one for each\n"
	"partition and stretch of offsets: DIR/TOPIC-PARTITION-FIRSTOFFSET.avro, packed with deflate. Their\n"
	"schema is schemas/ArchivedMessage.avsc; key, value and headers are kept byte for byte. What open\n"
	"transactions have not decided is left for the next time.\n"
	"\n"
	"Run it again, and it goes on where the files in DIR end: a cron job or timer that comes often enough for\n"
	"the topic's retention makes a whole archive. When the topic has already lost what would come next, that\n"
	"is an error, as an archive never has a gap; begin another one in a new folder then.\n"
	"\n"
	"`byunique replay archive DIR` applies what is archived without Kafka: it fills the gap between a\n"
	"restored database and a topic that no longer goes back so far.";

static const struct option_spec options[] = {
	{"topic", "ROLE", "commands (default), results or dead-letters"},
	{"partition", "N", "only this partition"},
	{"from", "PLACE", "where a new archive begins: beginning (default), offset:N or time:2024-05-17T10:00:00Z"},
	{"until", "PLACE", "up to, not including: end (default), offset:N or time:..."},
	{"file-size", "MIB", "begin a new file when one has this size (default 256)"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

/* One partition. */
struct lane {
	bool resumes;
	int64_t begin, next, end; /* what is to be archived; how far it is */
	struct archive_writer *writer;
	int64_t messages, files;
};

struct archiving {
	const struct config *config;
	const char *folder, *topic;
	int64_t partition, file_bytes;
	struct kafka_place from, until;
	bool from_is_given;
	int folder_fd; /* which holds the lock */
	struct archive_files files;
	char *cluster_id;
	struct kafka_extent *extents;
	struct lane *lanes;
	int count;
	struct kafka_reader *reader;
	struct archived_header *headers;
	uint32_t header_room;
};

/* --- options --------------------------------------------------------------------------------------------------------
 */

static bool choose_topic(const struct cli_args *args, struct archiving *archiving, struct err *err)
{
	const struct config *config = args->config;
	const char *role = cli_option(args, "topic");

	if (role == NULL || strcmp(role, "commands") == 0)
		archiving->topic = config->commands_topic;
	else if (strcmp(role, "results") == 0)
		archiving->topic = config->results_topic;
	else if (strcmp(role, "dead-letters") == 0)
		archiving->topic = config->dead_letter_topic;
	else
		return err_set(err, VERDICT_USAGE, "", "--topic has to be commands, results or dead-letters");
	return archiving->topic[0] != '\0' ||
	       err_set(err, VERDICT_USAGE, "", "no dead-letter topic is configured (dead.letter.topic)");
}

static bool read_options(const struct cli_args *args, struct archiving *archiving, struct err *err)
{
	enum { MIB = 1024 * 1024 };
	int64_t mib = 256;

	archiving->config = args->config;
	archiving->folder = args->operands[0];
	archiving->partition = -1;
	archiving->from = (struct kafka_place){.kind = KAFKA_PLACE_BEGINNING};
	archiving->until = (struct kafka_place){.kind = KAFKA_PLACE_END};
	archiving->from_is_given = cli_option(args, "from") != NULL;
	if (!choose_topic(args, archiving, err) ||
	    !cli_option_int(args, "partition", 0, INT32_MAX, &archiving->partition, err) ||
	    !cli_option_int(args, "file-size", 1, 1024 * 1024, &mib, err) ||
	    !place_parse("from", cli_option(args, "from"), &archiving->from, err) ||
	    !place_parse("until", cli_option(args, "until"), &archiving->until, err))
		return false;
	archiving->file_bytes = mib * MIB;
	return true;
}

/* --- the folder -----------------------------------------------------------------------------------------------------
 */

static bool folder_trouble(const struct archiving *archiving, struct err *err)
{
	int error = errno;

	err_set(err, VERDICT_USAGE, strerrorname_np(error), "the folder %s can't be used", archiving->folder);
	return err_detail(err, "%s", strerror(error));
}

static bool lock_folder(struct archiving *archiving, struct err *err)
{
	if (mkdir(archiving->folder, 0777) != 0 && errno != EEXIST)
		return folder_trouble(archiving, err);
	archiving->folder_fd = open(archiving->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (archiving->folder_fd < 0)
		return folder_trouble(archiving, err);
	if (flock(archiving->folder_fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno != EWOULDBLOCK)
		return folder_trouble(archiving, err);
	return err_set(err, VERDICT_STOP, "", "another `byunique archive` is writing into %s", archiving->folder);
}

/* What an interrupted run has left. */
static void sweep(const struct archiving *archiving)
{
	static const char prefix[] = ARCHIVE_TEMPORARY_PREFIX;
	DIR *dir = opendir(archiving->folder);
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			unlinkat(archiving->folder_fd, entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
}

static bool open_folder(struct archiving *archiving, struct err *err)
{
	if (!lock_folder(archiving, err) || !archive_files_add(&archiving->files, archiving->folder, err))
		return false;
	archive_files_sort(&archiving->files);
	sweep(archiving);
	return true;
}

/* --- what is to be archived -----------------------------------------------------------------------------------------
 */

static bool no_gap(const struct archiving *archiving, int number, int64_t from, int64_t to, const char *why,
		   struct err *err)
{
	err_set(err, VERDICT_STOP, "", "the archive of partition %d would have a gap", number);
	err_detail(err, "offsets %" PRId64 " to %" PRId64 " %s", from, to - 1, why);
	return err_hint(err, "Begin another archive, in a folder other than %.120s.", archiving->folder);
}

/* Where the files end. */
static bool resume(const struct archiving *archiving, int number, const struct archive_stretch *stretch,
		   struct lane *lane, struct err *err)
{
	const struct kafka_extent *extent = &archiving->extents[number];

	lane->resumes = true;
	lane->begin = stretch->next_offset;
	if (strcmp(stretch->files->label.cluster_id, archiving->cluster_id) != 0) {
		err_set(err, VERDICT_STOP, "", "the files in %.120s are of another Kafka cluster", archiving->folder);
		return err_detail(err, "they are of %.60s, connected to %.60s", stretch->files->label.cluster_id,
				  archiving->cluster_id);
	}
	if (lane->begin > extent->log_end) {
		err_set(err, VERDICT_STOP, "", "the files in %.120s are of another topic of this name",
			archiving->folder);
		return err_detail(err,
				  "partition %d is archived up to offset %" PRId64 ", the log ends at %" PRId64
				  ": it was deleted and recreated",
				  number, lane->begin, extent->log_end);
	}
	if (lane->begin < extent->log_start)
		return no_gap(archiving, number, lane->begin, extent->log_start, "are no longer in the topic", err);
	if (archiving->from_is_given && extent->begin > lane->begin)
		return no_gap(archiving, number, lane->begin, extent->begin, "are left out by --from", err);
	return true;
}

static void begin(const struct archiving *archiving, int number, struct lane *lane)
{
	const struct kafka_extent *extent = &archiving->extents[number];

	lane->begin = extent->begin;
	if (archiving->from.kind == KAFKA_PLACE_OFFSET && archiving->from.value < extent->log_start)
		fprintf(stderr,
			"partition %d: offsets %" PRId64 " to %" PRId64
			" are no longer in the topic; the archive begins behind them\n",
			number, archiving->from.value, extent->log_start - 1);
}

static bool choose(struct archiving *archiving, int number, struct err *err)
{
	struct lane *lane = &archiving->lanes[number];
	struct archive_stretch stretch;

	if (!replay_wants(archiving->partition, number))
		return true;
	if (!archive_files_find(&archiving->files, archiving->topic, number, &stretch, err))
		return false;
	if (stretch.count > 0 && !resume(archiving, number, &stretch, lane, err))
		return false;
	if (stretch.count == 0)
		begin(archiving, number, lane);
	lane->next = lane->begin;
	lane->end = archiving->extents[number].end > lane->begin ? archiving->extents[number].end : lane->begin;
	archiving->extents[number].begin = lane->begin;
	archiving->extents[number].end = lane->end;
	return true;
}

static bool choose_all(struct archiving *archiving, struct kafka_look *look, struct err *err)
{
	int count = archiving->count = kafka_look_partitions(look);

	if (archiving->partition >= count) {
		err_set(err, VERDICT_USAGE, "", "there is no partition %" PRId64, archiving->partition);
		return err_detail(err, "the topic \"%.200s\" has %d", archiving->topic, count);
	}
	archiving->lanes = xcalloc((unsigned long)count, sizeof(*archiving->lanes));
	archiving->extents = xcalloc((unsigned long)count, sizeof(*archiving->extents));
	if (!kafka_look_cluster(look, &archiving->cluster_id, err) ||
	    !kafka_look_extents(look, archiving->from, archiving->until, archiving->extents, err))
		return false;
	for (int i = 0; i < count; i++) {
		if (!choose(archiving, i, err))
			return false;
		if (!replay_wants(archiving->partition, i))
			archiving->extents[i].begin = archiving->extents[i].end = 0;
	}
	return true;
}

static bool look(struct archiving *archiving, struct err *err)
{
	struct kafka_look *look = NULL;

	if (!kafka_look_open(&look, archiving->config, archiving->topic, false, err))
		return false;
	bool ok = choose_all(archiving, look, err);
	kafka_look_close(look);
	return ok;
}

/* --- messages -------------------------------------------------------------------------------------------------------
 */

static uint32_t read_headers(struct archiving *archiving)
{
	struct kafka_header header;
	uint32_t count = 0;

	while (kafka_reader_header(archiving->reader, count, &header)) {
		if (count == archiving->header_room) {
			archiving->header_room += 16;
			archiving->headers =
				xrealloc(archiving->headers, archiving->header_room * sizeof(*archiving->headers));
		}
		archiving->headers[count++] = (struct archived_header){slice_cstr(header.name), header.value};
	}
	return count;
}

static bool open_file(struct archiving *archiving, int32_t partition, struct err *err)
{
	struct lane *lane = &archiving->lanes[partition];
	struct archive_label label = {.topic = (char *)(uintptr_t)archiving->topic,
				      .cluster_id = archiving->cluster_id,
				      .partition = partition,
				      .first_offset = lane->next};

	return lane->writer != NULL || archive_create(&lane->writer, archiving->folder, &label, err);
}

static bool finish_file(struct lane *lane, bool tell, struct err *err)
{
	if (lane->writer == NULL)
		return true;
	bool ok = archive_finish(lane->writer, lane->next, err);
	if (ok && tell)
		printf("%s\n", archive_name(lane->writer));
	lane->files += ok;
	archive_abandon(lane->writer);
	lane->writer = NULL;
	return ok;
}

static bool keep(struct archiving *archiving, const struct kafka_record *record, bool tell, struct err *err)
{
	struct lane *lane = &archiving->lanes[record->partition];
	struct archived message = {.offset = record->offset,
				   .timestamp_ms = record->timestamp_ms,
				   .timestamp_type = (int)record->timestamp_type,
				   .key = record->key,
				   .value = record->value};

	message.header_count = read_headers(archiving);
	message.headers = archiving->headers;
	if (!open_file(archiving, record->partition, err) || !archive_add(lane->writer, &message, err))
		return false;
	lane->messages++;
	lane->next = record->offset + 1;
	return archive_written_bytes(lane->writer) < archiving->file_bytes || finish_file(lane, tell, err);
}

/* Up to the end, also where no message stands before it. */
static bool finish_all(struct archiving *archiving, bool whole, bool tell, struct err *err)
{
	for (int i = 0; i < archiving->count; i++) {
		struct lane *lane = &archiving->lanes[i];
		if (whole && lane->next < lane->end) {
			if (!open_file(archiving, i, err))
				return false;
			lane->next = lane->end;
		}
		if (!finish_file(lane, tell, err))
			return false;
	}
	return true;
}

static int64_t total(const struct archiving *archiving)
{
	int64_t sum = 0;

	for (int i = 0; i < archiving->count; i++)
		sum += archiving->lanes[i].end - archiving->lanes[i].begin;
	return sum;
}

static bool read_all(struct archiving *archiving, struct progress *progress, bool tell, struct err *err)
{
	struct kafka_record record;
	int64_t count = 0;
	bool got, ok = true;

	while (ok && !kafka_reader_at_end(archiving->reader) && !signals_stop_requested()) {
		ok = kafka_reader_next(archiving->reader, 100, &record, &got, err);
		if (ok && got)
			ok = keep(archiving, &record, tell, err);
		progress_show(progress, count += ok && got);
	}
	return ok;
}

static bool archive_all(struct archiving *archiving, bool tell, struct err *err)
{
	struct progress progress;

	if (total(archiving) == 0)
		return true;
	if (!kafka_reader_open_exact(&archiving->reader, archiving->config, archiving->topic, archiving->extents,
				     archiving->count, err))
		return false;
	progress_begin(&progress, "archiving", total(archiving));
	bool ok = read_all(archiving, &progress, tell, err);
	progress_end(&progress);
	return ok && finish_all(archiving, !signals_stop_requested(), tell, err);
}

/* --- the command ----------------------------------------------------------------------------------------------------
 */

static json_t *lane_json(int number, const struct lane *lane)
{
	json_t *object = json_pack("{s:i, s:I, s:I, s:I, s:I}", "partition", number, "from", (json_int_t)lane->begin,
				   "next", (json_int_t)lane->next, "messages", (json_int_t)lane->messages, "files",
				   (json_int_t)lane->files);
	ASSERT(object != NULL);
	return object;
}

static void report(const struct archiving *archiving, bool as_json)
{
	int64_t messages = 0, files = 0;
	json_t *partitions = json_array();
	char digits[32];

	for (int i = 0; i < archiving->count; i++) {
		const struct lane *lane = &archiving->lanes[i];
		messages += lane->messages;
		files += lane->files;
		if (replay_wants(archiving->partition, i))
			json_array_append_new(partitions, lane_json(i, lane));
	}
	if (as_json) {
		json_t *summary = json_pack("{s:s, s:s, s:I, s:I, s:O}", "topic", archiving->topic, "folder",
					    archiving->folder, "messages", (json_int_t)messages, "files",
					    (json_int_t)files, "partitions", partitions);
		print_json(summary);
	} else {
		fprintf(stderr, "%s message%s archived\n", group_digits(messages, digits), plural(messages));
	}
	json_decref(partitions);
}

static bool carry_out(const struct cli_args *args, struct archiving *archiving, struct err *err)
{
	bool as_json = cli_flag(args, "json");

	if (!read_options(args, archiving, err) || !open_folder(archiving, err) || !look(archiving, err) ||
	    !archive_all(archiving, !as_json, err))
		return false;
	report(archiving, as_json);
	if (!signals_stop_requested())
		return true;
	err_set(err, VERDICT_STOP, "", "told to stop before the end");
	return err_hint(err, "What was read is kept. The same command goes on from there.");
}

static int run(const struct cli_args *args)
{
	struct archiving archiving = {.folder_fd = -1};
	struct err err;

	int code = carry_out(args, &archiving, &err) ? EXIT_DONE : cli_fail(&err);
	for (int i = 0; archiving.lanes != NULL && i < archiving.count; i++)
		archive_abandon(archiving.lanes[i].writer);
	kafka_reader_close(archiving.reader);
	archive_files_release(&archiving.files);
	if (archiving.folder_fd >= 0)
		close(archiving.folder_fd);
	free(archiving.cluster_id);
	free(archiving.extents);
	free(archiving.lanes);
	free(archiving.headers);
	return code;
}

const struct cli_command cmd_archive = {
	.name = "archive",
	.summary = "keep a topic's messages in Avro files",
	.synopsis = "DIR [--topic ROLE] [--partition N] [--from PLACE] [--until PLACE] [--file-size MIB] [--json]",
	.help = help,
	.options = options,
	.operands_min = 1,
	.operands_max = 1,
	.needs_config = true,
	.until_stopped = true,
	.run = run,
};
