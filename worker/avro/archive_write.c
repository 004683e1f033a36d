/* Written by hand, as the encoding is a dozen lines and nothing has to be resolved. The metadata's numbers that are
 * known only in the end have a fixed width and are put in place then: a file that was cut off says itself that it is
 * none, and its name, which it gets last, after the disk has it all, never says otherwise. */
#include "byunique/archive.h"

#include "avro/embedded.h"
#include "byunique/avro_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <zlib.h>

enum { MARK_BYTES = 16, BLOCK_BYTES = 256 * 1024 };

struct archive_writer {
	char *folder, *temporary, *path; /* owned; the last two with the folder */
	struct archive_label label;	 /* its texts are borrowed, and not used after archive_create() */
	char *topic;			 /* owned */
	int fd;				 /* -1: closed */
	bool finished;
	off_t next_at, records_at; /* where the metadata's numbers are put */
	unsigned char mark[MARK_BYTES];
	int64_t written_bytes;
	struct buf block; /* records that are not written yet */
	int64_t block_records;
	struct buf packed;
};

static bool cannot_write(const struct archive_writer *writer, const char *what, struct err *err)
{
	int error = errno;

	err_set(err, VERDICT_STOP, strerrorname_np(error), "%s can't be %s", writer->path, what);
	return err_detail(err, "%s", strerror(error));
}

/* --- encoding -------------------------------------------------------------------------------------------------------
 */

static void add_long(struct buf *out, int64_t value)
{
	buf_varint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void add_bytes(struct buf *out, struct slice bytes)
{
	add_long(out, (int64_t)bytes.len);
	buf_add(out, bytes.base, bytes.len);
}

static void add_optional(struct buf *out, struct slice bytes)
{
	add_long(out, bytes.base != NULL);
	if (bytes.base != NULL)
		add_bytes(out, bytes);
}

static void add_headers(struct buf *out, const struct archived *message)
{
	if (message->header_count > 0)
		add_long(out, message->header_count);
	for (uint32_t i = 0; i < message->header_count; i++) {
		add_bytes(out, message->headers[i].name);
		add_optional(out, message->headers[i].value);
	}
	add_long(out, 0);
}

static void add_record(struct buf *out, const struct archive_writer *writer, const struct archived *message)
{
	size_t begin = out->len;

	add_bytes(out, slice_cstr(writer->topic));
	add_long(out, writer->label.partition);
	add_long(out, message->offset);
	add_long(out, message->timestamp_ms >= 0);
	if (message->timestamp_ms >= 0)
		add_long(out, message->timestamp_ms);
	add_long(out, message->timestamp_type);
	add_optional(out, message->key);
	add_optional(out, message->value);
	add_headers(out, message);
	add_long(out, (int64_t)crc32_z(0, (const unsigned char *)out->base + begin, out->len - begin));
}

/* --- blocks
 * ----------------------------------------------------------------------------------------------------------- */

static bool write_all(struct archive_writer *writer, struct slice bytes, struct err *err)
{
	while (bytes.len > 0) {
		ssize_t written = write(writer->fd, bytes.base, bytes.len);
		if (written < 0 && errno != EINTR)
			return cannot_write(writer, "written", err);
		if (written > 0) {
			bytes = slice_of(bytes.base + written, bytes.len - (size_t)written);
			writer->written_bytes += written;
		}
	}
	return true;
}

/* Raw deflate, as Avro wants it. */
static void pack(struct archive_writer *writer)
{
	z_stream stream = {.next_in = (unsigned char *)writer->block.base, .avail_in = (unsigned)writer->block.len};

	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		die("out of memory");
	size_t most = deflateBound(&stream, writer->block.len);
	buf_clear(&writer->packed);
	stream.next_out = (unsigned char *)buf_reserve(&writer->packed, most);
	stream.avail_out = (unsigned)most;
	ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	writer->packed.len = most - stream.avail_out;
	deflateEnd(&stream);
}

static bool write_block(struct archive_writer *writer, struct err *err)
{
	struct buf sizes = BUF_EMPTY;

	if (writer->block_records == 0)
		return true;
	pack(writer);
	add_long(&sizes, writer->block_records);
	add_long(&sizes, (int64_t)writer->packed.len);
	bool ok = write_all(writer, buf_slice(&sizes), err) && write_all(writer, buf_slice(&writer->packed), err) &&
		  write_all(writer, slice_of(writer->mark, MARK_BYTES), err);
	buf_release(&sizes);
	buf_clear(&writer->block);
	writer->block_records = 0;
	return ok;
}

bool archive_add(struct archive_writer *writer, const struct archived *message, struct err *err)
{
	size_t bytes = message->key.len + message->value.len;

	for (uint32_t i = 0; i < message->header_count; i++)
		bytes += message->headers[i].name.len + message->headers[i].value.len + 16;
	if (bytes > ARCHIVE_MESSAGE_BYTES_MAX) {
		err_set(err, VERDICT_STOP, "", "a message is too large to be archived");
		return err_detail(err, "partition %" PRId32 ", offset %" PRId64 ": %zu bytes, the most is %d",
				  writer->label.partition, message->offset, bytes, (int)ARCHIVE_MESSAGE_BYTES_MAX);
	}
	add_record(&writer->block, writer, message);
	writer->block_records++;
	writer->label.records++;
	return writer->block.len < BLOCK_BYTES || write_block(writer, err);
}

int64_t archive_written_bytes(const struct archive_writer *writer)
{
	return writer->written_bytes;
}

const char *archive_name(const struct archive_writer *writer)
{
	return writer->path;
}

/* --- from beginning to end
 * -------------------------------------------------------------------------------------------- */

void archive_file_name(const struct archive_label *label, struct buf *out)
{
	buf_printf(out, "%s-%" PRId32 "-%020" PRId64 ".avro", label->topic, label->partition, label->first_offset);
}

static void add_pair(struct buf *out, const char *key, struct slice value)
{
	add_bytes(out, slice_cstr(key));
	add_bytes(out, value);
}

/* Where the value stands. */
static off_t add_number(struct buf *out, const char *key, int64_t number)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%020" PRId64, number);

	add_pair(out, key, slice_of(text, (size_t)len));
	return (off_t)(out->len - (size_t)len);
}

static bool write_header(struct archive_writer *writer, struct err *err)
{
	enum { PAIRS = 8 };
	struct buf header = BUF_EMPTY;
	const struct archive_label *label = &writer->label;

	buf_adds(&header, AVRO_FILE_MAGIC);
	add_long(&header, PAIRS);
	add_pair(&header, "avro.schema", embedded_archive_schema());
	add_pair(&header, "avro.codec", SLICE_LIT("deflate"));
	add_pair(&header, "byunique.topic", slice_cstr(label->topic));
	add_pair(&header, "byunique.cluster", slice_cstr(label->cluster_id));
	add_number(&header, "byunique.partition", label->partition);
	add_number(&header, "byunique.first_offset", label->first_offset);
	writer->next_at = add_number(&header, "byunique.next_offset", 0);
	writer->records_at = add_number(&header, "byunique.records", 0);
	add_long(&header, 0);
	buf_add(&header, writer->mark, MARK_BYTES);
	bool ok = write_all(writer, buf_slice(&header), err);
	buf_release(&header);
	return ok;
}

bool archive_create(struct archive_writer **out, const char *folder, const struct archive_label *label, struct err *err)
{
	struct archive_writer *writer = xcalloc(1, sizeof(*writer));
	struct buf name = BUF_EMPTY;

	archive_file_name(label, &name);
	writer->folder = xstrdup(folder);
	writer->path = xasprintf("%s/%s", folder, name.base);
	writer->temporary = xasprintf("%s/" ARCHIVE_TEMPORARY_PREFIX "%s.part", folder, name.base);
	buf_release(&name);
	writer->label = *label;
	writer->label.records = 0;
	writer->topic = xstrdup(label->topic);
	if (getrandom(writer->mark, MARK_BYTES, 0) != MARK_BYTES)
		die("the kernel gives no random bytes");
	writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	bool ok = (writer->fd >= 0 || cannot_write(writer, "created", err)) && write_header(writer, err);
	if (ok)
		*out = writer;
	else
		archive_abandon(writer);
	return ok;
}

static bool put_number(struct archive_writer *writer, off_t at, int64_t number, struct err *err)
{
	char text[24];
	ssize_t len = snprintf(text, sizeof(text), "%020" PRId64, number);

	return pwrite(writer->fd, text, (size_t)len, at) == len || cannot_write(writer, "written", err);
}

/* The new name has to be on the disk as well. */
static bool sync_folder(const struct archive_writer *writer, struct err *err)
{
	int fd = open(writer->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		cannot_write(writer, "secured on the disk", err);
	if (fd >= 0)
		close(fd);
	return ok;
}

bool archive_finish(struct archive_writer *writer, int64_t next_offset, struct err *err)
{
	if (!write_block(writer, err) || !put_number(writer, writer->next_at, next_offset, err) ||
	    !put_number(writer, writer->records_at, writer->label.records, err))
		return false;
	if (fsync(writer->fd) != 0)
		return cannot_write(writer, "secured on the disk", err);
	if (rename(writer->temporary, writer->path) != 0)
		return cannot_write(writer, "given its name", err);
	writer->finished = true;
	return sync_folder(writer, err);
}

void archive_abandon(struct archive_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->fd >= 0 && !writer->finished)
		unlink(writer->temporary);
	free(writer->folder);
	free(writer->temporary);
	free(writer->path);
	free(writer->topic);
	buf_release(&writer->block);
	buf_release(&writer->packed);
	free(writer);
}
