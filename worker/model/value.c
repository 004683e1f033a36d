/* The contract's table of types, one function for each row. What is not listed there is refused: no text is read as a
 * number, no number as a boolean, so that a producer's mistake shows up as an error and not as a value.
 *
 * Where a number's meaning depends on the attribute (days for a date, milliseconds for a datetime), a writer's logical type
 * has its say: it gives the unit, or shows that something else is meant, which is refused. Elsewhere an int is an int.
 *
 * A cell keeps -0.0 as it was sent: PostgreSQL stores it so, and its = says that it equals 0. */
#include "byunique/cell.h"

#include "byunique/buf.h"
#include "calendar.h"
#include "decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool because(const char **reason, const char *text)
{
	*reason = text;
	return false;
}

/* The value's Avro type is not one of the attribute's. */
static bool wrong_kind(const struct value *value, const char **reason)
{
	static const char *const reasons[] = {
		[VALUE_NULL] = "is null",     [VALUE_BOOLEAN] = "is a boolean", [VALUE_INT] = "is an int",
		[VALUE_LONG] = "is a long",   [VALUE_FLOAT] = "is a float",	[VALUE_DOUBLE] = "is a double",
		[VALUE_STRING] = "is a string", [VALUE_DATE] = "is a date",	[VALUE_TIMESTAMP] = "is an instant",
		[VALUE_LOCAL_TIME] = "is a time of day or a timestamp without a time zone",
		[VALUE_DECIMAL] = "is a decimal",
	};
	return because(reason, reasons[value->kind]);
}

static bool is_plain_whole(const struct value *value)
{
	return value->kind == VALUE_INT || value->kind == VALUE_LONG;
}

/* An int or a long, whatever else the writer's schema says of it. */
static bool is_whole(const struct value *value)
{
	return is_plain_whole(value) || value->kind == VALUE_DATE || value->kind == VALUE_TIMESTAMP ||
	       value->kind == VALUE_LOCAL_TIME;
}

/* --- a command's value to a cell ----------------------------------------------------------------------------------------- */

static bool to_string(const struct attribute *attribute, const struct value *value, struct cell *cell, const char **reason)
{
	struct slice text = value->string;

	if (value->kind != VALUE_STRING)
		return wrong_kind(value, reason);
	if (text.len > 0 && memchr(text.base, '\0', text.len) != NULL)
		return because(reason, "holds the character U+0000");
	/* A code point is at least a byte: mostly there is nothing to count. */
	if (attribute->length > 0 && text.len > (size_t)attribute->length &&
	    slice_code_points(text) > (size_t)attribute->length)
		return because(reason, "is longer than the attribute's length");
	cell->text = text;
	return true;
}

static bool to_integer(const struct attribute *attribute, const struct value *value, struct cell *cell,
		       const char **reason)
{
	if (!is_whole(value))
		return wrong_kind(value, reason);
	if (attribute->type == TYPE_INTEGER && (value->integer < INT32_MIN || value->integer > INT32_MAX))
		return because(reason, "is outside of the 32-bit range");
	cell->integer = value->integer;
	return true;
}

static bool to_double(const struct attribute *attribute, const struct value *value, struct cell *cell,
		      const char **reason)
{
	(void)attribute;
	if (is_whole(value))
		cell->real = (double)value->integer;
	else if (value->kind == VALUE_FLOAT || value->kind == VALUE_DOUBLE)
		cell->real = value->real;
	else
		return wrong_kind(value, reason);
	return isfinite(cell->real) || because(reason, "is not a finite number");
}

static bool calendar_ok(enum calendar_status status, const char *form, const char **reason)
{
	switch (status) {
	case CALENDAR_OK: return true;
	case CALENDAR_FORM: return because(reason, form);
	case CALENDAR_NONE: return because(reason, "names a date, a time or an offset that does not exist");
	case CALENDAR_RANGE: break;
	}
	return because(reason, "is outside of the years 0001 to 9999");
}

static bool to_date(const struct attribute *attribute, const struct value *value, struct cell *cell, const char **reason)
{
	static const char form[] = "is not of the form yyyy-MM-dd";

	(void)attribute;
	if (value->kind == VALUE_STRING)
		return calendar_ok(date_parse(value->string, &cell->integer), form, reason);
	if (!is_plain_whole(value) && value->kind != VALUE_DATE)
		return wrong_kind(value, reason);
	if (value->integer < DAYS_FIRST - DAYS_1970 || value->integer >= DAYS_END - DAYS_1970)
		return calendar_ok(CALENDAR_RANGE, form, reason);
	cell->integer = value->integer + DAYS_1970;
	return true;
}

/* An instant in milliseconds, microseconds or nanoseconds to microseconds since 1970. */
static bool instant_us(const struct value *value, int64_t *us, const char **reason)
{
	*us = value->integer;
	if (value->scale == 3 && __builtin_mul_overflow(value->integer, 1000, us))
		return because(reason, "is outside of the years 0001 to 9999");
	if (value->scale == 9) {
		*us = value->integer / 1000;
		return value->integer % 1000 == 0 || because(reason, "has digits beyond the microsecond");
	}
	return true;
}

static bool to_datetime(const struct attribute *attribute, const struct value *value, struct cell *cell,
			const char **reason)
{
	static const char form[] = "is not of the form yyyy-MM-ddTHH:mm:ss, then optionally . and 1 to 6 digits, then Z or "
				   "an offset such as +05:30";
	int64_t us;

	(void)attribute;
	if (value->kind == VALUE_STRING)
		return calendar_ok(datetime_parse(value->string, &cell->integer), form, reason);
	if (!is_plain_whole(value) && value->kind != VALUE_TIMESTAMP)
		return wrong_kind(value, reason);
	struct value instant = *value;
	if (value->kind != VALUE_TIMESTAMP)
		instant.scale = 3;
	if (!instant_us(&instant, &us, reason))
		return false;
	if (us < DATETIME_FIRST_US - MS_1970 * 1000 || us >= DATETIME_END_US - MS_1970 * 1000)
		return calendar_ok(CALENDAR_RANGE, form, reason);
	cell->integer = us + MS_1970 * 1000;
	return true;
}

/* Moves on over digits; returns their number. Adds them to *number while they fit it. */
static size_t take_digits(struct slice *rest, uint64_t *number)
{
	size_t count = 0;

	for (; count < rest->len && rest->base[count] >= '0' && rest->base[count] <= '9'; count++)
		if (*number <= UINT64_MAX / 10 - 1)
			*number = *number * 10 + (uint64_t)(rest->base[count] - '0');
	rest->base += count;
	rest->len -= count;
	return count;
}

static bool decimal_parse(struct slice text, struct decimal *decimal, const char **reason)
{
	static const char form[] = "is no plain decimal number such as -12.50";
	uint64_t whole = 0, fraction = 0;
	size_t decimals = 0;
	bool negative = text.len > 0 && text.base[0] == '-';

	if (negative || (text.len > 0 && text.base[0] == '+')) {
		text.base++;
		text.len--;
	}
	if (take_digits(&text, &whole) == 0)
		return because(reason, form);
	if (text.len > 0) {
		if (*text.base != '.')
			return because(reason, form);
		text.base++;
		text.len--;
		decimals = take_digits(&text, &fraction);
		if (decimals == 0 || text.len > 0)
			return because(reason, form);
	}
	if (whole >= (uint64_t)CURRENCY_WHOLE_END)
		return because(reason, "has more than 15 digits before the point");
	if (decimals > CURRENCY_DECIMALS)
		return because(reason, "has more than 4 digits after the point");
	for (; decimals < CURRENCY_DECIMALS; decimals++)
		fraction *= 10;
	decimal->scaled = whole * CURRENCY_SCALE + fraction;
	decimal->negative = negative && decimal->scaled > 0;
	return true;
}

static bool to_currency(const struct attribute *attribute, const struct value *value, struct cell *cell,
			const char **reason)
{
	(void)attribute;
	if (value->kind == VALUE_STRING)
		return decimal_parse(value->string, &cell->decimal, reason);
	if (value->kind == VALUE_DECIMAL)
		return decimal_from_value(value, &cell->decimal, reason);
	if (!is_whole(value))
		return wrong_kind(value, reason);
	if (value->integer <= -CURRENCY_WHOLE_END || value->integer >= CURRENCY_WHOLE_END)
		return because(reason, "has more than 15 digits before the point");
	cell->decimal.negative = value->integer < 0;
	cell->decimal.scaled = (uint64_t)(value->integer < 0 ? -value->integer : value->integer) * CURRENCY_SCALE;
	return true;
}

static bool to_boolean(const struct attribute *attribute, const struct value *value, struct cell *cell,
		       const char **reason)
{
	(void)attribute;
	if (value->kind != VALUE_BOOLEAN)
		return wrong_kind(value, reason);
	cell->integer = value->boolean;
	return true;
}

typedef bool convert(const struct attribute *, const struct value *, struct cell *, const char **reason);

static convert *const converters[ATTRIBUTE_TYPE_COUNT] = {
	[TYPE_STRING] = to_string,     [TYPE_INTEGER] = to_integer, [TYPE_LONG] = to_integer,
	[TYPE_DOUBLE] = to_double,     [TYPE_DATE] = to_date,	    [TYPE_DATETIME] = to_datetime,
	[TYPE_CURRENCY] = to_currency, [TYPE_BOOLEAN] = to_boolean,
};

bool cell_from_value(const struct attribute *attribute, const struct value *value, struct cell *cell, const char **reason)
{
	cell->null = false;
	return converters[attribute->type](attribute, value, cell, reason);
}

/* --- text to a command's value --------------------------------------------------------------------------------------------- */

static bool whole_parse(struct slice text, int64_t *number, const char **reason)
{
	static const char form[] = "is no whole number";
	bool negative = text.len > 0 && text.base[0] == '-';
	size_t at = negative || (text.len > 0 && text.base[0] == '+') ? 1 : 0;
	bool fits = true;

	*number = 0;
	if (at == text.len)
		return because(reason, form);
	for (; at < text.len; at++) {
		char c = text.base[at];
		if (c < '0' || c > '9')
			return because(reason, form);
		int digit = negative ? '0' - c : c - '0';
		fits = fits && !__builtin_mul_overflow(*number, 10, number) &&
		       !__builtin_add_overflow(*number, digit, number);
	}
	return fits || because(reason, "is outside of the 64-bit range");
}

/* strtod() would also take blanks, hexadecimal digits, "nan" and "infinity". */
static bool real_parse(struct slice text, double *number, const char **reason)
{
	static const char form[] = "is no number";
	struct buf copy = BUF_EMPTY;
	char *end;

	for (size_t i = 0; i < text.len; i++)
		if (text.base[i] == '\0' || strchr("0123456789+-.eE", text.base[i]) == NULL)
			return because(reason, form);
	buf_add(&copy, text.base, text.len);
	*number = strtod(copy.base, &end);
	bool ok = text.len > 0 && *end == '\0';
	buf_release(&copy);
	return ok || because(reason, form);
}

static bool boolean_parse(struct slice text, bool *boolean, const char **reason)
{
	*boolean = slice_equal_nocase(text, SLICE_LIT("true"));
	return *boolean || slice_equal_nocase(text, SLICE_LIT("false")) || because(reason, "is neither true nor false");
}

static bool parse_text(enum attribute_type type, struct slice text, struct value *value, const char **reason)
{
	switch (type) {
	case TYPE_INTEGER: value->kind = VALUE_INT; return whole_parse(text, &value->integer, reason);
	case TYPE_LONG: value->kind = VALUE_LONG; return whole_parse(text, &value->integer, reason);
	case TYPE_DOUBLE: value->kind = VALUE_DOUBLE; return real_parse(text, &value->real, reason);
	case TYPE_BOOLEAN: value->kind = VALUE_BOOLEAN; return boolean_parse(text, &value->boolean, reason);
	case TYPE_STRING:
	case TYPE_DATE:
	case TYPE_DATETIME:
	case TYPE_CURRENCY:
	case ATTRIBUTE_TYPE_COUNT: break;
	}
	value->kind = VALUE_STRING;
	value->string = text;
	return true;
}

bool value_from_text(const struct attribute *attribute, struct slice text, struct value *value, const char **reason)
{
	struct cell cell;

	return parse_text(attribute->type, text, value, reason) && cell_from_value(attribute, value, &cell, reason);
}

/* --- cells ------------------------------------------------------------------------------------------------------------------- */

#define THREE_WAY(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_decimals(const struct decimal *a, const struct decimal *b)
{
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	int order = THREE_WAY(a->scaled, b->scaled);
	return a->negative ? -order : order;
}

int cell_compare(enum attribute_type type, const struct cell *a, const struct cell *b)
{
	switch (type) {
	case TYPE_STRING: return slice_compare(a->text, b->text);
	case TYPE_DOUBLE: return THREE_WAY(a->real, b->real);
	case TYPE_CURRENCY: return compare_decimals(&a->decimal, &b->decimal);
	case TYPE_INTEGER:
	case TYPE_LONG:
	case TYPE_DATE:
	case TYPE_DATETIME:
	case TYPE_BOOLEAN:
	case ATTRIBUTE_TYPE_COUNT: break;
	}
	return THREE_WAY(a->integer, b->integer);
}

/* A short text that reads back as the same double: 0.1, not 0.10000000000000001. */
static void real_text(double real, struct buf *out)
{
	char text[32];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	buf_adds(out, text);
}

static void decimal_text(const struct decimal *decimal, struct buf *out)
{
	buf_printf(out, "%s%llu.%04u", decimal->negative ? "-" : "",
		   (unsigned long long)(decimal->scaled / CURRENCY_SCALE), (unsigned)(decimal->scaled % CURRENCY_SCALE));
}

void cell_text(enum attribute_type type, const struct cell *cell, struct buf *out)
{
	ASSERT(!cell->null);
	switch (type) {
	case TYPE_STRING: buf_add(out, cell->text.base, cell->text.len); break;
	case TYPE_INTEGER:
	case TYPE_LONG: buf_printf(out, "%lld", (long long)cell->integer); break;
	case TYPE_DOUBLE: real_text(cell->real, out); break;
	case TYPE_DATE: date_format(cell->integer, out); break;
	case TYPE_DATETIME: datetime_format(cell->integer, out); break;
	case TYPE_CURRENCY: decimal_text(&cell->decimal, out); break;
	case TYPE_BOOLEAN: buf_adds(out, cell->integer ? "true" : "false"); break;
	case ATTRIBUTE_TYPE_COUNT: die("no attribute type: %d", (int)type);
	}
}
