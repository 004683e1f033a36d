/* Resolution of a writer's schema to our command or result, and reading of values by it. */
#ifndef BYUNIQUE_AVRO_DECODE_H
#define BYUNIQUE_AVRO_DECODE_H

#include "avro/guard.h"
#include "byunique/avro.h"

struct reader_record; /* what we want to read: names, types, defaults and where each field goes */

extern const struct reader_record reader_command; /* into struct command */
extern const struct reader_record reader_result;  /* into struct result */
extern const struct reader_record reader_row;	  /* into struct command, of which id and extension may be missing */

/* A writer's schema resolved to one of ours, once; read-only afterwards. */
struct plan {
	const struct reader_record *wanted;
	const struct shape *shape;		 /* what the bytes are */
	const struct reader_field *const *steps; /* for each field of the writer's record what it is for us; NULL: skip it */
	struct slice unusable;			 /* why it can't be resolved; absent: it can */
};

struct plan plan_make(const struct shape *shape, const struct reader_record *wanted, struct arena *arena);

/* Read the one value that `cursor` is over into the struct at `into`, which has to hold the defaults (all zero). The
 * plan has to be usable. Strings view the cursor's bytes; lists are in the arena. More than most_attributes are refused
 * where they are met. On false *detail, in the arena, says what is wrong. */
bool plan_read(const struct plan *plan, struct cursor *cursor, uint32_t most_attributes, struct arena *arena, void *into,
	       struct slice *detail);

/* The same where more values may follow: the cursor stands behind this one afterwards. */
bool plan_read_next(const struct plan *plan, struct cursor *cursor, struct arena *arena, void *into, struct slice *detail);

#endif
