/* JSON on stdout. */
#ifndef CLI_JSON_TEXT_H
#define CLI_JSON_TEXT_H

#include "byunique/slice.h"

#include <jansson.h>

/* null when there is none, or when it is not well-formed UTF-8. */
json_t *text_or_null(struct slice text);
json_t *cstr_or_null(const char *text); /* of NULL and "", too */
/* On a line of its own; takes the object over. */
void print_json(json_t *object);

#endif
