/* A pipe is made a file by putting a file in the place of standard input: whoever reads "-" then reads that. */
#include "cli/source.h"

#include "byunique/command_id.h"
#include "byunique/pg.h"
#include "byunique/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool choose_delimiter(const char *text, char *delimiter, struct err *err)
{
	*delimiter = '\0';
	if (text == NULL)
		return true;
	if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0)
		text = "\t";
	*delimiter = text[0];
	if (text[0] != '\0' && text[1] == '\0' && strchr("\"\r\n", text[0]) == NULL)
		return true;
	err_set(err, VERDICT_USAGE, "", "--delimiter takes one character, other than a quote");
	return err_hint(err, "As in --delimiter ';' or --delimiter tab.");
}

static void look_at(struct source *source)
{
	struct stat *seen = &source->seen;

	if (strcmp(source->rows.path, "-") != 0) {
		source->is_file = stat(source->rows.path, seen) == 0 && S_ISREG(seen->st_mode);
		source->again = source->is_file;
		return;
	}
	source->start = lseek(STDIN_FILENO, 0, SEEK_CUR);
	source->again = source->start >= 0 && fstat(STDIN_FILENO, seen) == 0 && S_ISREG(seen->st_mode);
}

bool source_read_options(struct source *source, const char *path, const struct cli_args *args, struct err *err)
{
	const char *format = cli_option(args, "format");

	source->rows.path = path;
	source->rows.ext_name = cli_option(args, "extension");
	source->rows.null_text = cli_option(args, "null");
	source->rows.format = ROWS_ANY;
	look_at(source);
	return (format == NULL || rows_format_parse(format, &source->rows.format, err)) &&
	       choose_delimiter(cli_option(args, "delimiter"), &source->rows.delimiter, err) &&
	       mapping_read(&source->rows.mapping, args, err);
}

bool source_read_catalogue(struct source *source, const struct config *config, const char *program, struct err *err)
{
	struct pg *pg = NULL;

	bool ok = pg_open(&pg, config, program, err) && pg_check_version(pg, err) &&
		  pg_load_catalogue(pg, &source->catalogue, err);
	pg_close(pg);
	source->rows.catalogue = source->catalogue;
	return ok;
}

void source_release(struct source *source)
{
	catalogue_drop(source->catalogue);
	mapping_release(&source->rows.mapping);
}

/* --- pipes -------------------------------------------------------------------------------------------------------- */

static bool cannot_keep(struct err *err, const char *folder)
{
	int error = errno;

	err_set(err, VERDICT_STOP, strerrorname_np(error), "what comes through the pipe can't be kept in %.128s", folder);
	err_detail(err, "%s", strerror(error));
	return err_hint(err, "Set TMPDIR to a folder with enough room, or write it to a file and submit that.");
}

static int open_nameless(const char *folder)
{
	char *path = xasprintf("%s/byunique-XXXXXX", folder);
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, bytes, len);
		if (written < 0 && errno != EINTR)
			return false;
		bytes += written > 0 ? written : 0;
		len -= written > 0 ? (size_t)written : 0;
	}
	return true;
}

static bool copy_all(int from, int to, const char *folder, struct err *err)
{
	enum { CHUNK_BYTES = 65536 };
	char *chunk = xmalloc(CHUNK_BYTES);
	bool ok = true;

	while (ok) {
		ssize_t got = read(from, chunk, CHUNK_BYTES);
		if (signals_stop_requested())
			ok = err_set(err, VERDICT_STOP, "", "interrupted; nothing was sent");
		else if (got < 0 && errno != EINTR)
			ok = err_set(err, VERDICT_STOP, strerrorname_np(errno), "the pipe can't be read");
		else if (got > 0 && !write_all(to, chunk, (size_t)got))
			ok = cannot_keep(err, folder);
		if (got == 0)
			break;
	}
	free(chunk);
	return ok;
}

static bool keep(int from, const char *folder, struct err *err)
{
	int fd = open_nameless(folder);

	bool ok = fd >= 0 || cannot_keep(err, folder);
	ok = ok && copy_all(from, fd, folder, err);
	if (ok && dup2(fd, STDIN_FILENO) < 0)
		ok = cannot_keep(err, folder);
	if (fd >= 0)
		close(fd);
	return ok;
}

bool source_keep(struct source *source, struct err *err)
{
	const char *folder = getenv("TMPDIR");
	bool is_stdin = strcmp(source->rows.path, "-") == 0;

	if (source->again)
		return true;
	int from = is_stdin ? STDIN_FILENO : open(source->rows.path, O_RDONLY | O_CLOEXEC);
	if (from < 0) {
		err_set(err, VERDICT_USAGE, strerrorname_np(errno), "%s can't be read", source->rows.path);
		return err_detail(err, "%s", strerror(errno));
	}
	bool ok = keep(from, folder != NULL && folder[0] != '\0' ? folder : "/var/tmp", err);
	if (!is_stdin)
		close(from);
	source->rows.path = "-";
	source->start = 0;
	source->again = ok;
	return ok;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static bool is_unchanged(const struct source *source)
{
	struct stat now;
	const struct stat *seen = &source->seen;

	return !source->is_file || (stat(source->rows.path, &now) == 0 && now.st_ino == seen->st_ino &&
				    now.st_size == seen->st_size && now.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
				    now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec);
}

bool source_rows(struct source *source, struct rows **rows, struct err *err)
{
	if (!is_unchanged(source)) {
		err_set(err, VERDICT_STOP, "", "%.160s was changed while it was worked on", source->rows.path);
		return err_hint(err, "Submit it again, under the same --batch: what has taken effect is not repeated.");
	}
	if (source->again && !source->is_file && lseek(STDIN_FILENO, source->start, SEEK_SET) < 0)
		return err_set(err, VERDICT_STOP, strerrorname_np(errno), "standard input can't be read again");
	return rows_open(rows, &source->rows, err);
}

void source_identify(const char *batch_id, uint64_t row, struct arena *arena, struct command *command)
{
	struct content_hash content;
	struct uuid uuid;

	if (command->batch_id.base == NULL)
		command->batch_id = slice_cstr(batch_id);
	if (command->command_id.base != NULL)
		return;
	command_content_hash(command, arena, &content);
	uuid_of_row(command->batch_id, row, &content, &uuid);
	char *text = arena_alloc(arena, 37);
	uuid_format(&uuid, text);
	command->command_id = slice_cstr(text);
}
