/* Values of our own two schemas to bytes, without framing. Opened once per handle and used again for every value. */
#ifndef BYUNIQUE_AVRO_ENCODE_H
#define BYUNIQUE_AVRO_ENCODE_H

#include "byunique/avro.h"

struct encoder;

bool encoder_open(struct encoder **encoder, struct err *err) BYU_MUST_CHECK;
void encoder_close(struct encoder *encoder); /* NULL is fine */

/* Appended to *out. Nothing is allocated but what *out needs to grow, once every field has been filled before. */
void encode_command(struct encoder *encoder, const struct command *command, struct buf *out);
void encode_result(const struct result *result, struct buf *out);

#endif
