/* Process lists show argv to everybody. What may be a secret in it is overwritten, first of all; the program goes on
 * with a copy. For the moment before, and for shells that keep a history, there are files and the environment. */
#include "byunique/cli.h"

#include "byunique/err.h"
#include "byunique/process.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool holds(const char *text, size_t len, const char *part)
{
	return memmem(text, len, part, strlen(part)) != NULL;
}

/* `name=value`, with or without an option in front: passwords, tokens, keys, and addresses with a password in them. */
static bool is_secret(const char *argument, const char *value)
{
	static const char *const names[] = {"password", "secret", "token", "key.pem", "oauthbearer"};
	size_t name_len = (size_t)(value - argument);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (holds(argument, name_len, names[i]))
			return true;
	if (holds(argument, name_len, "postgres"))
		return strstr(value, "password") != NULL || strchr(value, '@') != NULL;
	return holds(argument, name_len, "registry.url") && strchr(value, '@') != NULL;
}

static void hide(char *argument)
{
	char *value = strchr(argument, '=');

	if (value != NULL && strncmp(argument, "--set=", 6) == 0)
		value = strchr(value + 1, '=');
	if (value != NULL && is_secret(argument, value + 1))
		memset(value + 1, 'x', strlen(value + 1));
}

int main(int argc, char **argv)
{
	char **copies = xcalloc((unsigned long)argc + 1, sizeof(*copies));

	for (int i = 0; i < argc; i++) {
		copies[i] = xstrdup(argv[i]);
		hide(argv[i]);
	}
	int code = cli_main(argc, copies);
	for (int i = 0; i < argc; i++)
		free(copies[i]);
	free(copies);
	if (process_has_left_threads())
		_exit(code); /* output is written by now */
	return code;
}
