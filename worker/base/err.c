/* Errors are plain values of the caller's, so that returning one costs nothing and nothing has to be freed. */
#include "byunique/err.h"

#include "byunique/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[] = {
	[VERDICT_NONE] = "none",       [VERDICT_RETRY] = "retry",   [VERDICT_HALVE] = "halve",
	[VERDICT_RECONNECT] = "reconnect", [VERDICT_PAUSE] = "pause",   [VERDICT_PREPARE] = "prepare",
	[VERDICT_BISECT] = "bisect",   [VERDICT_REJOIN] = "rejoin", [VERDICT_REFUSE] = "refuse",
	[VERDICT_STOP] = "stop",       [VERDICT_USAGE] = "usage",
};

const char *verdict_name(enum verdict verdict)
{
	return verdict_names[verdict];
}

/* One line: what libraries say may hold line breaks and trailing blanks. */
static void make_one_line(char *text)
{
	size_t end = 0;
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (text[i] == '\n' || text[i] == '\r' || text[i] == '\t')
			text[i] = ' ';
		if (text[i] != ' ')
			end = i + 1;
	}
	text[end] = '\0';
}

/* Length of the well-formed code point at the beginning, 0 if there is none. */
static size_t code_point_len(const char *text)
{
	for (size_t len = 1; len <= 4 && text[len - 1] != '\0'; len++)
		if (slice_is_utf8(slice_of(text, len)))
			return len;
	return 0;
}

/* UTF-8: a server may say things in another encoding, and "%.40s" may cut a character in two. */
static void make_utf8(char *text)
{
	size_t len;

	if (slice_is_utf8(slice_cstr(text)))
		return;
	for (char *at = text; *at != '\0'; at += len ? len : 1) {
		len = code_point_len(at);
		if (len == 0)
			*at = '?';
	}
}

/* What does not fit is cut off, but no character is torn apart. */
static void fill(char *text, size_t size, const char *fmt, va_list args)
{
	int len = vsnprintf(text, size, fmt, args);
	if (len < 0 || (size_t)len >= size)
		text[slice_whole(slice_cstr(text))] = '\0';
	make_one_line(text);
	make_utf8(text);
}

bool err_set(struct err *err, enum verdict verdict, const char *origin, const char *fmt, ...)
{
	va_list args;

	err->verdict = verdict;
	snprintf(err->origin, sizeof(err->origin), "%s", origin ? origin : ""); /* names and codes: ASCII */
	err->detail[0] = '\0';
	err->hint[0] = '\0';
	va_start(args, fmt);
	fill(err->what, sizeof(err->what), fmt, args);
	va_end(args);
	return false;
}

bool err_detail(struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fill(err->detail, sizeof(err->detail), fmt, args);
	va_end(args);
	return false;
}

bool err_hint(struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fill(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
	return false;
}

void err_print(const struct err *err)
{
	fprintf(stderr, "byunique: %s", err->what);
	if (err->origin[0] != '\0')
		fprintf(stderr, " (%s)", err->origin);
	fputc('\n', stderr);
	if (err->detail[0] != '\0')
		fprintf(stderr, "DETAIL: %s\n", err->detail);
	if (err->hint[0] != '\0')
		fprintf(stderr, "HINT: %s\n", err->hint);
}

void die(const char *fmt, ...)
{
	va_list args;

	fputs("byunique: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

void *xmalloc(unsigned long size)
{
	void *memory = malloc(size ? size : 1);
	if (memory == NULL)
		die("out of memory: %lu bytes wanted", size);
	return memory;
}

void *xcalloc(unsigned long count, unsigned long size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);
	if (memory == NULL)
		die("out of memory: %lu times %lu bytes wanted", count, size);
	return memory;
}

void *xrealloc(void *old, unsigned long size)
{
	void *memory = realloc(old, size ? size : 1);
	if (memory == NULL)
		die("out of memory: %lu bytes wanted", size);
	return memory;
}

char *xstrdup(const char *s)
{
	size_t size = strlen(s) + 1;
	return memcpy(xmalloc(size), s, size);
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		die("out of memory");
	return text;
}
