/* What Kafka knows of reply topics, and whether a failed transaction may be laid at their door.
 *
 * librdkafka says of a transaction that it failed, and why, but seldom for which topic: neither when a right is missing nor
 * when its time is over. So it is decided by what the next session sees (replies_convict()). Tried and rejected: delivery
 * reports, with which every flush waits for up to ten milliseconds; a trial transaction, as readers that read uncommitted
 * would see it.
 */
#include "byunique/replies.h"

#include "byunique/clock.h"
#include "byunique/log.h"
#include "internal.h"

#include <stdlib.h>

/* --- the list of topics --------------------------------------------------------------------------------------------------- */

static void take_topic(struct reply_topic *topic, const rd_kafka_metadata_topic_t *found)
{
	int32_t partitions = found != NULL && found->err == RD_KAFKA_RESP_ERR_NO_ERROR ? found->partition_cnt : 0;
	bool *leaders = xcalloc((unsigned long)partitions + 1, sizeof(*leaders));

	for (int32_t i = 0; i < partitions; i++)
		if (found->partitions[i].id >= 0 && found->partitions[i].id < partitions)
			leaders[found->partitions[i].id] = found->partitions[i].leader >= 0;
	reply_topic_seen(topic, partitions, leaders);
	free(leaders);
}

void replies_take(struct replies *replies, const struct rd_kafka_metadata *metadata)
{
	replies->looked_ms = clock_mono_ms();
	for (uint32_t i = 0; i < replies->count; i++) {
		struct reply_topic *topic = &replies->topics[i];
		const rd_kafka_metadata_topic_t *found = NULL;
		for (int at = 0; at < metadata->topic_cnt && found == NULL; at++)
			if (strcmp(metadata->topics[at].topic, topic->name) == 0)
				found = &metadata->topics[at];
		take_topic(topic, found);
	}
	replies_convict(replies, replies->looked_ms);
}

/* All topics: to ask for one by name may create it. */
void replies_look(struct replies *replies, struct rd_kafka_s *client)
{
	enum { LOOK_TIMEOUT_MS = 5000 };
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t code = rd_kafka_metadata(client, 1, NULL, &metadata, LOOK_TIMEOUT_MS);

	replies->looked_ms = clock_mono_ms();
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		log_event(LOG_DEBUG, "reply_topics_unknown", "detail=%s", log_quotes(rd_kafka_err2str(code)));
		return;
	}
	replies_take(replies, metadata);
	rd_kafka_metadata_destroy(metadata);
}

/* --- blame ---------------------------------------------------------------------------------------------------------------- */

/* What a topic can do to a transaction. `passing`: so can a broker that is away, so once is no evidence. */
static const struct suspicion {
	rd_kafka_resp_err_t code;
	bool passing;
} suspicions[] = {
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false},
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false},
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, false},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, false},
	{RD_KAFKA_RESP_ERR_OPERATION_NOT_ATTEMPTED, false},
	{RD_KAFKA_RESP_ERR_INVALID_RECORD, false},
	{RD_KAFKA_RESP_ERR_INVALID_MSG, false},
	{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, false},
	{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, false},
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, true}, /* its limit was lowered: the next session knows */
	{RD_KAFKA_RESP_ERR__INCONSISTENT, true}, /* some messages could not be delivered in time */
	{RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, true},
	{RD_KAFKA_RESP_ERR__TIMED_OUT, true},
	{RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, true},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, true},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, true},
	{RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, true},
	{RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, true},
	{RD_KAFKA_RESP_ERR__STATE, true}, /* the transaction has failed, and this is no more than a call that came later */
};

static const struct suspicion *find_suspicion(const struct err *err)
{
	for (size_t i = 0; i < sizeof(suspicions) / sizeof(*suspicions); i++)
		if (strcmp(err->origin, rd_kafka_err2name(suspicions[i].code)) == 0)
			return &suspicions[i];
	return NULL;
}

static bool any_used(const struct replies *replies)
{
	for (uint32_t i = 0; i < replies->count; i++)
		if (replies->topics[i].used)
			return true;
	return false;
}

void replies_blame(struct replies *replies, struct err *err)
{
	const struct suspicion *suspicion = replies != NULL ? find_suspicion(err) : NULL;

	if (suspicion == NULL || !any_used(replies))
		return;
	replies->failures++;
	if (suspicion->passing && replies->failures < 2)
		return;
	replies->blamed = true;
	if (err->verdict == VERDICT_STOP)
		err->verdict = VERDICT_REJOIN;
}
