/* Look-ups run for every command and every attribute: binary search, comparing without case as it goes, so that nothing is
 * copied or lowered first. With the usual handful of names that is two or three comparisons; a hash would have to read the
 * whole name before its first one.
 *
 * Names are ASCII by rule, so lower case is ASCII's: a locale's or Unicode's would make the Kelvin sign a k. */
#include "byunique/catalogue.h"

#include "byunique/err.h"

#include <stdlib.h>

static const char *const attribute_type_names[ATTRIBUTE_TYPE_COUNT] = {
#define X(symbol, name) [TYPE_##symbol] = name,
	ATTRIBUTE_TYPES(X)
#undef X
};

static const char *const extension_type_names[EXTENSION_TYPE_COUNT] = {
	[EXTENSION_MULTI_VALUED] = "multi-valued",
	[EXTENSION_SINGLE_VALUED] = "single-valued",
	[EXTENSION_CLASSIFIER] = "classifier",
};

/* --- names --------------------------------------------------------------------------------------------------------- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

bool name_valid(struct slice name)
{
	if (name.len < 1 || name.len > NAME_MAX_CHARS || !is_letter(name.base[0]))
		return false;
	for (size_t i = 1; i < name.len; i++) {
		char c = name.base[i];
		if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return true;
}

void name_lower(struct slice name, char lower_name[NAME_MAX_CHARS + 1])
{
	ASSERT(name.len <= NAME_MAX_CHARS);
	for (size_t i = 0; i < name.len; i++)
		lower_name[i] = lower(name.base[i]);
	lower_name[name.len] = '\0';
}

/* A catalogue's name against any bytes, U+0000 included. */
static int compare_name(const char *known, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char a = (unsigned char)lower(known[i]), b = (unsigned char)lower(name.base[i]);
		if (a == '\0')
			return -1;
		if (a != b)
			return a < b ? -1 : 1;
	}
	return known[name.len] == '\0' ? 0 : 1;
}

/* --- extensions ---------------------------------------------------------------------------------------------------- */

static int compare_columns(const void *left, const void *right, void *attributes)
{
	const struct attribute *of = attributes;
	return strcmp(of[*(const uint16_t *)left].column, of[*(const uint16_t *)right].column);
}

void extension_index(struct extension *extension)
{
	free(extension->by_name);
	extension->by_name = xcalloc(extension->attribute_count, sizeof(*extension->by_name));
	for (unsigned a = 0; a < extension->attribute_count; a++)
		extension->by_name[a] = (uint16_t)a;
	qsort_r(extension->by_name, extension->attribute_count, sizeof(*extension->by_name), compare_columns,
		extension->attributes);
}

static int scan_attributes(const struct extension *extension, struct slice name)
{
	for (int a = 0; a < extension->attribute_count; a++)
		if (compare_name(extension->attributes[a].name, name) == 0)
			return a;
	return -1;
}

int extension_find(const struct extension *extension, struct slice name)
{
	unsigned begin = 0, end = extension->attribute_count;

	if (extension->by_name == NULL)
		return scan_attributes(extension, name);
	while (begin < end) {
		unsigned middle = (begin + end) / 2;
		int order = compare_name(extension->attributes[extension->by_name[middle]].column, name);
		if (order == 0)
			return extension->by_name[middle];
		if (order < 0)
			begin = middle + 1;
		else
			end = middle;
	}
	return -1;
}

void extension_release(struct extension *extension)
{
	for (unsigned a = 0; a < extension->attribute_count; a++)
		free(extension->attributes[a].default_value);
	free(extension->attributes);
	free(extension->unique);
	free(extension->by_name);
	*extension = (struct extension){0};
}

/* --- the catalogue --------------------------------------------------------------------------------------------------- */

struct catalogue *catalogue_new(int64_t version, uint32_t extension_count)
{
	struct catalogue *catalogue = xcalloc(1, sizeof(*catalogue));
	*catalogue = (struct catalogue){.version = version, .refs = 1, .extension_count = extension_count};
	catalogue->extensions = xcalloc(extension_count, sizeof(*catalogue->extensions));
	return catalogue;
}

struct catalogue *catalogue_hold(struct catalogue *catalogue)
{
	__atomic_fetch_add(&catalogue->refs, 1, __ATOMIC_RELAXED);
	return catalogue;
}

void catalogue_drop(struct catalogue *catalogue)
{
	if (catalogue == NULL || __atomic_sub_fetch(&catalogue->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t e = 0; e < catalogue->extension_count; e++)
		extension_release(&catalogue->extensions[e]);
	free(catalogue->extensions);
	free(catalogue);
}

static int compare_extensions(const void *left, const void *right)
{
	const struct extension *a = left, *b = right;
	return compare_name(a->name, slice_cstr(b->name));
}

void catalogue_sort(struct catalogue *catalogue)
{
	qsort(catalogue->extensions, catalogue->extension_count, sizeof(*catalogue->extensions), compare_extensions);
	for (uint32_t e = 0; e < catalogue->extension_count; e++)
		extension_index(&catalogue->extensions[e]);
}

const struct extension *catalogue_find(const struct catalogue *catalogue, struct slice name)
{
	uint32_t begin = 0, end = catalogue->extension_count;

	while (begin < end) {
		uint32_t middle = begin + (end - begin) / 2;
		int order = compare_name(catalogue->extensions[middle].name, name);
		if (order == 0)
			return &catalogue->extensions[middle];
		if (order < 0)
			begin = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

/* --- types ----------------------------------------------------------------------------------------------------------- */

static int find_type(const char *const *names, int count, struct slice text)
{
	for (int i = 0; i < count; i++)
		if (slice_equal_nocase(slice_cstr(names[i]), text))
			return i;
	return -1;
}

const char *attribute_type_name(enum attribute_type type)
{
	return attribute_type_names[type];
}

bool attribute_type_parse(struct slice text, enum attribute_type *type)
{
	int found = find_type(attribute_type_names, ATTRIBUTE_TYPE_COUNT, text);
	if (found >= 0)
		*type = (enum attribute_type)found;
	return found >= 0;
}

const char *extension_type_name(enum extension_type type)
{
	return extension_type_names[type];
}

bool extension_type_parse(struct slice text, enum extension_type *type)
{
	int found = find_type(extension_type_names, EXTENSION_TYPE_COUNT, text);
	if (found >= 0)
		*type = (enum extension_type)found;
	return found >= 0;
}
