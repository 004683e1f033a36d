/* A second, much simpler walk over a text that a parser has accepted: strings are skipped, brackets counted. Nothing here
 * recurses, so nesting costs no stack. */
#include "json_line.h"

#include <string.h>

struct cursor {
	const char *at, *end;
	unsigned line;
};

static void skip_blanks(struct cursor *cursor)
{
	for (; cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL && *cursor->at != '\0'; cursor->at++)
		cursor->line += *cursor->at == '\n';
}

/* Past the next character that is not blank, if it is this one. */
static bool take(struct cursor *cursor, char c)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	skip_blanks(cursor);
	return true;
}

/* The raw inside of the string that begins here. A string holds no line break: JSON wants it escaped. */
static struct slice take_string(struct cursor *cursor)
{
	const char *begin = ++cursor->at;

	while (cursor->at < cursor->end && *cursor->at != '"')
		cursor->at += *cursor->at == '\\' && cursor->end - cursor->at > 1 ? 2 : 1;
	struct slice inside = slice_of(begin, (size_t)(cursor->at - begin));
	if (cursor->at < cursor->end)
		cursor->at++;
	return inside;
}

static void skip_value(struct cursor *cursor)
{
	unsigned open = 0;

	for (; cursor->at < cursor->end; cursor->at++) {
		char c = *cursor->at;
		if (open == 0 && (c == ',' || c == ']' || c == '}'))
			return;
		if (c == '"') {
			take_string(cursor);
			cursor->at--;
		}
		open += c == '[' || c == '{';
		open -= c == ']' || c == '}';
		cursor->line += c == '\n';
	}
}

static bool enter_member(struct cursor *cursor, const char *key)
{
	if (!take(cursor, '{'))
		return false;
	while (cursor->at < cursor->end && *cursor->at == '"') {
		struct slice name = take_string(cursor);
		if (!take(cursor, ':'))
			return false;
		if (slice_equal(name, slice_cstr(key)))
			return true;
		skip_value(cursor);
		take(cursor, ',');
	}
	return false;
}

static bool enter_element(struct cursor *cursor, size_t index)
{
	if (!take(cursor, '['))
		return false;
	for (size_t i = 0; i < index; i++) {
		skip_value(cursor);
		if (!take(cursor, ','))
			return false;
	}
	return true;
}

unsigned json_line(struct slice text, const struct json_step *path, unsigned depth)
{
	struct cursor cursor = {text.base, text.base + text.len, 1};

	skip_blanks(&cursor);
	for (unsigned i = 0; i < depth; i++) {
		unsigned line = cursor.line;
		bool there = path[i].key ? enter_member(&cursor, path[i].key) : enter_element(&cursor, path[i].index);
		if (!there)
			return line;
	}
	return cursor.line;
}
