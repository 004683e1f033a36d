/* Catalogues for tests, written as the schema files that make them. */
#ifndef TEST_SAMPLE_H
#define TEST_SAMPLE_H

#include "byunique/schema_file.h"

#include <stdlib.h>

static inline struct catalogue *sample_catalogue(const char *json)
{
	struct extension *extensions;
	struct err err;
	size_t count;

	if (!schema_file_parse("sample", slice_cstr(json), &extensions, &count, &err))
		die("%s", err.what);
	struct catalogue *catalogue = catalogue_new(1, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		catalogue->extensions[i] = extensions[i];
		catalogue->extensions[i].id = (int32_t)i + 1;
	}
	free(extensions);
	catalogue_sort(catalogue);
	return catalogue;
}

#define SAMPLE_PHONE                                                                                                   \
	"{\"name\": \"Phone\", \"type\": \"multi-valued\", \"unique\": [\"PhoneNumber\"],"                               \
	" \"attributes\": ["                                                                                           \
	"  {\"name\": \"PhoneType\", \"type\": \"integer\"},"                                                            \
	"  {\"name\": \"prefix\", \"type\": \"string\", \"length\": 5},"                                                 \
	"  {\"name\": \"PhoneNumber\", \"type\": \"string\", \"length\": 20, \"mandatory\": true},"                      \
	"  {\"name\": \"description\", \"type\": \"string\", \"length\": 256},"                                          \
	"  {\"name\": \"start_availabilty\", \"type\": \"datetime\"},"                                                   \
	"  {\"name\": \"end_availabilty\", \"type\": \"datetime\"}]}"

/* Two unique attributes out of order, and a mandatory one beside them. */
#define SAMPLE_PAIR                                                                                                    \
	"{\"name\": \"Pair\", \"type\": \"multi-valued\", \"unique\": [\"Second\", \"First\"],"                          \
	" \"attributes\": ["                                                                                           \
	"  {\"name\": \"First\", \"type\": \"double\"},"                                                                 \
	"  {\"name\": \"Note\", \"type\": \"string\"},"                                                                  \
	"  {\"name\": \"Must\", \"type\": \"string\", \"mandatory\": true},"                                             \
	"  {\"name\": \"Second\", \"type\": \"currency\"},"                                                              \
	"  {\"name\": \"Flag\", \"type\": \"boolean\"}]}"

#endif
