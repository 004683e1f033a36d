/* Every day of the years 0001 to 9999 in both directions, against a calendar that just counts; the forms and the limits of
 * the contract. */
#include "model/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int days_in(int year, int month)
{
	if (month == 2)
		return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static void assert_day(int64_t expected, int year, int month, int day, struct buf *text)
{
	char written[64];
	int64_t days;

	snprintf(written, sizeof(written), "%04d-%02d-%02d", year, month, day);
	if (date_parse(slice_cstr(written), &days) != CALENDAR_OK || days != expected)
		fail_msg("%s is not read as %lld", written, (long long)expected);
	buf_clear(text);
	date_format(expected, text);
	if (strcmp(text->base, written) != 0)
		fail_msg("%s is written as %s", written, text->base);
}

/* 2000-01-01 is day 0; one after the other, nothing left out. */
static void test_every_day(void **state)
{
	struct buf text = BUF_EMPTY;
	int64_t days = DAYS_FIRST, day_2000 = 1, day_1970 = 1;

	(void)state;
	for (int year = 1; year <= 9999; year++)
		for (int month = 1; month <= 12; month++) {
			if (month == 1 && year == 2000)
				day_2000 = days;
			if (month == 1 && year == 1970)
				day_1970 = days;
			for (int day = 1; day <= days_in(year, month); day++)
				assert_day(days++, year, month, day, &text);
		}
	assert_true(days == DAYS_END);
	assert_true(day_2000 == 0);
	assert_true(day_1970 == DAYS_1970);
	assert_true(MS_1970 == INT64_C(-946684800000));
	buf_release(&text);
}

static void test_no_such_day(void **state)
{
	int64_t days;

	(void)state;
	for (int year = 0; year <= 9999; year += year < 30 || year > 9960 ? 1 : 7)
		for (int month = 0; month <= 13; month++)
			for (int day = 0; day <= 33; day++) {
				char text[64];
				bool there = month >= 1 && month <= 12 && day >= 1 && day <= days_in(year, month);
				snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
				enum calendar_status status = date_parse(slice_cstr(text), &days);
				assert_int_equal(status, !there ? CALENDAR_NONE : year == 0 ? CALENDAR_RANGE : CALENDAR_OK);
			}
}

static void test_date_forms(void **state)
{
	static const char *const bad[] = {
		"", "2024", "2024-01", "2024-1-01", "2024-01-1", "24-01-01", "02024-01-01", "12024-01-01", "+2024-01-01",
		"-024-01-01", "2024-01-01 ", " 2024-01-01", "2024/01/01", "20240101", "2024-01-01T00:00:00Z", "2024-01-01Z",
		"2024-0a-01", "2024-01-0:", "２０２４-01-01", "infinity", "today", "2024-01-01\n", "2024-W01-1", "01-02-2024"};
	int64_t days;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (date_parse(slice_cstr(bad[i]), &days) != CALENDAR_FORM)
			fail_msg("%s", bad[i]);
	assert_int_equal(date_parse(SLICE_LIT("2024-01-01\0"), &days), CALENDAR_FORM);
	assert_int_equal(date_parse(SLICE_NONE, &days), CALENDAR_FORM);
}

static void assert_instant(const char *text, int64_t expected_us)
{
	int64_t us;
	if (datetime_parse(slice_cstr(text), &us) != CALENDAR_OK)
		fail_msg("%s is refused", text);
	if (us != expected_us)
		fail_msg("%s is read as %lld", text, (long long)us);
}

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

static void test_instants(void **state)
{
	(void)state;
	assert_instant("2000-01-01T00:00:00Z", 0);
	assert_instant("2000-01-01T00:00:00.1Z", 100000);
	assert_instant("2000-01-01T00:00:00.000001Z", 1);
	assert_instant("2000-01-01T00:00:00.12345Z", 123450);
	assert_instant("1999-12-31T23:59:59.999999Z", -1);
	assert_instant("1970-01-01T00:00:00Z", MS_1970 * 1000);
	assert_instant("2000-01-01T05:30:00+05:30", 0);
	assert_instant("2000-01-01T05:30:00+0530", 0);
	assert_instant("1999-12-31T18:30:00-05:30", 0);
	assert_instant("2000-01-01T00:00:00-00:00", 0);
	assert_instant("2000-01-01T15:59:00+15:59", 0);
	assert_instant("1999-12-31T08:01:00-1559", 0);
	assert_instant("2000-02-29T23:59:59Z", 59 * US_PER_DAY + 24 * HOUR - SECOND);
	assert_instant("2009-12-18T18:30:00.000Z", INT64_C(314476200) * SECOND); /* date -u +%s, less 946684800 */
	assert_instant("0001-01-01T00:00:00Z", DATETIME_FIRST_US);
	assert_instant("0001-01-01T15:59:00+15:59", DATETIME_FIRST_US);
	assert_instant("0000-12-31T23:00:00-01:00", DATETIME_FIRST_US);
	assert_instant("9999-12-31T23:59:59.999999Z", DATETIME_END_US - 1);
	assert_instant("9999-12-31T23:59:59.999999+00:01", DATETIME_END_US - 60 * SECOND - 1);
}

static void test_instants_that_are_none(void **state)
{
	static const struct {
		const char *text;
		enum calendar_status status;
	} cases[] = {
		{"2024-02-30T00:00:00Z", CALENDAR_NONE},	 {"2023-02-29T00:00:00Z", CALENDAR_NONE},
		{"2024-13-01T00:00:00Z", CALENDAR_NONE},	 {"2024-00-01T00:00:00Z", CALENDAR_NONE},
		{"2024-01-01T24:00:00Z", CALENDAR_NONE},	 {"2024-01-01T23:60:00Z", CALENDAR_NONE},
		{"2024-06-30T23:59:60Z", CALENDAR_NONE},	 {"2024-01-01T00:00:00+16:00", CALENDAR_NONE},
		{"2024-01-01T00:00:00-00:60", CALENDAR_NONE}, {"0000-02-30T00:00:00-15:00", CALENDAR_NONE},
		{"0000-01-01T00:00:00Z", CALENDAR_RANGE},	 {"0000-12-31T23:59:59.999999Z", CALENDAR_RANGE},
		{"0001-01-01T00:00:00+00:01", CALENDAR_RANGE}, {"9999-12-31T23:59:59-00:01", CALENDAR_RANGE},
		{"9999-12-31T23:59:59.999999-15:59", CALENDAR_RANGE},
		{"2024-01-01T00:00:00", CALENDAR_FORM},	 {"2024-01-01T00:00Z", CALENDAR_FORM},
		{"2024-01-01 00:00:00Z", CALENDAR_FORM},	 {"2024-01-01t00:00:00Z", CALENDAR_FORM},
		{"2024-01-01T00:00:00z", CALENDAR_FORM},	 {"2024-01-01T00:00:00.Z", CALENDAR_FORM},
		{"2024-01-01T00:00:00.1234567Z", CALENDAR_FORM}, {"2024-01-01T00:00:00,5Z", CALENDAR_FORM},
		{"2024-01-01T00:00:00+05", CALENDAR_FORM},	 {"2024-01-01T00:00:00+5:30", CALENDAR_FORM},
		{"2024-01-01T00:00:00+05:3", CALENDAR_FORM},	 {"2024-01-01T00:00:00+05:30Z", CALENDAR_FORM},
		{"2024-01-01T00:00:00+05::30", CALENDAR_FORM}, {"2024-01-01T00:00:00+05:30:00", CALENDAR_FORM},
		{"2024-01-01T00:00:00 Z", CALENDAR_FORM},	 {"2024-01-01T00:00:00Z ", CALENDAR_FORM},
		{"2024-01-01T00:00:00\u221205:00", CALENDAR_FORM}, {"2024-01-01T0:00:00Z", CALENDAR_FORM},
		{"2024-01-01", CALENDAR_FORM},			 {"", CALENDAR_FORM},
		{"10000-01-01T00:00:00Z", CALENDAR_FORM},	 {"2024-01-01T00:00:00UTC", CALENDAR_FORM},
	};
	int64_t us;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (datetime_parse(slice_cstr(cases[i].text), &us) != cases[i].status)
			fail_msg("%s", cases[i].text);
}

/* No more digits than are needed; and what is written reads back, at any distance from the epoch. */
static void test_written(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {{0, "2000-01-01T00:00:00Z"},
		     {-1, "1999-12-31T23:59:59.999999Z"},
		     {100000, "2000-01-01T00:00:00.1Z"},
		     {10, "2000-01-01T00:00:00.00001Z"},
		     {DATETIME_FIRST_US, "0001-01-01T00:00:00Z"},
		     {DATETIME_FIRST_US + 1, "0001-01-01T00:00:00.000001Z"},
		     {DATETIME_END_US - 1, "9999-12-31T23:59:59.999999Z"}};
	struct buf text = BUF_EMPTY;
	int64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		buf_clear(&text);
		datetime_format(cases[i].us, &text);
		assert_string_equal(text.base, cases[i].text);
	}
	for (int64_t us = DATETIME_FIRST_US; us < DATETIME_END_US; us += INT64_C(1234567890123)) {
		buf_clear(&text);
		datetime_format(us, &text);
		assert_int_equal(datetime_parse(buf_slice(&text), &back), CALENDAR_OK);
		assert_true(back == us);
	}
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_day),  cmocka_unit_test(test_no_such_day),
		cmocka_unit_test(test_date_forms), cmocka_unit_test(test_instants),
		cmocka_unit_test(test_instants_that_are_none), cmocka_unit_test(test_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
