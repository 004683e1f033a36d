/* Commands as JSON Lines: one object per line, with the members of UpdateByUnique.
 *
 *     {"customer_id": "0000Sb5U97XE000Y", "ext_name": "Phone", "attributes": {"PhoneNumber": "1", "prefix": null}}
 *
 * customer_id and attributes have to be there; ext_name, command_id, batch_id (strings) and issued_at (milliseconds
 * since the epoch) may be missing or null. A member of another name is an error. In attributes, null is null, a boolean
 * a boolean, a whole number an int or, beyond 32 bits, a long, another number a double, a string a string. Empty lines
 * are passed over. */
#ifndef BYUNIQUE_JSON_LINES_H
#define BYUNIQUE_JSON_LINES_H

#include "byunique/arena.h"
#include "byunique/command.h"
#include "byunique/err.h"

enum { JSON_LINE_BYTES_MAX = 64 * 1024 * 1024 };

struct json_lines;
/* `path` "-" is standard input. Errors: VERDICT_USAGE when the file can't be read. */
bool json_lines_open(struct json_lines **lines, const char *path, struct err *err) BYU_MUST_CHECK;
/* The next command: what is missing is absent. Its strings live as long as the arena's content. *got is false at the
 * end. Errors: VERDICT_STOP for what is no such line, with file, line and reason. */
bool json_lines_next(struct json_lines *lines, struct arena *arena, struct command *command, bool *got,
		     struct err *err) BYU_MUST_CHECK;
/* The same from what was opened already, which is taken over. */
struct input;
void json_lines_open_input(struct json_lines **lines, struct input *input);
/* After an error: it is about that line alone, and the next one may be asked for. */
bool json_lines_can_go_on(const struct json_lines *lines);
struct slice json_lines_text(const struct json_lines *lines); /* of the last line, without its end; until the next call */
uint64_t json_lines_line(const struct json_lines *lines); /* of the last command */
const char *json_lines_name(const struct json_lines *lines);
void json_lines_close(struct json_lines *lines); /* NULL is fine */

#endif
