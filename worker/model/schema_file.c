/* Extension schemas from JSON. jansson parses; what it accepts is then read strictly, key by key, because a misspelt
 * "mandatory" that is passed over in silence makes another table than the one meant.
 *
 * Loose, as Genesys' own files are:
 * - one schema, or a list of them; a byte order mark before it;
 * - types in any case; "length": "3"; "mandatory": "true"; a default as a string, whatever the type: "default": "0";
 * - null for length, default, mandatory, unique or attributes: as if it were absent;
 * - "description" and "comment" are ignored, of an extension and of an attribute; no other unknown key is;
 * - a single-valued extension and a classifier need no attributes and no unique list. One that they have is checked, and
 *   makes its attributes mandatory, but is no key: there is one record for a customer.
 *
 * A default is kept as the canonical text of its value, so that PostgreSQL reads it as we do, and the same schema applied
 * again changes nothing. */
#include "byunique/schema_file.h"

#include "byunique/cell.h"
#include "json_line.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FILE_BYTES_MAX = 16 * 1024 * 1024,
	UNIQUE_MAX = 31, /* PostgreSQL's index holds 32 columns; one is the customer */
	PATH_DEPTH = 4,	 /* of the file: [n].attributes[n].key */
};

struct parser {
	const char *file;
	struct slice text;
	struct json_step path[PATH_DEPTH]; /* of the value being read */
	unsigned depth;
	struct err *err;
};

/* --- places and errors ------------------------------------------------------------------------------------------------- */

static void enter(struct parser *parser, const char *key, size_t index)
{
	ASSERT(parser->depth < PATH_DEPTH);
	parser->path[parser->depth++] = (struct json_step){key, index};
}

static void leave(struct parser *parser)
{
	parser->depth--;
}

/* `key` is the member at fault of the object being read, or NULL. */
static bool BYU_PRINTF(3, 4) refuse(struct parser *parser, const char *key, const char *fmt, ...)
{
	char reason[sizeof(parser->err->what)];
	va_list args;

	if (key != NULL)
		enter(parser, key, 0);
	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return err_set(parser->err, VERDICT_USAGE, "", "%s:%u: %s", parser->file,
		       json_line(parser->text, parser->path, parser->depth), reason);
}

/* --- loose values -------------------------------------------------------------------------------------------------------- */

/* A member, or NULL when it is absent or null. */
static json_t *member(json_t *object, const char *key)
{
	json_t *json = json_object_get(object, key);
	return json_is_null(json) ? NULL : json;
}

static struct slice json_slice(const json_t *json)
{
	return slice_of(json_string_value(json), json_string_length(json));
}

static bool loose_number(const json_t *json, int64_t *number)
{
	static const struct attribute as_long = {.type = TYPE_LONG};
	struct value value;
	const char *reason;

	if (json_is_string(json) && value_from_text(&as_long, json_slice(json), &value, &reason))
		*number = value.integer;
	else if (json_is_integer(json))
		*number = json_integer_value(json);
	else
		return false;
	return true;
}

static bool loose_boolean(const json_t *json, bool *boolean)
{
	static const struct attribute as_boolean = {.type = TYPE_BOOLEAN};
	struct value value;
	const char *reason;

	if (json_is_string(json) && value_from_text(&as_boolean, json_slice(json), &value, &reason))
		*boolean = value.boolean;
	else if (json_is_boolean(json))
		*boolean = json_is_true(json);
	else
		return false;
	return true;
}

/* The value that a command would carry. */
static bool loose_value(const struct attribute *attribute, const json_t *json, struct value *value, const char **reason)
{
	switch (json_typeof(json)) {
	case JSON_STRING: return value_from_text(attribute, json_slice(json), value, reason);
	case JSON_INTEGER: *value = (struct value){.kind = VALUE_LONG, .integer = json_integer_value(json)}; return true;
	case JSON_REAL: *value = (struct value){.kind = VALUE_DOUBLE, .real = json_real_value(json)}; return true;
	case JSON_TRUE:
	case JSON_FALSE: *value = (struct value){.kind = VALUE_BOOLEAN, .boolean = json_is_true(json)}; return true;
	case JSON_ARRAY: *reason = "is a list"; return false;
	default: *reason = "is an object"; return false;
	}
}

/* --- parts of both kinds of object ---------------------------------------------------------------------------------------- */

static const char *const extension_keys[] = {"name", "type", "unique", "attributes", "description", "comment", NULL};
static const char *const attribute_keys[] = {"name", "type", "length", "default", "mandatory", "description", "comment", NULL};

static bool check_keys(struct parser *parser, json_t *object, const char *const *known)
{
	const char *key;
	json_t *json;

	json_object_foreach(object, key, json)
	{
		int k = 0;
		while (known[k] != NULL && strcmp(known[k], key) != 0)
			k++;
		if (known[k] == NULL)
			return refuse(parser, key, "unknown key \"%.40s\"", key);
	}
	return true;
}

static bool parse_name(struct parser *parser, json_t *object, const char *what, char name[NAME_MAX_CHARS + 1])
{
	json_t *json = member(object, "name");

	if (json == NULL)
		return refuse(parser, NULL, "%s has no name", what);
	if (!json_is_string(json) || !name_valid(json_slice(json)))
		return refuse(parser, "name", "a name is a letter, then letters, digits or underscores, %d characters at most",
			      NAME_MAX_CHARS);
	memcpy(name, json_string_value(json), json_string_length(json) + 1);
	return true;
}

/* --- attributes ------------------------------------------------------------------------------------------------------------- */

static bool parse_type(struct parser *parser, json_t *object, struct attribute *attribute)
{
	json_t *json = member(object, "type");

	if (json == NULL)
		return refuse(parser, NULL, "attribute %s has no type", attribute->name);
	if (!json_is_string(json) || !attribute_type_parse(json_slice(json), &attribute->type))
		return refuse(parser, "type",
			      "attribute %s: a type is string, integer, long, double, date, datetime, currency or boolean",
			      attribute->name);
	return true;
}

static bool parse_length(struct parser *parser, json_t *object, struct attribute *attribute)
{
	json_t *json = member(object, "length");
	int64_t length;

	if (json == NULL)
		return true;
	if (attribute->type != TYPE_STRING)
		return refuse(parser, "length", "attribute %s: only a string has a length", attribute->name);
	if (!loose_number(json, &length) || length < 1 || length > STRING_LENGTH_MAX)
		return refuse(parser, "length", "attribute %s: a length is a whole number from 1 to %d", attribute->name,
			      STRING_LENGTH_MAX);
	attribute->length = (int32_t)length;
	return true;
}

static bool parse_mandatory(struct parser *parser, json_t *object, struct attribute *attribute)
{
	json_t *json = member(object, "mandatory");

	if (json != NULL && !loose_boolean(json, &attribute->mandatory))
		return refuse(parser, "mandatory", "attribute %s: mandatory is true or false", attribute->name);
	return true;
}

static bool parse_default(struct parser *parser, json_t *object, struct attribute *attribute)
{
	json_t *json = member(object, "default");
	struct buf text = BUF_EMPTY;
	const char *reason = NULL;
	struct value value;
	struct cell cell;

	if (json == NULL)
		return true;
	if (!loose_value(attribute, json, &value, &reason) || !cell_from_value(attribute, &value, &cell, &reason))
		return refuse(parser, "default", "attribute %s of type %s: its default %s", attribute->name,
			      attribute_type_name(attribute->type), reason);
	cell_text(attribute->type, &cell, &text);
	attribute->default_value = text.base; /* ends with a NUL, and holds no other */
	return true;
}

static bool parse_attribute(struct parser *parser, json_t *json, struct attribute *attribute)
{
	if (!json_is_object(json))
		return refuse(parser, NULL, "an attribute is an object");
	if (!check_keys(parser, json, attribute_keys) || !parse_name(parser, json, "an attribute", attribute->name))
		return false;
	if (column_name_reserved(slice_cstr(attribute->name)))
		return refuse(parser, "name", "attribute %s: the name is needed by PostgreSQL or byunique", attribute->name);
	name_lower(slice_cstr(attribute->name), attribute->column);
	return parse_type(parser, json, attribute) && parse_length(parser, json, attribute) &&
	       parse_mandatory(parser, json, attribute) && parse_default(parser, json, attribute);
}

static bool parse_attributes(struct parser *parser, json_t *list, struct extension *extension)
{
	extension->attributes = xcalloc(json_array_size(list), sizeof(*extension->attributes));
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct attribute *attribute = &extension->attributes[i];
		enter(parser, NULL, i);
		extension->attribute_count++; /* what there is of it is released with the others */
		if (!parse_attribute(parser, json_array_get(list, i), attribute))
			return false;
		if (extension_find(extension, slice_cstr(attribute->name)) != (int)i)
			return refuse(parser, "name", "attribute %s is there twice; names are not case-sensitive",
				      attribute->name);
		leave(parser);
	}
	return true;
}

/* --- the unique list ---------------------------------------------------------------------------------------------------------- */

/* Its place is that of the attribute: that is where the contradiction is to be resolved. */
static bool contradicts(struct parser *parser, json_t *attributes, int a)
{
	json_t *json = member(json_array_get(attributes, (size_t)a), "mandatory");
	bool mandatory;

	if (json == NULL || !loose_boolean(json, &mandatory) || mandatory)
		return false;
	parser->depth -= 2; /* from unique[n] to the extension */
	enter(parser, "attributes", 0);
	enter(parser, NULL, (size_t)a);
	return true;
}

static bool parse_unique_name(struct parser *parser, json_t *json, json_t *attributes, struct extension *extension)
{
	if (json_is_array(json))
		return refuse(parser, NULL, "the unique list is nested: it is one list of attribute names, one composite key");
	if (!json_is_string(json))
		return refuse(parser, NULL, "the unique list holds names of attributes only");
	int a = extension_find(extension, json_slice(json));
	if (a < 0)
		return refuse(parser, NULL, "the unique list names \"%.40s\", which is no attribute", json_string_value(json));
	struct attribute *attribute = &extension->attributes[a];
	if (attribute->unique)
		return refuse(parser, NULL, "the unique list names %s twice", attribute->name);
	if (contradicts(parser, attributes, a))
		return refuse(parser, "mandatory", "attribute %s is unique, hence mandatory: it can't be \"mandatory\": false",
			      attribute->name);
	attribute->unique = attribute->mandatory = true;
	extension->unique[extension->unique_count++] = (uint16_t)a;
	return true;
}

static bool parse_unique_list(struct parser *parser, json_t *list, json_t *attributes, struct extension *extension)
{
	extension->unique = xcalloc(json_array_size(list), sizeof(*extension->unique));
	for (size_t i = 0; i < json_array_size(list); i++) {
		enter(parser, NULL, i);
		if (!parse_unique_name(parser, json_array_get(list, i), attributes, extension))
			return false;
		leave(parser);
	}
	return true;
}

/* A list that is no key: see the head of this file. */
static void forget_unique(struct extension *extension)
{
	for (unsigned k = 0; k < extension->unique_count; k++)
		extension->attributes[extension->unique[k]].unique = false;
	extension->unique_count = 0;
}

static bool parse_unique(struct parser *parser, json_t *object, json_t *attributes, struct extension *extension)
{
	json_t *list = member(object, "unique");
	bool multi_valued = extension->type == EXTENSION_MULTI_VALUED;

	if (list == NULL && multi_valued)
		return refuse(parser, NULL, "extension %s is multi-valued, so it needs a unique list", extension->name);
	if (list == NULL)
		return true;
	if (!json_is_array(list))
		return refuse(parser, "unique", "unique is a list of attribute names");
	if (json_array_size(list) == 0 && multi_valued)
		return refuse(parser, "unique", "extension %s is multi-valued, so its unique list can't be empty",
			      extension->name);
	if (json_array_size(list) > UNIQUE_MAX)
		return refuse(parser, "unique", "the unique list is longer than %d attributes", UNIQUE_MAX);
	enter(parser, "unique", 0);
	if (!parse_unique_list(parser, list, attributes, extension))
		return false;
	leave(parser);
	if (!multi_valued)
		forget_unique(extension);
	return true;
}

/* --- extensions ------------------------------------------------------------------------------------------------------------- */

static bool parse_extension_type(struct parser *parser, json_t *object, struct extension *extension)
{
	json_t *json = member(object, "type");

	if (json == NULL)
		return refuse(parser, NULL, "extension %s has no type", extension->name);
	if (!json_is_string(json) || !extension_type_parse(json_slice(json), &extension->type))
		return refuse(parser, "type", "extension %s: a type is multi-valued, single-valued or classifier",
			      extension->name);
	return true;
}

static bool parse_extension(struct parser *parser, json_t *json, struct extension *extension)
{
	if (!json_is_object(json))
		return refuse(parser, NULL, "an extension schema is an object");
	if (!check_keys(parser, json, extension_keys) || !parse_name(parser, json, "the extension", extension->name) ||
	    !parse_extension_type(parser, json, extension))
		return false;
	memcpy(extension->table, "ext_", 4);
	name_lower(slice_cstr(extension->name), extension->table + 4);

	json_t *attributes = member(json, "attributes");
	if (attributes == NULL && extension->type == EXTENSION_MULTI_VALUED)
		return refuse(parser, NULL, "extension %s has no attributes", extension->name);
	if (attributes != NULL && !json_is_array(attributes))
		return refuse(parser, "attributes", "attributes is a list of objects");
	if (json_array_size(attributes) > ATTRIBUTES_MAX)
		return refuse(parser, "attributes", "extension %s has more than %d attributes", extension->name,
			      ATTRIBUTES_MAX);
	enter(parser, "attributes", 0);
	if (!parse_attributes(parser, attributes, extension))
		return false;
	leave(parser);
	if (!parse_unique(parser, json, attributes, extension))
		return false;
	extension_index(extension);
	return true;
}

static bool parse_list(struct parser *parser, json_t *list, struct extension *extensions, size_t *count)
{
	if (json_array_size(list) == 0)
		return refuse(parser, NULL, "no extension schema in the list");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct slice name;
		enter(parser, NULL, i);
		++*count; /* what there is of it is released with the others */
		if (!parse_extension(parser, json_array_get(list, i), &extensions[i]))
			return false;
		name = slice_cstr(extensions[i].name);
		for (size_t before = 0; before < i; before++)
			if (slice_equal_nocase(slice_cstr(extensions[before].name), name))
				return refuse(parser, "name", "extension %s is there twice; names are not case-sensitive",
					      extensions[i].name);
		leave(parser);
	}
	return true;
}

static bool parse_root(struct parser *parser, json_t *root, struct extension **extensions, size_t *count)
{
	size_t room = json_is_array(root) ? json_array_size(root) : 1;
	struct extension *all = xcalloc(room, sizeof(*all));
	bool ok;

	*count = 0;
	if (json_is_array(root)) {
		ok = parse_list(parser, root, all, count);
	} else {
		*count = 1;
		ok = parse_extension(parser, root, &all[0]);
	}
	if (ok) {
		*extensions = all;
		return true;
	}
	for (size_t i = 0; i < *count; i++)
		extension_release(&all[i]);
	free(all);
	return false;
}

static struct slice without_byte_order_mark(struct slice text)
{
	static const char mark[] = "\xEF\xBB\xBF";

	if (text.len < 3 || memcmp(text.base, mark, 3) != 0)
		return text.base ? text : SLICE_LIT("");
	return slice_of(text.base + 3, text.len - 3);
}

bool schema_file_parse(const char *file, struct slice text, struct extension **extensions, size_t *count,
		       struct err *err)
{
	struct parser parser = {.file = file, .text = without_byte_order_mark(text), .err = err};
	json_error_t error;

	json_t *root = json_loadb(parser.text.base, parser.text.len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return err_set(err, VERDICT_USAGE, "", "%s:%d: %s", file, error.line > 0 ? error.line : 1, error.text);
	bool ok = parse_root(&parser, root, extensions, count);
	json_decref(root);
	return ok;
}

static bool read_all(FILE *file, struct buf *text)
{
	enum { BLOCK = 65536 };
	size_t got;

	while ((got = fread(buf_reserve(text, BLOCK), 1, BLOCK, file)) > 0) {
		text->len += got;
		if (text->len > FILE_BYTES_MAX) {
			errno = EFBIG;
			return false;
		}
	}
	return !ferror(file);
}

bool schema_file_read(const char *path, struct extension **extensions, size_t *count, struct err *err)
{
	struct buf text = BUF_EMPTY;
	FILE *file = fopen(path, "re");
	bool ok = file != NULL && read_all(file, &text);

	if (!ok) {
		int error = errno;
		err_set(err, VERDICT_USAGE, strerrorname_np(error), "%s can't be read", path);
		err_detail(err, "%s", strerror(error));
	}
	if (file != NULL)
		fclose(file);
	ok = ok && schema_file_parse(path, buf_slice(&text), extensions, count, err);
	buf_release(&text);
	return ok;
}

bool column_name_reserved(struct slice name)
{
	/* PostgreSQL's system columns, and the one that every extension's table has. */
	static const char *const reserved[] = {"customer_id", "ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (slice_equal_nocase(slice_cstr(reserved[i]), name))
			return true;
	return false;
}
