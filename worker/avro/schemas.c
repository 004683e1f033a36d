/* The schemas that can be read, looked up by fingerprint. There are few, and nearly all messages name the same one: a list
 * with the latest hit in front of it beats a hash table.
 *
 * Our two schemas come with the program, so that what it writes it can read, whatever folder is configured. A folder
 * usually holds copies of them: a fingerprint that is known already is passed over. */
#include "avro/schemas.h"

#include "avro/canonical.h"
#include "avro/embedded.h"
#include "avro/encode.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

static const struct known_schema *by_fingerprint(struct schemas *schemas, uint64_t fingerprint)
{
	for (uint32_t i = 0; i < schemas->count; i++) {
		uint32_t at = (schemas->latest + i) % schemas->count;
		if (schemas->known[at].fingerprint == fingerprint) {
			schemas->latest = at;
			return &schemas->known[at];
		}
	}
	return NULL;
}

static void append(struct schemas *schemas, const struct known_schema *known)
{
	if (schemas->count == schemas->capacity) {
		schemas->capacity = schemas->capacity ? schemas->capacity * 2 : 8;
		schemas->known = xrealloc(schemas->known, sizeof(*schemas->known) * schemas->capacity);
	}
	schemas->known[schemas->count++] = *known;
}

void known_schema_resolve(struct known_schema *known, struct arena *arena)
{
	known->plans[SUBJECT_COMMAND] = plan_make(known->shape, &reader_command, arena);
	known->plans[SUBJECT_RESULT] = plan_make(known->shape, &reader_result, arena);
}

static bool add_schema(struct schemas *schemas, struct slice json, uint64_t *fingerprint, struct err *err)
{
	struct known_schema known;

	if (!shape_compile(json, &schemas->arena, &known.shape, err))
		return false;
	known.fingerprint = canonical_fingerprint(known.shape);
	*fingerprint = known.fingerprint;
	if (by_fingerprint(schemas, known.fingerprint) != NULL)
		return true;
	known_schema_resolve(&known, &schemas->arena);
	append(schemas, &known);
	return true;
}

/* ---- the folder ---- */

static bool file_trouble(struct err *err, const char *path, const char *why)
{
	err_set(err, VERDICT_USAGE, "", "can't use the schema file %s", path);
	return err_detail(err, "%s", why);
}

static bool read_open_file(int fd, const char *path, struct buf *out, struct err *err)
{
	struct stat info;
	ssize_t got;

	if (fstat(fd, &info) != 0)
		return file_trouble(err, path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		return file_trouble(err, path, "it is not a file");
	if (info.st_size > FILE_BYTES_MAX)
		return file_trouble(err, path, "it is larger than 4 MiB");
	do {
		got = read(fd, buf_reserve(out, 65536), 65536);
		if (got > 0)
			out->len += (size_t)got;
	} while ((got > 0 && out->len <= FILE_BYTES_MAX) || (got < 0 && errno == EINTR));
	return got >= 0 || file_trouble(err, path, strerror(errno));
}

static bool read_file(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe by that name must not hold us up */
	if (fd < 0)
		return file_trouble(err, path, strerror(errno));
	bool ok = read_open_file(fd, path, out, err);
	close(fd);
	return ok;
}

static bool add_file(struct schemas *schemas, const char *dir, const char *name, struct err *err)
{
	struct buf path = BUF_EMPTY, text = BUF_EMPTY;
	struct err why;
	uint64_t ignored;

	buf_printf(&path, "%s/%s", dir, name);
	bool ok = read_file(path.base, &text, err);
	if (ok && !add_schema(schemas, buf_slice(&text), &ignored, &why)) {
		file_trouble(err, path.base, why.detail);
		ok = false;
	}
	buf_release(&text);
	buf_release(&path);
	return ok;
}

/* Hidden files are none of ours: editors' locks and backups, a ConfigMap's ..data. */
static int is_schema_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".avsc") == 0;
}

/* In order of names, so that of several broken files it is always the same one that is reported. */
static bool add_folder(struct schemas *schemas, const char *dir, bool required, struct err *err)
{
	struct dirent **entries;
	bool ok = true;

	int count = scandir(dir, &entries, is_schema_file, alphasort);
	if (count < 0) {
		if (errno == ENOENT && !required)
			return true;
		err_set(err, VERDICT_USAGE, "", "can't read the schema folder %s", dir);
		return err_detail(err, "%s", strerror(errno));
	}
	for (int i = 0; i < count; i++) {
		ok = ok && add_file(schemas, dir, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return ok;
}

/* ---- the handle ---- */

bool schemas_open(struct schemas **out, const char *dir, bool dir_required, struct err *err)
{
	struct schemas *schemas = xcalloc(1, sizeof(*schemas));

	arena_init(&schemas->arena);
	bool ok = add_schema(schemas, embedded_command_schema(), &schemas->own[SUBJECT_COMMAND], err) &&
		  add_schema(schemas, embedded_result_schema(), &schemas->own[SUBJECT_RESULT], err) &&
		  encoder_open(&schemas->encoder, err) &&
		  (dir == NULL || add_folder(schemas, dir, dir_required, err));
	if (!ok) {
		schemas_close(schemas);
		schemas = NULL;
	}
	*out = schemas;
	return ok;
}

bool schemas_rescan(struct schemas *schemas, const char *dir, bool dir_required, uint32_t *added, struct err *err)
{
	uint32_t before = schemas->count;
	bool ok = add_folder(schemas, dir, dir_required, err);

	if (!ok) { /* their shapes stay in the arena, which is the price of a folder that is mended */
		schemas->count = before;
		schemas->latest = 0;
	}
	*added = schemas->count - before;
	return ok;
}

void schemas_close(struct schemas *schemas)
{
	if (schemas == NULL)
		return;
	encoder_close(schemas->encoder);
	registered_release(schemas);
	registry_close(schemas->registry);
	free(schemas->known);
	arena_release(&schemas->arena);
	free(schemas);
}

enum decode_status schemas_find(struct schemas *schemas, const struct frame *frame, struct arena *arena,
				const struct known_schema **known, struct slice *detail)
{
	if (frame->framing == FRAMING_CONFLUENT && schemas->registry != NULL)
		return registered_find(schemas, &frame->schema, arena, known, detail);
	if (frame->framing == FRAMING_CONFLUENT) {
		*detail = arena_printf(arena,
				       "the value is in Confluent wire format (schema id %" PRIu32
				       "), but no schema registry is configured",
				       frame->schema.id);
		return DECODE_MALFORMED;
	}
	*known = by_fingerprint(schemas, frame->fingerprint);
	if (*known != NULL)
		return DECODE_OK;
	*detail = arena_printf(arena, "unknown writer's schema: none known has the fingerprint %016" PRIx64,
			       frame->fingerprint);
	return DECODE_MALFORMED;
}
