/* A file that others may write to is refused: who can put another password there decides with whom we talk. One that
 * everybody may read is only warned of, as Kubernetes, and Docker, put secrets into a container with just these rights. */
#include "byunique/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_BYTES_MAX = 64 * 1024 };

static bool fail_reading(const char *key, int error, struct err *err)
{
	err_set(err, VERDICT_USAGE, strerrorname_np(error), "%s: the file can't be read", key);
	return err_detail(err, "%s", strerror(error));
}

static bool wrong(struct err *err, const char *key, const char *what)
{
	return err_set(err, VERDICT_USAGE, "", "%s: the file %s", key, what);
}

static bool check_file(const char *key, int fd, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return fail_reading(key, errno, err);
	if (!S_ISREG(status.st_mode))
		return wrong(err, key, "is no regular file");
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return true;
	wrong(err, key, "may be written to by others than its owner");
	err_detail(err, "its mode is %03o", (unsigned)status.st_mode & 0777);
	return err_hint(err, "chmod 600, or 440 for a group that may read it.");
}

static bool read_all(const char *key, int fd, struct buf *secret, struct err *err)
{
	ssize_t got;

	while (secret->len <= SECRET_BYTES_MAX) {
		got = read(fd, buf_reserve(secret, SECRET_BYTES_MAX), SECRET_BYTES_MAX);
		if (got < 0 && errno != EINTR)
			return fail_reading(key, errno, err);
		if (got == 0)
			return true;
		secret->len += got > 0 ? (size_t)got : 0;
	}
	return wrong(err, key, "is too large for a secret");
}

static bool trim(const char *key, struct buf *secret, struct err *err)
{
	while (secret->len > 0 && strchr("\r\n", secret->base[secret->len - 1]) != NULL)
		secret->len--;
	if (secret->len == 0)
		return wrong(err, key, "is empty");
	secret->base[secret->len] = '\0';
	return strlen(secret->base) == secret->len || wrong(err, key, "holds a NUL byte");
}

bool secret_read(const char *key, const char *path, struct buf *secret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe without a writer is no reason to wait */

	buf_clear(secret);
	bool ok = fd >= 0 ? check_file(key, fd, err) && read_all(key, fd, secret, err) && trim(key, secret, err)
			  : fail_reading(key, errno, err);
	if (fd >= 0)
		close(fd);
	if (!ok)
		secret_release(secret);
	return ok;
}

bool secret_is_open(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

void secret_release(struct buf *secret)
{
	if (secret->base != NULL)
		explicit_bzero(secret->base, secret->cap);
	buf_release(secret);
}
