/* UTF-8 is checked by Unicode's table of well-formed byte sequences (table 3-7): the second byte's range depends on the
 * first, all later bytes are 80..BF. Runs of ASCII, which most text is, go eight bytes at a time. */
#include "byunique/slice.h"

int slice_compare(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.base, b.base, common) : 0;
	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.base[i]) != lower(b.base[i]))
			return false;
	return true;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

/* Length of the well-formed multi-byte sequence at p, 0 if there is none. */
static size_t sequence_len(const unsigned char *p, size_t left)
{
	unsigned char lead = p[0];
	size_t len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
	unsigned char min = 0x80, max = 0xBF;

	if (lead < 0xC2 || lead > 0xF4 || left < len)
		return 0;
	if (lead == 0xE0)
		min = 0xA0; /* shorter forms exist */
	else if (lead == 0xED)
		max = 0x9F; /* surrogates */
	else if (lead == 0xF0)
		min = 0x90; /* shorter forms exist */
	else if (lead == 0xF4)
		max = 0x8F; /* above U+10FFFF */
	if (p[1] < min || p[1] > max)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_continuation(p[i]))
			return 0;
	return len;
}

/* Eight bytes, or as many as are left, with zeros for the others. */
static bool is_ascii(const unsigned char *p, size_t left)
{
	uint64_t eight = 0;

	if (left >= sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
	} else if (left >= 4) {
		uint32_t head, tail;
		memcpy(&head, p, sizeof(head));
		memcpy(&tail, p + left - sizeof(tail), sizeof(tail));
		eight = head | tail;
	} else {
		for (size_t i = 0; i < left; i++)
			eight |= p[i];
	}
	return (eight & UINT64_C(0x8080808080808080)) == 0;
}

bool slice_is_utf8(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.base;
	size_t i = 0;

	while (i < s.len) {
		if (is_ascii(p + i, s.len - i)) {
			i += sizeof(uint64_t);
			continue;
		}
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		size_t len = sequence_len(p + i, s.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

size_t slice_whole(struct slice s)
{
	size_t tail = 1; /* of the last code point */

	while (tail < s.len && tail < 4 && is_continuation((unsigned char)s.base[s.len - tail]))
		tail++;
	if (s.len == 0 || (unsigned char)s.base[s.len - tail] < 0xC0)
		return s.len;
	return sequence_len((const unsigned char *)s.base + s.len - tail, tail) ? s.len : s.len - tail;
}

size_t slice_code_points(struct slice s)
{
	size_t count = 0;
	for (size_t i = 0; i < s.len; i++)
		count += !is_continuation((unsigned char)s.base[i]);
	return count;
}
