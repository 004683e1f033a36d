/* Any text as an extension schema: refused with a reason, or read; and what is read is the same after it was written. */
#include "fuzz.h"

#include "byunique/schema_file.h"

static void release(struct extension *extensions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		extension_release(&extensions[i]);
	free(extensions);
}

static void check_extension(const struct extension *extension)
{
	HOLDS(name_valid(slice_cstr(extension->name)));
	HOLDS(extension->type != EXTENSION_MULTI_VALUED || extension->unique_count > 0);
	HOLDS(extension->attribute_count <= ATTRIBUTES_MAX);
	for (unsigned a = 0; a < extension->attribute_count; a++) {
		const struct attribute *attribute = &extension->attributes[a];
		HOLDS(name_valid(slice_cstr(attribute->name)) && !column_name_reserved(slice_cstr(attribute->name)));
		HOLDS(extension_find(extension, slice_cstr(attribute->column)) == (int)a);
		HOLDS(!attribute->unique || attribute->mandatory);
		HOLDS(attribute->length == 0 || attribute->type == TYPE_STRING);
	}
}

static void check_reads_back(const struct extension *extension)
{
	struct buf text = BUF_EMPTY, again = BUF_EMPTY;
	struct extension *extensions;
	struct err err;
	size_t count;

	schema_file_write(extension, &text);
	if (!schema_file_parse("again", buf_slice(&text), &extensions, &count, &err))
		die("%s in %s", err.what, text.base);
	HOLDS(count == 1);
	schema_file_write(&extensions[0], &again);
	HOLDS(slice_equal(buf_slice(&text), buf_slice(&again)));
	release(extensions, count);
	buf_release(&text);
	buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct extension *extensions;
	struct err err;
	size_t count;

	if (!schema_file_parse("input", slice_of(data, size), &extensions, &count, &err)) {
		HOLDS(err.verdict == VERDICT_USAGE && strncmp(err.what, "input:", 6) == 0);
		check_error(&err);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		check_extension(&extensions[i]);
		check_reads_back(&extensions[i]);
	}
	release(extensions, count);
	return 0;
}
