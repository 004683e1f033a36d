/* An answer is made from the message and its outcome alone, so that a message read again gives the very same bytes. */
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

/* At most CUT_BYTES of a text, in whole characters. */
static void cut(struct slice *text)
{
	enum { CUT_BYTES = 1024 };

	if (text->len <= CUT_BYTES)
		return;
	text->len = CUT_BYTES;
	while (text->len > 0 && !slice_is_utf8(*text))
		text->len--;
}

static void cut_texts(struct result *result)
{
	cut(&result->command_id);
	cut(&result->customer_id);
	cut(&result->ext_name);
	cut(&result->batch_id);
	cut(&result->detail);
	cut(&result->attribute);
}

static void answer_message(const struct message *message, const char *commands_topic, struct schemas *schemas,
			   size_t most_bytes, struct buf *out)
{
	struct result result = {
		.status = outcome_status(message->answer.code),
		.duplicate = message->answer.code == OUTCOME_DUPLICATE,
		.source_topic = slice_cstr(commands_topic),
		.source_partition = message->partition->number,
		.source_offset = message->offset,
		.processed_at_ms = message->answer.processed_at_ms,
	};

	echo_command(message, &result);
	if (outcome_name(message->answer.code) != NULL)
		fill_problem(message, &result);
	result_encode(schemas, &result, out);
	if (out->len <= most_bytes)
		return;
	buf_clear(out);
	cut_texts(&result);
	result_encode(schemas, &result, out);
}

void answer_batch(struct batch *batch, const char *commands_topic, struct schemas *schemas, size_t most_bytes)
{
	struct buf bytes = BUF_EMPTY;

	for (uint32_t i = 0; i < batch->count; i++) {
		buf_clear(&bytes);
		answer_message(&batch->messages[i], commands_topic, schemas, most_bytes, &bytes);
		batch->messages[i].result = arena_copy(&batch->arena, buf_slice(&bytes));
	}
	buf_release(&bytes);
}
