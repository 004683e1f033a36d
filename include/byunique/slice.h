/* A view of bytes that somebody else owns. Never NUL-terminated by promise. `base == NULL` means absent (null), which is
 * not the same as empty. */
#ifndef BYUNIQUE_SLICE_H
#define BYUNIQUE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *base;
	size_t len; /* bytes */
};

#define SLICE_NONE ((struct slice){NULL, 0})
#define SLICE_LIT(s) ((struct slice){("" s), sizeof(s) - 1})
#define SLICE_FMT "%.*s"
#define SLICE_ARG(s) (int)(s).len, ((s).base ? (s).base : "")

static inline struct slice slice_of(const void *base, size_t len)
{
	return (struct slice){base, len};
}

static inline struct slice slice_cstr(const char *s)
{
	return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* Byte order, shorter first among equals: how PostgreSQL sorts under the "C" collation. */
int slice_compare(struct slice a, struct slice b);

/* Equal when ASCII letters are taken without case: the rule for names of extensions and attributes. */
bool slice_equal_nocase(struct slice a, struct slice b);

/* Well-formed UTF-8 as in RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF. U+0000 is well-formed. */
bool slice_is_utf8(struct slice s);

/* Length without a code point that is cut off at the end: what to keep of a text that did not fit. */
size_t slice_whole(struct slice s);

/* Number of code points; the text has to be well-formed UTF-8. */
size_t slice_code_points(struct slice s);

#endif
