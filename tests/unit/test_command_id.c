/* Ids made up for commands. The golden ones were computed by a few lines of Python from the description in
 * command_id.c. */
#include "byunique/command_id.h"

#include "byunique/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_row_id(struct slice batch_id, uint64_t row, const struct content_hash *content, const char *expected)
{
	struct uuid uuid;
	char text[37];

	uuid_of_row(batch_id, row, content, &uuid);
	uuid_format(&uuid, text);
	assert_string_equal(text, expected);
}

static void test_golden_rows(void **state)
{
	struct content_hash content;

	(void)state;
	for (unsigned i = 0; i < sizeof(content.bytes); i++)
		content.bytes[i] = (uint8_t)i;
	assert_row_id(SLICE_LIT("2024-05-17"), 1, &content, "8af6407a-c025-877e-bce4-b89c1c279c68");
	memset(content.bytes, 0xFF, sizeof(content.bytes));
	assert_row_id(SLICE_LIT("é"), (UINT64_C(1) << 40) + 7, &content, "7ad28b88-4f8f-847f-85ba-f36266ac6c27");
}

static void test_rows_differ(void **state)
{
	struct content_hash content = {{0}}, other = {{1}};
	struct uuid uuids[4];

	(void)state;
	uuid_of_row(SLICE_LIT("b"), 1, &content, &uuids[0]);
	uuid_of_row(SLICE_LIT("b"), 2, &content, &uuids[1]);
	uuid_of_row(SLICE_LIT("c"), 1, &content, &uuids[2]);
	uuid_of_row(SLICE_LIT("b"), 1, &other, &uuids[3]);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(&uuids[i], &uuids[j], sizeof(uuids[i]));
}

static void test_golden_replay(void **state)
{
	struct uuid original, other, uuid;
	char text[37];

	(void)state;
	assert_true(uuid_parse(SLICE_LIT("7F8E1C52-0b1d-4c7e-9a59-2f64c1d3a001"), &original));
	uuid_of_replay(SLICE_LIT("2024-05-17"), &original, &uuid);
	uuid_format(&uuid, text);
	assert_string_equal(text, "db682f22-9530-87b8-8635-932e6d3976f7");
	uuid_of_replay(SLICE_LIT("2024-05-18"), &original, &other);
	assert_memory_not_equal(&uuid, &other, sizeof(uuid));
}

static uint64_t timestamp(const struct uuid *uuid)
{
	uint64_t time = 0;
	for (int i = 0; i < 6; i++)
		time = time << 8 | uuid->bytes[i];
	return time;
}

static void test_series(void **state)
{
	struct uuid_series series = {0};
	struct uuid last = {{0}}, uuid;
	uint64_t before = (uint64_t)clock_wall_ms();

	(void)state;
	for (int i = 0; i < 20000; i++) { /* more than 4096 within a millisecond */
		uuid_series_next(&series, &uuid);
		assert_int_equal(uuid.bytes[6] >> 4, 7);
		assert_int_equal(uuid.bytes[8] >> 6, 2);
		assert_true(memcmp(&uuid, &last, 8) > 0); /* before the random part */
		last = uuid;
	}
	assert_in_range(timestamp(&uuid), before, (uint64_t)clock_wall_ms() + 10);
}

/* The clock was set back: the series still rises. */
static void test_clock_set_back(void **state)
{
	struct uuid_series series = {.last = (clock_wall_ms() + 60000) << 12 | 0xFFE};
	struct uuid first, second, third;

	(void)state;
	uuid_series_next(&series, &first);
	uuid_series_next(&series, &second);
	uuid_series_next(&series, &third);
	assert_true(memcmp(&first, &second, 8) < 0);
	assert_true(memcmp(&second, &third, 8) < 0);
	assert_int_equal(timestamp(&second), timestamp(&first) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_rows),
		cmocka_unit_test(test_golden_replay),
		cmocka_unit_test(test_rows_differ),
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_clock_set_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
