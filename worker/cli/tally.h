/* The answers to the commands sent: which are still missing, and how many there are of each kind. Takes 16 to 32 bytes
 * for each command, whatever it holds. */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include "byunique/avro.h"

struct tally;
struct tally *tally_new(void);
void tally_free(struct tally *tally); /* NULL is fine */

void tally_expect(struct tally *tally, struct slice command_id);   /* an id twice is answered twice */
bool tally_take(struct tally *tally, const struct result *result); /* false: it answers nothing that is missing */
int64_t tally_missing(const struct tally *tally);
bool tally_has_errors(const struct tally *tally);

/* One line for each kind of answer, 204 first; as JSON a list of objects. Appended. */
void tally_text(const struct tally *tally, struct buf *out);
void tally_json(const struct tally *tally, struct buf *out);

#endif
