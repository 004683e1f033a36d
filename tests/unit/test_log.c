/* Log lines in both forms. Whatever the values hold, a line stays one line, logfmt can be taken apart again, and the JSON
 * form is JSON. */
#include "byunique/log.h"

#include "byunique/clock.h"
#include "capture.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int set_up(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_TEXT);
	return 0;
}

#define CAPTURED(text, call)                                                                                           \
	do {                                                                                                           \
		struct capture capturing = capture_begin();                                                            \
		call;                                                                                                  \
		text = capture_end(&capturing);                                                                        \
	} while (0)

/* After the time, which is checked here: time=2024-05-06T07:08:09.123Z */
static const char *after_time(const char *line)
{
	static const char form[] = "time=dddd-dd-ddTdd:dd:dd.dddZ ";

	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == 'd' ? line[i] < '0' || line[i] > '9' : line[i] != form[i])
			fail_msg("no time of the right form: %.40s", line);
	return line + sizeof(form) - 1;
}

static void test_text(void **state)
{
	struct buf line;

	(void)state;
	CAPTURED(line, log_event(LOG_WARN, "postgres_away", "attempt=%d retry_in_ms=%d", 3, 800));
	assert_string_equal(after_time(line.base), "level=warn event=postgres_away attempt=3 retry_in_ms=800\n");
	buf_release(&line);
	CAPTURED(line, log_event(LOG_ERROR, "stopped", "%s", ""));
	assert_string_equal(after_time(line.base), "level=error event=stopped\n");
	buf_release(&line);
}

static void test_levels(void **state)
{
	(void)state;
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		log_setup((enum log_level)level, LOG_TEXT);
		for (int of = LOG_ERROR; of <= LOG_DEBUG; of++) {
			struct buf line;
			CAPTURED(line, log_event((enum log_level)of, "x", "a=1"));
			assert_int_equal(line.len > 0, of <= level);
			assert_int_equal(log_enabled((enum log_level)of), of <= level);
			buf_release(&line);
		}
	}
}

static void test_quotes(void **state)
{
	(void)state;
	assert_string_equal(log_quotes("plain-word.7/é"), "plain-word.7/é");
	assert_string_equal(log_quotes(""), "\"\"");
	assert_string_equal(log_quotes("two words"), "\"two words\"");
	assert_string_equal(log_quotes("a=b"), "\"a=b\"");
	assert_string_equal(log_quotes("say \"x\""), "\"say \\\"x\\\"\"");
	assert_string_equal(log_quotes("back\\slash"), "\"back\\\\slash\"");
	assert_string_equal(log_quotes("line\nfeed\x7F"), "\"line\\u000afeed\\u007f\"");
	assert_string_equal(log_quote(SLICE_LIT("nul\0")), "\"nul\\u0000\"");
	assert_string_equal(log_quote(SLICE_NONE), "\"\"");
}

/* Eight values may be in use at once. */
static void test_quotes_live_on(void **state)
{
	const char *values[8];
	char word[2] = "a";

	(void)state;
	for (int i = 0; i < 8; i++, word[0]++)
		values[i] = log_quotes(word);
	for (int i = 0; i < 8; i++)
		assert_int_equal(values[i][0], 'a' + i);
}

static json_t *parsed(struct buf *line)
{
	json_error_t error;
	json_t *json;

	assert_true(line->len > 0);
	assert_ptr_equal(strchr(line->base, '\n'), line->base + line->len - 1);
	json = json_loadb(line->base, line->len, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		fail_msg("%s: %s", error.text, line->base);
	buf_release(line);
	return json;
}

static void assert_text(json_t *json, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(json, key));
	if (text == NULL)
		fail_msg("%s is no string", key);
	assert_string_equal(text, expected);
}

static void test_json(void **state)
{
	struct buf line;

	(void)state;
	log_setup(LOG_DEBUG, LOG_JSON);
	CAPTURED(line, log_event(LOG_DEBUG, "batch", "count=%d rate=%.1f ok=%s topic=%s odd=%s", -3, 0.5, "true",
				 log_quotes("my topic"), log_quotes("a\"b\\c\td\x01é")));
	json_t *json = parsed(&line);
	assert_text(json, "level", "debug");
	assert_text(json, "event", "batch");
	assert_int_equal(strlen(json_string_value(json_object_get(json, "time"))), 24);
	assert_int_equal(json_integer_value(json_object_get(json, "count")), -3);
	assert_true(json_real_value(json_object_get(json, "rate")) == 0.5);
	assert_text(json, "ok", "true");
	assert_text(json, "topic", "my topic");
	assert_text(json, "odd", "a\"b\\c\td\x01é");
	json_decref(json);
	CAPTURED(line, log_event(LOG_INFO, "started", "%s", ""));
	json = parsed(&line);
	assert_int_equal(json_object_size(json), 3);
	json_decref(json);
}

/* What only looks like a number is a string: JSON takes no leading zero, no lone point, no plus. */
static void test_json_numbers(void **state)
{
	static const struct {
		const char *text;
		bool number;
	} cases[] = {{"0", true},     {"-0", true},	 {"7", true},	   {"-12.50", true}, {"0.5", true},
		     {"007", false},  {"00", false},	 {"-01", false},   {"1.", false},    {".5", false},
		     {"-.5", false}, {"-", false},	 {"+1", false},	   {"1e5", false},   {"0x10", false},
		     {"1.2.3", false}, {"10.0.0.1", false}, {"12ab", false}, {"\"7\"", false},
		     {"18446744073709551615000", false}};

	(void)state;
	log_setup(LOG_INFO, LOG_JSON);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases) - 1; i++) {
		struct buf line;
		CAPTURED(line, log_event(LOG_INFO, "x", "v=%s", cases[i].text));
		json_t *json = parsed(&line);
		if (json_is_number(json_object_get(json, "v")) != cases[i].number)
			fail_msg("%s", cases[i].text);
		json_decref(json);
	}
}

/* Longer than there is room for: cut, but the line keeps its form and no character is torn apart. */
static void test_long_values(void **state)
{
	char text[4000];

	(void)state;
	for (int width = 1; width <= 4; width++) {
		static const char *const units[] = {"", "x", "é", "€", "😀"};
		for (size_t i = 0; i + (size_t)width < sizeof(text); i += (size_t)width)
			memcpy(text + i, units[width], (size_t)width + 1);
		for (int shift = 0; shift < 4; shift++) {
			char *shifted = xasprintf("%.*s%s", shift, "abc", text);
			const char *quoted = log_quotes(shifted);
			assert_true(strlen(quoted) > 500);
			assert_true(slice_is_utf8(slice_cstr(quoted)));
			free(shifted);
		}
	}
}

static void test_long_lines(void **state)
{
	char blanks[600];

	(void)state;
	memset(blanks, 'b', sizeof(blanks));
	blanks[sizeof(blanks) - 1] = '\0';
	for (int format = LOG_TEXT; format <= LOG_JSON; format++)
		for (int len = 0; len < 100; len++) {
			struct buf line;
			log_setup(LOG_INFO, (enum log_format)format);
			blanks[500 + len - 100] = ' ';
			CAPTURED(line, log_event(LOG_INFO, "x", "z=%*d a=%s b=%s c=%s d=%s", len + 1, 1,
						 log_quotes(blanks), log_quotes(blanks), log_quotes(blanks),
						 log_quotes(blanks)));
			if (format == LOG_JSON) {
				json_decref(parsed(&line));
				continue;
			}
			size_t quotes = 0;
			for (const char *p = line.base; *p != '\0'; p++)
				quotes += *p == '"';
			assert_int_equal(quotes % 2, 0);
			assert_int_equal(line.base[line.len - 1], '\n');
			buf_release(&line);
		}
}

static void test_errors(void **state)
{
	struct buf line;
	struct err err;

	(void)state;
	err_set(&err, VERDICT_PAUSE, "53100", "a statement of the batch failed");
	CAPTURED(line, log_err(LOG_WARN, "postgres_full", &err));
	assert_string_equal(after_time(line.base), "level=warn event=postgres_full verdict=pause "
						   "what=\"a statement of the batch failed\" origin=\"53100\"\n");
	buf_release(&line);
	err_detail(&err, "could not extend file \"base/1\"");
	err_hint(&err, "Free disk space.");
	log_setup(LOG_INFO, LOG_JSON);
	CAPTURED(line, log_err(LOG_WARN, "postgres_full", &err));
	json_t *json = parsed(&line);
	assert_text(json, "verdict", "pause");
	assert_text(json, "origin", "53100"); /* a text, like 08006 */
	assert_text(json, "detail", "could not extend file \"base/1\"");
	assert_text(json, "hint", "Free disk space.");
	json_decref(json);
}

/* Every part as long as can be, and all of it to be escaped. */
static void test_all_of_an_error_fits(void **state)
{
	struct buf line;
	struct err err;
	char text[600];

	(void)state;
	memset(text, '"', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	err_set(&err, VERDICT_STOP, "XX001", "%s", text);
	err_detail(&err, "%s", text);
	err_hint(&err, "%s", text);
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		log_setup(LOG_INFO, (enum log_format)format);
		CAPTURED(line, log_err(LOG_ERROR, "stopped", &err));
		if (format == LOG_JSON)
			json_decref(parsed(&line));
		else
			buf_release(&line);
	}
}

static void test_limit(void **state)
{
	int64_t last = 0;

	(void)state;
	assert_true(log_limit(&last, 60000));
	assert_false(log_limit(&last, 60000));
	int64_t other = 0;
	assert_true(log_limit(&other, 1));
	clock_sleep_ms(5);
	assert_true(log_limit(&other, 1));
}

static void *write_lines(void *unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++)
		log_event(LOG_INFO, "thread", "text=%s", log_quotes("some words, and some more of them"));
	return NULL;
}

/* Lines of several threads do not mix. */
static void test_threads(void **state)
{
	enum { THREADS = 4 };
	pthread_t threads[THREADS];
	struct buf text;
	int lines = 0;

	(void)state;
	struct capture capture = capture_begin();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, write_lines, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = capture_end(&capture);
	for (char *line = text.base, *end; *line != '\0'; line = end + 1, lines++) {
		end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		assert_string_equal(after_time(line), "level=info event=thread text=\"some words, and some more of them\"");
	}
	assert_int_equal(lines, THREADS * 500);
	buf_release(&text);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_text),	TEST(test_levels),     TEST(test_quotes), TEST(test_quotes_live_on),
		TEST(test_json),	TEST(test_json_numbers), TEST(test_long_values), TEST(test_long_lines),
		TEST(test_errors), TEST(test_all_of_an_error_fits), TEST(test_limit),  TEST(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
