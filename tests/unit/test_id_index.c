/* The index of ids: it may name a block too many, never one too few. */
#include "byunique/id_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROOM = 4 };

/* Ids as badly spread as producers may choose them: a counter in the low bytes. */
static struct uuid counted(uint32_t n)
{
	struct uuid id = {{0}};
	memcpy(id.bytes + 12, &n, sizeof(n));
	return id;
}

static bool found_in(const struct id_index *index, uint32_t n, int64_t block)
{
	struct uuid id = counted(n);
	int64_t blocks[ROOM];
	uint32_t count = id_index_find(index, &id, blocks, ROOM);

	for (uint32_t i = 0; i < count; i++)
		if (blocks[i] == block)
			return true;
	return false;
}

static void test_finds_all(void **state)
{
	enum { IDS = 300000, PER_BLOCK = 7 };
	struct id_index *index = id_index_new();
	uint32_t strangers = 0;

	(void)state;
	for (uint32_t n = 0; n < IDS; n++) {
		struct uuid id = counted(n);
		id_index_add(index, &id, n / PER_BLOCK * 10);
	}
	for (uint32_t n = 0; n < IDS; n++)
		assert_true(found_in(index, n, n / PER_BLOCK * 10));
	for (uint32_t n = IDS; n < 2 * IDS; n++) {
		struct uuid id = counted(n);
		int64_t blocks[ROOM];
		strangers += id_index_find(index, &id, blocks, ROOM);
	}
	assert_in_range(strangers, 0, 200); /* 300,000 times 300,000 / 2^32 is 21 */
	id_index_free(index);
}

static void test_newest_first(void **state)
{
	static const int64_t expected[ROOM] = {60, 50, 40, 30};
	struct id_index *index = id_index_new();
	struct uuid id = counted(1);
	int64_t blocks[ROOM];

	(void)state;
	for (int64_t block = 10; block <= 60; block += 10)
		id_index_add(index, &id, block);
	id_index_add(index, &id, 60);
	assert_int_equal(id_index_find(index, &id, blocks, ROOM), ROOM);
	assert_memory_equal(blocks, expected, sizeof(expected));
	assert_int_equal(id_index_find(index, &id, blocks, 1), 1);
	assert_int_equal(blocks[0], 60);
	id_index_free(index);
}

static void test_forgets(void **state)
{
	enum { IDS = 200000, WINDOW = 1000 };
	struct id_index *index = id_index_new();

	(void)state;
	for (uint32_t n = 0; n < IDS; n++) {
		struct uuid id = counted(n);
		id_index_add(index, &id, n);
		id_index_forget(index, (int64_t)n - WINDOW);
		if (n % 997 != 0 || n < 2 * WINDOW)
			continue;
		for (uint32_t m = n - WINDOW; m <= n; m++)
			assert_true(found_in(index, m, m));
		for (uint32_t m = n - 2 * WINDOW; m < n - WINDOW; m++)
			assert_false(found_in(index, m, m));
	}
	id_index_forget(index, 0); /* never backwards */
	assert_false(found_in(index, 0, 0));
	id_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_all),
		cmocka_unit_test(test_newest_first),
		cmocka_unit_test(test_forgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
