/* schema apply | list | show: the catalogue of extensions, from and to JSON files. */
#include "base/nearest.h"
#include "byunique/pg.h"
#include "byunique/schema_file.h"
#include "cli/internal.h"

#include <stdlib.h>

/* The database, once it is known to be of this program's version. */
static bool open_database(const struct config *config, struct pg **pg, struct err *err)
{
	if (!pg_open(pg, config, "byunique schema", err))
		return false;
	if (pg_check_version(*pg, err))
		return true;
	pg_close(*pg);
	return false;
}

/* --- apply ------------------------------------------------------------------------------------------------------- */

/* Extensions of all files, in their order. */
struct schemas_read {
	struct extension *extensions;
	const char **files; /* which file each comes from */
	size_t count;
};

static void release(struct schemas_read *read)
{
	for (size_t i = 0; i < read->count; i++)
		extension_release(&read->extensions[i]);
	free(read->extensions);
	free(read->files);
}

/* Two schemas of one name would leave open which one is meant. */
static bool check_repeated(const struct schemas_read *read, struct err *err)
{
	for (size_t i = 0; i < read->count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(read->extensions[i].table, read->extensions[k].table) == 0)
				return err_set(err, VERDICT_USAGE, "", "%.100s: extension %s is also in %.100s",
					       read->files[i], read->extensions[i].name, read->files[k]);
	return true;
}

static bool read_file(struct schemas_read *read, const char *file, struct err *err)
{
	struct extension *more;
	size_t count;

	if (!schema_file_read(file, &more, &count, err))
		return false;
	read->extensions = xrealloc(read->extensions, (read->count + count) * sizeof(*read->extensions));
	read->files = xrealloc(read->files, (read->count + count) * sizeof(*read->files));
	for (size_t i = 0; i < count; i++) {
		read->files[read->count] = file;
		read->extensions[read->count++] = more[i]; /* what it owns moves along */
	}
	free(more);
	return true;
}

static bool read_files(struct schemas_read *read, const char *const *files, int count, struct err *err)
{
	for (int i = 0; i < count; i++)
		if (!read_file(read, files[i], err))
			return false;
	return check_repeated(read, err);
}

static void print_changes(const struct schemas_read *read, const enum schema_change *changes, bool json)
{
	static const char *const words[] = {
		[SCHEMA_UNCHANGED] = "unchanged", [SCHEMA_CREATED] = "created", [SCHEMA_ALTERED] = "altered"};

	for (size_t i = 0; i < read->count; i++) {
		const char *name = read->extensions[i].name;
		if (json)
			printf("%s{\"name\": \"%s\", \"change\": \"%s\"}", i ? ",\n " : "[", name, words[changes[i]]);
		else
			printf("%s: %s\n", name, words[changes[i]]);
	}
	if (json)
		puts(read->count ? "]" : "[]");
}

static bool apply(const struct config *config, const struct schemas_read *read, bool json, struct err *err)
{
	struct pg *pg;

	if (!open_database(config, &pg, err))
		return false;
	enum schema_change *changes = xcalloc(read->count, sizeof(*changes));
	bool ok = pg_apply_extensions(pg, read->extensions, read->count, changes, err);
	if (ok)
		print_changes(read, changes, json);
	free(changes);
	pg_close(pg);
	return ok;
}

static int run_apply(const struct cli_args *args)
{
	struct schemas_read read = {0};
	struct err err;

	bool ok = read_files(&read, args->operands, args->operand_count, &err) &&
		  apply(args->config, &read, cli_flag(args, "json"), &err);
	release(&read);
	return ok ? EXIT_DONE : cli_fail(&err);
}

static const struct option_spec apply_options[] = {
	{"json", NULL, "tell what was done as a JSON array"},
	{NULL, NULL, NULL},
};

const struct cli_command cmd_schema_apply = {
	.name = "schema apply",
	.summary = "create extensions, or change them, by their schemas",
	.synopsis = "FILE... [--json]",
	.help = "Examples:\n"
		"  byunique schema apply phone.json\n"
		"  byunique schema apply schemas/*.json\n"
		"\n"
		"A file holds the schema of one extension as JSON, or an array of them. All files are applied or "
		"none.\n"
		"An extension that exists is changed while workers use it: attributes are added, lengths grow,\n"
		"mandatory attributes become optional, defaults change. What could lose data or break producers is\n"
		"refused. Where a table is in use, it is waited for a second at a time, and commands pass in between.\n",
	.options = apply_options,
	.operands_min = 1,
	.operands_max = -1,
	.needs_config = true,
	.run = run_apply,
};

/* --- list -------------------------------------------------------------------------------------------------------- */

static bool load_catalogue(const struct config *config, struct catalogue **catalogue, struct err *err)
{
	struct pg *pg;

	if (!open_database(config, &pg, err))
		return false;
	bool ok = pg_load_catalogue(pg, catalogue, err);
	pg_close(pg);
	return ok;
}

static void print_line(const struct extension *extension)
{
	printf("%-*s  %-13s  %4u attribute%s", NAME_MAX_CHARS, extension->name, extension_type_name(extension->type),
	       (unsigned)extension->attribute_count, extension->attribute_count == 1 ? " " : "s");
	for (unsigned k = 0; k < extension->unique_count; k++)
		printf("%s%s", k ? ", " : "  unique: ", extension->attributes[extension->unique[k]].name);
	putchar('\n');
}

/* An array of schemas: `schema apply` takes it. */
static void print_array(const struct catalogue *catalogue)
{
	struct buf text = BUF_EMPTY;

	buf_addc(&text, '[');
	for (uint32_t i = 0; i < catalogue->extension_count; i++) {
		if (i > 0)
			buf_adds(&text, ",\n");
		schema_file_write(&catalogue->extensions[i], &text);
		text.len--; /* its line's end */
	}
	buf_adds(&text, "]\n");
	fwrite(text.base, 1, text.len, stdout);
	buf_release(&text);
}

static int run_list(const struct cli_args *args)
{
	struct catalogue *catalogue;
	struct err err;

	if (!load_catalogue(args->config, &catalogue, &err))
		return cli_fail(&err);
	if (cli_flag(args, "json"))
		print_array(catalogue);
	else
		for (uint32_t i = 0; i < catalogue->extension_count; i++)
			print_line(&catalogue->extensions[i]);
	catalogue_drop(catalogue);
	return EXIT_DONE;
}

static const struct option_spec list_options[] = {
	{"json", NULL, "print the whole schemas as a JSON array, which `schema apply` takes"},
	{NULL, NULL, NULL},
};

const struct cli_command cmd_schema_list = {
	.name = "schema list",
	.summary = "list the extensions",
	.synopsis = "[--json]",
	.help = "Examples:\n"
		"  byunique schema list\n"
		"  byunique schema list --json >all.json      to be applied elsewhere\n",
	.options = list_options,
	.needs_config = true,
	.run = run_list,
};

/* --- show -------------------------------------------------------------------------------------------------------- */

static bool fail_unknown(const struct catalogue *catalogue, const char *name, struct err *err)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (uint32_t i = 0; i < catalogue->extension_count; i++)
		nearest_consider(&nearest, catalogue->extensions[i].name);
	err_set(err, VERDICT_STOP, "", "there is no extension \"%.100s\"", name);
	if (catalogue->extension_count == 0)
		return err_hint(err, "There is none at all: make one with `byunique schema apply`.");
	return err_hint(err, "The nearest one is %s.", nearest.found);
}

static bool show(const struct catalogue *catalogue, const char *name, struct err *err)
{
	const struct extension *extension = catalogue_find(catalogue, slice_cstr(name));
	struct buf text = BUF_EMPTY;

	if (extension == NULL)
		return fail_unknown(catalogue, name, err);
	schema_file_write(extension, &text);
	fwrite(text.base, 1, text.len, stdout);
	buf_release(&text);
	return true;
}

static int run_show(const struct cli_args *args)
{
	struct catalogue *catalogue;
	struct err err;

	if (!load_catalogue(args->config, &catalogue, &err))
		return cli_fail(&err);
	bool ok = show(catalogue, args->operands[0], &err);
	catalogue_drop(catalogue);
	return ok ? EXIT_DONE : cli_fail(&err);
}

static const struct option_spec show_options[] = {
	{"json", NULL, "as it is anyway"},
	{NULL, NULL, NULL},
};

const struct cli_command cmd_schema_show = {
	.name = "schema show",
	.summary = "print the schema of an extension as JSON",
	.synopsis = "NAME",
	.help = "Examples:\n"
		"  byunique schema show Phone\n"
		"\n"
		"Names of extensions are not case-sensitive. What is printed is what `schema apply` takes.\n",
	.options = show_options,
	.operands_min = 1,
	.operands_max = 1,
	.needs_config = true,
	.run = run_show,
};
