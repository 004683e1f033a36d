/* A growing byte buffer, owned by who initialised it. Content survives growth; pointers into it do not. */
#ifndef BYUNIQUE_BUF_H
#define BYUNIQUE_BUF_H

#include "byunique/err.h"
#include "byunique/slice.h"

struct buf {
	char *base; /* NULL until the first byte; always one spare byte holding NUL after the content */
	size_t len; /* bytes of content */
	size_t cap; /* bytes allocated */
};

#define BUF_EMPTY ((struct buf){NULL, 0, 0})

void buf_clear(struct buf *buf);   /* len = 0, memory kept */
void buf_release(struct buf *buf); /* memory freed */
void buf_grow(struct buf *buf, size_t more); /* for buf_reserve() */

/* Room for `more` bytes at the end; returns where; len unchanged. */
static inline char *buf_reserve(struct buf *buf, size_t more)
{
	if (buf->cap - buf->len <= more)
		buf_grow(buf, more);
	return buf->base + buf->len;
}

static inline void buf_add(struct buf *buf, const void *bytes, size_t len)
{
	char *end = buf_reserve(buf, len);
	if (len > 0)
		memcpy(end, bytes, len);
	end[len] = '\0';
	buf->len += len;
}

void buf_adds(struct buf *buf, const char *s);
void buf_addc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *fmt, ...) BYU_PRINTF(2, 3);
void buf_be16(struct buf *buf, uint16_t v); /* network order, as PostgreSQL's binary formats want it */
void buf_be32(struct buf *buf, uint32_t v);
void buf_be64(struct buf *buf, uint64_t v);
void buf_varint(struct buf *buf, uint64_t v); /* LEB128 */

static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){buf->base ? buf->base : "", buf->len};
}

#endif
