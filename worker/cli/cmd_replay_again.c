/* replay again: a message that was processed is never applied again, so what is to take effect once more has to be a
 * new message with a new command id. Copies are sent to the end of the partition that they come from, in its order.
 *
 * The new id is made from a label and the old one. So an id that was repeated in the range repeats its first use again,
 * and an interrupted run may be repeated with its label: nothing of it takes effect twice. */
#include "byunique/command_id.h"
#include "cli/consent.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/replay.h"

#include <inttypes.h>
#include <stdlib.h>

static const char help[] =
	"Examples:\n"
	"  byunique replay again --from time:2024-05-17T22:00:00Z --to time:2024-05-17T23:00:00Z --dry-run\n"
	"  byunique replay again --from offset:120000 --to offset:121000 --partition 3\n"
	"\n"
	"Applies commands once more, on purpose: for records that were damaged by other hands. Copies of the\n"
	"range's messages are sent to the end of the same partition, in the same order, with new command ids,\n"
	"as an id takes effect once. Everything else is kept: key, headers, batch id, time; the value is framed\n"
	"with our own schema, so a header __value_schema_id goes. Two headers are\n"
	"added, which come back with the results: byunique.replay, the label of this run, and\n"
	"byunique.replayed, the original's partition:offset.\n"
	"\n"
	"Beware: they overwrite what was stored since by later commands that are not in the range.\n"
	"\n"
	"Messages that are not processed yet are left out, as they take effect by themselves, and so are\n"
	"those that can't be read. It first says how many messages that will be, and asks, unless --yes is\n"
	"given; --dry-run only says it. Workers may run.\n"
	"\n"
	"The new ids are made from --label and the old ids: an interrupted run may be repeated with its label\n"
	"and range, and nothing of it takes effect twice. Without --label one is made up, and told.";

static const struct option_spec options[] = {
	{"from", "PLACE", "first message: beginning, offset:N or time:2024-05-17T10:00:00Z"},
	{"to", "PLACE", "up to, not including: end, offset:N or time:..."},
	{"partition", "N", "only this partition of the commands topic"},
	{"label", "TEXT", "name of this run: repeated with it, nothing takes effect twice"},
	{"dry-run", NULL, "only say what would be sent"},
	{"yes", NULL, "don't ask"},
	{"json", NULL, "print the summary as JSON"},
	{NULL, NULL, NULL},
};

static const char label_header[] = "byunique.replay", source_header[] = "byunique.replayed";

struct again {
	const struct config *config;
	int64_t partition;
	struct slice label;
	char made_label[37];
	struct outlook outlook;
	struct kafka_extent *extents; /* what is sent again: processed, and in the range */
	struct stored **stored;	      /* by partition; NULL: not asked yet */
	struct schemas *schemas;
	struct kafka_sender *sender; /* NULL: only counting */
	struct arena arena;
	struct buf value;
	struct kafka_header *headers;
	size_t header_room;
	int64_t sendable, done, failed, unknown; /* by what was answered: 204, an error, no longer kept */
	int64_t unreadable, before, pending, gone;
	int refused;
};

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool take_label(const struct cli_args *args, struct again *again, struct err *err)
{
	enum { MOST_BYTES = 64 };
	struct uuid_series series = {0};
	struct uuid uuid;

	again->label = slice_cstr(cli_option(args, "label"));
	if (again->label.base == NULL) {
		uuid_series_next(&series, &uuid);
		uuid_format(&uuid, again->made_label);
		again->label = slice_cstr(again->made_label);
	}
	if (again->label.len > 0 && again->label.len <= MOST_BYTES && slice_is_utf8(again->label))
		return true;
	return err_set(err, VERDICT_USAGE, "", "--label has to be a text of 1 to %d bytes", MOST_BYTES);
}

static bool check_range(const struct cli_args *args, struct err *err)
{
	if (cli_option(args, "from") != NULL && cli_option(args, "to") != NULL)
		return true;
	err_set(err, VERDICT_USAGE, "", "which messages?");
	return err_hint(err, "Give --from and --to: beginning, end, offset:1200 or time:2024-05-17T10:00:00Z.");
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

/* A copy is framed by itself. */
static bool is_ours(const struct kafka_header *header)
{
	return strcmp(header->name, SCHEMA_HEADER) == 0 || strcmp(header->name, label_header) == 0 ||
	       strcmp(header->name, source_header) == 0;
}

/* Room for one more, and for the two that are added. */
static void make_room(struct again *again, size_t count)
{
	if (count + 2 < again->header_room)
		return;
	again->header_room += 16;
	again->headers = xrealloc(again->headers, again->header_room * sizeof(*again->headers));
}

/* The message's own headers, without those of a former replay. *before: it is a copy that this label made. */
static size_t read_headers(struct again *again, const struct kafka_reader *reader, bool *before)
{
	struct kafka_header header;
	size_t count = 0;

	*before = false;
	make_room(again, 0);
	for (size_t i = 0; kafka_reader_header(reader, i, &header); i++) {
		*before |= strcmp(header.name, label_header) == 0 && slice_equal(header.value, again->label);
		if (is_ours(&header))
			continue;
		make_room(again, count);
		again->headers[count++] = header;
	}
	return count;
}

static bool count_answer(struct again *again, const struct kafka_record *record, struct err *err)
{
	struct stored **stored = &again->stored[record->partition];
	const struct stored_position *position = again->outlook.prospects[record->partition].position;
	int64_t processed_at_ms;
	enum stored_says says;
	int code = OUTCOME_NONE;

	if (*stored == NULL)
		*stored = stored_new(position->id);
	if (!stored_find(again->outlook.pg, *stored, record->offset, message_hash(record->key, record->value), &says,
			 &code, &processed_at_ms, err))
		return false;
	bool known = says == STORED_SAME && outcome_code_valid(code);
	again->unknown += !known;
	again->done += known && outcome_status((enum outcome_code)code) == 204;
	again->failed += known && outcome_status((enum outcome_code)code) != 204;
	return true;
}

static bool send_copy(struct again *again, const struct kafka_record *record, struct command *command,
		      size_t header_count, struct err *err)
{
	struct uuid original, uuid;
	char id[37], source[40];

	/* An id that is none stays as it is: its answer is 400, again. */
	if (uuid_parse(command->command_id, &original)) {
		uuid_of_replay(again->label, &original, &uuid);
		uuid_format(&uuid, id);
		command->command_id = slice_cstr(id);
	}
	snprintf(source, sizeof(source), "%d:%" PRId64, (int)record->partition, record->offset);
	again->headers[header_count++] = (struct kafka_header){label_header, again->label};
	again->headers[header_count++] = (struct kafka_header){source_header, slice_cstr(source)};
	buf_clear(&again->value);
	command_encode(again->schemas, command, &again->value);
	return kafka_sender_send_to(again->sender, again->config->commands_topic, record->partition, record->key,
				    buf_slice(&again->value), again->headers, header_count, err);
}

static bool visit(void *context, const struct kafka_record *record, const struct kafka_reader *reader, struct err *err)
{
	struct again *again = context;
	struct command command;
	bool before, readable, ok = true;

	size_t header_count = read_headers(again, reader, &before);
	if (!replay_decode(again->schemas, record, reader, &again->arena, &command, &readable, err))
		return false;
	again->before += before;
	again->unreadable += !before && !readable;
	if (!before && readable) {
		again->sendable++;
		ok = again->sender != NULL ? send_copy(again, record, &command, header_count, err)
					   : count_answer(again, record, err);
	}
	arena_clear(&again->arena);
	return ok;
}

static bool go_through(struct again *again, const char *label, struct err *err)
{
	again->sendable = again->unreadable = again->before = 0;
	return replay_read(again->config, again->config->commands_topic, again->extents,
			   again->outlook.topic_partitions, label, visit, again, err);
}

/* --- before ------------------------------------------------------------------------------------------------------- */

static void choose(struct again *again, int number, const struct kafka_place *from)
{
	const struct prospect *prospect = &again->outlook.prospects[number];
	int64_t next = prospect->position ? prospect->position->next_offset : 0;
	struct kafka_extent *extent = &again->extents[number];

	if (!replay_wants(again->partition, number) || prospect->start.refusal != START_FINE)
		return;
	*extent = prospect->extent;
	if (from->kind == KAFKA_PLACE_OFFSET && from->value < extent->log_start)
		again->gone += extent->log_start - from->value;
	if (extent->end > next) {
		again->pending += extent->end - (next > extent->begin ? next : extent->begin);
		extent->end = next;
	}
	if (extent->end < extent->begin)
		extent->end = extent->begin;
}

static bool look(const struct cli_args *args, struct again *again, struct err *err)
{
	struct kafka_place from = {.kind = KAFKA_PLACE_BEGINNING}, to = {.kind = KAFKA_PLACE_END};

	again->config = args->config;
	again->partition = -1;
	if (!check_range(args, err) || !consent_check(args, err) || !take_label(args, again, err) ||
	    !place_parse("from", cli_option(args, "from"), &from, err) ||
	    !place_parse("to", cli_option(args, "to"), &to, err) ||
	    !cli_option_int(args, "partition", 0, INT32_MAX, &again->partition, err) ||
	    !schemas_open(&again->schemas, args->config->schemas_dir, args->config->schemas_dir_is_set, err) ||
	    !schemas_use_registry(again->schemas, args->config, err) ||
	    !schemas_take_command_id(again->schemas, args->config->commands_topic, err) ||
	    !outlook_open(&again->outlook, args->config, "byunique replay", from, to, err) ||
	    !outlook_check_partition(&again->outlook, again->partition, err))
		return false;
	int count = again->outlook.topic_partitions;
	again->extents = xcalloc((unsigned long)count, sizeof(*again->extents));
	again->stored = xcalloc((unsigned long)count, sizeof(struct stored *));
	for (int i = 0; i < count; i++)
		choose(again, i, &from);
	again->refused = replay_tell_refused(&again->outlook, again->partition);
	return go_through(again, "reading", err);
}

static void show_part(int64_t count, const char *what)
{
	char digits[32];

	if (count > 0)
		fprintf(stderr, "%12s  %s\n", group_digits(count, digits), what);
}

static void show(const struct again *again)
{
	char digits[32];

	fprintf(stderr, "%s command%s will be sent again, as new ones, label %.*s:\n",
		group_digits(again->sendable, digits), plural(again->sendable), SLICE_ARG(again->label));
	show_part(again->done, "were answered 204");
	show_part(again->failed, "were answered with an error");
	show_part(again->unknown, "were processed, and their answers are no longer kept");
	if (again->unreadable + again->before + again->pending + again->gone + again->refused > 0)
		fputs("Left out:\n", stderr);
	show_part(again->unreadable, "can't be read");
	show_part(again->before, "are copies that were sent with this label before");
	show_part(again->pending, "are not processed yet: they take effect by themselves");
	show_part(again->gone, "are no longer in the topic");
	show_part(again->refused, "partitions are refused");
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static bool send_all(struct again *again, struct err *err)
{
	struct err ignored;
	int64_t acknowledged, total = again->sendable;

	if (!kafka_sender_open(&again->sender, again->config, err))
		return false;
	if (go_through(again, "sending", err) && kafka_sender_flush(again->sender, &acknowledged, err))
		return true;
	if (!kafka_sender_flush(again->sender, &acknowledged, &ignored))
		acknowledged = kafka_sender_acknowledged(again->sender);
	return err_hint(err, "%" PRId64 " of %" PRId64 " were sent. Repeat it with --label %.*s.", acknowledged, total,
			SLICE_ARG(again->label));
}

static void report(const struct cli_args *args, const struct again *again, bool done)
{
	char digits[32];

	if (!cli_flag(args, "json")) {
		if (done)
			printf("%s command%s sent, label %.*s\n", group_digits(again->sendable, digits),
			       plural(again->sendable), SLICE_ARG(again->label));
		return;
	}
	json_t *summary = replay_summary_json("again", args, &again->outlook, done);
	json_object_set_new(summary, "label", json_stringn(again->label.base, again->label.len));
	json_object_set_new(summary, "sent", json_integer(done ? again->sendable : 0));
	json_object_set_new(summary, "would_send", json_integer(done ? 0 : again->sendable));
	json_object_set_new(summary, "answered_204", json_integer(again->done));
	json_object_set_new(summary, "answered_error", json_integer(again->failed));
	json_object_set_new(summary, "answer_unknown", json_integer(again->unknown));
	json_object_set_new(summary, "unreadable", json_integer(again->unreadable));
	json_object_set_new(summary, "sent_before", json_integer(again->before));
	json_object_set_new(summary, "pending", json_integer(again->pending));
	json_object_set_new(summary, "gone", json_integer(again->gone));
	json_object_set_new(summary, "refused", json_integer(again->refused));
	print_json(summary);
}

static bool carry_out(const struct cli_args *args, struct again *again, struct err *err)
{
	if (!look(args, again, err))
		return false;
	show(again);
	bool sends = !cli_flag(args, "dry-run") && again->sendable > 0;
	if (sends && !consent_ask(args, "Send them?"))
		return err_set(err, VERDICT_STOP, "", "nothing was sent");
	if (sends && !send_all(again, err))
		return false;
	report(args, again, sends);
	return true;
}

static void release(struct again *again)
{
	kafka_sender_close(again->sender);
	for (int i = 0; again->stored != NULL && i < again->outlook.topic_partitions; i++)
		stored_free(again->outlook.pg, again->stored[i]);
	free(again->stored);
	free(again->extents);
	free(again->headers);
	buf_release(&again->value);
	arena_release(&again->arena);
	schemas_close(again->schemas);
	outlook_close(&again->outlook);
}

static int run(const struct cli_args *args)
{
	struct again again = {0};
	struct err err;

	arena_init(&again.arena);
	int code = carry_out(args, &again, &err) ? EXIT_DONE : cli_fail(&err);
	release(&again);
	return code;
}

const struct cli_command cmd_replay_again = {
	.name = "replay again",
	.summary = "apply a range of commands once more, on purpose",
	.synopsis = "--from PLACE --to PLACE [--partition N] [--label TEXT] [--dry-run] [--yes] [--json]",
	.help = help,
	.options = options,
	.needs_config = true,
	.run = run,
};
