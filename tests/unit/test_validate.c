/* Rows InvalidCustomerId to InvalidAttributeValue of the contract's table: each alone, and each before all that stand
 * below it. */
#include "byunique/stages.h"

#include "sample.h"
#include "values.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SAMPLES                                                                                                        \
	"[" SAMPLE_PHONE "," SAMPLE_PAIR ", {\"name\": \"Single\", \"type\": \"single-valued\", \"attributes\": "      \
					 "[{\"name\": \"a\", \"type\": \"string\"}]}"                                  \
	", {\"name\": \"Class\", \"type\": \"classifier\"}]"

struct fixture {
	struct catalogue *catalogue;
	struct arena arena;
	struct message message;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	f->catalogue = sample_catalogue(SAMPLES);
	arena_init(&f->arena);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	catalogue_drop(f->catalogue);
	arena_release(&f->arena);
	free(f);
	return 0;
}

#define ATTRIBUTE(n, v)                                                                                                \
	{                                                                                                              \
		{"" n, sizeof(n) - 1}, v                                                                               \
	}

static struct outcome validated(struct fixture *f, struct slice customer, struct slice ext,
				struct named_value *attributes, size_t count)
{
	f->message = (struct message){.decoded = true, .has_id = true};
	f->message.command = (struct command){.customer_id = customer,
					      .ext_name = ext,
					      .attributes = attributes,
					      .attribute_count = (uint32_t)count};
	validate_message(&f->message, f->catalogue, &f->arena);
	return f->message.outcome;
}

#define VALIDATED(f, customer, ext, ...)                                                                               \
	validated(f, SLICE_LIT(customer), SLICE_LIT(ext), (struct named_value[]){__VA_ARGS__},                         \
		  sizeof((struct named_value[]){__VA_ARGS__}) / sizeof(struct named_value))

static void assert_slice(struct slice slice, const char *text)
{
	assert_non_null(slice.base);
	assert_int_equal(slice.len, strlen(text));
	assert_memory_equal(slice.base, text, slice.len);
}

/* A refusal names the attribute where there is one, and leaves nothing to apply. */
static void assert_refused(const struct fixture *f, struct outcome outcome, enum outcome_code code,
			   const char *attribute)
{
	if (outcome.code != code)
		fail_msg("outcome %d instead of %d", (int)outcome.code, (int)code);
	assert_non_null(outcome.detail.base);
	assert_true(outcome.detail.len > 10);
	assert_int_equal(outcome.detail.base[outcome.detail.len - 1], '.');
	if (attribute == NULL)
		assert_null(outcome.attribute.base);
	else
		assert_slice(outcome.attribute, attribute);
	assert_null(f->message.extension);
	assert_null(f->message.cells);
	assert_null(f->message.key_cells);
}

#define NUMBER ATTRIBUTE("PhoneNumber", STRING("1"))

static void test_accepted(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = VALIDATED(f, "0000Sb5U97XE000Y", "pHONE", ATTRIBUTE("END_availabilty", NUL),
					   ATTRIBUTE("PHONENUMBER", STRING("3145926535")),
					   ATTRIBUTE("prefix", STRING("+33")), ATTRIBUTE("PhoneType", LONG(-5)));

	assert_int_equal(outcome.code, OUTCOME_NONE);
	assert_ptr_equal(f->message.extension, catalogue_find(f->catalogue, SLICE_LIT("Phone")));
	assert_int_equal(f->message.key_cells[0].attribute, 2);
	assert_slice(f->message.key_cells[0].text, "3145926535");
	assert_int_equal(f->message.cell_count, 3); /* sorted by attribute, none of them unique */
	assert_int_equal(f->message.cells[0].attribute, 0);
	assert_true(f->message.cells[0].integer == -5);
	assert_int_equal(f->message.cells[1].attribute, 1);
	assert_slice(f->message.cells[1].text, "+33");
	assert_int_equal(f->message.cells[2].attribute, 5);
	assert_true(f->message.cells[2].null);
	assert_false(f->message.cells[1].null);
}

static void test_unique_attributes_alone(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(VALIDATED(f, "c", "Phone", NUMBER).code, OUTCOME_NONE);
	assert_int_equal(f->message.cell_count, 0);
	assert_non_null(f->message.key_cells);
}

/* In the order of the schema's list, not of its attributes. */
static void test_composite_key(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = VALIDATED(f, "c", "Pair", ATTRIBUTE("first", INT(7)), ATTRIBUTE("flag", BOOL(true)),
					   ATTRIBUTE("second", INT(-1)));

	assert_int_equal(outcome.code, OUTCOME_NONE);
	assert_int_equal(f->message.key_cells[0].attribute, 3);
	assert_true(f->message.key_cells[0].decimal.negative);
	assert_int_equal(f->message.key_cells[1].attribute, 0);
	assert_true(f->message.key_cells[1].real == 7.0);
	assert_int_equal(f->message.cell_count, 1);
}

static void test_customer_id(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, VALIDATED(f, "", "Phone", NUMBER), OUTCOME_INVALID_CUSTOMER_ID, NULL);
	assert_refused(f, VALIDATED(f, "12345678901234567", "Phone", NUMBER), OUTCOME_INVALID_CUSTOMER_ID, NULL);
	assert_refused(f, VALIDATED(f, "a\0b", "Phone", NUMBER), OUTCOME_INVALID_CUSTOMER_ID, NULL);
	assert_refused(f, VALIDATED(f, "\0", "Phone", NUMBER), OUTCOME_INVALID_CUSTOMER_ID, NULL);
	assert_refused(f, VALIDATED(f, "1234567890123456é", "Phone", NUMBER), OUTCOME_INVALID_CUSTOMER_ID, NULL);
	assert_int_equal(VALIDATED(f, "1234567890123456", "Phone", NUMBER).code, OUTCOME_NONE);
	assert_int_equal(VALIDATED(f, "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "Phone", NUMBER).code, OUTCOME_NONE);
	assert_int_equal(VALIDATED(f, " ", "Phone", NUMBER).code, OUTCOME_NONE);
}

static void test_extension(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, VALIDATED(f, "c", "", NUMBER), OUTCOME_INVALID_EXTENSION_NAME, NULL);
	assert_refused(f, VALIDATED(f, "c", "1a", NUMBER), OUTCOME_INVALID_EXTENSION_NAME, NULL);
	assert_refused(f, VALIDATED(f, "c", "Phone ", NUMBER), OUTCOME_INVALID_EXTENSION_NAME, NULL);
	assert_refused(f, VALIDATED(f, "c", "Phone\0", NUMBER), OUTCOME_INVALID_EXTENSION_NAME, NULL);
	assert_refused(f, VALIDATED(f, "c", "Phoné", NUMBER), OUTCOME_INVALID_EXTENSION_NAME, NULL);
	assert_refused(f, VALIDATED(f, "c", "abcdefghijklmnopqrstuvwxyz0", NUMBER), OUTCOME_INVALID_EXTENSION_NAME,
		       NULL);
	assert_refused(f, VALIDATED(f, "c", "abcdefghijklmnopqrstuvwxyz", NUMBER), OUTCOME_EXTENSION_NOT_FOUND, NULL);
	assert_refused(f, VALIDATED(f, "c", "Phone2", NUMBER), OUTCOME_EXTENSION_NOT_FOUND, NULL);
	assert_refused(f, VALIDATED(f, "c", "SINGLE", ATTRIBUTE("a", STRING("x"))), OUTCOME_NOT_MULTI_VALUED, NULL);
	assert_refused(f, VALIDATED(f, "c", "class", ATTRIBUTE("a", STRING("x"))), OUTCOME_NOT_MULTI_VALUED, NULL);
}

static void test_attributes(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("Colour", INT(1))), OUTCOME_UNKNOWN_ATTRIBUTE,
		       "Colour");
	assert_refused(f, VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("", INT(1))), OUTCOME_UNKNOWN_ATTRIBUTE, "");
	assert_refused(f, VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("customer_id", STRING("x"))),
		       OUTCOME_UNKNOWN_ATTRIBUTE, "customer_id");
	assert_refused(f, VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("prefix", NUL), ATTRIBUTE("PREFIX", NUL)),
		       OUTCOME_DUPLICATE_ATTRIBUTE, "prefix");
	assert_refused(f, VALIDATED(f, "c", "Phone", NUMBER, NUMBER), OUTCOME_DUPLICATE_ATTRIBUTE, "PhoneNumber");
	assert_refused(f, VALIDATED(f, "c", "Phone", ATTRIBUTE("prefix", STRING("1"))),
		       OUTCOME_MISSING_UNIQUE_ATTRIBUTE, "PhoneNumber");
	assert_refused(f, VALIDATED(f, "c", "Phone", ATTRIBUTE("phonenumber", NUL)), OUTCOME_MISSING_UNIQUE_ATTRIBUTE,
		       "PhoneNumber");
	assert_refused(f, validated(f, SLICE_LIT("c"), SLICE_LIT("Phone"), NULL, 0), OUTCOME_MISSING_UNIQUE_ATTRIBUTE,
		       "PhoneNumber");
	assert_refused(f, VALIDATED(f, "c", "Pair", ATTRIBUTE("second", INT(1))), OUTCOME_MISSING_UNIQUE_ATTRIBUTE,
		       "First");
	assert_refused(f,
		       VALIDATED(f, "c", "Pair", ATTRIBUTE("second", INT(1)), ATTRIBUTE("first", INT(1)),
				 ATTRIBUTE("must", NUL)),
		       OUTCOME_MANDATORY_ATTRIBUTE, "Must");
	assert_refused(f, VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("PhoneType", STRING("5"))),
		       OUTCOME_INVALID_ATTRIBUTE_VALUE, "PhoneType");
	assert_refused(f, VALIDATED(f, "c", "Phone", ATTRIBUTE("PhoneNumber", INT(5))), OUTCOME_INVALID_ATTRIBUTE_VALUE,
		       "PhoneNumber");
	assert_refused(f, VALIDATED(f, "c", "Phone", ATTRIBUTE("PhoneNumber", STRING("123456789012345678901"))),
		       OUTCOME_INVALID_ATTRIBUTE_VALUE, "PhoneNumber");
}

/* As sent: whoever stores it sees to what PostgreSQL does not take. The detail is stored as it is. */
static void test_unknown_name_of_any_bytes(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("a\0b", INT(1)));

	assert_int_equal(outcome.code, OUTCOME_UNKNOWN_ATTRIBUTE);
	assert_true(slice_equal(outcome.attribute, SLICE_LIT("a\0b")));
	assert_null(memchr(outcome.detail.base, '\0', outcome.detail.len));
}

/* A command with every fault there is; each fault taken away in the contract's order uncovers the next. */
static void test_precedence(void **state)
{
	struct fixture *f = *state;
	struct named_value attributes[] = {
		ATTRIBUTE("flag", INT(1)),						    /* InvalidAttributeValue */
		ATTRIBUTE("must", NUL),							    /* MandatoryAttribute */
		ATTRIBUTE("second", NUL),						    /* MissingUniqueAttribute */
		ATTRIBUTE("first", INT(1)), ATTRIBUTE("note", NUL), ATTRIBUTE("NOTE", NUL), /* DuplicateAttribute */
		ATTRIBUTE("unknown", NUL),						    /* UnknownAttribute */
	};
	struct slice customer = SLICE_LIT(""), ext = SLICE_LIT("no name");

	assert_refused(f, validated(f, customer, ext, attributes, 7), OUTCOME_INVALID_CUSTOMER_ID, NULL);
	customer = SLICE_LIT("c");
	assert_refused(f, validated(f, customer, ext, attributes, 7), OUTCOME_INVALID_EXTENSION_NAME, NULL);
	ext = SLICE_LIT("None");
	assert_refused(f, validated(f, customer, ext, attributes, 7), OUTCOME_EXTENSION_NOT_FOUND, NULL);
	ext = SLICE_LIT("Single");
	assert_refused(f, validated(f, customer, ext, attributes, 7), OUTCOME_NOT_MULTI_VALUED, NULL);
	ext = SLICE_LIT("Pair");
	assert_refused(f, validated(f, customer, ext, attributes, 7), OUTCOME_UNKNOWN_ATTRIBUTE, "unknown");
	assert_refused(f, validated(f, customer, ext, attributes, 6), OUTCOME_DUPLICATE_ATTRIBUTE, "Note");
	assert_refused(f, validated(f, customer, ext, attributes, 5), OUTCOME_MISSING_UNIQUE_ATTRIBUTE, "Second");
	attributes[2].value = DOUBLE(1); /* present, though wrong */
	assert_refused(f, validated(f, customer, ext, attributes, 5), OUTCOME_MANDATORY_ATTRIBUTE, "Must");
	attributes[1].value = STRING("x");
	assert_refused(f, validated(f, customer, ext, attributes, 5), OUTCOME_INVALID_ATTRIBUTE_VALUE, "Second");
	attributes[2].value = INT(1);
	assert_refused(f, validated(f, customer, ext, attributes, 5), OUTCOME_INVALID_ATTRIBUTE_VALUE, "Flag");
	attributes[0].value = BOOL(false);
	assert_int_equal(validated(f, customer, ext, attributes, 5).code, OUTCOME_NONE);
}

/* Details are published and logged: they hold no value. */
static void test_details_hold_no_value(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = VALIDATED(f, "c", "Phone", NUMBER, ATTRIBUTE("prefix", STRING("SECRET")));

	assert_refused(f, outcome, OUTCOME_INVALID_ATTRIBUTE_VALUE, "prefix");
	assert_null(memmem(outcome.detail.base, outcome.detail.len, "SECRET", 6));
	assert_non_null(memmem(outcome.detail.base, outcome.detail.len, "prefix", 6));
}

/* What other stages decided stays: only messages that were decoded and have no other outcome are looked at. */
static void test_decided_elsewhere(void **state)
{
	static const enum outcome_code codes[] = {OUTCOME_MALFORMED_MESSAGE, OUTCOME_INVALID_COMMAND_ID,
						  OUTCOME_INTERNAL_ERROR};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		f->message = (struct message){.decoded = codes[i] != OUTCOME_MALFORMED_MESSAGE};
		f->message.outcome = (struct outcome){.code = codes[i], .detail = SLICE_LIT("x")};
		validate_message(&f->message, f->catalogue, &f->arena);
		assert_int_equal(f->message.outcome.code, codes[i]);
		assert_slice(f->message.outcome.detail, "x");
	}
}

static struct batch *one_command(struct named_value *attributes, uint32_t count)
{
	struct batch *batch = batch_new(1);
	batch->count = 1;
	batch->messages[0].decoded = true;
	batch->messages[0].command = (struct command){.customer_id = SLICE_LIT("c"),
						      .ext_name = SLICE_LIT("Phone"),
						      .attributes = attributes,
						      .attribute_count = count};
	return batch;
}

/* A newer catalogue: everything is decided anew, in either direction, and the older one is let go. */
static void test_again_with_another_catalogue(void **state)
{
	struct fixture *f = *state;
	struct catalogue *other =
		sample_catalogue("{\"name\": \"PHONE\", \"type\": \"multi-valued\", \"unique\": [\"n\"],"
				 "\"attributes\": [{\"name\": \"n\", \"type\": \"integer\"}]}");
	struct named_value number = NUMBER;
	struct batch *batch = one_command(&number, 1);
	struct message *message = &batch->messages[0];

	validate_batch(batch, f->catalogue);
	assert_int_equal(message->outcome.code, OUTCOME_NONE);
	assert_int_equal(f->catalogue->refs, 2);
	validate_batch(batch, other);
	assert_int_equal(message->outcome.code, OUTCOME_UNKNOWN_ATTRIBUTE);
	assert_null(message->extension);
	assert_int_equal(message->cell_count, 0);
	assert_int_equal(f->catalogue->refs, 1);
	assert_int_equal(other->refs, 2);
	assert_ptr_equal(batch->catalogue, other);
	validate_batch(batch, other); /* the same once more */
	assert_int_equal(other->refs, 2);
	validate_batch(batch, f->catalogue);
	assert_int_equal(message->outcome.code, OUTCOME_NONE);
	assert_null(message->outcome.attribute.base);
	assert_non_null(message->extension);
	catalogue_drop(other);
	batch_free(batch);
	assert_int_equal(f->catalogue->refs, 1);
}

/* The name of the attribute at fault outlives the catalogue. */
static void test_outcome_outlives_catalogue(void **state)
{
	struct named_value attributes[] = {ATTRIBUTE("prefix", STRING("1"))};
	struct catalogue *catalogue = sample_catalogue(SAMPLE_PHONE);
	struct batch *batch = one_command(attributes, 1);

	(void)state;
	validate_batch(batch, catalogue);
	catalogue_drop(catalogue);
	catalogue_drop(batch->catalogue);
	batch->catalogue = NULL;
	assert_slice(batch->messages[0].outcome.attribute, "PhoneNumber");
	batch_free(batch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_accepted),
		TEST(test_unique_attributes_alone),
		TEST(test_composite_key),
		TEST(test_customer_id),
		TEST(test_extension),
		TEST(test_attributes),
		TEST(test_unknown_name_of_any_bytes),
		TEST(test_precedence),
		TEST(test_details_hold_no_value),
		TEST(test_decided_elsewhere),
		TEST(test_again_with_another_catalogue),
		TEST(test_outcome_outlives_catalogue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
