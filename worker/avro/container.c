/* A container file is a header (magic, metadata with schema and codec, 16 bytes that mark the end of each block) and
 * blocks (count of records, bytes, the records packed by the codec, the mark). One block at a time is in memory.
 *
 * What is hostile about it: sizes that promise more than there is, so a block is read only as far as the file goes, and
 * unpacked only up to a limit; counts, so a count above the block's bytes is refused (a record of ours takes at least
 * one); and the records, which go through the same bounded walk as messages do. avro-c's reader believes all three. */
#include "avro/container.h"

#include "byunique/avro_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum { MARK_BYTES = CONTAINER_MARK_BYTES, MAGIC_BYTES = 4, VARINT_BYTES_MAX = 10 };

static void pass(struct container *container, size_t len)
{
	input_pass(&container->input, len);
	container->at += len;
}

/* --- header ------------------------------------------------------------------------------------------------------- */

bool container_not_whole(const struct container *container, const char *why, struct err *err)
{
	err_set(err, VERDICT_STOP, "", "%s is no whole Avro container file", container->input.name);
	return err_detail(err, "%s", why);
}

/* Goes through a header, behind its magic; *value is what stands there for the key, when there is one. */
static bool walk_header(struct cursor *cursor, struct slice wanted, struct slice *value)
{
	struct slice key, one;
	struct block block;

	do {
		if (!guard_block(cursor, false, &block))
			return false;
		for (int64_t i = 0; i < block.count; i++) {
			if (!guard_string(cursor, &key) || !guard_bytes(cursor, &one))
				return false;
			if (slice_equal(key, wanted))
				*value = one;
		}
		if (!guard_block_end(cursor, &block))
			return false;
	} while (block.count != 0);
	return true;
}

static bool read_header(struct cursor *cursor, size_t *len)
{
	struct slice ignored;

	if (!walk_header(cursor, SLICE_NONE, &ignored))
		return false;
	if (cursor->end - cursor->next < MARK_BYTES)
		return cursor_fail(cursor, cursor->next, "the file ends within its header");
	*len = (size_t)(cursor->next - cursor->start);
	return true;
}

struct slice container_metadata(const struct container *container, const char *key)
{
	struct cursor cursor = cursor_over(buf_slice(&container->header), MAGIC_BYTES);
	struct slice value = SLICE_NONE;

	return walk_header(&cursor, slice_cstr(key), &value) ? value : SLICE_NONE;
}

/* How long it is shows while it is read: when it does not fit what was read of the file, more is, and it begins anew.
 */
static bool find_header(struct container *container, size_t *len, struct err *err)
{
	for (;;) {
		struct slice rest = input_rest(&container->input);
		if (rest.len < MAGIC_BYTES || memcmp(rest.base, AVRO_FILE_MAGIC, MAGIC_BYTES) != 0)
			return container_not_whole(container, "it does not begin as one", err);
		struct cursor cursor = cursor_over(rest, MAGIC_BYTES);
		if (read_header(&cursor, len)) {
			buf_add(&container->header, rest.base, *len);
			return true;
		}
		if (container->input.ended || rest.len > AVRO_HEADER_BYTES_MAX) {
			container_not_whole(container, "", err);
			return err_detail(err, "header, at byte %zu: %s", cursor.wrong_at, cursor.wrong);
		}
		if (!input_more(&container->input, err))
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

static bool choose_codec(struct container *container, struct slice codec, struct err *err)
{
	container->deflate = slice_equal(codec, SLICE_LIT("deflate"));
	if (container->deflate || codec.len == 0 || slice_equal(codec, SLICE_LIT("null")))
		return true;
	err_set(err, VERDICT_USAGE, "", "%s is packed with a codec that can't be read here", container->input.name);
	if (codec.len <= 32 && is_printable(codec))
		err_detail(err, "its codec is " SLICE_FMT, SLICE_ARG(codec));
	return err_hint(err, "Write it with the codec deflate or null.");
}

bool container_open(struct container *container, struct input *input, struct err *err)
{
	size_t len = 0;

	*container = (struct container){.input = *input};
	if (!find_header(container, &len, err) ||
	    !choose_codec(container, container_metadata(container, "avro.codec"), err))
		return false;
	memcpy(container->mark, input_rest(&container->input).base + len, MARK_BYTES);
	pass(container, len + MARK_BYTES);
	return true;
}

void container_close(struct container *container)
{
	input_close(&container->input);
	buf_release(&container->header);
	buf_release(&container->unpacked);
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

static bool damaged(const struct container *container, const char *why, struct err *err)
{
	container_not_whole(container, "", err);
	return err_detail(err, "block %" PRIu64 ", at byte %" PRIu64 " of the file: %s", container->block,
			  container->at, why);
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

static const char *unpack(struct container *container, struct slice packed)
{
	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed.base, .avail_in = (unsigned)packed.len};

	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		die("out of memory");
	buf_clear(&container->unpacked);
	const char *wrong = inflate_all(&stream, &container->unpacked);
	inflateEnd(&stream);
	return wrong;
}

/* Count and bytes of the next block, passed. */
static const char *take_sizes(struct container *container, int64_t *count, int64_t *bytes)
{
	struct cursor cursor = cursor_over(input_rest(&container->input), 0);

	if (!guard_long(&cursor, count) || !guard_long(&cursor, bytes))
		return cursor.wrong;
	if (*count < 0 || *bytes < 0)
		return "it has a negative size";
	if (*bytes > AVRO_BLOCK_BYTES_MAX)
		return "it takes more than 64 MiB";
	pass(container, (size_t)(cursor.next - cursor.start));
	return NULL;
}

static const char *take_records(struct container *container, int64_t count, size_t bytes)
{
	struct slice rest = input_rest(&container->input), records = slice_of(rest.base, bytes);

	if (rest.len < bytes + MARK_BYTES)
		return "the file ends within it";
	if (memcmp(rest.base + bytes, container->mark, MARK_BYTES) != 0)
		return "its end is not marked as in the header";
	const char *wrong = container->deflate ? unpack(container, records) : NULL;
	if (wrong != NULL)
		return wrong;
	if (container->deflate)
		records = buf_slice(&container->unpacked);
	if ((uint64_t)count > records.len)
		return "it promises more records than it has bytes";
	container->cursor = cursor_over(records, 0);
	container->left = count;
	container->pending_bytes = bytes + MARK_BYTES;
	return count == 0 && records.len > 0 ? "it has bytes, but no records" : NULL;
}

static bool next_block(struct container *container, struct err *err)
{
	int64_t count = 0, bytes = 0;

	container->block++;
	const char *wrong = take_sizes(container, &count, &bytes);
	if (wrong == NULL && !input_fill(&container->input, (size_t)bytes + MARK_BYTES, err))
		return false;
	if (wrong == NULL)
		wrong = take_records(container, count, (size_t)bytes);
	return wrong == NULL || damaged(container, wrong, err);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

bool container_next(struct container *container, bool *got, struct err *err)
{
	while (container->left == 0) {
		pass(container, container->pending_bytes);
		container->pending_bytes = 0;
		if (!input_fill(&container->input, 2 * VARINT_BYTES_MAX, err))
			return false;
		*got = input_rest(&container->input).len > 0;
		if (!*got)
			return true;
		if (!next_block(container, err))
			return false;
	}
	*got = true;
	container->record++;
	return true;
}

bool container_took(struct container *container, struct err *err)
{
	return --container->left > 0 || container->cursor.next == container->cursor.end ||
	       damaged(container, "bytes follow after its last record", err);
}

bool container_bad_record(const struct container *container, struct slice why, struct err *err)
{
	damaged(container, "", err);
	return err_detail(err, "record %" PRIu64 ", in block %" PRIu64 ": " SLICE_FMT, container->record,
			  container->block, SLICE_ARG(why));
}
