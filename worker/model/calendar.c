/* By hand, because the C library has no parser that is strict: strptime() takes blanks, signs and short fields, timegm()
 * moves the 30th of February into March. Years are counted from March, so that the leap day ends them and the months'
 * lengths follow one formula. */
#include "calendar.h"

enum {
	DAYS_PER_400_YEARS = 146097,
	EPOCH_DAYS = 730425, /* 2000-01-01, counted from 0000-03-01 */
	OFFSET_HOURS_MAX = 15,
};

/* --- days ------------------------------------------------------------------------------------------------------------ */

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool date_exists(int year, int month, int day)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month < 1 || month > 12 || day < 1)
		return false;
	return day <= lengths[month - 1] + (month == 2 && is_leap(year));
}

static int64_t days_of(int year, int month, int day)
{
	int month_from_march = (month + 9) % 12;
	int64_t from_march = year - (month <= 2) + 400; /* 400 years on: no negative number below, for year 0 */
	int64_t leap_days = from_march / 4 - from_march / 100 + from_march / 400;
	int64_t days = from_march * 365 + leap_days + (month_from_march * 153 + 2) / 5 + day - 1;

	return days - DAYS_PER_400_YEARS - EPOCH_DAYS;
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
	int64_t since = days + EPOCH_DAYS;
	int64_t cycle = since / DAYS_PER_400_YEARS, in_cycle = since % DAYS_PER_400_YEARS;
	/* The last day of 4, 100 and 400 years is what a plain division by 365 counts too much. */
	int64_t year_in_cycle = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
	int64_t in_year = in_cycle - (year_in_cycle * 365 + year_in_cycle / 4 - year_in_cycle / 100);
	int month_from_march = (int)((in_year * 5 + 2) / 153);

	*day = (int)(in_year - (month_from_march * 153 + 2) / 5 + 1);
	*month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	*year = (int)(cycle * 400 + year_in_cycle) + (*month <= 2);
}

/* --- text in ----------------------------------------------------------------------------------------------------------- */

/* Exactly so many digits. */
static bool take_digits(struct slice *rest, size_t count, int *number)
{
	int n = 0;

	if (rest->len < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		char c = rest->base[i];
		if (c < '0' || c > '9')
			return false;
		n = n * 10 + (c - '0');
	}
	rest->base += count;
	rest->len -= count;
	*number = n;
	return true;
}

static bool take_char(struct slice *rest, char c)
{
	if (rest->len == 0 || rest->base[0] != c)
		return false;
	rest->base++;
	rest->len--;
	return true;
}

static bool take_date(struct slice *rest, int *year, int *month, int *day)
{
	return take_digits(rest, 4, year) && take_char(rest, '-') && take_digits(rest, 2, month) &&
	       take_char(rest, '-') && take_digits(rest, 2, day);
}

enum calendar_status date_parse(struct slice text, int64_t *days)
{
	int year, month, day;

	if (!take_date(&text, &year, &month, &day) || text.len > 0)
		return CALENDAR_FORM;
	if (!date_exists(year, month, day))
		return CALENDAR_NONE;
	*days = days_of(year, month, day);
	return *days < DAYS_FIRST ? CALENDAR_RANGE : CALENDAR_OK;
}

/* Nothing, or a point and 1 to 6 digits. */
static bool take_fraction(struct slice *rest, int *us)
{
	int digits = 0, digit;

	*us = 0;
	if (!take_char(rest, '.'))
		return true;
	for (; digits < 6 && take_digits(rest, 1, &digit); digits++)
		*us = *us * 10 + digit;
	for (int i = digits; i < 6; i++)
		*us *= 10;
	return digits > 0;
}

/* An offset from UTC; its parts unchecked. */
struct offset {
	int sign, hours, minutes;
};

static bool take_offset(struct slice *rest, struct offset *offset)
{
	*offset = (struct offset){.sign = 1};
	if (take_char(rest, 'Z'))
		return true;
	if (take_char(rest, '-'))
		offset->sign = -1;
	else if (!take_char(rest, '+'))
		return false;
	if (!take_digits(rest, 2, &offset->hours))
		return false;
	take_char(rest, ':');
	return take_digits(rest, 2, &offset->minutes);
}

enum calendar_status datetime_parse(struct slice text, int64_t *us)
{
	int year, month, day, hour, minute, second, fraction_us;
	struct offset offset;

	if (!take_date(&text, &year, &month, &day) || !take_char(&text, 'T') || !take_digits(&text, 2, &hour) ||
	    !take_char(&text, ':') || !take_digits(&text, 2, &minute) || !take_char(&text, ':') ||
	    !take_digits(&text, 2, &second) || !take_fraction(&text, &fraction_us) || !take_offset(&text, &offset) ||
	    text.len > 0)
		return CALENDAR_FORM;
	if (!date_exists(year, month, day) || hour > 23 || minute > 59 || second > 59 ||
	    offset.hours > OFFSET_HOURS_MAX || offset.minutes > 59)
		return CALENDAR_NONE;
	int minutes = hour * 60 + minute - offset.sign * (offset.hours * 60 + offset.minutes);
	*us = days_of(year, month, day) * US_PER_DAY + (minutes * INT64_C(60) + second) * 1000000 + fraction_us;
	return *us < DATETIME_FIRST_US || *us >= DATETIME_END_US ? CALENDAR_RANGE : CALENDAR_OK;
}

/* --- text out ---------------------------------------------------------------------------------------------------------- */

void date_format(int64_t days, struct buf *out)
{
	int year, month, day;

	date_of(days, &year, &month, &day);
	buf_printf(out, "%04d-%02d-%02d", year, month, day);
}

void datetime_format(int64_t us, struct buf *out)
{
	int64_t since_first = us - DATETIME_FIRST_US; /* never negative, so that / and % round down */
	int64_t in_day = since_first % US_PER_DAY;
	int second = (int)(in_day / 1000000), fraction_us = (int)(in_day % 1000000), digits = 6;

	date_format(since_first / US_PER_DAY + DAYS_FIRST, out);
	buf_printf(out, "T%02d:%02d:%02d", second / 3600, second / 60 % 60, second % 60);
	for (; digits > 0 && fraction_us % 10 == 0; digits--)
		fraction_us /= 10;
	if (digits > 0)
		buf_printf(out, ".%0*d", digits, fraction_us);
	buf_addc(out, 'Z');
}
