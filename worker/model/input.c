/* read(2) into a buffer of our own: the readers look for the end of a record first and then work on it in place, which
 * stdio would make two copies of. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_BYTES = 256 * 1024 };

static bool cannot_read(const struct input *input, struct err *err)
{
	int error = errno;

	err_set(err, VERDICT_USAGE, strerrorname_np(error), "%s can't be read", input->name);
	return err_detail(err, "%s", strerror(error));
}

static void pass_byte_order_mark(struct input *input)
{
	static const char mark[] = "\xEF\xBB\xBF";
	struct slice rest = input_rest(input);

	input->had_mark = rest.len >= 3 && memcmp(rest.base, mark, 3) == 0;
	if (input->had_mark)
		input_pass(input, 3);
}

bool input_open(struct input *input, const char *path, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;

	*input = (struct input){.name = xstrdup(is_stdin ? "standard input" : path), .fd = STDIN_FILENO};
	if (!is_stdin)
		input->fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = (input->fd >= 0 || cannot_read(input, err)) && input_fill(input, 3, err);
	if (ok)
		pass_byte_order_mark(input);
	else
		input_close(input);
	return ok;
}

/* The window grows only while a record is longer than it: what was passed makes room first. */
static void drop_passed(struct input *input)
{
	struct slice rest = input_rest(input);

	if (input->passed == 0)
		return;
	memmove(input->window.base, rest.base, rest.len);
	input->window.len = rest.len;
	input->passed = 0;
}

bool input_more(struct input *input, struct err *err)
{
	ssize_t got;

	if (input->ended)
		return true;
	drop_passed(input);
	char *end = buf_reserve(&input->window, BLOCK_BYTES);
	while ((got = read(input->fd, end, BLOCK_BYTES)) < 0)
		if (errno != EINTR)
			return cannot_read(input, err);
	input->window.len += (size_t)got;
	input->ended = got == 0;
	return true;
}

bool input_fill(struct input *input, size_t len, struct err *err)
{
	while (!input->ended && input_rest(input).len < len)
		if (!input_more(input, err))
			return false;
	return true;
}

void input_close(struct input *input)
{
	if (input->fd > STDIN_FILENO)
		close(input->fd);
	free(input->name);
	buf_release(&input->window);
	*input = (struct input){.fd = -1};
}
