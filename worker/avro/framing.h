/* How a message says which schema wrote it. */
#ifndef BYUNIQUE_AVRO_FRAMING_H
#define BYUNIQUE_AVRO_FRAMING_H

#include "byunique/buf.h"
#include "byunique/registry.h"

enum framing {
	FRAMING_UNKNOWN,
	FRAMING_CONFLUENT,     /* 0x00, schema id (4 bytes, big-endian); or the same, or 0x01 and a GUID, in a header */
	FRAMING_SINGLE_OBJECT, /* 0xC3 0x01, CRC-64-AVRO of the schema (8 bytes, little-endian) */
};

struct frame {
	enum framing framing;
	struct schema_name schema; /* CONFLUENT */
	uint64_t fingerprint; /* SINGLE_OBJECT */
	size_t body;	      /* number of the first byte after it */
};

/* False when there is no complete header of either framing; *wrong is constant text. */
bool frame_read(struct slice message, struct frame *frame, const char **wrong);

/* The same for a message whose header names the schema: all of its value is the body. */
bool frame_read_header(struct slice message, struct slice schema_header, struct frame *frame, const char **wrong);

void frame_single_object(uint64_t fingerprint, struct buf *out); /* appended */
void frame_confluent(uint32_t schema_id, struct buf *out);	 /* appended */

#endif
