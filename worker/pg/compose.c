/* The UPDATE's shape. Everything about a batch's answers is decided in the one statement, so that outcomes can be stored
 * without another round trip:
 *
 *   hit    the UPDATE itself, from arrays, numbered by place; its RETURNING tells which changes found their record.
 *          Changes that store nothing (unique attributes only) have a statement of their own, which only looks
 *   miss   the changes whose number is not among them
 *   lost   the commands behind these, those folded into such a change as well: same record, same fate
 *   the answer: a refusal for each, stored and returned
 *
 * What only a refusal needs, position and offset, is taken from its array by subscript: misses are few, and every further
 * array of unnest() costs each change a tenth of a microsecond. Membership is asked in forms that PostgreSQL always turns
 * into a hashed subplan ([NOT] IN (SELECT …), kept from becoming a join by IS TRUE): as a join, the planner could choose a
 * nested loop, which is quadratic. A mask tells absent (keep) from null (clear) attributes. */
#include "compose.h"

#include "byunique/outcome.h"
#include "byunique/pg_pipeline.h"

static void quote_name(struct buf *sql, const char *name)
{
	buf_addc(sql, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"')
			buf_addc(sql, '"');
		buf_addc(sql, *name);
	}
	buf_addc(sql, '"');
}

/* standard_conforming_strings is on: a backslash is a backslash. */
static void quote_literal(struct buf *sql, const char *text)
{
	buf_addc(sql, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			buf_addc(sql, '\'');
		buf_addc(sql, *text);
	}
	buf_addc(sql, '\'');
}

/* --- the batch's statement ------------------------------------------------------------------------------------- */

static void next_param(struct buf *sql, unsigned *param, const char *type)
{
	buf_printf(sql, "%s$%u::%s", *param > 1 && sql->base[sql->len - 1] != '(' ? ", " : "", *param, type);
	++*param;
}

/* FROM unnest(…) WITH ORDINALITY AS t (…) */
static void changes(const struct extension *extension, const struct columns *columns, unsigned *param, struct buf *sql)
{
	buf_adds(sql, "FROM unnest(");
	next_param(sql, param, "text[]");
	for (unsigned k = 0; k < extension->unique_count; k++)
		next_param(sql, param, pg_type_array((int)extension->attributes[extension->unique[k]].type));
	for (unsigned m = 0; m < columns_masks(columns); m++)
		next_param(sql, param, "int8[]");
	for (unsigned a = 0; a < extension->attribute_count; a++)
		if (columns_has(columns, a))
			next_param(sql, param, pg_type_array((int)extension->attributes[a].type));
	buf_adds(sql, ")\n  WITH ORDINALITY AS t (customer_id");
	for (unsigned k = 0; k < extension->unique_count; k++)
		buf_printf(sql, ", k%u", k);
	for (unsigned m = 0; m < columns_masks(columns); m++)
		buf_printf(sql, ", m%u", m);
	for (unsigned a = 0; a < extension->attribute_count; a++)
		if (columns_has(columns, a))
			buf_printf(sql, ", v%u", a);
	buf_adds(sql, ", i)");
}

static void assignments(const struct extension *extension, const struct columns *columns, struct buf *sql)
{
	unsigned flag = 0;

	for (unsigned a = 0; a < extension->attribute_count; a++) {
		if (!columns_has(columns, a))
			continue;
		buf_adds(sql, flag ? ",\n      " : "");
		quote_name(sql, extension->attributes[a].column);
		buf_printf(sql, " = CASE WHEN t.m%u & %llu <> 0 THEN t.v%u ELSE e.", flag / MASK_BITS,
			   1ULL << (flag % MASK_BITS), a);
		quote_name(sql, extension->attributes[a].column);
		buf_adds(sql, " END");
		flag++;
	}
}

static void same_record(const struct extension *extension, struct buf *sql)
{
	buf_adds(sql, "e.customer_id = t.customer_id");
	for (unsigned k = 0; k < extension->unique_count; k++) {
		buf_adds(sql, " AND e.");
		quote_name(sql, extension->attributes[extension->unique[k]].column);
		buf_printf(sql, " = t.k%u", k);
	}
}

static void hit_cte(const struct extension *extension, const struct columns *columns, unsigned *param, struct buf *sql)
{
	bool writes = columns_count(columns) > 0;

	buf_adds(sql, writes ? "WITH hit AS (\n  UPDATE " : "WITH hit AS MATERIALIZED (\n  SELECT t.i ");
	if (writes) {
		quote_name(sql, extension->table);
		buf_adds(sql, " AS e\n  SET ");
		assignments(extension, columns, sql);
		buf_adds(sql, "\n  ");
	}
	changes(extension, columns, param, sql);
	if (!writes) {
		buf_adds(sql, "\n  JOIN ");
		quote_name(sql, extension->table);
		buf_adds(sql, " AS e ON ");
	} else {
		buf_adds(sql, "\n  WHERE ");
	}
	same_record(extension, sql);
	buf_adds(sql, writes ? "\n  RETURNING t.i\n)" : "\n)");
}

static void missed_ctes(unsigned *param, struct buf *sql)
{
	buf_adds(sql, ", miss AS MATERIALIZED (\n"
		      "  SELECT i, customer_id FROM unnest($1::text[]) WITH ORDINALITY AS c (customer_id, i)\n"
		      "  WHERE i NOT IN (SELECT i FROM hit)\n"
		      "), lost AS (\n"
		      "  SELECT (");
	next_param(sql, param, "int4[]");
	buf_adds(sql, ")[i] AS position_id, (");
	next_param(sql, param, "int8[]");
	buf_adds(sql, ")[i] AS message_offset, customer_id FROM miss\n"
		      "  UNION ALL\n"
		      "  SELECT position_id, message_offset, customer_id FROM unnest(");
	next_param(sql, param, "int8[]");
	next_param(sql, param, "text[]");
	next_param(sql, param, "int4[]");
	next_param(sql, param, "int8[]");
	buf_adds(sql, ")\n"
		      "  AS x (i, customer_id, position_id, message_offset) WHERE (i IN (SELECT i FROM miss)) IS TRUE\n"
		      ")\n");
}

void compose_update(const struct extension *extension, const struct columns *columns, struct buf *sql)
{
	unsigned param = 1;

	hit_cte(extension, columns, &param, sql);
	missed_ctes(&param, sql);
	buf_printf(sql,
		   "INSERT INTO refusal (position_id, message_offset, code)\n"
		   "SELECT position_id, message_offset,\n"
		   "       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = lost.customer_id) THEN %d ELSE %d END\n"
		   "FROM lost\n"
		   "RETURNING position_id, message_offset, code",
		   OUTCOME_RECORD_NOT_FOUND, OUTCOME_CUSTOMER_NOT_FOUND);
}

unsigned compose_update_params(const struct extension *extension, const struct columns *columns)
{
	enum { CUSTOMER = 1, COMMAND = 2, FOLDED = 4 };
	return CUSTOMER + extension->unique_count + COMMAND + columns_masks(columns) +
	       columns_count(columns) + FOLDED;
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

static const char *const column_types[ATTRIBUTE_TYPE_COUNT] = {
	[TYPE_STRING] = "text",		[TYPE_INTEGER] = "integer",	 [TYPE_LONG] = "bigint",
	[TYPE_DOUBLE] = "double precision", [TYPE_DATE] = "date",		 [TYPE_DATETIME] = "timestamptz",
	[TYPE_CURRENCY] = "numeric(19,4)",	[TYPE_BOOLEAN] = "boolean",
};

/* With its collation: ALTER COLUMN … TYPE would give it the database's, and build its index anew. */
static void column_type(const struct attribute *attribute, struct buf *sql)
{
	if (attribute->type == TYPE_STRING && attribute->length > 0)
		buf_printf(sql, "varchar(%d)", attribute->length);
	else
		buf_adds(sql, column_types[attribute->type]);
	if (attribute->type == TYPE_STRING)
		buf_adds(sql, " COLLATE \"C\"");
}

static void column_definition(const struct attribute *attribute, struct buf *sql)
{
	quote_name(sql, attribute->column);
	buf_addc(sql, ' ');
	column_type(attribute, sql);
	if (attribute->mandatory)
		buf_adds(sql, " NOT NULL");
	if (attribute->default_value != NULL) {
		buf_adds(sql, " DEFAULT ");
		quote_literal(sql, attribute->default_value);
	}
}

void compose_create_table(const struct extension *extension, struct buf *sql)
{
	buf_adds(sql, "CREATE TABLE ");
	quote_name(sql, extension->table);
	buf_adds(sql, " (\n  customer_id varchar(16) COLLATE \"C\" NOT NULL\n"
		      "    REFERENCES profile ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED");
	for (unsigned a = 0; a < extension->attribute_count; a++) {
		buf_adds(sql, ",\n  ");
		column_definition(&extension->attributes[a], sql);
	}
	buf_adds(sql, ",\n  PRIMARY KEY (customer_id");
	for (unsigned k = 0; k < extension->unique_count; k++) {
		buf_adds(sql, ", ");
		quote_name(sql, extension->attributes[extension->unique[k]].column);
	}
	buf_adds(sql, ")\n) WITH (fillfactor = 85)"); /* room for HOT updates */
}

static void alter_table(const struct extension *extension, struct buf *sql)
{
	buf_adds(sql, "ALTER TABLE ");
	quote_name(sql, extension->table);
}

void compose_add_column(const struct extension *extension, const struct attribute *attribute, struct buf *sql)
{
	alter_table(extension, sql);
	buf_adds(sql, " ADD COLUMN ");
	column_definition(attribute, sql);
	buf_adds(sql, ";\n");
}

static void alter_column(const struct extension *extension, const struct attribute *attribute, struct buf *sql)
{
	alter_table(extension, sql);
	buf_adds(sql, " ALTER COLUMN ");
	quote_name(sql, attribute->column);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void compose_alter_column(const struct extension *extension, const struct attribute *was, const struct attribute *is,
			  struct buf *sql)
{
	if (was->length != is->length) {
		alter_column(extension, is, sql);
		buf_adds(sql, " TYPE ");
		column_type(is, sql);
		buf_adds(sql, ";\n");
	}
	if (was->mandatory && !is->mandatory) {
		alter_column(extension, is, sql);
		buf_adds(sql, " DROP NOT NULL;\n");
	}
	if (!same_text(was->default_value, is->default_value)) {
		alter_column(extension, is, sql);
		if (is->default_value != NULL) {
			buf_adds(sql, " SET DEFAULT ");
			quote_literal(sql, is->default_value);
		} else {
			buf_adds(sql, " DROP DEFAULT");
		}
		buf_adds(sql, ";\n");
	}
}

/* --- load ---------------------------------------------------------------------------------------------------------- */

/* No attribute's name begins with an underscore, so _line is free. */
void compose_load_table(const struct extension *extension, struct buf *sql)
{
	buf_adds(sql, "CREATE TEMPORARY TABLE loading ON COMMIT DROP AS SELECT 0::int8 AS _line, * FROM ");
	quote_name(sql, extension->table);
	buf_adds(sql, " WITH NO DATA");
}

static void name_list(const struct extension *extension, const uint16_t *attributes, size_t count, const char *first,
		      struct buf *sql)
{
	buf_adds(sql, first);
	for (size_t i = 0; i < count; i++) {
		buf_adds(sql, ", ");
		quote_name(sql, extension->attributes[attributes[i]].column);
	}
}

void compose_load_copy(const struct extension *extension, const uint16_t *attributes, size_t count, struct buf *sql)
{
	buf_adds(sql, "COPY pg_temp.loading (");
	name_list(extension, attributes, count, "_line, customer_id", sql);
	buf_adds(sql, ") FROM STDIN");
}

static void key_list(const struct extension *extension, struct buf *sql)
{
	name_list(extension, extension->unique, extension->unique_count, "customer_id", sql);
}

void compose_load_repeats(const struct extension *extension, struct buf *sql)
{
	buf_adds(sql, "SELECT min(_line), max(_line) FROM pg_temp.loading GROUP BY ");
	key_list(extension, sql);
	buf_adds(sql, " HAVING count(*) > 1 ORDER BY 2 LIMIT 1");
}

void compose_load_merge(const struct extension *extension, const uint16_t *attributes, size_t count, struct buf *sql)
{
	bool any = false;

	buf_adds(sql, "INSERT INTO profile (customer_id) SELECT DISTINCT customer_id FROM pg_temp.loading"
		      " ORDER BY customer_id ON CONFLICT DO NOTHING;\nINSERT INTO ");
	quote_name(sql, extension->table);
	buf_adds(sql, " (");
	name_list(extension, attributes, count, "customer_id", sql);
	buf_adds(sql, ")\nSELECT ");
	name_list(extension, attributes, count, "customer_id", sql);
	buf_adds(sql, " FROM pg_temp.loading ORDER BY ");
	key_list(extension, sql);
	buf_adds(sql, "\nON CONFLICT (");
	key_list(extension, sql);
	buf_adds(sql, ") DO ");
	for (size_t i = 0; i < count; i++) {
		const struct attribute *attribute = &extension->attributes[attributes[i]];
		if (attribute->unique)
			continue;
		buf_adds(sql, any ? ", " : "UPDATE SET ");
		quote_name(sql, attribute->column);
		buf_adds(sql, " = excluded.");
		quote_name(sql, attribute->column);
		any = true;
	}
	buf_adds(sql, any ? "" : "NOTHING");
}
