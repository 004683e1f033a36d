/* Ids and hashes. The golden hashes were computed by a program of a few lines of Python from the description in command.c;
 * they stand in databases, so when one of these tests fails, the code is wrong. */
#include "byunique/command.h"

#include "byunique/arena.h"
#include "values.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ATTRIBUTE(n, v) {{"" n, sizeof(n) - 1}, v}

struct content {
	char hex[33];
};

static struct content hash_of(const char *customer_id, const char *ext_name, struct named_value *attributes, size_t count)
{
	struct command command = {.customer_id = slice_cstr(customer_id),
				  .ext_name = slice_cstr(ext_name),
				  .attributes = attributes,
				  .attribute_count = (uint32_t)count};
	struct content_hash hash;
	struct content content;
	struct arena arena;

	arena_init(&arena);
	command_content_hash(&command, &arena, &hash);
	arena_release(&arena);
	for (int i = 0; i < 16; i++)
		sprintf(content.hex + 2 * i, "%02x", hash.bytes[i]);
	return content;
}

#define HASH(customer_id, ext_name, ...)                                                                               \
	hash_of(customer_id, ext_name, (struct named_value[]){__VA_ARGS__},                                            \
		sizeof((struct named_value[]){__VA_ARGS__}) / sizeof(struct named_value))
#define ONE(name, value)     HASH("c", "E", ATTRIBUTE(name, value))
#define assert_same(a, b)    assert_string_equal((a).hex, (b).hex)
#define assert_differ(a, b) assert_string_not_equal((a).hex, (b).hex)

static void test_golden_contents(void **state)
{
	(void)state;
	assert_string_equal(HASH("00027a52JCGY000M", "Phone", ATTRIBUTE("PhoneNumber", STRING("+33 1")),
				 ATTRIBUTE("PhoneType", INT(5)), ATTRIBUTE("prefix", NUL), ATTRIBUTE("Flag", BOOL(true)),
				 ATTRIBUTE("ratio", DOUBLE(0.1)), ATTRIBUTE("Désc", STRING("é😀")))
				    .hex,
			    "6ca2de81672770a3ee9efce612976ccc");
	assert_string_equal(hash_of("", "", NULL, 0).hex, "15ec7bf0b50732b49f8228e07d243653");
	assert_string_equal(HASH("c", "E", ATTRIBUTE("n", DOUBLE(NAN)), ATTRIBUTE("i", FLOAT(-INFINITY)),
				 ATTRIBUTE("x", DOUBLE(0x1p63)), ATTRIBUTE("y", LONG(INT64_MIN)),
				 ATTRIBUTE("z", DOUBLE(-0.0)), ATTRIBUTE("f", BOOL(false)))
				    .hex,
			    "dbed3e4cd137adf261f2ad424f74771f");
}

#define OF_KIND(k, s, n) ((struct value){.kind = VALUE_##k, .scale = (s), .integer = (n)})
#define DECIMAL(s, bytes) ((struct value){.kind = VALUE_DECIMAL, .scale = (s), .string = {"" bytes, sizeof(bytes) - 1}})

static void test_logical_types(void **state)
{
	(void)state;
	assert_string_equal(ONE("a", OF_KIND(TIMESTAMP, 6, -1)).hex, "498b99d1f6b2a0182021ad5ab4643abd");
	assert_string_equal(ONE("a", DECIMAL(2, "\xFB\x1E")).hex, "ea626e9270f85a463c19f48c60f6e34c");
	assert_string_equal(ONE("a", OF_KIND(TIMESTAMP, 9, 1)).hex, "e4577681fc3345131bcc89a9ed61ec7e");
	assert_string_equal(ONE("a", OF_KIND(LOCAL_TIME, 3, 5)).hex, "74c43584459b7b0c63ad69a16fe0d19a");
	assert_string_equal(ONE("a", DECIMAL(5, "\x05")).hex, "e4745c51c37f1d1a634c940bc2a4d7da");
	assert_same(ONE("a", OF_KIND(DATE, 0, 5)), ONE("a", INT(5)));
	assert_same(ONE("a", OF_KIND(TIMESTAMP, 3, 5)), ONE("a", LONG(5)));
	assert_same(ONE("a", OF_KIND(TIMESTAMP, 6, 5000)), ONE("a", LONG(5)));
	assert_same(ONE("a", OF_KIND(TIMESTAMP, 9, -5000000)), ONE("a", LONG(-5)));
	assert_same(ONE("a", DECIMAL(1, "\xCE")), ONE("a", INT(-5)));
	assert_same(ONE("a", DECIMAL(2, "\x00\x7D")), ONE("a", DECIMAL(3, "\x04\xE2")));
	assert_differ(ONE("a", OF_KIND(LOCAL_TIME, 3, 5)), ONE("a", LONG(5)));
}

static void test_same_content(void **state)
{
	(void)state;
	assert_same(HASH("c", "Phone", ATTRIBUTE("A", INT(1)), ATTRIBUTE("b", NUL)),
		    HASH("c", "pHONE", ATTRIBUTE("B", NUL), ATTRIBUTE("a", LONG(1))));
	assert_same(HASH("c", "E", ATTRIBUTE("A", INT(1)), ATTRIBUTE("a", INT(2))),
		    HASH("c", "E", ATTRIBUTE("a", INT(2)), ATTRIBUTE("a", INT(1))));
	assert_same(ONE("n", INT(5)), ONE("n", LONG(5)));
	assert_same(ONE("n", INT(5)), ONE("n", FLOAT(5.0)));
	assert_same(ONE("n", INT(5)), ONE("n", DOUBLE(5.0)));
	assert_same(ONE("n", INT(0)), ONE("n", DOUBLE(-0.0)));
	assert_same(ONE("n", LONG(INT64_MIN)), ONE("n", DOUBLE(-0x1p63)));
	assert_same(ONE("n", LONG(INT64_C(1) << 62)), ONE("n", FLOAT(0x1p62)));
	assert_same(ONE("n", FLOAT(0.5)), ONE("n", DOUBLE(0.5)));
	assert_same(ONE("n", FLOAT(INFINITY)), ONE("n", DOUBLE(INFINITY)));
	assert_same(ONE("n", DOUBLE(NAN)), ONE("n", DOUBLE(-NAN)));
}

static void test_other_content(void **state)
{
	(void)state;
	assert_differ(HASH("c", "E", ATTRIBUTE("a", NUL)), HASH("C", "E", ATTRIBUTE("a", NUL)));
	assert_differ(HASH("cE", "", ATTRIBUTE("a", NUL)), HASH("c", "E", ATTRIBUTE("a", NUL)));
	assert_differ(ONE("a", NUL), hash_of("c", "E", NULL, 0));
	assert_differ(ONE("a", NUL), HASH("c", "E", ATTRIBUTE("a", NUL), ATTRIBUTE("a", NUL)));
	assert_differ(ONE("a", NUL), ONE("b", NUL));
	assert_differ(ONE("k", NUL), ONE("\u212a", NUL)); /* the Kelvin sign is no K */
	assert_differ(ONE("ä", NUL), ONE("Ä", NUL));
	assert_differ(ONE("a", NUL), ONE("a\0", NUL));
	assert_differ(ONE("a", NUL), ONE("a", STRING("")));
	assert_differ(ONE("a", STRING("x")), ONE("a", STRING("X")));
	assert_differ(ONE("a", STRING("x")), ONE("a", STRING("x\0")));
	assert_differ(ONE("a", STRING("5")), ONE("a", INT(5)));
	assert_differ(ONE("a", STRING("true")), ONE("a", BOOL(true)));
	assert_differ(ONE("a", BOOL(true)), ONE("a", BOOL(false)));
	assert_differ(ONE("a", BOOL(true)), ONE("a", INT(1)));
	assert_differ(ONE("a", FLOAT(0.1f)), ONE("a", DOUBLE(0.1)));
	assert_differ(ONE("a", LONG(INT64_MAX)), ONE("a", DOUBLE(0x1p63)));
	assert_differ(ONE("a", LONG((INT64_C(1) << 53) + 1)), ONE("a", DOUBLE(0x1p53)));
	assert_differ(ONE("a", DOUBLE(INFINITY)), ONE("a", DOUBLE(-INFINITY)));
	assert_differ(ONE("a", DOUBLE(INFINITY)), ONE("a", DOUBLE(NAN)));
	assert_differ(HASH("c", "E", ATTRIBUTE("a", INT(1)), ATTRIBUTE("b", INT(2))),
		      HASH("c", "E", ATTRIBUTE("a", INT(2)), ATTRIBUTE("b", INT(1))));
	assert_differ(ONE("a", STRING("n\1\0\0\0b")), HASH("c", "E", ATTRIBUTE("a", STRING("n")), ATTRIBUTE("b", NUL)));
}

/* Both ways to sort, on either side of where they meet, in three orders. */
static void test_order_does_not_matter(void **state)
{
	enum { MOST = 60 };
	static char names[MOST][4];
	struct named_value up[MOST], down[MOST], mixed[MOST];

	(void)state;
	for (size_t count = 0; count <= MOST; count++) {
		for (size_t i = 0; i < count; i++) {
			sprintf(names[i], "a%zu", i);
			up[i] = (struct named_value){slice_cstr(names[i]), INT((int64_t)i)};
			down[count - 1 - i] = up[i];
			mixed[i] = up[i];
		}
		for (size_t i = 0; i + 1 < count; i += 2) {
			struct named_value swapped = mixed[i];
			mixed[i] = mixed[i + 1];
			mixed[i + 1] = swapped;
		}
		assert_same(hash_of("c", "E", up, count), hash_of("c", "E", down, count));
		assert_same(hash_of("c", "E", up, count), hash_of("c", "E", mixed, count));
		if (count > 0)
			assert_differ(hash_of("c", "E", up, count), hash_of("c", "E", up, count - 1));
	}
}

static void test_golden_messages(void **state)
{
	char value[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		value[i] = (char)i;
	char key[100];
	memset(key, 'k', sizeof(key));
	assert_int_equal(message_hash(SLICE_LIT("key"), SLICE_LIT("value")), 0x2d6b6b6fe15ffcf6);
	assert_int_equal(message_hash(SLICE_NONE, SLICE_NONE), 0x60daa3a5f7dbfa20);
	assert_int_equal(message_hash(SLICE_LIT(""), SLICE_LIT("")), 0x50b7e601709cff9e);
	assert_int_equal(message_hash(SLICE_NONE, SLICE_LIT("")), 0x9c63d9b43bac4070);
	assert_int_equal(message_hash(SLICE_LIT(""), SLICE_NONE), 0xaa25e1d595a77c37);
	assert_int_equal(message_hash(slice_of(key, 100), slice_of(value, 256)), 0xca7222a3b95dc97f);
	assert_int_not_equal(message_hash(SLICE_LIT("ab"), SLICE_LIT("c")), message_hash(SLICE_LIT("a"), SLICE_LIT("bc")));
}

static void *hash_in_thread(void *wrong)
{
	for (int i = 0; i < 1000; i++)
		if (message_hash(SLICE_LIT("key"), SLICE_LIT("value")) != 0x2d6b6b6fe15ffcf6)
			++*(int *)wrong;
	return NULL;
}

static void test_threads(void **state)
{
	enum { THREADS = 4 };
	pthread_t threads[THREADS];
	int wrong[THREADS] = {0};

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_in_thread, &wrong[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(wrong[i], 0);
	}
}

static void test_uuid(void **state)
{
	static const char *const good[] = {
		"6f9619ff-8b86-d011-b42d-00c04fc964ff", "6F9619FF-8B86-D011-B42D-00C04FC964FF",
		"6F9619ff-8b86-D011-b42d-00c04FC964fF"};
	static const uint8_t bytes[16] = {0x6f, 0x96, 0x19, 0xff, 0x8b, 0x86, 0xd0, 0x11,
					  0xb4, 0x2d, 0x00, 0xc0, 0x4f, 0xc9, 0x64, 0xff};
	struct uuid uuid;
	char text[37];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		memset(&uuid, 0xAA, sizeof(uuid));
		assert_true(uuid_parse(slice_cstr(good[i]), &uuid));
		assert_memory_equal(uuid.bytes, bytes, 16);
		uuid_format(&uuid, text);
		assert_string_equal(text, good[0]);
	}
	assert_true(uuid_parse(SLICE_LIT("00000000-0000-0000-0000-000000000000"), &uuid));
	assert_true(uuid_parse(SLICE_LIT("ffffffff-ffff-ffff-ffff-ffffffffffff"), &uuid));
}

static void test_no_uuid(void **state)
{
	static const char good[] = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
	static const struct slice bad[] = {
		{"", 0},
		{"6f9619ff8b86d011b42d00c04fc964ff", 32},
		{"{6f9619ff-8b86-d011-b42d-00c04fc964ff}", 38},
		{"6f9619ff-8b86-d011-b42d-00c04fc964f", 35},
		{"6f9619ff-8b86-d011-b42d-00c04fc964ff0", 37},
		{"6f9619ff-8b86-d011-b42d-00c04fc964f ", 36},
		{" f9619ff-8b86-d011-b42d-00c04fc964ff", 36},
		{"6f9619ff-8b86-d011-b42d00-c04fc964ff", 36},
		{"6f9619ff_8b86_d011_b42d_00c04fc964ff", 36},
		{"+f9619ff-8b86-d011-b42d-00c04fc964ff", 36},
		{"0x9619ff-8b86-d011-b42d-00c04fc964ff", 36},
		{NULL, 0},
	};
	struct uuid uuid;
	char text[36];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(uuid_parse(bad[i], &uuid));
	for (size_t i = 0; i < 36; i++)
		for (int c = 0; c < 256; c++) {
			bool hyphen = good[i] == '-';
			bool fine = hyphen ? c == '-' : c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
			memcpy(text, good, 36);
			text[i] = (char)c;
			assert_int_equal(uuid_parse(slice_of(text, 36), &uuid), fine);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_contents),	      cmocka_unit_test(test_same_content),
		cmocka_unit_test(test_other_content),	      cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_golden_messages),	      cmocka_unit_test(test_threads),
		cmocka_unit_test(test_uuid),		      cmocka_unit_test(test_no_uuid),
		cmocka_unit_test(test_logical_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
