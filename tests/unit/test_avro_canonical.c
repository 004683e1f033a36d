/* Canonical forms and fingerprints. The fingerprints were computed with another implementation (fastavro 1.13.1). */
#include "avro/embedded.h"
#include "byunique/avro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *json, *form;
	uint64_t fingerprint;
} vectors[] = {
	{"\"null\"", "\"null\"", 0x63dd24e7cc258f8a},
	{"\"boolean\"", "\"boolean\"", 0x9f42fc78a4d4f764},
	{" \"int\"", "\"int\"", 0x7275d51a3f395c8f},
	{"\"long\"", "\"long\"", 0xd054e14493f41db7},
	{"{\"type\": \"float\"}", "\"float\"", 0x4d7c02cb3ea8d790},
	{"\"double\"", "\"double\"", 0x8e7535c032ab957e},
	{"{\"type\":\"bytes\", \"logicalType\":\"decimal\", \"precision\":4}", "\"bytes\"", 0x4fc016dac3201965},
	{"{\"type\": {\"type\": \"string\"}}", "\"string\"", 0x8f014872634503c7},
	{"[ \"int\"  ]", "[\"int\"]", 0xb763638a48b2fb03},
	{"[\"int\" , {\"type\":\"boolean\"} ]", "[\"int\",\"boolean\"]", 0x4ad63578080c1602},
	{"{\"items\":{\"type\":\"null\"}, \"type\":\"array\"}", "{\"type\":\"array\",\"items\":\"null\"}",
	 0xf7d13f2f68170a6d},
	{"{\"values\":\"string\", \"type\":\"map\"}", "{\"type\":\"map\",\"values\":\"string\"}", 0x86ce965d92864572},
	{"{\"fields\":[], \"type\":\"record\", \"name\":\"foo\"}", "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[]}",
	 0xbd0c50c84319be7e},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}", "{\"name\":\"E\",\"type\":\"enum\",\"symbols\":[]}",
	 0x5882ad3a4b236551},
	/* what goes: namespaces, documentation, defaults, aliases */
	{"{\"type\":\"record\",\"name\":\"Foo\",\"namespace\":\"x.y\",\"doc\":\"d\",\"fields\":[{\"type\":\"int\","
	 "\"name\":\"a\",\"default\":1,\"aliases\":[\"q\"]}]}",
	 "{\"name\":\"x.y.Foo\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}", 0x9150fede39ccc83f},
	/* a full name wins over the namespace beside it, and passes its own on */
	{"{\"type\":\"record\",\"name\":\"a.b.Foo\",\"namespace\":\"x.y\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":"
	 "\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}},{\"name\":\"g\",\"type\":\"E\"},{\"name\":\"h\",\"type\":"
	 "\"a.b.E\"}]}",
	 "{\"name\":\"a.b.Foo\",\"type\":\"record\",\"fields\":[{\"name\":\"f\",\"type\":{\"name\":\"a.b.E\",\"type\":"
	 "\"enum\",\"symbols\":[\"A\",\"B\"]}},{\"name\":\"g\",\"type\":\"a.b.E\"},{\"name\":\"h\",\"type\":\"a.b.E\"}]}",
	 0x175dfebe21e46e60},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"namespace\":\"n\",\"size\":\"016\",\"logicalType\":\"decimal\"}",
	 "{\"name\":\"n.F\",\"type\":\"fixed\",\"size\":16}", 0xe903747f25052d61},
	/* a type within itself */
	{"{\"type\":\"record\",\"name\":\"L\",\"namespace\":\"n\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"L\"]},"
	 "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"n.L\"}}]}",
	 "{\"name\":\"n.L\",\"type\":\"record\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"n.L\"]},{\"name\":\"m\","
	 "\"type\":{\"type\":\"map\",\"values\":\"n.L\"}}]}",
	 0x2606af086ac8c119},
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct slice json = slice_cstr(vectors[i].json);
		struct buf form = BUF_EMPTY;
		struct err err;
		uint64_t fingerprint;
		assert_true(schema_canonical_form(json, &form, &err));
		assert_string_equal(form.base, vectors[i].form);
		assert_true(schema_fingerprint(json, &fingerprint, &err));
		assert_int_equal(fingerprint, vectors[i].fingerprint);
		buf_clear(&form); /* a canonical form is its own canonical form */
		assert_true(schema_canonical_form(slice_cstr(vectors[i].form), &form, &err));
		assert_string_equal(form.base, vectors[i].form);
		buf_release(&form);
	}
}

static uint64_t fingerprint_of(struct slice json)
{
	uint64_t fingerprint;
	struct err err;

	assert_true(schema_fingerprint(json, &fingerprint, &err));
	return fingerprint;
}

/* These two are part of what producers and consumers rely on: whoever changes a schema changes them knowingly. */
static void test_own_schemas(void **state)
{
	(void)state;
	assert_int_equal(fingerprint_of(embedded_command_schema()), 0x18d8fe7b55d037b8);
	assert_int_equal(fingerprint_of(embedded_result_schema()), 0x281780312d27e20f);
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"

static const struct {
	const char *json, *detail; /* detail: a part of it */
} broken[] = {
	{"", "not JSON"},
	{"{", "not JSON"},
	{"{\"type\":\"int\",\"type\":\"long\"}", "not JSON"}, /* a key twice */
	{"17", "neither text, list nor object"},
	{"\"strin\"", "not defined"},
	{"\"union\"", "not defined"},
	{"{\"name\":\"R\"}", "has no \"type\""},
	{"{\"type\":\"array\"}", "has no \"items\""},
	{"{\"type\":\"map\",\"items\":\"int\"}", "has no \"values\""},
	{"[\"int\",[\"null\"]]", "union stands directly"},
	{"[\"int\",\"int\"]", "type int twice"},
	{"[\"null\"," RECORD("") ",\"R\"]", "type R twice"},
	{"{\"type\":\"record\",\"fields\":[]}", "no valid name"},
	{"{\"type\":\"record\",\"name\":\"a b\",\"fields\":[]}", "no valid name"},
	{"{\"type\":\"record\",\"name\":\"a.\",\"fields\":[]}", "no valid name"},
	{"{\"type\":\"record\",\"name\":\".a\",\"fields\":[]}", "no valid name"},
	{"{\"type\":\"record\",\"name\":\"1a\",\"fields\":[]}", "no valid name"},
	{"{\"type\":\"record\",\"name\":\"a\\u0000b\",\"fields\":[]}", "no valid name"},
	{"{\"type\":\"record\",\"name\":\"a\",\"namespace\":\"b..c\",\"fields\":[]}", "no valid namespace"},
	{"{\"type\":\"record\",\"name\":\"int\",\"fields\":[]}", "already taken"},
	{"{\"type\":\"record\",\"name\":\"R\"}", "no list of fields"},
	{RECORD("{\"name\":\"f\"}"), "has no type"},
	{RECORD("{\"name\":\"f.g\",\"type\":\"int\"}"), "no valid name"},
	{RECORD("{\"name\":\"f\",\"type\":\"int\"},{\"name\":\"f\",\"type\":\"int\"}"), "two fields f"},
	{RECORD("{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"R\",\"size\":1}}"), "already taken"},
	{RECORD("{\"name\":\"f\",\"type\":\"S\"}"), "\"S\" is not defined"},
	{"{\"type\":\"enum\",\"name\":\"E\"}", "no list of symbols"},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}", "symbol 2"},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"\"]}", "symbol 1"},
	{"{\"type\":\"fixed\",\"name\":\"F\"}", "no valid size"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "no valid size"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":\"1x\"}", "no valid size"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2147483648}", "no valid size"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":\"99999999999999999999999\"}", "no valid size"},
};

static void test_broken_schemas(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct err err;
		uint64_t fingerprint;
		assert_false(schema_fingerprint(slice_cstr(broken[i].json), &fingerprint, &err));
		assert_int_equal(err.verdict, VERDICT_USAGE);
		if (strstr(err.detail, broken[i].detail) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", broken[i].json, err.detail, broken[i].detail);
	}
}

/* A schema of arrays within arrays, `depth` in all. */
static bool nested_is_valid(int depth)
{
	struct buf json = BUF_EMPTY;
	struct err err;
	uint64_t fingerprint;

	for (int i = 0; i < depth; i++)
		buf_adds(&json, "{\"type\":\"array\",\"items\":");
	buf_adds(&json, "\"int\"");
	for (int i = 0; i < depth; i++)
		buf_adds(&json, "}");
	bool valid = schema_fingerprint(buf_slice(&json), &fingerprint, &err);
	buf_release(&json);
	return valid;
}

static void test_depth(void **state)
{
	(void)state;
	assert_true(nested_is_valid(63));
	assert_false(nested_is_valid(64));
	assert_false(nested_is_valid(1000000));
}

static bool is_valid(const struct buf *json, const char *why_not)
{
	uint64_t fingerprint;
	struct err err;

	if (schema_fingerprint(buf_slice(json), &fingerprint, &err))
		return true;
	if (strstr(err.detail, why_not) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.detail, why_not);
	return false;
}

/* An enum with so many symbols, or a record with so many fields. */
static bool wide_is_valid(const char *kind, const char *list, const char *before, const char *after, unsigned count)
{
	struct buf json = BUF_EMPTY;

	buf_printf(&json, "{\"type\":\"%s\",\"name\":\"W\",\"%s\":[", kind, list);
	for (unsigned i = 0; i < count; i++) {
		buf_printf(&json, "%s%s%u%s", i > 0 ? "," : "", before, i, after);
	}
	buf_adds(&json, "]}");
	bool valid = is_valid(&json, "more than 10000 types, fields and symbols");
	buf_release(&json);
	return valid;
}

static void test_width(void **state)
{
	(void)state;
	assert_true(wide_is_valid("enum", "symbols", "\"s", "\"", 9990));
	assert_false(wide_is_valid("enum", "symbols", "\"s", "\"", 10000));
	assert_true(wide_is_valid("record", "fields", "{\"name\":\"f", "\",\"type\":\"int\"}", 9990));
	assert_false(wide_is_valid("record", "fields", "{\"name\":\"f", "\",\"type\":\"int\"}", 10000));
}

/* A name goes into the canonical form, and once into that of each type within it. */
static bool name_is_valid(unsigned space_len, const char *name)
{
	struct buf json = BUF_EMPTY;

	buf_adds(&json, "{\"type\":\"record\",\"namespace\":\"");
	for (unsigned i = 0; i < space_len; i++)
		buf_addc(&json, 'n');
	buf_printf(&json, "\",\"name\":\"%s\",\"fields\":[{\"name\":\"self\",\"type\":[\"null\",\"%s\"]}]}", name, name);
	bool valid = is_valid(&json, "has more than 500 bytes");
	buf_release(&json);
	return valid;
}

static void test_length_of_names(void **state)
{
	(void)state;
	assert_true(name_is_valid(10, "R"));
	assert_true(name_is_valid(498, "R"));
	assert_false(name_is_valid(499, "R"));
	assert_false(name_is_valid(500000, "R"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_own_schemas),
		cmocka_unit_test(test_broken_schemas),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_length_of_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
