/* A container file is a header (magic, metadata with schema and codec, 16 bytes that mark the end of each block) and blocks
 * (count of records, bytes, the records packed by the codec, the mark). One block at a time is in memory.
 *
 * What is hostile about it: sizes that promise more than there is, so a block is read only as far as the file goes, and
 * unpacked only up to a limit; counts, so a count above the block's bytes is refused (a record of ours takes at least one);
 * and the records, which go through the same bounded walk as messages do. avro-c's reader believes all three. */
#include "byunique/avro_file.h"

#include "avro/decode.h"
#include "model/input.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum { MARK_BYTES = 16, MAGIC_BYTES = 4, VARINT_BYTES_MAX = 10 };

struct avro_file {
	struct input input;
	uint64_t at;	    /* bytes of the file before input_rest() */
	struct arena arena; /* shapes and plan */
	struct plan plan;
	bool deflate;
	unsigned char mark[MARK_BYTES];
	size_t pending_bytes;	/* records and mark of the block at hand: to be passed once they are read */
	struct buf unpacked;	/* of the block at hand, with deflate */
	struct cursor cursor;	/* over its records */
	int64_t left;		/* records of it that are not read yet */
	uint64_t block, record; /* numbers of the last ones, from 1 */
};

static void pass(struct avro_file *file, size_t len)
{
	input_pass(&file->input, len);
	file->at += len;
}

/* --- header ------------------------------------------------------------------------------------------------------- */

struct header {
	struct slice schema, codec; /* absent: not there */
	size_t len;
};

static bool no_container(const struct avro_file *file, const char *why, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "%s is no whole Avro container file", file->input.name);
	return err_detail(err, "%s", why);
}

static bool take_metadata(struct cursor *cursor, struct header *header)
{
	struct slice key, value;

	if (!guard_string(cursor, &key) || !guard_bytes(cursor, &value))
		return false;
	if (slice_equal(key, SLICE_LIT("avro.schema")))
		header->schema = value;
	if (slice_equal(key, SLICE_LIT("avro.codec")))
		header->codec = value;
	return true;
}

static bool read_header(struct cursor *cursor, struct header *header)
{
	struct block block;

	*header = (struct header){0};
	do {
		if (!guard_block(cursor, false, &block))
			return false;
		for (int64_t i = 0; i < block.count; i++)
			if (!take_metadata(cursor, header))
				return false;
		if (!guard_block_end(cursor, &block))
			return false;
	} while (block.count != 0);
	if (cursor->end - cursor->next < MARK_BYTES)
		return cursor_fail(cursor, cursor->next, "the file ends within its header");
	header->len = (size_t)(cursor->next - cursor->start);
	return true;
}

/* How long it is shows while it is read: when it does not fit what was read of the file, more is, and it begins anew. */
static bool find_header(struct avro_file *file, struct header *header, struct err *err)
{
	for (;;) {
		struct slice rest = input_rest(&file->input);
		if (rest.len < MAGIC_BYTES || memcmp(rest.base, AVRO_FILE_MAGIC, MAGIC_BYTES) != 0)
			return no_container(file, "it does not begin as one", err);
		struct cursor cursor = cursor_over(rest, MAGIC_BYTES);
		if (read_header(&cursor, header))
			return true;
		if (file->input.ended || rest.len > AVRO_HEADER_BYTES_MAX) {
			no_container(file, "", err);
			return err_detail(err, "header, at byte %zu: %s", cursor.wrong_at, cursor.wrong);
		}
		if (!input_more(&file->input, err))
			return false;
	}
}

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.base[i] < ' ' || text.base[i] > '~')
			return false;
	return true;
}

static bool choose_codec(struct avro_file *file, struct slice codec, struct err *err)
{
	file->deflate = slice_equal(codec, SLICE_LIT("deflate"));
	if (file->deflate || codec.len == 0 || slice_equal(codec, SLICE_LIT("null")))
		return true;
	err_set(err, VERDICT_USAGE, "", "%s is packed with a codec that can't be read here", file->input.name);
	if (codec.len <= 32 && is_printable(codec))
		err_detail(err, "its codec is " SLICE_FMT, SLICE_ARG(codec));
	return err_hint(err, "Write it with the codec deflate or null.");
}

static bool choose_schema(struct avro_file *file, struct slice schema, struct err *err)
{
	const struct shape *shape;
	struct err why;

	if (schema.base == NULL)
		return no_container(file, "its header names no schema", err);
	if (!shape_compile(schema, &file->arena, &shape, &why)) {
		err_set(err, VERDICT_USAGE, "", "%s holds no valid Avro schema", file->input.name);
		return err_detail(err, "%s", why.detail);
	}
	file->plan = plan_make(shape, &reader_row, &file->arena);
	if (file->plan.unusable.base == NULL)
		return true;
	err_set(err, VERDICT_USAGE, "", "the records of %s are no commands", file->input.name);
	err_detail(err, SLICE_FMT, SLICE_ARG(file->plan.unusable));
	return err_hint(err, "They have to be shaped like UpdateByUnique.avsc; only customer_id and attributes must be there.");
}

static bool open_header(struct avro_file *file, struct err *err)
{
	struct header header = {0};

	if (!find_header(file, &header, err) || !choose_codec(file, header.codec, err) ||
	    !choose_schema(file, header.schema, err))
		return false;
	memcpy(file->mark, input_rest(&file->input).base + header.len, MARK_BYTES);
	pass(file, header.len + MARK_BYTES);
	return true;
}

bool avro_file_open(struct avro_file **out, struct input *input, struct err *err)
{
	struct avro_file *file = xcalloc(1, sizeof(*file));

	file->input = *input;
	arena_init(&file->arena);
	if (!open_header(file, err)) {
		avro_file_close(file);
		return false;
	}
	*out = file;
	return true;
}

void avro_file_close(struct avro_file *file)
{
	if (file == NULL)
		return;
	input_close(&file->input);
	arena_release(&file->arena);
	buf_release(&file->unpacked);
	free(file);
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

static bool damaged(const struct avro_file *file, const char *why, struct err *err)
{
	no_container(file, "", err);
	return err_detail(err, "block %" PRIu64 ", at byte %" PRIu64 " of the file: %s", file->block, file->at, why);
}

/* Raw deflate. What follows its end is passed over: some writers leave a part of zlib's checksum there. */
static const char *inflate_all(z_stream *stream, struct buf *out)
{
	enum { STEP_BYTES = 65536 };
	int code;

	do {
		if (out->len > AVRO_BLOCK_BYTES_MAX)
			return "it takes more than 64 MiB unpacked";
		stream->next_out = (unsigned char *)buf_reserve(out, STEP_BYTES);
		stream->avail_out = STEP_BYTES;
		code = inflate(stream, Z_NO_FLUSH);
		out->len += STEP_BYTES - stream->avail_out;
	} while (code == Z_OK && (stream->avail_in > 0 || stream->avail_out == 0));
	if (code == Z_MEM_ERROR)
		die("out of memory");
	return code == Z_STREAM_END ? NULL : "it can't be unpacked";
}

static const char *unpack(struct avro_file *file, struct slice packed)
{
	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed.base, .avail_in = (unsigned)packed.len};

	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		die("out of memory");
	buf_clear(&file->unpacked);
	const char *wrong = inflate_all(&stream, &file->unpacked);
	inflateEnd(&stream);
	return wrong;
}

/* Count and bytes of the next block, passed. */
static const char *take_sizes(struct avro_file *file, int64_t *count, int64_t *bytes)
{
	struct cursor cursor = cursor_over(input_rest(&file->input), 0);

	if (!guard_long(&cursor, count) || !guard_long(&cursor, bytes))
		return cursor.wrong;
	if (*count < 0 || *bytes < 0)
		return "it has a negative size";
	if (*bytes > AVRO_BLOCK_BYTES_MAX)
		return "it takes more than 64 MiB";
	pass(file, (size_t)(cursor.next - cursor.start));
	return NULL;
}

static const char *take_records(struct avro_file *file, int64_t count, size_t bytes)
{
	struct slice rest = input_rest(&file->input), records = slice_of(rest.base, bytes);

	if (rest.len < bytes + MARK_BYTES)
		return "the file ends within it";
	if (memcmp(rest.base + bytes, file->mark, MARK_BYTES) != 0)
		return "its end is not marked as in the header";
	const char *wrong = file->deflate ? unpack(file, records) : NULL;
	if (wrong != NULL)
		return wrong;
	if (file->deflate)
		records = buf_slice(&file->unpacked);
	if ((uint64_t)count > records.len)
		return "it promises more records than it has bytes";
	file->cursor = cursor_over(records, 0);
	file->left = count;
	file->pending_bytes = bytes + MARK_BYTES;
	return count == 0 && records.len > 0 ? "it has bytes, but no records" : NULL;
}

static bool next_block(struct avro_file *file, struct err *err)
{
	int64_t count = 0, bytes = 0;

	file->block++;
	const char *wrong = take_sizes(file, &count, &bytes);
	if (wrong == NULL && !input_fill(&file->input, (size_t)bytes + MARK_BYTES, err))
		return false;
	if (wrong == NULL)
		wrong = take_records(file, count, (size_t)bytes);
	return wrong == NULL || damaged(file, wrong, err);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

bool avro_file_next(struct avro_file *file, struct arena *arena, struct command *command, bool *got, struct err *err)
{
	struct slice detail;

	while (file->left == 0) {
		pass(file, file->pending_bytes);
		file->pending_bytes = 0;
		if (!input_fill(&file->input, 2 * VARINT_BYTES_MAX, err))
			return false;
		*got = input_rest(&file->input).len > 0;
		if (!*got)
			return true;
		if (!next_block(file, err))
			return false;
	}
	*got = true;
	*command = (struct command){0};
	file->record++;
	if (!plan_read_next(&file->plan, &file->cursor, arena, command, &detail)) {
		damaged(file, "", err);
		return err_detail(err, "record %" PRIu64 ", in block %" PRIu64 ": " SLICE_FMT, file->record, file->block,
				  SLICE_ARG(detail));
	}
	return --file->left > 0 || file->cursor.next == file->cursor.end ||
	       damaged(file, "bytes follow after its last record", err);
}

uint64_t avro_file_record(const struct avro_file *file)
{
	return file->record;
}

const char *avro_file_name(const struct avro_file *file)
{
	return file->input.name;
}
