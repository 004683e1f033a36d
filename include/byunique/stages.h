/* The path of a batch, in order:
 *
 *     fetch → decode → validate → recall → plan → apply → answer → commit
 *
 * decode, validate and plan are pure; fetch, answer and commit talk to Kafka (kafka/), recall and apply to PostgreSQL
 * (pg/). pipeline.c is the only caller and the only place that reacts to an error's verdict. */
#ifndef BYUNIQUE_STAGES_H
#define BYUNIQUE_STAGES_H

#include "byunique/avro.h"
#include "byunique/batch.h"

/* decode: raw values → commands, ids and content hashes. Undecodable → OUTCOME_MALFORMED_MESSAGE; no UUID →
 * OUTCOME_INVALID_COMMAND_ID. False when a writer's schema can't be had now (VERDICT_RETRY). */
bool decode_batch(struct batch *batch, struct schemas *schemas, struct err *err) BYU_MUST_CHECK;

/* validate: commands against the catalogue; fills extension, key_cells and cells, or the outcome. Rows of the contract's
 * table from InvalidCustomerId to InvalidAttributeValue, in that order. Takes a reference to the catalogue. May be called
 * again with a newer catalogue: everything that it decided is decided anew. */
void validate_batch(struct batch *batch, struct catalogue *catalogue);
/* The same for one message; the outcome code is OUTCOME_NONE when nothing is wrong. */
void validate_message(struct message *message, const struct catalogue *catalogue, struct arena *arena);

#endif
