/* How a message says which schema wrote it. */
#ifndef BYUNIQUE_AVRO_FRAMING_H
#define BYUNIQUE_AVRO_FRAMING_H

#include "byunique/buf.h"
#include "byunique/slice.h"

enum framing {
	FRAMING_UNKNOWN,
	FRAMING_CONFLUENT,     /* 0x00, schema id (4 bytes, big-endian) */
	FRAMING_SINGLE_OBJECT, /* 0xC3 0x01, CRC-64-AVRO of the schema (8 bytes, little-endian) */
};

struct frame {
	enum framing framing;
	uint32_t schema_id;   /* CONFLUENT */
	uint64_t fingerprint; /* SINGLE_OBJECT */
	size_t body;	      /* number of the first byte after it */
};

/* False when there is no complete header of either framing; *wrong is constant text. */
bool frame_read(struct slice message, struct frame *frame, const char **wrong);

void frame_single_object(uint64_t fingerprint, struct buf *out); /* appended */

#endif
