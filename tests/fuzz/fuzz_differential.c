/* The same bytes by our decoder and by avro-c's, with the same writer's schema: what ours takes, avro-c reads to the same
 * values; what ours refuses, avro-c refuses too, but for the differences listed below, where ours is the stricter.
 *
 * The first byte of an input chooses the writer's schema; the rest is the body behind its frame. */
#include "fuzz.h"

#include "byunique/avro.h"

#include <avro.h>
#include <fcntl.h>
#include <stddef.h>

#define ATTRIBUTES(kinds) "{\"name\": \"attributes\", \"type\": {\"type\": \"map\", \"values\": [" kinds "]}}"
#define RECORD(fields) "{\"type\": \"record\", \"name\": \"UpdateByUnique\", \"namespace\": \"byunique\", \"fields\": [" fields "]}"
#define IDS                                                                                                            \
	"{\"name\": \"command_id\", \"type\": \"string\"}, {\"name\": \"customer_id\", \"type\": \"string\"}, "        \
	"{\"name\": \"ext_name\", \"type\": \"string\"}"
#define OURS "\"null\", \"boolean\", \"int\", \"long\", \"float\", \"double\", \"string\""
#define TAIL                                                                                                           \
	"{\"name\": \"batch_id\", \"type\": [\"null\", \"string\"]}, {\"name\": \"issued_at\", \"type\": [\"null\", "  \
	"\"long\"]}"

/* Ours; and with everything around that has to be walked over. */
static const char *const written[] = {
	RECORD(IDS ", " ATTRIBUTES(OURS) ", " TAIL),
	RECORD(ATTRIBUTES("\"string\", \"long\", \"null\"") ", " IDS),
	RECORD("{\"name\": \"inner\", \"type\": {\"type\": \"record\", \"name\": \"Inner\", \"fields\": [{\"name\": \"x\", "
	       "\"type\": \"double\"}, {\"name\": \"y\", \"type\": \"bytes\"}, {\"name\": \"z\", \"type\": \"null\"}]}}, " IDS
	       ", {\"name\": \"colour\", \"type\": {\"type\": \"enum\", \"name\": \"Colour\", \"symbols\": [\"red\", \"green\"]}}, "
	       "{\"name\": \"six\", \"type\": {\"type\": \"fixed\", \"name\": \"Six\", \"size\": 6}}, " ATTRIBUTES(OURS)
	       ", {\"name\": \"list\", \"type\": {\"type\": \"array\", \"items\": {\"type\": \"map\", \"values\": \"float\"}}}, "
	       "{\"name\": \"any\", \"type\": [\"null\", \"Colour\", {\"type\": \"array\", \"items\": \"Six\"}, \"Inner\"]}, " TAIL),
};

enum { SCHEMAS = sizeof(written) / sizeof(written[0]), AVRO_MEMORY_MAX = 1 << 20 };

static struct schemas *schemas;
static struct arena arena;
static avro_value_iface_t *classes[SCHEMAS];
static uint64_t fingerprints[SCHEMAS];

/* Where avro-c takes what is wrong: it knows no UTF-8, looks neither at a boolean's byte nor at an enum's index, takes an
 * index modulo 2^32, passes over the size of a block, cuts a number off after 64 bits, recurses without a limit, and leaves
 * what follows to its caller. */
static const char *const stricter[] = {
	"a string is not well-formed UTF-8",
	"a boolean is neither 0 nor 1",
	"the index of a union or an enum is out of range",
	"the size of a block goes beyond the end",
	"the count of a block goes beyond its bytes",
	"the count of a block is out of range",
	"a block does not end where it says",
	"a number has more than 64 bits",
	"values are nested too deeply",
	"bytes follow after the end of the value",
};

/* Its memory while it reads. It believes every length: too much is not there. And it leaks when decoding fails, so what an
 * input has left behind is freed with it. */
struct block {
	struct block *next, **link;
	max_align_t bytes[];
};

static struct block *blocks;

static void link_block(struct block *block)
{
	block->next = blocks;
	block->link = &blocks;
	if (blocks != NULL)
		blocks->link = &block->next;
	blocks = block;
}

static void unlink_block(struct block *block)
{
	*block->link = block->next;
	if (block->next != NULL)
		block->next->link = block->link;
}

static void *give(void *context, void *old, size_t old_size, size_t size)
{
	struct block *block = old == NULL ? NULL : (struct block *)((char *)old - offsetof(struct block, bytes));

	(void)context, (void)old_size;
	if (size > AVRO_MEMORY_MAX)
		return NULL;
	if (block != NULL)
		unlink_block(block);
	if (size == 0) {
		free(block);
		return NULL;
	}
	block = xrealloc(block, sizeof(*block) + size);
	link_block(block);
	return block->bytes;
}

static void free_blocks(void)
{
	while (blocks != NULL) {
		struct block *block = blocks;
		unlink_block(block);
		free(block);
	}
}

static void add_schema(const char *folder, unsigned number)
{
	char path[100];
	avro_schema_t schema;
	struct err err;

	snprintf(path, sizeof(path), "%s/%u.avsc", folder, number);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	HOLDS(fd >= 0 && write(fd, written[number], strlen(written[number])) == (ssize_t)strlen(written[number]));
	close(fd);
	HOLDS(schema_fingerprint(slice_cstr(written[number]), &fingerprints[number], &err));
	HOLDS(avro_schema_from_json_length(written[number], strlen(written[number]), &schema) == 0);
	classes[number] = avro_generic_class_from_schema(schema);
	HOLDS(classes[number] != NULL);
}

static void set_up(void)
{
	char folder[] = "/tmp/fuzz-XXXXXX", path[100];
	struct err err;

	if (schemas != NULL)
		return;
	HOLDS(mkdtemp(folder) != NULL);
	for (unsigned i = 0; i < SCHEMAS; i++)
		add_schema(folder, i);
	if (!schemas_open(&schemas, folder, true, &err))
		die("%s: %s", err.what, err.detail);
	for (unsigned i = 0; i < SCHEMAS; i++) {
		snprintf(path, sizeof(path), "%s/%u.avsc", folder, i);
		unlink(path);
	}
	rmdir(folder);
}

/* --- what avro-c read against what we did ----------------------------------------------------------------------------- */

static avro_value_t field(const avro_value_t *record, const char *name)
{
	avro_value_t value;

	HOLDS(avro_value_get_by_name(record, name, &value, NULL) == 0);
	return value;
}

static avro_value_t branch(avro_value_t value)
{
	avro_value_t inner;

	if (avro_value_get_type(&value) != AVRO_UNION)
		return value;
	HOLDS(avro_value_get_current_branch(&value, &inner) == 0);
	return inner;
}

static struct slice text(const avro_value_t *value)
{
	const char *base;
	size_t size;

	HOLDS(avro_value_get_string(value, &base, &size) == 0 && size > 0);
	return slice_of(base, size - 1);
}

static void check_value(const avro_value_t *theirs, const struct value *ours)
{
	int32_t narrow = 0;
	int64_t wide = 0;
	float single = 0;
	double real = 0;
	int boolean = 0;

	switch (ours->kind) {
	case VALUE_NULL: HOLDS(avro_value_get_null(theirs) == 0); return;
	case VALUE_BOOLEAN: HOLDS(avro_value_get_boolean(theirs, &boolean) == 0 && (boolean != 0) == ours->boolean); return;
	case VALUE_INT: HOLDS(avro_value_get_int(theirs, &narrow) == 0 && narrow == ours->integer); return;
	case VALUE_LONG: HOLDS(avro_value_get_long(theirs, &wide) == 0 && wide == ours->integer); return;
	case VALUE_FLOAT:
		HOLDS(avro_value_get_float(theirs, &single) == 0);
		HOLDS((double)single == ours->real || (single != single && ours->real != ours->real));
		return;
	case VALUE_DOUBLE:
		HOLDS(avro_value_get_double(theirs, &real) == 0 && memcmp(&real, &ours->real, sizeof(real)) == 0);
		return;
	case VALUE_STRING: HOLDS(slice_equal(text(theirs), ours->string)); return;
	default: HOLDS(!"a kind that none of the schemas has");
	}
}

/* avro-c keeps one of equal keys, with the last value; and a key up to its first U+0000. */
static bool is_last(const struct command *command, uint32_t number)
{
	for (uint32_t i = number + 1; i < command->attribute_count; i++)
		if (slice_equal(command->attributes[i].name, command->attributes[number].name))
			return false;
	return true;
}

static bool has_nul(const struct command *command)
{
	for (uint32_t i = 0; i < command->attribute_count; i++)
		if (command->attributes[i].name.len > 0 &&
		    memchr(command->attributes[i].name.base, '\0', command->attributes[i].name.len) != NULL)
			return true;
	return false;
}

static void check_attributes(const avro_value_t *map, const struct command *command)
{
	size_t distinct = 0, size;

	if (has_nul(command) || command->attribute_count > 300)
		return;
	for (uint32_t i = 0; i < command->attribute_count; i++) {
		const struct named_value *attribute = &command->attributes[i];
		if (!is_last(command, i))
			continue;
		distinct++;
		char *name = strndup(attribute->name.base ? attribute->name.base : "", attribute->name.len);
		avro_value_t value = branch(field(map, name));
		check_value(&value, &attribute->value);
		free(name);
	}
	HOLDS(avro_value_get_size(map, &size) == 0 && size == distinct);
}

static void check_optional(const avro_value_t *record, const struct command *command)
{
	avro_value_t value, inner;
	int64_t issued_at = 0;

	if (avro_value_get_by_name(record, "batch_id", &value, NULL) != 0) {
		HOLDS(command->batch_id.base == NULL && !command->has_issued_at);
		return;
	}
	inner = branch(value);
	if (avro_value_get_type(&inner) == AVRO_NULL)
		HOLDS(command->batch_id.base == NULL);
	else
		HOLDS(slice_equal(text(&inner), command->batch_id));
	inner = branch(field(record, "issued_at"));
	HOLDS((avro_value_get_type(&inner) == AVRO_INT64) == command->has_issued_at);
	if (command->has_issued_at)
		HOLDS(avro_value_get_long(&inner, &issued_at) == 0 && issued_at == command->issued_at_ms);
}

static void check_same(const avro_value_t *record, const struct command *command)
{
	avro_value_t id = field(record, "command_id"), customer = field(record, "customer_id"),
		     ext_name = field(record, "ext_name"), attributes = field(record, "attributes");

	HOLDS(slice_equal(text(&id), command->command_id));
	HOLDS(slice_equal(text(&customer), command->customer_id));
	HOLDS(slice_equal(text(&ext_name), command->ext_name));
	check_attributes(&attributes, command);
	check_optional(record, command);
}

static bool is_stricter(struct slice detail)
{
	for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++)
		if (memmem(detail.base, detail.len, stricter[i], strlen(stricter[i])) != NULL)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice detail = SLICE_NONE;
	struct buf message = BUF_EMPTY;
	struct command command;
	avro_value_t record;

	set_up();
	if (size == 0 || data[0] >= SCHEMAS)
		return 0;
	const char *body = (const char *)data + 1;
	uint64_t fingerprint = fingerprints[data[0]]; /* little-endian, as this machine is */
	buf_add(&message, "\xC3\x01", 2);
	buf_add(&message, &fingerprint, sizeof(fingerprint));
	buf_add(&message, body, size - 1);
	bool taken = command_decode(schemas, buf_slice(&message), &arena, &command, &detail) == DECODE_OK;

	avro_set_allocator(give, NULL);
	HOLDS(avro_generic_value_new(classes[data[0]], &record) == 0);
	avro_reader_t reader = avro_reader_memory(body, (int64_t)(size - 1));
	bool read = avro_value_read(reader, &record) == 0;
	if (taken && !read)
		die("avro-c refuses what is taken: %s", avro_strerror());
	if (!taken && read && !is_stricter(detail))
		die("avro-c takes what is refused: %.*s", (int)detail.len, detail.base);
	if (taken)
		check_same(&record, &command);
	avro_reader_free(reader);
	avro_value_decref(&record);
	free_blocks();
	buf_release(&message);
	arena_clear(&arena);
	return 0;
}
