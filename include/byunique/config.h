/* Configuration: `key = value` lines of a file, then the environment (BYUNIQUE_ + key in capitals, dots as underscores),
 * then -X key=value; the later wins. `#` begins a comment line. An unknown key, a bad value or a reserved Kafka key is an
 * error with VERDICT_USAGE that names file and line (or variable, or option) and the nearest known key.
 *
 * kafka.NAME.file gives kafka.NAME the content of a file. */
#ifndef BYUNIQUE_CONFIG_H
#define BYUNIQUE_CONFIG_H

#include "byunique/buf.h"
#include "byunique/err.h"
#include "byunique/log.h"
#include "byunique/slice.h"

struct property {
	char *name; /* without the leading "kafka."; of an alias the name it stands for (kafka_property_name()) */
	char *value;
	char *file; /* where the value was read, and is read again for each client; NULL: it was given as it is */
	char *source; /* "FILE:LINE", the variable's name, "-X" or "default"; for messages */
};

/* What to do about a schema of ours that a registry has to give an id. */
enum registering { REGISTER_AUTO, REGISTER_LOOKUP };

struct config {
#define CONFIG_FIELD_STRING char *
#define CONFIG_FIELD_TOPIC char *
#define CONFIG_FIELD_TOPICS char *
#define CONFIG_FIELD_URI char *
#define CONFIG_FIELD_INT int64_t
#define CONFIG_FIELD_DURATION int64_t
#define CONFIG_FIELD_BOOL bool
#define CONFIG_FIELD_LEVEL enum log_level
#define CONFIG_FIELD_FORMAT enum log_format
#define CONFIG_FIELD_REGISTER enum registering
#define CONFIG(type, field, key, default_value, min, max, text) CONFIG_FIELD_##type field;
#include "byunique/config.def"
#undef CONFIG
	struct property *kafka; /* kafka.*, in order, each name once; bootstrap.servers and group.id always there; owned */
	size_t kafka_count;
	bool schemas_dir_is_set; /* false: schemas_dir is the installed folder, which may be missing */
};

/* `file` may be NULL; overrides are the arguments of -X, "key=value". Fills *config, which config_release() frees, on
 * success only. */
bool config_load(struct config *config, const char *file, const char *const *overrides, size_t override_count,
		 struct err *err) BYU_MUST_CHECK;
void config_release(struct config *config);

/* What config_load() is called with. */
struct config_sources {
	const char *file;
	const char *const *overrides;
	size_t override_count;
};

/* Which keys differ, kafka.* included; the names live until differs() returns. */
void config_compare(const struct config *a, const struct config *b, void (*differs)(void *context, const char *key),
		    void *context);
void config_copy(struct config *to, const struct config *from); /* config_release() */
/* The value of one key, which is in the table. */
void config_take(struct config *to, const struct config *from, const char *key);

const char *config_kafka(const struct config *config, const char *name); /* value of kafka.<name> or its alias, or NULL */
bool config_kafka_files(const struct config *config); /* does any value of kafka.* come from a file? */

/* The next name of a value that is a list of them, and on; empty: there is none. Views the list. */
struct slice config_next_name(const char **list);

/* The commented sample file (deploy/byunique.conf is its output) and the list for --help. */
void config_sample(struct buf *out);
void config_help(struct buf *out);

#endif
