/* Trouble with the infrastructure, the configuration or the usage: never a bad command, which is a value (outcome.h).
 *
 * A fallible function returns false after filling the caller's `struct err`; who gets one returns it or logs it, never
 * both. The verdict says what the pipeline does about it and is set where the error is born. */
#ifndef BYUNIQUE_ERR_H
#define BYUNIQUE_ERR_H

#include <stdbool.h>

#define BYU_MUST_CHECK __attribute__((warn_unused_result))
#define BYU_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum verdict {
	VERDICT_NONE = 0,
	VERDICT_RETRY,	   /* the whole batch again, after a jittered pause */
	VERDICT_HALVE,	   /* again with half of the batch; a single command: pause and again */
	VERDICT_RECONNECT, /* the connection is gone: reconnect with back-off, then find out what became of COMMIT */
	VERDICT_PAUSE,	   /* out of space or the like: pause and alarm, the commands wait */
	VERDICT_PREPARE,   /* prepared statements are stale: prepare again, then the batch again */
	VERDICT_BISECT,	   /* one command of the batch is refused by the database: find it */
	VERDICT_REJOIN,	   /* this worker's hold on its partitions or its producer is lost: leave, start afresh */
	VERDICT_REFUSE,	   /* one partition can't be processed: refuse it, go on with the others */
	VERDICT_STOP,	   /* nothing here helps: end the process, exit 1 */
	VERDICT_USAGE,	   /* wrong usage or configuration: exit 2 */
};

struct err {
	enum verdict verdict;
	char origin[40];  /* SQLSTATE, librdkafka error name, errno name …; may be empty */
	char what[256];	  /* one line, no full stop, no attribute values */
	char detail[512]; /* facts; may be empty; no attribute values */
	char hint[256];	  /* what to do; may be empty */
};

/* Fill *err (detail and hint are cleared). Always returns false, so that `return err_set(...)` reads well. */
bool err_set(struct err *err, enum verdict verdict, const char *origin, const char *fmt, ...) BYU_PRINTF(4, 5);
bool err_detail(struct err *err, const char *fmt, ...) BYU_PRINTF(2, 3); /* returns false */
bool err_hint(struct err *err, const char *fmt, ...) BYU_PRINTF(2, 3);	 /* returns false */

const char *verdict_name(enum verdict verdict);

/* Print "byunique: what", "DETAIL: …", "HINT: …" on stderr: for commands that end with the error. */
void err_print(const struct err *err);

/* Out of memory or a broken invariant: one line on stderr, then abort(). */
_Noreturn void die(const char *fmt, ...) BYU_PRINTF(1, 2);
#define ASSERT(cond) ((cond) ? (void)0 : die("%s:%d: broken invariant: %s", __FILE__, __LINE__, #cond))

/* malloc and friends that end the process when memory is out. */
void *xmalloc(unsigned long size);
void *xcalloc(unsigned long count, unsigned long size);
void *xrealloc(void *old, unsigned long size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) BYU_PRINTF(1, 2);

#endif
