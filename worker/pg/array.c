/* PostgreSQL's binary array format: number of dimensions, flag for nulls, element's type; for the dimension its length
 * and lower bound; then for each element its length (-1: null) and bytes. One dimension is all that is needed here.
 * Source: array_recv() and the types' *recv functions in PostgreSQL's src/backend/utils/adt. */
#include "byunique/cell.h"
#include "byunique/pg_pipeline.h"

#include <endian.h>

enum { HEAD_BYTES = 20, HAS_NULL_AT = 4, LENGTH_AT = 12 };

/* Element counts stand in the head while the array grows; in host order until pg_array_param(). */
static void head_set(struct buf *array, size_t at, uint32_t v)
{
	memcpy(array->base + at, &v, sizeof(v));
}

static uint32_t head_get(const struct buf *array, size_t at)
{
	uint32_t v;
	memcpy(&v, array->base + at, sizeof(v));
	return v;
}

void pg_array_begin(struct buf *array, enum pg_oid element)
{
	buf_clear(array);
	buf_be32(array, 1);
	buf_be32(array, 0);
	buf_be32(array, element);
	buf_be32(array, 0);
	buf_be32(array, 1);
}

static void count_element(struct buf *array)
{
	head_set(array, LENGTH_AT, head_get(array, LENGTH_AT) + 1);
}

void pg_array_null(struct buf *array)
{
	count_element(array);
	head_set(array, HAS_NULL_AT, 1);
	buf_be32(array, UINT32_MAX);
}

void pg_array_bytes(struct buf *array, const void *bytes, size_t len)
{
	char *at = buf_reserve(array, sizeof(uint32_t) + len);
	uint32_t be_len = htobe32((uint32_t)len);

	memcpy(at, &be_len, sizeof(be_len));
	if (len > 0)
		memcpy(at + sizeof(be_len), bytes, len);
	array->len += sizeof(be_len) + len;
	count_element(array);
}

void pg_array_int2(struct buf *array, int16_t v)
{
	uint16_t be = htobe16((uint16_t)v);
	pg_array_bytes(array, &be, sizeof(be));
}

void pg_array_int4(struct buf *array, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);
	pg_array_bytes(array, &be, sizeof(be));
}

void pg_array_int8(struct buf *array, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);
	pg_array_bytes(array, &be, sizeof(be));
}

struct pg_param pg_array_param(struct buf *array)
{
	head_set(array, LENGTH_AT, htobe32(head_get(array, LENGTH_AT)));
	head_set(array, HAS_NULL_AT, htobe32(head_get(array, HAS_NULL_AT)));
	return (struct pg_param){array->base, array->len};
}

struct slice pg_text_escape(struct slice text, struct arena *arena)
{
	if (text.len == 0 || (memchr(text.base, '\0', text.len) == NULL && memchr(text.base, '\\', text.len) == NULL))
		return text;
	char *escaped = arena_alloc(arena, 2 * text.len), *at = escaped;
	for (size_t i = 0; i < text.len; i++) {
		if (text.base[i] == '\0' || text.base[i] == '\\')
			*at++ = '\\';
		*at++ = text.base[i] == '\0' ? '0' : text.base[i];
	}
	return slice_of(escaped, (size_t)(at - escaped));
}

struct slice pg_text_unescape(struct slice text, struct arena *arena)
{
	if (text.base == NULL)
		return text;
	char *plain = arena_alloc(arena, text.len + 1), *at = plain;
	for (size_t i = 0; i < text.len; i++) {
		bool escape = text.base[i] == '\\' && i + 1 < text.len;
		i += escape;
		*at++ = escape && text.base[i] == '0' ? '\0' : text.base[i];
	}
	return slice_of(plain, (size_t)(at - plain));
}

/* numeric: digits to base 10000. A magnitude of 10^4 times the value has its point on a digit boundary: the lowest digit
 * is the fraction, the others the whole. */
static void array_decimal(struct buf *array, struct decimal decimal)
{
	enum { BASE = 10000, DIGITS_MAX = 5, SCALE = 4 };
	uint16_t digits[DIGITS_MAX], wire[4 + DIGITS_MAX];
	int count = 0;

	for (uint64_t rest = decimal.scaled; rest > 0; rest /= BASE)
		digits[count++] = (uint16_t)(rest % BASE);
	wire[0] = htobe16((uint16_t)count);
	wire[1] = htobe16((uint16_t)(int16_t)(count - 2)); /* weight of the first digit; -1: the fraction */
	wire[2] = htobe16(decimal.negative ? 0x4000 : 0);
	wire[3] = htobe16(SCALE);
	for (int i = 0; i < count; i++)
		wire[4 + i] = htobe16(digits[count - 1 - i]);
	pg_array_bytes(array, wire, sizeof(uint16_t) * (size_t)(4 + count));
}

struct pg_type {
	enum pg_oid oid;
	const char *array;
};

static const struct pg_type pg_types[ATTRIBUTE_TYPE_COUNT] = {
	[TYPE_STRING] = {PG_TEXT, "text[]"},		   [TYPE_INTEGER] = {PG_INT4, "int4[]"},
	[TYPE_LONG] = {PG_INT8, "int8[]"},		   [TYPE_DOUBLE] = {PG_FLOAT8, "float8[]"},
	[TYPE_DATE] = {PG_DATE, "date[]"},		   [TYPE_DATETIME] = {PG_TIMESTAMPTZ, "timestamptz[]"},
	[TYPE_CURRENCY] = {PG_NUMERIC, "numeric[]"}, [TYPE_BOOLEAN] = {PG_BOOL, "bool[]"},
};

enum pg_oid pg_type_oid(int attribute_type)
{
	return pg_types[attribute_type].oid;
}

const char *pg_type_array(int attribute_type)
{
	return pg_types[attribute_type].array;
}

void pg_array_cell(struct buf *array, int attribute_type, const struct cell *cell)
{
	char byte;
	int64_t bits;

	if (cell->null) {
		pg_array_null(array);
		return;
	}
	switch ((enum attribute_type)attribute_type) {
	case TYPE_STRING: pg_array_bytes(array, cell->text.base, cell->text.len); break;
	case TYPE_INTEGER:
	case TYPE_DATE: pg_array_int4(array, (int32_t)cell->integer); break;
	case TYPE_LONG:
	case TYPE_DATETIME: pg_array_int8(array, cell->integer); break;
	case TYPE_DOUBLE:
		memcpy(&bits, &cell->real, sizeof(bits));
		pg_array_int8(array, bits);
		break;
	case TYPE_CURRENCY: array_decimal(array, cell->decimal); break;
	case TYPE_BOOLEAN:
		byte = (char)(cell->integer != 0);
		pg_array_bytes(array, &byte, 1);
		break;
	case ATTRIBUTE_TYPE_COUNT: die("no attribute type: %d", attribute_type);
	}
}
