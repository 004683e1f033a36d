/* What can be said of the settings before anybody is asked. libpq's own messages may quote a connection string that it
 * can't read, password included, and when it does read one, it may take a part of the password for something else, which it
 * then tells: of postgresql://u:pa@ss@host/db it looks for the host "ss@host". So such strings never get that far. */
#include "internal.h"

#include <ctype.h>

static const char written_like[] =
	"Write it like: host=db.example dbname=crm user=byunique, or postgresql://byunique@db.example/crm";

static bool is_uri(const char *text)
{
	return strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val != NULL)
			return options->val;
	return "";
}

/* Several ports are separated by commas. */
static bool is_port(const char *text)
{
	while (isdigit((unsigned char)*text) || *text == ',')
		text++;
	return *text == '\0';
}

static bool check_uri(const PQconninfoOption *options, struct err *err)
{
	if (strchr(value_of(options, "host"), '@') == NULL && strchr(value_of(options, "dbname"), '@') == NULL &&
	    is_port(value_of(options, "port")))
		return true;
	err_set(err, VERDICT_USAGE, "", "postgres is not a valid libpq connection string");
	err_detail(err, "the address can be read in more than one way");
	return err_hint(err, "In a user's name or password write @ as %%40, : as %%3A, / as %%2F, ? as %%3F, # as %%23,"
			     " or give the password by postgres.password.file.");
}

static bool check_password(const struct config *config, const PQconninfoOption *options, struct err *err)
{
	bool file = config->postgres_password_file[0] != '\0', key = config->postgres_password[0] != '\0';

	if (key && file)
		return err_set(err, VERDICT_USAGE, "", "postgres.password: give either the password or its file");
	if ((key || file) && value_of(options, "password")[0] != '\0')
		return err_set(err, VERDICT_USAGE, "", "postgres.password%s: there is a password in `postgres` as well",
			       file ? ".file" : "");
	return true;
}

bool pg_check_conninfo(const struct config *config, struct err *err)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(config->postgres, &message);

	if (options == NULL) {
		PQfreemem(message);
		err_set(err, VERDICT_USAGE, "", "postgres is not a valid libpq connection string");
		return err_hint(err, "%s", written_like);
	}
	bool ok = (!is_uri(config->postgres) || check_uri(options, err)) && check_password(config, options, err);
	PQconninfoFree(options);
	return ok;
}
