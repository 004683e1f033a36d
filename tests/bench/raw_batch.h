/* The commands of a file, cut into batches: parameters of statements, in PostgreSQL's binary format. Knows no libpq.
 *
 * With partitions, a batch has all that the worker would store of it. The commands are dealt out to the partitions in
 * turn, as what that costs depends on how many there are in each, and not on which. */
#ifndef RAW_BATCH_H
#define RAW_BATCH_H

#include "byunique/buf.h"

enum { BATCH_ROWS_MAX = 100000, PARTITIONS_MAX = 1000 };

/* One array for each parameter of a statement, in its order; raw_update.c has the statements. */
enum { PARAMS_MAX = 11 };
struct params {
	struct buf arrays[PARAMS_MAX];
	int count;
};

struct batch {
	struct params update;
	struct params outcomes;	 /* with partitions only, and what follows as well */
	struct params positions;
};

struct partition {
	int32_t position_id;
	int64_t next_offset; /* of the first command that it gets */
};

struct batches {
	struct batch *list;
	size_t count;
	size_t commands;
	size_t rows; /* less than the commands when some of a batch meet the same record */
};

/* Ends the process when the file can't be read, is empty, or holds something else than commands. */
void batches_read(struct batches *batches, const char *path, size_t batch_rows, const struct partition *partitions,
		  size_t partition_count);
void batches_release(struct batches *batches);

#endif
