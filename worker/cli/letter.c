/* What letter_headers() adds (model/published.c), read back from the end:
 *
 *     the message's headers | truncated=detail, =value, =headers, =key, those that apply | topic partition offset code detail
 *
 * A producer's own last headers may look the same; the record itself tells them apart: what is said to be lost is not there. */
#include "cli/letter.h"

#include "byunique/published.h"

#include <errno.h>
#include <stdlib.h>

static const char *const added[] = {"__connect.errors.topic", "__connect.errors.partition", "__connect.errors.offset",
				    "byunique.code", "byunique.detail"};

enum { ADDED = sizeof(added) / sizeof(*added), TOPIC = 0, PARTITION, OFFSET, CODE, DETAIL };

/* The last of the headers that are left says that this is lost: it is the worker's. */
static bool take_off(struct letter *letter, struct slice what)
{
	const struct kafka_header *last = letter->headers + letter->header_count - 1;
	bool there = letter->header_count > 0 && strcmp(last->name, "byunique.truncated") == 0 && slice_equal(last->value, what);

	letter->header_count -= there;
	return there;
}

/* A detail that was shortened is no loss of the message's. */
static void find_losses(struct letter *letter, struct slice key, struct slice value)
{
	bool lost_key = key.base == NULL && take_off(letter, SLICE_LIT("key"));
	size_t count = letter->header_count;
	bool lost_headers = take_off(letter, SLICE_LIT("headers"));
	bool lost_value = value.base == NULL && take_off(letter, SLICE_LIT("value"));

	if (letter->detail.len <= CUT_LEAST_BYTES)
		take_off(letter, SLICE_LIT("detail"));
	if (lost_headers && letter->header_count > 0) { /* they are there: it was the producer who said so */
		letter->header_count = count;
		lost_headers = lost_value = false;
	}
	letter->truncated = lost_key || lost_headers || lost_value;
}

static bool parse_number(struct slice text, int64_t most, int64_t *number)
{
	char digits[24], *end;

	if (text.len == 0 || text.len >= sizeof(digits) || text.base[0] < '0' || text.base[0] > '9')
		return false;
	memcpy(digits, text.base, text.len);
	digits[text.len] = '\0';
	errno = 0;
	*number = strtoll(digits, &end, 10);
	return errno == 0 && *end == '\0' && *number <= most;
}

bool letter_parse(const struct kafka_header *headers, size_t count, struct slice key, struct slice value,
		  struct letter *letter)
{
	int64_t partition;

	if (count < ADDED)
		return false;
	const struct kafka_header *ours = headers + count - ADDED;
	for (size_t i = 0; i < ADDED; i++)
		if (strcmp(ours[i].name, added[i]) != 0)
			return false;
	*letter = (struct letter){.headers = headers,
				  .header_count = count - ADDED,
				  .topic = ours[TOPIC].value,
				  .code = ours[CODE].value,
				  .detail = ours[DETAIL].value};
	find_losses(letter, key, value);
	if (!parse_number(ours[PARTITION].value, INT32_MAX, &partition) ||
	    !parse_number(ours[OFFSET].value, INT64_MAX, &letter->offset))
		return false;
	letter->partition = (int32_t)partition;
	return true;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

/* C0 and DEL but for tab and line end, and in UTF-8 C1. */
static bool is_control(struct slice text, size_t at)
{
	unsigned char c = (unsigned char)text.base[at];
	unsigned char next = at + 1 < text.len ? (unsigned char)text.base[at + 1] : 0;

	return (c < ' ' && c != '\t' && c != '\n') || c == 0x7F || (c == 0xC2 && next >= 0x80 && next < 0xA0);
}

bool bytes_are_text(struct slice bytes)
{
	if (!slice_is_utf8(bytes))
		return false;
	for (size_t i = 0; i < bytes.len; i++)
		if (is_control(bytes, i))
			return false;
	return true;
}

void hex_dump(struct slice bytes, struct buf *out)
{
	enum { WIDTH = 16 };

	for (size_t at = 0; at < bytes.len; at += WIDTH) {
		size_t count = bytes.len - at < WIDTH ? bytes.len - at : WIDTH;
		buf_printf(out, "%08zx ", at);
		for (size_t i = 0; i < WIDTH; i++) {
			buf_adds(out, i == WIDTH / 2 ? "  " : " ");
			if (i < count)
				buf_printf(out, "%02x", (unsigned char)bytes.base[at + i]);
			else
				buf_adds(out, "  ");
		}
		buf_adds(out, "  |");
		for (size_t i = 0; i < count; i++) {
			unsigned char c = (unsigned char)bytes.base[at + i];
			buf_addc(out, c >= ' ' && c < 0x7F ? (char)c : '.');
		}
		buf_adds(out, "|\n");
	}
}

void text_escape(struct slice text, struct buf *out)
{
	bool readable = slice_is_utf8(text);

	if (text.base == NULL)
		buf_addc(out, '-');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.base[i];
		if (c == '\\')
			buf_adds(out, "\\\\");
		else if (c < ' ' || c == 0x7F || (!readable && c >= 0x80))
			buf_printf(out, "\\x%02x", c);
		else if (readable && is_control(text, i))
			buf_printf(out, "\\u%04x", (unsigned char)text.base[++i]);
		else
			buf_addc(out, (char)c);
	}
}
