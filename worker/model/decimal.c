/* The number comes as two's complement of any length, so it is divided by hand, byte by byte. What could be long is bounded
 * first: beyond a scale that nobody uses, and beyond a size that no currency has at such a scale, nothing is computed. */
#include "decimal.h"

enum { SCALE_MAX = 100, BYTES_MAX = 64 /* 153 digits: more than SCALE_MAX and 15 before the point */ };

struct magnitude {
	uint8_t bytes[BYTES_MAX]; /* big-endian */
	size_t len;
};

static bool because(const char **reason, const char *text)
{
	*reason = text;
	return false;
}

static bool is_negative(struct slice bytes)
{
	return bytes.len > 0 && (unsigned char)bytes.base[0] >= 0x80;
}

/* Without the bytes in front that only repeat the sign. */
static struct slice strip(struct slice bytes)
{
	char sign = is_negative(bytes) ? '\xFF' : '\x00';

	while (bytes.len > 1 && bytes.base[0] == sign && is_negative(slice_of(bytes.base + 1, 1)) == (sign != '\x00')) {
		bytes.base++;
		bytes.len--;
	}
	return bytes;
}

static void take_magnitude(struct slice bytes, struct magnitude *magnitude)
{
	bool negative = is_negative(bytes);
	unsigned carry = negative;

	magnitude->len = bytes.len;
	for (size_t i = bytes.len; i-- > 0;) {
		unsigned byte = (unsigned char)bytes.base[i];
		unsigned sum = (negative ? byte ^ 0xFF : byte) + carry;
		magnitude->bytes[i] = (uint8_t)sum;
		carry = sum >> 8;
	}
}

/* Returns what is left over. */
static unsigned divide_by_ten(struct magnitude *magnitude)
{
	unsigned rest = 0;

	for (size_t i = 0; i < magnitude->len; i++) {
		unsigned part = rest << 8 | magnitude->bytes[i];
		magnitude->bytes[i] = (uint8_t)(part / 10);
		rest = part % 10;
	}
	return rest;
}

/* False: it does not fit. */
static bool to_number(const struct magnitude *magnitude, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < magnitude->len; i++) {
		if (*number >> 56 != 0)
			return false;
		*number = *number << 8 | magnitude->bytes[i];
	}
	return true;
}

bool decimal_from_value(const struct value *value, struct decimal *decimal, const char **reason)
{
	static const char too_large[] = "has more than 15 digits before the point";
	struct slice bytes = strip(value->string);
	struct magnitude magnitude;
	uint32_t scale = value->scale;

	if (bytes.len == 0)
		return because(reason, "is a decimal without a number");
	if (scale > SCALE_MAX)
		return because(reason, "is a decimal with a scale above 100");
	if (bytes.len > BYTES_MAX)
		return because(reason, too_large);
	take_magnitude(bytes, &magnitude);
	for (; scale > CURRENCY_DECIMALS; scale--)
		if (divide_by_ten(&magnitude) != 0)
			return because(reason, "has more than 4 digits after the point");
	if (!to_number(&magnitude, &decimal->scaled))
		return because(reason, too_large);
	for (; scale < CURRENCY_DECIMALS; scale++)
		if (__builtin_mul_overflow(decimal->scaled, 10, &decimal->scaled))
			return because(reason, too_large);
	if (decimal->scaled / CURRENCY_SCALE >= (uint64_t)CURRENCY_WHOLE_END)
		return because(reason, too_large);
	decimal->negative = is_negative(bytes) && decimal->scaled > 0;
	return true;
}
