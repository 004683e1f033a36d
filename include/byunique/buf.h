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
char *buf_reserve(struct buf *buf, size_t more); /* room for `more` bytes at the end; returns where; len unchanged */
void buf_add(struct buf *buf, const void *bytes, size_t len);
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
