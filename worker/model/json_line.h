/* Where in a JSON text a value stands: jansson tells the line of a syntax error, not of a value. */
#ifndef MODEL_JSON_LINE_H
#define MODEL_JSON_LINE_H

#include "byunique/slice.h"

/* One step from a value to one inside it. */
struct json_step {
	const char *key; /* member of an object; NULL: an element of a list */
	size_t index;	 /* which element, from 0 */
};

/* The line, from 1, on which the value at the end of the path begins; of the innermost one that is there when a step leads
 * nowhere (a key that is missing, or written with escapes). The text has to be well-formed JSON. */
unsigned json_line(struct slice text, const struct json_step *path, unsigned depth);

#endif
