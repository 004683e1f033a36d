/* Where partitions begin and end, and what lies at a time. Asked by clients of their own, as the answer depends on the
 * client's isolation level: "the end" is that of the log, or of what transactions have decided. */
#include "byunique/kafka.h"

#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

struct kafka_look {
	rd_kafka_t *client;
	char *topic;
	int partitions;
};

static rd_kafka_t *look_client(const struct config *config, bool uncommitted, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, err);
	if (conf == NULL)
		return NULL;
	kafka_conf_set(conf, "enable.auto.commit", "false");
	kafka_conf_set(conf, "isolation.level", uncommitted ? "read_uncommitted" : "read_committed");
	return kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
}

bool kafka_look_open(struct kafka_look **out, const struct config *config, const char *topic, bool uncommitted,
		     struct err *err)
{
	rd_kafka_t *client = look_client(config, uncommitted, err);
	if (client == NULL)
		return false;
	struct kafka_look *look = xcalloc(1, sizeof(*look));
	look->client = client;
	look->topic = xstrdup(topic);
	if (!kafka_topic_partitions(client, topic, &look->partitions, err)) {
		kafka_look_close(look);
		return false;
	}
	*out = look;
	return true;
}

void kafka_look_close(struct kafka_look *look)
{
	if (look == NULL)
		return;
	rd_kafka_consumer_close(look->client);
	rd_kafka_destroy(look->client);
	free(look->topic);
	free(look);
}

int kafka_look_partitions(const struct kafka_look *look)
{
	return look->partitions;
}

static bool failed(const struct kafka_look *look, rd_kafka_resp_err_t code, struct err *err)
{
	char what[256];

	snprintf(what, sizeof(what), "can't read where the topic \"%.200s\" begins and ends", look->topic);
	return kafka_error(err, code, what, NULL);
}

/* The first offset that is not older, for each partition: the log's end where there is none. */
static bool find_time(struct kafka_look *look, int64_t time_ms, const struct kafka_extent *extents, int64_t *offsets,
		      struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(look->partitions);
	for (int i = 0; i < look->partitions; i++)
		rd_kafka_topic_partition_list_add(list, look->topic, i)->offset = time_ms;
	rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(look->client, list, KAFKA_TIMEOUT_MS);
	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < look->partitions; i++) {
		code = list->elems[i].err;
		offsets[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : extents[i].log_end;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || failed(look, code, err);
}

static int64_t within(const struct kafka_extent *extent, int64_t offset)
{
	return offset < extent->log_start ? extent->log_start : offset > extent->log_end ? extent->log_end : offset;
}

static bool find_place(struct kafka_look *look, struct kafka_place place, const struct kafka_extent *extents,
		       int64_t *offsets, struct err *err)
{
	if (place.kind == KAFKA_PLACE_TIME && !find_time(look, place.value, extents, offsets, err))
		return false;
	for (int i = 0; i < look->partitions; i++) {
		switch (place.kind) {
		case KAFKA_PLACE_BEGINNING: offsets[i] = extents[i].log_start; break;
		case KAFKA_PLACE_END: offsets[i] = extents[i].log_end; break;
		case KAFKA_PLACE_OFFSET: offsets[i] = place.value; break;
		case KAFKA_PLACE_TIME: break;
		}
		offsets[i] = within(&extents[i], offsets[i]);
	}
	return true;
}

bool kafka_look_extents(struct kafka_look *look, struct kafka_place from, struct kafka_place to,
			struct kafka_extent *extents, struct err *err)
{
	int64_t *begins = xcalloc((unsigned long)look->partitions, sizeof(*begins));
	int64_t *ends = xcalloc((unsigned long)look->partitions, sizeof(*ends));
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < look->partitions; i++)
		code = rd_kafka_query_watermark_offsets(look->client, look->topic, i, &extents[i].log_start,
							&extents[i].log_end, KAFKA_TIMEOUT_MS);
	bool ok = (code == RD_KAFKA_RESP_ERR_NO_ERROR || failed(look, code, err)) &&
		  find_place(look, from, extents, begins, err) && find_place(look, to, extents, ends, err);
	for (int i = 0; ok && i < look->partitions; i++) {
		extents[i].begin = begins[i];
		extents[i].end = ends[i];
	}
	free(begins);
	free(ends);
	return ok;
}

bool kafka_look_committed(struct kafka_look *look, int64_t *offsets, bool *by_others, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(look->partitions);
	for (int i = 0; i < look->partitions; i++)
		rd_kafka_topic_partition_list_add(list, look->topic, i);
	rd_kafka_resp_err_t code = rd_kafka_committed(look->client, list, KAFKA_TIMEOUT_MS);
	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < look->partitions; i++) {
		code = list->elems[i].err;
		offsets[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
		by_others[i] = offsets[i] >= 0 && !kafka_is_our_offset(&list->elems[i]);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, "can't read the group's offsets", NULL);
}

bool kafka_look_cluster(struct kafka_look *look, char **id, struct err *err)
{
	char *given = rd_kafka_clusterid(look->client, KAFKA_TIMEOUT_MS);
	if (given == NULL)
		return kafka_error(err, RD_KAFKA_RESP_ERR__TIMED_OUT, "can't read the Kafka cluster's id", NULL);
	*id = xstrdup(given);
	rd_kafka_mem_free(look->client, given);
	return true;
}
