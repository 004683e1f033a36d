/* Lines are composed in a buffer and leave in one write, so that threads and processes do not mix theirs.
 * JSON is made from the same logfmt pairs: one call site serves both formats. */
#include "byunique/log.h"

#include "byunique/buf.h"
#include "byunique/clock.h"
#include "byunique/log_ring.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_TEXT;
static struct log_ring *_Atomic kept;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_setup(enum log_level level, enum log_format format)
{
	current_level = (int)level;
	current_format = (int)format;
}

enum log_level log_level(void)
{
	return (enum log_level)current_level;
}

void log_level_set(enum log_level level)
{
	current_level = (int)level;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

void log_keep(struct log_ring *ring)
{
	kept = ring;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= current_level;
}

bool log_limit(int64_t *last_ms, int64_t interval_ms)
{
	int64_t now = clock_mono_ms();
	if (*last_ms != 0 && now - *last_ms < interval_ms)
		return false;
	*last_ms = now;
	return true;
}

static void timestamp(char text[32])
{
	int64_t now = clock_wall_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	size_t len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + len, 32 - len, ".%03dZ", (int)(now % 1000));
}

static bool needs_quotes(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.base[i];
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F)
			return true;
	}
	return value.len == 0;
}

static void append_escaped(char *out, size_t size, size_t *len, unsigned char c)
{
	int n = 0;
	if (c == '"' || c == '\\')
		n = snprintf(out + *len, size - *len, "\\%c", c);
	else if (c < ' ' || c == 0x7F)
		n = snprintf(out + *len, size - *len, "\\u%04x", c);
	else
		out[(*len)++] = (char)c;
	*len += (size_t)n;
}

const char *log_quote(struct slice value)
{
	enum { SLOTS = 8, SIZE = 640 };
	static _Thread_local char slots[SLOTS][SIZE];
	static _Thread_local unsigned turn;
	char *out = slots[turn++ % SLOTS];
	bool quoted = needs_quotes(value);
	size_t len = 0;

	if (quoted)
		out[len++] = '"';
	for (size_t i = 0; i < value.len && len < SIZE - 10; i++)
		append_escaped(out, SIZE, &len, (unsigned char)value.base[i]);
	len = slice_whole(slice_of(out, len));
	if (quoted)
		out[len++] = '"';
	out[len] = '\0';
	return out;
}

const char *log_quotes(const char *value)
{
	return log_quote(slice_cstr(value));
}

/* The end of a pair's value, which is a bare word or a quoted string with backslash escapes. */
static const char *value_end(const char *p)
{
	if (*p != '"')
		return p + strcspn(p, " ");
	for (p++; *p != '\0' && *p != '"'; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	return *p == '"' ? p + 1 : p;
}

/* A JSON number as it stands; "007" or "1e" are none. */
static bool is_json_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	if (p == end || (*p == '0' && end - p > 1 && p[1] != '.'))
		return false;
	bool point = false;
	for (const char *c = p; c < end; c++) {
		if (*c == '.' && !point && c > p && c + 1 < end)
			point = true;
		else if (!isdigit((unsigned char)*c))
			return false;
	}
	return true;
}

static void pairs_to_json(struct buf *line, const char *p)
{
	while (*p != '\0') {
		size_t name_len = strcspn(p, "=");
		if (p[name_len] == '\0')
			return;
		const char *value = p + name_len + 1;
		const char *end = value_end(value);
		bool bare = *value == '"' || is_json_number(value, end);
		buf_printf(line, ",\"%.*s\":%s%.*s%s", (int)name_len, p, bare ? "" : "\"", (int)(end - value), value,
			   bare ? "" : "\"");
		p = end + strspn(end, " ");
	}
}

static void compose(struct buf *line, enum log_format format, const char *when, enum log_level level, const char *event,
		    const char *pairs)
{
	buf_clear(line);
	if (format == LOG_JSON) {
		buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", when, level_names[level], event);
		pairs_to_json(line, pairs);
		buf_addc(line, '}');
	} else {
		buf_printf(line, "time=%s level=%s event=%s%s%s", when, level_names[level], event, pairs[0] ? " " : "",
			   pairs);
	}
}

static void put(bool shown, struct log_ring *ring, enum log_level level, const char *event, const char *pairs_fmt,
		va_list args)
{
	char *pairs, when[32];

	if (vasprintf(&pairs, pairs_fmt, args) < 0)
		die("out of memory");
	timestamp(when);

	struct buf line = BUF_EMPTY;
	if (ring != NULL) {
		compose(&line, LOG_JSON, when, level, event, pairs);
		log_ring_add(ring, line.base);
	}
	if (shown) {
		compose(&line, (enum log_format)current_format, when, level, event, pairs);
		buf_addc(&line, '\n');
		ssize_t written = write(STDERR_FILENO, line.base, line.len);
		(void)written; /* nobody is left to tell */
	}
	buf_release(&line);
	free(pairs);
}

void log_event(enum log_level level, const char *event, const char *pairs_fmt, ...)
{
	struct log_ring *ring = level <= LOG_WARN ? kept : NULL;
	bool shown = log_enabled(level);
	va_list args;

	if (!shown && ring == NULL)
		return;
	va_start(args, pairs_fmt);
	put(shown, ring, level, event, pairs_fmt, args);
	va_end(args);
}

void log_notice(const char *event, const char *pairs_fmt, ...)
{
	va_list args;

	va_start(args, pairs_fmt);
	put(true, NULL, LOG_INFO, event, pairs_fmt, args);
	va_end(args);
}

void log_err(enum log_level level, const char *event, const struct err *err)
{
	struct buf pairs = BUF_EMPTY;

	buf_printf(&pairs, "verdict=%s what=%s", verdict_name(err->verdict), log_quotes(err->what));
	if (err->origin[0] != '\0')
		buf_printf(&pairs, " origin=\"%s\"", err->origin); /* a text, also where a SQLSTATE is all digits */
	if (err->detail[0] != '\0')
		buf_printf(&pairs, " detail=%s", log_quotes(err->detail));
	if (err->hint[0] != '\0')
		buf_printf(&pairs, " hint=%s", log_quotes(err->hint));
	log_event(level, event, "%s", pairs.base);
	buf_release(&pairs);
}
