/* Where the admin server listens, what it takes for healthy, and the events that it shows. */
#include "byunique/admin.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"

/* --- addresses ------------------------------------------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} cases[] = {{"localhost:9464", "localhost", "9464"}, {":80", "", "80"},	     {"0.0.0.0:0", "0.0.0.0", "0"},
		     {"[::1]:9464", "::1", "9464"},	       {"[fe80::1%lo]:1", "fe80::1%lo", "1"}, {"a:65535", "a", "65535"}};
	struct listen_address address;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(listen_address_parse(cases[i].text, &address, &err));
		assert_string_equal(address.host, cases[i].host);
		assert_string_equal(address.port, cases[i].port);
	}
}

static void test_no_addresses(void **state)
{
	static const char *const texts[] = {"",	       "9464",	 "localhost", "localhost:", "localhost:x",  "localhost:65536",
					    "::1:80",  "[::1]",	 "[::1",      "[::1]80",    "[]:80",	    "localhost:123456",
					    "a:b:80",  "a: 80",	 "a:+80",     "a:-1",	    "localhost:80 "};
	struct listen_address address;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (listen_address_parse(texts[i], &address, &err))
			fail_msg("took %s", texts[i]);
		assert_int_equal(err.verdict, VERDICT_USAGE);
		assert_non_null(strstr(err.what, "admin.listen"));
		assert_true(err.hint[0] != '\0');
	}
	char *long_host = xmalloc(400);
	memset(long_host, 'a', 399);
	memcpy(long_host + 390, ":80", 4);
	assert_false(listen_address_parse(long_host, &address, &err));
	free(long_host);
}

static void test_listens(void **state)
{
	struct listen_address address = {.host = "127.0.0.1", .port = "0"};
	struct err err;
	char name[300];

	(void)state;
	int fd = listen_address_open(&address, &err);
	assert_true(fd >= 0);
	listen_address_name(fd, name, sizeof(name));
	assert_int_equal(strncmp(name, "127.0.0.1:", 10), 0);
	snprintf(address.port, sizeof(address.port), "%.5s", name + 10);
	assert_string_not_equal(address.port, "0");
	assert_int_equal(listen_address_open(&address, &err), -1); /* it is taken */
	assert_int_equal(err.verdict, VERDICT_STOP);
	close(fd);
}

/* --- health ---------------------------------------------------------------------------------------------------------------- */

static struct metrics metrics;
static struct buf text;

static int set_up(void **state)
{
	(void)state;
	metrics_init(&metrics);
	text = BUF_EMPTY;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	metrics_release(&metrics);
	buf_release(&text);
	return 0;
}

static void test_alive_while_somebody_is_seen(void **state)
{
	(void)state;
	metric_set(&metrics.beat_ms, 1000000);
	assert_true(health_alive(&metrics, 1000000, &text));
	assert_true(health_alive(&metrics, 1180000, &text)); /* a Kafka transaction may take three minutes */
	assert_int_equal(text.len, 0);
	assert_false(health_alive(&metrics, 1250000, &text));
	assert_string_equal(text.base, "the fetching thread has not been seen for 250 s\n");
}

static void assert_ready(const char *reason)
{
	buf_clear(&text);
	assert_int_equal(health_ready(&metrics, &text), reason[0] == '\0');
	buf_addc(&text, '.');
	text.base[text.len - 1] = '\0';
	assert_string_equal(text.base, reason);
}

static void test_ready(void **state)
{
	(void)state;
	assert_ready("PostgreSQL is not connected\nnot a member of the consumer group\n");
	metric_set(&metrics.postgres_connected, 1);
	assert_ready("not a member of the consumer group\n");
	metric_set(&metrics.group_member, 1);
	assert_ready(""); /* none given: it stands by */
	metric_set(&metrics.partitions_assigned, 3);
	assert_ready("3 partitions are assigned, but not started\n");
	metric_set(&metrics.partitions_started, 2);
	metric_set(&metrics.partitions_refused, 1);
	assert_ready("");
	metric_set(&metrics.postgres_connected, 0);
	assert_ready("PostgreSQL is not connected\n");
}

/* --- events ---------------------------------------------------------------------------------------------------------------- */

static void collect(void *context, const char *json)
{
	json_t *event = json_loads(json, 0, NULL);

	assert_non_null(event);
	buf_printf(context, "%s/%s ", json_string_value(json_object_get(event, "level")),
		   json_string_value(json_object_get(event, "event")));
	json_decref(event);
}

/* Whatever the log's level and format, the ring has warnings and errors in JSON, newest first, the oldest ones gone. */
static void test_events(void **state)
{
	struct log_ring *ring = log_ring_new(3);
	struct capture capturing = capture_begin();

	(void)state;
	log_keep(ring);
	log_setup(LOG_ERROR, LOG_TEXT);
	log_event(LOG_WARN, "first", "a=1");
	log_event(LOG_INFO, "not_kept", "a=1");
	log_event(LOG_ERROR, "second", "what=%s", log_quotes("a \"word\" = <b>\n"));
	log_ring_each(ring, collect, &text);
	assert_string_equal(text.base, "error/second warn/first ");
	log_event(LOG_WARN, "third", "%s", "");
	log_event(LOG_WARN, "fourth", "%s", "");
	log_keep(NULL);
	log_event(LOG_WARN, "late", "%s", "");
	buf_clear(&text);
	log_ring_each(ring, collect, &text);
	assert_string_equal(text.base, "warn/fourth warn/third error/second ");
	log_ring_free(ring);
	struct buf printed = capture_end(&capturing);
	assert_null(strstr(printed.base, "level=warn"));
	assert_non_null(strstr(printed.base, "level=error event=second what="));
	buf_release(&printed);
}

static void test_status_is_json(void **state)
{
	static const struct partition_gauges gauges[] = {{0, 9, 7, 12}, {1, 3, 3, -1}};
	const char *overrides[] = {"commands.topic=some.topic", "kafka.group.id=a \"group\""};
	struct log_ring *ring = log_ring_new(2);
	struct config config;
	struct err err;

	(void)state;
	assert_true(config_load(&config, NULL, overrides, 2, &err));
	metrics_partitions(&metrics, gauges, 2);
	metric_add(&metrics.commands[OUTCOME_DONE], 5);
	log_ring_add(ring, "{\"event\":\"broken");
	log_ring_add(ring, "{\"event\":\"whole\"}");
	status_json(&config, &metrics, ring, &text);
	json_t *status = json_loadb(text.base, text.len, 0, NULL), *partitions = json_object_get(status, "partitions");
	assert_string_equal(json_string_value(json_object_get(status, "group")), "a \"group\"");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(partitions, 0), "lag")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(partitions, 0), "unpublished")), 2);
	assert_true(json_is_null(json_object_get(json_array_get(partitions, 1), "lag")));
	assert_int_equal(json_array_size(json_object_get(status, "events")), 1);
	assert_true(json_is_null(json_object_get(status, "last_result_at")));
	json_decref(status);
	config_release(&config);
	log_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_addresses),
		cmocka_unit_test(test_listens),
		cmocka_unit_test_setup_teardown(test_alive_while_somebody_is_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status_is_json, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
