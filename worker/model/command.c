/* Hashes that are stored in PostgreSQL: what they are taken of never changes. A golden test pins some for ever.
 *
 * The content hash is the first 16 bytes of SHA-256 over
 *
 *     content    text(customer id) text(lower(extension name)) u32(number of attributes) attribute…
 *     attribute  text(lower(name)) value
 *     value      'n'                null
 *                'b' u8             a boolean: 0 or 1
 *                'i' u64            a number that is whole and fits a signed 64-bit integer, whatever its Avro type
 *                'd' u64            any other number: the bits of the double; every NaN is 0x7FF8000000000000
 *                's' text           a string
 *                't' u64            an instant that is no whole number of milliseconds: microseconds since 1970
 *                'c' u8 u64         a decimal that is no whole number: 1 for a negative one, its magnitude times 10^4
 *                'x' u8 u32 text    any other value of a logical type: its kind, scale, and the number as text or the
 *                                   bytes of a decimal as they are
 *     text       u32(bytes) bytes
 *
 * with integers in little-endian order, lower() for the ASCII letters alone, and the attributes sorted by the bytes of
 * their encoding (unsigned, a prefix first). So -0.0 is 0, 5.0 is 5, and 0.1 as a float is not 0.1 as a double: it is
 * another number. Values of logical types are what they mean: a date is its number of days, an instant its number of
 * milliseconds, a decimal 12.0 is 12. Every part is prefixed with its length or has a fixed one, so no two contents encode alike.
 *
 * The message hash is the first 8 bytes, read as a big-endian number, of SHA-256 over
 *
 *     u8(key present) u64(key bytes) u8(value present) u64(value bytes) key value
 *
 * By nettle, which hashes in place: OpenSSL 3.0 makes a context for each hash, even where one is given again. */
#include "byunique/command.h"

#include "byunique/arena.h"
#include "decimal.h"

#include <endian.h>
#include <nettle/sha2.h>
#include <stdlib.h>

enum { UUID_CHARS = 36 };

/* --- the encoding ------------------------------------------------------------------------------------------------------ */

static char *put_u32(char *at, uint32_t v)
{
	v = htole32(v);
	return (char *)memcpy(at, &v, sizeof(v)) + sizeof(v);
}

static char *put_u64(char *at, uint64_t v)
{
	v = htole64(v);
	return (char *)memcpy(at, &v, sizeof(v)) + sizeof(v);
}

static char *put_text(char *at, struct slice text)
{
	at = put_u32(at, (uint32_t)text.len);
	if (text.len > 0)
		memcpy(at, text.base, text.len);
	return at + text.len;
}

static char *put_lower(char *at, struct slice text)
{
	at = put_u32(at, (uint32_t)text.len);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.base[i];
		at[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	return at + text.len;
}

static char *put_integer(char *at, int64_t v)
{
	*at++ = 'i';
	return put_u64(at, (uint64_t)v);
}

static char *put_real(char *at, double v)
{
	static const double INT64_END = 9223372036854775808.0; /* 2^63 */
	uint64_t bits = UINT64_C(0x7FF8000000000000);

	if (v >= -INT64_END && v < INT64_END && (double)(int64_t)v == v)
		return put_integer(at, (int64_t)v);
	if (v == v)
		memcpy(&bits, &v, sizeof(bits));
	*at++ = 'd';
	return put_u64(at, bits);
}

/* What has no place among the numbers can't take effect, so it need not be brought to one form. */
static char *put_other(char *at, const struct value *value)
{
	*at++ = 'x';
	*at++ = (char)value->kind;
	at = put_u32(at, value->scale);
	if (value->kind == VALUE_DECIMAL)
		return put_text(at, value->string);
	at = put_u32(at, sizeof(uint64_t));
	return put_u64(at, (uint64_t)value->integer);
}

static char *put_timestamp(char *at, const struct value *value)
{
	int64_t per_us = value->scale == 9 ? 1000 : 1, us = value->integer / per_us;

	if (value->scale == 3)
		return put_integer(at, value->integer);
	if (value->integer % per_us != 0)
		return put_other(at, value);
	if (us % 1000 == 0)
		return put_integer(at, us / 1000);
	*at++ = 't';
	return put_u64(at, (uint64_t)us);
}

static char *put_decimal(char *at, const struct value *value)
{
	struct decimal decimal;
	const char *reason;

	if (!decimal_from_value(value, &decimal, &reason))
		return put_other(at, value);
	if (decimal.scaled % CURRENCY_SCALE == 0) {
		int64_t whole = (int64_t)(decimal.scaled / CURRENCY_SCALE);
		return put_integer(at, decimal.negative ? -whole : whole);
	}
	*at++ = 'c';
	*at++ = decimal.negative;
	return put_u64(at, decimal.scaled);
}

static char *put_value(char *at, const struct value *value)
{
	switch (value->kind) {
	case VALUE_NULL: *at++ = 'n'; return at;
	case VALUE_BOOLEAN:
		*at++ = 'b';
		*at++ = value->boolean ? 1 : 0;
		return at;
	case VALUE_INT:
	case VALUE_LONG: return put_integer(at, value->integer);
	case VALUE_FLOAT:
	case VALUE_DOUBLE: return put_real(at, value->real);
	case VALUE_STRING: *at++ = 's'; return put_text(at, value->string);
	case VALUE_DATE: return put_integer(at, value->integer);
	case VALUE_TIMESTAMP: return put_timestamp(at, value);
	case VALUE_LOCAL_TIME: return put_other(at, value);
	case VALUE_DECIMAL: return put_decimal(at, value);
	}
	die("no kind of value: %d", (int)value->kind);
}

static size_t encoded_max(const struct named_value *attribute)
{
	bool long_one = attribute->value.kind == VALUE_STRING || attribute->value.kind == VALUE_DECIMAL;
	size_t text = long_one ? attribute->value.string.len : 0;
	return sizeof(uint32_t) + attribute->name.len + 2 + 2 * sizeof(uint32_t) + sizeof(uint64_t) + text;
}

static int compare_slices(const void *left, const void *right)
{
	const struct slice *a = left, *b = right;
	return slice_compare(*a, *b);
}

/* qsort() calls through a pointer and takes memory for itself when there is much to sort: for a few it is the slow way. */
static void sort_encoded(struct slice *encoded, uint32_t count)
{
	enum { A_FEW = 24 };

	if (count > A_FEW) {
		qsort(encoded, count, sizeof(*encoded), compare_slices);
		return;
	}
	for (uint32_t i = 1; i < count; i++) {
		struct slice moving = encoded[i];
		uint32_t place = i;
		for (; place > 0 && slice_compare(encoded[place - 1], moving) > 0; place--)
			encoded[place] = encoded[place - 1];
		encoded[place] = moving;
	}
}

/* The attributes, encoded and sorted. */
static struct slice *encode_attributes(const struct command *command, struct arena *scratch)
{
	struct slice *encoded = arena_array(scratch, struct slice, command->attribute_count);
	size_t size = 0;

	for (uint32_t i = 0; i < command->attribute_count; i++)
		size += encoded_max(&command->attributes[i]);
	char *at = arena_alloc(scratch, size);
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		char *begin = at;
		at = put_lower(at, command->attributes[i].name);
		at = put_value(at, &command->attributes[i].value);
		encoded[i] = slice_of(begin, (size_t)(at - begin));
	}
	sort_encoded(encoded, command->attribute_count);
	return encoded;
}

/* All of it, in one piece: a call for each part would cost more than hashing it. */
static struct slice encode_content(const struct command *command, struct arena *scratch)
{
	const struct slice *encoded = encode_attributes(command, scratch);
	size_t size = 3 * sizeof(uint32_t) + command->customer_id.len + command->ext_name.len;

	for (uint32_t i = 0; i < command->attribute_count; i++)
		size += encoded[i].len;
	char *whole = arena_alloc(scratch, size), *at = whole;
	at = put_text(at, command->customer_id);
	at = put_lower(at, command->ext_name);
	at = put_u32(at, command->attribute_count);
	for (uint32_t i = 0; i < command->attribute_count; i++)
		at = (char *)memcpy(at, encoded[i].base, encoded[i].len) + encoded[i].len;
	return slice_of(whole, size);
}

void command_content_hash(const struct command *command, struct arena *scratch, struct content_hash *hash)
{
	struct slice content = encode_content(command, scratch);
	struct sha256_ctx sha256;

	sha256_init(&sha256);
	sha256_update(&sha256, content.len, (const uint8_t *)content.base);
	sha256_digest(&sha256, sizeof(hash->bytes), hash->bytes);
}

uint64_t message_hash(struct slice key, struct slice value)
{
	char head[2 * (1 + sizeof(uint64_t))], *at = head;
	struct sha256_ctx sha256;
	uint64_t first;

	*at++ = key.base != NULL;
	at = put_u64(at, key.len);
	*at++ = value.base != NULL;
	put_u64(at, value.len);

	sha256_init(&sha256);
	sha256_update(&sha256, sizeof(head), (const uint8_t *)head);
	sha256_update(&sha256, key.len, (const uint8_t *)key.base);
	sha256_update(&sha256, value.len, (const uint8_t *)value.base);
	sha256_digest(&sha256, sizeof(first), (uint8_t *)&first);
	return be64toh(first);
}

/* --- UUIDs ------------------------------------------------------------------------------------------------------------- */

static bool is_hyphen_place(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

/* The digit's value and one more; 0: none. */
static const uint8_t hex_digits[256] = {
	['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,	['6'] = 7,  ['7'] = 8,
	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool uuid_parse(struct slice text, struct uuid *uuid)
{
	static const uint8_t places[] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
	const unsigned char *chars = (const unsigned char *)text.base;
	bool good = true;

	if (text.len != UUID_CHARS || chars[8] != '-' || chars[13] != '-' || chars[18] != '-' || chars[23] != '-')
		return false;
	for (size_t i = 0; i < sizeof(places); i++) {
		unsigned high = hex_digits[chars[places[i]]], low = hex_digits[chars[places[i] + 1]];
		good &= high != 0 && low != 0;
		uuid->bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
	}
	return good;
}

void uuid_format(const struct uuid *uuid, char text[UUID_CHARS + 1])
{
	static const char hex[] = "0123456789abcdef";
	unsigned digits = 0;

	for (size_t i = 0; i < UUID_CHARS; i++) {
		if (is_hyphen_place(i)) {
			text[i] = '-';
			continue;
		}
		uint8_t byte = uuid->bytes[digits / 2];
		text[i] = hex[digits++ % 2 ? byte & 15 : byte >> 4];
	}
	text[UUID_CHARS] = '\0';
}
