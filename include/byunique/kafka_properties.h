/* The user's kafka.* keys: which ones librdkafka knows, which client each belongs to, which are not the user's to set.
 *
 * Names come from librdkafka itself (its own list of properties), so a newer library brings its new ones along. */
#ifndef BYUNIQUE_KAFKA_PROPERTIES_H
#define BYUNIQUE_KAFKA_PROPERTIES_H

#include "byunique/err.h"

enum kafka_role { KAFKA_CONSUMER, KAFKA_PRODUCER, KAFKA_ADMIN };

/* Can the user set `name` (without the leading "kafka.") to `value`? Errors (VERDICT_USAGE): no such property, with the
 * nearest known one as hint; a reserved one, with the reason; a value that librdkafka refuses. The caller puts in front
 * where the key was read. */
bool kafka_property_check(const char *name, const char *value, struct err *err) BYU_MUST_CHECK;

/* Calls each() with every property that the user may set, in librdkafka's order. */
void kafka_property_each(void (*each)(void *context, const char *name), void *context);

/* The name under which a property is kept: of an alias (linger.ms) the one that it stands for, so that the same setting is
 * never held twice; bootstrap.servers stays. */
const char *kafka_property_name(const char *name);
/* The property meant by an environment variable, without its leading BYUNIQUE_KAFKA_; reserved ones too. NULL: none. */
const char *kafka_property_of_variable(const char *variable);

/* Hands the user's properties to a client's configuration: those that its role knows (KAFKA_ADMIN: those of all
 * clients). */
struct config;
struct rd_kafka_conf_s;
bool kafka_conf_apply(struct rd_kafka_conf_s *conf, const struct config *config, enum kafka_role role, struct err *err)
	BYU_MUST_CHECK;

#endif
