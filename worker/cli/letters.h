/* The dead-letter topic, letter by letter: what the three commands have in common. */
#ifndef CLI_LETTERS_H
#define CLI_LETTERS_H

#include "byunique/cli.h"
#include "cli/letter.h"

/* Partition and offset: of a letter, or of the message it was. */
struct spot {
	int32_t partition;
	int64_t offset;
};

struct letters {
	const struct config *config;
	/* which ones */
	struct slice code; /* absent: any */
	struct kafka_place from;
	const struct spot *spots; /* only these; NULL: all */
	int spot_count;
	const struct spot *source; /* only the one of this message; NULL: any */
	/* the letter at hand */
	struct kafka_record record;
	struct letter letter;
	/* for its own use */
	struct kafka_reader *reader;
	struct kafka_extent *extents;
	int partitions;
	struct kafka_header *headers;
	size_t header_room;
	int64_t strangers; /* records that are no letters: told and passed over */
	bool told;
};

/* Error when no dead-letter topic is configured. The end is where it is now. */
bool letters_open(struct letters *letters, struct err *err) BYU_MUST_CHECK;
/* The next letter that is wanted; *got false at the end. Valid until the next call. */
bool letters_next(struct letters *letters, bool *got, struct err *err) BYU_MUST_CHECK;
/* From the first one once more, to the same end. */
bool letters_again(struct letters *letters, struct err *err) BYU_MUST_CHECK;
void letters_close(struct letters *letters);

/* --code: one of those with which messages become dead letters, in any case. */
bool letters_code(const char *text, struct slice *code, struct err *err) BYU_MUST_CHECK;

#endif
