/* Avro's binary encoding by hand, for tests: what a careful or a hostile producer may send. */
#ifndef TEST_AVRO_BYTES_H
#define TEST_AVRO_BYTES_H

#include "byunique/avro.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void put_long(struct buf *out, int64_t number)
{
	buf_varint(out, ((uint64_t)number << 1) ^ (uint64_t)(number >> 63));
}

static inline void put_bytes(struct buf *out, const void *bytes, size_t len)
{
	put_long(out, (int64_t)len);
	buf_add(out, bytes, len);
}

static inline void put_text(struct buf *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

static inline void put_frame(struct buf *out, uint64_t fingerprint)
{
	uint64_t little = htole64(fingerprint);
	buf_add(out, "\xC3\x01", 2);
	buf_add(out, &little, sizeof(little));
}

/* A folder of its own for one test, with one file in it; returns its path, for drop_folder(). */
static inline char *make_folder(const char *file, const char *text)
{
	char *dir = xstrdup("/tmp/byunique-test-XXXXXX");
	char *made = mkdtemp(dir);
	assert(made != NULL);
	if (file != NULL) {
		char *path = xasprintf("%s/%s", dir, file);
		FILE *out = fopen(path, "w");
		assert(out != NULL);
		fputs(text, out);
		fclose(out);
		free(path);
	}
	return made;
}

static inline void drop_file(const char *dir, const char *file)
{
	char *path = xasprintf("%s/%s", dir, file);
	unlink(path);
	free(path);
}

static inline void drop_folder(char *dir)
{
	rmdir(dir);
	free(dir);
}

#endif
