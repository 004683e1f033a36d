#include "cli/json_text.h"

#include "byunique/err.h"

#include <stdio.h>
#include <stdlib.h>

json_t *text_or_null(struct slice text)
{
	return text.base != NULL && slice_is_utf8(text) ? json_stringn(text.base, text.len) : json_null();
}

void print_json(json_t *object)
{
	ASSERT(object != NULL);
	char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
	ASSERT(text != NULL);
	puts(text);
	free(text);
	json_decref(object);
}
