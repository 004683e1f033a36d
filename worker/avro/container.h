/* Avro object container files, block by block in constant memory: what is in a record is the caller's business.
 *
 * Nothing in the file is believed before it is checked; a truncated or damaged one is an error that says where. */
#ifndef BYUNIQUE_AVRO_CONTAINER_H
#define BYUNIQUE_AVRO_CONTAINER_H

#include "avro/guard.h"
#include "model/input.h"

enum { CONTAINER_MARK_BYTES = 16 };

struct container {
	struct input input;
	uint64_t at;	   /* bytes of the file before input_rest() */
	struct buf header; /* magic and metadata, as they stand there */
	bool deflate;
	unsigned char mark[CONTAINER_MARK_BYTES];
	size_t pending_bytes;	/* records and mark of the block at hand: to be passed once they are read */
	struct buf unpacked;	/* of the block at hand, with deflate */
	struct cursor cursor;	/* over its records */
	int64_t left;		/* records of it that are not read yet */
	uint64_t block, record; /* numbers of the last ones, from 1 */
};

/* `input` is taken over, also in case of failure; container_close() in any case. Errors: no container file
 * (VERDICT_STOP), or a codec that can't be read (VERDICT_USAGE). */
bool container_open(struct container *container, struct input *input, struct err *err) BYU_MUST_CHECK;
void container_close(struct container *container);

/* The header's value of this key; absent: there is none. Lives as long as the container. */
struct slice container_metadata(const struct container *container, const char *key);

/* The cursor stands before a record, which is to be read and then told: *got false at the end. */
bool container_next(struct container *container, bool *got, struct err *err) BYU_MUST_CHECK;
/* It was read. */
bool container_took(struct container *container, struct err *err) BYU_MUST_CHECK;

/* The record at hand is none, or the file no whole one: fills *err, returns false. */
bool container_bad_record(const struct container *container, struct slice why, struct err *err);
bool container_not_whole(const struct container *container, const char *why, struct err *err);

#endif
