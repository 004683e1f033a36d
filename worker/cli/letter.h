/* A dead letter: a message of the commands topic with its own headers, and those that the worker added at the end. */
#ifndef CLI_LETTER_H
#define CLI_LETTER_H

#include "byunique/buf.h"
#include "byunique/kafka.h"

struct letter {
	const struct kafka_header *headers; /* all; borrowed */
	size_t header_count;		    /* the message's own, which come first */
	struct slice topic; /* where the message was */
	int32_t partition;
	int64_t offset;
	struct slice code, detail; /* why it came here */
	bool truncated; /* it was too large for its topic: value, headers or key are not there */
};

/* Tells the two kinds apart. A header of the producer's may have any name: only those at the end, all of them and in their
 * order, are the worker's. key and value are the record's. False: it is no dead letter of byunique's. */
bool letter_parse(const struct kafka_header *headers, size_t count, struct slice key, struct slice value,
		  struct letter *letter);

/* Bytes as text when they are well-formed UTF-8 without control characters but for tabs and line ends. */
bool bytes_are_text(struct slice bytes);
/* As in hexdump -C: offset, 16 bytes, characters. Appended. */
void hex_dump(struct slice bytes, struct buf *out);
/* Control characters and backslashes escaped, so that they play no tricks on a terminal; "-" for what is absent. */
void text_escape(struct slice text, struct buf *out);

#endif
