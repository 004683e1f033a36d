/* SQLSTATE → verdict, and librdkafka code → verdict: every row of the design's table. */
#include "pg/internal.h"

#include "kafka/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_sqlstates(void **state)
{
	static const struct {
		const char *sqlstates; /* separated by blanks */
		enum verdict verdict;
	} rows[] = {
		{"40001 40P01 55P03 25P02", VERDICT_RETRY},
		{"57014", VERDICT_HALVE},
		{"08000 08003 08006 08P01 57P01 57P02 57P03 57P05 25006 25P03 53300", VERDICT_RECONNECT},
		{"53000 53100 53200 53400 58000 58030 58P01", VERDICT_PAUSE},
		{"26000 42P05 0A000", VERDICT_PREPARE},
		{"42501 42601 42703 42883 42P01 42P02 42804 28000 28P01 3D000 3F000 55000 2200H XX001 "
		 "XX002", VERDICT_STOP},
		{"22001 22003 22012 22021 22P02 23502 23503 23505 23514 23P01 54000 54001 P0001 21000 2200G 27000 44000 XX000 72000 "
		 "57000",
		 VERDICT_BISECT},
	};
	char sqlstate[6] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (const char *p = rows[i].sqlstates; *p != '\0'; p += 5 + (p[5] == ' ')) {
			memcpy(sqlstate, p, 5);
			if (pg_verdict(sqlstate) != rows[i].verdict)
				fail_msg("%s is %s", sqlstate, verdict_name(pg_verdict(sqlstate)));
		}
}

static struct err error_of(rd_kafka_resp_err_t code, const char *detail)
{
	struct err err;
	assert_false(kafka_error(&err, code, "what", detail));
	return err;
}

static void test_kafka_codes(void **state)
{
	static const struct {
		rd_kafka_resp_err_t code;
		enum verdict verdict;
	} rows[] = {
		{RD_KAFKA_RESP_ERR__TRANSPORT, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR__TIMED_OUT, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR__FENCED, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR__STATE, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR__FATAL, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, VERDICT_REJOIN},
		{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_STOP},
		{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_STOP},
		{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_STOP},
		{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, VERDICT_STOP},
		{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, VERDICT_STOP},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, VERDICT_STOP},
		{RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, VERDICT_STOP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err err = error_of(rows[i].code, NULL);
		if (err.verdict != rows[i].verdict)
			fail_msg("%s is %s", rd_kafka_err2name(rows[i].code), verdict_name(err.verdict));
		assert_string_equal(err.origin, rd_kafka_err2name(rows[i].code));
		assert_string_equal(err.what, "what");
		/* Who is told to stop is told what to do. */
		assert_int_equal(err.hint[0] != '\0', rows[i].verdict == VERDICT_STOP);
	}
}

static void test_kafka_details(void **state)
{
	(void)state;
	assert_string_equal(error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, "the broker said").detail, "the broker said");
	assert_string_equal(error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, "").detail,
			    rd_kafka_err2str(RD_KAFKA_RESP_ERR__TIMED_OUT));
	assert_string_equal(error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL).detail,
			    rd_kafka_err2str(RD_KAFKA_RESP_ERR__TIMED_OUT));
}

/* What librdkafka and OpenSSL say of logins, as seen against a broker. */
static void test_kafka_logins(void **state)
{
	static const char scram[] = "b:1: SASL authentication error: Authentication failed during authentication due to invalid "
				    "credentials with SASL mechanism SCRAM-SHA-256 (after 322ms in state AUTH_REQ)";
	static const struct {
		rd_kafka_resp_err_t code;
		const char *detail;
		enum verdict verdict;
		const char *hint;
	} rows[] = {
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "b:1: SASL authentication error: Authentication failed: Invalid username or password",
		 VERDICT_STOP, "kafka.sasl."},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, scram, VERDICT_STOP, "kafka.sasl."},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "GroupCoordinator: SASL authentication error: SaslAuthenticateRequest failed: Local: "
						    "Broker transport failure (after 0ms in state DOWN)",
		 VERDICT_REJOIN, ""},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "b:1: SASL PLAIN mechanism handshake failed: Local: Broker transport failure: "
						    "broker's supported mechanisms: (n/a)",
		 VERDICT_REJOIN, ""},
		{RD_KAFKA_RESP_ERR__SSL, "b:1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker",
		 VERDICT_STOP, "kafka.ssl.ca.location"},
		{RD_KAFKA_RESP_ERR__TRANSPORT, "b:1: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert "
					       "number 42",
		 VERDICT_STOP, "kafka.ssl.certificate.location"},
		{RD_KAFKA_RESP_ERR__SSL, "b:1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading",
		 VERDICT_REJOIN, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err err = error_of(rows[i].code, rows[i].detail);
		if (err.verdict != rows[i].verdict || strstr(err.hint, rows[i].hint) == NULL)
			fail_msg("%s is %s: %s", rows[i].detail, verdict_name(err.verdict), err.hint);
		assert_int_equal(err.hint[0] != '\0', rows[i].verdict == VERDICT_STOP);
	}
	assert_int_equal(strstr(error_of(RD_KAFKA_RESP_ERR__AUTHENTICATION, scram).hint, "2.6.1") != NULL,
			 rd_kafka_version() < 0x020601ff);
}

static void test_kafka_error_object(void **state)
{
	rd_kafka_error_t *error = rd_kafka_error_new(RD_KAFKA_RESP_ERR__FENCED, "by %s", "another");
	struct err err;

	(void)state;
	assert_false(kafka_error_take(&err, error, "commit failed")); /* and freed: the sanitizers tell */
	assert_int_equal(err.verdict, VERDICT_REJOIN);
	assert_string_equal(err.origin, "_FENCED");
	assert_string_equal(err.what, "commit failed");
	assert_string_equal(err.detail, "by another");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sqlstates),
		cmocka_unit_test(test_kafka_codes),
		cmocka_unit_test(test_kafka_details),
		cmocka_unit_test(test_kafka_logins),
		cmocka_unit_test(test_kafka_error_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
