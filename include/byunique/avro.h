/* Avro: bytes of the two topics to and from values. The only module that includes avro.h and knows framing.
 *
 * Commands are decoded with their *writer's* schema. Every schema is compiled once: the bounded guard walks the bytes
 * first (lengths, counts, union and enum indexes, depth, UTF-8, trailing bytes), so that avro-c only ever sees
 * well-formed data; then fields are taken by name and defaults supplied in code. */
#ifndef BYUNIQUE_AVRO_H
#define BYUNIQUE_AVRO_H

#include "byunique/arena.h"
#include "byunique/buf.h"
#include "byunique/command.h"
#include "byunique/config.h"
#include "byunique/err.h"
#include "byunique/outcome.h"

/* The schemas known: our two, and those of a folder. Opaque handle; its decoders are not thread-safe: one handle per
 * thread that decodes or encodes. */
struct schemas;

/* `dir` holds further writer's schemas (*.avsc); NULL: none. A folder that is missing is an error only when
 * `dir_required`. A file that is no Avro schema is an error (VERDICT_USAGE) naming file and reason. A valid schema that
 * can't be resolved to UpdateByUnique is kept: its messages are malformed, and the reason is their detail. */
bool schemas_open(struct schemas **schemas, const char *dir, bool dir_required, struct err *err) BYU_MUST_CHECK;
void schemas_close(struct schemas *schemas);

/* Schemas that a folder has by now and the handle does not know are added; what it knows stays. All or nothing: errors as of
 * schemas_open(). *added counts them. */
bool schemas_rescan(struct schemas *schemas, const char *dir, bool dir_required, uint32_t *added,
		    struct err *err) BYU_MUST_CHECK;

/* Writer's schemas are from now on fetched from the registry that the configuration names, when it names one. *config has
 * to live on. VERDICT_USAGE: its settings are wrong. Nobody is asked yet. Called again, the new settings count; after an error
 * the old ones do. */
bool schemas_use_registry(struct schemas *schemas, const struct config *config, struct err *err) BYU_MUST_CHECK;
/* Ask the registry for the id of our own schema under TOPIC-value; what is written is framed with it from now on. Without
 * a registry there is nothing to do. VERDICT_RETRY: it is away; VERDICT_STOP: it refuses. */
bool schemas_take_command_id(struct schemas *schemas, const char *commands_topic, struct err *err) BYU_MUST_CHECK;
bool schemas_take_result_id(struct schemas *schemas, const char *results_topic, struct err *err) BYU_MUST_CHECK;

/* After DECODE_LATER: why, and whether it is time to try again. Until then no more than what is known is looked at. */
const struct err *schemas_trouble(const struct schemas *schemas);
bool schemas_due(const struct schemas *schemas);
/* After this time (monotonic; 0: no limit) nothing is asked any more, so that many unknown schemas can't hold a thread up:
 * what is not known then is DECODE_LATER. */
void schemas_ask_until(struct schemas *schemas, int64_t until_ms);

enum decode_status {
	DECODE_OK,
	DECODE_MALFORMED, /* *detail says why, for a person: batch memory or constant, holds no value of the message */
	DECODE_LATER,	  /* the writer's schema can't be had now: schemas_trouble(); never without a registry */
};

/* A command from the value of a Kafka message (absent: malformed). All strings of *command are in `arena`. */
enum decode_status command_decode(struct schemas *schemas, struct slice message, struct arena *arena,
				  struct command *command, struct slice *detail);

/* The same where the message's header __value_schema_id (absent: none) names the schema. Without a registry the header
 * means nothing. A command with more than most_attributes is malformed, and they are not read. Nothing is copied: strings
 * view `message`, which has to live as long. */
#define ATTRIBUTES_ANY UINT32_MAX
enum decode_status command_decode_headed(struct schemas *schemas, struct slice message, struct slice schema_header,
					 uint32_t most_attributes, struct arena *arena, struct command *command,
					 struct slice *detail);

/* The value of a Kafka message for a command, with our own schema; appended to *out, framing included. */
void command_encode(struct schemas *schemas, const struct command *command, struct buf *out);

/* One UpdateResult. Absent slices are nulls. */
struct result {
	int32_t status;
	struct slice command_id, customer_id, ext_name, batch_id;
	struct slice code; /* absent exactly when status is 204; then title, detail and attribute are too */
	struct slice title, detail, attribute;
	bool duplicate;
	struct slice source_topic;
	int32_t source_partition;
	int64_t source_offset;
	bool has_issued_at;
	int64_t issued_at_ms;
	int64_t processed_at_ms;
};

/* Deterministic: the same result always gives the same bytes. Appended to *out, framing included. */
void result_encode(struct schemas *schemas, const struct result *result, struct buf *out);
enum decode_status result_decode(struct schemas *schemas, struct slice message, struct arena *arena,
				 struct result *result, struct slice *detail);

/* Parts, for tests. CRC-64-AVRO of the parsing canonical form of a schema given as JSON. */
bool schema_fingerprint(struct slice schema_json, uint64_t *fingerprint, struct err *err) BYU_MUST_CHECK;
bool schema_canonical_form(struct slice schema_json, struct buf *out, struct err *err) BYU_MUST_CHECK;

#endif
