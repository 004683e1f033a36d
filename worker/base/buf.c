/* Doubles when full; never shrinks by itself. */
#include "byunique/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->base != NULL)
		buf->base[0] = '\0';
}

void buf_release(struct buf *buf)
{
	free(buf->base);
	*buf = BUF_EMPTY;
}

void buf_grow(struct buf *buf, size_t more)
{
	size_t needed = buf->len + more + 1, cap = buf->cap ? buf->cap : 256;

	while (cap < needed)
		cap *= 2;
	buf->base = xrealloc(buf->base, cap);
	buf->cap = cap;
}

void buf_adds(struct buf *buf, const char *s)
{
	buf_add(buf, s, strlen(s));
}

void buf_addc(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	ASSERT(len >= 0);
	vsnprintf(buf_reserve(buf, (size_t)len), (size_t)len + 1, fmt, again);
	va_end(again);
	buf->len += (size_t)len;
}

void buf_be16(struct buf *buf, uint16_t v)
{
	v = htobe16(v);
	buf_add(buf, &v, sizeof(v));
}

void buf_be32(struct buf *buf, uint32_t v)
{
	v = htobe32(v);
	buf_add(buf, &v, sizeof(v));
}

void buf_be64(struct buf *buf, uint64_t v)
{
	v = htobe64(v);
	buf_add(buf, &v, sizeof(v));
}

void buf_varint(struct buf *buf, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_addc(buf, (char)(v | 0x80));
	buf_addc(buf, (char)v);
}
