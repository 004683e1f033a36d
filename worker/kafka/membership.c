/* The group from outside: has it members, and, while it has none, where it goes on. The broker itself refuses offsets
 * of a stranger while there are members, so what is checked beforehand is only said earlier and better. */
#include "byunique/kafka.h"

#include "internal.h"

#include <stdlib.h>

/* --- who is in it ------------------------------------------------------------------------------------------------- */

static bool take_answer(rd_kafka_event_t *event, kafka_take_group *take, void *context, struct err *err)
{
	static const char what[] = "can't read who is in the group";
	size_t count = 0;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_error(err, code, what, rd_kafka_event_error_string(event));
	const rd_kafka_ConsumerGroupDescription_t **groups =
		rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event),
							      &count);
	const rd_kafka_error_t *error = count == 1 ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;
	code = error != NULL ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
		return kafka_error(err, code, what, rd_kafka_error_string(error));
	if (count == 1 && code == RD_KAFKA_RESP_ERR_NO_ERROR)
		take(context, groups[0]);
	return true;
}

bool kafka_describe_group(rd_kafka_t *client, const char *group, int timeout_ms, kafka_take_group *take, void *context,
			  struct err *err)
{
	char text[256];
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);

	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
	rd_kafka_DescribeConsumerGroups(client, &group, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, -1); /* bounded by the request's timeout */
	bool ok = take_answer(event, take, context, err);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	return ok;
}

static void count_members(void *context, const rd_kafka_ConsumerGroupDescription_t *group)
{
	*(int *)context = (int)rd_kafka_ConsumerGroupDescription_member_count(group);
}

bool kafka_group_members(const struct config *config, const char *group, int *members, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ADMIN, err);
	rd_kafka_t *client = conf ? kafka_client_new(RD_KAFKA_PRODUCER, conf, err) : NULL;

	if (client == NULL)
		return false;
	*members = 0;
	bool ok = kafka_describe_group(client, group, KAFKA_TIMEOUT_MS, count_members, members, err);
	rd_kafka_destroy(client);
	return ok;
}

/* --- offsets ------------------------------------------------------------------------------------------------------ */

static rd_kafka_resp_err_t commit(rd_kafka_t *client, const char *topic, const int64_t *offsets, int partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < partitions; i++)
		if (offsets[i] >= 0)
			rd_kafka_topic_partition_list_add(list, topic, i)->offset = offsets[i];
	if (list->cnt > 0)
		code = rd_kafka_commit(client, list, 0);
	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		code = list->elems[i].err;
	rd_kafka_topic_partition_list_destroy(list);
	return code;
}

bool kafka_group_commit(const struct config *config, const char *topic, const int64_t *offsets, int partitions,
			struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, err);
	rd_kafka_t *client = conf ? kafka_client_new(RD_KAFKA_CONSUMER, conf, err) : NULL;

	if (client == NULL)
		return false;
	rd_kafka_resp_err_t code = commit(client, topic, offsets, partitions);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_error(err, code, "can't set the group's offsets", NULL);
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
		err_hint(err, "Stop the group's workers first.");
	rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}
