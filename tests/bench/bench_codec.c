/* What it costs to decode a command of about 240 bytes with 6 attributes and to encode a result, in time and in mallocs.
 *
 *     make build/bench/bench_codec && build/bench/bench_codec
 *
 * Mallocs are counted by standing in front of the C library's, so avro-c's are among them. */
#include "byunique/avro.h"
#include "byunique/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 1000000, BATCH = 1000 };

static unsigned long mallocs;

void *__libc_malloc(size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	mallocs++;
	return __libc_malloc(size);
}

void *realloc(void *old, size_t size)
{
	mallocs++;
	return __libc_realloc(old, size);
}

static struct named_value text(const char *name, const char *value)
{
	return (struct named_value){slice_cstr(name), {.kind = VALUE_STRING, .string = slice_cstr(value)}};
}

static void make_command(struct schemas *schemas, struct buf *message)
{
	struct named_value attributes[] = {
		{SLICE_LIT("PhoneType"), {.kind = VALUE_INT, .integer = 2}},
		text("prefix", "+33"),
		text("PhoneNumber", "0298024400"),
		text("description", "Home of the customer"),
		text("start_availabilty", "2024-01-15T08:00:00Z"),
		text("end_availabilty", "2024-12-31T18:00:00Z"),
	};
	struct command command = {
		.command_id = SLICE_LIT("018f4a2e-7c1b-7d3e-9f4a-2b6c8d0e1f23"),
		.customer_id = SLICE_LIT("00027a52JCGY000M"),
		.ext_name = SLICE_LIT("Phone"),
		.batch_id = SLICE_LIT("b1"),
		.attributes = attributes,
		.attribute_count = sizeof(attributes) / sizeof(attributes[0]),
		.has_issued_at = true,
		.issued_at_ms = INT64_C(1700000000000),
	};
	command_encode(schemas, &command, message);
}

static void report(const char *what, int64_t started_us, unsigned long mallocs_before, size_t bytes)
{
	double ns = (double)(clock_mono_us() - started_us) * 1000 / ROUNDS;
	printf("%s: %.0f ns, %.6f mallocs (%zu bytes)\n", what, ns, (double)(mallocs - mallocs_before) / ROUNDS, bytes);
}

/* In batches, as the pipeline does it: the arena is cleared and its memory kept. */
static void bench_decode(struct schemas *schemas, struct slice message)
{
	struct arena arena;
	struct command command;
	struct slice detail;

	arena_init(&arena);
	for (int round = -BATCH; round < 0; round++)
		if (command_decode(schemas, message, &arena, &command, &detail) != DECODE_OK)
			die("bench_codec: the command can't be decoded");
	unsigned long before = mallocs;
	int64_t started_us = clock_mono_us();
	for (int round = 0; round < ROUNDS; round++) {
		if (round % BATCH == 0)
			arena_clear(&arena);
		if (command_decode(schemas, message, &arena, &command, &detail) != DECODE_OK)
			die("bench_codec: the command can't be decoded");
	}
	report("decode a command", started_us, before, message.len);
	arena_release(&arena);
}

/* Every other one an error, so that unions change their branch. */
static void bench_encode(struct schemas *schemas)
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
	struct buf out = BUF_EMPTY;

	result_encode(schemas, &failed, &out);
	unsigned long before = mallocs;
	int64_t started_us = clock_mono_us();
	for (int round = 0; round < ROUNDS; round++) {
		struct result *result = round % 2 ? &failed : &done;
		result->source_offset = round;
		buf_clear(&out);
		result_encode(schemas, result, &out);
	}
	report("encode a result", started_us, before, out.len);
	buf_release(&out);
}

int main(void)
{
	struct schemas *schemas;
	struct err err;
	struct buf message = BUF_EMPTY;

	if (!schemas_open(&schemas, NULL, false, &err)) {
		err_print(&err);
		return 1;
	}
	make_command(schemas, &message);
	bench_decode(schemas, buf_slice(&message));
	bench_encode(schemas);
	buf_release(&message);
	schemas_close(schemas);
	return 0;
}
