/* One walk over the bytes checks and reads them: what is wanted goes where a table says, everything else is walked over by
 * the guard. The tables at the top are the reader's side of Avro's schema resolution.
 *
 * avro-c 1.11.1 was meant to decode behind a guard that walks first. Tried and rejected:
 * - avro_value_read keeps one of two equal map keys, and a command that names an attribute twice has to be refused;
 * - avro_consume_binary hands map keys over without their length, so that "prefix\0x" would be taken for "prefix"; it
 *   allocates every string by one allocator for the whole process and frees none of them (302 ns for a command of 262
 *   bytes with an allocator that only adds; then the guard's walk, and copies of the strings, come on top).
 * Reading by the guard's own primitives takes one walk less and knows no global state.
 *
 * The writer's record may have any name. Avro's rules want the same unqualified name, but Java's and Python's readers
 * differ in how strict they are, and a producer that generates its schema from a class of its own has nothing to gain
 * from a refusal: the fields decide. Aliases belong to the reader's schema, and ours has none. */
#include "avro/decode.h"

#include "avro/attributes.h"

#include <stddef.h>

enum target { TARGET_STRING, TARGET_BOOLEAN, TARGET_INT, TARGET_LONG, TARGET_INSTANT, TARGET_ATTRIBUTES, TARGET_RECORD };

struct reader_field {
	const char *name;
	enum target target;
	bool nullable;
	bool required; /* has no default: the writer must have it */
	size_t offset;
	size_t flag_offset; /* of a bool that says that the field is not null, or NO_FLAG */
	const struct reader_record *record;
};

struct reader_record {
	const char *name;
	const struct reader_field *fields;
	uint32_t count;
};

#define NO_FLAG SIZE_MAX
#define RECORD_OF(fields) (fields), sizeof(fields) / sizeof((fields)[0])

static const struct reader_field command_fields[] = {
	{"command_id", TARGET_STRING, false, true, offsetof(struct command, command_id), NO_FLAG, NULL},
	{"customer_id", TARGET_STRING, false, true, offsetof(struct command, customer_id), NO_FLAG, NULL},
	{"ext_name", TARGET_STRING, false, true, offsetof(struct command, ext_name), NO_FLAG, NULL},
	{"attributes", TARGET_ATTRIBUTES, false, true, 0, NO_FLAG, NULL},
	{"batch_id", TARGET_STRING, true, false, offsetof(struct command, batch_id), NO_FLAG, NULL},
	{"issued_at", TARGET_INSTANT, true, false, offsetof(struct command, issued_at_ms),
	 offsetof(struct command, has_issued_at), NULL},
};
const struct reader_record reader_command = {"UpdateByUnique", RECORD_OF(command_fields)};

/* A row of a file: what it leaves open, who sends it fills in. */
static const struct reader_field row_fields[] = {
	{"command_id", TARGET_STRING, true, false, offsetof(struct command, command_id), NO_FLAG, NULL},
	{"customer_id", TARGET_STRING, false, true, offsetof(struct command, customer_id), NO_FLAG, NULL},
	{"ext_name", TARGET_STRING, true, false, offsetof(struct command, ext_name), NO_FLAG, NULL},
	{"attributes", TARGET_ATTRIBUTES, false, true, 0, NO_FLAG, NULL},
	{"batch_id", TARGET_STRING, true, false, offsetof(struct command, batch_id), NO_FLAG, NULL},
	{"issued_at", TARGET_LONG, true, false, offsetof(struct command, issued_at_ms),
	 offsetof(struct command, has_issued_at), NULL},
};
const struct reader_record reader_row = {"UpdateByUnique", RECORD_OF(row_fields)};

static const struct reader_field problem_fields[] = {
	{"code", TARGET_STRING, false, true, offsetof(struct result, code), NO_FLAG, NULL},
	{"title", TARGET_STRING, false, true, offsetof(struct result, title), NO_FLAG, NULL},
	{"detail", TARGET_STRING, false, true, offsetof(struct result, detail), NO_FLAG, NULL},
	{"attribute", TARGET_STRING, true, false, offsetof(struct result, attribute), NO_FLAG, NULL},
};
static const struct reader_record reader_problem = {"Problem", RECORD_OF(problem_fields)};

static const struct reader_field source_fields[] = {
	{"topic", TARGET_STRING, false, true, offsetof(struct result, source_topic), NO_FLAG, NULL},
	{"partition", TARGET_INT, false, true, offsetof(struct result, source_partition), NO_FLAG, NULL},
	{"offset", TARGET_LONG, false, true, offsetof(struct result, source_offset), NO_FLAG, NULL},
};
static const struct reader_record reader_source = {"Source", RECORD_OF(source_fields)};

static const struct reader_field result_fields[] = {
	{"status", TARGET_INT, false, true, offsetof(struct result, status), NO_FLAG, NULL},
	{"command_id", TARGET_STRING, true, true, offsetof(struct result, command_id), NO_FLAG, NULL},
	{"customer_id", TARGET_STRING, true, true, offsetof(struct result, customer_id), NO_FLAG, NULL},
	{"ext_name", TARGET_STRING, true, true, offsetof(struct result, ext_name), NO_FLAG, NULL},
	{"batch_id", TARGET_STRING, true, false, offsetof(struct result, batch_id), NO_FLAG, NULL},
	{"error", TARGET_RECORD, true, false, 0, NO_FLAG, &reader_problem},
	{"duplicate", TARGET_BOOLEAN, false, false, offsetof(struct result, duplicate), NO_FLAG, NULL},
	{"source", TARGET_RECORD, false, true, 0, NO_FLAG, &reader_source},
	{"issued_at", TARGET_INSTANT, true, false, offsetof(struct result, issued_at_ms),
	 offsetof(struct result, has_issued_at), NULL},
	{"processed_at", TARGET_INSTANT, false, true, offsetof(struct result, processed_at_ms), NO_FLAG, NULL},
};
const struct reader_record reader_result = {"UpdateResult", RECORD_OF(result_fields)};

static const struct reader_field *find_field(const struct reader_record *wanted, const char *name)
{
	for (uint32_t i = 0; i < wanted->count; i++)
		if (strcmp(wanted->fields[i].name, name) == 0)
			return &wanted->fields[i];
	return NULL;
}

/* ---- resolution: may this writer's type be read as that? ---- */

/* Why not: the field, and what is the matter with it. */
struct refusal {
	const char *field;
	const char *why; /* constant text */
};

static bool record_resolves(const struct shape *shape, const struct reader_record *wanted, struct refusal *refusal);

static bool is_value_kind(const struct shape *shape)
{
	return shape->kind < SHAPE_PRIMITIVES || (shape->kind == SHAPE_FIXED && shape->logical == LOGICAL_DECIMAL);
}

/* A type that is no union; null has been dealt with. */
static bool plain_resolves(const struct shape *shape, const struct reader_field *field, struct refusal *refusal)
{
	switch (field->target) {
	case TARGET_STRING: return shape->kind == SHAPE_STRING || shape->kind == SHAPE_BYTES;
	case TARGET_BOOLEAN: return shape->kind == SHAPE_BOOLEAN;
	case TARGET_INT: return shape->kind == SHAPE_INT;
	case TARGET_LONG:
	case TARGET_INSTANT: return shape->kind == SHAPE_INT || shape->kind == SHAPE_LONG;
	case TARGET_RECORD: return shape->kind == SHAPE_RECORD && record_resolves(shape, field->record, refusal);
	case TARGET_ATTRIBUTES: break;
	}
	if (shape->kind != SHAPE_MAP)
		return false;
	const struct shape *value = shape->parts[0];
	bool any = value->kind != SHAPE_UNION && is_value_kind(value);
	for (uint32_t i = 0; value->kind == SHAPE_UNION && i < value->count; i++)
		any = any || is_value_kind(value->parts[i]);
	return any;
}

/* A union resolves when one of its branches does: which one was written is only known from the bytes. */
static bool type_resolves(const struct shape *shape, const struct reader_field *field, struct refusal *refusal)
{
	if (shape->kind == SHAPE_NULL)
		return field->nullable;
	if (shape->kind != SHAPE_UNION)
		return plain_resolves(shape, field, refusal);
	for (uint32_t i = 0; i < shape->count; i++)
		if (type_resolves(shape->parts[i], field, refusal))
			return true;
	return false;
}

static const struct shape *field_of(const struct shape *record, const char *name)
{
	for (uint32_t i = 0; i < record->count; i++)
		if (strcmp(record->labels[i], name) == 0)
			return record->parts[i];
	return NULL;
}

static bool record_resolves(const struct shape *shape, const struct reader_record *wanted, struct refusal *refusal)
{
	for (uint32_t i = 0; i < wanted->count; i++) {
		const struct reader_field *field = &wanted->fields[i];
		const struct shape *type = field_of(shape, field->name);
		struct refusal within = {0};
		if (type == NULL && !field->required)
			continue;
		if (type != NULL && type_resolves(type, field, &within))
			continue;
		*refusal = (struct refusal){field->name, type ? "has a type that can't be read as ours" : "is missing"};
		if (within.field != NULL)
			*refusal = within;
		return false;
	}
	return true;
}

static bool top_resolves(const struct shape *shape, const struct reader_record *wanted, struct refusal *refusal)
{
	if (shape->kind == SHAPE_RECORD)
		return record_resolves(shape, wanted, refusal);
	bool any = false;
	for (uint32_t i = 0; shape->kind == SHAPE_UNION && i < shape->count && !any; i++)
		any = top_resolves(shape->parts[i], wanted, refusal);
	return any;
}

struct plan plan_make(const struct shape *shape, const struct reader_record *wanted, struct arena *arena)
{
	struct plan plan = {.wanted = wanted, .shape = shape};
	struct refusal refusal = {NULL, "is no record"};

	if (!top_resolves(shape, wanted, &refusal)) {
		plan.unusable = arena_printf(arena, "the writer's schema %s can't be resolved to %s: %s %s",
					     shape->name ? shape->name : shape_kind_name(shape->kind), wanted->name,
					     refusal.field ? refusal.field : "it", refusal.why);
		return plan;
	}
	if (shape->kind == SHAPE_RECORD) {
		const struct reader_field **steps = arena_array(arena, const struct reader_field *, shape->count);
		for (uint32_t i = 0; i < shape->count; i++)
			steps[i] = find_field(wanted, shape->labels[i]);
		plan.steps = steps;
	}
	return plan;
}

/* ---- reading ---- */

struct decoder {
	struct cursor *cursor;
	struct arena *arena;
	uint32_t most_attributes;
	const char *field; /* being read, for the detail */
};

static bool read_record(struct decoder *d, const struct shape *shape, const struct reader_record *wanted,
			const struct reader_field *const *steps, void *into);

static bool read_number(struct cursor *cursor, const struct shape *shape, int64_t *number)
{
	int32_t narrow;

	if (shape->kind == SHAPE_LONG)
		return guard_long(cursor, number);
	if (!guard_int(cursor, &narrow))
		return false;
	*number = narrow;
	return true;
}

static bool read_real(struct cursor *cursor, const struct shape *shape, double *real)
{
	float narrow;

	if (shape->kind == SHAPE_DOUBLE)
		return guard_double(cursor, real);
	if (!guard_float(cursor, &narrow))
		return false;
	*real = narrow;
	return true;
}

/* The branch that the bytes name, or the type itself when it is no union. */
static const struct shape *take_branch(struct cursor *cursor, const struct shape *shape)
{
	uint32_t index;

	if (shape->kind != SHAPE_UNION)
		return shape;
	return guard_index(cursor, shape->count, &index) ? shape->parts[index] : NULL;
}

static enum value_kind whole_kind(const struct shape *shape)
{
	switch (shape->logical) {
	case LOGICAL_DATE: return VALUE_DATE;
	case LOGICAL_TIMESTAMP: return VALUE_TIMESTAMP;
	case LOGICAL_LOCAL_TIME: return VALUE_LOCAL_TIME;
	default: return shape->kind == SHAPE_INT ? VALUE_INT : VALUE_LONG;
	}
}

static bool read_decimal(struct cursor *cursor, const struct shape *shape, struct value *value)
{
	value->kind = VALUE_DECIMAL;
	if (shape->kind == SHAPE_FIXED)
		return guard_fixed(cursor, shape->size_bytes, &value->string);
	return guard_bytes(cursor, &value->string);
}

/* Our own schema's instants are milliseconds. */
static int64_t to_ms(const struct shape *shape, int64_t number)
{
	int64_t unit = 1;

	if (shape->logical != LOGICAL_TIMESTAMP)
		return number;
	for (uint32_t digits = shape->scale; digits > 3; digits--)
		unit *= 10;
	return number / unit - (number % unit < 0);
}

/* Of several of our branches that a writer's type fits, Avro takes the type's own: so the kind stays as it was written,
 * and bytes, which have none, become a string. */
static bool read_attribute_value(struct cursor *cursor, const struct shape *type, struct value *value)
{
	const unsigned char *at = cursor->next;
	const struct shape *shape = take_branch(cursor, type);

	if (shape == NULL)
		return false;
	value->scale = shape->scale;
	if (shape->logical == LOGICAL_DECIMAL)
		return read_decimal(cursor, shape, value);
	switch (shape->kind) {
	case SHAPE_NULL: value->kind = VALUE_NULL; return true;
	case SHAPE_BOOLEAN: value->kind = VALUE_BOOLEAN; return guard_boolean(cursor, &value->boolean);
	case SHAPE_INT:
	case SHAPE_LONG: value->kind = whole_kind(shape); return read_number(cursor, shape, &value->integer);
	case SHAPE_FLOAT: value->kind = VALUE_FLOAT; return read_real(cursor, shape, &value->real);
	case SHAPE_DOUBLE: value->kind = VALUE_DOUBLE; return read_real(cursor, shape, &value->real);
	case SHAPE_BYTES:
	case SHAPE_STRING: value->kind = VALUE_STRING; return guard_string(cursor, &value->string);
	default: return cursor_fail(cursor, at, "a value has a type that no attribute can have");
	}
}

static bool read_attributes(struct decoder *d, const struct shape *map, struct command *command)
{
	struct attribute_list list = {.command = command, .arena = d->arena};
	uint64_t count = 0;

	for (;;) {
		struct block block;
		if (!guard_block(d->cursor, false, &block))
			return false;
		for (int64_t i = 0; i < block.count; i++) {
			struct named_value attribute;
			if (count++ == d->most_attributes)
				return cursor_fail(d->cursor, d->cursor->next, "more attributes than limit.attributes allows");
			if (!guard_string(d->cursor, &attribute.name) ||
			    !read_attribute_value(d->cursor, map->parts[0], &attribute.value))
				return false;
			attribute_list_add(&list, &attribute, block.count);
		}
		if (!guard_block_end(d->cursor, &block) || block.count == 0)
			return d->cursor->wrong == NULL;
	}
}

static bool read_field(struct decoder *d, const struct shape *type, const struct reader_field *field, void *into)
{
	const unsigned char *at = d->cursor->next;
	const struct shape *shape = take_branch(d->cursor, type);
	struct refusal ignored;
	char *target = (char *)into + field->offset;
	int64_t number;

	if (shape == NULL)
		return false;
	if (shape != type && !type_resolves(shape, field, &ignored))
		return cursor_fail(d->cursor, at, "the type written here can't be read as ours");
	if (shape->kind == SHAPE_NULL)
		return true;
	if (field->flag_offset != NO_FLAG)
		*(bool *)((char *)into + field->flag_offset) = true;
	switch (field->target) {
	case TARGET_STRING: return guard_string(d->cursor, (struct slice *)(void *)target);
	case TARGET_BOOLEAN: return guard_boolean(d->cursor, (bool *)target);
	case TARGET_INT: return guard_int(d->cursor, (int32_t *)(void *)target);
	case TARGET_LONG:
	case TARGET_INSTANT:
		if (!read_number(d->cursor, shape, &number))
			return false;
		if (field->target == TARGET_INSTANT)
			number = to_ms(shape, number);
		memcpy(target, &number, sizeof(number));
		return true;
	case TARGET_ATTRIBUTES: return read_attributes(d, shape, into);
	case TARGET_RECORD: return read_record(d, shape, field->record, NULL, into);
	}
	return false;
}

/* `steps` NULL: found by name now. Records within ours are small, and only results have them. */
static bool read_record(struct decoder *d, const struct shape *shape, const struct reader_record *wanted,
			const struct reader_field *const *steps, void *into)
{
	for (uint32_t i = 0; i < shape->count; i++) {
		const struct reader_field *field = steps ? steps[i] : find_field(wanted, shape->labels[i]);
		d->field = shape->labels[i];
		if (field != NULL ? !read_field(d, shape->parts[i], field, into)
				  : !guard_value(d->cursor, shape->parts[i]))
			return false;
	}
	d->field = NULL;
	return true;
}

static bool read_top(struct decoder *d, const struct plan *plan, void *into)
{
	const unsigned char *at = d->cursor->next;
	const struct shape *shape = take_branch(d->cursor, plan->shape);
	struct refusal ignored;

	if (shape == NULL)
		return false;
	if (shape != plan->shape && !top_resolves(shape, plan->wanted, &ignored))
		return cursor_fail(d->cursor, at, "the type written here can't be read as ours");
	return read_record(d, shape, plan->wanted, plan->steps, into);
}

static bool read_value(const struct plan *plan, struct cursor *cursor, uint32_t most_attributes, bool to_end,
		       struct arena *arena, void *into, struct slice *detail)
{
	struct decoder d = {.cursor = cursor, .arena = arena, .most_attributes = most_attributes};

	if (read_top(&d, plan, into) && (!to_end || guard_end(cursor)))
		return true;
	*detail = arena_printf(arena, "%s%s%s, at byte %zu", d.field ? d.field : "", d.field ? ": " : "", cursor->wrong,
			       cursor->wrong_at);
	return false;
}

bool plan_read(const struct plan *plan, struct cursor *cursor, uint32_t most_attributes, struct arena *arena, void *into,
	       struct slice *detail)
{
	return read_value(plan, cursor, most_attributes, true, arena, into, detail);
}

bool plan_read_next(const struct plan *plan, struct cursor *cursor, struct arena *arena, void *into, struct slice *detail)
{
	return read_value(plan, cursor, ATTRIBUTES_ANY, false, arena, into, detail);
}
