/* librdkafka code → verdict. What is not listed passes by itself or by starting afresh. */
#include "internal.h"

#include "byunique/producer.h"

struct rule {
	rd_kafka_resp_err_t code;
	enum verdict verdict;
	const char *hint;
};

static const char hint_init[] = "Run `byunique init`, or create the topic.";
static const char hint_access[] = "Grant this client its rights on topics, group and transactional id.";
static const char hint_login[] = "Check the kafka.sasl.* and kafka.ssl.* settings.";

static const struct rule rules[] = {
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_STOP, hint_init},
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_STOP, hint_init},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, VERDICT_STOP, hint_init},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_STOP, hint_access},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, VERDICT_STOP, hint_access},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, VERDICT_STOP, hint_access},
	{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, VERDICT_STOP, hint_access},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, VERDICT_STOP, hint_login},
	{RD_KAFKA_RESP_ERR__AUTHENTICATION, VERDICT_STOP, hint_login},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, VERDICT_STOP, "The broker is too old: transactions need 0.11 or newer."},
	{RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, VERDICT_STOP, "The broker is too old: transactions need 0.11 or newer."},
	{RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, VERDICT_STOP,
	 "Lower kafka.transaction.timeout.ms, or raise the broker's transaction.max.timeout.ms."},
	{RD_KAFKA_RESP_ERR__INVALID_ARG, VERDICT_STOP, "Check the kafka.* settings."},
};

bool kafka_error(struct err *err, rd_kafka_resp_err_t code, const char *what, const char *detail)
{
	err_set(err, VERDICT_REJOIN, rd_kafka_err2name(code), "%s", what);
	err_detail(err, "%s", detail != NULL && detail[0] != '\0' ? detail : rd_kafka_err2str(code));
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (rules[i].code != code)
			continue;
		err->verdict = rules[i].verdict;
		err_hint(err, "%s", rules[i].hint);
	}
	return false;
}

bool kafka_error_take(struct err *err, rd_kafka_error_t *error, const char *what)
{
	kafka_error(err, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return false;
}

bool kafka_is_too_large(const struct err *err)
{
	return strcmp(err->origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)) == 0;
}
