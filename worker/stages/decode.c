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

/* False: later. */
static bool decode_message(struct message *message, struct schemas *schemas, struct arena *arena)
{
	struct slice detail = SLICE_NONE;

	switch (command_decode_headed(schemas, message->value, message->schema_header, arena, &message->command, &detail)) {
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

bool decode_batch(struct batch *batch, struct schemas *schemas, struct err *err)
{
	enum { ASK_MS = 1000 }; /* then the group is served in between */
	bool all = true;

	schemas_ask_until(schemas, clock_mono_ms() + ASK_MS);
	for (uint32_t i = 0; i < batch->count; i++) {
		struct message *message = &batch->messages[i];
		if (message->decoded || message->outcome.code != OUTCOME_NONE)
			continue;
		if (!message->partition->awaits)
			message->partition->awaits = !decode_message(message, schemas, &batch->arena);
		all = all && !message->partition->awaits;
	}
	if (!all)
		*err = *schemas_trouble(schemas);
	return all;
}
