/* The keys of the configuration: one table of names, types, ranges, defaults and texts; config.c reads the sources. */
#ifndef BYUNIQUE_BASE_CONFIG_KEYS_H
#define BYUNIQUE_BASE_CONFIG_KEYS_H

#include "base/nearest.h"
#include "byunique/config.h"

#define KAFKA_PREFIX "kafka."
#define FILE_SUFFIX ".file" /* kafka.NAME.file: where the value of kafka.NAME lies */

/* The name of the i-th key, kafka.* aside; NULL after the last one. */
const char *config_key(size_t i);

/* Sets one key, kafka.* included. `source` is kept for kafka.* only; it stands in no error of this module's. */
bool config_set(struct config *config, const char *name, const char *value, const char *source,
		struct err *err) BYU_MUST_CHECK;

/* Every key at its default, in a struct that is all zeros. */
void config_set_defaults(struct config *config);

/* The properties that always have a value must not be set to nothing. */
bool config_check_kafka(const struct config *config, struct err *err) BYU_MUST_CHECK;

/* The known key, or kafka.* property, that is spelt most like this. */
void config_nearest(struct nearest *nearest, const char *name);

#endif
