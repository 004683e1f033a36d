/* "beginning", "end", "offset:N", "time:2024-05-17T10:00:00Z": where in a topic. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "byunique/err.h"
#include "byunique/kafka.h"

/* The value of an option such as --from; *place stays as it is when text is NULL. */
bool place_parse(const char *option, const char *text, struct kafka_place *place, struct err *err) BYU_MUST_CHECK;

/* "3:1200": partition and offset. */
bool spot_parse(const char *text, int32_t *partition, int64_t *offset, struct err *err) BYU_MUST_CHECK;

/* 2024-05-17T10:00:00.250Z; "-" when ms < 0. Appended. */
void time_text(int64_t ms, struct buf *out);

#endif
