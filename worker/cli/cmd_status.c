/* status: how far the work is. Looks from outside, so it works while no worker runs, and with a role that may only read. */
#include "byunique/cli.h"

#include "byunique/clock.h"
#include "byunique/signals.h"
#include "progress.h"
#include "status_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char help[] =
	"Examples:\n"
	"  byunique status\n"
	"  byunique status --watch\n"
	"  byunique status --json | jq '.partitions[] | select(.lag > 1000)'\n"
	"\n"
	"For each partition of the commands topic: the member of the group that has it, the position (the next\n"
	"offset to be stored in PostgreSQL), the offset committed by the group, how many messages are stored whose\n"
	"results are not known to be published, where the log starts and ends, and the lag, which is what lies between\n"
	"position and log end. A partition that a worker would refuse says why. Then the outcomes of the last hour\n"
	"(or of less, when there were very many), and the last errors: when, where and what, no values.\n"
	"\n"
	"Needs no worker, and a database role that may read position, outcome, refusal and migration. With --json it\n"
	"prints an object; with --watch as well, one on a line each second. Times are milliseconds since 1970.\n"
	"--watch draws anew each second until interrupted; where standard output is no terminal, it prints one\n"
	"report after the other.";

static const struct option_spec options[] = {
	{"watch", NULL, "again each second, until interrupted"},
	{"json", NULL, "print JSON"},
	{NULL, NULL, NULL},
};

enum { WATCH_MS = 1000, RECENT_MS = 5000 };

struct watch {
	const struct config *config;
	bool json, is_screen, coloured;
	struct group_observer *observer;
	struct pg *pg;
	struct arena arena; /* of one report */

	struct report_recent recent;
	int64_t recent_at_ms;		     /* monotonic; 0: not yet */
	int64_t position, position_at_ms; /* of the report before; position_at_ms 0: there is none */
};

/* --- one report ------------------------------------------------------------------------------------------------------------ */

static bool connect(struct watch *watch, struct err *err)
{
	const struct config *config = watch->config;

	if (watch->observer == NULL && !group_observer_open(&watch->observer, config, err))
		return false;
	if (watch->pg != NULL)
		return true;
	if (!pg_open(&watch->pg, config, "byunique status", err))
		return false;
	if (pg_check_version(watch->pg, err))
		return true;
	pg_close(watch->pg);
	watch->pg = NULL;
	return false;
}

/* While watching, what was done since the report before; else what was stored in the last minute. */
static void find_rate(struct watch *watch, struct report *report)
{
	int64_t now_ms = clock_mono_ms(), passed_ms = now_ms - watch->position_at_ms;

	if (watch->position_at_ms != 0 && passed_ms > 0 && report->position >= watch->position)
		report->rate = (double)(report->position - watch->position) * 1000.0 / (double)passed_ms;
	else if (watch->recent.minute_ms > 0)
		report->rate = (double)watch->recent.minute_messages * 1000.0 / (double)watch->recent.minute_ms;
	watch->position = report->position;
	watch->position_at_ms = now_ms;
}

static bool look(struct watch *watch, struct buf *out, struct err *err)
{
	struct report report;
	int64_t now_ms = clock_mono_ms();

	arena_clear(&watch->arena);
	if (!connect(watch, err) ||
	    !report_gather(watch->config, watch->observer, watch->pg, &watch->arena, &report, err))
		return false;
	if (watch->recent_at_ms == 0 || now_ms - watch->recent_at_ms >= RECENT_MS) {
		if (!report_gather_recent(watch->pg, &report, &watch->recent, err))
			return false;
		watch->recent_at_ms = now_ms;
	}
	find_rate(watch, &report);
	if (watch->json)
		report_json(&report, &watch->recent, out);
	else
		report_text(&report, &watch->recent, watch->coloured, out);
	return true;
}

static void write_out(const struct buf *out)
{
	fwrite(out->base, 1, out->len, stdout);
	fflush(stdout);
}

static bool look_once(struct watch *watch, struct err *err)
{
	struct buf out = BUF_EMPTY;
	bool ok = look(watch, &out, err);

	if (ok)
		write_out(&out);
	buf_release(&out);
	return ok;
}

/* --- again and again --------------------------------------------------------------------------------------------------------- */

static void window_size(unsigned *columns, unsigned *rows)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

	*columns = known ? size.ws_col : 80;
	*rows = known ? size.ws_row : 24;
}

/* The bytes of a line that fit, colours taking no room. */
static size_t cut_line(const char *line, size_t len, unsigned columns)
{
	unsigned used = 0;
	size_t i = 0;

	while (i < len && used < columns) {
		if (line[i] == '\033') {
			while (i < len && line[i] != 'm')
				i++;
			i++;
			continue;
		}
		do
			i++;
		while (i < len && ((unsigned char)line[i] & 0xC0) == 0x80);
		used++;
	}
	return i < len ? i : len;
}

/* Over what is there, so that nothing flickers: each line is cleared behind its end. */
static void draw(const struct buf *text)
{
	struct buf frame = BUF_EMPTY;
	unsigned columns, rows, row = 0;
	const char *line = text->base, *end = text->base + text->len;

	window_size(&columns, &rows);
	buf_adds(&frame, "\033[H");
	for (; line < end && row < rows; row++) {
		size_t len = strcspn(line, "\n");
		buf_adds(&frame, row > 0 ? "\r\n" : "");
		buf_add(&frame, line, cut_line(line, len, columns));
		buf_adds(&frame, "\033[m\033[K");
		line += len + 1;
	}
	buf_adds(&frame, "\033[J");
	write_out(&frame);
	buf_release(&frame);
}

static void error_text(const struct err *err, struct buf *out)
{
	buf_printf(out, "byunique: %s\n", err->what);
	if (err->detail[0] != '\0')
		buf_printf(out, "DETAIL: %s\n", err->detail);
	if (err->hint[0] != '\0')
		buf_printf(out, "HINT: %s\n", err->hint);
}

/* What is away now may come back. */
static void look_again(struct watch *watch)
{
	struct buf out = BUF_EMPTY;
	struct err err;
	bool ok = look(watch, &out, &err);

	if (!ok) {
		pg_close(watch->pg);
		watch->pg = NULL;
		watch->recent_at_ms = watch->position_at_ms = 0;
		buf_clear(&out);
		if (watch->is_screen)
			error_text(&err, &out);
		else
			err_print(&err);
	}
	if (watch->is_screen)
		draw(&out);
	else if (ok)
		write_out(&out);
	buf_release(&out);
}

static void wait_a_second(void)
{
	enum { STEP_MS = 50 };

	for (int waited_ms = 0; waited_ms < WATCH_MS && !signals_stop_requested(); waited_ms += STEP_MS)
		clock_sleep_ms(STEP_MS);
}

/* What can't be had at the very start is an error as without --watch. */
static bool look_on(struct watch *watch, struct err *err)
{
	const char *terminal = getenv("TERM");

	watch->is_screen = !watch->json && isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
	if (!connect(watch, err))
		return false;
	if (watch->is_screen)
		fputs("\033[?1049h\033[?25l", stdout); /* another screen, no cursor */
	for (bool first = true; !signals_stop_requested() && !ferror(stdout); first = false) {
		if (!first && !watch->json && !watch->is_screen)
			putchar('\n');
		look_again(watch);
		wait_a_second();
	}
	if (watch->is_screen)
		fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	return true;
}

/* --- the command --------------------------------------------------------------------------------------------------------------- */

static int run(const struct cli_args *args)
{
	struct watch watch = {.config = args->config, .json = cli_flag(args, "json")};
	struct err err;

	watch.coloured = !watch.json && may_colour(STDOUT_FILENO);
	arena_init(&watch.arena);
	if (cli_flag(args, "watch"))
		signals_install();
	bool ok = cli_flag(args, "watch") ? look_on(&watch, &err) : look_once(&watch, &err);
	pg_close(watch.pg);
	group_observer_close(watch.observer);
	arena_release(&watch.arena);
	return ok ? EXIT_DONE : cli_fail(&err);
}

const struct cli_command cmd_status = {
	.name = "status",
	.summary = "how far the work is: positions, lag, throughput, errors",
	.synopsis = "[--watch] [--json]",
	.help = help,
	.options = options,
	.needs_config = true,
	.run = run,
};
