/* Any client can ask; one that produces nothing joins nothing either. All partitions are asked for in one request to
 * each broker: the calls for single ones would take a round trip each. */
#include "byunique/kafka_group.h"

#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000 };

struct group_observer {
	rd_kafka_t *client;
	char *topic, *group;
};

bool group_observer_open(struct group_observer **out, const struct config *config, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ADMIN, err);
	rd_kafka_t *client = conf ? kafka_client_new(RD_KAFKA_PRODUCER, conf, err) : NULL;

	if (client == NULL)
		return false;
	struct group_observer *observer = xcalloc(1, sizeof(*observer));
	observer->client = client;
	observer->topic = xstrdup(config->commands_topic);
	observer->group = xstrdup(config_kafka(config, "group.id"));
	*out = observer;
	return true;
}

void group_observer_close(struct group_observer *observer)
{
	if (observer == NULL)
		return;
	rd_kafka_destroy(observer->client);
	free(observer->topic);
	free(observer->group);
	free(observer);
}

/* --- offsets
 * -------------------------------------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *list_all(const struct group_observer *observer, uint32_t count, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

	for (uint32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, observer->topic, (int32_t)i)->offset = offset;
	return list;
}

static void take_committed(const rd_kafka_topic_partition_list_t *list, struct group_view *view)
{
	for (int i = 0; i < list->cnt; i++) {
		int32_t partition = list->elems[i].partition;
		if (partition >= 0 && (uint32_t)partition < view->partition_count && list->elems[i].offset >= 0)
			view->partitions[partition].committed = list->elems[i].offset;
	}
}

static bool take_offsets(rd_kafka_event_t *event, struct group_view *view, struct err *err)
{
	static const char what[] = "can't read the group's offsets";
	size_t count = 0;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_error(err, code, what, rd_kafka_event_error_string(event));
	const rd_kafka_group_result_t **groups =
		rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event),
								&count);
	const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
	if (error != NULL)
		return kafka_error(err, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
	if (count == 1 && rd_kafka_group_result_partitions(groups[0]) != NULL)
		take_committed(rd_kafka_group_result_partitions(groups[0]), view);
	return true;
}

/* As they stand: offsets of a transaction that is still open are not waited for. */
static bool look_at_offsets(struct group_observer *observer, struct group_view *view, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = list_all(observer, view->partition_count, RD_KAFKA_OFFSET_INVALID);
	rd_kafka_ListConsumerGroupOffsets_t *question = rd_kafka_ListConsumerGroupOffsets_new(observer->group, list);
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(observer->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(observer->client);
	char text[256];

	rd_kafka_AdminOptions_set_request_timeout(options, TIMEOUT_MS, text, sizeof(text));
	rd_kafka_ListConsumerGroupOffsets(observer->client, &question, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, -1); /* bounded by the request's timeout */
	bool ok = take_offsets(event, view, err);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(question);
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

/* --- members
 * -------------------------------------------------------------------------------------------------------------- */

static const char *copy(struct arena *arena, const char *text)
{
	return arena_cstr(arena, slice_cstr(text ? text : ""));
}

static void take_member(const rd_kafka_MemberDescription_t *description, const char *topic, struct arena *arena,
			struct group_view *view)
{
	const char *host = rd_kafka_MemberDescription_host(description);
	const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(description);
	const rd_kafka_topic_partition_list_t *list =
		assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
	struct group_member *member = arena_alloc(arena, sizeof(*member));

	view->member_count++;
	*member = (struct group_member){
		.client_id = copy(arena, rd_kafka_MemberDescription_client_id(description)),
		.host = copy(arena, host != NULL && host[0] == '/' ? host + 1 : host), /* as brokers write it */
		.member_id = copy(arena, rd_kafka_MemberDescription_consumer_id(description)),
	};
	for (int i = 0; list != NULL && i < list->cnt; i++) {
		int32_t partition = list->elems[i].partition;
		if (strcmp(list->elems[i].topic, topic) == 0 && partition >= 0 &&
		    (uint32_t)partition < view->partition_count)
			view->partitions[partition].owner = member;
	}
}

/* What the members are put into. */
struct sight {
	const char *topic;
	struct arena *arena;
	struct group_view *view;
};

static void take_group(void *context, const rd_kafka_ConsumerGroupDescription_t *group)
{
	const struct sight *sight = context;

	for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++)
		take_member(rd_kafka_ConsumerGroupDescription_member(group, i), sight->topic, sight->arena,
			    sight->view);
}

static bool look_at_members(struct group_observer *observer, struct arena *arena, struct group_view *view,
			    struct err *err)
{
	struct sight sight = {observer->topic, arena, view};

	return kafka_describe_group(observer->client, observer->group, TIMEOUT_MS, take_group, &sight, err);
}

/* --- the whole
 * -------------------------------------------------------------------------------------------------------------- */

static bool look_at_cluster(struct group_observer *observer, struct arena *arena, struct group_view *view,
			    struct err *err)
{
	char *id = rd_kafka_clusterid(observer->client, TIMEOUT_MS);

	if (id == NULL) {
		kafka_error(err, RD_KAFKA_RESP_ERR__TIMED_OUT, "can't read the Kafka cluster's id", NULL);
		return err_hint(err, "Is Kafka running where kafka.bootstrap.servers says?");
	}
	view->cluster_id = copy(arena, id);
	rd_kafka_mem_free(observer->client, id);
	return true;
}

bool group_observer_look(struct group_observer *observer, struct arena *arena, struct group_view *view, struct err *err)
{
	int count;

	*view = (struct group_view){0};
	if (!look_at_cluster(observer, arena, view, err) ||
	    !kafka_topic_partitions(observer->client, observer->topic, &count, err))
		return false;
	view->partition_count = (uint32_t)count;
	view->partitions = arena_array(arena, struct group_partition, count);
	for (int i = 0; i < count; i++)
		view->partitions[i] =
			(struct group_partition){.partition = i, .committed = -1, .log_start = -1, .log_end = -1};
	return look_at_members(observer, arena, view, err) && look_at_offsets(observer, view, err);
}

/* -1 as a time means the log's end, -2 its start. */
static bool ask_logs(struct group_observer *observer, struct group_view *view, int64_t which, struct err *err)
{
	static const char what[] = "can't read where the commands topic begins and ends";
	rd_kafka_topic_partition_list_t *list = list_all(observer, view->partition_count, which);
	rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(observer->client, list, TIMEOUT_MS);

	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
		struct group_partition *partition = &view->partitions[list->elems[i].partition];
		code = list->elems[i].err;
		*(which == RD_KAFKA_OFFSET_END ? &partition->log_end : &partition->log_start) = list->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(err, code, what, NULL);
}

bool group_observer_look_at_logs(struct group_observer *observer, struct group_view *view, struct err *err)
{
	return ask_logs(observer, view, RD_KAFKA_OFFSET_BEGINNING, err) &&
	       ask_logs(observer, view, RD_KAFKA_OFFSET_END, err);
}
