/* The only reader of a schema's JSON: guard, resolution and canonical form all work on what is compiled here, so they
 * can't understand a schema differently. avro-c's own parser was rejected for this: it knows no canonical form, takes
 * names that Avro forbids, and refuses what Avro allows (records without fields, a size given as text).
 *
 * Strict where a mistake would change the meaning of bytes (unknown types, names given twice, unions in unions),
 * forgiving towards everything that does not: unknown properties are skipped.
 *
 * Names are looked for one by one: the schemas of this world are small. One that was made up to be large would take minutes
 * so, and a long namespace would be copied for each name within it; hence limits that no real schema meets. */
#include "avro/shape.h"

#include <jansson.h>
#include <limits.h>

enum { DEPTH_MAX = 64 }; /* levels of nesting in a schema's JSON */

struct named {
	struct named *next;
	const struct shape *shape;
};

struct compiler {
	struct arena *arena;
	struct err *err;
	struct named *named; /* types defined so far, latest first */
	uint32_t named_count;
	uint32_t parts; /* types, fields and symbols so far */
	unsigned depth;
};

static const char *const kind_names[SHAPE_KINDS] = {
	[SHAPE_NULL] = "null",	   [SHAPE_BOOLEAN] = "boolean", [SHAPE_INT] = "int",	 [SHAPE_LONG] = "long",
	[SHAPE_FLOAT] = "float",   [SHAPE_DOUBLE] = "double",	[SHAPE_BYTES] = "bytes", [SHAPE_STRING] = "string",
	[SHAPE_ARRAY] = "array",   [SHAPE_MAP] = "map",		[SHAPE_UNION] = "union", [SHAPE_RECORD] = "record",
	[SHAPE_ENUM] = "enum",	   [SHAPE_FIXED] = "fixed",
};

static const struct shape primitives[SHAPE_PRIMITIVES] = {
	{.kind = SHAPE_NULL, .empty = true}, {.kind = SHAPE_BOOLEAN}, {.kind = SHAPE_INT},   {.kind = SHAPE_LONG},
	{.kind = SHAPE_FLOAT},		     {.kind = SHAPE_DOUBLE},  {.kind = SHAPE_BYTES}, {.kind = SHAPE_STRING},
};

/* NULL, for `return`, with the reason in *c->err. */
#define REFUSE(c, ...)                                                                                                 \
	(err_set((c)->err, VERDICT_USAGE, "", "not an Avro schema"), err_detail((c)->err, __VA_ARGS__), NULL)

static const struct shape *compile(struct compiler *c, const json_t *json, const char *space);
static const struct shape *compile_name(struct compiler *c, const json_t *json, const char *space);

const char *shape_kind_name(enum shape_kind kind)
{
	return kind_names[kind];
}

static enum shape_kind kind_by_name(const char *name)
{
	enum shape_kind kind = 0;
	while (kind < SHAPE_KINDS && (kind == SHAPE_UNION || strcmp(kind_names[kind], name) != 0))
		kind++;
	return kind;
}

/* A property that is text without U+0000, or NULL. */
static const char *text_of(const json_t *json)
{
	const char *text = json_string_value(json);
	return text != NULL && strlen(text) == json_string_length(json) ? text : NULL;
}

/* A letter or underscore, then letters, digits or underscores; several of these joined by dots when `dotted`. */
static bool is_name(const char *name, bool dotted)
{
	bool first = true;
	for (const char *p = name; *p != '\0'; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
		if (dotted && *p == '.' && !first)
			first = true;
		else if (letter || (!first && *p >= '0' && *p <= '9'))
			first = false;
		else
			return false;
	}
	return !first;
}

static const char *qualify(struct compiler *c, const char *name, const char *space)
{
	if (space[0] == '\0' || strchr(name, '.') != NULL)
		return arena_cstr(c->arena, slice_cstr(name));
	return arena_printf(c->arena, "%s.%s", space, name).base;
}

/* Is `full_name` what `name` means within `space`? */
static bool means(const char *name, const char *space, const char *full_name)
{
	size_t len = strlen(space);

	if (len == 0 || strchr(name, '.') != NULL)
		return strcmp(full_name, name) == 0;
	return strncmp(full_name, space, len) == 0 && full_name[len] == '.' && strcmp(full_name + len + 1, name) == 0;
}

/* One more; false: too many. */
static bool count_part(struct compiler *c)
{
	if (++c->parts <= SHAPE_PARTS_MAX)
		return true;
	return REFUSE(c, "it has more than %d types, fields and symbols", SHAPE_PARTS_MAX) != NULL;
}

static const char *space_of(struct compiler *c, const char *full_name)
{
	const char *dot = strrchr(full_name, '.');
	return dot == NULL ? "" : arena_cstr(c->arena, slice_of(full_name, (size_t)(dot - full_name)));
}

static const struct shape *find_named(const struct compiler *c, const char *name, const char *space)
{
	for (const struct named *n = c->named; n != NULL; n = n->next)
		if (means(name, space, n->shape->name))
			return n->shape;
	return NULL;
}

static struct shape *new_shape(struct compiler *c, enum shape_kind kind, size_t count)
{
	struct shape *shape = arena_zalloc(c->arena, sizeof(*shape));
	shape->kind = kind;
	shape->count = (uint32_t)count;
	return shape;
}

/* A new named type, known from now on: its own fields may speak of it. */
static struct shape *new_named(struct compiler *c, enum shape_kind kind, const json_t *json, const char *space)
{
	const char *name = text_of(json_object_get(json, "name"));
	const char *own_space = text_of(json_object_get(json, "namespace"));

	if (name == NULL || !is_name(name, true))
		return REFUSE(c, "a type \"%s\" has no valid name", kind_names[kind]);
	if (own_space != NULL && own_space[0] != '\0' && !is_name(own_space, true))
		return REFUSE(c, "type %s has no valid namespace", name);
	space = own_space ? own_space : space;
	if (strlen(space) + 1 + strlen(name) > SHAPE_NAME_MAX)
		return REFUSE(c, "the name of a type \"%s\" has more than %d bytes", kind_names[kind], SHAPE_NAME_MAX);
	const char *full_name = qualify(c, name, space);
	if (kind_by_name(full_name) < SHAPE_PRIMITIVES || find_named(c, full_name, "") != NULL)
		return REFUSE(c, "the name %s is already taken", full_name);

	struct shape *shape = new_shape(c, kind, 0);
	shape->name = full_name;
	shape->number = c->named_count++;
	struct named *named = arena_alloc(c->arena, sizeof(*named));
	*named = (struct named){c->named, shape};
	c->named = named;
	return shape;
}

static bool has_label(const struct shape *shape, uint32_t before, const char *label)
{
	for (uint32_t i = 0; i < before; i++)
		if (strcmp(shape->labels[i], label) == 0)
			return true;
	return false;
}

static const struct shape *compile_field(struct compiler *c, struct shape *record, uint32_t i, const json_t *field,
					 const char *space)
{
	const char *name = text_of(json_object_get(field, "name"));

	if (name == NULL || !is_name(name, false))
		return REFUSE(c, "field %u of record %s has no valid name", i + 1, record->name);
	if (has_label(record, i, name))
		return REFUSE(c, "record %s has two fields %s", record->name, name);
	record->labels[i] = arena_cstr(c->arena, slice_cstr(name));
	if (json_object_get(field, "type") == NULL)
		return REFUSE(c, "field %s of record %s has no type", name, record->name);
	return compile(c, json_object_get(field, "type"), space);
}

static const struct shape *compile_record(struct compiler *c, const json_t *json, const char *space)
{
	const json_t *fields = json_object_get(json, "fields");
	struct shape *record = new_named(c, SHAPE_RECORD, json, space);

	if (record == NULL)
		return NULL;
	if (!json_is_array(fields))
		return REFUSE(c, "record %s has no list of fields", record->name);
	record->count = (uint32_t)json_array_size(fields);
	record->parts = arena_array(c->arena, const struct shape *, record->count);
	record->labels = arena_array(c->arena, const char *, record->count);
	space = space_of(c, record->name);
	record->solid = arena_array(c->arena, const struct shape *, record->count);
	for (uint32_t i = 0; i < record->count; i++) {
		record->parts[i] = compile_field(c, record, i, json_array_get(fields, i), space);
		if (record->parts[i] == NULL)
			return NULL;
		if (!record->parts[i]->empty)
			record->solid[record->solid_count++] = record->parts[i];
	}
	record->empty = record->solid_count == 0; /* only now: a record within itself is not empty, it has no end */
	return record;
}

static const struct shape *compile_enum(struct compiler *c, const json_t *json, const char *space)
{
	const json_t *symbols = json_object_get(json, "symbols");
	struct shape *shape = new_named(c, SHAPE_ENUM, json, space);

	if (shape == NULL)
		return NULL;
	if (!json_is_array(symbols))
		return REFUSE(c, "enum %s has no list of symbols", shape->name);
	shape->count = (uint32_t)json_array_size(symbols);
	shape->labels = arena_array(c->arena, const char *, shape->count);
	for (uint32_t i = 0; i < shape->count; i++) {
		const char *symbol = text_of(json_array_get(symbols, i));
		if (!count_part(c))
			return NULL;
		if (symbol == NULL || !is_name(symbol, false) || has_label(shape, i, symbol))
			return REFUSE(c, "symbol %u of enum %s is no name or given twice", i + 1, shape->name);
		shape->labels[i] = arena_cstr(c->arena, slice_cstr(symbol));
	}
	return shape;
}

/* Avro's canonical form speaks of sizes given as text, so they exist: "size": "16". -1: neither. */
static json_int_t size_of(const json_t *json)
{
	const char *text = text_of(json);
	json_int_t size = 0;

	if (json_is_integer(json))
		return json_integer_value(json);
	if (text == NULL || text[0] == '\0')
		return -1;
	for (; *text != '\0' && size <= INT32_MAX; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		size = size * 10 + (*text - '0');
	}
	return size;
}

/* ---- logical types: by the specification, one that does not fit its type is passed over ---- */

static const struct logical_name {
	const char *name;
	enum shape_kind kind;
	enum logical_type logical;
	uint32_t scale;
} logical_names[] = {
	{"date", SHAPE_INT, LOGICAL_DATE, 0},
	{"timestamp-millis", SHAPE_LONG, LOGICAL_TIMESTAMP, 3},
	{"timestamp-micros", SHAPE_LONG, LOGICAL_TIMESTAMP, 6},
	{"timestamp-nanos", SHAPE_LONG, LOGICAL_TIMESTAMP, 9},
	{"local-timestamp-millis", SHAPE_LONG, LOGICAL_LOCAL_TIME, 3},
	{"local-timestamp-micros", SHAPE_LONG, LOGICAL_LOCAL_TIME, 6},
	{"local-timestamp-nanos", SHAPE_LONG, LOGICAL_LOCAL_TIME, 9},
	{"time-millis", SHAPE_INT, LOGICAL_LOCAL_TIME, 3},
	{"time-micros", SHAPE_LONG, LOGICAL_LOCAL_TIME, 6},
};

/* So many decimal digits always fit a two's complement number of this size. */
static json_int_t digits_in(uint32_t size_bytes)
{
	return size_bytes == 0 ? 0 : (json_int_t)((8.0 * size_bytes - 1) * 0.30102999566398119521);
}

static bool is_decimal(const json_t *json, const struct shape *shape)
{
	const json_t *precision = json_object_get(json, "precision"), *scale = json_object_get(json, "scale");
	json_int_t digits = json_integer_value(precision);

	if (shape->kind != SHAPE_BYTES && shape->kind != SHAPE_FIXED)
		return false;
	if (!json_is_integer(precision) || digits < 1 || digits > INT32_MAX || (scale != NULL && !json_is_integer(scale)))
		return false;
	return json_integer_value(scale) >= 0 && json_integer_value(scale) <= digits &&
	       (shape->kind == SHAPE_BYTES || digits <= digits_in(shape->size_bytes));
}

static void add_logical(const json_t *json, struct shape *shape)
{
	const char *name = text_of(json_object_get(json, "logicalType"));

	if (name != NULL && strcmp(name, "decimal") == 0 && is_decimal(json, shape)) {
		shape->logical = LOGICAL_DECIMAL;
		shape->scale = (uint32_t)json_integer_value(json_object_get(json, "scale"));
	}
	for (size_t i = 0; name != NULL && i < sizeof(logical_names) / sizeof(*logical_names); i++) {
		if (strcmp(logical_names[i].name, name) != 0 || logical_names[i].kind != shape->kind)
			continue;
		shape->logical = logical_names[i].logical;
		shape->scale = logical_names[i].scale;
	}
}

/* A primitive type, or a named one by its name, given as an object. */
static const struct shape *compile_plain(struct compiler *c, const json_t *json, const char *space)
{
	const struct shape *plain = compile_name(c, json_object_get(json, "type"), space);

	if (plain == NULL || plain->kind >= SHAPE_PRIMITIVES || json_object_get(json, "logicalType") == NULL)
		return plain;
	struct shape *shape = new_shape(c, plain->kind, 0);
	*shape = *plain;
	add_logical(json, shape);
	return shape;
}

static const struct shape *compile_fixed(struct compiler *c, const json_t *json, const char *space)
{
	json_int_t size = size_of(json_object_get(json, "size"));
	struct shape *shape = new_named(c, SHAPE_FIXED, json, space);

	if (shape == NULL)
		return NULL;
	if (size < 0 || size > INT32_MAX)
		return REFUSE(c, "fixed %s has no valid size", shape->name);
	shape->size_bytes = (uint32_t)size;
	shape->empty = size == 0;
	add_logical(json, shape);
	return shape;
}

static const struct shape *compile_collection(struct compiler *c, enum shape_kind kind, const json_t *json,
					      const char *space)
{
	const char *property = kind == SHAPE_ARRAY ? "items" : "values";
	const json_t *inner = json_object_get(json, property);

	if (inner == NULL)
		return REFUSE(c, "a type \"%s\" has no \"%s\"", kind_names[kind], property);
	const struct shape *part = compile(c, inner, space);
	if (part == NULL)
		return NULL;
	struct shape *shape = new_shape(c, kind, 1);
	shape->parts = arena_array(c->arena, const struct shape *, 1);
	shape->parts[0] = part;
	return shape;
}

/* May `branch` stand in a union beside the first `before` ones? Named types by name, all others by kind. */
static bool is_new_branch(const struct shape *shape, uint32_t before, const struct shape *branch)
{
	for (uint32_t i = 0; i < before; i++)
		if (shape->parts[i] == branch || (branch->name == NULL && shape->parts[i]->kind == branch->kind))
			return false;
	return true;
}

static const struct shape *compile_union(struct compiler *c, const json_t *json, const char *space)
{
	struct shape *shape = new_shape(c, SHAPE_UNION, json_array_size(json));

	shape->parts = arena_array(c->arena, const struct shape *, shape->count);
	for (uint32_t i = 0; i < shape->count; i++) {
		const struct shape *branch = compile(c, json_array_get(json, i), space);
		if (branch == NULL)
			return NULL;
		if (branch->kind == SHAPE_UNION)
			return REFUSE(c, "a union stands directly within a union");
		if (!is_new_branch(shape, i, branch))
			return REFUSE(c, "a union holds the type %s twice",
				      branch->name ? branch->name : kind_names[branch->kind]);
		shape->parts[i] = branch;
	}
	return shape;
}

/* A type that is given by its name alone. */
static const struct shape *compile_name(struct compiler *c, const json_t *json, const char *space)
{
	const char *name = text_of(json);

	if (name == NULL)
		return REFUSE(c, "a type's name holds U+0000");
	enum shape_kind kind = kind_by_name(name);
	if (kind < SHAPE_PRIMITIVES)
		return &primitives[kind];
	const struct shape *shape = find_named(c, name, space);
	return shape != NULL ? shape : REFUSE(c, "the type \"%.200s\" is not defined", name);
}

static const struct shape *compile_object(struct compiler *c, const json_t *json, const char *space)
{
	const json_t *type = json_object_get(json, "type");
	const char *name = text_of(type);

	if (name == NULL)
		return type ? compile(c, type, space) : REFUSE(c, "a type has no \"type\"");
	enum shape_kind kind = kind_by_name(name);
	switch (kind) {
	case SHAPE_ARRAY:
	case SHAPE_MAP: return compile_collection(c, kind, json, space);
	case SHAPE_RECORD: return compile_record(c, json, space);
	case SHAPE_ENUM: return compile_enum(c, json, space);
	case SHAPE_FIXED: return compile_fixed(c, json, space);
	default: return compile_plain(c, json, space);
	}
}

static const struct shape *compile(struct compiler *c, const json_t *json, const char *space)
{
	const struct shape *shape;

	if (!count_part(c))
		return NULL;
	if (++c->depth > DEPTH_MAX)
		return REFUSE(c, "it is nested deeper than %d levels", DEPTH_MAX);
	if (json_is_string(json))
		shape = compile_name(c, json, space);
	else if (json_is_array(json))
		shape = compile_union(c, json, space);
	else if (json_is_object(json))
		shape = compile_object(c, json, space);
	else
		shape = REFUSE(c, "a type is neither text, list nor object");
	c->depth--;
	return shape;
}

static bool compile_text(struct compiler *c, struct slice schema_json, const struct shape **shape)
{
	struct err *err = c->err;
	json_error_t trouble;

	json_t *json = json_loadb(schema_json.len ? schema_json.base : "", schema_json.len,
				  JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &trouble);
	if (json == NULL) {
		err_set(err, VERDICT_USAGE, "", "not an Avro schema");
		return err_detail(err, "it is not JSON: %s, line %d", trouble.text, trouble.line);
	}
	c->depth = 0;
	*shape = compile(c, json, "");
	json_decref(json);
	return *shape != NULL;
}

bool shape_compile_all(const struct slice *schemas_json, uint32_t count, struct arena *arena, const struct shape **shape,
		       struct err *err)
{
	struct compiler c = {.arena = arena, .err = err};
	bool ok = true;

	for (uint32_t i = 0; ok && i < count; i++)
		ok = compile_text(&c, schemas_json[i], shape);
	return ok;
}

bool shape_compile(struct slice schema_json, struct arena *arena, const struct shape **shape, struct err *err)
{
	return shape_compile_all(&schema_json, 1, arena, shape, err);
}
