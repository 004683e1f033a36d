/* One line, drawn over itself; no library is kept for this in Debian. */
#include "progress.h"

#include "byunique/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { INTERVAL_MS = 100, DEFAULT_COLUMNS = 80, BAR_MOST = 40 };

static bool is_terminal(int fd)
{
	const char *terminal = getenv("TERM");
	return isatty(fd) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

bool may_colour(int fd)
{
	const char *no_colour = getenv("NO_COLOR");
	return is_terminal(fd) && (no_colour == NULL || no_colour[0] == '\0');
}

const char *group_digits(int64_t number, char text[32])
{
	char plain[24];
	int len = snprintf(plain, sizeof(plain), "%" PRId64, number), to = 0;

	for (int i = 0; i < len; i++) {
		text[to++] = plain[i];
		if (i + 1 < len && (len - i - 1) % 3 == 0 && plain[i] != '-')
			text[to++] = ',';
	}
	text[to] = '\0';
	return text;
}

void progress_begin(struct progress *progress, const char *label, int64_t total)
{
	*progress = (struct progress){
		.label = label,
		.total = total,
		.begun_ms = clock_mono_ms(),
		.visible = is_terminal(STDERR_FILENO),
		.coloured = may_colour(STDERR_FILENO),
	};
}

void progress_go_on(struct progress *progress, const char *label, int64_t total, int64_t before)
{
	progress_begin(progress, label, total);
	progress->before = before;
}

static int columns(void)
{
	struct winsize size;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_COLUMNS;
}

/* "  1:05 left", when that can be told. */
static int describe_rest(const struct progress *progress, int64_t done, int64_t elapsed_ms, char *text, size_t size)
{
	enum { SOON_MS = 1000 };

	text[0] = '\0';
	if (done <= progress->before || done >= progress->total || elapsed_ms < SOON_MS)
		return 0;
	double each_ms = (double)elapsed_ms / (double)(done - progress->before);
	int64_t left = (int64_t)(each_ms * (double)(progress->total - done) / 1000) + 1;
	if (left >= 3600)
		return snprintf(text, size, "  %" PRId64 ":%02d:%02d left", left / 3600, (int)(left / 60 % 60), (int)(left % 60));
	return snprintf(text, size, "  %d:%02d left", (int)(left / 60), (int)(left % 60));
}

/* What stands right of the bar. */
static int describe(const struct progress *progress, int64_t done, int64_t now_ms, char *text, size_t size)
{
	char count[32], total[32], rate[32];
	int64_t elapsed_ms = now_ms - progress->begun_ms;

	group_digits(done, count);
	group_digits(elapsed_ms > 0 ? (done - progress->before) * 1000 / elapsed_ms : 0, rate);
	if (progress->total == 0)
		return snprintf(text, size, "%s  %s/s", count, rate);
	group_digits(progress->total, total);
	int len = snprintf(text, size, "%3d %%  %s of %s  %s/s", (int)(done * 100 / progress->total), count, total, rate);
	return len + describe_rest(progress, done, elapsed_ms, text + len, size - (size_t)len);
}

static void draw(const struct progress *progress, int64_t done, int64_t now_ms)
{
	char text[160];
	int room = columns() - (int)strlen(progress->label) - describe(progress, done, now_ms, text, sizeof(text)) - 8;
	int bar = room > BAR_MOST ? BAR_MOST : room;

	fprintf(stderr, "\r  %s  ", progress->label);
	if (progress->total > 0 && bar > 4) {
		int full = (int)(done >= progress->total ? bar : done * bar / progress->total);
		fputs(progress->coloured ? "[\033[32m" : "[", stderr);
		for (int i = 0; i < bar; i++)
			fputc(i < full ? '#' : '.', stderr);
		fputs(progress->coloured ? "\033[0m]  " : "]  ", stderr);
	}
	fprintf(stderr, "%s\033[K", text);
}

void progress_show(struct progress *progress, int64_t done)
{
	if (!progress->visible)
		return;
	int64_t now_ms = clock_mono_ms();
	if (now_ms - progress->drawn_ms < INTERVAL_MS)
		return;
	progress->drawn_ms = now_ms;
	draw(progress, done, now_ms);
}

void progress_clear(struct progress *progress)
{
	if (progress == NULL || !progress->visible || progress->drawn_ms == 0)
		return;
	fputs("\r\033[K", stderr);
	progress->drawn_ms = 0;
}

void progress_end(struct progress *progress)
{
	progress_clear(progress);
	progress->visible = false;
}
