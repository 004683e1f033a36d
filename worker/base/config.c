/* One table (config.def) and one way in: every source, be it a line, a variable or an option, ends in assign(). Values
 * are never quoted in messages: a connection string or a Kafka property may hold a secret, and which key is wrong and
 * what it takes says enough.
 *
 * Variables are looked for in the environment, not the other way round, so that a misspelt one is noticed. */
#include "byunique/config.h"

#include "base/nearest.h"
#include "byunique/kafka_properties.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum key_type { KEY_STRING, KEY_TOPIC, KEY_INT, KEY_DURATION, KEY_LEVEL, KEY_FORMAT, KEY_REGISTER };

struct key {
	const char *name;
	enum key_type type;
	size_t offset; /* of the field in struct config */
	const char *default_value;
	int64_t min, max;
	const char *text;
};

static const struct key keys[] = {
#define CONFIG(type, field, key, default_value, min, max, text)                                                        \
	{key, KEY_##type, offsetof(struct config, field), default_value, min, max, text},
#include "byunique/config.def"
#undef CONFIG
};

#define KEY_COUNT	      (sizeof(keys) / sizeof(*keys))
#define KAFKA_PREFIX	      "kafka."
#define VARIABLE_PREFIX	      "BYUNIQUE_"
#define KAFKA_VARIABLE_PREFIX VARIABLE_PREFIX "KAFKA_"
#define TEST_PREFIX	      VARIABLE_PREFIX "TEST_" /* left to the tests */

static const struct {
	const char *name, *value;
} kafka_defaults[] = {{"bootstrap.servers", "localhost:9092"}, {"group.id", "byunique"}};

#define KAFKA_DEFAULTS (sizeof(kafka_defaults) / sizeof(*kafka_defaults))

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- values: one function for each type -------------------------------------------------------------------------- */

static void *field_of(struct config *config, const struct key *key)
{
	return (char *)config + key->offset;
}

static bool wrong(const struct key *key, struct err *err, const char *wanted)
{
	return err_set(err, VERDICT_USAGE, "", "%s has to be %s", key->name, wanted);
}

static bool set_string(const struct key *key, const char *value, void *field, struct err *err)
{
	char **string = field, wanted[64];
	size_t len = strlen(value);

	if (len == 0 && key->min > 0)
		return err_set(err, VERDICT_USAGE, "", "%s must not be empty", key->name);
	if (key->max > 0 && len > (size_t)key->max) {
		snprintf(wanted, sizeof(wanted), "at most %" PRId64 " bytes long", key->max);
		return wrong(key, err, wanted);
	}
	free(*string);
	*string = xstrdup(value);
	return true;
}

/* Kafka's own rule. */
static bool set_topic(const struct key *key, const char *value, void *field, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (value[strspn(value, allowed)] != '\0' || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return wrong(key, err, "a topic's name: letters, digits, '.', '_' and '-'");
	return set_string(key, value, field, err);
}

/* Digits alone, so that "1e3", "0x10" and "+5" are what they look like: mistakes. */
static bool parse_digits(const char *text, int64_t *number, const char **end)
{
	char *stop;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*number = strtoll(text, &stop, 10);
	*end = stop;
	return errno == 0;
}

static bool set_int(const struct key *key, const char *value, void *field, struct err *err)
{
	int64_t number;
	const char *end;
	char wanted[96];

	if (parse_digits(value, &number, &end) && *end == '\0' && number >= key->min && number <= key->max) {
		*(int64_t *)field = number;
		return true;
	}
	snprintf(wanted, sizeof(wanted), "a whole number from %" PRId64 " to %" PRId64, key->min, key->max);
	return wrong(key, err, wanted);
}

static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { UNITS = sizeof(units) / sizeof(*units) };

/* 0 needs no unit. */
static bool parse_duration(const char *value, int64_t *ms)
{
	const char *unit;

	if (!parse_digits(value, ms, &unit))
		return false;
	unit += strspn(unit, " ");
	for (size_t i = 0; i < UNITS; i++)
		if (strcmp(unit, units[i].name) == 0)
			return !__builtin_mul_overflow(*ms, units[i].ms, ms);
	return *unit == '\0' && *ms == 0;
}

/* In the largest unit that divides it. */
static const char *format_duration(int64_t ms, char text[32])
{
	size_t i = 0;

	while (ms % units[i].ms != 0)
		i++;
	if (ms == 0)
		i = UNITS - 2;
	snprintf(text, 32, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
	return text;
}

static bool set_duration(const struct key *key, const char *value, void *field, struct err *err)
{
	int64_t ms;
	char least[32], most[32], wanted[160];

	if (parse_duration(value, &ms) && ms >= key->min && ms <= key->max) {
		*(int64_t *)field = ms;
		return true;
	}
	snprintf(wanted, sizeof(wanted), "a duration from %s to %s, written like 250ms, 20s, 5m, 12h or 7d",
		 format_duration(key->min, least), format_duration(key->max, most));
	return wrong(key, err, wanted);
}

static bool set_level(const struct key *key, const char *value, void *field, struct err *err)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		if (strcmp(value, names[level]) != 0)
			continue;
		*(enum log_level *)field = (enum log_level)level;
		return true;
	}
	return wrong(key, err, "error, warn, info or debug");
}

static bool set_format(const struct key *key, const char *value, void *field, struct err *err)
{
	bool text = strcmp(value, "text") == 0;

	if (!text && strcmp(value, "json") != 0)
		return wrong(key, err, "text or json");
	*(enum log_format *)field = text ? LOG_TEXT : LOG_JSON;
	return true;
}

static bool set_register(const struct key *key, const char *value, void *field, struct err *err)
{
	bool lookup = strcmp(value, "lookup") == 0;

	if (!lookup && strcmp(value, "auto") != 0)
		return wrong(key, err, "auto or lookup");
	*(enum registering *)field = lookup ? REGISTER_LOOKUP : REGISTER_AUTO;
	return true;
}

static bool (*const setters[])(const struct key *key, const char *value, void *field, struct err *err) = {
	[KEY_STRING] = set_string,     [KEY_TOPIC] = set_topic, [KEY_INT] = set_int,
	[KEY_DURATION] = set_duration, [KEY_LEVEL] = set_level, [KEY_FORMAT] = set_format,
	[KEY_REGISTER] = set_register,
};

/* --- kafka.* ----------------------------------------------------------------------------------------------------- */

static struct property *find_property(const struct config *config, const char *kept_name)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (strcmp(config->kafka[i].name, kept_name) == 0)
			return &config->kafka[i];
	return NULL;
}

const char *config_kafka(const struct config *config, const char *name)
{
	const struct property *property = find_property(config, kafka_property_name(name));
	return property ? property->value : NULL;
}

static void release_property(struct property *property)
{
	free(property->name);
	free(property->value);
	free(property->source);
}

static bool set_kafka(struct config *config, const char *name, const char *value, const char *source, struct err *err)
{
	if (!kafka_property_check(name, value, err))
		return false;
	const char *kept_name = kafka_property_name(name);
	struct property *property = find_property(config, kept_name);
	if (property == NULL) {
		config->kafka = xrealloc(config->kafka, (config->kafka_count + 1) * sizeof(*config->kafka));
		property = &config->kafka[config->kafka_count++];
	} else {
		release_property(property);
	}
	*property = (struct property){xstrdup(kept_name), xstrdup(value), xstrdup(source)};
	return true;
}

/* --- one key ----------------------------------------------------------------------------------------------------- */

static void consider_property(void *nearest, const char *name)
{
	char key[NEAREST_MAX + 1];

	snprintf(key, sizeof(key), KAFKA_PREFIX "%s", name);
	nearest_consider(nearest, key);
}

static void find_nearest(struct nearest *nearest, const char *name)
{
	nearest_init(nearest, name);
	for (size_t i = 0; i < KEY_COUNT; i++)
		nearest_consider(nearest, keys[i].name);
	kafka_property_each(consider_property, nearest);
}

static bool fail_unknown(const char *name, struct err *err)
{
	struct nearest nearest;

	find_nearest(&nearest, name);
	err_set(err, VERDICT_USAGE, "", "unknown key %.100s", name);
	return err_hint(err, "The nearest known key is %s.", nearest.found);
}

static bool set_key(struct config *config, const char *name, const char *value, const char *source, struct err *err)
{
	if (starts_with(name, KAFKA_PREFIX))
		return set_kafka(config, name + strlen(KAFKA_PREFIX), value, source, err);
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(keys[i].name, name) == 0)
			return setters[keys[i].type](&keys[i], value, field_of(config, &keys[i]), err);
	return fail_unknown(name, err);
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
	return set_key(config, name, value, source, err) || locate(err, source);
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
	return err_detail(err, "%s", strerror(error));
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

/* *key is the key that a variable means, in the buffer; false when there is none. */
static bool key_of_variable(const char *variable, struct buf *key)
{
	struct buf name = BUF_EMPTY;
	bool found = false;

	buf_clear(key);
	if (starts_with(variable, KAFKA_VARIABLE_PREFIX)) {
		const char *property = kafka_property_of_variable(variable + strlen(KAFKA_VARIABLE_PREFIX));
		if (property != NULL)
			buf_printf(key, KAFKA_PREFIX "%s", property);
		return property != NULL;
	}
	for (size_t i = 0; i < KEY_COUNT && !found; i++) {
		found = strcmp(variable_of(keys[i].name, &name), variable) == 0;
		if (found)
			buf_adds(key, keys[i].name);
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
	find_nearest(&nearest, name);
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

static void set_defaults(struct config *config)
{
	struct err err;

	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!set_key(config, keys[i].name, keys[i].default_value, "default", &err))
			die("the default of %s is refused: %s", keys[i].name, err.what);
	for (size_t i = 0; i < KAFKA_DEFAULTS; i++)
		if (!set_kafka(config, kafka_defaults[i].name, kafka_defaults[i].value, "default", &err))
			die("the default of kafka.%s is refused: %s", kafka_defaults[i].name, err.what);
}

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

static bool check_kafka(const struct config *config, struct err *err)
{
	for (size_t i = 0; i < KAFKA_DEFAULTS; i++) {
		const struct property *property = find_property(config, kafka_defaults[i].name);
		if (property->value[0] == '\0')
			return err_set(err, VERDICT_USAGE, "", "%s: kafka.%s must not be empty", property->source,
				       property->name);
	}
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

	set_defaults(&loaded);
	bool ok = (file == NULL || read_file(&loaded, file, err)) && read_environment(&loaded, err) &&
		  read_overrides(&loaded, overrides, override_count, err) && check_topics(&loaded, err) &&
		  check_kafka(&loaded, err);
	if (!ok) {
		config_release(&loaded);
		return false;
	}
	finish(&loaded);
	*config = loaded;
	return true;
}

void config_release(struct config *config)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].type == KEY_STRING || keys[i].type == KEY_TOPIC)
			free(*(char **)field_of(config, &keys[i]));
	for (size_t i = 0; i < config->kafka_count; i++)
		release_property(&config->kafka[i]);
	free(config->kafka);
	*config = (struct config){0};
}

/* --- for people -------------------------------------------------------------------------------------------------- */

static const char kafka_text[] =
	"Any property of librdkafka, with kafka. in front of its name: handed as it is to each client that knows it."
	" Refused, with the reason, are those on which the guarantees stand, such as enable.auto.commit and acks.";

static const char sample_head[] =
	"# byunique: sample configuration. Each key stands here with its default, to be uncommented and changed.\n"
	"#\n"
	"# Environment variables override this file: BYUNIQUE_ and the key in capitals, dots as underscores, like\n"
	"# BYUNIQUE_POSTGRES_SCHEMA or BYUNIQUE_KAFKA_SASL_PASSWORD. The option -X key=value overrides both.\n";

/* Words of the text in lines of at most `width`, each with `indent` in front; the first one's is already there. */
static void add_wrapped(struct buf *out, const char *text, const char *indent, size_t width)
{
	size_t used = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		if (used > 0 && used + 1 + len > width) {
			buf_printf(out, "\n%s", indent);
			used = 0;
		}
		buf_printf(out, "%s%.*s", used > 0 ? " " : "", (int)len, text);
		used += (used > 0) + len;
		text += len + strspn(text + len, " ");
	}
	buf_addc(out, '\n');
}

static void add_sample_text(struct buf *out, const char *text)
{
	buf_adds(out, "\n# ");
	add_wrapped(out, text, "# ", 108);
}

static void add_sample_line(struct buf *out, const char *prefix, const char *name, const char *value)
{
	buf_printf(out, "#%s%s =%s%s\n", prefix, name, *value ? " " : "", value);
}

void config_sample(struct buf *out)
{
	buf_adds(out, sample_head);
	add_sample_text(out, kafka_text);
	for (size_t i = 0; i < KAFKA_DEFAULTS; i++)
		add_sample_line(out, KAFKA_PREFIX, kafka_defaults[i].name, kafka_defaults[i].value);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		add_sample_text(out, keys[i].text);
		add_sample_line(out, "", keys[i].name, keys[i].default_value);
	}
}

enum { HELP_INDENT = 6, HELP_WIDTH = 100 };

static void add_help(struct buf *out, const char *prefix, const char *name, const char *value)
{
	buf_printf(out, "  %s%s", prefix, name);
	if (*value != '\0')
		buf_printf(out, " = %s", value);
	buf_addc(out, '\n');
}

static void add_help_text(struct buf *out, const char *text)
{
	buf_printf(out, "%*s", HELP_INDENT, "");
	add_wrapped(out, text, "      ", HELP_WIDTH - HELP_INDENT);
}

void config_help(struct buf *out)
{
	for (size_t i = 0; i < KAFKA_DEFAULTS; i++)
		add_help(out, KAFKA_PREFIX, kafka_defaults[i].name, kafka_defaults[i].value);
	add_help(out, KAFKA_PREFIX, "PROPERTY", "");
	add_help_text(out, kafka_text);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		add_help(out, "", keys[i].name, keys[i].default_value);
		add_help_text(out, keys[i].text);
	}
}
