/* librdkafka's mock cluster, made for its own tests: enough of a broker for a demonstration on one machine. It keeps
 * about 5 MB of each partition, in memory, and forgets the offsets that a transaction commits: for it, a group stands
 * for ever where kafka_rewind_group() put it. That works before the group's first member only, as the mock never takes
 * a group for empty again; a real broker takes it whenever no member is there. */
#include "byunique/kafka.h"

#include "internal.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

struct kafka_embedded {
	rd_kafka_t *host; /* talks to nobody: the cluster lives in its threads */
	rd_kafka_mock_cluster_t *cluster;
};

bool kafka_embedded_start(struct kafka_embedded **out, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	kafka_conf_set(conf, "client.id", "embedded-broker");
	kafka_conf_set(conf, "log_level", "3");
	rd_kafka_t *host = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
	if (host == NULL)
		return false;
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 1);
	if (cluster == NULL) {
		rd_kafka_destroy(host);
		return err_set(err, VERDICT_STOP, "", "can't start the embedded broker");
	}
	struct kafka_embedded *embedded = xcalloc(1, sizeof(*embedded));
	embedded->host = host;
	embedded->cluster = cluster;
	*out = embedded;
	return true;
}

const char *kafka_embedded_servers(const struct kafka_embedded *embedded)
{
	return rd_kafka_mock_cluster_bootstraps(embedded->cluster);
}

bool kafka_embedded_topic(struct kafka_embedded *embedded, const char *topic, int partitions, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(embedded->cluster, topic, partitions, 1);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       kafka_error(err, code, "can't create a topic in the embedded broker", NULL);
}

void kafka_embedded_stop(struct kafka_embedded *embedded)
{
	if (embedded == NULL)
		return;
	rd_kafka_mock_cluster_destroy(embedded->cluster);
	rd_kafka_destroy(embedded->host);
	free(embedded);
}

/* --- rewind ------------------------------------------------------------------------------------------------------- */

bool kafka_rewind_group(const struct config *config, const char *topic, struct err *err)
{
	int partitions;

	if (!kafka_count_partitions(config, topic, &partitions, err))
		return false;
	int64_t *zeros = xcalloc((unsigned long)partitions, sizeof(*zeros));
	bool ok = kafka_group_commit(config, topic, zeros, partitions, err);
	free(zeros);
	return ok;
}
