/* Days and instants of the proleptic Gregorian calendar, years 0001 to 9999, in PostgreSQL's units and epoch. */
#ifndef MODEL_CALENDAR_H
#define MODEL_CALENDAR_H

#include "byunique/buf.h"

#include <stdint.h>

#define DAYS_1970	 (-10957)	    /* 1970-01-01, counted from 2000-01-01 */
#define MS_1970		 (DAYS_1970 * INT64_C(86400000))
#define DAYS_FIRST	 (-730119)	    /* 0001-01-01 */
#define DAYS_END	 2921940	    /* 10000-01-01: the first day out of range */
#define US_PER_DAY	 INT64_C(86400000000)
#define DATETIME_FIRST_US (DAYS_FIRST * US_PER_DAY)
#define DATETIME_END_US	 (DAYS_END * US_PER_DAY)

enum calendar_status {
	CALENDAR_OK,
	CALENDAR_FORM,	/* not written in the contract's form */
	CALENDAR_NONE,	/* no such date or time of day, or no such offset */
	CALENDAR_RANGE, /* outside of the years 0001 to 9999 */
};

/* yyyy-MM-dd → days since 2000-01-01. */
enum calendar_status date_parse(struct slice text, int64_t *days);

/* yyyy-MM-ddTHH:mm:ss[.f{1,6}](Z|±HH:mm|±HHmm) → microseconds since 2000-01-01T00:00:00Z. The year may be 0000 where
 * the offset moves the instant into 0001. */
enum calendar_status datetime_parse(struct slice text, int64_t *us);

/* The same forms, in UTC, with as many digits of the fraction as are needed; PostgreSQL reads them in any DateStyle. */
void date_format(int64_t days, struct buf *out);
void datetime_format(int64_t us, struct buf *out);

#endif
