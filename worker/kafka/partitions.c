/* How many partitions a topic has, by a client of its own: for commands that keep none open. */
#include "byunique/kafka.h"

#include "internal.h"

bool kafka_count_partitions(const struct config *config, const char *topic, int *partitions, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ADMIN, err);
	rd_kafka_t *client = conf ? kafka_client_new(RD_KAFKA_PRODUCER, conf, err) : NULL;

	if (client == NULL)
		return false;
	bool ok = kafka_topic_partitions(client, topic, partitions, err);
	rd_kafka_destroy(client);
	return ok;
}
