/* One decoded UpdateByUnique command, before anything is known of its extension. Strings are well-formed UTF-8 in batch
 * memory. */
#ifndef BYUNIQUE_COMMAND_H
#define BYUNIQUE_COMMAND_H

#include "byunique/slice.h"

/* Those up to STRING are the branches of our own schema's union; those behind it come from writers whose schemas say more
 * of an int, a long, or bytes. */
enum value_kind {
	VALUE_NULL,
	VALUE_BOOLEAN,
	VALUE_INT,
	VALUE_LONG,
	VALUE_FLOAT,
	VALUE_DOUBLE,
	VALUE_STRING,
	VALUE_DATE,
	VALUE_TIMESTAMP,
	VALUE_LOCAL_TIME, /* a time of day, or a timestamp without a time zone */
	VALUE_DECIMAL,
};

/* An attribute's value as the producer wrote it. */
struct value {
	enum value_kind kind;
	uint32_t scale; /* decimal digits after the point: of a DECIMAL, and of the seconds of a TIMESTAMP or LOCAL_TIME */
	union {
		bool boolean;
		int64_t integer; /* INT and LONG; DATE: days since 1970-01-01; TIMESTAMP: 10^-scale seconds since
				    1970-01-01T00:00:00Z; LOCAL_TIME: as written */
		double real;	 /* FLOAT (widened) and DOUBLE */
		struct slice string; /* STRING; DECIMAL: the number times 10^scale, two's complement, big-endian */
	};
};

struct named_value {
	struct slice name; /* as sent */
	struct value value;
};

/* The header of a message that may name its schema, as newer serializers of Confluent's write it. */
#define SCHEMA_HEADER "__value_schema_id"

struct command {
	struct slice command_id; /* as sent */
	struct slice customer_id;
	struct slice ext_name;
	struct slice batch_id;		/* absent when null */
	struct named_value *attributes; /* in message order; a name may come twice. Of more than any extension can have, only
					   those that decide how the command is refused */
	uint32_t attribute_count;
	bool has_issued_at;
	int64_t issued_at_ms; /* since the epoch */
};

struct uuid {
	uint8_t bytes[16];
};

/* 8-4-4-4-12 hexadecimal digits in any case; false when it is something else. */
bool uuid_parse(struct slice text, struct uuid *uuid);
void uuid_format(const struct uuid *uuid, char text[37]); /* lower case */

/* The identity of a command's content: customer, extension and attributes; names without case, in any order, numbers by
 * value (5, 5L and 5.0 are the same). 128 bits of SHA-256; stored in PostgreSQL, so its encoding never changes. */
struct content_hash {
	uint8_t bytes[16];
};
struct arena;
void command_content_hash(const struct command *command, struct arena *scratch, struct content_hash *hash);

/* First 8 bytes of SHA-256 over key and value of a Kafka message (absent and empty differ): tells a recreated topic. */
uint64_t message_hash(struct slice key, struct slice value);

#endif
