/* The catalogue's tables to and from `struct extension`. A change runs under the exclusive catalogue lock, so no batch
 * sees half of it, and no batch that was validated against the old catalogue meets the new tables. */
#include "byunique/catalogue.h"

#include "byunique/pg.h"
#include "compose.h"
#include "internal.h"
#include "sql/statements.h"

#include <stdio.h>
#include <stdlib.h>

static const char sql_extensions[] = "SELECT e.id, e.name, e.type, count(a.ordinal), count(a.unique_ordinal) "
				     "FROM extension e LEFT JOIN attribute a ON a.extension_id = e.id "
				     "GROUP BY e.id ORDER BY e.id";
static const char sql_attributes[] = "SELECT extension_id, ordinal, name, type, coalesce(length, 0), mandatory, "
				     "default_value, coalesce(unique_ordinal, -1) "
				     "FROM attribute ORDER BY extension_id, ordinal";

static void copy_name(char *to, size_t size, struct slice name)
{
	snprintf(to, size, SLICE_FMT, SLICE_ARG(name));
}

static bool corrupt(struct err *err, struct slice name)
{
	err_set(err, VERDICT_STOP, "", "the catalogue is damaged");
	err_detail(err, "extension or attribute " SLICE_FMT, SLICE_ARG(name));
	return err_hint(err, "Its tables are changed by `byunique schema apply` only.");
}

static bool read_extension(const struct pg_rows *rows, int row, struct extension *extension, struct err *err)
{
	struct slice name = pg_rows_get(rows, row, 1);

	extension->id = (int32_t)pg_rows_int(rows, row, 0);
	extension->attribute_count = (uint16_t)pg_rows_int(rows, row, 3);
	extension->unique_count = (uint16_t)pg_rows_int(rows, row, 4);
	extension->attributes = xcalloc(extension->attribute_count, sizeof(*extension->attributes));
	extension->unique = xcalloc(extension->unique_count, sizeof(*extension->unique));
	if (!name_valid(name) || !extension_type_parse(pg_rows_get(rows, row, 2), &extension->type))
		return corrupt(err, name);
	copy_name(extension->name, sizeof(extension->name), name);
	memcpy(extension->table, "ext_", 4);
	name_lower(name, extension->table + 4);
	return true;
}

static bool read_attribute(const struct pg_rows *rows, int row, struct extension *extension, struct err *err)
{
	int64_t ordinal = pg_rows_int(rows, row, 1), key = pg_rows_int(rows, row, 7);
	struct slice name = pg_rows_get(rows, row, 2), default_value = pg_rows_get(rows, row, 6);

	if (ordinal < 0 || ordinal >= extension->attribute_count || key >= extension->unique_count || !name_valid(name))
		return corrupt(err, name);
	struct attribute *attribute = &extension->attributes[ordinal];
	if (!attribute_type_parse(pg_rows_get(rows, row, 3), &attribute->type))
		return corrupt(err, name);
	copy_name(attribute->name, sizeof(attribute->name), name);
	name_lower(name, attribute->column);
	attribute->length = (int32_t)pg_rows_int(rows, row, 4);
	attribute->mandatory = pg_rows_int(rows, row, 5) != 0;
	attribute->default_value = default_value.base ? xstrdup(default_value.base) : NULL;
	attribute->unique = key >= 0;
	if (attribute->unique)
		extension->unique[key] = (uint16_t)ordinal;
	return true;
}

static struct extension *by_id(struct catalogue *catalogue, int64_t id)
{
	for (uint32_t i = 0; i < catalogue->extension_count; i++)
		if (catalogue->extensions[i].id == id)
			return &catalogue->extensions[i];
	return NULL;
}

static bool fill(struct catalogue *catalogue, const struct pg_rows *extensions, const struct pg_rows *attributes,
		 struct err *err)
{
	for (int row = 0; row < pg_rows_count(extensions); row++)
		if (!read_extension(extensions, row, &catalogue->extensions[row], err))
			return false;
	for (int row = 0; row < pg_rows_count(attributes); row++) {
		struct extension *extension = by_id(catalogue, pg_rows_int(attributes, row, 0));
		if (extension == NULL)
			return corrupt(err, pg_rows_get(attributes, row, 2));
		if (!read_attribute(attributes, row, extension, err))
			return false;
	}
	catalogue_sort(catalogue);
	return true;
}

bool pg_read_catalogue(struct pg *pg, struct catalogue **catalogue, struct err *err)
{
	struct pg_rows *state = NULL, *extensions = NULL, *attributes = NULL;

	bool ok = pg_query(pg, sql_state, NULL, 0, &state, err) &&
		  pg_query(pg, sql_extensions, NULL, 0, &extensions, err) &&
		  pg_query(pg, sql_attributes, NULL, 0, &attributes, err);
	if (ok) {
		*catalogue = catalogue_new(pg_rows_int(state, 0, 0), (uint32_t)pg_rows_count(extensions));
		ok = fill(*catalogue, extensions, attributes, err);
		if (!ok)
			catalogue_drop(*catalogue);
	}
	pg_rows_free(state);
	pg_rows_free(extensions);
	pg_rows_free(attributes);
	return ok;
}

/* Ends a transaction begun by hand, after whatever happened in it. */
static bool end_transaction(struct pg *pg, bool ok, struct err *err)
{
	if (ok && pg_script(pg, "COMMIT", err))
		return true;
	pg_rollback(pg);
	return false;
}

bool pg_load_catalogue(struct pg *pg, struct catalogue **catalogue, struct err *err)
{
	if (!pg_script(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err))
		return false;
	bool ok = pg_read_catalogue(pg, catalogue, err);
	if (end_transaction(pg, ok, err))
		return true;
	if (ok)
		catalogue_drop(*catalogue);
	return false;
}

/* --- schema apply -------------------------------------------------------------------------------------------------- */

static bool refuse(struct err *err, const struct extension *extension, const struct attribute *attribute, const char *reason)
{
	err_set(err, VERDICT_USAGE, "", "the schema of %s can't be changed in this way", extension->name);
	if (attribute != NULL)
		err_detail(err, "attribute %s: %s", attribute->name, reason);
	else
		err_detail(err, "%s", reason);
	return err_hint(err, "Attributes can be added, lengths can grow, mandatory attributes can become optional.");
}

static bool attribute_compatible(const struct extension *extension, const struct attribute *was,
				 const struct attribute *is, struct err *err)
{
	if (was->type != is->type)
		return refuse(err, extension, is, "its type can't be changed");
	if (is->length != 0 && (was->length == 0 || is->length < was->length))
		return refuse(err, extension, is, "its length can't be made smaller");
	if (was->unique != is->unique)
		return refuse(err, extension, is, "the unique list can't be changed");
	if (!was->mandatory && is->mandatory)
		return refuse(err, extension, is, "it can't be made mandatory, as records may lack it");
	return true;
}

static bool compatible(const struct extension *was, const struct extension *is, struct err *err)
{
	if (was->type != is->type)
		return refuse(err, is, NULL, "the extension's type can't be changed");
	for (unsigned a = 0; a < was->attribute_count; a++) {
		int now = extension_find(is, slice_cstr(was->attributes[a].name));
		if (now < 0)
			return refuse(err, is, &was->attributes[a], "it is missing from the file; attributes are never dropped");
		if (!attribute_compatible(is, &was->attributes[a], &is->attributes[now], err))
			return false;
	}
	for (unsigned a = 0; a < is->attribute_count; a++) {
		const struct attribute *attribute = &is->attributes[a];
		if (extension_find(was, slice_cstr(attribute->name)) >= 0)
			continue;
		if (attribute->unique)
			return refuse(err, is, attribute, "the unique list can't be changed");
		if (attribute->mandatory && attribute->default_value == NULL)
			return refuse(err, is, attribute, "a new attribute can't be mandatory without a default");
	}
	return true;
}

/* ALTER TABLE statements that lead from `was` to `is`; none when the table stays as it is. */
static void compose_changes(const struct extension *was, const struct extension *is, struct buf *sql)
{
	for (unsigned a = 0; a < is->attribute_count; a++) {
		int before = extension_find(was, slice_cstr(is->attributes[a].name));
		if (before < 0)
			compose_add_column(is, &is->attributes[a], sql);
		else
			compose_alter_column(is, &was->attributes[before], &is->attributes[a], sql);
	}
}

static bool spelled_alike(const struct extension *was, const struct extension *is)
{
	if (strcmp(was->name, is->name) != 0)
		return false;
	for (unsigned a = 0; a < is->attribute_count; a++) {
		int before = extension_find(was, slice_cstr(is->attributes[a].name));
		if (before >= 0 && strcmp(was->attributes[before].name, is->attributes[a].name) != 0)
			return false;
	}
	return true;
}

static int place_in(const uint16_t *list, unsigned count, unsigned attribute)
{
	for (unsigned i = 0; i < count; i++)
		if (list[i] == attribute)
			return (int)i;
	return -1;
}

static bool store_attribute(struct pg *pg, const char *extension_id, const struct extension *extension, unsigned a,
			    struct err *err)
{
	const struct attribute *attribute = &extension->attributes[a];
	char ordinal[12], length[12], key[12];
	int place = place_in(extension->unique, extension->unique_count, a);

	snprintf(ordinal, sizeof(ordinal), "%u", a);
	snprintf(length, sizeof(length), "%d", attribute->length);
	snprintf(key, sizeof(key), "%d", place);
	const char *params[] = {extension_id,
				ordinal,
				attribute->name,
				attribute_type_name(attribute->type),
				attribute->length ? length : NULL,
				attribute->mandatory ? "t" : "f",
				attribute->default_value,
				place >= 0 ? key : NULL};
	return pg_query(pg, "INSERT INTO attribute VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", params, 8, NULL, err);
}

/* The catalogue's rows anew: the id stays, so that nothing that refers to it changes. */
static bool store_rows(struct pg *pg, const struct extension *extension, struct err *err)
{
	const char *params[] = {extension->name, extension_type_name(extension->type)};
	struct pg_rows *rows = NULL;
	bool ok = pg_query(pg,
			   "INSERT INTO extension (name, type) VALUES ($1, $2) "
			   "ON CONFLICT (lower(name)) DO UPDATE SET name = excluded.name RETURNING id",
			   params, 2, &rows, err);
	if (!ok)
		return false;
	const char *id = pg_rows_get(rows, 0, 0).base;
	ok = pg_query(pg, "DELETE FROM attribute WHERE extension_id = $1", &id, 1, NULL, err);
	for (unsigned a = 0; ok && a < extension->attribute_count; a++)
		ok = store_attribute(pg, id, extension, a, err);
	pg_rows_free(rows);
	return ok;
}

static bool apply_one(struct pg *pg, const struct catalogue *catalogue, const struct extension *extension,
		      enum schema_change *change, struct err *err)
{
	const struct extension *was = catalogue_find(catalogue, slice_cstr(extension->name));
	struct buf sql = BUF_EMPTY;
	bool ok = was == NULL || compatible(was, extension, err);

	if (ok && was == NULL)
		compose_create_table(extension, &sql);
	else if (ok)
		compose_changes(was, extension, &sql);
	*change = was == NULL ? SCHEMA_CREATED : SCHEMA_ALTERED;
	if (ok && sql.len == 0 && spelled_alike(was, extension))
		*change = SCHEMA_UNCHANGED;
	else if (ok)
		ok = (sql.len == 0 || pg_script(pg, sql.base, err)) && store_rows(pg, extension, err);
	buf_release(&sql);
	return ok;
}

/* What pg_apply_extensions() is asked for. */
struct wanted {
	const struct extension *extensions;
	size_t count;
	enum schema_change *changes;
};

static bool apply_all(struct pg *pg, void *arg, struct err *err)
{
	const struct wanted *wanted = arg;
	struct catalogue *catalogue = NULL;
	bool any = false;
	bool ok = pg_script(pg, sql_lock_catalogue_exclusive, err) && pg_read_catalogue(pg, &catalogue, err);

	if (!ok)
		return false;
	for (size_t i = 0; ok && i < wanted->count; i++) {
		ok = apply_one(pg, catalogue, &wanted->extensions[i], &wanted->changes[i], err);
		any |= wanted->changes[i] != SCHEMA_UNCHANGED;
	}
	catalogue_drop(catalogue);
	return ok && (!any || pg_script(pg, sql_raise_catalogue, err));
}

bool pg_apply_extensions(struct pg *pg, const struct extension *extensions, size_t count, enum schema_change *changes,
			 struct err *err)
{
	struct wanted wanted = {extensions, count, changes};

	return pg_change(pg, apply_all, &wanted, err);
}
