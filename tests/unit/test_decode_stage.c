/* From bytes to commands: what is decided of a batch before anything is known of its extensions. */
#include "byunique/stages.h"

#include "values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MESSAGES = 5 };

static const char *const ids[MESSAGES] = {"6f9619ff-8b86-d011-b42d-00c04fc964ff",
					  "6F9619FF-8B86-D011-B42D-00C04FC964FF", "",
					  "6f9619ff8b86d011b42d00c04fc964ff", "6f9619ff-8b86-d011-b42d-00c04fc964f0"};

struct fixture {
	struct schemas *schemas;
	struct batch *batch;
	struct partition partition;
	struct buf bytes[MESSAGES];
	struct message_limits limits;
};

static int set_up(void **state)
{
	static struct named_value number = {{"n", 1}, {.kind = VALUE_INT, .integer = 5}};
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err;

	if (!schemas_open(&f->schemas, NULL, false, &err))
		fail_msg("%s", err.what);
	f->limits = (struct message_limits){.message_bytes = 1000, .header_bytes = 1000, .attributes = 1};
	f->batch = batch_new(MESSAGES);
	f->batch->count = MESSAGES;
	for (int i = 0; i < MESSAGES; i++) {
		struct command command = {.command_id = slice_cstr(ids[i]),
					  .customer_id = SLICE_LIT("c"),
					  .ext_name = SLICE_LIT("Phone"),
					  .attributes = &number,
					  .attribute_count = 1};
		command_encode(f->schemas, &command, &f->bytes[i]);
		f->batch->messages[i].value = buf_slice(&f->bytes[i]);
		f->batch->messages[i].partition = &f->partition;
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	batch_free(f->batch);
	schemas_close(f->schemas);
	for (int i = 0; i < MESSAGES; i++)
		buf_release(&f->bytes[i]);
	free(f);
	return 0;
}

static struct message *decoded(struct fixture *f)
{
	struct err err;
	assert_true(decode_batch(f->batch, f->schemas, &f->limits, &err));
	return f->batch->messages;
}

static void test_ids(void **state)
{
	static const bool is_id[MESSAGES] = {true, true, false, false, true};
	struct message *messages = decoded(*state);

	for (int i = 0; i < MESSAGES; i++) {
		assert_true(messages[i].decoded);
		assert_int_equal(messages[i].has_id, is_id[i]);
		assert_int_equal(messages[i].outcome.code, is_id[i] ? OUTCOME_NONE : OUTCOME_INVALID_COMMAND_ID);
		assert_int_equal(messages[i].outcome.detail.base != NULL, !is_id[i]);
		/* Echoed as sent. */
		assert_true(slice_equal(messages[i].command.command_id, slice_cstr(ids[i])));
	}
	assert_memory_equal(&messages[0].id, &messages[1].id, sizeof(struct uuid)); /* compared without case */
	assert_memory_not_equal(&messages[0].id, &messages[4].id, sizeof(struct uuid));
	assert_memory_equal(&messages[0].content, &messages[4].content, sizeof(struct content_hash));
}

static void test_malformed_ones_do_not_spoil_others(void **state)
{
	struct fixture *f = *state;

	f->batch->messages[0].value = SLICE_NONE;
	f->batch->messages[1].value = SLICE_LIT("");
	f->batch->messages[3].value.len--;
	struct message *messages = decoded(f);
	for (int i = 0; i < 4; i++) {
		if (i == 2)
			continue;
		assert_int_equal(messages[i].outcome.code, OUTCOME_MALFORMED_MESSAGE);
		assert_false(messages[i].decoded);
		assert_false(messages[i].has_id);
		assert_non_null(messages[i].outcome.detail.base);
	}
	assert_int_equal(messages[4].outcome.code, OUTCOME_NONE);
	assert_true(messages[4].has_id);
}

/* A batch may pass twice; what is done stays as it is. */
static void test_again(void **state)
{
	struct message *messages = decoded(*state);
	const struct named_value *before = messages[0].command.attributes;

	decoded(*state);
	assert_ptr_equal(messages[0].command.attributes, before);
	assert_int_equal(messages[2].outcome.code, OUTCOME_INVALID_COMMAND_ID);
}

static void assert_refused(const struct message *message, const char *limit)
{
	assert_int_equal(message->outcome.code, OUTCOME_MALFORMED_MESSAGE);
	assert_false(message->decoded);
	if (strstr(message->outcome.detail.base, limit) == NULL)
		fail_msg("\"%s\" does not name %s", message->outcome.detail.base, limit);
}

/* At the limit a message passes, a byte or an attribute more and it doesn't, and says which limit it is. */
static void test_limits(void **state)
{
	struct fixture *f = *state;
	struct message *messages = f->batch->messages;
	size_t bytes = messages[0].value.len;

	f->limits = (struct message_limits){.message_bytes = bytes + 3, .header_bytes = 20, .attributes = 1};
	messages[0].key = SLICE_LIT("key");
	messages[1].key = SLICE_LIT("keys");
	messages[3].header_bytes = 20;
	messages[4].header_bytes = 21;
	decoded(f);
	assert_int_equal(messages[0].outcome.code, OUTCOME_NONE);
	assert_refused(&messages[1], "limit.message.bytes");
	assert_true(messages[3].decoded);
	assert_refused(&messages[4], "limit.headers.bytes");
}

static void test_limit_of_attributes(void **state)
{
	struct fixture *f = *state;

	f->limits.attributes = 0;
	struct message *messages = decoded(f);
	for (int i = 0; i < MESSAGES; i++)
		assert_refused(&messages[i], "limit.attributes");
}

/* What was processed is decoded as it was then: its result has to be the same. */
static void test_limits_say_nothing_of_repeats(void **state)
{
	struct fixture *f = *state;

	f->limits = (struct message_limits){0};
	f->partition.next_offset = 2;
	for (int i = 0; i < MESSAGES; i++) {
		f->batch->messages[i].offset = i;
		f->batch->messages[i].header_bytes = 1;
	}
	struct message *messages = decoded(f);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(messages[i].decoded, i < 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ids),
		TEST(test_malformed_ones_do_not_spoil_others),
		TEST(test_again),
		TEST(test_limits),
		TEST(test_limit_of_attributes),
		TEST(test_limits_say_nothing_of_repeats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
