/* The table (config.def) and all that goes over it: what a value may be, the defaults, the texts. Values are never
 * quoted in messages: a connection string or a Kafka property may hold a secret, and which key is wrong and what it
 * takes says enough. */
#include "base/config_keys.h"

#include "byunique/kafka_properties.h"
#include "byunique/secret.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum key_type {
	KEY_STRING, KEY_TOPIC, KEY_TOPICS, KEY_URI, KEY_INT, KEY_DURATION, KEY_BOOL, KEY_LEVEL, KEY_FORMAT, KEY_REGISTER
};

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

#define KEY_COUNT (sizeof(keys) / sizeof(*keys))

static const struct {
	const char *name, *value;
} kafka_defaults[] = {{"bootstrap.servers", "localhost:9092"}, {"group.id", "byunique"}};

#define KAFKA_DEFAULTS (sizeof(kafka_defaults) / sizeof(*kafka_defaults))

/* --- values: one function for each type -------------------------------------------------------------------------- */

static void *field_of(struct config *config, const struct key *key)
{
	return (char *)config + key->offset;
}

static bool is_text(const struct key *key)
{
	return key->type == KEY_STRING || key->type == KEY_TOPIC || key->type == KEY_TOPICS || key->type == KEY_URI;
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

/* Kafka's own rule, but for the length. */
static bool is_topic(struct slice name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	for (size_t i = 0; i < name.len; i++)
		if (strchr(allowed, name.base[i]) == NULL)
			return false;
	return !slice_equal(name, SLICE_LIT(".")) && !slice_equal(name, SLICE_LIT(".."));
}

static bool set_topic(const struct key *key, const char *value, void *field, struct err *err)
{
	if (!is_topic(slice_cstr(value)))
		return wrong(key, err, "a topic's name: letters, digits, '.', '_' and '-'");
	return set_string(key, value, field, err);
}

struct slice config_next_name(const char **list)
{
	*list += strspn(*list, ", \t");
	size_t len = strcspn(*list, ", \t");
	struct slice name = slice_of(*list, len);
	*list += len;
	return name;
}

static bool set_topics(const struct key *key, const char *value, void *field, struct err *err)
{
	enum { NAME_BYTES_MAX = 249 };
	struct slice name;

	for (const char *rest = value; (name = config_next_name(&rest)).len > 0;)
		if (!is_topic(name) || name.len > NAME_BYTES_MAX)
			return wrong(key, err, "names of topics, separated by commas");
	return set_string(key, value, field, err);
}

/* What RFC 3986 allows anywhere; it has to stand in a header of Kafka as it is. */
static bool set_uri(const struct key *key, const char *value, void *field, struct err *err)
{
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c) != NULL)
			return wrong(key, err, "a URI reference, like /crm/byunique or https://example.org/byunique");
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

static bool set_bool(const struct key *key, const char *value, void *field, struct err *err)
{
	bool yes = strcmp(value, "true") == 0;

	if (!yes && strcmp(value, "false") != 0)
		return wrong(key, err, "true or false");
	*(bool *)field = yes;
	return true;
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
	[KEY_STRING] = set_string,     [KEY_TOPIC] = set_topic, [KEY_TOPICS] = set_topics, [KEY_URI] = set_uri,
	[KEY_INT] = set_int,	       [KEY_LEVEL] = set_level, [KEY_FORMAT] = set_format, [KEY_BOOL] = set_bool,
	[KEY_DURATION] = set_duration, [KEY_REGISTER] = set_register,
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

bool config_kafka_files(const struct config *config)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (config->kafka[i].file != NULL)
			return true;
	return false;
}

static void release_property(struct property *property)
{
	free(property->file);
	free(property->name);
	free(property->value);
	free(property->source);
}

/* `file` is where the value comes from, or NULL. */
static bool set_kafka(struct config *config, const char *name, const char *value, const char *file, const char *source,
		      struct err *err)
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
	*property = (struct property){xstrdup(kept_name), xstrdup(value), file ? xstrdup(file) : NULL, xstrdup(source)};
	return true;
}

/* NAME.file, cut in place: the property whose value lies in a file. False: it is none of these. */
static bool cut_file_suffix(char *name)
{
	size_t len = strlen(name), suffix_len = strlen(FILE_SUFFIX);
	bool has = len > suffix_len && strcmp(name + len - suffix_len, FILE_SUFFIX) == 0;

	if (has)
		name[len - suffix_len] = '\0';
	return has;
}

static bool set_kafka_key(struct config *config, const char *key, const char *value, const char *source, struct err *err)
{
	char *name = xstrdup(key + strlen(KAFKA_PREFIX));
	struct buf secret = BUF_EMPTY;
	bool ok;

	if (cut_file_suffix(name))
		ok = secret_read(key, value, &secret, err) && set_kafka(config, name, secret.base, value, source, err);
	else
		ok = set_kafka(config, name, value, NULL, source, err);
	secret_release(&secret);
	free(name);
	return ok;
}

/* --- one key ----------------------------------------------------------------------------------------------------- */

const char *config_key(size_t i)
{
	return i < KEY_COUNT ? keys[i].name : NULL;
}

static void consider_property(void *nearest, const char *name)
{
	char key[NEAREST_MAX + 1];

	snprintf(key, sizeof(key), KAFKA_PREFIX "%s", name);
	nearest_consider(nearest, key);
}

void config_nearest(struct nearest *nearest, const char *name)
{
	nearest_init(nearest, name);
	for (size_t i = 0; i < KEY_COUNT; i++)
		nearest_consider(nearest, keys[i].name);
	kafka_property_each(consider_property, nearest);
}

static bool fail_unknown(const char *name, struct err *err)
{
	struct nearest nearest;

	config_nearest(&nearest, name);
	err_set(err, VERDICT_USAGE, "", "unknown key %.100s", name);
	return err_hint(err, "The nearest known key is %s.", nearest.found);
}

bool config_set(struct config *config, const char *name, const char *value, const char *source, struct err *err)
{
	if (strncmp(name, KAFKA_PREFIX, strlen(KAFKA_PREFIX)) == 0)
		return set_kafka_key(config, name, value, source, err);
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(keys[i].name, name) == 0)
			return setters[keys[i].type](&keys[i], value, field_of(config, &keys[i]), err);
	return fail_unknown(name, err);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

void config_set_defaults(struct config *config)
{
	struct err err;

	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!config_set(config, keys[i].name, keys[i].default_value, "default", &err))
			die("the default of %s is refused: %s", keys[i].name, err.what);
	for (size_t i = 0; i < KAFKA_DEFAULTS; i++)
		if (!set_kafka(config, kafka_defaults[i].name, kafka_defaults[i].value, NULL, "default", &err))
			die("the default of kafka.%s is refused: %s", kafka_defaults[i].name, err.what);
}

bool config_check_kafka(const struct config *config, struct err *err)
{
	for (size_t i = 0; i < KAFKA_DEFAULTS; i++) {
		const struct property *property = find_property(config, kafka_defaults[i].name);
		if (property->value[0] == '\0')
			return err_set(err, VERDICT_USAGE, "", "%s: kafka.%s must not be empty", property->source,
				       property->name);
	}
	return true;
}

void config_release(struct config *config)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (is_text(&keys[i]))
			free(*(char **)field_of(config, &keys[i]));
	for (size_t i = 0; i < config->kafka_count; i++)
		release_property(&config->kafka[i]);
	free(config->kafka);
	*config = (struct config){0};
}

/* --- two of them -------------------------------------------------------------------------------------------------- */

static size_t size_of(const struct key *key)
{
	switch (key->type) {
	case KEY_BOOL: return sizeof(bool);
	case KEY_LEVEL: return sizeof(enum log_level);
	case KEY_FORMAT: return sizeof(enum log_format);
	case KEY_REGISTER: return sizeof(enum registering);
	default: return sizeof(int64_t);
	}
}

static const void *value_of(const struct config *config, const struct key *key)
{
	return (const char *)config + key->offset;
}

static bool is_same(const struct config *a, const struct config *b, const struct key *key)
{
	const void *left = value_of(a, key), *right = value_of(b, key);

	if (is_text(key))
		return strcmp(*(const char *const *)left, *(const char *const *)right) == 0;
	return memcmp(left, right, size_of(key)) == 0;
}

/* What a file holds is read again for each client, so it may change. */
static bool is_same_property(const struct property *a, const struct property *b)
{
	if (a->file != NULL || b->file != NULL)
		return a->file != NULL && b->file != NULL && strcmp(a->file, b->file) == 0;
	return strcmp(a->value, b->value) == 0;
}

static void compare_kafka(const struct config *a, const struct config *b, bool only_absent,
			  void (*differs)(void *context, const char *key), void *context)
{
	for (size_t i = 0; i < a->kafka_count; i++) {
		const struct property *other = find_property(b, a->kafka[i].name);
		if (other != NULL && (only_absent || is_same_property(other, &a->kafka[i])))
			continue;
		char *key = xasprintf(KAFKA_PREFIX "%s", a->kafka[i].name);
		differs(context, key);
		free(key);
	}
}

void config_compare(const struct config *a, const struct config *b, void (*differs)(void *context, const char *key),
		    void *context)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!is_same(a, b, &keys[i]))
			differs(context, keys[i].name);
	compare_kafka(a, b, false, differs, context);
	compare_kafka(b, a, true, differs, context);
}

static void take(struct config *to, const struct config *from, const struct key *key)
{
	char **text = field_of(to, key);

	if (!is_text(key)) {
		memcpy(field_of(to, key), value_of(from, key), size_of(key));
		return;
	}
	free(*text);
	*text = xstrdup(*(const char *const *)value_of(from, key));
	if (text == &to->schemas_dir)
		to->schemas_dir_is_set = from->schemas_dir_is_set;
}

void config_take(struct config *to, const struct config *from, const char *key)
{
	size_t i = 0;

	while (strcmp(keys[i].name, key) != 0)
		ASSERT(++i < KEY_COUNT);
	take(to, from, &keys[i]);
}

void config_copy(struct config *to, const struct config *from)
{
	*to = (struct config){0};
	for (size_t i = 0; i < KEY_COUNT; i++)
		take(to, from, &keys[i]);
	to->kafka = xcalloc(from->kafka_count, sizeof(*to->kafka));
	for (; to->kafka_count < from->kafka_count; to->kafka_count++) {
		const struct property *property = &from->kafka[to->kafka_count];
		to->kafka[to->kafka_count] = (struct property){
			xstrdup(property->name), xstrdup(property->value),
			property->file ? xstrdup(property->file) : NULL, xstrdup(property->source)};
	}
}

/* --- for people -------------------------------------------------------------------------------------------------- */

static const char kafka_text[] =
	"Any property of librdkafka, with kafka. in front of its name: handed as it is to each client that knows it."
	" Refused, with the reason, are those on which the guarantees stand, such as enable.auto.commit and acks."
	" With .file behind it (kafka.sasl.password.file), the value is what that file holds, read again for each"
	" client.";

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
