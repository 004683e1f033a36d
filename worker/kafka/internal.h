/* Shared by the files of kafka/ only. */
#ifndef BYUNIQUE_KAFKA_INTERNAL_H
#define BYUNIQUE_KAFKA_INTERNAL_H

#include "byunique/config.h"
#include "byunique/kafka_properties.h"

#include <librdkafka/rdkafka.h>

/* *err from a librdkafka code; the verdict comes from the table in verdict.c. Returns false. */
bool kafka_error(struct err *err, rd_kafka_resp_err_t code, const char *what, const char *detail);
/* The same from an error object, which is freed. */
bool kafka_error_take(struct err *err, rd_kafka_error_t *error, const char *what);

/* A configuration with the user's properties for the role, and logging. NULL with *err on failure. */
rd_kafka_conf_t *kafka_conf_new(const struct config *config, enum kafka_role role, struct err *err);
/* The same for the worker's consumer, with the settings on which its guarantees stand (consumer.c). */
rd_kafka_conf_t *kafka_consumer_conf(const struct config *config, struct err *err);
/* Set one property that has to be right. */
void kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);
/* The same unless the user has set it. */
void kafka_conf_default(rd_kafka_conf_t *conf, const struct config *config, const char *name, const char *value);
/* A client; takes conf over. NULL with *err on failure. */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err);
/* Asks who is in a group. `take` gets its description, which lives until it returns; it is not called when there is no such
 * group. */
typedef void kafka_take_group(void *context, const rd_kafka_ConsumerGroupDescription_t *group);
bool kafka_describe_group(rd_kafka_t *client, const char *group, int timeout_ms, kafka_take_group *take, void *context,
			  struct err *err) BYU_MUST_CHECK;
/* All topics, as the first question to a broker: an error says why nobody answers. The caller frees *metadata. */
bool kafka_list_topics(rd_kafka_t *client, int timeout_ms, const rd_kafka_metadata_t **metadata, struct err *err)
	BYU_MUST_CHECK;
/* How many partitions a topic has; no such topic is an error that says so. Creates nothing. */
bool kafka_topic_partitions(rd_kafka_t *client, const char *topic, int *partitions, struct err *err) BYU_MUST_CHECK;

/* Offsets that a worker commits carry a mark: those without it tell nothing of what was published. */
void kafka_add_offset(struct rd_kafka_topic_partition_list_s *list, const char *topic, int32_t partition, int64_t offset);
bool kafka_is_our_offset(const struct rd_kafka_topic_partition_s *element);

#endif
