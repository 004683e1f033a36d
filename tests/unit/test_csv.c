/* CSV: every text is read from a file and from a pipe that gives it byte by byte. */
#include "byunique/csv.h"

#include "byunique/buf.h"
#include "model/input.h"
#include "text_file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The records as "LINE:[cell][cell]" each, and "!" and the message where reading fails, without the file's name. */
static void show(const char *path, struct buf *out)
{
	struct csv_record record;
	struct csv *csv;
	struct err err;
	bool got = true, ok;

	assert_true(csv_open(&csv, path, &err));
	assert_string_equal(csv_name(csv), path);
	while ((ok = csv_next(csv, &record, &got, &err)) && got) {
		buf_printf(out, "%llu:", (unsigned long long)record.line);
		for (size_t i = 0; i < record.count; i++)
			buf_printf(out, "[" SLICE_FMT "]", SLICE_ARG(record.cells[i]));
		buf_addc(out, ' ');
	}
	if (!ok) {
		assert_int_equal(err.verdict, VERDICT_STOP);
		assert_memory_equal(err.what, path, strlen(path));
		buf_printf(out, "!%s", err.what + strlen(path) + 1);
	}
	csv_close(csv);
}

static void check(struct text_file file, const char *expected)
{
	struct buf shown = BUF_EMPTY;

	show(file.path, &shown);
	assert_string_equal(buf_slice(&shown).base, expected);
	buf_release(&shown);
	text_file_remove(&file);
}

struct sample {
	struct slice text;
	const char *records;
};

#define SAMPLE(text, records)                                                                                          \
	{                                                                                                              \
		{"" text, sizeof(text) - 1}, records                                                                   \
	}

static void check_samples(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check(text_file(samples[i].text), samples[i].records);
		check(text_pipe(samples[i].text), samples[i].records);
	}
}

#define CHECK(samples) check_samples(samples, sizeof(samples) / sizeof(*(samples)))

static void test_records(void **state)
{
	static const struct sample samples[] = {
		SAMPLE("", ""),
		SAMPLE("a", "1:[a] "),
		SAMPLE("a,b\n", "1:[a][b] "),
		SAMPLE("a,b\nc,d", "1:[a][b] 2:[c][d] "),
		SAMPLE("a,b\r\nc,d\r\n", "1:[a][b] 2:[c][d] "),
		SAMPLE("a,b\r", "1:[a][b] "),
		SAMPLE("a,\n,b\n,", "1:[a][] 2:[][b] 3:[][] "),
		SAMPLE(" a , b \n", "1:[ a ][ b ] "),
		SAMPLE("a\tb;c|d\n", "1:[a\tb;c|d] "),
	};

	(void)state;
	CHECK(samples);
}

static void test_quotes(void **state)
{
	static const struct sample samples[] = {
		SAMPLE("\"a\",\"b\"\n\"c\",\"d\"", "1:[a][b] 2:[c][d] "),
		SAMPLE("\"a,b\",\"\"\n", "1:[a,b][] "),
		SAMPLE("\"\"\"a\"\"\",\"x\"\"\"\"y\"\n", "1:[\"a\"][x\"\"y] "),
		SAMPLE("\"\"\"\"\n", "1:[\"] "),
		SAMPLE("\"a\nb\",c\nd,e\n", "1:[a\nb][c] 3:[d][e] "),
		SAMPLE("\"a\r\n\r\nb\",c\r\nd,\"\n\"\r\ne,f", "1:[a\r\n\r\nb][c] 4:[d][\n] 6:[e][f] "),
		SAMPLE("\"a\"\r\n\"b\"\r", "1:[a] 2:[b] "),
		SAMPLE("\"\"\"\",\"b\"\n\"c\",\"\"\"\"", "1:[\"][b] 2:[c][\"] "),
	};

	(void)state;
	CHECK(samples);
}

static void test_passed_over(void **state)
{
	static const struct sample samples[] = {
		SAMPLE("\xEF\xBB\xBF"
		       "a,b\n",
		       "1:[a][b] "),
		SAMPLE("\xEF\xBB\xBF", ""),
		SAMPLE("\xEF\xBB\xBF\"a\"", "1:[a] "),
		SAMPLE("\n\na,b\n\r\n\nc,d\n\n", "3:[a][b] 6:[c][d] "),
		SAMPLE("\n\n", ""),
		SAMPLE("a\n\"\"\nb", "1:[a] 2:[] 3:[b] "), /* an empty cell of the only column is no empty line */
	};

	(void)state;
	CHECK(samples);
}

static void test_unicode(void **state)
{
	static const struct sample samples[] = {
		SAMPLE("ä,😀\n\"\u2028\",\uFEFF\n", "1:[ä][😀] 2:[\u2028][\uFEFF] "),
		SAMPLE("a,b\nc,\xE4\n", "1:[a][b] !2: the record is not in UTF-8"),
		SAMPLE("\xFF\xFE"
		       "a\0\n\0",
		       "!1: the record is not in UTF-8"),
		SAMPLE("\xEF\xBB", "!1: the record is not in UTF-8"),
		SAMPLE("\"\n\n\xED\xA0\x80\"\n", "!1: the record is not in UTF-8"),
	};

	(void)state;
	CHECK(samples);
}

static void test_malformed(void **state)
{
	static const struct sample samples[] = {
		SAMPLE("a,b\nc,d\"e\n", "1:[a][b] !2: a quote inside of a cell that does not begin with one"),
		SAMPLE("a, \"b\"\n", "!1: a quote inside of a cell that does not begin with one"),
		SAMPLE("\"a\"b\n", "!1: something other than a comma behind a closing quote"),
		SAMPLE("\"a\nb\" ,c\n", "!2: something other than a comma behind a closing quote"),
		SAMPLE("a,b\nc,\"d\ne\nf\n", "1:[a][b] !2: a quoted cell begins here and never ends"),
		SAMPLE("\"a\nb\",\"", "!2: a quoted cell begins here and never ends"),
		SAMPLE("a\rb\n", "!1: a carriage return without a line feed"),
		SAMPLE("\"a\"\r\r\n", "!1: a carriage return without a line feed"),
		SAMPLE("a,b\n\nc\n", "1:[a][b] !3: 1 cells, where the first line has 2"),
		SAMPLE("a,b\n\"\n\",d,e\n", "1:[a][b] !2: 3 cells, where the first line has 2"),
	};

	(void)state;
	CHECK(samples);
}

/* As show(), but with a delimiter, and beyond bad records as far as there is a way. */
static void show_on(const char *path, char delimiter, struct buf *out)
{
	struct csv_record record;
	struct input input;
	struct csv *csv;
	struct err err;
	bool got = true, ok = true;

	assert_true(input_open(&input, path, &err));
	assert_true(csv_open_input(&csv, &input, delimiter, &err));
	while (got && ((ok = csv_next(csv, &record, &got, &err)) || csv_can_go_on(csv))) {
		for (size_t i = 0; got && i < record.count; i++)
			buf_printf(out, "[" SLICE_FMT "]", SLICE_ARG(record.cells[i]));
		buf_adds(out, !ok ? "! " : got ? " " : "");
	}
	if (!ok)
		buf_adds(out, "end");
	buf_addc(out, csv_delimiter(csv));
	csv_close(csv);
}

struct going_on {
	const char *text;
	char delimiter;
	const char *records; /* then the delimiter */
};

static void test_delimiters_and_going_on(void **state)
{
	static const struct going_on samples[] = {
		{"a;b\nc,d;\"e;\n\"\n", ';', "[a][b] [c,d][e;\n] ;"},
		{"a;b\nc,d;e\n", '\0', "[a][b] [c,d][e] ;"},
		{"\xEF\xBB\xBF\"a,\n\";b\r\nc;d\r\n", '\0', "[a,\n][b] [c][d] ;"},
		{"a\tb\nc,\td;\n", '\0', "[a][b] [c,][d;] \t"},
		{"a;b,c\nd,e\n", '\0', "[a;b][c] [d][e] ,"}, /* two of them: the comma */
		{"a;b\tc\nd\n", '\0', "[a;b\tc] [d] ,"},
		{"a\nb;c\n", '\0', "[a] [b;c] ,"},
		{"", '\0', ","},
		{"a;\"b\";c", '\0', "[a][b][c] ;"},
		{"a;\"b\",c\n", ';', "end;"},
		{"a,b\nc\nd,e,\"f\"\ng,\xFF\nh,i\n", ',', "[a][b] [c]! [d][e][f]! [g][\xFF]! [h][i] ,"},
		{"a,b\nc\nd,\"e\nf,g\n", ',', "[a][b] [c]! end,"}, /* where this record ends nobody knows */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		for (int pipe = 0; pipe < 2; pipe++) {
			struct slice text = slice_cstr(samples[i].text);
			struct text_file file = pipe ? text_pipe(text) : text_file(text);
			struct buf shown = BUF_EMPTY;
			show_on(file.path, samples[i].delimiter, &shown);
			assert_string_equal(buf_slice(&shown).base, samples[i].records);
			buf_release(&shown);
			text_file_remove(&file);
		}
	}
}

static void test_long_cells(void **state)
{
	enum { LONG = 1 << 20 };
	struct buf text = BUF_EMPTY, expected = BUF_EMPTY;

	(void)state;
	/* Two cells longer than what is read at once, with line breaks and doubled quotes over the borders. */
	buf_adds(&text, "a,b\n\"");
	buf_adds(&expected, "1:[a][b] 2:[");
	for (int i = 0; i < LONG; i++) {
		buf_adds(&text, i % 3 == 0 ? "\"\"" : i % 3 == 1 ? "\n" : ",");
		buf_addc(&expected, i % 3 == 0 ? '"' : i % 3 == 1 ? '\n' : ',');
	}
	buf_adds(&text, "\",x\nc,d\n");
	buf_printf(&expected, "][x] %d:[c][d] ", 3 + LONG / 3);
	check(text_file(buf_slice(&text)), expected.base);
	buf_release(&text);
	buf_release(&expected);
}

static void test_limits(void **state)
{
	struct buf text = BUF_EMPTY, wide = BUF_EMPTY;

	(void)state;
	buf_adds(&text, "a,b\n\n\"");
	memset(buf_reserve(&text, CSV_RECORD_BYTES_MAX), '\n', CSV_RECORD_BYTES_MAX);
	text.len += CSV_RECORD_BYTES_MAX;
	check(text_file(buf_slice(&text)), "1:[a][b] !3: a record of more than 64 MiB begins here");
	for (int i = 1; i < CSV_CELLS_MAX; i++)
		buf_addc(&wide, ',');
	struct text_file file = text_file(buf_slice(&wide));
	struct buf shown = BUF_EMPTY;
	show(file.path, &shown);
	assert_int_equal(shown.len, 3 + 2 * CSV_CELLS_MAX);
	text_file_remove(&file);
	buf_addc(&wide, ',');
	check(text_file(buf_slice(&wide)), "!1: more than 4096 cells in a record");
	buf_release(&shown);
	buf_release(&wide);
	buf_release(&text);
}

static void test_many_records(void **state)
{
	enum { RECORDS = 100000 };
	struct buf text = BUF_EMPTY;
	struct csv_record record;
	struct csv *csv;
	struct err err;
	bool got;

	(void)state;
	for (int i = 1; i <= RECORDS; i++)
		buf_printf(&text, "%d,\"%d\"\"\",%.*s\r\n", i, -i, i % 50,
			   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	struct text_file file = text_file(buf_slice(&text));
	assert_true(csv_open(&csv, file.path, &err));
	for (int i = 1; i <= RECORDS; i++) {
		char first[16], second[16];
		snprintf(first, sizeof(first), "%d", i);
		snprintf(second, sizeof(second), "%d\"", -i);
		assert_true(csv_next(csv, &record, &got, &err) && got);
		assert_int_equal(record.line, i);
		assert_true(slice_equal(record.cells[0], slice_cstr(first)));
		assert_true(slice_equal(record.cells[1], slice_cstr(second)));
		assert_int_equal(record.cells[2].len, i % 50);
	}
	assert_true(csv_next(csv, &record, &got, &err) && !got);
	assert_true(csv_next(csv, &record, &got, &err) && !got);
	csv_close(csv);
	text_file_remove(&file);
	buf_release(&text);
}

static void test_unreadable(void **state)
{
	struct csv *csv;
	struct err err;

	(void)state;
	assert_false(csv_open(&csv, "/nowhere/phones.csv", &err));
	assert_int_equal(err.verdict, VERDICT_USAGE);
	assert_string_equal(err.what, "/nowhere/phones.csv can't be read");
	assert_string_equal(err.origin, "ENOENT");
	assert_false(csv_open(&csv, "/", &err));
	assert_string_equal(err.origin, "EISDIR");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records), cmocka_unit_test(test_quotes),	     cmocka_unit_test(test_passed_over),
		cmocka_unit_test(test_unicode), cmocka_unit_test(test_malformed),    cmocka_unit_test(test_delimiters_and_going_on),
		cmocka_unit_test(test_long_cells),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_many_records), cmocka_unit_test(test_unreadable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
