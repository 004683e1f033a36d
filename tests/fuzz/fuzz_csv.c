/* Any bytes as a CSV file: every record has the cells of the first, all of them UTF-8, or the file is refused. Then once more,
 * with the delimiter found out and beyond what can be passed over. */
#include "fuzz.h"

#include "byunique/csv.h"
#include "model/input.h"

static void check_record(const struct csv_record *record, size_t *count, uint64_t *line)
{
	HOLDS(record->count > 0 && (*count == 0 || record->count == *count));
	HOLDS(record->line > *line);
	*count = record->count;
	*line = record->line;
	for (size_t i = 0; i < record->count; i++)
		HOLDS(record->cells[i].base != NULL && slice_is_utf8(record->cells[i]));
}

static void read_on(const char *path)
{
	struct csv_record record;
	struct input input;
	struct csv *csv;
	struct err err;
	bool got = true;

	if (!input_open(&input, path, &err) || !csv_open_input(&csv, &input, '\0', &err))
		die("%s", err.what);
	while (got) {
		if (!csv_next(csv, &record, &got, &err)) {
			check_error(&err);
			if (!csv_can_go_on(csv))
				break;
		}
		for (size_t i = 0; got && i < record.count; i++)
			HOLDS(record.cells[i].base != NULL);
	}
	csv_close(csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct csv_record record;
	uint64_t line = 0;
	size_t count = 0;
	struct csv *csv;
	struct err err;
	bool got;

	if (!csv_open(&csv, fuzz_file(data, size), &err))
		die("%s", err.what);
	for (;;) {
		if (!csv_next(csv, &record, &got, &err)) {
			HOLDS(err.verdict == VERDICT_STOP);
			check_error(&err);
			break;
		}
		if (!got)
			break;
		check_record(&record, &count, &line);
	}
	csv_close(csv);
	read_on(fuzz_file(data, size));
	return 0;
}
