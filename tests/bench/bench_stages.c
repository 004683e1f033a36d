/* `make bench-stages`: what the stages that talk to nobody cost for one command, in time and in allocations.
 *
 *     bench_stages [--json FILE]
 *
 * Batches go down the path as in the worker, stage by stage, and each stage is timed for itself. What stands between two of
 * them (fetch, recall, what PostgreSQL answers) is made up, and is not timed. `arrays` is apply_send(): the parameters of all
 * of apply's statements, for a connection that is known to be dead, so that libpq's copy of them is not in it.
 *
 * The commands are those of run.py: random ids, customers picked at random, keyed by customer over 8 partitions, four
 * attributes of Phone; 1 % find no record. Neighbours are of different partitions, the dearer kind. Several batches go
 * round, so that none is found in the processor's cache.
 *
 * The last two figures are the codec's alone: decoding a command of about 240 bytes with 6 attributes, and encoding a
 * result, every other one an error, so that unions change their branch.
 *
 * Times are medians over batches. Allocations are means, so that a rare one is seen too; they are counted by standing in
 * front of the C library's malloc, calloc and realloc, so that those of other libraries are among them. */
#include "byunique/clock.h"
#include "pg/internal.h"
#include "sql/statements.h"
#include "stages/store.h"

#include "../unit/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COMMANDS = 8000, WORKS = 4, PARTITIONS = 8, CUSTOMERS = 500000, MISSES_IN = 100 };
enum { WARM_UP_ROUNDS = 4 * WORKS, ROUNDS_MAX = 20000, STAGE_US = 1000000 };

#define NO_SUCH_NUMBER "none"

/* --- allocations -------------------------------------------------------------------------------------------------------- */

static unsigned long allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	allocations++;
	return __libc_realloc(old, size);
}

/* --- the work ------------------------------------------------------------------------------------------------------------ */

/* A batch, and its messages as fetch leaves them. */
struct work {
	struct message *fetched; /* COMMANDS of them; owned */
	struct batch *batch;	 /* owned */
};

struct bench {
	struct schemas *schemas;
	struct config config;
	struct catalogue *catalogue;
	struct partition partitions[PARTITIONS];
	struct assignment assignment;
	struct arena bytes; /* of the messages */
	struct work works[WORKS];
	uint64_t seed;

	/* the round's */
	struct batch *batch;
	struct span span;
	struct plan plan;
	struct reach *reaches;
	uint32_t reach_count;
	struct store *store;

	/* the codec's */
	struct buf message, result;
	struct arena arena;
};

/* SplitMix64: the same work in every run. */
static uint64_t random_bits(struct bench *bench)
{
	uint64_t z = bench->seed += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static uint32_t random_below(struct bench *bench, uint32_t bound)
{
	return (uint32_t)(random_bits(bench) % bound);
}

static void random_id(struct bench *bench, char text[37])
{
	uint64_t bits[2] = {random_bits(bench), random_bits(bench)};
	struct uuid id;

	memcpy(id.bytes, bits, sizeof(id.bytes));
	id.bytes[6] = (id.bytes[6] & 0x0F) | 0x40;
	id.bytes[8] = (id.bytes[8] & 0x3F) | 0x80;
	uuid_format(&id, text);
}

static struct named_value text(const char *name, const char *value)
{
	return (struct named_value){slice_cstr(name), {.kind = VALUE_STRING, .string = slice_cstr(value)}};
}

static void encode_command(struct schemas *schemas, const char *id, const char *customer, struct named_value *attributes,
			   uint32_t count, struct buf *out)
{
	struct command command = {.command_id = slice_cstr(id),
				  .customer_id = slice_cstr(customer),
				  .ext_name = SLICE_LIT("Phone"),
				  .attributes = attributes,
				  .attribute_count = count};
	command_encode(schemas, &command, out);
}

static void random_command(struct bench *bench, uint32_t customer_index, const char *customer, struct buf *out)
{
	char id[37], number[16] = NO_SUCH_NUMBER, description[48], start[32];
	time_t second = INT64_C(1577836800) + INT64_C(60) * random_below(bench, 3000000);
	struct tm tm;

	random_id(bench, id);
	if (random_below(bench, MISSES_IN) > 0)
		snprintf(number, sizeof(number), "3%09u", 2 * customer_index + random_below(bench, 2));
	snprintf(description, sizeof(description), "run 1, command %u", random_below(bench, 400000));
	strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&second, &tm));
	struct named_value attributes[] = {
		text("PhoneNumber", number),
		{SLICE_LIT("PhoneType"), {.kind = VALUE_INT, .integer = random_below(bench, 5)}},
		text("description", description),
		text("start_availabilty", start),
	};
	encode_command(bench->schemas, id, customer, attributes, 4, out);
}

/* What fetch makes of a message without headers. */
static void fetch_message(struct bench *bench, struct buf *scratch, struct message *message)
{
	uint32_t index = random_below(bench, CUSTOMERS);
	struct partition *partition = &bench->partitions[index % PARTITIONS];
	char customer[17];

	snprintf(customer, sizeof(customer), "0000%08X000Y", index * UINT32_C(2654435761));
	buf_clear(scratch);
	random_command(bench, index, customer, scratch);
	*message = (struct message){.partition = partition,
				    .offset = partition->fetched_offset,
				    .follows = partition->fetched_offset,
				    .key = arena_copy(&bench->bytes, slice_cstr(customer)),
				    .value = arena_copy(&bench->bytes, buf_slice(scratch)),
				    .timestamp_ms = INT64_C(1700000000000),
				    .same_as = NO_MESSAGE};
	message->hash = message_hash(message->key, message->value);
	partition->fetched_offset++;
}

static void make_works(struct bench *bench)
{
	struct buf scratch = BUF_EMPTY;

	for (int w = 0; w < WORKS; w++) {
		struct work *work = &bench->works[w];
		work->batch = batch_new(COMMANDS);
		work->fetched = xcalloc(COMMANDS, sizeof(*work->fetched));
		for (int i = 0; i < COMMANDS; i++)
			fetch_message(bench, &scratch, &work->fetched[i]);
	}
	buf_release(&scratch);
}

/* The command that the codec decodes alone. */
static void make_message(struct bench *bench)
{
	struct named_value attributes[] = {
		{SLICE_LIT("PhoneType"), {.kind = VALUE_INT, .integer = 2}},
		text("prefix", "+33"),
		text("PhoneNumber", "0298024400"),
		text("description", "Home of the customer"),
		text("start_availabilty", "2024-01-15T08:00:00Z"),
		text("end_availabilty", "2024-12-31T18:00:00Z"),
	};
	encode_command(bench->schemas, "018f4a2e-7c1b-7d3e-9f4a-2b6c8d0e1f23", "00027a52JCGY000M", attributes, 6,
		       &bench->message);
}

static bool set_up(struct bench *bench, struct err *err)
{
	static struct pg dead = {.is_useless = true, .epoch = 1};
	static char topic[] = "byunique.commands", no_source[] = "";

	bench->config = (struct config){.commands_topic = topic, .results_cloudevents_source = no_source};
	if (!schemas_open(&bench->schemas, NULL, false, err))
		return false;
	for (int i = 0; i < PARTITIONS; i++)
		bench->partitions[i] = (struct partition){.number = i, .id = i + 1};
	bench->assignment = (struct assignment){.partitions = bench->partitions, .count = PARTITIONS};
	bench->catalogue = sample_catalogue(example_phone);
	bench->store = store_new(&dead, 0, 0);
	arena_init(&bench->bytes);
	arena_init(&bench->arena);
	make_works(bench);
	make_message(bench);
	return true;
}

static void tear_down(struct bench *bench)
{
	for (int w = 0; w < WORKS; w++) {
		batch_free(bench->works[w].batch);
		free(bench->works[w].fetched);
	}
	buf_release(&bench->message);
	buf_release(&bench->result);
	arena_release(&bench->arena);
	arena_release(&bench->bytes);
	store_free(bench->store);
	catalogue_drop(bench->catalogue);
	schemas_close(bench->schemas);
}

/* --- the stages, each behind what it finds done ------------------------------------------------------------------------ */

static void fetch(struct bench *bench, unsigned round)
{
	const struct work *work = &bench->works[round % WORKS];

	bench->batch = work->batch;
	batch_clear(bench->batch);
	memcpy(bench->batch->messages, work->fetched, sizeof(*work->fetched) * COMMANDS);
	bench->batch->count = COMMANDS;
	bench->batch->assignment = &bench->assignment;
	bench->span = (struct span){.batch = bench->batch, .end = COMMANDS};
}

static void decode(struct bench *bench)
{
	static const struct message_limits limits = {
		.message_bytes = 16777216, .header_bytes = 4194304, .attributes = 1000000};
	struct err err;

	if (!decode_batch(bench->batch, bench->schemas, &limits, &err))
		die("bench_stages: %s", err.what);
}

static void validate(struct bench *bench)
{
	validate_batch(bench->batch, bench->catalogue);
}

static void recall(struct bench *bench, unsigned round)
{
	(void)round;
	recall_reset(&bench->span);
}

static void plan(struct bench *bench)
{
	plan_span(&bench->span, &bench->plan);
}

static void reach(struct bench *bench, unsigned round)
{
	(void)round;
	ASSERT(bench->plan.planned == COMMANDS);
	bench->reaches = span_reaches(&bench->span, &bench->reach_count);
}

static void arrays(struct bench *bench)
{
	apply_send(bench->store, &bench->span, &bench->plan, bench->reaches, bench->reach_count, INT64_C(1700000000000));
}

/* What PostgreSQL would say. */
static void settle(struct bench *bench, unsigned round)
{
	(void)round;
	for (uint32_t i = 0; i < COMMANDS; i++) {
		struct message *message = &bench->batch->messages[i];
		bool found = !slice_equal(message->key_cells[0].text, SLICE_LIT(NO_SUCH_NUMBER));
		message->answer = (struct outcome){.code = found ? OUTCOME_DONE : OUTCOME_RECORD_NOT_FOUND,
						   .processed_at_ms = INT64_C(1700000000000)};
		outcome_fill_detail(&message->answer);
	}
}

static void answer(struct bench *bench)
{
	static const struct bounds bounds = {.result_bytes = 1048588, .letter_bytes = 1048588};

	arena_clear(&bench->arena);
	if (answer_batch(bench->batch, &bench->config, bench->schemas, &bounds, &bench->arena) > 0)
		die("bench_stages: a result is too large");
}

/* --- the codec alone ------------------------------------------------------------------------------------------------------ */

static void clear(struct bench *bench, unsigned round)
{
	(void)round;
	arena_clear(&bench->arena);
}

static void decode_command(struct bench *bench)
{
	struct slice detail, message = buf_slice(&bench->message);
	struct command command;

	for (int i = 0; i < COMMANDS; i++)
		if (command_decode(bench->schemas, message, &bench->arena, &command, &detail) != DECODE_OK)
			die("bench_stages: the command can't be decoded");
}

static void encode_result(struct bench *bench)
{
	struct result done = {
		.status = 204,
		.command_id = SLICE_LIT("018f4a2e-7c1b-7d3e-9f4a-2b6c8d0e1f23"),
		.customer_id = SLICE_LIT("00027a52JCGY000M"),
		.ext_name = SLICE_LIT("Phone"),
		.source_topic = SLICE_LIT("byunique.commands"),
		.processed_at_ms = INT64_C(1700000000000),
	};
	struct result failed = done;

	failed.status = 404;
	failed.code = SLICE_LIT("RecordNotFound");
	failed.title = SLICE_LIT("The customer has no such record.");
	failed.detail = SLICE_LIT("No record has these values of the unique attributes.");
	for (int i = 0; i < COMMANDS; i++) {
		struct result *result = i % 2 ? &failed : &done;
		result->source_offset = i;
		buf_clear(&bench->result);
		result_encode(bench->schemas, result, &bench->result);
	}
}

/* --- the measurement ---------------------------------------------------------------------------------------------------- */

/* In the order of the path: what one leaves, the next one finds. */
static const struct stage {
	const char *name;
	void (*prepare)(struct bench *bench, unsigned round); /* not timed; NULL: nothing to do */
	void (*run)(struct bench *bench);		      /* COMMANDS of them */
} stages[] = {
	{"decode", fetch, decode},
	{"validate", NULL, validate},
	{"plan", recall, plan},
	{"arrays", reach, arrays},
	{"answer", settle, answer},
	{"decode_command", clear, decode_command},
	{"encode_result", NULL, encode_result},
};

enum { STAGES = sizeof(stages) / sizeof(*stages) };

struct figures {
	unsigned rounds;
	double ns[STAGES][ROUNDS_MAX]; /* for one command, in each round; sorted in the end */
	unsigned long allocations[STAGES]; /* in all rounds after the warm-up */
};

/* How long it took. */
static int64_t run_stage(struct bench *bench, unsigned round, int s, struct figures *figures)
{
	if (stages[s].prepare != NULL)
		stages[s].prepare(bench, round);
	unsigned long before = allocations;
	int64_t started_us = clock_mono_us();
	stages[s].run(bench);
	int64_t took_us = clock_mono_us() - started_us;
	figures->allocations[s] += allocations - before;
	figures->ns[s][round] = (double)took_us * 1000 / COMMANDS;
	return took_us;
}

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

/* Until a stage has had its time on average. */
static void measure(struct bench *bench, struct figures *figures)
{
	int64_t took_us = 0;

	for (unsigned round = 0; round < WARM_UP_ROUNDS; round++)
		for (int s = 0; s < STAGES; s++)
			run_stage(bench, round, s, figures);
	memset(figures->allocations, 0, sizeof(figures->allocations));
	for (; took_us < (int64_t)STAGES * STAGE_US && figures->rounds < ROUNDS_MAX; figures->rounds++)
		for (int s = 0; s < STAGES; s++)
			took_us += run_stage(bench, figures->rounds, s, figures);
	for (int s = 0; s < STAGES; s++)
		qsort(figures->ns[s], figures->rounds, sizeof(figures->ns[s][0]), compare_doubles);
}

static double median_ns(const struct figures *figures, int s)
{
	return figures->ns[s][figures->rounds / 2];
}

static double mean_allocations(const struct figures *figures, int s)
{
	return (double)figures->allocations[s] / figures->rounds / COMMANDS;
}

static void print_table(const struct figures *figures)
{
	printf("%u batches of %d commands; for one command:\n", figures->rounds, COMMANDS);
	printf("%-14s %8s %12s\n", "", "ns", "allocations");
	for (int s = 0; s < STAGES; s++)
		printf("%-14s %8.1f %12.6f\n", stages[s].name, median_ns(figures, s), mean_allocations(figures, s));
}

/* Closes the file. */
static void write_json(const struct figures *figures, FILE *file)
{
	for (int s = 0; s < STAGES; s++)
		fprintf(file, "%s\"%s\": {\"ns\": %.1f, \"allocations\": %.6f}", s == 0 ? "{" : ",\n ", stages[s].name,
			median_ns(figures, s), mean_allocations(figures, s));
	fputs("}\n", file);
	if (fclose(file) != 0)
		die("bench_stages: the figures could not be written");
}

int main(int argc, char **argv)
{
	static struct bench bench;
	static struct figures figures;
	FILE *json = NULL;
	struct err err;

	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--json") != 0)) {
		fputs("usage: bench_stages [--json FILE]\n", stderr);
		return 2;
	}
	if (argc == 3 && (json = fopen(argv[2], "w")) == NULL) {
		perror(argv[2]);
		return 1;
	}
	if (!set_up(&bench, &err)) {
		err_print(&err);
		return 1;
	}
	measure(&bench, &figures);
	print_table(&figures);
	if (json != NULL)
		write_json(&figures, json);
	tear_down(&bench);
	return 0;
}
