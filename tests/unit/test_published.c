/* What has to go of a message that is too large, in which order; what topics are warned of. */
#include "byunique/published.h"
#include "byunique/topic_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct partition partition = {.number = 3};

static struct message malformed(struct slice key, struct slice value, size_t header_bytes)
{
	return (struct message){
		.partition = &partition,
		.offset = 1000,
		.key = key,
		.value = value,
		.header_count = header_bytes > 0,
		.header_bytes = header_bytes,
		.answer = {.code = OUTCOME_MALFORMED_MESSAGE, .detail = SLICE_LIT("It is empty.")},
	};
}

/* By hand: 61, then the record's length, attributes and two deltas, an absent key and value, no header. */
static void test_record_alone(void **state)
{
	struct own_headers none = {.count = 0};
	struct message message = malformed(SLICE_NONE, SLICE_NONE, 0);

	(void)state;
	assert_int_equal(record_batch_bytes(&message, SLICE_NONE, 0, &none), 61 + 1 + 3 + 1 + 1 + 1);
	message.key = SLICE_LIT("0123456789");
	assert_int_equal(record_batch_bytes(&message, SLICE_NONE, 0, &none), 61 + 1 + 3 + 11 + 1 + 1);
	assert_int_equal(record_batch_bytes(&message, SLICE_NONE, CUT_KEY, &none), 61 + 1 + 3 + 1 + 1 + 1);
	assert_int_equal(record_header_bytes(63, 64), 1 + 63 + 2 + 64); /* zigzag: 64 takes a second byte */
	assert_int_equal(record_header_bytes(0, 8191), 1 + 2 + 8191);
	assert_int_equal(record_header_bytes(0, 8192), 1 + 3 + 8192);
}

static void test_letters(void **state)
{
	static char bytes[5000];
	struct slice large = slice_of(bytes, sizeof(bytes)), small = SLICE_LIT("x");
	const struct {
		struct slice key, value;
		size_t header_bytes;
		unsigned cuts;
	} rows[] = {
		{small, small, 10, 0},
		{small, large, 10, CUT_VALUE},
		{small, small, 5000, CUT_HEADERS},
		{small, large, 5000, CUT_VALUE | CUT_HEADERS},
		{large, small, 10, CUT_KEY},
		{large, large, 5000, CUT_KEY | CUT_VALUE | CUT_HEADERS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct message message = malformed(rows[i].key, rows[i].value, rows[i].header_bytes);
		assert_int_equal(letter_cuts(&message, "commands", &(struct bounds){.letter_bytes = 2000}), rows[i].cuts);
	}
}

static size_t to_a_tenth(struct slice bytes)
{
	return bytes.len / 10;
}

/* A value that compression makes small enough goes as it is. */
static void test_packed(void **state)
{
	static char bytes[10000];
	struct message message = malformed(SLICE_LIT("k"), slice_of(bytes, sizeof(bytes)), 0);
	struct bounds enough = {.letter_bytes = 2000, .packed_bytes = to_a_tenth};
	struct bounds too_few = {.letter_bytes = 1000, .packed_bytes = to_a_tenth};

	(void)state;
	assert_int_equal(letter_cuts(&message, "commands", &enough), 0);
	assert_int_equal(letter_cuts(&message, "commands", &too_few), CUT_VALUE);
	enough.packed_bytes = NULL;
	assert_int_equal(letter_cuts(&message, "commands", &enough), CUT_VALUE);
}

/* What fits by a byte is left alone. */
static void test_exactly(void **state)
{
	static char bytes[1000];
	struct message message = malformed(SLICE_LIT("k"), slice_of(bytes, sizeof(bytes)), 0);
	struct own_headers headers;

	(void)state;
	letter_headers(&message, "commands", 0, &headers);
	size_t size = record_batch_bytes(&message, message.value, 0, &headers);
	assert_int_equal(letter_cuts(&message, "commands", &(struct bounds){.letter_bytes = size}), 0);
	assert_int_equal(letter_cuts(&message, "commands", &(struct bounds){.letter_bytes = size - 1}), CUT_VALUE);
}

static void test_text(void **state)
{
	struct slice text = SLICE_LIT("ab\xe2\x82\xac"); /* a b € */

	(void)state;
	cut_text(&text, 5);
	assert_int_equal(text.len, 5);
	cut_text(&text, 4);
	assert_int_equal(text.len, 2);
	cut_text(&text, 0);
	assert_int_equal(text.len, 0);
}

/* --- results that are CloudEvents ------------------------------------------------------------------------------------------- */

static struct config event_config(const char *source)
{
	static char commands[] = "commands";
	return (struct config){.commands_topic = commands, .results_cloudevents_source = (char *)(uintptr_t)source};
}

static struct slice header_of(const struct own_headers *headers, const char *name)
{
	struct slice found = SLICE_NONE;

	for (uint32_t i = 0; i < headers->count; i++)
		if (strcmp(headers->list[i].name, name) == 0) {
			assert_null(found.base); /* each once */
			found = headers->list[i].value;
		}
	return found;
}

static void assert_header(const struct own_headers *headers, const char *name, const char *value)
{
	struct slice found = header_of(headers, name);

	if (value == NULL ? found.base != NULL : !slice_equal(found, slice_cstr(value)))
		fail_msg("%s is \"" SLICE_FMT "\"", name, SLICE_ARG(found));
}

static void test_event(void **state)
{
	struct message message = malformed(SLICE_LIT("k"), SLICE_LIT("v"), 0);
	struct config config = event_config("/crm");
	struct own_headers headers;

	(void)state;
	message.answer.processed_at_ms = INT64_C(1261161000007); /* 2009-12-18 */
	message.event_id = SLICE_LIT("command-7");
	result_headers(&message, 0, &config, &headers);
	assert_true(headers.replace);
	assert_header(&headers, "ce_specversion", "1.0");
	assert_header(&headers, "ce_id", "commands:3:1000");
	assert_header(&headers, "ce_source", "/crm");
	assert_header(&headers, "ce_type", "byunique.result.v1");
	assert_header(&headers, "ce_time", "2009-12-18T18:30:00.007Z");
	assert_header(&headers, "content-type", "application/avro");
	assert_header(&headers, "ce_causationid", "command-7");
	assert_string_equal(headers.list[headers.count - 1].name, "byunique.code"); /* ours are last, as ever */
	message.event_id = SLICE_LIT("\xFF");
	result_headers(&message, 0, &config, &headers);
	assert_header(&headers, "ce_causationid", NULL);
	message.event_id = SLICE_LIT("");
	result_headers(&message, 0, &config, &headers);
	assert_header(&headers, "ce_causationid", NULL);
}

/* Off, or where headers have to go: what there was before. */
static void test_no_event(void **state)
{
	struct message message = malformed(SLICE_LIT("k"), SLICE_LIT("v"), 10);
	struct config on = event_config("/crm"), off = event_config("");
	struct own_headers headers;

	(void)state;
	message.event_id = SLICE_LIT("command-7");
	result_headers(&message, 0, &off, &headers);
	assert_false(headers.replace);
	assert_int_equal(headers.count, 2);
	assert_header(&headers, "byunique.status", "400");
	assert_header(&headers, "byunique.code", "MalformedMessage");
	result_headers(&message, CUT_HEADERS, &on, &headers);
	assert_false(headers.replace);
	assert_int_equal(headers.count, 3);
	assert_header(&headers, "byunique.truncated", "headers");
	letter_headers(&message, "commands", 0, &headers);
	assert_false(headers.replace); /* a dead letter has its own headers back, whatever results look like */
	assert_header(&headers, "ce_id", NULL);
}

static void test_event_replaces(void **state)
{
	static const char *const gone[] = {"ce_id", "ce_", "ce_specversion", "ce_causationid", "ce_subject", "content-type"};
	static const char *const kept[] = {"ce", "CE_id", "ce-id", "content-type2", "Content-Type", "traceparent", "",
					   "ce_correlationid", "ce_traceparent", "ce_tracestate", "kafka_correlationId"};

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		assert_true(event_replaces(gone[i]));
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		assert_false(event_replaces(kept[i]));
}

/* Headers that are replaced take no room. */
static void test_replaced_bytes(void **state)
{
	struct message message = malformed(SLICE_NONE, SLICE_NONE, 300);
	struct own_headers none = {.count = 0};

	(void)state;
	message.header_count = 70; /* the count takes two bytes from 64 on */
	message.event_header_count = 30;
	message.event_header_bytes = 120;
	assert_int_equal(record_batch_bytes(&message, SLICE_NONE, 0, &none), 61 + 2 + 3 + 1 + 1 + 2 + 300);
	none.replace = true;
	assert_int_equal(record_batch_bytes(&message, SLICE_NONE, 0, &none), 61 + 2 + 3 + 1 + 1 + 1 + 180);
	assert_int_equal(record_batch_bytes(&message, SLICE_NONE, CUT_HEADERS, &none), 61 + 1 + 3 + 1 + 1 + 1);
}

static void test_weaknesses(void **state)
{
	static const struct {
		struct topic_settings settings;
		const char *setting; /* the only one; NULL: none */
		enum log_level level;
	} rows[] = {
		{{.known = true, .replication_factor = 3, .min_insync_replicas = 2}, NULL, LOG_INFO},
		{{.known = true, .replication_factor = 3, .min_insync_replicas = 1}, "min.insync.replicas", LOG_WARN},
		{{.known = true, .replication_factor = 1, .min_insync_replicas = 1}, "replication.factor", LOG_INFO},
		{{.known = true, .replication_factor = 3, .min_insync_replicas = 2, .unclean_election = true},
		 "unclean.leader.election.enable", LOG_WARN},
		{{.known = true, .replication_factor = 3, .min_insync_replicas = 2, .compacted = true}, "cleanup.policy", LOG_WARN},
		{{.known = false, .replication_factor = 1, .compacted = true}, NULL, LOG_INFO},
	};
	struct weakness weaknesses[WEAKNESSES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned count = topic_weaknesses(TOPIC_COMMANDS, &rows[i].settings, weaknesses);
		assert_int_equal(count, rows[i].setting != NULL);
		if (rows[i].setting == NULL)
			continue;
		assert_string_equal(weaknesses[0].setting, rows[i].setting);
		assert_int_equal(weaknesses[0].level, rows[i].level);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_alone), cmocka_unit_test(test_letters), cmocka_unit_test(test_exactly), cmocka_unit_test(test_packed),
		cmocka_unit_test(test_text),	     cmocka_unit_test(test_weaknesses),
		cmocka_unit_test(test_event),	     cmocka_unit_test(test_no_event),
		cmocka_unit_test(test_event_replaces), cmocka_unit_test(test_replaced_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
