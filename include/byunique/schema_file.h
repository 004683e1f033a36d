/* Extension schemas as JSON files: Genesys' own loose dialect in, canonical JSON out. */
#ifndef BYUNIQUE_SCHEMA_FILE_H
#define BYUNIQUE_SCHEMA_FILE_H

#include "byunique/buf.h"
#include "byunique/catalogue.h"
#include "byunique/err.h"

/* Parse one extension schema, or an array of them, from the text of a file. `file` is for messages. On success
 * *extensions is an array of *count (owned by the caller: extension_release() each, then free()). Type names in any case,
 * numbers and booleans also as strings; what has no one meaning is refused with VERDICT_USAGE, file, line and reason. */
bool schema_file_parse(const char *file, struct slice text, struct extension **extensions, size_t *count,
		       struct err *err) BYU_MUST_CHECK;
bool schema_file_read(const char *path, struct extension **extensions, size_t *count, struct err *err) BYU_MUST_CHECK;

/* The schema as JSON, in the contract's form; appended, with a newline at the end. */
void schema_file_write(const struct extension *extension, struct buf *out);

/* Column names that PostgreSQL or this project needs for itself (customer_id, ctid, xmin, …), without case. */
bool column_name_reserved(struct slice name);

#endif
