#include "cli/result_files.h"

#include "cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static const char *const endings[RESULT_FILES] = {".success.csv", ".failed.csv", ".unprocessed.csv", ".failed.jsonl"};

/* The files while they are written. */
struct sheets {
	FILE *files[RESULT_FILES]; /* NULL: this one is not written */
	char *temporary[RESULT_FILES];
	struct buf row;
	char delimiter;
};

/* --- where -------------------------------------------------------------------------------------------------------- */

static size_t name_len(const char *name)
{
	static const char *const known[] = {".csv", ".jsonl", ".ndjson", ".avro"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t ending = strlen(known[i]);
		if (len > ending && strcasecmp(name + len - ending, known[i]) == 0)
			return len - ending;
	}
	return len;
}

/* A batch's id as a file's name. */
static char *plain_name(const char *batch_id)
{
	char *name = xstrdup(batch_id);

	for (char *c = name; *c != '\0'; c++)
		if (*c == '/' || (unsigned char)*c < ' ' || (c == name && *c == '.'))
			*c = '_';
	return name;
}

static char *stem_of(const struct source *source, const char *batch_id, const char *folder)
{
	const char *path = source->rows.path, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *plain = plain_name(batch_id), *stem;

	if (!source->is_file)
		stem = xasprintf("%s%s%s", folder ? folder : "", folder ? "/" : "", plain);
	else if (folder != NULL)
		stem = xasprintf("%s/%.*s", folder, (int)name_len(name), name);
	else
		stem = xasprintf("%.*s", (int)(name - path + (ptrdiff_t)name_len(name)), path);
	free(plain);
	return stem;
}

bool result_files_open(struct result_files *files, const struct source *source, const char *batch_id,
		       const char *folder, bool force, struct err *err)
{
	*files = (struct result_files){.stem = stem_of(source, batch_id, folder), .force = force};
	const char *slash = strrchr(files->stem, '/');
	char *place = slash ? xasprintf("%.*s", (int)(slash - files->stem + 1), files->stem) : xstrdup(".");

	bool ok = access(place, W_OK | X_OK) == 0;
	if (!ok) {
		err_set(err, VERDICT_USAGE, strerrorname_np(errno), "the files with the results can't be written to %.128s", place);
		err_detail(err, "%s", strerror(errno));
		err_hint(err, "Say with --output where they are to be written; the folder has to be there.");
	}
	free(place);
	return ok;
}

void result_files_release(struct result_files *files)
{
	free(files->stem);
	for (unsigned i = 0; i < RESULT_FILES; i++)
		free(files->paths[i]);
}

/* --- cells -------------------------------------------------------------------------------------------------------- */

static void add_cell(struct sheets *sheets, struct slice text)
{
	struct buf *row = &sheets->row;
	bool quoted = false;

	if (row->len > 0)
		buf_addc(row, sheets->delimiter);
	for (size_t i = 0; i < text.len && !quoted; i++)
		quoted = text.base[i] == sheets->delimiter || strchr("\"\r\n", text.base[i]) != NULL;
	if (!quoted && (text.len > 0 || row->len > 0)) {
		buf_add(row, text.base, text.len);
		return;
	}
	buf_addc(row, '"'); /* an empty first cell, too: alone it would be an empty line, which is no row */
	for (size_t i = 0; i < text.len; i++) {
		if (text.base[i] == '"')
			buf_addc(row, '"');
		buf_addc(row, text.base[i]);
	}
	buf_addc(row, '"');
}

static void add_text(struct sheets *sheets, const char *text)
{
	add_cell(sheets, slice_cstr(text));
}

static void add_number(struct sheets *sheets, long long number)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", number);
	add_text(sheets, text);
}

static void end_row(struct sheets *sheets, enum result_file which)
{
	buf_addc(&sheets->row, '\n');
	fwrite(sheets->row.base, 1, sheets->row.len, sheets->files[which]);
	buf_clear(&sheets->row);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void write_heading(struct sheets *sheets, const struct rows *rows, enum result_file which)
{
	static const char *const leading[] = {"status", "code", "detail", "attribute"};
	unsigned count = which == RESULT_SUCCESS ? 2 : which == RESULT_FAILED ? 4 : 0;

	if (rows_had_mark(rows))
		fputs("\xEF\xBB\xBF", sheets->files[which]);
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof(name), RESULT_COLUMN_PREFIX "%s", leading[i]);
		add_text(sheets, name);
	}
	if (rows_format(rows) == ROWS_CSV) {
		for (size_t i = 0; i < rows_column_count(rows); i++)
			if (!rows_is_result_column(rows, i))
				add_text(sheets, rows_column(rows, i));
	} else {
		add_text(sheets, "command_id");
		add_text(sheets, "customer_id");
		add_text(sheets, "ext_name");
		add_text(sheets, rows_format(rows) == ROWS_AVRO ? "record" : "line");
	}
	end_row(sheets, which);
}

static void add_row(struct sheets *sheets, const struct rows *rows, const struct command *command)
{
	if (rows_format(rows) == ROWS_CSV) {
		const struct csv_record *record = rows_cells(rows);
		for (size_t i = 0; i < record->count; i++)
			if (!rows_is_result_column(rows, i))
				add_cell(sheets, record->cells[i]);
		return;
	}
	add_cell(sheets, command->command_id);
	add_cell(sheets, command->customer_id);
	add_cell(sheets, command->ext_name);
	add_number(sheets, (long long)rows_line(rows));
}

static void write_row(struct result_files *files, struct sheets *sheets, const struct rows *rows,
		      const struct command *command, const struct answer *answer)
{
	enum result_file which = answer == NULL		 ? RESULT_UNPROCESSED
				 : answer->status == 204 ? RESULT_SUCCESS
							 : RESULT_FAILED;

	if (answer != NULL) {
		add_number(sheets, answer->status);
		add_text(sheets, answer->duplicate ? "duplicate" : answer->code);
	}
	if (which == RESULT_FAILED) {
		add_text(sheets, answer->detail);
		add_text(sheets, answer->attribute);
	}
	add_row(sheets, rows, command);
	end_row(sheets, which);
	files->counts[which]++;
	if (which != RESULT_FAILED || sheets->files[RESULT_FAILED_LINES] == NULL)
		return;
	struct slice line = rows_text(rows);
	fwrite(line.base, 1, line.len, sheets->files[RESULT_FAILED_LINES]);
	fputc('\n', sheets->files[RESULT_FAILED_LINES]);
	files->counts[RESULT_FAILED_LINES]++;
}

static bool write_rows(struct result_files *files, struct sheets *sheets, struct rows *rows, const char *batch_id,
		       const struct tally *tally, struct err *err)
{
	struct progress progress;
	struct command command;
	struct arena arena;
	enum rows_step step = ROWS_END;
	size_t row = 0;

	arena_init(&arena);
	progress_begin(&progress, "writing", (int64_t)tally_rows(tally));
	while (row < tally_rows(tally) && ((step = rows_next(rows, &arena, &command, err)) == ROWS_GOT || step == ROWS_BAD)) {
		if (step == ROWS_GOT)
			source_identify(batch_id, rows_number(rows), &arena, &command);
		write_row(files, sheets, rows, &command, tally_answer(tally, row));
		progress_show(&progress, (int64_t)++row);
		arena_clear(&arena);
	}
	progress_end(&progress);
	arena_release(&arena);
	return row == tally_rows(tally) || (step == ROWS_END && err_set(err, VERDICT_STOP, "", "the file has become shorter"));
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static bool cannot_write(struct err *err, const char *path)
{
	int error = errno;

	err_set(err, VERDICT_STOP, strerrorname_np(error), "%.200s can't be written", path);
	err_detail(err, "%s", strerror(error));
	return err_hint(err, "`byunique results --batch ID --files FILE` writes the files later.");
}

static bool open_sheets(const struct result_files *files, struct sheets *sheets, const struct rows *rows,
			struct err *err)
{
	const char *slash = strrchr(files->stem, '/'), *name = slash ? slash + 1 : files->stem;

	sheets->delimiter = rows_format(rows) == ROWS_CSV ? rows_delimiter(rows) : ',';
	for (unsigned i = 0; i < RESULT_FILES; i++) {
		if (i == RESULT_FAILED_LINES && rows_format(rows) != ROWS_JSON_LINES)
			continue;
		sheets->temporary[i] = xasprintf("%.*s.%s%s.%d", (int)(name - files->stem), files->stem, name,
						 endings[i], (int)getpid());
		sheets->files[i] = fopen(sheets->temporary[i], "we");
		if (sheets->files[i] == NULL)
			return cannot_write(err, sheets->temporary[i]);
		if (i != RESULT_FAILED_LINES)
			write_heading(sheets, rows, (enum result_file)i);
	}
	return true;
}

static bool close_sheets(struct sheets *sheets, struct err *err)
{
	bool ok = true;

	for (unsigned i = 0; i < RESULT_FILES; i++) {
		bool failed = sheets->files[i] != NULL && ferror(sheets->files[i]);
		failed |= sheets->files[i] != NULL && fclose(sheets->files[i]) != 0;
		sheets->files[i] = NULL;
		if (failed && ok)
			ok = cannot_write(err, sheets->temporary[i]);
	}
	return ok;
}

static bool same_content(const char *left, const char *right)
{
	FILE *a = fopen(left, "re"), *b = fopen(right, "re");
	int c = 0, d = 1;

	while (a != NULL && b != NULL && (c = getc(a)) == (d = getc(b)) && c != EOF)
		continue;
	if (a != NULL)
		fclose(a);
	if (b != NULL)
		fclose(b);
	return c == d;
}

/* What is in the way may hold corrections, made by hand. */
static bool move_aside(const char *path, const char *new_one, struct err *err)
{
	bool done = access(path, F_OK) != 0 || same_content(path, new_one);

	for (int number = 1; !done; number++) {
		char *aside = xasprintf("%s.%d", path, number);
		bool is_free = access(aside, F_OK) != 0, failed = is_free && rename(path, aside) != 0;
		done = is_free && !failed;
		if (done)
			fprintf(stderr, "byunique: %s was there already and is now %s\n", path, aside);
		free(aside);
		if (failed)
			return cannot_write(err, path);
	}
	return true;
}

static bool put_in_place(struct result_files *files, struct sheets *sheets, struct err *err)
{
	for (unsigned i = 0; i < RESULT_FILES; i++) {
		if (sheets->temporary[i] == NULL)
			continue;
		char *path = files->paths[i] = xasprintf("%s%s", files->stem, endings[i]);
		if (!files->force && !move_aside(path, sheets->temporary[i], err))
			return false;
		if (rename(sheets->temporary[i], path) != 0)
			return cannot_write(err, path);
	}
	return true;
}

bool result_files_write(struct result_files *files, struct source *source, const char *batch_id,
			const struct tally *tally, struct err *err)
{
	struct sheets sheets = {0};
	struct rows *rows;
	struct err ignored;

	if (!source_rows(source, &rows, err))
		return false;
	bool ok = open_sheets(files, &sheets, rows, err) && write_rows(files, &sheets, rows, batch_id, tally, err) &&
		  close_sheets(&sheets, err) && put_in_place(files, &sheets, err);
	if (!ok)
		(void)!close_sheets(&sheets, &ignored);
	for (unsigned i = 0; i < RESULT_FILES; i++) {
		if (!ok && sheets.temporary[i] != NULL)
			unlink(sheets.temporary[i]);
		free(sheets.temporary[i]);
	}
	buf_release(&sheets.row);
	rows_close(rows);
	return ok;
}

void result_files_tell(const struct result_files *files)
{
	static const char *const what[RESULT_FILES] = {NULL, "with an error", "without an answer", NULL};
	char count[32];

	for (unsigned i = 0; i < RESULT_FILES; i++)
		if (what[i] != NULL && files->paths[i] != NULL && files->counts[i] > 0)
			fprintf(stderr, "%s row%s %s: %s\n", group_digits(files->counts[i], count),
				files->counts[i] == 1 ? "" : "s", what[i], files->paths[i]);
}
