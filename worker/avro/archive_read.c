/* One shape of records only, our own, so they are read field by field. A flipped bit may well unpack and still look
 * like a record: hence the CRC of each. And a file that ends at the end of a block looks whole: hence the number of
 * records. */
#include "byunique/archive.h"

#include "avro/container.h"
#include "avro/embedded.h"
#include "byunique/avro.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

struct archive_reader {
	struct container container;
	struct archive_label label;
	int64_t last_offset; /* of what was read; -1: nothing yet */
};

void archive_label_release(struct archive_label *label)
{
	free(label->topic);
	free(label->cluster_id);
	*label = (struct archive_label){0};
}

/* --- header
 * ----------------------------------------------------------------------------------------------------------- */

static bool no_archive(const struct archive_reader *reader, const char *why, struct err *err)
{
	err_set(err, VERDICT_USAGE, "", "%s was not written by `byunique archive`", reader->container.input.name);
	return err_detail(err, "%s", why);
}

static bool check_schema(const struct archive_reader *reader, struct err *err)
{
	uint64_t ours = 0, theirs;
	struct slice schema = container_metadata(&reader->container, "avro.schema");
	struct err ignored;

	if (!schema_fingerprint(embedded_archive_schema(), &ours, err))
		return false;
	if (schema.base == NULL || !schema_fingerprint(schema, &theirs, &ignored) || theirs != ours)
		return no_archive(reader, "its schema is not that of schemas/ArchivedMessage.avsc", err);
	return true;
}

/* Names of topics and ids of clusters are of printable characters, so that they can be shown as they are. */
static bool is_name(struct slice text)
{
	bool ok = text.len > 0 && text.len <= 256;

	for (size_t i = 0; ok && i < text.len; i++)
		ok = text.base[i] > ' ' && text.base[i] <= '~';
	return ok;
}

static bool take_text(const struct archive_reader *reader, const char *key, char **text, struct err *err)
{
	struct slice value = container_metadata(&reader->container, key);

	if (!is_name(value)) {
		no_archive(reader, "", err);
		return err_detail(err, "its header does not say what %s is", key);
	}
	*text = xasprintf("%.*s", SLICE_ARG(value));
	return true;
}

static bool take_number(const struct archive_reader *reader, const char *key, int64_t *number, struct err *err)
{
	struct slice value = container_metadata(&reader->container, key);
	bool ok = value.len > 0;

	*number = 0;
	for (size_t i = 0; ok && i < value.len; i++)
		ok = isdigit((unsigned char)value.base[i]) && !__builtin_mul_overflow(*number, 10, number) &&
		     !__builtin_add_overflow(*number, value.base[i] - '0', number);
	if (ok)
		return true;
	no_archive(reader, "", err);
	return err_detail(err, "its header does not say what %s is", key);
}

static bool read_label(struct archive_reader *reader, struct err *err)
{
	struct archive_label *label = &reader->label;
	int64_t partition = 0;

	if (!take_text(reader, "byunique.topic", &label->topic, err) ||
	    !take_text(reader, "byunique.cluster", &label->cluster_id, err) ||
	    !take_number(reader, "byunique.partition", &partition, err) ||
	    !take_number(reader, "byunique.first_offset", &label->first_offset, err) ||
	    !take_number(reader, "byunique.next_offset", &label->next_offset, err) ||
	    !take_number(reader, "byunique.records", &label->records, err))
		return false;
	label->partition = (int32_t)partition;
	if (label->next_offset <= label->first_offset)
		return container_not_whole(&reader->container, "writing it was not finished", err);
	return partition <= INT32_MAX || no_archive(reader, "its partition is no number of 31 bits", err);
}

bool archive_open(struct archive_reader **out, const char *path, struct err *err)
{
	struct archive_reader *reader = xcalloc(1, sizeof(*reader));
	struct input input;

	reader->last_offset = -1;
	if (!input_open(&input, path, err)) {
		free(reader);
		return false;
	}
	if (!container_open(&reader->container, &input, err) || !check_schema(reader, err) ||
	    !read_label(reader, err)) {
		archive_close(reader);
		return false;
	}
	*out = reader;
	return true;
}

void archive_close(struct archive_reader *reader)
{
	if (reader == NULL)
		return;
	container_close(&reader->container);
	archive_label_release(&reader->label);
	free(reader);
}

const struct archive_label *archive_label(const struct archive_reader *reader)
{
	return &reader->label;
}

/* --- records
 * ---------------------------------------------------------------------------------------------------------- */

static bool take_optional(struct cursor *cursor, struct slice *bytes)
{
	uint32_t branch;

	*bytes = SLICE_NONE;
	return guard_index(cursor, 2, &branch) && (branch == 0 || guard_bytes(cursor, bytes));
}

static bool take_timestamp(struct cursor *cursor, int64_t *timestamp_ms)
{
	uint32_t branch;

	*timestamp_ms = -1;
	return guard_index(cursor, 2, &branch) && (branch == 0 || guard_long(cursor, timestamp_ms));
}

/* Room grows by doubling: a file made to hurt may hold a block for each header. */
static void make_room(struct archived *message, uint32_t *room, struct arena *arena)
{
	struct archived_header *before = message->headers;

	if (message->header_count < *room)
		return;
	*room = *room ? 2 * *room : 8;
	message->headers = arena_array(arena, struct archived_header, *room);
	if (message->header_count > 0)
		memcpy(message->headers, before, sizeof(*before) * message->header_count);
}

static bool take_headers(struct cursor *cursor, struct arena *arena, struct archived *message)
{
	struct block block;
	uint32_t room = 0;

	do {
		if (!guard_block(cursor, false, &block))
			return false;
		for (int64_t i = 0; i < block.count; i++) {
			make_room(message, &room, arena);
			struct archived_header *header = &message->headers[message->header_count++];
			if (!guard_bytes(cursor, &header->name) || !take_optional(cursor, &header->value))
				return false;
		}
		if (!guard_block_end(cursor, &block))
			return false;
	} while (block.count != 0);
	return true;
}

static bool take_crc(struct cursor *cursor, const unsigned char *begin)
{
	const unsigned char *end = cursor->next;
	int64_t crc;

	if (!guard_long(cursor, &crc))
		return false;
	return crc == (int64_t)crc32_z(0, begin, (size_t)(end - begin)) ||
	       cursor_fail(cursor, begin, "its CRC says that it was changed");
}

static bool take_record(struct archive_reader *reader, struct arena *arena, struct archived *message)
{
	struct cursor *cursor = &reader->container.cursor;
	const unsigned char *begin = cursor->next;
	struct slice topic;
	int32_t partition;
	uint32_t type;

	*message = (struct archived){0};
	if (!guard_string(cursor, &topic) || !guard_int(cursor, &partition) || !guard_long(cursor, &message->offset) ||
	    !take_timestamp(cursor, &message->timestamp_ms) || !guard_index(cursor, 3, &type) ||
	    !take_optional(cursor, &message->key) || !take_optional(cursor, &message->value) ||
	    !take_headers(cursor, arena, message) || !take_crc(cursor, begin))
		return false;
	message->timestamp_type = (int)type;
	if (!slice_equal(topic, slice_cstr(reader->label.topic)) || partition != reader->label.partition)
		return cursor_fail(cursor, begin, "it is of another topic or partition than the file");
	if (message->offset <= reader->last_offset || message->offset < reader->label.first_offset ||
	    message->offset >= reader->label.next_offset)
		return cursor_fail(cursor, begin, "its offset is not where it belongs");
	reader->last_offset = message->offset;
	return true;
}

static bool check_count(const struct archive_reader *reader, struct err *err)
{
	int64_t read = (int64_t)reader->container.record;

	if (read == reader->label.records)
		return true;
	container_not_whole(&reader->container, "", err);
	return err_detail(err, "it holds %" PRId64 " messages, and its header promises %" PRId64, read,
			  reader->label.records);
}

bool archive_next(struct archive_reader *reader, struct arena *arena, struct archived *message, bool *got,
		  struct err *err)
{
	if (!container_next(&reader->container, got, err))
		return false;
	if (!*got)
		return check_count(reader, err);
	return take_record(reader, arena, message)
		       ? container_took(&reader->container, err)
		       : container_bad_record(&reader->container, slice_cstr(reader->container.cursor.wrong), err);
}
