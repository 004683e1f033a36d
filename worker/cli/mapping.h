/* Which column of a CSV file is what: by its name, unless a mapping says otherwise. */
#ifndef CLI_MAPPING_H
#define CLI_MAPPING_H

#include "byunique/cli.h"

struct mapped_column {
	const char *column; /* as in the file's first line; owned */
	const char *target; /* attribute, customer_id, command_id or ext_name; NULL: the column is ignored */
};

struct mapping {
	struct mapped_column *columns; /* owned */
	size_t count;
};

/* Adds what --map "COLUMN=TARGET" and --ignore COLUMN say. Errors: no '=', a column twice. */
bool mapping_read(struct mapping *mapping, const struct cli_args *args, struct err *err) BYU_MUST_CHECK;
/* What this column is mapped to, or NULL. Names of columns are not case-sensitive. */
const struct mapped_column *mapping_find(const struct mapping *mapping, const char *column);
void mapping_release(struct mapping *mapping);

#define MAPPING_OPTIONS                                                                                                \
	{"map", "COLUMN=NAME", "this column of a CSV file holds that attribute; may be repeated"},                     \
		{"ignore", "COLUMN", "pass this column of a CSV file over; may be repeated"}

#endif
