/* Times are written as in commands: in a place that is looked up at night, nobody should have to count milliseconds. */
#include "byunique/buf.h"
#include "cli/place.h"

#include "model/calendar.h"

#include <errno.h>
#include <stdlib.h>

/* A whole number, not negative, up to `end`, where *rest then points to. */
static bool number_parse(const char *text, int64_t *number, const char **rest)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	*rest = end;
	return errno == 0 && end != text && text[0] >= '0' && text[0] <= '9';
}

static bool parse_offset(const char *text, struct kafka_place *place)
{
	const char *rest;

	place->kind = KAFKA_PLACE_OFFSET;
	return number_parse(text, &place->value, &rest) && *rest == '\0';
}

static bool parse_time(const char *text, struct kafka_place *place)
{
	int64_t us;

	if (datetime_parse(slice_cstr(text), &us) != CALENDAR_OK)
		return false;
	place->kind = KAFKA_PLACE_TIME;
	place->value = us / 1000 - MS_1970;
	return place->value >= 0;
}

bool place_parse(const char *option, const char *text, struct kafka_place *place, struct err *err)
{
	bool ok = true;

	if (text == NULL)
		return true;
	if (strcmp(text, "beginning") == 0)
		place->kind = KAFKA_PLACE_BEGINNING;
	else if (strcmp(text, "end") == 0)
		place->kind = KAFKA_PLACE_END;
	else if (strncmp(text, "offset:", 7) == 0)
		ok = parse_offset(text + 7, place);
	else
		ok = strncmp(text, "time:", 5) == 0 && parse_time(text + 5, place);
	if (ok)
		return true;
	err_set(err, VERDICT_USAGE, "", "--%s does not take %.64s", option, text);
	return err_hint(err, "Give beginning, end, offset:1200 or time:2024-05-17T10:00:00Z.");
}

bool spot_parse(const char *text, int32_t *partition, int64_t *offset, struct err *err)
{
	const char *rest;
	int64_t number;

	if (number_parse(text, &number, &rest) && number <= INT32_MAX && *rest == ':') {
		*partition = (int32_t)number;
		if (number_parse(rest + 1, offset, &rest) && *rest == '\0')
			return true;
	}
	err_set(err, VERDICT_USAGE, "", "%.64s is no place in a topic", text);
	return err_hint(err, "Give partition and offset, as in 3:1200.");
}

void time_text(int64_t ms, struct buf *out)
{
	if (ms < 0 || ms / 1000 > INT64_C(253402300799))
		buf_addc(out, '-');
	else
		datetime_format((ms + MS_1970) * 1000, out);
}
