/* Records of a container file, which container.c takes apart, as rows: resolved as a message's writer's schema is, and
 * read in the same bounded walk as messages are. */
#include "byunique/avro_file.h"

#include "avro/container.h"
#include "avro/decode.h"

#include <stdlib.h>

struct avro_file {
	struct container container;
	struct arena arena; /* shapes and plan */
	struct plan plan;
};

static bool choose_schema(struct avro_file *file, struct slice schema, struct err *err)
{
	const struct shape *shape;
	struct err why;

	if (schema.base == NULL)
		return container_not_whole(&file->container, "its header names no schema", err);
	if (!shape_compile(schema, &file->arena, &shape, &why)) {
		err_set(err, VERDICT_USAGE, "", "%s holds no valid Avro schema", file->container.input.name);
		return err_detail(err, "%s", why.detail);
	}
	file->plan = plan_make(shape, &reader_row, &file->arena);
	if (file->plan.unusable.base == NULL)
		return true;
	err_set(err, VERDICT_USAGE, "", "the records of %s are no commands", file->container.input.name);
	err_detail(err, SLICE_FMT, SLICE_ARG(file->plan.unusable));
	return err_hint(
		err, "They have to be shaped like UpdateByUnique.avsc; only customer_id and attributes must be there.");
}

bool avro_file_open(struct avro_file **out, struct input *input, struct err *err)
{
	struct avro_file *file = xcalloc(1, sizeof(*file));

	arena_init(&file->arena);
	if (!container_open(&file->container, input, err) ||
	    !choose_schema(file, container_metadata(&file->container, "avro.schema"), err)) {
		avro_file_close(file);
		return false;
	}
	*out = file;
	return true;
}

void avro_file_close(struct avro_file *file)
{
	if (file == NULL)
		return;
	container_close(&file->container);
	arena_release(&file->arena);
	free(file);
}

bool avro_file_next(struct avro_file *file, struct arena *arena, struct command *command, bool *got, struct err *err)
{
	struct slice detail;

	if (!container_next(&file->container, got, err))
		return false;
	if (!*got)
		return true;
	*command = (struct command){0};
	return plan_read_next(&file->plan, &file->container.cursor, arena, command, &detail)
		       ? container_took(&file->container, err)
		       : container_bad_record(&file->container, detail, err);
}

uint64_t avro_file_record(const struct avro_file *file)
{
	return file->container.record;
}

const char *avro_file_name(const struct avro_file *file)
{
	return file->container.input.name;
}
