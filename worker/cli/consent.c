/* A prompt goes to stderr, as stdout may be a file, and is never shown to a program. */
#include "cli/consent.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

bool consent_check(const struct cli_args *args, struct err *err)
{
	bool can_ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);

	if (cli_flag(args, "yes") || cli_flag(args, "dry-run") || can_ask)
		return true;
	err_set(err, VERDICT_USAGE, "", "there is no terminal to ask on");
	return err_hint(err, "Look with --dry-run, then give --yes.");
}

bool consent_ask(const struct cli_args *args, const char *fmt, ...)
{
	char line[16] = "";
	va_list list;

	if (cli_flag(args, "yes"))
		return true;
	va_start(list, fmt);
	vfprintf(stderr, fmt, list);
	va_end(list);
	fputs(" [y/N] ", stderr);
	return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}
