/* Plans: one case for each rule, and random batches against a model that applies one command after the other.
 *
 * What counts is what a database does with a plan: so plans are carried out here on a small one in memory, and every
 * message's answer and every record have to be those of the model. */
#include "byunique/stages.h"

#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* E: unique (k, d); a, b, c are stored. F: another one, unique (k). */
#define EXTENSIONS                                                                                                     \
	"[{\"name\": \"E\", \"type\": \"multi-valued\", \"unique\": [\"k\", \"d\"], \"attributes\": ["                 \
	"{\"name\": \"a\", \"type\": \"integer\"}, {\"name\": \"k\", \"type\": \"string\"}, {\"name\": \"b\", "        \
	"\"type\": \"integer\"},"                                                                                      \
	"{\"name\": \"d\", \"type\": \"double\"}, {\"name\": \"c\", \"type\": \"integer\"}]},"                         \
	"{\"name\": \"F\", \"type\": \"multi-valued\", \"unique\": [\"k\"], \"attributes\": ["                         \
	"{\"name\": \"k\", \"type\": \"string\"}, {\"name\": \"a\", \"type\": \"integer\"}]}]"

enum { MOST = 64 };

struct fixture {
	struct catalogue *catalogue;
	struct partition partitions[2];
	struct batch *batch;
	struct span span;
	struct plan plan;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->catalogue = sample_catalogue(EXTENSIONS);
	f->batch = batch_new(MOST);
	f->partitions[0].id = 1;
	f->partitions[1].id = 2;
	f->span.batch = f->batch;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	batch_free(f->batch);
	catalogue_drop(f->catalogue);
	free(f);
	return 0;
}

/* --- batches --------------------------------------------------------------------------------------------------- */

/* "a=1 b=- k=x d=2.5": b is null; ids and contents are numbers. What decode, validate and recall leave behind. */
static struct message *add(struct fixture *f, uint8_t id, uint8_t content, const char *customer, const char *ext,
			   const char *attributes)
{
	struct named_value values[8];
	struct message *message = &f->batch->messages[f->batch->count];
	uint32_t count = 0;

	attributes = arena_cstr(&f->batch->arena, slice_cstr(attributes)); /* cells are views of it */
	for (const char *p = attributes; *p != '\0'; p += strcspn(p, " "), p += strspn(p, " ")) {
		struct value value = {.kind = VALUE_INT, .integer = atoi(p + 2)};
		if (strcspn(p, " ") == 3 && p[2] == '-')
			value = (struct value){.kind = VALUE_NULL};
		else if (p[0] == 'k')
			value = (struct value){.kind = VALUE_STRING, .string = slice_of(p + 2, strcspn(p + 2, " "))};
		else if (p[0] == 'd')
			value = (struct value){.kind = VALUE_DOUBLE, .real = atof(p + 2)};
		values[count++] = (struct named_value){slice_of(p, 1), value};
	}
	*message = (struct message){.partition = &f->partitions[0],
				    .offset = f->batch->count,
				    .decoded = true,
				    .has_id = true};
	memset(&message->id, id, sizeof(message->id));
	memset(&message->content, content, sizeof(message->content));
	message->same_as = NO_MESSAGE;
	message->command = (struct command){.customer_id = slice_cstr(customer),
					    .ext_name = slice_cstr(ext),
					    .attributes = values,
					    .attribute_count = count};
	validate_message(message, f->catalogue, &f->batch->arena);
	message->command.attributes = NULL;
	message->answer = message->outcome;
	f->span.end = ++f->batch->count;
	return message;
}

static void plan(struct fixture *f)
{
	plan_span(&f->span, &f->plan);
}

static const struct change *only_change(const struct fixture *f)
{
	assert_int_equal(f->plan.group_count, 1);
	assert_int_equal(f->plan.groups[0].change_count, 1);
	return &f->plan.groups[0].changes[0];
}

/* --- one by one ------------------------------------------------------------------------------------------------ */

static void test_empty(void **state)
{
	struct fixture *f = *state;

	plan(f);
	assert_int_equal(f->plan.group_count, 0);
	assert_int_equal(f->plan.planned, 0);
	add(f, 1, 1, "", "E", "")->state = MESSAGE_NEW; /* refused by validate */
	add(f, 2, 2, "c", "E", "k=x d=1 a=1")->state = MESSAGE_REPEATED;
	add(f, 3, 3, "c", "E", "k=x d=1 a=1")->answer.code = OUTCOME_DUPLICATE;
	plan(f);
	assert_int_equal(f->plan.planned, 0);
	assert_int_equal(f->span.end, 3);
}

static void test_folding(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=1 a=1 b=2");
	add(f, 2, 2, "c", "E", "k=x d=1 b=- c=4");
	add(f, 3, 3, "c", "E", "k=x d=1");
	add(f, 4, 4, "c", "E", "k=x d=1 a=9");
	plan(f);
	const struct change *change = only_change(f);
	assert_int_equal(change->message, 0);
	assert_int_equal(change->cell_count, 3);
	assert_int_equal(change->cells[0].attribute, 0);
	assert_true(change->cells[0].integer == 9);
	assert_int_equal(change->cells[1].attribute, 2);
	assert_true(change->cells[1].null);
	assert_int_equal(change->cells[2].attribute, 4);
	assert_true(change->cells[2].integer == 4);
	const struct group *group = &f->plan.groups[0];
	assert_int_equal(group->folded_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(group->folded[i].message, i + 1);
		assert_int_equal(group->folded[i].change, 0);
	}
	assert_int_equal(f->plan.planned, 4);
	assert_int_equal(columns_count(&group->columns), 3);
	assert_true(columns_has(&group->columns, 0) && columns_has(&group->columns, 2) &&
		    columns_has(&group->columns, 4));
}

/* Folding leaves the messages' own cells alone: a span is planned again after a failure. */
static void test_planned_again(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=1 a=1 b=2");
	add(f, 2, 2, "c", "E", "k=x d=1 a=3");
	plan(f);
	f->span.end = 1;
	plan(f);
	const struct change *change = only_change(f);
	assert_int_equal(change->cell_count, 2);
	assert_true(change->cells[0].integer == 1);
	assert_int_equal(f->plan.groups[0].folded_count, 0);
	f->span = (struct span){f->batch, 1, 2};
	plan(f);
	change = only_change(f);
	assert_int_equal(change->message, 1);
	assert_int_equal(change->cell_count, 1);
}

/* What is equal for PostgreSQL is the same record: -0 and 0; but not "x" and "X", nor two customers. */
static void test_same_record(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=0 a=1");
	add(f, 2, 2, "c", "E", "k=x d=-0 a=2");
	plan(f);
	assert_true(only_change(f)->cells[0].integer == 2);
	add(f, 3, 3, "c", "E", "k=X d=0 a=3");
	add(f, 4, 4, "C", "E", "k=x d=0 a=4");
	add(f, 5, 5, "c", "E", "k=x d=5 a=5");
	add(f, 6, 6, "c", "F", "k=x a=6");
	plan(f);
	assert_int_equal(f->plan.group_count, 2);
	assert_int_equal(f->plan.groups[0].change_count + f->plan.groups[1].change_count, 5);
}

/* The next batch asks for its own ids, those of messages that are elsewhere in memory. */
static void test_ids_that_may_take_effect(void **state)
{
	struct fixture *f = *state;
	struct message other = {.has_id = true, .partition = &f->partitions[0]};

	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	add(f, 2, 2, "", "E", "k=x d=1 a=1"); /* refused */
	add(f, 3, 3, "c", "E", "k=x d=1 a=1")->state = MESSAGE_REPEATED;
	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	plan(f);
	for (uint8_t id = 0; id < 5; id++) {
		memset(&other.id, id, sizeof(other.id));
		assert_int_equal(plan_has_id(&f->plan, f->batch, &other), id == 1);
	}
	memset(&other.id, 1, sizeof(other.id));
	other.partition = &f->partitions[1];
	assert_false(plan_has_id(&f->plan, f->batch, &other));
}

static void test_several_extensions(void **state)
{
	struct fixture *f = *state;

	for (uint8_t i = 0; i < 3; i++) {
		add(f, (uint8_t)(4 * i), i, "c", "F", "k=x a=1");
		add(f, (uint8_t)(4 * i + 1), i, "c", "E", "k=x d=1 b=1");
		add(f, (uint8_t)(4 * i + 2), i, "b", "F", "k=x a=1");
		add(f, (uint8_t)(4 * i + 3), i, "c", "E", "k=x d=1");
	}
	plan(f);
	assert_int_equal(f->plan.group_count, 2);
	assert_int_equal(f->plan.planned, 12);
	for (uint32_t g = 0; g < 2; g++) {
		const struct group *group = &f->plan.groups[g];
		bool is_f = strcmp(group->extension->name, "F") == 0;
		assert_int_equal(g, is_f); /* in the catalogue's order, for every worker */
		assert_int_equal(group->change_count, is_f ? 2 : 1);
		assert_int_equal(group->folded_count, is_f ? 4 : 5);
		assert_int_equal(columns_count(&group->columns), 1);
		for (uint32_t i = 0; i < group->folded_count; i++) {
			const struct message *message = &f->batch->messages[group->folded[i].message];
			const struct change *change = &group->changes[group->folded[i].change];
			assert_ptr_equal(message->extension, group->extension);
			assert_true(slice_equal(message->command.customer_id,
						f->batch->messages[change->message].command.customer_id));
			assert_true(group->folded[i].message > change->message);
		}
	}
}

static void test_sorted(void **state)
{
	static const char *const customers[] = {
		"customer-of-16-b", "b", "customer-of-16-a", "a", "customer", "aa", "é", "\x7F"};
	struct fixture *f = *state;

	for (uint8_t i = 0; i < 8; i++) {
		add(f, (uint8_t)(2 * i), i, customers[i], "E", "k=y d=1 a=1");
		add(f, (uint8_t)(2 * i + 1), i, customers[i], "E", "k=x d=2 a=1");
		add(f, (uint8_t)(2 * i + 100), i, customers[i], "E", "k=x d=1 a=1");
	}
	plan(f);
	const struct group *group = &f->plan.groups[0];
	assert_int_equal(group->change_count, 24);
	for (uint32_t i = 1; i < 24; i++) {
		const struct message *a = &f->batch->messages[group->changes[i - 1].message];
		const struct message *b = &f->batch->messages[group->changes[i].message];
		int order = slice_compare(a->command.customer_id, b->command.customer_id);
		if (order == 0)
			order = slice_compare(a->key_cells[0].text, b->key_cells[0].text);
		if (order == 0)
			order = a->key_cells[1].real < b->key_cells[1].real ? -1 : 1;
		assert_true(order < 0);
	}
}

static void test_repeated_id(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	add(f, 2, 2, "c", "E", "k=x d=1 a=2");
	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	plan(f);
	assert_int_equal(f->span.end, 4);
	assert_int_equal(f->batch->messages[2].same_as, 0);
	assert_int_equal(f->batch->messages[3].same_as, 0);
	assert_int_equal(f->batch->messages[1].same_as, NO_MESSAGE);
	assert_int_equal(f->plan.planned, 2);
	assert_true(only_change(f)->cells[0].integer == 2); /* the repeat does not take effect again */
}

static void test_id_with_other_content(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	add(f, 2, 2, "c", "E", "k=x d=1 a=2");
	add(f, 1, 3, "c", "E", "k=x d=1 a=3");
	add(f, 4, 4, "c", "E", "k=x d=1 a=4");
	plan(f);
	assert_int_equal(f->span.end, 2);
	assert_int_equal(f->plan.planned, 2);
	f->span = (struct span){f->batch, 2, 4};
	plan(f);
	assert_int_equal(f->span.end, 4);
	assert_int_equal(f->plan.planned, 2);
	assert_int_equal(f->batch->messages[2].same_as, NO_MESSAGE);
}

/* A refused command outranks nothing, but a known id outranks its refusal: so it waits for the first one's fate. */
static void test_id_of_a_refused_command(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "", "E", "k=x d=1 a=1"); /* refused first: the id is free */
	add(f, 1, 2, "c", "E", "k=x d=1 a=2");
	plan(f);
	assert_int_equal(f->span.end, 2);
	assert_int_equal(f->plan.planned, 1);
	add(f, 1, 1, "", "E", "k=x d=1 a=1"); /* refused after it */
	plan(f);
	assert_int_equal(f->span.end, 2);
}

/* 5 and 5.0 are the same content, but not both are of an integer attribute's type. */
static void test_id_of_a_refused_command_with_the_same_content(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=1 a=5");
	add(f, 1, 1, "c", "E", "k=x d=1 a=5")->answer.code = OUTCOME_INVALID_ATTRIBUTE_VALUE;
	plan(f);
	assert_int_equal(f->span.end, 1);
	assert_int_equal(f->plan.planned, 1);
}

/* Ids are scoped to their partition. */
static void test_id_in_another_partition(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, "c", "E", "k=x d=1 a=1");
	add(f, 1, 2, "c", "E", "k=x d=1 a=2")->partition = &f->partitions[1];
	plan(f);
	assert_int_equal(f->span.end, 2);
	assert_int_equal(f->plan.planned, 2);
	assert_int_equal(f->batch->messages[1].same_as, NO_MESSAGE);
}

/* --- random batches against a model ---------------------------------------------------------------------------- */

enum { CUSTOMERS = 3, KEYS = 2, COLUMNS = 5, IDS = 40, CLEARED = -1000 };

/* Records by customer and key; a record that is not there has its flag not set. Ids that took effect, with their
 * content. */
struct table {
	bool there[CUSTOMERS][KEYS];
	int values[CUSTOMERS][KEYS][COLUMNS];
	int effective[IDS]; /* content; 0: not yet */
};

static const char *const customer_names[CUSTOMERS] = {"a", "customer-of-16-a", "customer-of-16-b"};

static void where(const struct message *message, int *customer, int *key)
{
	for (*customer = 0; !slice_equal(message->command.customer_id, slice_cstr(customer_names[*customer]));
	     ++*customer)
		;
	*key = message->key_cells[0].text.base[0] - '0';
}

static void store(struct table *table, int customer, int key, const struct cell *cells, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		table->values[customer][key][cells[i].attribute] = cells[i].null ? CLEARED : (int)cells[i].integer;
}

/* The contract, one command after the other. */
static enum outcome_code model_answer(struct table *table, const struct message *message)
{
	int *effective = &table->effective[message->id.bytes[0]], customer, key;

	if (*effective != 0)
		return *effective == message->content.bytes[0] ? OUTCOME_DUPLICATE : OUTCOME_COMMAND_ID_REUSED;
	if (message->outcome.code != OUTCOME_NONE)
		return message->outcome.code;
	where(message, &customer, &key);
	if (!table->there[customer][key])
		return OUTCOME_RECORD_NOT_FOUND;
	store(table, customer, key, message->cells, message->cell_count);
	*effective = message->content.bytes[0];
	return OUTCOME_DONE;
}

/* What recall does: known ids. */
static void recall(const struct table *table, const struct span *span)
{
	for (uint32_t i = span->begin; i < span->end; i++) {
		struct message *message = &span->batch->messages[i];
		int effective = table->effective[message->id.bytes[0]];
		message->same_as = NO_MESSAGE;
		message->answer = message->outcome;
		if (effective != 0)
			message->answer.code =
				effective == message->content.bytes[0] ? OUTCOME_DUPLICATE : OUTCOME_COMMAND_ID_REUSED;
	}
}

static void take_effect(struct table *table, struct message *message, bool found)
{
	message->answer.code = found ? OUTCOME_DONE : OUTCOME_RECORD_NOT_FOUND;
	if (found)
		table->effective[message->id.bytes[0]] = message->content.bytes[0];
}

/* What apply does: each change once, its folded commands share its fate, repeats share their first one's. */
static void carry_out(struct table *table, const struct span *span, const struct plan *plan)
{
	struct message *messages = span->batch->messages;

	for (uint32_t g = 0; g < plan->group_count; g++) {
		const struct group *group = &plan->groups[g];
		for (uint32_t c = 0; c < group->change_count; c++) {
			const struct change *change = &group->changes[c];
			assert_int_equal(change->cell_count > 0, columns_count(&group->columns) > 0);
			int customer, key;
			where(&messages[change->message], &customer, &key);
			if (table->there[customer][key])
				store(table, customer, key, change->cells, change->cell_count);
			take_effect(table, &messages[change->message], table->there[customer][key]);
		}
		for (uint32_t i = 0; i < group->folded_count; i++) {
			const struct message *first = &messages[group->changes[group->folded[i].change].message];
			take_effect(table, &messages[group->folded[i].message], first->answer.code == OUTCOME_DONE);
		}
	}
	for (uint32_t i = span->begin; i < span->end; i++)
		if (messages[i].same_as != NO_MESSAGE) {
			messages[i].answer = messages[messages[i].same_as].answer;
			if (messages[i].answer.code == OUTCOME_DONE)
				messages[i].answer.code = OUTCOME_DUPLICATE;
		}
}

/* The pipeline's loop over the spans of a batch. */
static void process(struct fixture *f, struct table *table)
{
	struct span span = {f->batch, 0, f->batch->count};

	while (span.begin < f->batch->count) {
		recall(table, &span);
		plan_span(&span, &f->plan);
		assert_true(span.end > span.begin); /* it gets on */
		carry_out(table, &span, &f->plan);
		span.begin = span.end;
		span.end = f->batch->count;
	}
}

static int random_below(unsigned *seed, int bound)
{
	return rand_r(seed) / 7 % bound;
}

/* Content follows from the number, so that equal contents mean equal commands: some are refused. */
static void add_random(struct fixture *f, unsigned *seed, uint8_t id)
{
	int content = 1 + random_below(seed, random_below(seed, 2) ? 3 : 60);
	unsigned of_content = (unsigned)content * 2654435761u;
	int customer = random_below(&of_content, CUSTOMERS), key = random_below(&of_content, KEYS);
	char text[100];
	int len = snprintf(text, sizeof(text), "k=%d d=1", key);

	for (int a = 0; a < 3; a++)
		if (random_below(&of_content, 2))
			len += snprintf(text + len, sizeof(text) - (size_t)len,
					random_below(&of_content, 5) ? " %c=%d" : " %c=-", "abc"[a], content * 10 + a);
	if (random_below(&of_content, 8) == 0)
		snprintf(text + len, sizeof(text) - (size_t)len, " z=1");
	struct message *message = add(f, id, (uint8_t)content, customer_names[customer], "E", text);
	assert_true(message->outcome.code == OUTCOME_NONE || message->outcome.code == OUTCOME_UNKNOWN_ATTRIBUTE);
}

static void random_batch(struct fixture *f, unsigned seed)
{
	struct table model = {0}, table;
	enum outcome_code expected[MOST];
	int count = 1 + random_below(&seed, MOST), id_count = 1 + random_below(&seed, IDS);

	for (int customer = 0; customer < CUSTOMERS; customer++)
		for (int key = 0; key < KEYS; key++)
			model.there[customer][key] = random_below(&seed, 3) > 0;
	if (random_below(&seed, 2))
		model.effective[0] = 1 + random_below(&seed, 3);
	table = model;
	batch_clear(f->batch);
	for (int i = 0; i < count; i++)
		add_random(f, &seed, (uint8_t)random_below(&seed, id_count));
	for (int i = 0; i < count; i++)
		expected[i] = model_answer(&model, &f->batch->messages[i]);
	process(f, &table);
	for (int i = 0; i < count; i++)
		if (f->batch->messages[i].answer.code != expected[i])
			fail_msg("message %d of %d is answered %d instead of %d", i, count,
				 (int)f->batch->messages[i].answer.code, (int)expected[i]);
	assert_memory_equal(table.values, model.values, sizeof(model.values));
	assert_memory_equal(table.effective, model.effective, sizeof(model.effective));
}

static void test_random_batches(void **state)
{
	for (unsigned seed = 1; seed <= 3000; seed++)
		random_batch(*state, seed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_folding),
		TEST(test_planned_again),
		TEST(test_same_record),
		TEST(test_sorted),
		TEST(test_repeated_id),
		TEST(test_id_with_other_content),
		TEST(test_id_of_a_refused_command),
		TEST(test_id_of_a_refused_command_with_the_same_content),
		TEST(test_ids_that_may_take_effect),
		TEST(test_several_extensions),
		TEST(test_id_in_another_partition),
		TEST(test_random_batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
