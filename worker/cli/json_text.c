#include "cli/json_text.h"

#include "byunique/err.h"

#include <stdio.h>
#include <stdlib.h>

json_t *text_or_null(struct slice text)
{
	return text.base != NULL && slice_is_utf8(text) ? json_stringn(text.base, text.len) : json_null();
}

json_t *cstr_or_null(const char *text)
{
	return text_or_null(text != NULL && text[0] != '\0' ? slice_cstr(text) : SLICE_NONE);
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
