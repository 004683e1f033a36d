/* Counts are the dangerous part of Avro: five bytes can promise two thousand million items. An item that takes at least one
 * byte can't come more often than there are bytes left, so such counts are refused at once; items that take none (null, a
 * record of nulls) are never looped over, whatever the count, and nor are fields that take none. Thus each step of the walk
 * consumes a byte, or leads to one that does. Recursion follows the data, not the schema, and has its own limit. */
#include "avro/guard.h"

#include <endian.h>

struct cursor cursor_over(struct slice message, size_t from)
{
	const unsigned char *start = (const unsigned char *)message.base;
	return (struct cursor){.next = start + from, .end = start + message.len, .start = start};
}

bool cursor_fail(struct cursor *cursor, const unsigned char *at, const char *wrong)
{
	cursor->wrong = wrong;
	cursor->wrong_at = (size_t)(at - cursor->start);
	return false;
}

static size_t bytes_left(const struct cursor *cursor)
{
	return (size_t)(cursor->end - cursor->next);
}

/* At most ten bytes of seven bits, the tenth with one: 64 in all. Longer forms of small numbers are allowed, as they are
 * by other readers. */
static bool take_varint(struct cursor *cursor, uint64_t *value)
{
	const unsigned char *p = cursor->next;
	uint64_t sum = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		if (p == cursor->end)
			return cursor_fail(cursor, cursor->next, "the message ends within a number");
		unsigned char byte = *p++;
		if (shift == 63 && byte > 1)
			break;
		sum |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			cursor->next = p;
			*value = sum;
			return true;
		}
	}
	return cursor_fail(cursor, cursor->next, "a number has more than 64 bits");
}

bool guard_longer(struct cursor *cursor, int64_t *value)
{
	uint64_t zigzag;

	if (!take_varint(cursor, &zigzag))
		return false;
	*value = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
	return true;
}

bool guard_int(struct cursor *cursor, int32_t *value)
{
	const unsigned char *at = cursor->next;
	int64_t wide;

	if (!guard_long(cursor, &wide))
		return false;
	if (wide < INT32_MIN || wide > INT32_MAX)
		return cursor_fail(cursor, at, "an int has more than 32 bits");
	*value = (int32_t)wide;
	return true;
}

bool guard_boolean(struct cursor *cursor, bool *value)
{
	if (cursor->next == cursor->end)
		return cursor_fail(cursor, cursor->next, "the message ends before a boolean");
	if (*cursor->next > 1)
		return cursor_fail(cursor, cursor->next, "a boolean is neither 0 nor 1");
	*value = *cursor->next++ == 1;
	return true;
}

static bool take_fixed(struct cursor *cursor, void *value, size_t size)
{
	if (bytes_left(cursor) < size)
		return cursor_fail(cursor, cursor->next, "the message ends within a value of fixed size");
	if (value != NULL)
		memcpy(value, cursor->next, size);
	cursor->next += size;
	return true;
}

bool guard_fixed(struct cursor *cursor, size_t size, struct slice *bytes)
{
	*bytes = slice_of(cursor->next, size);
	return take_fixed(cursor, NULL, size);
}

bool guard_float(struct cursor *cursor, float *value)
{
	uint32_t bits;

	if (!take_fixed(cursor, &bits, sizeof(bits)))
		return false;
	bits = le32toh(bits);
	memcpy(value, &bits, sizeof(bits));
	return true;
}

bool guard_double(struct cursor *cursor, double *value)
{
	uint64_t bits;

	if (!take_fixed(cursor, &bits, sizeof(bits)))
		return false;
	bits = le64toh(bits);
	memcpy(value, &bits, sizeof(bits));
	return true;
}

bool guard_bytes(struct cursor *cursor, struct slice *bytes)
{
	const unsigned char *at = cursor->next;
	int64_t len;

	if (!guard_long(cursor, &len))
		return false;
	if (len < 0)
		return cursor_fail(cursor, at, "a length is negative");
	if ((uint64_t)len > bytes_left(cursor))
		return cursor_fail(cursor, at, "a length goes beyond the end of the message");
	*bytes = slice_of(cursor->next, (size_t)len);
	cursor->next += len;
	return true;
}

bool guard_string(struct cursor *cursor, struct slice *text)
{
	const unsigned char *at = cursor->next;

	if (!guard_bytes(cursor, text))
		return false;
	return slice_is_utf8(*text) || cursor_fail(cursor, at, "a string is not well-formed UTF-8");
}

bool guard_index(struct cursor *cursor, uint32_t count, uint32_t *index)
{
	const unsigned char *at = cursor->next;
	int64_t number;

	if (!guard_long(cursor, &number))
		return false;
	if (number < 0 || number >= count)
		return cursor_fail(cursor, at, "the index of a union or an enum is out of range");
	*index = (uint32_t)number;
	return true;
}

/* A negative count stands for its absolute value and says that the block's size in bytes follows. */
static bool take_block_size(struct cursor *cursor, struct block *block)
{
	const unsigned char *at = cursor->next;
	int64_t size_bytes;

	if (!guard_long(cursor, &size_bytes))
		return false;
	if (size_bytes < 0 || (uint64_t)size_bytes > bytes_left(cursor))
		return cursor_fail(cursor, at, "the size of a block goes beyond the end of the message");
	if (block->count == INT64_MIN)
		return cursor_fail(cursor, at, "the count of a block is out of range");
	block->count = -block->count;
	block->end = cursor->next + size_bytes;
	return true;
}

bool guard_block(struct cursor *cursor, bool no_bytes, struct block *block)
{
	const unsigned char *at = cursor->next;

	block->end = NULL;
	if (!guard_long(cursor, &block->count))
		return false;
	if (block->count < 0 && !take_block_size(cursor, block))
		return false;
	const unsigned char *end = block->end ? block->end : cursor->end;
	if (!no_bytes && block->count > end - cursor->next)
		return cursor_fail(cursor, at, "the count of a block goes beyond its bytes");
	return true;
}

bool guard_block_end(struct cursor *cursor, const struct block *block)
{
	return block->end == NULL || block->end == cursor->next ||
	       cursor_fail(cursor, cursor->next, "a block does not end where it says");
}

static bool walk_items(struct cursor *cursor, const struct shape *shape)
{
	bool keys = shape->kind == SHAPE_MAP;
	const struct shape *item = shape->parts[0];
	bool no_bytes = item->empty && !keys;
	struct slice key;

	for (;;) {
		struct block block;
		if (!guard_block(cursor, no_bytes, &block))
			return false;
		if (block.count == 0)
			return guard_block_end(cursor, &block);
		for (int64_t i = 0; i < block.count && !no_bytes; i++)
			if ((keys && !guard_string(cursor, &key)) || !guard_value(cursor, item))
				return false;
		if (!guard_block_end(cursor, &block))
			return false;
	}
}

static bool walk_fields(struct cursor *cursor, const struct shape *shape)
{
	for (uint32_t i = 0; i < shape->solid_count; i++)
		if (!guard_value(cursor, shape->solid[i]))
			return false;
	return true;
}

static bool walk_nested(struct cursor *cursor, const struct shape *shape)
{
	if (cursor->depth == GUARD_DEPTH_MAX)
		return cursor_fail(cursor, cursor->next, "values are nested too deeply");
	cursor->depth++;
	bool ok = shape->kind == SHAPE_RECORD ? walk_fields(cursor, shape) : walk_items(cursor, shape);
	cursor->depth--;
	return ok;
}

bool guard_value(struct cursor *cursor, const struct shape *shape)
{
	union {
		bool boolean;
		int32_t narrow;
		int64_t wide;
		uint32_t index;
		struct slice slice;
	} ignored;

	if (shape->empty)
		return true;
	switch (shape->kind) {
	case SHAPE_BOOLEAN: return guard_boolean(cursor, &ignored.boolean);
	case SHAPE_INT: return guard_int(cursor, &ignored.narrow);
	case SHAPE_LONG: return guard_long(cursor, &ignored.wide);
	case SHAPE_FLOAT: return take_fixed(cursor, NULL, 4);
	case SHAPE_DOUBLE: return take_fixed(cursor, NULL, 8);
	case SHAPE_BYTES: return guard_bytes(cursor, &ignored.slice);
	case SHAPE_STRING: return guard_string(cursor, &ignored.slice);
	case SHAPE_FIXED: return take_fixed(cursor, NULL, shape->size_bytes);
	case SHAPE_ENUM: return guard_index(cursor, shape->count, &ignored.index);
	case SHAPE_UNION:
		return guard_index(cursor, shape->count, &ignored.index) &&
		       guard_value(cursor, shape->parts[ignored.index]);
	default: return walk_nested(cursor, shape);
	}
}

bool guard_end(struct cursor *cursor)
{
	return cursor->next == cursor->end ||
	       cursor_fail(cursor, cursor->next, "bytes follow after the end of the value");
}
