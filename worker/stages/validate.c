/* The rows of the contract's table from InvalidCustomerId to InvalidAttributeValue, in its order: one function for each,
 * or for those that share a loop. The values are laid out by attribute first, so that every later question is an index.
 *
 * Details name attributes and types, never values: they are published, stored and logged. */
#include "byunique/stages.h"

enum { CUSTOMER_ID_MAX_CHARS = 16 };

/* The command's values by attribute; NULL: absent. */
struct layout {
	const struct value *values[ATTRIBUTES_MAX];
};

static bool refuse(struct message *message, enum outcome_code code, struct slice attribute, struct slice detail)
{
	message->outcome = (struct outcome){.code = code, .attribute = attribute, .detail = detail};
	return false;
}

/* The catalogue may be gone before the outcome is published: names are copied. */
static bool refuse_attribute(struct message *message, enum outcome_code code, const struct attribute *attribute,
			     struct arena *arena, const char *detail)
{
	struct slice name = arena_copy(arena, slice_cstr(attribute->name));
	return refuse(message, code, name, arena_printf(arena, "%s %s.", attribute->name, detail));
}

static bool check_customer_id(struct message *message)
{
	struct slice id = message->command.customer_id;
	struct slice detail;

	if (id.len == 0)
		detail = SLICE_LIT("The customer id is empty.");
	else if (memchr(id.base, '\0', id.len) != NULL)
		detail = SLICE_LIT("The customer id holds the character U+0000.");
	else if (id.len > CUSTOMER_ID_MAX_CHARS && slice_code_points(id) > CUSTOMER_ID_MAX_CHARS)
		detail = SLICE_LIT("The customer id is longer than 16 characters.");
	else
		return true;
	return refuse(message, OUTCOME_INVALID_CUSTOMER_ID, SLICE_NONE, detail);
}

static bool find_extension(struct message *message, const struct catalogue *catalogue, struct arena *arena,
			   const struct extension **extension)
{
	struct slice name = message->command.ext_name;

	if (!name_valid(name))
		return refuse(message, OUTCOME_INVALID_EXTENSION_NAME, SLICE_NONE,
			      SLICE_LIT("A name is a letter, then letters, digits or underscores, 26 characters at most."));
	*extension = catalogue_find(catalogue, name);
	if (*extension == NULL)
		return refuse(message, OUTCOME_EXTENSION_NOT_FOUND, SLICE_NONE,
			      SLICE_LIT("No extension of this name has been created."));
	if ((*extension)->type != EXTENSION_MULTI_VALUED)
		return refuse(message, OUTCOME_NOT_MULTI_VALUED, SLICE_NONE,
			      arena_printf(arena, "%s is a %s extension: only the records of a multi-valued one can be "
						  "updated by unique attributes.",
					   (*extension)->name, extension_type_name((*extension)->type)));
	return true;
}

/* UnknownAttribute and DuplicateAttribute. An unknown one anywhere outranks a repeated one. */
static bool lay_out(struct message *message, const struct extension *extension, struct arena *arena,
		    struct layout *layout)
{
	const struct command *command = &message->command;
	int repeated = -1;

	memset(layout->values, 0, sizeof(*layout->values) * extension->attribute_count);
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		int a = extension_find(extension, command->attributes[i].name);
		if (a < 0)
			return refuse(message, OUTCOME_UNKNOWN_ATTRIBUTE, command->attributes[i].name,
				      arena_printf(arena, "%s has no attribute of this name.", extension->name));
		if (layout->values[a] != NULL && repeated < 0)
			repeated = a;
		layout->values[a] = &command->attributes[i].value;
	}
	if (repeated >= 0)
		return refuse_attribute(message, OUTCOME_DUPLICATE_ATTRIBUTE, &extension->attributes[repeated], arena,
					"is given more than once; names are not case-sensitive");
	return true;
}

static bool check_unique(struct message *message, const struct extension *extension, struct arena *arena,
			 const struct layout *layout)
{
	for (unsigned k = 0; k < extension->unique_count; k++) {
		const struct value *value = layout->values[extension->unique[k]];
		if (value == NULL || value->kind == VALUE_NULL)
			return refuse_attribute(message, OUTCOME_MISSING_UNIQUE_ATTRIBUTE,
						&extension->attributes[extension->unique[k]], arena,
						value ? "is null, but a record is found by its value"
						      : "is absent, but a record is found by its value");
	}
	return true;
}

static bool check_mandatory(struct message *message, const struct extension *extension, struct arena *arena,
			    const struct layout *layout)
{
	for (unsigned a = 0; a < extension->attribute_count; a++) {
		const struct value *value = layout->values[a];
		if (value != NULL && value->kind == VALUE_NULL && extension->attributes[a].mandatory)
			return refuse_attribute(message, OUTCOME_MANDATORY_ATTRIBUTE, &extension->attributes[a], arena,
						"is mandatory, so null can't clear it");
	}
	return true;
}

static const char *type_phrase(const struct attribute *attribute, struct arena *arena)
{
	const char *name = attribute_type_name(attribute->type);

	if (attribute->type == TYPE_STRING && attribute->length > 0)
		return arena_printf(arena, "a string of at most %d characters", attribute->length).base;
	return arena_printf(arena, "%s %s", attribute->type == TYPE_INTEGER ? "an" : "a", name).base;
}

static bool convert(struct message *message, const struct attribute *attribute, const struct value *value,
		    struct arena *arena, struct cell *cell)
{
	const char *reason;

	if (value->kind == VALUE_NULL) {
		cell->null = true;
		return true;
	}
	if (cell_from_value(attribute, value, cell, &reason))
		return true;
	struct slice name = arena_copy(arena, slice_cstr(attribute->name));
	return refuse(message, OUTCOME_INVALID_ATTRIBUTE_VALUE, name,
		      arena_printf(arena, "The value of %s %s; the attribute is %s.", attribute->name, reason,
				   type_phrase(attribute, arena)));
}

/* InvalidAttributeValue; else the cells. */
static bool fill_cells(struct message *message, const struct extension *extension, struct arena *arena,
		       const struct layout *layout)
{
	struct cell *keys = arena_zarray(arena, struct cell, message->command.attribute_count);
	struct cell *cells = keys + extension->unique_count;
	uint32_t count = 0;

	for (unsigned k = 0; k < extension->unique_count; k++) {
		unsigned a = extension->unique[k];
		keys[k].attribute = (uint16_t)a;
		if (!convert(message, &extension->attributes[a], layout->values[a], arena, &keys[k]))
			return false;
	}
	for (unsigned a = 0; a < extension->attribute_count; a++) {
		if (layout->values[a] == NULL || extension->attributes[a].unique)
			continue;
		cells[count].attribute = (uint16_t)a;
		if (!convert(message, &extension->attributes[a], layout->values[a], arena, &cells[count++]))
			return false;
	}
	message->extension = extension;
	message->key_cells = keys;
	message->cells = cells;
	message->cell_count = count;
	return true;
}

static bool check(struct message *message, const struct catalogue *catalogue, struct arena *arena)
{
	const struct extension *extension;
	struct layout layout;

	if (!check_customer_id(message) || !find_extension(message, catalogue, arena, &extension))
		return false;
	ASSERT(extension->attribute_count <= ATTRIBUTES_MAX);
	return lay_out(message, extension, arena, &layout) && check_unique(message, extension, arena, &layout) &&
	       check_mandatory(message, extension, arena, &layout) && fill_cells(message, extension, arena, &layout);
}

/* Was this decided here, by an earlier call, or not at all? */
static bool is_ours(enum outcome_code code)
{
	switch (code) {
	case OUTCOME_NONE:
	case OUTCOME_INVALID_CUSTOMER_ID:
	case OUTCOME_INVALID_EXTENSION_NAME:
	case OUTCOME_EXTENSION_NOT_FOUND:
	case OUTCOME_NOT_MULTI_VALUED:
	case OUTCOME_UNKNOWN_ATTRIBUTE:
	case OUTCOME_DUPLICATE_ATTRIBUTE:
	case OUTCOME_MISSING_UNIQUE_ATTRIBUTE:
	case OUTCOME_MANDATORY_ATTRIBUTE:
	case OUTCOME_INVALID_ATTRIBUTE_VALUE: return true;
	default: return false;
	}
}

void validate_message(struct message *message, const struct catalogue *catalogue, struct arena *arena)
{
	if (!message->decoded || !is_ours(message->outcome.code))
		return;
	message->outcome = (struct outcome){.code = OUTCOME_NONE};
	message->extension = NULL;
	message->key_cells = NULL;
	message->cells = NULL;
	message->cell_count = 0;
	check(message, catalogue, arena);
}

void validate_batch(struct batch *batch, struct catalogue *catalogue)
{
	struct catalogue *before = batch->catalogue;

	batch->catalogue = catalogue_hold(catalogue);
	for (uint32_t i = 0; i < batch->count; i++)
		validate_message(&batch->messages[i], catalogue, &batch->arena);
	catalogue_drop(before);
}
