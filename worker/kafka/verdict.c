/* librdkafka code → verdict. What is not listed passes by itself or by starting afresh. */
#include "internal.h"

#include "byunique/producer.h"

struct rule {
	rd_kafka_resp_err_t code;
	enum verdict verdict;
	const char *hint;
};

static const char hint_init[] = "Run `byunique init`, or create the topic.";
static const char hint_access[] = "Grant this client its rights: SECURITY.md lists them.";
static const char hint_login[] = "Check the kafka.sasl.* and kafka.ssl.* settings.";

static const struct rule rules[] = {
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_STOP, hint_init},
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_STOP, hint_init},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, VERDICT_STOP, hint_init},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_STOP, hint_access},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, VERDICT_STOP,
	 "Grant this client Read on the group: SECURITY.md lists all rights."},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, VERDICT_STOP, hint_access},
	{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, VERDICT_STOP,
	 "Grant this client Write on its transactional ids, by their common prefix: SECURITY.md lists all rights."},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, VERDICT_STOP, hint_login},
	{RD_KAFKA_RESP_ERR__AUTHENTICATION, VERDICT_STOP, hint_login},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, VERDICT_STOP, hint_login},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, VERDICT_STOP, "The broker is too old: transactions need 0.11 or newer."},
	{RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, VERDICT_STOP, "The broker is too old: transactions need 0.11 or newer."},
	{RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, VERDICT_STOP,
	 "Lower kafka.transaction.timeout.ms, or raise the broker's transaction.max.timeout.ms."},
	{RD_KAFKA_RESP_ERR__INVALID_ARG, VERDICT_STOP, "Check the kafka.* settings."},
};

/* The library's and OpenSSL's own words: their codes do not tell a certificate that is refused from a broker that is just
 * going down. */
static const struct {
	const char *words, *hint;
} tls_failures[] = {
	{"certificate verify failed", "kafka.ssl.ca.location has to name the authority that signed the broker's certificate, which has"
				      " to be for the name in kafka.bootstrap.servers and must not have expired."},
	{"SSL alert number", "The broker refuses this client's certificate, or the lack of one: check kafka.ssl.certificate.location"
			     " and kafka.ssl.key.location."},
	{"wrong version number", "The broker does not speak TLS on this port: check kafka.security.protocol."},
};

/* Up to 2.6.0 the library repeats a part of its nonce, which brokers of Kafka 4 don't take. */
static bool is_wrong_scram(const char *detail)
{
	return strstr(detail, "SCRAM") != NULL && rd_kafka_version() < 0x020601ff;
}

/* To the library a connection that breaks while somebody logs in is a login that failed, too. */
static bool is_broken_login(rd_kafka_resp_err_t code, const char *detail)
{
	return code == RD_KAFKA_RESP_ERR__AUTHENTICATION && strstr(detail, "failed: Local: ") != NULL;
}

static void judge_login(rd_kafka_resp_err_t code, struct err *err)
{
	if (is_broken_login(code, err->detail)) {
		err->verdict = VERDICT_REJOIN;
		err->hint[0] = '\0';
	}
	for (size_t i = 0; i < sizeof(tls_failures) / sizeof(*tls_failures); i++) {
		if (strstr(err->detail, tls_failures[i].words) == NULL)
			continue;
		err->verdict = VERDICT_STOP;
		err_hint(err, "%s", tls_failures[i].hint);
	}
	if (err->verdict == VERDICT_STOP && is_wrong_scram(err->detail))
		err_hint(err, "%s If the broker is of Kafka 4, it is librdkafka %s: SCRAM needs 2.6.1 or newer with it.", hint_login,
			 rd_kafka_version_str());
}

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
	judge_login(code, err);
	return false;
}

bool kafka_error_take(struct err *err, rd_kafka_error_t *error, const char *what)
{
	kafka_error(err, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return false;
}

bool kafka_is_refused_login(const struct err *err)
{
	return strcmp(err->origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR__AUTHENTICATION)) == 0 ||
	       strcmp(err->origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)) == 0;
}

bool kafka_is_too_large(const struct err *err)
{
	return strcmp(err->origin, rd_kafka_err2name(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)) == 0;
}
