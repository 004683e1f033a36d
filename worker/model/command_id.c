/* Version 8 is what RFC 9562 leaves to the application: here the first 16 bytes of SHA-256 over
 *
 *     u32(bytes of the batch id) batch id u64(row) content hash
 *     u32(bytes of the label) label original id
 *
 * for rows and for replays (which are told apart by their lengths), with integers in little-endian order, and then
 * version and variant in their places. */
#include "byunique/command_id.h"

#include "byunique/clock.h"
#include "byunique/err.h"

#include <endian.h>
#include <nettle/sha2.h>
#include <sys/random.h>

enum { COUNT_BITS = 12 };

static void set_version(struct uuid *uuid, unsigned version)
{
	uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0F) | version << 4);
	uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3F) | 0x80);
}

void uuid_series_next(struct uuid_series *series, struct uuid *uuid)
{
	int64_t now = clock_wall_ms() << COUNT_BITS;

	series->last = now > series->last ? now : series->last + 1;
	if (getrandom(uuid->bytes, sizeof(uuid->bytes), 0) != (ssize_t)sizeof(uuid->bytes))
		die("the system gives no random numbers");
	uint64_t time = htobe64((uint64_t)(series->last >> COUNT_BITS) << 16);
	uint16_t count = htobe16((uint16_t)(series->last & ((1 << COUNT_BITS) - 1)));
	memcpy(uuid->bytes, &time, 6);
	memcpy(uuid->bytes + 6, &count, sizeof(count));
	set_version(uuid, 7);
}

/* SHA-256 over the parts; its first 16 bytes, as version 8. */
static void digest(const struct slice *parts, size_t count, struct uuid *uuid)
{
	struct sha256_ctx sha256;

	sha256_init(&sha256);
	for (size_t i = 0; i < count; i++)
		sha256_update(&sha256, parts[i].len, (const uint8_t *)parts[i].base);
	sha256_digest(&sha256, sizeof(uuid->bytes), uuid->bytes);
	set_version(uuid, 8);
}

void uuid_of_row(struct slice batch_id, uint64_t row, const struct content_hash *content, struct uuid *uuid)
{
	uint32_t len = htole32((uint32_t)batch_id.len);
	uint64_t number = htole64(row);
	const struct slice parts[] = {slice_of(&len, sizeof(len)), batch_id, slice_of(&number, sizeof(number)),
				      slice_of(content->bytes, sizeof(content->bytes))};

	digest(parts, sizeof(parts) / sizeof(*parts), uuid);
}

void uuid_of_replay(struct slice label, const struct uuid *original, struct uuid *uuid)
{
	uint32_t len = htole32((uint32_t)label.len);
	const struct slice parts[] = {slice_of(&len, sizeof(len)), label,
				      slice_of(original->bytes, sizeof(original->bytes))};

	digest(parts, sizeof(parts) / sizeof(*parts), uuid);
}
