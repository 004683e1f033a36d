/* Any bytes as a CSV file: every record has the cells of the first, all of them UTF-8, or the file is refused. */
#include "fuzz.h"

#include "byunique/csv.h"

static void check_record(const struct csv_record *record, size_t *count, uint64_t *line)
{
	HOLDS(record->count > 0 && (*count == 0 || record->count == *count));
	HOLDS(record->line > *line);
	*count = record->count;
	*line = record->line;
	for (size_t i = 0; i < record->count; i++)
		HOLDS(record->cells[i].base != NULL && slice_is_utf8(record->cells[i]));
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
	return 0;
}
