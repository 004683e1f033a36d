/* The first byte decides: 0x00 is Confluent's magic byte, 0xC3 the first of Avro's two-byte marker. */
#include "avro/framing.h"

#include <endian.h>

enum { CONFLUENT_BYTES = 5, SINGLE_OBJECT_BYTES = 10, GUID_BYTES = 16 };

static const char no_value[] = "the message has no value";

static bool read_confluent(struct slice message, struct frame *frame)
{
	uint32_t id;

	if (message.len < CONFLUENT_BYTES)
		return false;
	memcpy(&id, message.base + 1, sizeof(id));
	*frame = (struct frame){.framing = FRAMING_CONFLUENT, .schema.id = be32toh(id), .body = CONFLUENT_BYTES};
	return true;
}

static bool read_single_object(struct slice message, struct frame *frame)
{
	uint64_t fingerprint;

	if (message.len < SINGLE_OBJECT_BYTES)
		return false;
	memcpy(&fingerprint, message.base + 2, sizeof(fingerprint));
	*frame = (struct frame){.framing = FRAMING_SINGLE_OBJECT,
				.fingerprint = le64toh(fingerprint),
				.body = SINGLE_OBJECT_BYTES};
	return true;
}

bool frame_read(struct slice message, struct frame *frame, const char **wrong)
{
	*frame = (struct frame){0};
	if (message.base == NULL || message.len == 0) {
		*wrong = no_value;
		return false;
	}
	*wrong = "the message ends within its framing";
	if (message.base[0] == '\x00')
		return read_confluent(message, frame);
	if (message.base[0] == '\xC3' && (message.len == 1 || message.base[1] == '\x01'))
		return read_single_object(message, frame);
	*wrong = "unknown framing: the value begins neither with 0x00 (Confluent wire format) nor with 0xC3 0x01 (Avro "
		 "single-object encoding)";
	return false;
}

bool frame_read_header(struct slice message, struct slice schema_header, struct frame *frame, const char **wrong)
{
	*wrong = no_value;
	if (message.base == NULL || message.len == 0)
		return false;
	*wrong = "the header __value_schema_id holds neither 0x00 and a schema id nor 0x01 and a GUID";
	if (schema_header.len == CONFLUENT_BYTES && schema_header.base[0] == '\x00' && read_confluent(schema_header, frame)) {
		frame->body = 0;
		return true;
	}
	if (schema_header.len != 1 + GUID_BYTES || schema_header.base[0] != '\x01')
		return false;
	*frame = (struct frame){.framing = FRAMING_CONFLUENT, .schema.by_guid = true};
	memcpy(frame->schema.guid, schema_header.base + 1, GUID_BYTES);
	return true;
}

void frame_confluent(uint32_t schema_id, struct buf *out)
{
	buf_addc(out, '\0');
	buf_be32(out, schema_id);
}

void frame_single_object(uint64_t fingerprint, struct buf *out)
{
	uint64_t little = htole64(fingerprint);

	buf_add(out, "\xC3\x01", 2);
	buf_add(out, &little, sizeof(little));
}
