/* A text file, or standard input, read through a window that slides over it: what constant memory takes. A byte order
 * mark at the beginning is passed over. */
#ifndef MODEL_INPUT_H
#define MODEL_INPUT_H

#include "byunique/buf.h"

struct input {
	char *name; /* for messages; owned */
	int fd;	    /* -1 when closed; standard input is not ours to close */
	bool ended;    /* nothing will come after what the window holds */
	bool had_mark; /* it began with a byte order mark */
	struct buf window;
	size_t passed; /* bytes of the window that are done with */
};

/* `path` "-" is standard input. A file that can't be read is an error with VERDICT_USAGE. */
bool input_open(struct input *input, const char *path, struct err *err) BYU_MUST_CHECK;
/* Read more into the window. Offsets into input_rest() stay right, pointers do not. At the end sets `ended`. */
bool input_more(struct input *input, struct err *err) BYU_MUST_CHECK;
void input_close(struct input *input);
/* At least so many bytes in input_rest(), unless the input ends before. */
bool input_fill(struct input *input, size_t len, struct err *err) BYU_MUST_CHECK;

/* What was read and is not yet done with. The bytes may be written to. */
static inline struct slice input_rest(const struct input *input)
{
	return slice_of(input->window.base ? input->window.base + input->passed : "",
			input->window.len - input->passed);
}

static inline void input_pass(struct input *input, size_t len)
{
	input->passed += len;
}

#endif
