/* The sizes are those of Kafka's record format v2: lengths are zigzag varints, an absent key or value counts as length -1,
 * deltas of a batch's only record are 0. */
#include "byunique/published.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* --- headers ------------------------------------------------------------------------------------------------------------ */

static void add(struct own_headers *headers, const char *name, struct slice value)
{
	ASSERT(headers->count < sizeof(headers->list) / sizeof(*headers->list));
	headers->list[headers->count++] = (struct own_header){name, value.base ? value : SLICE_LIT("")};
}

static void add_number(struct own_headers *headers, const char *name, int64_t number, unsigned at)
{
	int len = snprintf(headers->numbers[at], sizeof(headers->numbers[at]), "%" PRId64, number);
	add(headers, name, slice_of(headers->numbers[at], (size_t)len));
}

/* Three digits. For every result, and snprintf() takes a tenth of a microsecond. */
static void add_status(struct own_headers *headers, int status)
{
	char *digits = headers->numbers[0];

	digits[0] = (char)('0' + status / 100);
	digits[1] = (char)('0' + status / 10 % 10);
	digits[2] = (char)('0' + status % 10);
	add(headers, "byunique.status", slice_of(digits, 3));
}

/* One for each loss, so that a consumer need not take a list apart. */
static void add_cuts(struct own_headers *headers, unsigned cuts)
{
	static const struct {
		enum cut cut;
		const char *name;
	} names[] = {{CUT_DETAIL, "detail"}, {CUT_VALUE, "value"}, {CUT_HEADERS, "headers"}, {CUT_TEXTS, "texts"}, {CUT_KEY, "key"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (cuts & names[i].cut)
			add(headers, "byunique.truncated", slice_cstr(names[i].name));
}

/* A second's date and time, and the milliseconds; the years that a clock gives have four digits. */
static struct slice event_time(int64_t at_ms, struct own_headers *headers)
{
	time_t second = (time_t)(at_ms / 1000);
	struct tm tm;

	gmtime_r(&second, &tm);
	size_t len = strftime(headers->event_time, sizeof(headers->event_time), "%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t)snprintf(headers->event_time + len, sizeof(headers->event_time) - len, ".%03dZ", (int)(at_ms % 1000));
	return slice_of(headers->event_time, len);
}

/* CloudEvents 1.0, Kafka protocol binding, binary content mode. Source and id together are unique as long as topics of one
 * name have sources of their own. */
static void add_event(const struct message *message, const struct config *config, struct own_headers *headers)
{
	int len = snprintf(headers->event_id, sizeof(headers->event_id), "%s:%" PRId32 ":%" PRId64, config->commands_topic,
			   message->partition->number, message->offset);

	headers->replace = true;
	add(headers, "ce_specversion", SLICE_LIT("1.0"));
	add(headers, EVENT_ID_HEADER, slice_of(headers->event_id, (size_t)len));
	add(headers, "ce_source", slice_cstr(config->results_cloudevents_source));
	add(headers, "ce_type", SLICE_LIT("byunique.result.v1"));
	add(headers, "ce_time", event_time(message->answer.processed_at_ms, headers));
	add(headers, "content-type", SLICE_LIT("application/avro"));
	if (message->event_id.len > 0 && slice_is_utf8(message->event_id)) /* an attribute is never empty */
		add(headers, "ce_causationid", message->event_id);
}

bool event_replaces(const char *header)
{
	static const char *const kept[] = {"ce_correlationid", "ce_traceparent", "ce_tracestate"};

	if (strncmp(header, "ce_", 3) != 0)
		return strcmp(header, "content-type") == 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strcmp(header, kept[i]) == 0)
			return false;
	return true;
}

void result_headers(const struct message *message, unsigned cuts, const struct config *config, struct own_headers *headers)
{
	const char *code = outcome_name(message->answer.code);

	headers->count = 0;
	headers->replace = false;
	if (config->results_cloudevents_source[0] != '\0' && (cuts & CUT_HEADERS) == 0)
		add_event(message, config, headers);
	add_cuts(headers, cuts);
	add_status(headers, outcome_status(message->answer.code));
	if (code != NULL)
		add(headers, "byunique.code", slice_cstr(code));
}

void letter_headers(const struct message *message, const char *commands_topic, unsigned cuts, struct own_headers *headers)
{
	struct slice detail = message->answer.detail;

	if (cuts & CUT_DETAIL)
		cut_text(&detail, CUT_LEAST_BYTES);
	headers->count = 0;
	headers->replace = false;
	add_cuts(headers, cuts);
	add(headers, "__connect.errors.topic", slice_cstr(commands_topic));
	add_number(headers, "__connect.errors.partition", message->partition->number, 0);
	add_number(headers, "__connect.errors.offset", message->offset, 1);
	add(headers, "byunique.code", slice_cstr(outcome_name(message->answer.code)));
	add(headers, "byunique.detail", detail);
}

/* --- sizes -------------------------------------------------------------------------------------------------------------- */

/* Of a length, written as a zigzag varint. */
static size_t length_bytes(size_t length)
{
	size_t bytes = 1;

	for (length *= 2; length > 0x7f; length >>= 7)
		bytes++;
	return bytes;
}

static size_t part_bytes(size_t bytes)
{
	return length_bytes(bytes) + bytes;
}

size_t record_header_bytes(size_t name_bytes, size_t value_bytes)
{
	return part_bytes(name_bytes) + part_bytes(value_bytes);
}

size_t record_batch_bytes(const struct message *message, struct slice value, unsigned cuts,
			  const struct own_headers *headers)
{
	enum { BATCH_BYTES = 61, ATTRIBUTES_AND_DELTAS_BYTES = 3 };
	bool copied = (cuts & CUT_HEADERS) == 0;
	uint32_t count = message->header_count - (headers->replace ? message->event_header_count : 0);
	size_t copied_bytes = message->header_bytes - (headers->replace ? message->event_header_bytes : 0);
	size_t bytes = ATTRIBUTES_AND_DELTAS_BYTES + part_bytes(cuts & CUT_KEY ? 0 : message->key.len) + part_bytes(value.len) +
		       length_bytes(headers->count + (copied ? count : 0)) + (copied ? copied_bytes : 0);

	for (uint32_t i = 0; i < headers->count; i++)
		bytes += record_header_bytes(strlen(headers->list[i].name), headers->list[i].value.len);
	return BATCH_BYTES + part_bytes(bytes);
}

/* --- cuts --------------------------------------------------------------------------------------------------------------- */

void cut_text(struct slice *text, size_t most_bytes)
{
	if (text->len <= most_bytes)
		return;
	text->len = most_bytes;
	while (text->len > 0 && ((unsigned char)text->base[text->len] & 0xc0) == 0x80)
		text->len--;
}

static bool letter_fits(const struct message *message, unsigned cuts, const struct own_headers *headers,
			const struct bounds *bounds)
{
	struct slice value = cuts & CUT_VALUE ? SLICE_NONE : message->value;
	size_t bytes = record_batch_bytes(message, value, cuts, headers);

	if (bytes <= bounds->letter_bytes || bounds->packed_bytes == NULL || bytes - value.len > bounds->letter_bytes)
		return bytes <= bounds->letter_bytes;
	return bytes - value.len + bounds->packed_bytes(value) <= bounds->letter_bytes;
}

unsigned letter_cuts(const struct message *message, const char *commands_topic, const struct bounds *bounds)
{
	unsigned useful = (message->answer.detail.len > CUT_LEAST_BYTES ? CUT_DETAIL : 0) |
			  (message->value.len > 0 ? CUT_VALUE : 0) | (message->header_count > 0 ? CUT_HEADERS : 0) |
			  (message->key.len > 0 ? CUT_KEY : 0);
	struct own_headers headers;

	for (unsigned cuts = 0; cuts < CUT_SETS; cuts++) {
		if ((cuts & useful) != cuts)
			continue;
		letter_headers(message, commands_topic, cuts, &headers);
		if (letter_fits(message, cuts, &headers, bounds))
			return cuts;
	}
	return useful;
}
