/* Messages of a Kafka topic in Avro object container files, of records as in schemas/ArchivedMessage.avsc.
 *
 * A file holds one partition's messages of a stretch of offsets, all that Kafka had of them when it was written. It appears
 * under its name when it is whole and on the disk, never before. */
#ifndef BYUNIQUE_ARCHIVE_H
#define BYUNIQUE_ARCHIVE_H

#include "byunique/arena.h"
#include "byunique/buf.h"
#include "byunique/err.h"
#include "byunique/slice.h"

enum { ARCHIVE_MESSAGE_BYTES_MAX = 48 * 1024 * 1024 };

/* What a file is about. */
struct archive_label {
	char *topic, *cluster_id; /* owned: archive_label_release() */
	int32_t partition;
	int64_t first_offset; /* the stretch: from this one up to, */
	int64_t next_offset;  /* not including, this one, where the next file goes on */
	int64_t records;
};
void archive_label_release(struct archive_label *label);

struct archived_header {
	struct slice name, value; /* value absent: null */
};

/* As enum kafka_timestamp_type. */
struct archived {
	int64_t offset;
	int64_t timestamp_ms; /* -1: none */
	int timestamp_type;   /* 0: none, 1: create time, 2: log append time */
	struct slice key, value; /* absent when null */
	struct archived_header *headers;
	uint32_t header_count;
};

/* --- writing -------------------------------------------------------------------------------------------------------- */

struct archive_writer;
/* A new file in the folder, for the stretch from label->first_offset on; invisible as yet. */
bool archive_create(struct archive_writer **writer, const char *folder, const struct archive_label *label,
		    struct err *err) BYU_MUST_CHECK;
/* In the order of offsets. */
bool archive_add(struct archive_writer *writer, const struct archived *message, struct err *err) BYU_MUST_CHECK;
int64_t archive_written_bytes(const struct archive_writer *writer); /* so far, by and large */
/* The stretch ends before next_offset. The file gets its name once it is on the disk. It is there afterwards, or nothing of
 * it; archive_abandon() in any case. */
bool archive_finish(struct archive_writer *writer, int64_t next_offset, struct err *err) BYU_MUST_CHECK;
const char *archive_name(const struct archive_writer *writer); /* folder and name */
void archive_abandon(struct archive_writer *writer); /* frees; what is not finished is removed. NULL is fine */

/* The name that a file has in its folder: sorted by name they are in order. */
void archive_file_name(const struct archive_label *label, struct buf *out);
/* What an interrupted archive_create() leaves behind begins with this, and may be deleted. */
#define ARCHIVE_TEMPORARY_PREFIX ".byunique-archive-"

/* --- reading -------------------------------------------------------------------------------------------------------- */

struct archive_reader;
/* Errors: not a whole container file (VERDICT_STOP), or none of these (VERDICT_USAGE). */
bool archive_open(struct archive_reader **reader, const char *path, struct err *err) BYU_MUST_CHECK;
const struct archive_label *archive_label(const struct archive_reader *reader);
/* The next message: views that live until the next call, its headers as long as the arena's content. *got is false at the
 * end, where it is also checked that the file holds what it promises. After an error (VERDICT_STOP: it is damaged) only
 * archive_close() may follow. */
bool archive_next(struct archive_reader *reader, struct arena *arena, struct archived *message, bool *got,
		  struct err *err) BYU_MUST_CHECK;
void archive_close(struct archive_reader *reader); /* NULL is fine */

#endif
