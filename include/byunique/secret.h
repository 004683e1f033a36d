/* Secrets that lie in files of their own. Read whenever they are needed, so that they may be renewed. */
#ifndef BYUNIQUE_SECRET_H
#define BYUNIQUE_SECRET_H

#include "byunique/buf.h"
#include "byunique/err.h"

/* What the file holds, without line ends behind it, into the buffer, which is cleared first. Errors (VERDICT_USAGE) name the
 * key, never what was read: the file can't be read, is no regular file, is empty, larger than 64 KiB or holds a NUL byte, or
 * others than its owner may write to it. */
bool secret_read(const char *key, const char *path, struct buf *secret, struct err *err) BYU_MUST_CHECK;
/* May everybody on the machine read it? False also when there is no such file. */
bool secret_is_open(const char *path);
/* Overwrites what the buffer holds, then frees it. */
void secret_release(struct buf *secret);

#endif
