#include "cli/header.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool line_error(struct err *err, const char *file, uint64_t line, const char *fmt, ...)
{
	char reason[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return err_set(err, VERDICT_STOP, "", "%s:%llu: %s", file, (unsigned long long)line, reason);
}

static struct slice trim(struct slice name)
{
	while (name.len > 0 && *name.base == ' ') {
		name.base++;
		name.len--;
	}
	while (name.len > 0 && name.base[name.len - 1] == ' ')
		name.len--;
	return name;
}

static bool add_name(struct header *header, struct slice name, const char *file, struct err *err)
{
	if (name.len == 0 || memchr(name.base, '\0', name.len) != NULL)
		return line_error(err, file, header->line, "column %zu has no name", header->count + 1);
	header->names[header->count] = xasprintf(SLICE_FMT, SLICE_ARG(name));
	if (header_find(header, header->names[header->count]) >= 0) {
		line_error(err, file, header->line, "column %.64s is there twice", header->names[header->count]);
		header->count++;
		return err_hint(err, "Names are not case-sensitive.");
	}
	header->count++;
	return true;
}

bool header_read(struct csv *csv, struct header *header, struct err *err)
{
	struct csv_record record;
	bool got;

	*header = (struct header){0};
	if (!csv_next(csv, &record, &got, err))
		return false;
	if (!got)
		return line_error(err, csv_name(csv), 1, "the first line has to name the columns, and there is none");
	header->line = record.line;
	header->names = xcalloc(record.count, sizeof(*header->names));
	for (size_t i = 0; i < record.count; i++) {
		if (!add_name(header, trim(record.cells[i]), csv_name(csv), err)) {
			header_release(header);
			return false;
		}
	}
	return true;
}

int header_find(const struct header *header, const char *name)
{
	for (size_t i = 0; i < header->count; i++)
		if (slice_equal_nocase(slice_cstr(header->names[i]), slice_cstr(name)))
			return (int)i;
	return -1;
}

void header_release(struct header *header)
{
	for (size_t i = 0; i < header->count; i++)
		free(header->names[i]);
	free(header->names);
	*header = (struct header){0};
}
