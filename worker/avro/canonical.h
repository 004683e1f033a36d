/* Avro's parsing canonical form and its CRC-64-AVRO, the name of a schema in single-object encoding. */
#ifndef BYUNIQUE_AVRO_CANONICAL_H
#define BYUNIQUE_AVRO_CANONICAL_H

#include "avro/shape.h"
#include "byunique/buf.h"

void canonical_form(const struct shape *shape, struct buf *out); /* appended */
uint64_t canonical_fingerprint(const struct shape *shape);

#endif
