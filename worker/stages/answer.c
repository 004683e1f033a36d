/* An answer is made from the message and its outcome alone, so that a message read again gives the very same bytes. */
#include "byunique/published.h"
#include "byunique/stages.h"

static void fill_problem(const struct message *message, struct result *result)
{
	const struct outcome *answer = &message->answer;

	result->code = slice_cstr(outcome_name(answer->code));
	result->title = slice_cstr(outcome_title(answer->code));
	result->detail = answer->detail.base ? answer->detail : result->title;
	result->attribute = answer->attribute;
}

/* A message that was malformed when it was processed stays so, even if its schema has become known since. */
static void echo_command(const struct message *message, struct result *result)
{
	const struct command *command = &message->command;

	if (!message->decoded || message->answer.code == OUTCOME_MALFORMED_MESSAGE)
		return;
	result->command_id = command->command_id;
	result->customer_id = command->customer_id;
	result->ext_name = command->ext_name;
	result->batch_id = command->batch_id;
	result->has_issued_at = command->has_issued_at;
	result->issued_at_ms = command->issued_at_ms;
}

static void cut_texts(struct result *result, size_t most_bytes)
{
	cut_text(&result->command_id, most_bytes);
	cut_text(&result->customer_id, most_bytes);
	cut_text(&result->ext_name, most_bytes);
	cut_text(&result->batch_id, most_bytes);
	cut_text(&result->attribute, most_bytes);
}

static bool has_texts_to_cut(const struct result *result)
{
	return result->command_id.len > CUT_LEAST_BYTES || result->customer_id.len > CUT_LEAST_BYTES ||
	       result->ext_name.len > CUT_LEAST_BYTES || result->batch_id.len > CUT_LEAST_BYTES ||
	       result->attribute.len > CUT_LEAST_BYTES;
}

/* A result on its way into the topic. */
struct draft {
	const struct config *config;
	struct schemas *schemas;
	const struct message *message;
	struct buf *out;
	size_t most_bytes;
};

/* Encodes; by how many bytes it is too large. */
static size_t excess(const struct draft *draft, const struct result *result, unsigned cuts)
{
	struct own_headers headers;

	buf_clear(draft->out);
	result_encode(draft->schemas, result, draft->out);
	result_headers(draft->message, cuts, draft->config, &headers);
	size_t bytes = record_batch_bytes(draft->message, buf_slice(draft->out), cuts, &headers);
	return bytes > draft->most_bytes ? bytes - draft->most_bytes : 0;
}

/* The detail gives as much as is missing, and no more. */
static bool fits(const struct draft *draft, struct result result, unsigned cuts)
{
	size_t over = excess(draft, &result, cuts);

	if (over == 0 || (cuts & CUT_DETAIL) == 0)
		return over == 0;
	size_t length = result.detail.len;
	cut_text(&result.detail, length > over + CUT_LEAST_BYTES ? length - over : CUT_LEAST_BYTES);
	return excess(draft, &result, cuts) == 0;
}

/* The texts share what room there is. */
static bool fits_with_texts_cut(const struct draft *draft, const struct result *result, unsigned cuts)
{
	enum { MOST_BYTES = 1024 };

	for (size_t most_bytes = MOST_BYTES; most_bytes >= CUT_LEAST_BYTES; most_bytes /= 2) {
		struct result cut = *result;
		cut_texts(&cut, most_bytes);
		if (fits(draft, cut, cuts))
			return true;
	}
	return false;
}

/* The smallest loss with which it fits. The least of all fits, as the bounds are at least BOUND_LEAST_BYTES. */
static unsigned fit(const struct draft *draft, const struct result *result)
{
	const struct message *message = draft->message;
	bool has_headers = message->header_count > 0 || draft->config->results_cloudevents_source[0] != '\0';
	unsigned useful = (result->detail.len > CUT_LEAST_BYTES ? CUT_DETAIL : 0) | (has_headers ? CUT_HEADERS : 0) | (has_texts_to_cut(result) ? CUT_TEXTS : 0) |
			  (message->key.len > 0 ? CUT_KEY : 0);

	for (unsigned cuts = 0; cuts < CUT_SETS; cuts++) {
		if ((cuts & useful) != cuts)
			continue;
		if (cuts & CUT_TEXTS ? fits_with_texts_cut(draft, result, cuts) : fits(draft, *result, cuts))
			return cuts;
	}
	return useful;
}

static unsigned answer_message(const struct draft *draft)
{
	const struct message *message = draft->message;
	struct result result = {
		.status = outcome_status(message->answer.code),
		.duplicate = message->answer.code == OUTCOME_DUPLICATE,
		.source_topic = slice_cstr(draft->config->commands_topic),
		.source_partition = message->partition->number,
		.source_offset = message->offset,
		.processed_at_ms = message->answer.processed_at_ms,
	};

	echo_command(message, &result);
	if (outcome_name(message->answer.code) != NULL)
		fill_problem(message, &result);
	return fit(draft, &result);
}

uint32_t answer_batch(struct batch *batch, const struct config *config, struct schemas *schemas, const struct bounds *bounds,
		      struct arena *results)
{
	struct buf bytes = BUF_EMPTY;
	uint32_t cut_count = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		struct message *message = &batch->messages[i];
		struct draft draft = {config, schemas, message, &bytes, bounds->result_bytes};
		message->result_cuts = answer_message(&draft);
		message->result = arena_copy(results, buf_slice(&bytes));
		message->letter_cuts = outcome_is_dead_letter(message->answer.code)
					       ? letter_cuts(message, config->commands_topic, bounds)
					       : 0;
		cut_count += message->result_cuts != 0 || message->letter_cuts != 0;
	}
	buf_release(&bytes);
	return cut_count;
}
