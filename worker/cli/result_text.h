/* A result as a line: for people, or as JSON. */
#ifndef CLI_RESULT_TEXT_H
#define CLI_RESULT_TEXT_H

#include "byunique/avro.h"
#include "byunique/kafka.h"

/* The columns' names, for the line below; appended, with the line's end. */
void result_heading(struct buf *out);
/* Status, code, command id, customer, extension, attribute and detail in columns, "-" for what is absent; control
 * characters are escaped. Appended, with the line's end. */
void result_text(const struct result *result, struct buf *out);
/* One JSON object with the fields of UpdateResult.avsc and, as `result`, where the record stands in Kafka. */
void result_json(const struct result *result, const struct kafka_record *record, struct buf *out);

#endif
