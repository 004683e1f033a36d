/* One line per event on stderr: a fixed event word first, then key=value pairs (logfmt), or a JSON object.
 *
 *     log_event(LOG_WARN, "postgres_away", "attempt=%d retry_in_ms=%d", 3, 800);
 *
 * The format string holds `key=value` pairs separated by blanks; values that may hold blanks are written as key=%s with
 * log_quote(). No attribute values, no secrets, nothing per command at info. Thread-safe. */
#ifndef BYUNIQUE_LOG_H
#define BYUNIQUE_LOG_H

#include "byunique/err.h"
#include "byunique/slice.h"

struct log_ring;

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level level, enum log_format format);
enum log_level log_level(void);
void log_level_set(enum log_level level);
const char *log_level_name(enum log_level level);
/* Warnings and errors are kept in the ring as well, whatever the level; NULL: no more. The ring has to outlive all threads. */
void log_keep(struct log_ring *ring);
bool log_enabled(enum log_level level);
void log_event(enum log_level level, const char *event, const char *pairs_fmt, ...) BYU_PRINTF(3, 4);

/* The same, shown whatever the level: what was done to the log itself. */
void log_notice(const char *event, const char *pairs_fmt, ...) BYU_PRINTF(2, 3);

/* An error as event: adds verdict, origin, what, detail and hint to the pairs. */
void log_err(enum log_level level, const char *event, const struct err *err);

/* A value fit for the right-hand side of key=value, quoted where needed; lives until the 8th next call of the thread. */
const char *log_quote(struct slice value);
const char *log_quotes(const char *value);

/* True at most once per `interval_ms` for this *last (milliseconds, monotonic; start at 0): limits repeats. */
bool log_limit(int64_t *last_ms, int64_t interval_ms);

#endif
