/* Composed SQL, pinned: the texts stand in tests/unit/golden, for reading and for psql. After a change that is meant:
 *
 *     BYUNIQUE_GOLDEN=write build/unit/test_compose
 *
 * writes them anew, and git shows what has become of them. */
#include "pg/compose.h"

#include "sample.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void read_golden(const char *path, struct buf *text)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		fail_msg("%s: %s (unit tests run in the repository's root)", path, strerror(errno));
	text->len = fread(buf_reserve(text, 1 << 16), 1, 1 << 16, file);
	text->base[text->len] = '\0';
	fclose(file);
}

static void write_golden(const char *path, const struct buf *sql)
{
	FILE *file = fopen(path, "we");

	if (file == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	fwrite(sql->base, 1, sql->len, file);
	fclose(file);
}

/* A file that psql can run ends its statements; some texts do so themselves. Releases the SQL. */
static void assert_golden(const char *name, struct buf *sql)
{
	char *path = xasprintf("tests/unit/golden/%s.sql", name);
	struct buf text = BUF_EMPTY;
	const char *mode = getenv("BYUNIQUE_GOLDEN");

	if (sql->base[sql->len - 1] != '\n')
		buf_adds(sql, ";\n");
	if (mode != NULL && strcmp(mode, "write") == 0)
		write_golden(path, sql);
	read_golden(path, &text);
	if (!slice_equal(buf_slice(&text), buf_slice(sql)))
		fail_msg("%s is now\n%s", path, sql->base);
	buf_release(&text);
	buf_release(sql);
	free(path);
}

static int set_up(void **state)
{
	*state = sample_catalogue(
		"[" SAMPLE_PHONE "," SAMPLE_PAIR
		", {\"name\": \"Types\", \"type\": \"multi-valued\", \"unique\": [\"select\", \"day\"],"
		"\"attributes\": ["
		"{\"name\": \"Select\", \"type\": \"string\", \"length\": 10},"
		"{\"name\": \"Txt\", \"type\": \"string\", \"default\": \"it's \\\\ \\\"so\\\"\"},"
		"{\"name\": \"Int\", \"type\": \"integer\", \"default\": \"-5\"},"
		"{\"name\": \"Lng\", \"type\": \"long\"},"
		"{\"name\": \"Dbl\", \"type\": \"double\", \"default\": 0.1, \"mandatory\": true},"
		"{\"name\": \"Day\", \"type\": \"date\"},"
		"{\"name\": \"Moment\", \"type\": \"datetime\", \"default\": \"2009-12-18T18:30:00+01:00\"},"
		"{\"name\": \"Money\", \"type\": \"currency\", \"default\": \"12.5\"},"
		"{\"name\": \"User\", \"type\": \"boolean\", \"default\": \"TRUE\"}]}]");
	return 0;
}

static int tear_down(void **state)
{
	catalogue_drop(*state);
	return 0;
}

static struct columns columns_of(const struct extension *extension, const char *const *names)
{
	struct columns columns = {{0}};
	for (; *names != NULL; names++)
		columns_add(&columns, (unsigned)extension_find(extension, slice_cstr(*names)));
	return columns;
}

#define COLUMNS(extension, ...) columns_of(extension, (const char *const[]){__VA_ARGS__, NULL})

static void assert_update(const char *golden, const struct extension *extension, struct columns columns)
{
	struct buf sql = BUF_EMPTY;
	unsigned params = compose_update_params(extension, &columns);
	char *last = xasprintf("$%u::", params), *beyond = xasprintf("$%u::", params + 1);

	compose_update(extension, &columns, &sql);
	assert_non_null(strstr(sql.base, last));
	assert_null(strstr(sql.base, beyond));
	free(last);
	free(beyond);
	assert_golden(golden, &sql);
}

static void test_update(void **state)
{
	const struct extension *phone = catalogue_find(*state, SLICE_LIT("Phone"));
	const struct extension *pair = catalogue_find(*state, SLICE_LIT("Pair"));
	const struct extension *types = catalogue_find(*state, SLICE_LIT("Types"));
	struct columns none = {{0}};

	assert_update("update_phone", phone,
		      COLUMNS(phone, "PhoneType", "prefix", "description", "start_availabilty", "end_availabilty"));
	assert_update("update_phone_keys_only", phone, none);
	assert_update("update_pair_one_column", pair, COLUMNS(pair, "Flag"));
	assert_update("update_types", types, COLUMNS(types, "txt", "int", "lng", "dbl", "moment", "money", "user"));
}

/* 63 flags in each mask: the sign of a bigint stays alone. */
static void test_wide_update(void **state)
{
	enum { WIDE = 200 };
	struct buf json = BUF_EMPTY, sql = BUF_EMPTY;
	struct columns columns = {{0}};

	(void)state;
	buf_adds(&json, "{\"name\": \"W\", \"type\": \"multi-valued\", \"unique\": [\"k\"], \"attributes\": ["
			"{\"name\": \"k\", \"type\": \"string\"}");
	for (int i = 0; i < WIDE; i++)
		buf_printf(&json, ",{\"name\": \"w%d\", \"type\": \"integer\"}", i);
	buf_adds(&json, "]}");
	struct catalogue *catalogue = sample_catalogue(json.base);
	const struct extension *extension = &catalogue->extensions[0];
	assert_int_equal(columns_masks(&columns), 0);
	for (unsigned i = 1; i <= WIDE; i++) {
		columns_add(&columns, i);
		assert_int_equal(columns_count(&columns), i);
		assert_int_equal(columns_masks(&columns), (i + 62) / 63);
		assert_int_equal(compose_update_params(extension, &columns), 1 + 1 + 2 + (i + 62) / 63 + i + 4);
	}
	compose_update(extension, &columns, &sql);
	assert_non_null(
		strstr(sql.base, "\"w62\" = CASE WHEN t.m0 & 4611686018427387904 <> 0 THEN t.v63 ELSE e.\"w62\" END,"));
	assert_non_null(strstr(sql.base, "\"w63\" = CASE WHEN t.m1 & 1 <> 0 THEN t.v64 ELSE e.\"w63\" END,"));
	assert_non_null(strstr(sql.base, " AS t (customer_id, k0, m0, m1, m2, m3, v1, "));
	assert_non_null(strstr(sql.base, "$212::int8[])"));
	catalogue_drop(catalogue);
	buf_release(&json);
	buf_release(&sql);
}

static void test_tables(void **state)
{
	struct buf sql = BUF_EMPTY;

	compose_create_table(catalogue_find(*state, SLICE_LIT("Phone")), &sql);
	assert_golden("create_phone", &sql);
	compose_create_table(catalogue_find(*state, SLICE_LIT("Pair")), &sql);
	assert_golden("create_pair", &sql);
	compose_create_table(catalogue_find(*state, SLICE_LIT("Types")), &sql);
	assert_golden("create_types", &sql);
}

static void test_columns(void **state)
{
	const struct extension *types = catalogue_find(*state, SLICE_LIT("Types"));
	struct buf sql = BUF_EMPTY;

	for (unsigned a = 0; a < types->attribute_count; a++)
		compose_add_column(types, &types->attributes[a], &sql);
	assert_golden("add_columns", &sql);
}

static void test_altered_columns(void **state)
{
	const struct extension *phone = catalogue_find(*state, SLICE_LIT("Phone"));
	struct attribute prefix = phone->attributes[1], is = prefix;
	const struct attribute *was = &prefix;
	struct buf sql = BUF_EMPTY;
	char first[] = "a'b", same[] = "a'b";

	prefix.mandatory = is.mandatory = true;
	compose_alter_column(phone, was, was, &sql);
	assert_int_equal(sql.len, 0);
	is.length = 20;
	compose_alter_column(phone, was, &is, &sql); /* longer */
	is.length = 0;
	compose_alter_column(phone, was, &is, &sql); /* without limit */
	is = *was;
	is.mandatory = false;
	compose_alter_column(phone, was, &is, &sql); /* optional */
	is = *was;
	is.default_value = first;
	compose_alter_column(phone, was, &is, &sql); /* a default */
	struct attribute other = is;
	other.default_value = same;
	compose_alter_column(phone, &other, &is, &sql); /* the same one */
	compose_alter_column(phone, &is, was, &sql);	/* none any more */
	is.length = 20;
	is.mandatory = false;
	compose_alter_column(phone, was, &is, &sql); /* all at once */
	assert_golden("alter_columns", &sql);
}

static void test_load(void **state)
{
	const struct extension *pair = catalogue_find(*state, SLICE_LIT("Pair"));
	static const uint16_t all[] = {4, 0, 3, 2}, keys_only[] = {3, 0};
	struct buf sql = BUF_EMPTY;

	compose_load_table(pair, &sql);
	buf_adds(&sql, ";\n");
	compose_load_copy(pair, all, 4, &sql);
	buf_adds(&sql, ";\n\\.\n");
	compose_load_repeats(pair, &sql);
	buf_adds(&sql, ";\n");
	compose_load_merge(pair, all, 4, &sql);
	assert_golden("load_pair", &sql);
	compose_load_merge(pair, keys_only, 2, &sql);
	assert_golden("load_pair_keys_only", &sql);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_update),  TEST(test_wide_update),	TEST(test_tables),
		TEST(test_columns), TEST(test_altered_columns), TEST(test_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
