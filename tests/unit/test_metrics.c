/* The text that Prometheus reads: forms, escapes, and numbers that agree with what was counted. */
#include "byunique/metrics.h"

#include "byunique/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

static void write_text(const char *topic)
{
	buf_clear(&text);
	metrics_text(&metrics, topic, &text);
}

/* Is it one of the lines, as it stands? */
static void assert_line(const char *line)
{
	char *framed = xasprintf("\n%s\n", line);

	if (strstr(text.base, framed) == NULL)
		fail_msg("no line: %s", line);
	free(framed);
}

static void test_counters(void **state)
{
	(void)state;
	metric_add(&metrics.commands[OUTCOME_DONE], 7);
	metric_add(&metrics.commands[OUTCOME_DONE], 5);
	metric_add(&metrics.commands[OUTCOME_DUPLICATE], 2);
	metric_add(&metrics.commands[OUTCOME_RECORD_NOT_FOUND], UINT64_C(9007199254740993));
	metric_add(&metrics.rebalances[REBALANCE_LOST], 1);
	metric_add(metrics.sessions, 3);
	write_text("t");
	assert_line("# TYPE byunique_commands_total counter");
	assert_line("byunique_commands_total{status=\"204\",code=\"Done\"} 12");
	assert_line("byunique_commands_total{status=\"204\",code=\"Duplicate\"} 2");
	assert_line("byunique_commands_total{status=\"404\",code=\"RecordNotFound\"} 9007199254740993");
	assert_line("byunique_commands_total{status=\"500\",code=\"InternalError\"} 0"); /* there from the start */
	assert_line("byunique_rebalances_total{event=\"assigned\"} 0");
	assert_line("byunique_rebalances_total{event=\"lost\"} 1");
	assert_line("byunique_sessions_total 3");
	assert_null(strstr(text.base, "status=\"0\""));
}

static void test_gauges(void **state)
{
	(void)state;
	metric_set(&metrics.postgres_connected, 1);
	metric_set(&metrics.last_result_ms, 1700000000120);
	write_text("t");
	assert_line("# TYPE byunique_postgres_connected gauge");
	assert_line("byunique_postgres_connected 1");
	assert_line("byunique_last_result_timestamp_seconds 1700000000.12");
	assert_line("byunique_build_info{version=\"" VERSION "\"} 1");
	metric_set(&metrics.last_result_ms, 0);
	metric_set(&metrics.postgres_connected, 0);
	write_text("t");
	assert_line("byunique_last_result_timestamp_seconds 0");
	assert_line("byunique_postgres_connected 0");
}

static void test_sqlstate_classes(void **state)
{
	static const struct {
		const char *sqlstate, *line;
	} cases[] = {{"", "connection"}, {"40P01", "40"}, {"08006", "08"}, {"P0001", "other"}, {"0A000", "0A"}, {"XX000", "XX"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[80];
		metric_add(&metrics.retries[metric_sqlstate(cases[i].sqlstate)], 40 + i);
		write_text("t");
		snprintf(line, sizeof(line), "byunique_retries_total{class=\"%s\"} %zu", cases[i].line, 40 + i);
		assert_line(line);
	}
}

/* A bound belongs to its bucket; buckets are cumulated; the count is that of the last one. */
static void test_histograms(void **state)
{
	(void)state;
	histogram_add(metrics.batch_commands, 1, 1);
	histogram_add(metrics.batch_commands, 2, 3);
	histogram_add(metrics.batch_commands, 4000, 1);
	histogram_add(metrics.batch_commands, 4001, 1);
	histogram_add(metrics.batch_commands, 1000000, 1);
	write_text("t");
	assert_line("# TYPE byunique_batch_commands histogram");
	assert_line("byunique_batch_commands_bucket{le=\"1\"} 1");
	assert_line("byunique_batch_commands_bucket{le=\"2\"} 4");
	assert_line("byunique_batch_commands_bucket{le=\"2000\"} 4");
	assert_line("byunique_batch_commands_bucket{le=\"4000\"} 5");
	assert_line("byunique_batch_commands_bucket{le=\"8000\"} 6");
	assert_line("byunique_batch_commands_bucket{le=\"+Inf\"} 7");
	assert_line("byunique_batch_commands_sum 1008008");
	assert_line("byunique_batch_commands_count 7");
}

static void test_histogram_of_seconds(void **state)
{
	(void)state;
	histogram_add(&metrics.stage_us[STAGE_APPLY], 500, 1);
	histogram_add(&metrics.stage_us[STAGE_APPLY], 2600, 2);
	histogram_add(&metrics.stage_us[STAGE_APPLY], -5, 1); /* a clock was set back */
	histogram_add(metrics.answer_us, INT64_C(3600000000), 1);
	write_text("t");
	assert_line("byunique_stage_seconds_bucket{stage=\"apply\",le=\"0.0005\"} 2");
	assert_line("byunique_stage_seconds_bucket{stage=\"apply\",le=\"0.0025\"} 2");
	assert_line("byunique_stage_seconds_bucket{stage=\"apply\",le=\"0.005\"} 4");
	assert_line("byunique_stage_seconds_bucket{stage=\"apply\",le=\"60\"} 4");
	assert_line("byunique_stage_seconds_sum{stage=\"apply\"} 0.0057");
	assert_line("byunique_stage_seconds_count{stage=\"apply\"} 4");
	assert_line("byunique_stage_seconds_count{stage=\"commit\"} 0");
	assert_line("byunique_answer_seconds_bucket{le=\"300\"} 0");
	assert_line("byunique_answer_seconds_bucket{le=\"3600\"} 1");
	assert_line("byunique_answer_seconds_bucket{le=\"86400\"} 1");
}

static void test_stage_goes_on_from_now(void **state)
{
	int64_t begun_us = clock_mono_us(), at_us = begun_us - 2000000;

	(void)state;
	metrics_stage(&metrics, STAGE_COMMIT, &at_us);
	assert_true(at_us >= begun_us);
	write_text("t");
	assert_line("byunique_stage_seconds_bucket{stage=\"commit\",le=\"1\"} 0");
	assert_line("byunique_stage_seconds_count{stage=\"commit\"} 1");
}

static void test_partitions(void **state)
{
	static const struct partition_gauges gauges[] = {{3, 90, 70, 100}, {11, 50, 50, -1}, {12, 7, 7, 5}};

	(void)state;
	metrics_partitions(&metrics, gauges, 3);
	write_text("a\"b\\c\nd");
	assert_line("# TYPE byunique_partition_lag gauge");
	assert_line("byunique_partition_lag{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 10");
	assert_line("byunique_partition_log_end{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 100");
	assert_line("byunique_partition_position{topic=\"a\\\"b\\\\c\\nd\",partition=\"11\"} 50");
	assert_line("byunique_partition_unpublished{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 20");
	assert_line("byunique_partition_lag{topic=\"a\\\"b\\\\c\\nd\",partition=\"12\"} 0"); /* Kafka was heard earlier */
	assert_null(strstr(text.base, "byunique_partition_lag{topic=\"a\\\"b\\\\c\\nd\",partition=\"11\"")); /* not known */
	metrics_partitions(&metrics, NULL, 0);
	write_text("t");
	assert_null(strstr(text.base, "partition=\""));
}

/* HELP, TYPE, then samples of that name, and no name twice. */
static void test_every_metric_is_described_once(void **state)
{
	char *copy, *line, *save = NULL, name[80] = "";

	(void)state;
	write_text("t");
	copy = xstrdup(text.base);
	for (line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			char *head = xasprintf("# HELP %.*s ", (int)strcspn(line + 7, " "), line + 7);
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + 7, " "), line + 7);
			const char *first = strstr(text.base, head);
			assert_non_null(first);
			assert_null(strstr(first + 1, head));
			free(head);
		} else {
			const char *at = strncmp(line, "# TYPE ", 7) == 0 ? line + 7 : line;
			assert_int_equal(strncmp(at, name, strlen(name)), 0);
		}
	}
	free(copy);
	assert_int_equal(text.base[text.len - 1], '\n');
}

static void test_process(void **state)
{
	const char *at;

	(void)state;
	write_text("t");
	at = strstr(text.base, "\nprocess_resident_memory_bytes ");
	assert_non_null(at);
	assert_true(strtoll(strchr(at + 1, ' '), NULL, 10) > 100000);
	at = strstr(text.base, "\nprocess_open_fds ");
	assert_non_null(at);
	assert_in_range(strtoll(strchr(at + 1, ' '), NULL, 10), 1, 1000);
}

enum { THREADS = 4, TIMES = 20000 };

static void *add_often(void *unused)
{
	(void)unused;
	for (int i = 0; i < TIMES; i++) {
		metric_add(metrics.repeats, 1);
		histogram_add(metrics.batch_commands, 10, 2);
	}
	return NULL;
}

static void test_threads_lose_nothing(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_often, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	write_text("t");
	assert_line("byunique_repeats_total 80000");
	assert_line("byunique_batch_commands_bucket{le=\"10\"} 160000");
	assert_line("byunique_batch_commands_sum 1600000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gauges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sqlstate_classes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_histograms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_histogram_of_seconds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stage_goes_on_from_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_partitions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_metric_is_described_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads_lose_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
