/* The user's kafka.* keys against the librdkafka that is linked. */
#include "byunique/config.h"
#include "byunique/kafka_properties.h"

#include <ctype.h>
#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_in(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static struct err refused(const char *name, const char *value)
{
	struct err err;

	if (kafka_property_check(name, value, &err))
		fail_msg("kafka.%s is taken", name);
	assert_int_equal(err.verdict, VERDICT_USAGE);
	return err;
}

static void test_taken(void **state)
{
	static const char *const good[][2] = {
		{"bootstrap.servers", "a:1,b:2"},
		{"metadata.broker.list", "a:1"},
		{"group.id", "g"},
		{"session.timeout.ms", "6000"},
		{"linger.ms", "0"},
		{"compression.type", "zstd"},
		{"sasl.password", "secret"},
		{"security.protocol", "sasl_ssl"},
		{"partitioner", "murmur2"},
		{"debug", "cgrp,topic"},
		{"log_level", "7"},
		{"client.id", ""},
		{"statistics.interval.ms", "0"},
		{"message.max.bytes", "1000"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!kafka_property_check(good[i][0], good[i][1], &err))
			fail_msg("kafka.%s: %s", good[i][0], err.what);
}

static void test_reserved(void **state)
{
	/* The contract's list, and other names of the same. */
	static const char *const names[][2] = {
		{"enable.auto.commit", "false"},
		{"enable.auto.offset.store", "false"},
		{"auto.offset.reset", "error"},
		{"isolation.level", "read_committed"},
		{"partition.assignment.strategy", "range"},
		{"group.instance.id", "x"},
		{"transactional.id", "x"},
		{"enable.idempotence", "true"},
		{"acks", "-1"},
		{"auto.commit.enable", "false"},
		{"request.required.acks", "-1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct err err = refused(names[i][0], names[i][1]);
		assert_in(err.what, names[i][0]);
		assert_true(strlen(err.detail) > 20); /* the reason */
	}
}

/* Whatever stands for a reserved property is reserved as well. */
static void test_no_way_around(void **state)
{
	static const char *const reserved[] = {"enable.auto.commit",
					       "enable.auto.offset.store",
					       "auto.offset.reset",
					       "isolation.level",
					       "partition.assignment.strategy",
					       "group.instance.id",
					       "transactional.id",
					       "enable.idempotence",
					       "acks"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
		const char *other = kafka_property_name(reserved[i]);
		assert_false(kafka_property_check(other, "1", &err));
		assert_in(err.what, "not for you to set");
	}
}

static void test_no_text(void **state)
{
	static const char *const names[] = {"rebalance_cb",	  "log_cb",    "opaque",
					    "default_topic_conf", "dr_msg_cb", "interceptors",
					    "partitioner_cb",	  "ssl_key",   "enabled_events"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_in(refused(names[i], "1").what, "not for you to set");
}

static void test_unknown(void **state)
{
	(void)state;
	assert_in(refused("bootstrap.server", "a:1").hint, "kafka.bootstrap.servers");
	assert_in(refused("bootstrap.server", "a:1").what, "kafka.bootstrap.server");
	assert_in(refused("sasl.user", "x").hint, "kafka.sasl.username");
	assert_in(refused("autocommit", "x").hint, "kafka.auto.commit.interval.ms"); /* never a reserved one */
	assert_true(refused("", "x").hint[0] != '\0');
	assert_true(refused("%s%n", "x").hint[0] != '\0');
}

static void test_bad_values(void **state)
{
	static const char *const bad[][3] = {
		{"linger.ms", "hunter2", "0 .. 900000"},
		{"session.timeout.ms", "-5", "1 .. 3600000"},
		{"message.max.bytes", "999999999999", "1000 .. 1000000000"},
		{"compression.type", "hunter2", "zstd"},
		{"security.protocol", "hunter2", "sasl_ssl"},
		{"socket.keepalive.enable", "hunter2", "true, false"},
		{"debug", "cgrp,hunter2", "protocol"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = refused(bad[i][0], bad[i][1]);
		assert_in(err.what, bad[i][0]);
		assert_in(err.detail, bad[i][2]);
		assert_null(strstr(err.what, "hunter2"));
		assert_null(strstr(err.detail, "hunter2"));
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(kafka_property_name("linger.ms"), "queue.buffering.max.ms");
	assert_string_equal(kafka_property_name("queue.buffering.max.ms"), "queue.buffering.max.ms");
	assert_string_equal(kafka_property_name("bootstrap.servers"), "bootstrap.servers");
	assert_string_equal(kafka_property_name("metadata.broker.list"), "bootstrap.servers");
	assert_string_equal(kafka_property_name("group.id"), "group.id");
	assert_string_equal(kafka_property_name("no.such"), "no.such");
}

static void check_variable(void *count, const char *name)
{
	char variable[200];
	size_t len = 0;

	for (; name[len] != '\0'; len++)
		variable[len] = name[len] == '.' ? '_' : (char)toupper((unsigned char)name[len]);
	variable[len] = '\0';
	assert_string_equal(kafka_property_of_variable(variable), name);
	++*(int *)count;
}

static void test_variables(void **state)
{
	int count = 0;

	(void)state;
	kafka_property_each(check_variable, &count);
	assert_true(count > 100);
	assert_string_equal(kafka_property_of_variable("ACKS"), "acks"); /* so that its reason can be told */
	assert_null(kafka_property_of_variable("acks"));
	assert_null(kafka_property_of_variable("SASL"));
	assert_null(kafka_property_of_variable("SASL_USERNAMES"));
	assert_null(kafka_property_of_variable(""));
}

/* --- which client gets what -------------------------------------------------------------------------------------- */

static void assert_conf(enum kafka_role role, const char *name, const char *value)
{
	static struct property properties[] = {
		{(char *)"client.rack", (char *)"r1", NULL, (char *)"-X"},
		{(char *)"session.timeout.ms", (char *)"7000", NULL, (char *)"-X"},
		{(char *)"queue.buffering.max.ms", (char *)"77", NULL, (char *)"-X"},
		{(char *)"bootstrap.servers", (char *)"a:1", NULL, (char *)"-X"},
	};
	const struct config config = {.kafka = properties, .kafka_count = 4};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct err err;
	char got[100];
	size_t size = sizeof(got);

	assert_true(kafka_conf_apply(conf, &config, role, &err));
	assert_int_equal(rd_kafka_conf_get(conf, name, got, &size), RD_KAFKA_CONF_OK);
	assert_string_equal(got, value);
	rd_kafka_conf_destroy(conf);
}

static void test_roles(void **state)
{
	(void)state;
	for (int role = KAFKA_CONSUMER; role <= KAFKA_ADMIN; role++) {
		assert_conf((enum kafka_role)role, "client.rack", "r1");
		assert_conf((enum kafka_role)role, "bootstrap.servers", "a:1");
	}
	assert_conf(KAFKA_CONSUMER, "session.timeout.ms", "7000");
	assert_conf(KAFKA_PRODUCER, "session.timeout.ms", "45000");
	assert_conf(KAFKA_ADMIN, "session.timeout.ms", "45000");
	assert_conf(KAFKA_CONSUMER, "linger.ms", "5");
	assert_conf(KAFKA_PRODUCER, "linger.ms", "77");
	assert_conf(KAFKA_ADMIN, "linger.ms", "5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),	cmocka_unit_test(test_reserved),  cmocka_unit_test(test_no_way_around),
		cmocka_unit_test(test_no_text), cmocka_unit_test(test_unknown),	  cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_names),	cmocka_unit_test(test_variables), cmocka_unit_test(test_roles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
