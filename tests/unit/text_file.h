/* A text as something to read: a file, or a pipe that gives it byte by byte, so that every place is a border once. */
#ifndef TEST_TEXT_FILE_H
#define TEST_TEXT_FILE_H

#include "byunique/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct text_file {
	char path[64];
	int fd;	   /* of the pipe */
	pid_t pid; /* of its writer; 0: a file */
};

static inline void write_all(int fd, struct slice text, size_t step)
{
	for (size_t at = 0; at < text.len; at += step)
		if (write(fd, text.base + at, text.len - at < step ? text.len - at : step) < 0)
			_exit(1);
}

static inline struct text_file text_file(struct slice text)
{
	struct text_file file = {.path = "/tmp/byunique-test-XXXXXX"};
	file.fd = mkstemp(file.path);
	if (file.fd < 0)
		abort();
	write_all(file.fd, text, text.len ? text.len : 1);
	return file;
}

static inline struct text_file text_pipe(struct slice text)
{
	struct text_file file = {.fd = -1};
	int ends[2];
	if (pipe(ends) != 0)
		abort();
	file.pid = fork();
	if (file.pid == 0) {
		close(ends[0]);
		write_all(ends[1], text, 1);
		_exit(0);
	}
	close(ends[1]);
	file.fd = ends[0];
	snprintf(file.path, sizeof(file.path), "/dev/fd/%d", file.fd);
	return file;
}

static inline void text_file_remove(struct text_file *file)
{
	close(file->fd);
	if (file->pid != 0)
		waitpid(file->pid, NULL, 0);
	else
		unlink(file->path);
}

#endif
