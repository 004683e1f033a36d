/* A schema as JSON, laid out like the contract's example: one line for each attribute. Composed by hand, as jansson's
 * dump knows one line for all or one for each key; strings are jansson's to escape. */
#include "byunique/schema_file.h"

#include <jansson.h>
#include <stdlib.h>

static void write_string(const char *text, struct buf *out)
{
	json_t *json = json_string(text);
	char *dump = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

	if (dump == NULL) /* names and defaults are well-formed UTF-8 */
		die("a string of a schema can't be written as JSON");
	buf_adds(out, dump);
	free(dump);
	json_decref(json);
}

/* Numbers and booleans as what they are: their canonical text is JSON. A currency's is kept as a string, like in commands. */
static void write_default(const struct attribute *attribute, struct buf *out)
{
	switch (attribute->type) {
	case TYPE_DOUBLE: /* JSON's -0 is the integer 0 */
	case TYPE_INTEGER:
	case TYPE_LONG:
	case TYPE_BOOLEAN:
		buf_adds(out, strcmp(attribute->default_value, "-0") == 0 ? "-0.0" : attribute->default_value);
		break;
	default: write_string(attribute->default_value, out);
	}
}

static void write_attribute(const struct attribute *attribute, struct buf *out)
{
	buf_printf(out, "{\"name\": \"%s\", \"type\": \"%s\"", attribute->name, attribute_type_name(attribute->type));
	if (attribute->length > 0)
		buf_printf(out, ", \"length\": %d", attribute->length);
	if (attribute->default_value != NULL) {
		buf_adds(out, ", \"default\": ");
		write_default(attribute, out);
	}
	if (attribute->mandatory)
		buf_adds(out, ", \"mandatory\": true");
	buf_addc(out, '}');
}

void schema_file_write(const struct extension *extension, struct buf *out)
{
	buf_printf(out, "{\"name\": \"%s\", \"type\": \"%s\"", extension->name, extension_type_name(extension->type));
	for (unsigned k = 0; k < extension->unique_count; k++)
		buf_printf(out, "%s\"%s\"", k ? ", " : ", \"unique\": [",
			   extension->attributes[extension->unique[k]].name);
	buf_printf(out, "%s,\n \"attributes\": [", extension->unique_count ? "]" : "");
	for (unsigned a = 0; a < extension->attribute_count; a++) {
		buf_adds(out, a ? ",\n   " : "\n   ");
		write_attribute(&extension->attributes[a], out);
	}
	buf_adds(out, "]}\n");
}
