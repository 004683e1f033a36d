/* A progress bar on stderr, where that is a terminal; else nothing. Colour unless NO_COLOR is set. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *label; /* borrowed */
	int64_t total;	   /* 0: not known */
	int64_t before;	   /* of these, done before it began: they tell nothing of the rate */
	int64_t begun_ms, drawn_ms;
	bool visible, coloured;
};

void progress_begin(struct progress *progress, const char *label, int64_t total);
/* The same for what is partly done already. */
void progress_go_on(struct progress *progress, const char *label, int64_t total, int64_t before);
/* Draws at most ten times a second: cheap enough to be called for each item. */
void progress_show(struct progress *progress, int64_t done);
/* Before a line is printed: the next progress_show() draws again. NULL is fine. */
void progress_clear(struct progress *progress);
void progress_end(struct progress *progress); /* the line is cleared */

/* "1234567" → "1,234,567". Returns text. */
const char *group_digits(int64_t number, char text[32]);
/* May output to this descriptor be coloured? */
bool may_colour(int fd);

#endif
