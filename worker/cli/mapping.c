/* The target is what stands behind the last '=': columns may be named anything, attributes can't hold one. */
#include "cli/mapping.h"

#include "byunique/slice.h"

#include <stdlib.h>

const struct mapped_column *mapping_find(const struct mapping *mapping, const char *column)
{
	for (size_t i = 0; i < mapping->count; i++)
		if (slice_equal_nocase(slice_cstr(mapping->columns[i].column), slice_cstr(column)))
			return &mapping->columns[i];
	return NULL;
}

/* Takes `column`. */
static bool add(struct mapping *mapping, char *column, const char *target, struct err *err)
{
	if (mapping_find(mapping, column) != NULL) {
		err_set(err, VERDICT_USAGE, "", "column %.128s is mapped or ignored twice", column);
		free(column);
		return false;
	}
	mapping->columns = xrealloc(mapping->columns, (mapping->count + 1) * sizeof(*mapping->columns));
	mapping->columns[mapping->count++] = (struct mapped_column){column, target};
	return true;
}

static bool add_pair(struct mapping *mapping, const char *pair, struct err *err)
{
	const char *equal = strrchr(pair, '=');

	if (equal != NULL && equal != pair && equal[1] != '\0')
		return add(mapping, xasprintf("%.*s", (int)(equal - pair), pair), equal + 1, err);
	err_set(err, VERDICT_USAGE, "", "--map does not take %.64s", pair);
	return err_hint(err, "Write it as in --map \"E-Mail=email\".");
}

bool mapping_read(struct mapping *mapping, const struct cli_args *args, struct err *err)
{
	const char *text;

	for (size_t n = 0; (text = cli_option_nth(args, "map", n)) != NULL; n++)
		if (!add_pair(mapping, text, err))
			return false;
	for (size_t n = 0; (text = cli_option_nth(args, "ignore", n)) != NULL; n++)
		if (!add(mapping, xstrdup(text), NULL, err))
			return false;
	return true;
}

void mapping_release(struct mapping *mapping)
{
	for (size_t i = 0; i < mapping->count; i++)
		free((char *)(uintptr_t)mapping->columns[i].column);
	free(mapping->columns);
	*mapping = (struct mapping){0};
}
