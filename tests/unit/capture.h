/* What is written to stderr while a test looks on. */
#ifndef TEST_CAPTURE_H
#define TEST_CAPTURE_H

#include "byunique/buf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct capture {
	int saved, file;
};

static inline struct capture capture_begin(void)
{
	struct capture capture = {.saved = dup(STDERR_FILENO)};
	char path[] = "/tmp/byunique-test-XXXXXX";

	fflush(stderr);
	capture.file = mkstemp(path);
	ASSERT(capture.saved >= 0 && capture.file >= 0);
	unlink(path);
	dup2(capture.file, STDERR_FILENO);
	return capture;
}

/* The text; the caller releases it. */
static inline struct buf capture_end(struct capture *capture)
{
	struct buf text = BUF_EMPTY;
	off_t size;

	fflush(stderr);
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	size = lseek(capture->file, 0, SEEK_END);
	ASSERT(pread(capture->file, buf_reserve(&text, (size_t)size), (size_t)size, 0) == size);
	text.len = (size_t)size;
	text.base[size] = '\0';
	close(capture->file);
	return text;
}

#endif
