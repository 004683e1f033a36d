/* What is published for a message beside the bytes of its result, and what of it goes when its topic takes no message that
 * large. Pure.
 *
 * A topic limits a record batch (max.message.bytes), counted here without compression and as if the record were alone in
 * it: what fits is never cut. The value of a dead letter may be many times larger, as the message that came in compressed:
 * it is tried how small it gets. */
#ifndef BYUNIQUE_PUBLISHED_H
#define BYUNIQUE_PUBLISHED_H

#include "byunique/batch.h"
#include "byunique/config.h"

/* What may go, what is missed least first: a set of cuts with a smaller number is the smaller loss. */
enum cut {
	CUT_DETAIL = 1,	 /* shortened; the error's in a result, byunique.detail in a dead letter */
	CUT_VALUE = 2,	 /* of a dead letter */
	CUT_HEADERS = 4, /* the command's, all of them; in a result also what makes it a CloudEvent */
	CUT_TEXTS = 8,	 /* shortened; what a result repeats of the command */
	CUT_KEY = 16,
	CUT_SETS = 32,
};

/* Most bytes of a record batch in the topics. */
struct bounds {
	size_t result_bytes;
	size_t letter_bytes;
	size_t reply_bytes; /* in the reply topic that takes least */
	size_t (*packed_bytes)(struct slice bytes); /* at most what compression leaves of them; NULL: not known */
	bool visible_names; /* a header's name ends where librdkafka lets us see its end: at U+0000 */
};

enum {
	BOUND_LEAST_BYTES = 1200, /* what is left after all cuts fits into it */
	CUT_LEAST_BYTES = 64,	  /* of a text that is shortened */
};

struct own_header {
	const char *name;
	struct slice value;
};

/* The headers that the worker adds; views message and configuration. */
struct own_headers {
	struct own_header list[16];
	uint32_t count;
	bool replace; /* the command's headers that event_replaces() names go */
	char numbers[2][24];
	char event_id[304];
	char event_time[48];
};

/* With results.cloudevents.source, a result is a CloudEvent of its own: its attributes are made of what is stored, so that
 * they are the same when it is published again. */
void result_headers(const struct message *message, unsigned cuts, const struct config *config, struct own_headers *headers);
void letter_headers(const struct message *message, const char *commands_topic, unsigned cuts, struct own_headers *headers);

/* Is it a header of a command that is about the command as an event, and not about its result? Those of the extensions
 * that speak of the whole flow stay. */
bool event_replaces(const char *header);
#define EVENT_ID_HEADER "ce_id"

/* Bytes of one header in a record; of a record batch that holds nothing but this record. */
size_t record_header_bytes(size_t name_bytes, size_t value_bytes);
size_t record_batch_bytes(const struct message *message, struct slice value, unsigned cuts,
			  const struct own_headers *headers);

/* At most so many bytes of a text, in whole characters. */
void cut_text(struct slice *text, size_t most_bytes);

/* The smallest set of cuts with which the dead letter of a message fits. */
unsigned letter_cuts(const struct message *message, const char *commands_topic, const struct bounds *bounds);

#endif
