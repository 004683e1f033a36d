/* One way in: every source, be it a line, a variable or an option, ends in assign(), and what a key takes is the
 * table's business (config_keys.h). A source is read to its first mistake, and a configuration with a mistake is none
 * at all.
 *
 * Variables are looked for in the environment, not the other way round, so that a misspelt one is noticed. */
#include "byunique/config.h"

#include "base/config_keys.h"
#include "byunique/kafka_properties.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE_PREFIX	      "BYUNIQUE_"
#define FILE_VARIABLE_SUFFIX  "_FILE"
#define KAFKA_VARIABLE_PREFIX VARIABLE_PREFIX "KAFKA_"
#define TEST_PREFIX	      VARIABLE_PREFIX "TEST_" /* left to the tests */

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Puts in front of an error where it comes from. */
static bool locate(struct err *err, const char *source)
{
	char *what = xasprintf("%s: %s", source, err->what);

	snprintf(err->what, sizeof(err->what), "%s", what);
	free(what);
	return false;
}

static bool assign(struct config *config, const char *name, const char *value, const char *source, struct err *err)
{
	return config_set(config, name, value, source, err) || locate(err, source);
}

/* --- the file and -X --------------------------------------------------------------------------------------------- */

static char *trim(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text + strspn(text, " \t");
}

/* "key = value", cut up in place. */
static bool assign_pair(struct config *config, char *pair, const char *source, struct err *err)
{
	char *name = trim(pair), *equals = strchr(name, '=');

	if (equals == NULL || equals == name)
		return err_set(err, VERDICT_USAGE, "", "%s: there is no `key = value`", source);
	*equals = '\0';
	return assign(config, trim(name), trim(equals + 1), source, err);
}

static bool read_line(struct config *config, char *line, size_t len, const char *source, struct err *err)
{
	if (strlen(line) != len)
		return err_set(err, VERDICT_USAGE, "", "%s: there is a NUL byte: this is no text file", source);
	char *text = trim(line);
	return *text == '\0' || *text == '#' || assign_pair(config, text, source, err);
}

static bool fail_file(const char *path, struct err *err)
{
	int error = errno;

	err_set(err, VERDICT_USAGE, strerrorname_np(error), "the configuration file %s can't be read", path);
	err_detail(err, "%s", strerror(error));
	return error == ENOENT && err_hint(err, "`byunique help config --sample` prints one to begin with.");
}

static bool read_lines(struct config *config, FILE *file, const char *path, struct err *err)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	bool ok = true;

	for (int number = 1; ok && (len = getline(&line, &size, file)) >= 0; number++) {
		size_t skip = number == 1 && starts_with(line, byte_order_mark) ? strlen(byte_order_mark) : 0;
		char *source = xasprintf("%s:%d", path, number);
		ok = read_line(config, line + skip, (size_t)len - skip, source, err);
		free(source);
	}
	free(line);
	return ok && (!ferror(file) || fail_file(path, err));
}

static bool read_file(struct config *config, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return fail_file(path, err);
	bool ok = read_lines(config, file, path, err);
	fclose(file);
	return ok;
}

static bool read_overrides(struct config *config, const char *const *overrides, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		char *pair = xstrdup(overrides[i]);
		bool ok = assign_pair(config, pair, "-X", err);
		free(pair);
		if (!ok)
			return false;
	}
	return true;
}

/* --- the environment --------------------------------------------------------------------------------------------- */

/* The key's variable, in the buffer. */
static char *variable_of(const char *key, struct buf *buf)
{
	buf_clear(buf);
	buf_adds(buf, VARIABLE_PREFIX);
	for (; *key != '\0'; key++)
		buf_addc(buf, *key == '.' ? '_' : (char)toupper((unsigned char)*key));
	return buf->base;
}

/* Kubernetes gives every container variables about the services around it: of one called byunique, or byunique-admin,
 * they begin like ours. */
static bool is_of_kubernetes(const char *variable)
{
	const char *port = strstr(variable, "_PORT");

	if (strstr(variable, "_SERVICE_HOST") != NULL || strstr(variable, "_SERVICE_PORT") != NULL)
		return true;
	return port != NULL && (port[5] == '\0' || (port[5] == '_' && isdigit((unsigned char)port[6])));
}

/* "SASL_PASSWORD", or "SASL_PASSWORD_FILE", is the property's name, or that and ".file". */
static bool kafka_key_of_variable(const char *variable, struct buf *key)
{
	size_t len = strlen(variable), suffix_len = strlen(FILE_VARIABLE_SUFFIX);
	const char *property = kafka_property_of_variable(variable), *suffix = "";

	if (property == NULL && len > suffix_len && strcmp(variable + len - suffix_len, FILE_VARIABLE_SUFFIX) == 0) {
		char *name = xasprintf("%.*s", (int)(len - suffix_len), variable);
		property = kafka_property_of_variable(name);
		suffix = FILE_SUFFIX;
		free(name);
	}
	if (property != NULL)
		buf_printf(key, KAFKA_PREFIX "%s%s", property, suffix);
	return property != NULL;
}

/* *key is the key that a variable means, in the buffer; false when there is none. */
static bool key_of_variable(const char *variable, struct buf *key)
{
	struct buf name = BUF_EMPTY;
	bool found = false;

	buf_clear(key);
	if (starts_with(variable, KAFKA_VARIABLE_PREFIX))
		return kafka_key_of_variable(variable + strlen(KAFKA_VARIABLE_PREFIX), key);
	for (size_t i = 0; !found && config_key(i) != NULL; i++) {
		found = strcmp(variable_of(config_key(i), &name), variable) == 0;
		if (found)
			buf_adds(key, config_key(i));
	}
	buf_release(&name);
	return found;
}

static bool fail_unknown_variable(const char *variable, struct err *err)
{
	struct nearest nearest;
	struct buf known = BUF_EMPTY;
	char *name = xstrdup(variable + strlen(VARIABLE_PREFIX));

	for (char *c = name; *c != '\0'; c++)
		*c = *c == '_' ? '.' : *c;
	config_nearest(&nearest, name);
	err_set(err, VERDICT_USAGE, "", "%.100s: this environment variable means no key", variable);
	err_hint(err, "The nearest known variable is %s.", variable_of(nearest.found, &known));
	buf_release(&known);
	free(name);
	return false;
}

static bool read_variable(struct config *config, const char *variable, const char *value, struct buf *key,
			  struct err *err)
{
	if (key_of_variable(variable, key))
		return assign(config, key->base, value, variable, err);
	return is_of_kubernetes(variable) || starts_with(variable, TEST_PREFIX) || fail_unknown_variable(variable, err);
}

static bool read_environment(struct config *config, struct err *err)
{
	struct buf key = BUF_EMPTY;
	bool ok = true;

	for (char **entry = environ; ok && entry != NULL && *entry != NULL; entry++) {
		if (!starts_with(*entry, VARIABLE_PREFIX))
			continue;
		char *variable = xstrdup(*entry), *value = variable;
		strsep(&value, "=");
		ok = read_variable(config, variable, value ? value : "", &key, err);
		free(variable);
	}
	buf_release(&key);
	return ok;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

/* A worker that reads what it writes would answer its own answers for ever. */
static bool check_topics(const struct config *config, struct err *err)
{
	const char *both = NULL;

	if (strcmp(config->commands_topic, config->results_topic) == 0)
		both = "commands.topic and results.topic";
	else if (strcmp(config->commands_topic, config->dead_letter_topic) == 0)
		both = "commands.topic and dead.letter.topic";
	else if (strcmp(config->results_topic, config->dead_letter_topic) == 0)
		both = "results.topic and dead.letter.topic";
	return both == NULL || err_set(err, VERDICT_USAGE, "", "%s have to be different topics", both);
}

/* The results topic has every answer once, and stays so. */
static bool check_reply_topics(const struct config *config, struct err *err)
{
	const struct {
		const char *key, *topic;
	} others[] = {{"commands.topic", config->commands_topic},
		      {"results.topic", config->results_topic},
		      {"dead.letter.topic", config->dead_letter_topic}};
	struct slice name;

	for (const char *rest = config->reply_topics; (name = config_next_name(&rest)).len > 0;)
		for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
			if (slice_equal(name, slice_cstr(others[i].topic)))
				return err_set(err, VERDICT_USAGE, "", "reply.topics must not name the topic of %s", others[i].key);
	return true;
}

static void finish(struct config *config)
{
	config->schemas_dir_is_set = config->schemas_dir[0] != '\0';
	if (config->schemas_dir_is_set)
		return;
	free(config->schemas_dir);
	config->schemas_dir = xstrdup(SCHEMAS_DIR);
}

bool config_load(struct config *config, const char *file, const char *const *overrides, size_t override_count,
		 struct err *err)
{
	struct config loaded = {0};

	config_set_defaults(&loaded);
	bool ok = (file == NULL || read_file(&loaded, file, err)) && read_environment(&loaded, err) &&
		  read_overrides(&loaded, overrides, override_count, err) && check_topics(&loaded, err) &&
		  check_reply_topics(&loaded, err) &&
		  config_check_kafka(&loaded, err);
	if (!ok) {
		config_release(&loaded);
		return false;
	}
	finish(&loaded);
	*config = loaded;
	return true;
}
