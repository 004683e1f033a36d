/* The first line of a CSV file: the columns' names. */
#ifndef CLI_HEADER_H
#define CLI_HEADER_H

#include "byunique/csv.h"

struct header {
	char **names; /* without blanks around them; owned */
	size_t count;
	uint64_t line;
};

/* Errors: there is none, a column has no name, two have the same (names are not case-sensitive). */
bool header_read(struct csv *csv, struct header *header, struct err *err) BYU_MUST_CHECK;
int header_find(const struct header *header, const char *name); /* index without case, or -1 */
void header_release(struct header *header);

/* What is wrong with a line of a file: "FILE:LINE: …". Returns false. */
bool line_error(struct err *err, const char *file, uint64_t line, const char *fmt, ...) BYU_PRINTF(4, 5);

#endif
