/* The batch's memory: alignment, pieces that never overlap, chunks that stay, disposals that run once and backwards. */
#include "byunique/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 256 * 1024 }; /* as in arena.c: sizes around it are the interesting ones */

static int set_up(void **state)
{
	struct arena *arena = xmalloc(sizeof(*arena));
	arena_init(arena);
	*state = arena;
	return 0;
}

static int tear_down(void **state)
{
	arena_release(*state);
	free(*state);
	return 0;
}

static size_t size_of_turn(unsigned turn, unsigned *seed)
{
	static const size_t odd[] = {0, 1, 15, 16, 17, CHUNK_BYTES - 16, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES};
	if (turn % 50 == 0)
		return odd[(unsigned)rand_r(seed) % (sizeof(odd) / sizeof(*odd))];
	return (size_t)rand_r(seed) % 2000;
}

/* Each piece is filled with its own byte, and still holds it when all are there. */
static void fill_and_check(struct arena *arena, unsigned *seed)
{
	enum { PIECES = 1000 };
	static char *pieces[PIECES];
	static size_t sizes[PIECES];
	size_t total = 0;

	for (unsigned i = 0; i < PIECES; i++) {
		sizes[i] = size_of_turn(i, seed);
		pieces[i] = arena_alloc(arena, sizes[i]);
		assert_int_equal((uintptr_t)pieces[i] % 16, 0);
		memset(pieces[i], (int)(i % 251), sizes[i]);
		total += (sizes[i] + 15) / 16 * 16;
	}
	assert_int_equal(arena->used_bytes, total);
	for (unsigned i = 0; i < PIECES; i++)
		for (size_t b = 0; b < sizes[i]; b++)
			if (pieces[i][b] != (char)(i % 251))
				fail_msg("piece %u is overwritten at byte %zu", i, b);
}

static void test_pieces_never_overlap(void **state)
{
	unsigned seed = 1;
	for (int round = 0; round < 5; round++) {
		fill_and_check(*state, &seed);
		arena_clear(*state);
		assert_int_equal(((struct arena *)*state)->used_bytes, 0);
	}
}

/* The same pieces again come from the same places: nothing new is taken from the system. */
static void test_chunks_are_kept(void **state)
{
	enum { PIECES = 40 };
	static const size_t sizes[] = {100, 70000, CHUNK_BYTES, 5, 600000, 1};
	void *first[PIECES];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < PIECES; i++) {
			void *piece = arena_alloc(*state, sizes[i % 6]);
			if (round == 0)
				first[i] = piece;
			assert_ptr_equal(piece, first[i]);
		}
		arena_clear(*state);
	}
}

/* A large piece puts a chunk before one that is too small for it; that one serves again later. */
static void test_small_chunk_stays_for_later(void **state)
{
	struct arena *arena = *state;
	char *a = arena_alloc(arena, CHUNK_BYTES), *b = arena_alloc(arena, CHUNK_BYTES);

	arena_clear(arena);
	assert_ptr_equal(arena_alloc(arena, CHUNK_BYTES), a);
	memset(arena_alloc(arena, 2 * CHUNK_BYTES), 1, 2 * CHUNK_BYTES);
	assert_ptr_equal(arena_alloc(arena, CHUNK_BYTES), b);
}

/* A first piece that is too large for the first chunk passes it over: the chunks behind it are cleared nevertheless. */
static void test_first_chunk_passed_over(void **state)
{
	char *small = arena_alloc(*state, 16);

	for (int round = 0; round < 4; round++) {
		arena_clear(*state);
		memset(arena_alloc(*state, CHUNK_BYTES + 16), round, CHUNK_BYTES + 16);
	}
	arena_clear(*state);
	assert_ptr_equal(arena_alloc(*state, 16), small);
}

/* What one batch took beyond the usual is given back, so that it is not held for ever: sizes that only grow would otherwise
 * leave a chunk each. */
static void test_memory_is_given_back(void **state)
{
	struct arena *arena = *state;
	size_t kept = 0;

	for (size_t size = CHUNK_BYTES; size < CHUNK_BYTES + 2000 * 16; size += 16) {
		arena_alloc(arena, size);
		arena_clear(arena);
	}
	for (unsigned i = 0; i < 1000; i++) {
		char *piece = arena_alloc(arena, CHUNK_BYTES);
		memset(piece, 1, CHUNK_BYTES);
	}
	char *first = (char *)arena->first;
	arena_clear(arena);
	assert_ptr_equal(arena->first, first);
	for (struct arena_chunk *chunk = arena->first; chunk != NULL; chunk = *(struct arena_chunk **)chunk) /* its next */
		kept += CHUNK_BYTES;
	assert_true(kept > 0 && kept <= ARENA_KEPT_BYTES);
}

static void test_scratch(void **state)
{
	struct arena *arena = *state;

	for (int round = 0; round < 3; round++) {
		struct arena_mark empty = arena_mark(arena);
		memset(arena_alloc(arena, CHUNK_BYTES), 1, CHUNK_BYTES);
		arena_rewind(arena, empty);
		assert_int_equal(arena->used_bytes, 0);
		char *kept = memset(arena_alloc(arena, 1000), 7, 1000);
		struct arena_mark mark = arena_mark(arena);
		char *scratch = arena_alloc(arena, 16);
		for (unsigned i = 0; i < 10; i++)
			memset(arena_alloc(arena, CHUNK_BYTES / 2 + i * 100000), 1, CHUNK_BYTES / 2 + i * 100000);
		arena_rewind(arena, mark);
		assert_ptr_equal(arena_alloc(arena, 16), scratch);
		assert_int_equal(arena->used_bytes, 1008 + 16);
		memset(arena_alloc(arena, 3 * CHUNK_BYTES), 2, 3 * CHUNK_BYTES);
		for (unsigned i = 0; i < 1000; i++)
			assert_int_equal(kept[i], 7);
		arena_clear(arena);
	}
}

static void test_cleared_memory(void **state)
{
	memset(arena_alloc(*state, 5000), 0xAA, 5000);
	arena_clear(*state);
	const char *zeroed = arena_zalloc(*state, 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(zeroed[i], 0);
	const uint64_t *array = arena_zarray(*state, uint64_t, 3);
	assert_int_equal(array[0] | array[1] | array[2], 0);
}

static void test_copies(void **state)
{
	char text[] = "ab\0c";
	struct slice copy = arena_copy(*state, slice_of(text, 4));

	text[0] = 'X';
	assert_int_equal(copy.len, 4);
	assert_memory_equal(copy.base, "ab\0c", 5);
	assert_null(arena_copy(*state, SLICE_NONE).base);
	copy = arena_copy(*state, SLICE_LIT(""));
	assert_non_null(copy.base);
	assert_int_equal(copy.len, 0);
	assert_string_equal(arena_cstr(*state, SLICE_LIT("x")), "x");
	assert_string_equal(arena_cstr(*state, SLICE_NONE), "");
}

static void test_printf(void **state)
{
	struct slice text = arena_printf(*state, "%s=%d", "a", 7);
	assert_int_equal(text.len, 3);
	assert_string_equal(text.base, "a=7");
	text = arena_printf(*state, "%*d", CHUNK_BYTES + 1, 5);
	assert_int_equal(text.len, CHUNK_BYTES + 1);
	assert_int_equal(text.base[text.len - 1], '5');
	assert_int_equal(text.base[text.len], '\0');
}

struct trace {
	char order[8];
	int count;
};

struct tagged {
	struct trace *trace;
	char tag;
};

static void record(void *resource)
{
	struct tagged *tagged = resource;
	tagged->trace->order[tagged->trace->count++] = tagged->tag;
}

static void test_disposals(void **state)
{
	struct trace trace = {{0}, 0};
	struct tagged a = {&trace, 'a'}, b = {&trace, 'b'}, c = {&trace, 'c'};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	arena_attach(&arena, record, &a);
	arena_attach(&arena, record, &b);
	arena_clear(&arena);
	assert_string_equal(trace.order, "ba");
	arena_clear(&arena); /* once only */
	arena_attach(&arena, record, &c);
	arena_release(&arena);
	assert_string_equal(trace.order, "bac");
	arena_release(&arena);
	assert_int_equal(trace.count, 3);
}

static void test_transfer(void **state)
{
	struct trace trace = {{0}, 0};
	struct tagged a = {&trace, 'a'}, b = {&trace, 'b'}, c = {&trace, 'c'};
	struct arena from, to;

	(void)state;
	arena_init(&from);
	arena_init(&to);
	arena_attach(&from, record, &a);
	arena_attach(&from, record, &b);
	arena_attach(&from, record, &c);
	arena_transfer(&from, &to, &b);
	arena_release(&from);
	assert_string_equal(trace.order, "ca");
	arena_release(&to);
	assert_string_equal(trace.order, "cab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pieces_never_overlap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chunks_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_small_chunk_stays_for_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_chunk_passed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_is_given_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_scratch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cleared_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_copies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_printf, set_up, tear_down),
		cmocka_unit_test(test_disposals),
		cmocka_unit_test(test_transfer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
