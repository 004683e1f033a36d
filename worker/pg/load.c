/* COPY in text format: the values have been checked and converted, so that what PostgreSQL reads is what a command with
 * these values would have stored. Rows are told apart by their line, for which the temporary table has a column. */
#include "byunique/pg_load.h"

#include "compose.h"
#include "sql/statements.h"

#include <stdlib.h>

enum { COPY_BYTES = 64 * 1024 }; /* handed to libpq at once */

struct pg_load {
	struct pg *pg; /* the caller's */
	struct catalogue *catalogue;
	const struct extension *extension; /* of the catalogue */
	uint16_t *attributes;		   /* of the rows; owned */
	size_t attribute_count;
	struct buf copy; /* rows in COPY's format, not yet handed on */
};

static bool choose_extension(struct pg_load *load, const char *name, struct err *err)
{
	load->extension = catalogue_find(load->catalogue, slice_cstr(name));
	if (load->extension == NULL) {
		err_set(err, VERDICT_USAGE, "", "there is no extension %s", name);
		return err_hint(err,
				"`byunique schema list` shows those that exist, `byunique schema apply` creates one.");
	}
	if (load->extension->type == EXTENSION_MULTI_VALUED)
		return true;
	err_set(err, VERDICT_USAGE, "", "extension %s is %s", load->extension->name,
		extension_type_name(load->extension->type));
	return err_hint(err, "Only records of multi-valued extensions can be loaded.");
}

bool pg_load_open(struct pg_load **out, struct pg *pg, const char *name, struct err *err)
{
	struct pg_load *load = xcalloc(1, sizeof(*load));

	load->pg = pg;
	bool ok = pg_script(pg, "BEGIN; SET LOCAL work_mem = '64MB'", err) && pg_script(pg, sql_lock_catalogue, err) &&
		  pg_read_catalogue(pg, &load->catalogue, err) && choose_extension(load, name, err);
	if (!ok) {
		pg_load_close(load);
		load = NULL;
	}
	*out = load;
	return ok;
}

const struct extension *pg_load_extension(const struct pg_load *load)
{
	return load->extension;
}

bool pg_load_begin(struct pg_load *load, const uint16_t *attributes, size_t count, struct err *err)
{
	struct buf sql = BUF_EMPTY;

	load->attributes = memcpy(xmalloc(count * sizeof(*attributes)), attributes, count * sizeof(*attributes));
	load->attribute_count = count;
	compose_load_table(load->extension, &sql);
	bool ok = pg_script(load->pg, sql.base, err);
	buf_clear(&sql);
	compose_load_copy(load->extension, attributes, count, &sql);
	ok = ok && pg_copy_begin(load->pg, sql.base, err);
	buf_release(&sql);
	return ok;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *copy, struct slice text)
{
	char *out = buf_reserve(copy, 2 * text.len), *at = out;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.base[i];
		if (c == '\\' || c == '\n' || c == '\r' || c == '\t') {
			*at++ = '\\';
			c = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c;
		}
		*at++ = c;
	}
	copy->len += (size_t)(at - out);
}

static void put_cell(struct buf *copy, enum attribute_type type, const struct cell *cell)
{
	if (cell->null)
		buf_adds(copy, "\\N");
	else if (type == TYPE_STRING)
		put_text(copy, cell->text);
	else
		cell_text(type, cell, copy);
}

static bool hand_on(struct pg_load *load, struct err *err)
{
	bool ok = load->copy.len == 0 || pg_copy_put(load->pg, load->copy.base, load->copy.len, err);
	buf_clear(&load->copy);
	return ok;
}

bool pg_load_row(struct pg_load *load, uint64_t line, struct slice customer_id, const struct cell *cells,
		 struct err *err)
{
	buf_printf(&load->copy, "%llu\t", (unsigned long long)line);
	put_text(&load->copy, customer_id);
	for (size_t i = 0; i < load->attribute_count; i++) {
		buf_addc(&load->copy, '\t');
		put_cell(&load->copy, load->extension->attributes[load->attributes[i]].type, &cells[i]);
	}
	buf_addc(&load->copy, '\n');
	return load->copy.len < COPY_BYTES || hand_on(load, err);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* The merge would fail as well (21000), but could not tell where. */
static bool refuse_repeats(struct pg_load *load, const char *file, struct err *err)
{
	struct pg_rows *rows = NULL;
	struct buf sql = BUF_EMPTY;

	compose_load_repeats(load->extension, &sql);
	bool ok = pg_query(load->pg, sql.base, NULL, 0, &rows, err);
	if (ok && pg_rows_count(rows) > 0) {
		ok = err_set(err, VERDICT_STOP, "", "%s:%lld: the same record as in line %lld", file,
			     (long long)pg_rows_int(rows, 0, 1), (long long)pg_rows_int(rows, 0, 0));
		err_detail(err, "customer_id and the unique attributes are equal");
	}
	pg_rows_free(rows);
	buf_release(&sql);
	return ok;
}

static bool merge(struct pg_load *load, struct err *err)
{
	struct buf sql = BUF_EMPTY;

	compose_load_merge(load->extension, load->attributes, load->attribute_count, &sql);
	bool ok = pg_script(load->pg, sql.base, err);
	buf_release(&sql);
	return ok;
}

bool pg_load_commit(struct pg_load *load, const char *file, int64_t *rows, struct err *err)
{
	return hand_on(load, err) && pg_copy_end(load->pg, rows, err) && refuse_repeats(load, file, err) &&
	       merge(load, err) && pg_script(load->pg, "COMMIT", err);
}

void pg_load_close(struct pg_load *load)
{
	if (load == NULL)
		return;
	pg_rollback(load->pg);
	catalogue_drop(load->catalogue);
	free(load->attributes);
	buf_release(&load->copy);
	free(load);
}
