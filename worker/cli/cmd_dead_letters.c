/* dead-letters list | show: what could not be read, or what the database refused. What was sent is shown as it was, as that
 * is what somebody has to find the fault in; control characters are escaped, bytes that are no text are dumped. */
#include "byunique/cli.h"

#include "byunique/avro.h"
#include "byunique/cell.h"
#include "cli/json_text.h"
#include "cli/letters.h"
#include "cli/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static json_t *spot_json(struct slice topic, int32_t partition, int64_t offset)
{
	return json_pack("{s:o, s:i, s:I}", "topic", text_or_null(topic), "partition", (int)partition, "offset",
			 (json_int_t)offset);
}

/* What list and show have in common. */
static json_t *letter_json(const struct letters *letters)
{
	const struct kafka_record *record = &letters->record;
	const struct letter *letter = &letters->letter;

	return json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:I, s:b}", "partition", (int)record->partition, "offset",
			 (json_int_t)record->offset, "timestamp",
			 record->timestamp_ms >= 0 ? json_integer(record->timestamp_ms) : json_null(), "code",
			 text_or_null(letter->code), "detail", text_or_null(letter->detail), "source",
			 spot_json(letter->topic, letter->partition, letter->offset), "bytes",
			 (json_int_t)record->value.len, "truncated", (int)letter->truncated);
}

/* --- list --------------------------------------------------------------------------------------------------------- */

static const char list_help[] =
	"Examples:\n"
	"  byunique dead-letters list\n"
	"  byunique dead-letters list --code InternalError --from time:2024-05-17T22:00:00Z\n"
	"  byunique dead-letters list --json | jq -r .code | sort | uniq -c\n"
	"\n"
	"One line for each dead letter, of each partition from the oldest: where it stands, why it is there,\n"
	"where the message was, the time, bytes of its value, and what was wrong. A letter that comes twice\n"
	"was published twice, as its result was: the group's offsets were reset.\n"
	"\n"
	"A record of the topic that is no dead letter of byunique's is told on stderr and passed over; the\n"
	"exit code then is 1.";

static const struct option_spec list_options[] = {
	{"code", "CODE", "only these: MalformedMessage or InternalError"},
	{"from", "PLACE", "from beginning (default), offset:N or time:2024-05-17T10:00:00Z on"},
	{"limit", "N", "end after N lines"},
	{"json", NULL, "print JSON Lines"},
	{NULL, NULL, NULL},
};

static void print_line(const struct letters *letters)
{
	const struct kafka_record *record = &letters->record;
	const struct letter *letter = &letters->letter;
	struct buf source = BUF_EMPTY, time = BUF_EMPTY, detail = BUF_EMPTY;
	char spot[40];

	text_escape(letter->topic, &source);
	buf_printf(&source, " %d:%" PRId64, (int)letter->partition, letter->offset);
	time_text(record->timestamp_ms, &time);
	text_escape(letter->detail, &detail);
	snprintf(spot, sizeof(spot), "%d:%" PRId64, (int)record->partition, record->offset);
	printf("%-12s  %-16.*s  %-30s  %-24s  %8zu  %s%s\n", spot, SLICE_ARG(letter->code), source.base, time.base,
	       record->value.len, letter->truncated ? "(truncated) " : "", detail.base ? detail.base : "");
	buf_release(&source);
	buf_release(&time);
	buf_release(&detail);
}

static bool list_all(struct letters *letters, int64_t limit, bool json, struct err *err)
{
	bool got = true;

	if (!json && isatty(STDOUT_FILENO))
		printf("%-12s  %-16s  %-30s  %-24s  %8s  %s\n", "LETTER", "CODE", "MESSAGE", "TIME", "BYTES", "DETAIL");
	for (int64_t printed = 0; printed < limit && !ferror(stdout); printed++) {
		if (!letters_next(letters, &got, err))
			return false;
		if (!got)
			return true;
		if (json)
			print_json(letter_json(letters));
		else
			print_line(letters);
	}
	return true;
}

static int run_list(const struct cli_args *args)
{
	struct letters letters = {.config = args->config};
	int64_t limit = INT64_MAX;
	struct err err;

	bool ok = letters_code(cli_option(args, "code"), &letters.code, &err) &&
		  place_parse("from", cli_option(args, "from"), &letters.from, &err) &&
		  cli_option_int(args, "limit", 1, INT64_MAX, &limit, &err) && letters_open(&letters, &err) &&
		  list_all(&letters, limit, cli_flag(args, "json"), &err);
	int code = !ok ? cli_fail(&err) : letters.strangers > 0 ? EXIT_FAILED : EXIT_DONE;
	letters_close(&letters);
	return code;
}

const struct cli_command cmd_dead_letters_list = {
	.name = "dead-letters list",
	.summary = "print the dead letters, one line each",
	.synopsis = "[--code CODE] [--from PLACE] [--limit N] [--json]",
	.help = list_help,
	.options = list_options,
	.needs_config = true,
	.run = run_list,
};

/* --- show --------------------------------------------------------------------------------------------------------- */

static const char show_help[] =
	"Examples:\n"
	"  byunique dead-letters show 0:17\n"
	"  byunique dead-letters show --source 3:120041\n"
	"  byunique dead-letters show 0:17 --raw > message.avro\n"
	"\n"
	"One dead letter, by its own partition and offset, or with --source by those of the message in the\n"
	"commands topic: the message's headers, key and value, as text or, where they are none, as a dump in\n"
	"hexadecimal digits; the command as JSON where it can be decoded, as `submit` takes it. --raw writes\n"
	"the value's bytes and nothing else. With --json, bytes are given as `text` (null when they are none)\n"
	"and as `hex`.";

static const struct option_spec show_options[] = {
	{"source", "P:O", "partition and offset of the message in the commands topic"},
	{"raw", NULL, "write the value's bytes"},
	{"json", NULL, "print an object"},
	{NULL, NULL, NULL},
};

/* A number that is none has no form in JSON. */
static json_t *decimal_json(const struct value *value)
{
	static const struct attribute currency = {.type = TYPE_CURRENCY};
	struct buf text = BUF_EMPTY;
	struct cell cell;
	const char *reason;

	if (!cell_from_value(&currency, value, &cell, &reason))
		return json_string("no currency");
	cell_text(TYPE_CURRENCY, &cell, &text);
	json_t *json = json_string(text.base);
	buf_release(&text);
	return json;
}

static json_t *value_json(const struct value *value)
{
	switch (value->kind) {
	case VALUE_NULL: return json_null();
	case VALUE_BOOLEAN: return json_boolean(value->boolean);
	case VALUE_INT:
	case VALUE_LONG:
	case VALUE_DATE:
	case VALUE_TIMESTAMP:
	case VALUE_LOCAL_TIME: return json_integer(value->integer);
	case VALUE_DECIMAL: return decimal_json(value);
	case VALUE_STRING: return json_stringn(value->string.base, value->string.len);
	case VALUE_FLOAT:
	case VALUE_DOUBLE: break;
	}
	json_t *real = json_real(value->real);
	return real != NULL ? real : json_string("not a finite number");
}

static json_t *command_json(const struct command *command)
{
	json_t *attributes = json_object();

	for (uint32_t i = 0; i < command->attribute_count; i++) {
		char *name = xasprintf(SLICE_FMT, SLICE_ARG(command->attributes[i].name));
		json_object_set_new(attributes, name, value_json(&command->attributes[i].value));
		free(name);
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "command_id", text_or_null(command->command_id), "customer_id",
			 text_or_null(command->customer_id), "ext_name", text_or_null(command->ext_name), "attributes",
			 attributes, "batch_id", text_or_null(command->batch_id), "issued_at",
			 command->has_issued_at ? json_integer(command->issued_at_ms) : json_null());
}

/* The last one of the message's, as the worker reads it; absent: none. */
static struct slice schema_header(const struct letter *letter)
{
	for (size_t i = letter->header_count; i-- > 0;)
		if (strcmp(letter->headers[i].name, SCHEMA_HEADER) == 0)
			return letter->headers[i].value;
	return SLICE_NONE;
}

/* null when it can't be decoded. */
static json_t *decode(struct schemas *schemas, const struct letters *letters)
{
	struct slice value = letters->record.value, header = schema_header(&letters->letter);
	struct arena arena;
	struct command command;
	struct slice detail;

	arena_init(&arena);
	bool ok = command_decode_headed(schemas, value, header, ATTRIBUTES_ANY, &arena, &command, &detail) == DECODE_OK;
	json_t *json = ok ? command_json(&command) : json_null();
	arena_release(&arena);
	return json;
}

static json_t *bytes_json(struct slice bytes)
{
	struct buf hex = BUF_EMPTY;

	if (bytes.base == NULL)
		return json_null();
	for (size_t i = 0; i < bytes.len; i++)
		buf_printf(&hex, "%02x", (unsigned char)bytes.base[i]);
	json_t *json = json_pack("{s:o, s:s}", "text", text_or_null(bytes), "hex", hex.base ? hex.base : "");
	buf_release(&hex);
	return json;
}

static void show_json(const struct letters *letters, struct schemas *schemas)
{
	json_t *all = letter_json(letters), *headers = json_array();
	const struct letter *letter = &letters->letter;

	for (size_t i = 0; i < letter->header_count; i++)
		json_array_append_new(headers, json_pack("{s:o, s:o}", "name",
							 text_or_null(slice_cstr(letter->headers[i].name)), "value",
							 bytes_json(letter->headers[i].value)));
	json_object_set_new(all, "headers", headers);
	json_object_set_new(all, "key", bytes_json(letters->record.key));
	json_object_set_new(all, "value", bytes_json(letters->record.value));
	json_object_set_new(all, "command", decode(schemas, letters));
	print_json(all);
}

static void print_bytes(struct slice bytes)
{
	if (bytes.len > 0)
		fwrite(bytes.base, 1, bytes.len, stdout);
}

static void show_bytes(const char *label, struct slice bytes)
{
	struct buf text = BUF_EMPTY;

	if (bytes.base == NULL) {
		printf("%s  null\n", label);
		return;
	}
	printf("%s  %zu byte%s\n", label, bytes.len, bytes.len == 1 ? "" : "s");
	if (bytes_are_text(bytes)) {
		buf_add(&text, bytes.base, bytes.len);
		if (bytes.len > 0 && bytes.base[bytes.len - 1] != '\n')
			buf_addc(&text, '\n');
	} else {
		hex_dump(bytes, &text);
	}
	print_bytes(buf_slice(&text));
	buf_release(&text);
}

static void show_headers(const struct letter *letter)
{
	struct buf line = BUF_EMPTY;

	printf("headers    %zu\n", letter->header_count);
	for (size_t i = 0; i < letter->header_count; i++) {
		buf_clear(&line);
		text_escape(slice_cstr(letter->headers[i].name), &line);
		buf_adds(&line, ": ");
		if (letter->headers[i].value.base == NULL)
			buf_adds(&line, "(null)");
		else
			text_escape(letter->headers[i].value, &line);
		printf("  %s\n", line.base);
	}
	buf_release(&line);
}

static void show_text(const struct letters *letters, struct schemas *schemas)
{
	const struct kafka_record *record = &letters->record;
	const struct letter *letter = &letters->letter;
	struct buf topic = BUF_EMPTY, time = BUF_EMPTY, detail = BUF_EMPTY;

	text_escape(letter->topic, &topic);
	time_text(record->timestamp_ms, &time);
	text_escape(letter->detail, &detail);
	printf("letter     %d:%" PRId64 ", %s\nmessage    %s %d:%" PRId64 "\ncode       " SLICE_FMT "\ndetail     %s\n",
	       (int)record->partition, record->offset, time.base, topic.base, (int)letter->partition, letter->offset,
	       SLICE_ARG(letter->code), detail.base ? detail.base : "");
	if (letter->truncated)
		puts("truncated  the message was too large: parts of it are missing here");
	show_headers(letter);
	show_bytes("key      ", record->key);
	show_bytes("value    ", record->value);
	json_t *command = decode(schemas, letters);
	if (json_is_null(command)) {
		puts("command    can't be decoded");
	} else {
		puts("command");
		json_dumpf(command, stdout, JSON_PRESERVE_ORDER);
		putchar('\n');
	}
	json_decref(command);
	buf_release(&topic);
	buf_release(&time);
	buf_release(&detail);
}

static bool choose(const struct cli_args *args, struct letters *letters, struct spot *spot, struct err *err)
{
	const char *source = cli_option(args, "source");

	if ((source != NULL) == (args->operand_count == 1)) {
		err_set(err, VERDICT_USAGE, "", "which dead letter?");
		return err_hint(err, "Give either its PARTITION:OFFSET, or --source with those of the message.");
	}
	if (cli_flag(args, "raw") && cli_flag(args, "json"))
		return err_set(err, VERDICT_USAGE, "", "--raw and --json exclude each other");
	letters->source = source != NULL ? spot : NULL;
	letters->spots = source != NULL ? NULL : spot;
	letters->spot_count = source != NULL ? 0 : 1;
	return spot_parse(source != NULL ? source : args->operands[0], &spot->partition, &spot->offset, err);
}

static bool find(struct letters *letters, struct err *err)
{
	bool got;

	if (!letters_open(letters, err) || !letters_next(letters, &got, err))
		return false;
	if (got)
		return true;
	err_set(err, VERDICT_STOP, "", "there is no such dead letter");
	return err_hint(err, "`byunique dead-letters list` shows what there is.");
}

static int run_show(const struct cli_args *args)
{
	struct letters letters = {.config = args->config};
	struct schemas *schemas = NULL;
	struct spot spot;
	struct err err;

	bool ok = choose(args, &letters, &spot, &err) &&
		  schemas_open(&schemas, args->config->schemas_dir, args->config->schemas_dir_is_set, &err) &&
		  schemas_use_registry(schemas, args->config, &err) &&
		  find(&letters, &err);
	if (ok && cli_flag(args, "raw"))
		print_bytes(letters.record.value);
	else if (ok && cli_flag(args, "json"))
		show_json(&letters, schemas);
	else if (ok)
		show_text(&letters, schemas);
	int code = ok ? EXIT_DONE : cli_fail(&err);
	letters_close(&letters);
	schemas_close(schemas);
	return code;
}

const struct cli_command cmd_dead_letters_show = {
	.name = "dead-letters show",
	.summary = "print one dead letter in full",
	.synopsis = "PARTITION:OFFSET | --source P:O [--raw] [--json]",
	.help = show_help,
	.options = show_options,
	.operands_max = 1,
	.needs_config = true,
	.run = run_show,
};
