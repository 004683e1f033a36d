/* The rows of a file and their answers: which are still missing, what each one is, and how many there are of each kind.
 *
 * Takes 27 to 38 bytes for each row, whatever it holds. What an answer says is kept once for all rows with the same. */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include "byunique/avro.h"

#include <jansson.h>

/* What became of a row. Texts are ended by NUL, "" where there is none, and live as long as the tally. */
struct answer {
	int32_t status;
	bool duplicate;
	bool sent; /* false: it was found wrong here, and no command was sent */
	const char *code, *attribute, *detail;
};

struct tally;
struct tally *tally_new(void);
void tally_free(struct tally *tally); /* NULL is fine */

/* Rows are added in their order, from 0. */
void tally_expect(struct tally *tally, struct slice command_id); /* an id twice is answered twice */
void tally_refuse(struct tally *tally, const struct answer *answer); /* a row that is wrong; texts are copied */
/* false: it answers nothing that is missing. Where an id's rows all have an answer and the last one is an error, the new
 * one takes its place: an id that was answered with an error may be sent again. */
bool tally_take(struct tally *tally, const struct result *result);

size_t tally_rows(const struct tally *tally);
const struct answer *tally_answer(const struct tally *tally, size_t row); /* NULL: there is none */
int64_t tally_missing(const struct tally *tally);
int64_t tally_refused(const struct tally *tally);
bool tally_has_errors(const struct tally *tally); /* refused rows included */

/* One line for each kind of answer, 204 first, refused rows last; appended. */
void tally_text(const struct tally *tally, struct buf *out);
void tally_print(const struct tally *tally); /* the same on stdout, and how many have no answer */
json_t *tally_json(const struct tally *tally); /* the same as a list of objects; the caller's */

#endif
