/* How small librdkafka's lz4 makes something: frames of independent blocks of 64 KiB, each compressed by itself. The library
 * is the one that librdkafka uses. Where a block begins within the record batch is not the same, hence a little more. */
#include "byunique/producer.h"

#include "byunique/config.h"

#include <lz4.h>
#include <stdlib.h>

static size_t block_bytes(const char *base, size_t len, char *room, int room_bytes)
{
	enum { HEAD_BYTES = 4 };
	int packed = LZ4_compress_default(base, room, (int)len, room_bytes);

	return HEAD_BYTES + (packed > 0 && (size_t)packed < len ? (size_t)packed : len);
}

static size_t packed_bytes(struct slice bytes)
{
	enum { BLOCK_BYTES = 65536, ROOM_BYTES = LZ4_COMPRESSBOUND(BLOCK_BYTES), FRAME_BYTES = 32 };
	char *room = xmalloc(ROOM_BYTES);
	size_t total = FRAME_BYTES;

	for (size_t at = 0; at < bytes.len; at += BLOCK_BYTES) {
		size_t left = bytes.len - at;
		total += block_bytes(bytes.base + at, left < BLOCK_BYTES ? left : BLOCK_BYTES, room, ROOM_BYTES);
	}
	free(room);
	return total + total / 8;
}

size_t (*producer_packing(const struct config *config))(struct slice)
{
	const char *type = config_kafka(config, "compression.type"), *codec = config_kafka(config, "compression.codec");
	const char *given = type != NULL ? type : codec;

	return given == NULL || strcmp(given, "lz4") == 0 ? packed_bytes : NULL;
}
