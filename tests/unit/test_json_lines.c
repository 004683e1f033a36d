/* JSON Lines: every text is read from a file and from a pipe that gives it byte by byte. */
#include "byunique/json_lines.h"

#include "byunique/buf.h"
#include "text_file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void show_string(const char *name, struct slice string, struct buf *out)
{
	if (string.base != NULL)
		buf_printf(out, " %s=" SLICE_FMT, name, SLICE_ARG(string));
}

static void show_value(const struct value *value, struct buf *out)
{
	switch (value->kind) {
	case VALUE_NULL: buf_adds(out, "null"); break;
	case VALUE_BOOLEAN: buf_adds(out, value->boolean ? "true" : "false"); break;
	case VALUE_INT: buf_printf(out, "int %lld", (long long)value->integer); break;
	case VALUE_LONG: buf_printf(out, "long %lld", (long long)value->integer); break;
	case VALUE_FLOAT: buf_adds(out, "float"); break;
	case VALUE_DOUBLE: buf_printf(out, "double %g", value->real); break;
	case VALUE_STRING: buf_printf(out, "'" SLICE_FMT "'", SLICE_ARG(value->string)); break;
	default: fail_msg("no kind that a file has: %d", (int)value->kind);
	}
}

static void show_command(const struct command *command, struct buf *out)
{
	show_string("customer", command->customer_id, out);
	show_string("ext", command->ext_name, out);
	show_string("id", command->command_id, out);
	show_string("batch", command->batch_id, out);
	if (command->has_issued_at)
		buf_printf(out, " at=%lld", (long long)command->issued_at_ms);
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		buf_printf(out, " [" SLICE_FMT ": ", SLICE_ARG(command->attributes[i].name));
		show_value(&command->attributes[i].value, out);
		buf_addc(out, ']');
	}
}

/* Commands as "LINE: …;", and "!" and the message where reading fails, without the file's name. */
static void show(const char *path, struct buf *out)
{
	struct json_lines *lines;
	struct command command;
	struct arena arena;
	struct err err;
	bool got, ok;

	arena_init(&arena);
	assert_true(json_lines_open(&lines, path, &err));
	while ((ok = json_lines_next(lines, &arena, &command, &got, &err)) && got) {
		buf_printf(out, "%llu:", (unsigned long long)json_lines_line(lines));
		show_command(&command, out);
		buf_addc(out, ';');
		arena_clear(&arena);
	}
	if (!ok) {
		assert_int_equal(err.verdict, VERDICT_STOP);
		assert_memory_equal(err.what, path, strlen(path));
		buf_printf(out, "!%s", err.what + strlen(path) + 1);
	}
	json_lines_close(lines);
	arena_release(&arena);
}

static void check(struct text_file file, const char *expected)
{
	struct buf shown = BUF_EMPTY;

	show(file.path, &shown);
	assert_string_equal(buf_slice(&shown).base, expected);
	buf_release(&shown);
	text_file_remove(&file);
}

static void check_both(struct slice text, const char *expected)
{
	check(text_file(text), expected);
	check(text_pipe(text), expected);
}

#define CHECK(text, expected) check_both(SLICE_LIT(text), expected)
#define C(attributes)	      "{\"customer_id\": \"c\", \"attributes\": {" attributes "}}"

static void test_commands(void **state)
{
	(void)state;
	CHECK("", "");
	CHECK(C(""), "1: customer=c;");
	CHECK("{\"customer_id\":\"0000Sb5U97XE000Y\",\"ext_name\":\"Phone\",\"attributes\":{\"PhoneNumber\":\"1\"},"
	      "\"command_id\":\"some\",\"batch_id\":\"b\",\"issued_at\":1261161000000}\n",
	      "1: customer=0000Sb5U97XE000Y ext=Phone id=some batch=b at=1261161000000 [PhoneNumber: '1'];");
	CHECK("{\"attributes\":{},\"customer_id\":\"\",\"ext_name\":null,\"command_id\":null,\"batch_id\":null,"
	      "\"issued_at\":null}",
	      "1: customer=;");
	CHECK("\xEF\xBB\xBF" C("") "\r\n\n  \t\r\n" C("\"a\":1") "\n", "1: customer=c;4: customer=c [a: int 1];");
}

static void test_values(void **state)
{
	(void)state;
	CHECK(C("\"a\": null, \"b\": true, \"c\": false"), "1: customer=c [a: null] [b: true] [c: false];");
	CHECK(C("\"a\": 2147483647, \"b\": 2147483648, \"c\": -2147483648, \"d\": -2147483649"),
	      "1: customer=c [a: int 2147483647] [b: long 2147483648] [c: int -2147483648] [d: long -2147483649];");
	CHECK(C("\"a\": 9223372036854775807, \"b\": -9223372036854775808"),
	      "1: customer=c [a: long 9223372036854775807] [b: long -9223372036854775808];");
	CHECK(C("\"a\": 0.5, \"b\": 5.0, \"c\": 1e3"), "1: customer=c [a: double 0.5] [b: double 5] [c: double 1000];");
	CHECK(C("\"a\": \"\", \"b\": \"\\u00e9\\n\\ud83d\\ude00\", \"\": \"5\""),
	      "1: customer=c [a: ''] [b: 'é\n😀'] [: '5'];");
	CHECK(C("\"a\": 1, \"A\": 2"), "1: customer=c [a: int 1] [A: int 2];"); /* the worker's to judge */
}

static void test_no_json(void **state)
{
	(void)state;
	CHECK(C("") "\n{\"customer_id\": \"secret\n",
	      "1: customer=c;!2: not a JSON object: it ends too early (column 23)");
	CHECK("{\"customer_id\": secret}", "!1: not a JSON object: it is not well-formed (column 22)");
	CHECK("{\"customer_id\": \"a\"", "!1: not a JSON object: it ends too early (column 19)");
	CHECK(C("") " {}", "!1: not a JSON object: something behind the object (column 40)");
	CHECK(C("\"a\": 1, \"a\": 2"), "!1: not a JSON object: a member that is there twice (column 47)");
	CHECK(C("\"a\": 9223372036854775808"), "!1: not a JSON object: a number out of range (column 60)");
	CHECK(C("\"a\": \"\\u0000\""), "!1: not a JSON object: a string with the character U+0000 (column 49)");
	CHECK(C("\"a\": \"\xE4\""), "!1: not a JSON object: a string that is not UTF-8 (column 42)");
	CHECK("\n[1]\n", "!2: not a JSON object");
	CHECK("null", "!1: not a JSON object: it is not well-formed (column 4)");
}

static void test_no_command(void **state)
{
	(void)state;
	CHECK("{}", "!1: customer_id is missing");
	CHECK("{\"customer_id\": null, \"attributes\": {}}", "!1: customer_id is missing");
	CHECK("{\"customer_id\": 5, \"attributes\": {}}", "!1: customer_id is no string");
	CHECK("{\"customer_id\": \"c\"}", "!1: attributes is missing");
	CHECK("{\"customer_id\": \"c\", \"attributes\": null}", "!1: attributes is no object");
	CHECK("{\"customer_id\": \"c\", \"attributes\": {}, \"batch\": \"b\"}", "!1: unknown member \"batch\"");
	CHECK("{\"customer_id\": \"c\", \"attributes\": {}, \"issued_at\": \"now\"}",
	      "!1: issued_at is no whole number of milliseconds since 1970-01-01T00:00:00Z");
	CHECK(C("\"a\": [1]"), "!1: attribute a is a list");
	CHECK(C("\"a\": {\"int\": 1}"), "!1: attribute a is an object");
}

static void test_long_lines(void **state)
{
	struct buf text = BUF_EMPTY, expected = BUF_EMPTY;

	(void)state;
	buf_adds(&text, "{\"customer_id\":\"c\",\"attributes\":{\"a\":\"");
	buf_adds(&expected, "1: customer=c [a: '");
	for (int i = 0; i < 1000000; i++) {
		buf_addc(&text, (char)('a' + i % 26));
		buf_addc(&expected, (char)('a' + i % 26));
	}
	buf_adds(&text, "\"}}\n" C("") "\n");
	buf_adds(&expected, "'];2: customer=c;");
	check(text_file(buf_slice(&text)), expected.base);

	buf_clear(&text);
	buf_adds(&text, C("") "\n");
	memset(buf_reserve(&text, JSON_LINE_BYTES_MAX + 1), ' ', JSON_LINE_BYTES_MAX + 1);
	text.len += JSON_LINE_BYTES_MAX + 1;
	check(text_file(buf_slice(&text)), "1: customer=c;!2: a line of more than 64 MiB");
	buf_release(&text);
	buf_release(&expected);
}

/* What a command points to outlives the reader's window, as long as the arena's content. */
static void test_lifetime(void **state)
{
	struct text_file file = text_file(SLICE_LIT(C("\"a\": \"first\"") "\n" C("\"a\": \"second\"")));
	struct command first, second;
	struct json_lines *lines;
	struct arena arena;
	struct err err;
	bool got;

	(void)state;
	arena_init(&arena);
	assert_true(json_lines_open(&lines, file.path, &err));
	assert_true(json_lines_next(lines, &arena, &first, &got, &err) && got);
	assert_true(json_lines_next(lines, &arena, &second, &got, &err) && got);
	json_lines_close(lines);
	assert_true(slice_equal(first.attributes[0].value.string, SLICE_LIT("first")));
	assert_true(slice_equal(second.attributes[0].value.string, SLICE_LIT("second")));
	arena_release(&arena);
	text_file_remove(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),   cmocka_unit_test(test_values),     cmocka_unit_test(test_no_json),
		cmocka_unit_test(test_no_command), cmocka_unit_test(test_long_lines), cmocka_unit_test(test_lifetime),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
