/* Shared by the fuzz targets. */
#ifndef FUZZ_H
#define FUZZ_H

#include "byunique/err.h"
#include "byunique/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that has to hold for every input; what failed is said and the input kept. */
#define HOLDS(cond) ((cond) ? (void)0 : die("%s:%d: does not hold: %s", __FILE__, __LINE__, #cond))

/* The input as a file, for what reads files: its path, the same each time. */
static inline const char *fuzz_file(const void *data, size_t size)
{
	static int fd = -1;
	static char path[40];

	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		HOLDS(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	HOLDS(ftruncate(fd, 0) == 0);
	HOLDS(size == 0 || pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

/* An error has a verdict and one line that says what, in UTF-8 whatever the input was. */
static inline void check_error(const struct err *err)
{
	HOLDS(err->verdict != VERDICT_NONE);
	HOLDS(err->what[0] != '\0');
	HOLDS(strpbrk(err->what, "\r\n\t") == NULL && strpbrk(err->detail, "\r\n\t") == NULL);
	HOLDS(slice_is_utf8(slice_cstr(err->what)) && slice_is_utf8(slice_cstr(err->detail)));
}

#endif
