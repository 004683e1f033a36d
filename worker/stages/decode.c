/* What can be told from the bytes alone. A message whose schema can't be had now is left undecided, and with it all that is
 * behind it in its partition: the others go on. A message that is done already is passed over, so a batch may come again. */
#include "byunique/stages.h"

#include "byunique/clock.h"

static void identify(struct message *message, struct arena *arena)
{
	message->has_id = uuid_parse(message->command.command_id, &message->id);
	if (message->has_id) {
		struct arena_mark mark = arena_mark(arena);
		command_content_hash(&message->command, arena, &message->content);
		arena_rewind(arena, mark);
		return;
	}
	message->outcome.code = OUTCOME_INVALID_COMMAND_ID;
	message->outcome.detail = SLICE_LIT("A command id is a UUID as 8-4-4-4-12 hexadecimal digits.");
}

/* It was before the partition was given to this worker: its outcome is stored. */
static bool was_processed(const struct message *message)
{
	return message->offset < message->partition->next_offset;
}

/* Before its schema is asked for, and before anything of it is decoded. */
static bool is_too_large(struct message *message, const struct message_limits *limits, struct arena *arena)
{
	size_t bytes = message->key.len + message->value.len;
	bool too_long = bytes > limits->message_bytes;

	if (was_processed(message) || (!too_long && message->header_bytes <= limits->header_bytes))
		return false;
	message->outcome.code = OUTCOME_MALFORMED_MESSAGE;
	message->outcome.detail =
		too_long ? arena_printf(arena, "It has %zu bytes, limit.message.bytes is %zu.", bytes, limits->message_bytes)
			 : arena_printf(arena, "Its headers have %zu bytes, limit.headers.bytes is %zu.",
					message->header_bytes, limits->header_bytes);
	return true;
}

/* False: later. */
static bool decode_message(struct message *message, struct schemas *schemas, const struct message_limits *limits,
			   struct arena *arena)
{
	uint32_t most_attributes = was_processed(message) ? ATTRIBUTES_ANY : limits->attributes;
	struct slice detail = SLICE_NONE;

	if (is_too_large(message, limits, arena))
		return true;
	switch (command_decode_headed(schemas, message->value, message->schema_header, most_attributes, arena,
				      &message->command, &detail)) {
	case DECODE_OK:
		message->decoded = true;
		identify(message, arena);
		return true;
	case DECODE_MALFORMED:
		message->outcome = (struct outcome){.code = OUTCOME_MALFORMED_MESSAGE, .detail = detail};
		return true;
	case DECODE_LATER: break;
	}
	return false;
}

bool decode_batch(struct batch *batch, struct schemas *schemas, const struct message_limits *limits, struct err *err)
{
	enum { ASK_MS = 1000 }; /* then the group is served in between */
	bool all = true;

	schemas_ask_until(schemas, clock_mono_ms() + ASK_MS);
	for (uint32_t i = 0; i < batch->count; i++) {
		struct message *message = &batch->messages[i];
		if (message->decoded || message->outcome.code != OUTCOME_NONE)
			continue;
		if (!message->partition->awaits)
			message->partition->awaits = !decode_message(message, schemas, limits, &batch->arena);
		all = all && !message->partition->awaits;
	}
	if (!all)
		*err = *schemas_trouble(schemas);
	return all;
}
