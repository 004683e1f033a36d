/* Bounded reading of Avro's binary encoding: nothing that the bytes say is believed before it is checked.
 *
 * Every function returns false at the first thing that is wrong and notes what and where in the cursor; what it has read
 * by then is not to be used. Nothing here allocates, and the work done is bounded by the bytes there are, whatever the
 * schema. Byte numbers count from the start of the whole message, framing included, from 0. */
#ifndef BYUNIQUE_AVRO_GUARD_H
#define BYUNIQUE_AVRO_GUARD_H

#include "avro/shape.h"
#include "byunique/slice.h"

enum { GUARD_DEPTH_MAX = 64 }; /* records, arrays and maps within each other, in the data */

struct cursor {
	const unsigned char *next;
	const unsigned char *end;
	const unsigned char *start; /* of the message */
	unsigned depth;
	const char *wrong; /* constant text, NULL as long as nothing is */
	size_t wrong_at;   /* byte of the message */
};

/* Over the bytes of `message` from number `from` on. */
struct cursor cursor_over(struct slice message, size_t from);

/* Notes what is wrong with what begins at `at`; returns false. */
bool cursor_fail(struct cursor *cursor, const unsigned char *at, const char *wrong);

bool guard_longer(struct cursor *cursor, int64_t *value); /* for guard_long() */

/* Most are lengths, counts and indices: one byte. */
static inline bool guard_long(struct cursor *cursor, int64_t *value)
{
	if (cursor->next == cursor->end || *cursor->next >= 0x80)
		return guard_longer(cursor, value);
	int64_t zigzag = *cursor->next++;
	*value = zigzag >> 1 ^ -(zigzag & 1);
	return true;
}

bool guard_boolean(struct cursor *cursor, bool *value);
bool guard_int(struct cursor *cursor, int32_t *value);
bool guard_float(struct cursor *cursor, float *value);
bool guard_double(struct cursor *cursor, double *value);
bool guard_bytes(struct cursor *cursor, struct slice *bytes); /* a view */
bool guard_string(struct cursor *cursor, struct slice *text); /* a view; well-formed UTF-8 */
bool guard_fixed(struct cursor *cursor, size_t size, struct slice *bytes); /* a view */
bool guard_index(struct cursor *cursor, uint32_t count, uint32_t *index); /* of a union or an enum */

/* One block of an array or a map. A count of 0 is the end of the whole. */
struct block {
	int64_t count;
	const unsigned char *end; /* where it says that it ends; NULL when it doesn't */
};
/* `no_bytes`: its items take none, so the count can't be checked and need not be: there is nothing to walk over. */
bool guard_block(struct cursor *cursor, bool no_bytes, struct block *block);
bool guard_block_end(struct cursor *cursor, const struct block *block); /* after its last item */

/* Walk over one value of this shape, checking all of it. */
bool guard_value(struct cursor *cursor, const struct shape *shape);

/* Nothing may follow. */
bool guard_end(struct cursor *cursor);

#endif
