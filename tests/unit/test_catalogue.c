/* Names, look-ups and the life of a catalogue. */
#include "byunique/catalogue.h"

#include "byunique/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_name_valid(void **state)
{
	static const struct slice good[] = {{"a", 1}, {"Z", 1}, {"Phone", 5}, {"a_1", 3}, {"A_", 2},
					    {"abcdefghijklmnopqrstuvwxyz", 26}};
	static const struct slice bad[] = {{NULL, 0}, {"", 0}, {"_a", 2}, {"1a", 2}, {"a b", 3}, {"a-b", 3}, {"a\0", 2},
					   {"\0", 1}, {"ä", 2}, {"a\u212a", 4}, {"a.", 2}, {"a\n", 2}, {"@", 1}, {"[", 1},
					   {"`", 1}, {"{", 1}, {"a/", 2}, {"a:", 2}, {"a\"", 2}, {"a\xFF", 2},
					   {"abcdefghijklmnopqrstuvwxyz1", 27}};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(name_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(name_valid(bad[i]));
}

static void test_name_lower(void **state)
{
	char lower[NAME_MAX_CHARS + 1];

	(void)state;
	name_lower(SLICE_LIT("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), lower);
	assert_string_equal(lower, "abcdefghijklmnopqrstuvwxyz");
	name_lower(SLICE_LIT("Start_Availabilty9"), lower);
	assert_string_equal(lower, "start_availabilty9");
}

static void test_type_names(void **state)
{
	static const char *const names[] = {"string",	"integer",  "long",	"double",
					    "date",	"datetime", "currency", "boolean"};
	enum attribute_type type;
	enum extension_type ext;

	(void)state;
	assert_int_equal(ATTRIBUTE_TYPE_COUNT, 8);
	for (int i = 0; i < ATTRIBUTE_TYPE_COUNT; i++) {
		assert_true(attribute_type_parse(slice_cstr(names[i]), &type));
		assert_int_equal(type, i);
		assert_string_equal(attribute_type_name(type), names[i]);
	}
	assert_true(attribute_type_parse(SLICE_LIT("DateTime"), &type));
	assert_int_equal(type, TYPE_DATETIME);
	assert_false(attribute_type_parse(SLICE_LIT("int"), &type));
	assert_false(attribute_type_parse(SLICE_LIT("string "), &type));
	assert_false(attribute_type_parse(SLICE_LIT(""), &type));
	assert_true(extension_type_parse(SLICE_LIT("MULTI-valued"), &ext));
	assert_int_equal(ext, EXTENSION_MULTI_VALUED);
	assert_true(extension_type_parse(SLICE_LIT("Single-Valued"), &ext));
	assert_string_equal(extension_type_name(ext), "single-valued");
	assert_true(extension_type_parse(SLICE_LIT("classifier"), &ext));
	assert_int_equal(ext, EXTENSION_CLASSIFIER);
	assert_false(extension_type_parse(SLICE_LIT("multi_valued"), &ext));
}

static void name_attribute(struct attribute *attribute, const char *name)
{
	snprintf(attribute->name, sizeof(attribute->name), "%s", name);
	name_lower(slice_cstr(attribute->name), attribute->column);
}

static void name_extension(struct extension *extension, const char *name)
{
	snprintf(extension->name, sizeof(extension->name), "%s", name);
}

static void fill_attributes(struct extension *extension, unsigned count)
{
	extension->attributes = xcalloc(count, sizeof(*extension->attributes));
	extension->attribute_count = (uint16_t)count;
	for (unsigned a = 0; a < count; a++) {
		char name[NAME_MAX_CHARS + 1];
		snprintf(name, sizeof(name), "%c%s%u", a % 2 ? 'n' : 'N', a % 3 ? "_" : "", a);
		name_attribute(&extension->attributes[a], name);
	}
}

/* The index and the scan agree, whatever the number of attributes. */
static void test_find_attributes(void **state)
{
	static const unsigned counts[] = {0, 1, 2, 3, 6, 7, 8, 63, ATTRIBUTES_MAX};

	(void)state;
	for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++)
		for (int indexed = 0; indexed <= 1; indexed++) {
			struct extension extension = {0};
			fill_attributes(&extension, counts[c]);
			if (indexed)
				extension_index(&extension);
			for (unsigned a = 0; a < counts[c]; a++) {
				struct attribute *attribute = &extension.attributes[a];
				assert_int_equal(extension_find(&extension, slice_cstr(attribute->name)), a);
				assert_int_equal(extension_find(&extension, slice_cstr(attribute->column)), a);
			}
			assert_int_equal(extension_find(&extension, SLICE_LIT("a")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("z")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("n")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("n0\0")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("\0")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("n0 ")), -1);
			assert_int_equal(extension_find(&extension, SLICE_LIT("\xFF")), -1);
			extension_release(&extension);
			assert_null(extension.attributes);
		}
}

/* '_' stands between the capital and the small letters: the order has to be that of one case. */
static void test_find_extensions(void **state)
{
	static const char *const names[] = {"Phone", "a_b", "aB", "Abc", "PHONE_2", "phone2", "Z", "b", "phonebook"};
	enum { COUNT = sizeof(names) / sizeof(*names) };
	struct catalogue *catalogue = catalogue_new(7, COUNT);
	char upper[NAME_MAX_CHARS + 1];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		name_extension(&catalogue->extensions[i], names[i]);
		catalogue->extensions[i].id = i + 1;
		fill_attributes(&catalogue->extensions[i], 3);
	}
	catalogue_sort(catalogue);
	for (int i = 0; i < COUNT; i++) {
		const struct extension *found = catalogue_find(catalogue, slice_cstr(names[i]));
		assert_non_null(found);
		assert_int_equal(found->id, i + 1);
		assert_non_null(found->by_name);
		size_t len = strlen(names[i]);
		for (size_t c = 0; c <= len; c++)
			upper[c] = names[i][c] >= 'a' && names[i][c] <= 'z' ? (char)(names[i][c] - 32) : names[i][c];
		assert_ptr_equal(catalogue_find(catalogue, slice_of(upper, len)), found);
	}
	assert_null(catalogue_find(catalogue, SLICE_LIT("Phon")));
	assert_null(catalogue_find(catalogue, SLICE_LIT("Phones")));
	assert_null(catalogue_find(catalogue, SLICE_LIT("Phone\0")));
	assert_null(catalogue_find(catalogue, SLICE_LIT("")));
	assert_int_equal(catalogue->version, 7);
	catalogue_sort(catalogue); /* again: nothing leaks */
	catalogue_drop(catalogue);
}

static void test_empty_catalogue(void **state)
{
	struct catalogue *catalogue = catalogue_new(1, 0);

	(void)state;
	catalogue_sort(catalogue);
	assert_null(catalogue_find(catalogue, SLICE_LIT("Phone")));
	catalogue_drop(catalogue);
	catalogue_drop(NULL);
}

static void *hold_and_drop(void *catalogue)
{
	for (int i = 0; i < 20000; i++)
		catalogue_drop(catalogue_hold(catalogue));
	catalogue_drop(catalogue);
	return NULL;
}

/* What is lost of the counts would leak or be freed twice: the sanitizers tell. */
static void test_references(void **state)
{
	enum { THREADS = 3 };
	struct catalogue *catalogue = catalogue_new(1, 1);
	pthread_t threads[THREADS];

	(void)state;
	fill_attributes(&catalogue->extensions[0], 2);
	catalogue->extensions[0].attributes[1].default_value = xstrdup("x");
	name_extension(&catalogue->extensions[0], "E");
	catalogue_sort(catalogue);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold_and_drop, catalogue_hold(catalogue)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(catalogue->refs, 1);
	catalogue_drop(catalogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_valid),	 cmocka_unit_test(test_name_lower),
		cmocka_unit_test(test_type_names),	 cmocka_unit_test(test_find_attributes),
		cmocka_unit_test(test_find_extensions), cmocka_unit_test(test_empty_catalogue),
		cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
