/* Extension schemas from files: what is loose is read as it is meant, what has no one meaning is refused with its line. */
#include "byunique/schema_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct parsed {
	struct extension *extensions;
	size_t count;
};

static struct parsed parse_slice(struct slice text)
{
	struct parsed parsed;
	struct err err;

	if (!schema_file_parse("x.json", text, &parsed.extensions, &parsed.count, &err))
		fail_msg("%s %s", err.what, err.detail);
	return parsed;
}

static struct parsed parse(const char *text)
{
	return parse_slice(slice_cstr(text));
}

static void release(struct parsed *parsed)
{
	for (size_t i = 0; i < parsed->count; i++)
		extension_release(&parsed->extensions[i]);
	free(parsed->extensions);
}

/* Refused at that line, for a reason that holds `why`. */
static void refused(const char *text, unsigned line, const char *why)
{
	struct parsed parsed;
	struct err err;
	char place[32];

	if (schema_file_parse("x.json", slice_cstr(text), &parsed.extensions, &parsed.count, &err))
		fail_msg("accepted: %s", text);
	assert_int_equal(err.verdict, VERDICT_USAGE);
	snprintf(place, sizeof(place), "x.json:%u: ", line);
	if (strncmp(err.what, place, strlen(place)) != 0 || strstr(err.what, why) == NULL)
		fail_msg("not at line %u for \"%s\": %s", line, why, err.what);
}

/* The contract's own example. */
static void test_example(void **state)
{
	struct parsed parsed = parse(
		"{\"name\": \"Phone\", \"type\": \"multi-valued\", \"unique\": [\"PhoneNumber\"],\n"
		" \"attributes\": [\n"
		"   {\"name\": \"PhoneType\",          \"type\": \"integer\"},\n"
		"   {\"name\": \"prefix\",             \"type\": \"string\", \"length\": 5},\n"
		"   {\"name\": \"PhoneNumber\",        \"type\": \"string\", \"length\": 20, \"mandatory\": true},\n"
		"   {\"name\": \"description\",        \"type\": \"string\", \"length\": 256},\n"
		"   {\"name\": \"start_availabilty\",  \"type\": \"datetime\"},\n"
		"   {\"name\": \"end_availabilty\",    \"type\": \"datetime\"}]}\n");
	const struct extension *phone = parsed.extensions;

	(void)state;
	assert_int_equal(parsed.count, 1);
	assert_int_equal(phone->id, 0);
	assert_string_equal(phone->name, "Phone");
	assert_string_equal(phone->table, "ext_phone");
	assert_int_equal(phone->type, EXTENSION_MULTI_VALUED);
	assert_int_equal(phone->attribute_count, 6);
	assert_int_equal(phone->unique_count, 1);
	assert_int_equal(phone->unique[0], 2);
	assert_true(phone->attributes[2].unique && phone->attributes[2].mandatory);
	assert_false(phone->attributes[0].unique || phone->attributes[0].mandatory);
	assert_int_equal(phone->attributes[1].length, 5);
	assert_int_equal(phone->attributes[0].length, 0);
	assert_null(phone->attributes[0].default_value);
	assert_string_equal(phone->attributes[4].name, "start_availabilty");
	assert_string_equal(phone->attributes[0].column, "phonetype");
	assert_int_equal(phone->attributes[4].type, TYPE_DATETIME);
	assert_int_equal(extension_find(phone, SLICE_LIT("PHONENUMBER")), 2);
	release(&parsed);
}

/* Types in any case, numbers and booleans as strings, nulls for what is absent, comments, names without case, a mark. */
static void test_loose(void **state)
{
	struct parsed parsed = parse(
		"\xEF\xBB\xBF{\"type\": \"Multi-VALUED\", \"unique\": [\"KEY\", \"other\"], \"comment\": [1, {}],\n"
		"\"description\": null, \"name\": \"ABC_1\", \"attributes\": [\n"
		"{\"name\": \"Other\", \"type\": \"Integer\", \"length\": null, \"default\": null, \"mandatory\": "
		"null},\n"
		"{\"type\": \"STRING\", \"mandatory\": \"TRUE\", \"length\": \"3\", \"name\": \"Key\"},\n"
		"{\"name\": \"c\", \"type\": \"DateTime\", \"mandatory\": \"false\", \"description\": \"x\", "
		"\"comment\": 5},\n"
		"{\"name\": \"d\", \"type\": \"double\", \"mandatory\": false}]}");
	const struct extension *e = parsed.extensions;

	(void)state;
	assert_string_equal(e->name, "ABC_1");
	assert_string_equal(e->table, "ext_abc_1");
	assert_int_equal(e->type, EXTENSION_MULTI_VALUED);
	assert_int_equal(e->unique_count, 2);
	assert_int_equal(e->unique[0], 1); /* in the order of the list */
	assert_int_equal(e->unique[1], 0);
	assert_true(e->attributes[0].mandatory); /* because it is unique */
	assert_int_equal(e->attributes[0].length, 0);
	assert_null(e->attributes[0].default_value);
	assert_int_equal(e->attributes[1].length, 3);
	assert_false(e->attributes[2].mandatory);
	release(&parsed);
}

static void test_lists(void **state)
{
	struct parsed parsed =
		parse("[{\"name\": \"A\", \"type\": \"classifier\"},\n"
		      " {\"name\": \"B\", \"type\": \"single-valued\", \"attributes\": [], \"unique\": []},\n"
		      " {\"name\": \"C\", \"type\": \"Single-Valued\", \"unique\": [\"x\"],\n"
		      "  \"attributes\": [{\"name\": \"x\", \"type\": \"boolean\"}]}]");

	(void)state;
	assert_int_equal(parsed.count, 3);
	assert_int_equal(parsed.extensions[0].type, EXTENSION_CLASSIFIER);
	assert_int_equal(parsed.extensions[0].attribute_count, 0);
	assert_int_equal(parsed.extensions[1].type, EXTENSION_SINGLE_VALUED);
	assert_int_equal(parsed.extensions[2].unique_count, 0); /* no key: there is one record for a customer */
	assert_false(parsed.extensions[2].attributes[0].unique);
	assert_true(parsed.extensions[2].attributes[0].mandatory);
	release(&parsed);
}

/* --- defaults: kept as the canonical text of the value --------------------------------------------------------- */

#define ONE_ATTRIBUTE(rest)                                                                                            \
	"{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [\n{\"name\": \"a\", " rest "}]}"

static void assert_default(const char *json, const char *expected)
{
	struct parsed parsed = parse(json);

	if (parsed.extensions[0].attributes[0].default_value == NULL)
		fail_msg("no default: %s", json);
	assert_string_equal(parsed.extensions[0].attributes[0].default_value, expected);
	release(&parsed);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_default(ONE_ATTRIBUTE("\"type\": \"integer\", \"default\": \"0\""), "0");
	assert_default(ONE_ATTRIBUTE("\"type\": \"integer\", \"default\": -7"), "-7");
	assert_default(ONE_ATTRIBUTE("\"default\": \"+007\", \"type\": \"long\""), "7");
	assert_default(ONE_ATTRIBUTE("\"type\": \"double\", \"default\": 1"), "1");
	assert_default(ONE_ATTRIBUTE("\"type\": \"double\", \"default\": \"0.10\""), "0.1");
	assert_default(ONE_ATTRIBUTE("\"type\": \"boolean\", \"default\": \"True\""), "true");
	assert_default(ONE_ATTRIBUTE("\"type\": \"boolean\", \"default\": false"), "false");
	assert_default(ONE_ATTRIBUTE("\"type\": \"currency\", \"default\": \"12.5\""), "12.5000");
	assert_default(ONE_ATTRIBUTE("\"type\": \"currency\", \"default\": 12"), "12.0000");
	assert_default(ONE_ATTRIBUTE("\"type\": \"date\", \"default\": \"2009-12-18\""), "2009-12-18");
	assert_default(ONE_ATTRIBUTE("\"type\": \"datetime\", \"default\": \"2009-12-18T18:30:00.10+01:00\""),
		       "2009-12-18T17:30:00.1Z");
	assert_default(ONE_ATTRIBUTE("\"type\": \"string\", \"default\": \"it's \\\"so\\\"\", \"length\": 9"),
		       "it's \"so\"");
	assert_default(ONE_ATTRIBUTE("\"type\": \"string\", \"default\": \"\""), "");
	refused(ONE_ATTRIBUTE("\"type\": \"integer\",\n \"default\": \"x\""), 3, "default");
	refused(ONE_ATTRIBUTE("\"type\": \"integer\",\n\n \"default\": 2147483648"), 4, "32-bit");
	refused(ONE_ATTRIBUTE("\"type\": \"integer\", \"default\": 1.0"), 2, "is a double");
	refused(ONE_ATTRIBUTE("\"type\": \"integer\", \"default\": true"), 2, "is a boolean");
	refused(ONE_ATTRIBUTE("\"type\": \"boolean\", \"default\": 1"), 2, "default");
	refused(ONE_ATTRIBUTE("\"type\": \"date\", \"default\": \"2023-02-29\""), 2, "does not exist");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"default\": \"abc\", \"length\": 2"), 2, "length");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"default\": [1]"), 2, "list");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"default\": {}"), 2, "object");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"default\": \"a\\u0000\""), 2, "u0000");
}

/* --- refusals -------------------------------------------------------------------------------------------------- */

static void test_no_json(void **state)
{
	(void)state;
	refused("", 1, "");
	refused("\xEF\xBB\xBF", 1, "");
	refused("{\"name\": \"E\",\n\"type\": \"classifier\"", 2, "");
	refused("{\"name\": \"E\",\n\"type\": \"classifier\"}\nx", 3, "");
	refused("{\"name\": \"E\",\n \"name\": \"E\"}", 2, "");
	refused("{\"name\": \"\xFF\"}", 1, "");
	refused("{\"type\": \"classifier\", \"attributes\": 99999999999999999999}", 1, "");
	refused("\"Phone\"", 1, "");
	refused("5", 1, "");
}

static void test_bad_shapes(void **state)
{
	(void)state;
	refused("\n\n[]", 3, "no extension schema");
	refused("[\n5]", 2, "object");
	refused("[\n[]]", 2, "object");
	refused("{\n}", 1, "no name");
	refused("{\"name\": \"E\",\n\"attributes\": []}", 1, "no type");
	refused("{\"name\": \"E\", \"type\": \"multi-valued\",\n\"attributes\": {}}", 2, "list");
	refused("{\"name\": \"E\", \"type\": \"multi-valued\", \"unique\": [\"a\"]}", 1, "no attributes");
	refused("{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [\n\n\"a\"]}", 3, "object");
	refused("{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [\n{\"type\": \"string\"}]}", 2,
		"no name");
	refused("{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [\n{\"name\": \"a\"}]}", 2, "no type");
}

/* What is misspelt would be passed over in silence. */
static void test_unknown_keys(void **state)
{
	(void)state;
	refused("{\"name\": \"E\", \"type\": \"classifier\",\n \"uniq\": []}", 2, "uniq");
	refused("{\"Name\": \"E\", \"type\": \"classifier\"}", 1, "Name");
	refused(ONE_ATTRIBUTE("\"type\": \"string\",\n \"manditory\": true"), 3, "manditory");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"unique\": true"), 2, "unique");
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = {
		"\"\"", "\"1a\"", "\"_a\"", "\"a b\"",	"\"a-b\"", "\"\xC3\xA4\"", "\"abcdefghijklmnopqrstuvwxyz1\"",
		"5",	"[]",	  "true",   "\"a\\\"\""};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "{\n\"name\": %s, \"type\": \"classifier\"}", bad[i]);
		refused(text, 2, "a name is");
		snprintf(text, sizeof(text),
			 "{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [{\n\n\"name\": %s}]}", bad[i]);
		refused(text, 3, "a name is");
	}
	struct parsed longest = parse("{\"name\": \"abcdefghijklmnopqrstuvwxyz\", \"type\": \"classifier\"}");
	assert_string_equal(longest.extensions[0].table, "ext_abcdefghijklmnopqrstuvwxyz");
	release(&longest);
}

/* PostgreSQL's system columns, and customer_id: in any case. */
static void test_reserved_names(void **state)
{
	static const char *const names[] = {"customer_id", "CTID", "xmin", "Xmax", "cmin", "cmax", "tableOID"};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_true(column_name_reserved(slice_cstr(names[i])));
		snprintf(text, sizeof(text),
			 "{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [{\"type\": "
			 "\"string\",\n\"name\": \"%s\"}]}",
			 names[i]);
		refused(text, 2, "needed by");
	}
	/* SQL's own words are no trouble: they are quoted. */
	assert_false(column_name_reserved(SLICE_LIT("select")));
	assert_false(column_name_reserved(SLICE_LIT("id")));
	assert_false(column_name_reserved(SLICE_LIT("")));
}

static void test_bad_types(void **state)
{
	(void)state;
	refused("{\"name\": \"E\",\n\"type\": \"multi valued\"}", 2, "a type is multi-valued");
	refused("{\"name\": \"E\",\n\"type\": 1}", 2, "a type is multi-valued");
	refused(ONE_ATTRIBUTE("\n\"type\": \"int\""), 3, "a type is string");
	refused(ONE_ATTRIBUTE("\n\"type\": [\"string\"]"), 3, "a type is string");
	refused(ONE_ATTRIBUTE("\"type\": \"varchar\""), 2, "a type is string");
}

static void test_bad_lengths(void **state)
{
	(void)state;
	refused(ONE_ATTRIBUTE("\"type\": \"string\",\n\"length\": 0"), 3, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": -1"), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": 2.5"), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": \"x\""), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": \"\""), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": true"), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": 10485761"), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": 4294967301"), 2, "whole number");
	refused(ONE_ATTRIBUTE("\"type\": \"integer\",\n\"length\": 5"), 3, "only a string");
	struct parsed parsed = parse(ONE_ATTRIBUTE("\"type\": \"string\", \"length\": 10485760"));
	assert_int_equal(parsed.extensions[0].attributes[0].length, 10485760);
	release(&parsed);
}

static void test_bad_mandatory(void **state)
{
	(void)state;
	refused(ONE_ATTRIBUTE("\"type\": \"string\",\n\"mandatory\": 1"), 3, "true or false");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"mandatory\": \"yes\""), 2, "true or false");
	refused(ONE_ATTRIBUTE("\"type\": \"string\", \"mandatory\": \"\""), 2, "true or false");
}

#define TWO_ATTRIBUTES                                                                                                 \
	"\"attributes\": [\n{\"name\": \"a\", \"type\": \"string\"}, {\"name\": \"b\", \"type\": \"string\"}]}"
#define WITH_UNIQUE(unique) "{\"name\": \"E\", \"type\": \"multi-valued\", \n\"unique\": " unique ", " TWO_ATTRIBUTES

static void test_bad_unique(void **state)
{
	(void)state;
	refused("{\"name\": \"E\", \"type\": \"multi-valued\", " TWO_ATTRIBUTES, 1, "needs a unique list");
	refused(WITH_UNIQUE("null"), 1, "needs a unique list");
	refused(WITH_UNIQUE("[]"), 2, "can't be empty");
	refused(WITH_UNIQUE("\"a\""), 2, "list of attribute names");
	refused(WITH_UNIQUE("[\"a\",\n[\"b\"]]"), 3, "nested");
	refused(WITH_UNIQUE("[[\"a\", \"b\"]]"), 2, "nested");
	refused(WITH_UNIQUE("[\"a\",\n5]"), 3, "names of attributes only");
	refused(WITH_UNIQUE("[\"c\"]"), 2, "no attribute");
	refused(WITH_UNIQUE("[\"customer_id\"]"), 2, "no attribute");
	refused(WITH_UNIQUE("[\"a\", \"b\",\n\"A\"]"), 3, "twice");
	/* A list that is no key is checked, too. */
	refused("{\"name\": \"E\", \"type\": \"single-valued\", \n\"unique\": [\"c\"], " TWO_ATTRIBUTES, 2,
		"no attribute");
	refused("{\"name\": \"E\", \"type\": \"multi-valued\", \"unique\": [\"a\"], \"attributes\": [\n"
		"{\"name\": \"x\", \"type\": \"string\"},\n{\"name\": \"a\", \"type\": \"string\",\n\"mandatory\": "
		"\"false\"}]}",
		4, "mandatory");
}

static void test_names_twice(void **state)
{
	(void)state;
	refused("{\"name\": \"E\", \"type\": \"classifier\", \"attributes\": [{\"name\": \"a\", \"type\": "
		"\"string\"},\n"
		"{\"name\": \"b\", \"type\": \"string\"},\n{\"name\": \"A\", \"type\": \"long\"}]}",
		3, "twice");
	refused("[{\"name\": \"E\", \"type\": \"classifier\"},\n{\"name\": \"e\", \"type\": \"classifier\"}]", 2,
		"twice");
}

/* As many attributes as there may be, and one more; unique ones likewise. */
static void attributes_of(struct buf *text, unsigned count, unsigned unique)
{
	buf_clear(text);
	buf_adds(text, "{\"name\": \"E\", \"type\": \"multi-valued\", \"attributes\": [");
	for (unsigned i = 0; i < count; i++)
		buf_printf(text, "%s{\"name\": \"a%u\", \"type\": \"long\"}", i ? ",\n" : "", i);
	buf_adds(text, "],\n\"unique\": [");
	for (unsigned i = 0; i < unique; i++)
		buf_printf(text, "%s\"a%u\"", i ? ", " : "", i);
	buf_adds(text, "]}");
}

static void test_limits(void **state)
{
	struct buf text = BUF_EMPTY;

	(void)state;
	attributes_of(&text, ATTRIBUTES_MAX, 31);
	struct parsed parsed = parse(text.base);
	assert_int_equal(parsed.extensions[0].attribute_count, ATTRIBUTES_MAX);
	assert_int_equal(parsed.extensions[0].unique_count, 31);
	release(&parsed);
	attributes_of(&text, ATTRIBUTES_MAX + 1, 1);
	refused(text.base, 1, "more than 1000 attributes");
	attributes_of(&text, 40, 32); /* PostgreSQL's index takes 32 columns, the customer's included */
	refused(text.base, 41, "longer than 31");
	buf_clear(&text);
	for (int i = 0; i < 100000; i++)
		buf_addc(&text, '[');
	refused(text.base, 1, "");
	buf_release(&text);
}

/* --- there and back -------------------------------------------------------------------------------------------- */

static void assert_same_attributes(const struct attribute *a, const struct attribute *b)
{
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->column, b->column);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->length, b->length);
	assert_int_equal(a->mandatory, b->mandatory);
	assert_int_equal(a->unique, b->unique);
	assert_int_equal(a->default_value == NULL, b->default_value == NULL);
	if (a->default_value != NULL)
		assert_string_equal(a->default_value, b->default_value);
}

static void assert_reads_back(const char *json)
{
	struct parsed first = parse(json), again;
	struct buf text = BUF_EMPTY;

	schema_file_write(&first.extensions[0], &text);
	again = parse_slice(buf_slice(&text));
	assert_string_equal(again.extensions[0].name, first.extensions[0].name);
	assert_int_equal(again.extensions[0].type, first.extensions[0].type);
	assert_int_equal(again.extensions[0].attribute_count, first.extensions[0].attribute_count);
	assert_int_equal(again.extensions[0].unique_count, first.extensions[0].unique_count);
	for (unsigned k = 0; k < first.extensions[0].unique_count; k++)
		assert_int_equal(again.extensions[0].unique[k], first.extensions[0].unique[k]);
	for (unsigned a = 0; a < first.extensions[0].attribute_count; a++)
		assert_same_attributes(&again.extensions[0].attributes[a], &first.extensions[0].attributes[a]);
	buf_release(&text);
	release(&first);
	release(&again);
}

static void test_written(void **state)
{
	struct parsed parsed = parse(
		"{\"type\": \"MULTI-VALUED\", \"name\": \"E\", \"unique\": [\"B\", \"a\"], \"attributes\": ["
		"{\"name\": \"a\", \"type\": \"string\", \"length\": \"5\"}, {\"name\": \"b\", \"type\": \"LONG\"},"
		"{\"name\": \"c\", \"type\": \"boolean\", \"default\": \"true\"}]}");
	struct buf text = BUF_EMPTY;

	(void)state;
	schema_file_write(&parsed.extensions[0], &text);
	assert_string_equal(text.base,
			    "{\"name\": \"E\", \"type\": \"multi-valued\", \"unique\": [\"b\", \"a\"],\n"
			    " \"attributes\": [\n"
			    "   {\"name\": \"a\", \"type\": \"string\", \"length\": 5, \"mandatory\": true},\n"
			    "   {\"name\": \"b\", \"type\": \"long\", \"mandatory\": true},\n"
			    "   {\"name\": \"c\", \"type\": \"boolean\", \"default\": true}]}\n");
	buf_release(&text);
	release(&parsed);
	assert_reads_back("{\"name\": \"A\", \"type\": \"classifier\"}");
	assert_reads_back("{\"name\": \"E\", \"type\": \"multi-valued\", \"unique\": [\"a\"], \"attributes\": ["
			  "{\"name\": \"a\", \"type\": \"string\", \"default\": \"it's \\\"\\\\\\n\\u0001\xC3\xA9\"},"
			  "{\"name\": \"b\", \"type\": \"double\", \"default\": 1e300}, {\"name\": \"b2\", \"type\": "
			  "\"double\", \"default\": -0.0},"
			  "{\"name\": \"c\", \"type\": \"currency\", \"default\": \"-0.0001\"},"
			  "{\"name\": \"d\", \"type\": \"date\", \"default\": \"0001-01-01\", \"mandatory\": true},"
			  "{\"name\": \"e\", \"type\": \"datetime\", \"default\": \"9999-12-31T23:59:59.999999Z\"},"
			  "{\"name\": \"f\", \"type\": \"long\", \"default\": -9223372036854775808},"
			  "{\"name\": \"g\", \"type\": \"integer\", \"default\": 5}, {\"name\": \"h\", \"type\": "
			  "\"boolean\", \"default\": false}]}");
}

/* --- files ----------------------------------------------------------------------------------------------------- */

static void test_files(void **state)
{
	struct parsed parsed;
	struct err err;

	(void)state;
	assert_true(schema_file_read("schemas/examples/phone.json", &parsed.extensions, &parsed.count, &err));
	assert_string_equal(parsed.extensions[0].name, "Phone");
	release(&parsed);
	assert_false(schema_file_read("no/such/file.json", &parsed.extensions, &parsed.count, &err));
	assert_int_equal(err.verdict, VERDICT_USAGE);
	assert_string_equal(err.origin, "ENOENT");
	assert_non_null(strstr(err.what, "no/such/file.json"));
	assert_false(schema_file_read("tests", &parsed.extensions, &parsed.count, &err));
	assert_int_equal(err.verdict, VERDICT_USAGE);
	assert_string_equal(err.origin, "EISDIR");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),	       cmocka_unit_test(test_loose),
		cmocka_unit_test(test_lists),	       cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_no_json),	       cmocka_unit_test(test_bad_shapes),
		cmocka_unit_test(test_unknown_keys),   cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_reserved_names), cmocka_unit_test(test_bad_types),
		cmocka_unit_test(test_bad_lengths),    cmocka_unit_test(test_bad_mandatory),
		cmocka_unit_test(test_bad_unique),     cmocka_unit_test(test_names_twice),
		cmocka_unit_test(test_limits),	       cmocka_unit_test(test_written),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
