/* Schemas of the registry, by id or GUID. A schema never changes under its id, so what could be used is kept for ever. What
 * could not (no such id, a schema that can't be resolved to ours) is kept for a short time only: the id may be given, or
 * a reference repaired, a moment later. A flood of messages with ids made up costs a request each, so the time that one
 * call may spend on asking is limited by the caller, and the memory here. */
#include "avro/schemas.h"

#include "avro/embedded.h"
#include "byunique/clock.h"

#include <inttypes.h>
#include <stdlib.h>

enum { REFUSED_MS = 30000, REFUSED_MOST = 1000 };

struct registered {
	struct registered *next;
	struct schema_name name;
	struct arena arena;	   /* all of the following */
	struct known_schema known; /* unless refused */
	struct slice refusal;	   /* present: it can't be used */
	int64_t until_ms;	   /* monotonic: how long that is believed */
};

static bool same_name(const struct schema_name *a, const struct schema_name *b)
{
	if (a->by_guid != b->by_guid)
		return false;
	return a->by_guid ? memcmp(a->guid, b->guid, sizeof(a->guid)) == 0 : a->id == b->id;
}

static struct registered **bucket_of(struct schemas *schemas, const struct schema_name *name)
{
	return &schemas->buckets[(name->by_guid ? name->guid[0] ^ name->guid[15] : name->id) % REGISTERED_BUCKETS];
}

/* --- those that are known -------------------------------------------------------------------------------------------- */

static void drop(struct schemas *schemas, struct registered **link)
{
	struct registered *gone = *link;

	*link = gone->next;
	schemas->refused_count -= gone->refusal.base != NULL;
	arena_release(&gone->arena);
	free(gone);
}

static void drop_refused(struct schemas *schemas)
{
	for (unsigned i = 0; i < REGISTERED_BUCKETS; i++)
		for (struct registered **link = &schemas->buckets[i]; *link != NULL;)
			if ((*link)->refusal.base != NULL)
				drop(schemas, link);
			else
				link = &(*link)->next;
}

void registered_release(struct schemas *schemas)
{
	for (unsigned i = 0; i < REGISTERED_BUCKETS; i++)
		while (schemas->buckets[i] != NULL)
			drop(schemas, &schemas->buckets[i]);
}

/* NULL: has to be asked for. */
static const struct registered *recall(struct schemas *schemas, const struct schema_name *name)
{
	struct registered **link = bucket_of(schemas, name);

	while (*link != NULL && !same_name(&(*link)->name, name))
		link = &(*link)->next;
	if (*link != NULL && (*link)->refusal.base != NULL && clock_mono_ms() >= (*link)->until_ms)
		drop(schemas, link);
	return *link != NULL && same_name(&(*link)->name, name) ? *link : NULL;
}

/* --- those that are not ---------------------------------------------------------------------------------------------- */

static void refuse(struct registered *schema, const char *what, const char *detail)
{
	const char *colon = detail[0] != '\0' ? ": " : "";

	if (schema->name.by_guid)
		schema->refusal = arena_printf(&schema->arena, "unusable writer's schema, named by its GUID: %s%s%s", what, colon,
					       detail);
	else
		schema->refusal = arena_printf(&schema->arena, "unusable writer's schema, with id %" PRIu32 ": %s%s%s",
					       schema->name.id, what, colon, detail);
}

static void compile(struct registered *schema, const struct schema_texts *texts)
{
	struct err err;

	if (shape_compile_all(texts->texts, texts->count, &schema->arena, &schema->known.shape, &err))
		known_schema_resolve(&schema->known, &schema->arena);
	else
		refuse(schema, err.what, err.detail);
}

/* One that can't be resolved to ours is kept like one that is none: whoever put it there may yet mend it. */
static bool is_useless(const struct registered *schema)
{
	for (unsigned i = 0; i < SUBJECTS; i++)
		if (schema->known.plans[i].unusable.base == NULL)
			return false;
	return true;
}

static const struct registered *keep(struct schemas *schemas, struct registered *schema)
{
	struct registered **bucket = bucket_of(schemas, &schema->name);

	if (schema->refusal.base == NULL && is_useless(schema))
		schema->refusal = schema->known.plans[SUBJECT_COMMAND].unusable;
	if (schema->refusal.base != NULL) {
		if (schemas->refused_count >= REFUSED_MOST)
			drop_refused(schemas);
		schemas->refused_count++;
		schema->until_ms = clock_mono_ms() + REFUSED_MS;
	}
	schema->next = *bucket;
	*bucket = schema;
	return schema;
}

/* NULL: not now; schemas->trouble says why. */
static const struct registered *ask(struct schemas *schemas, const struct schema_name *name)
{
	struct schema_texts texts;
	struct arena scratch;

	if (schemas->ask_until_ms != 0 && clock_mono_ms() >= schemas->ask_until_ms) {
		err_set(&schemas->trouble, VERDICT_RETRY, "", "more schemas are to be fetched");
		return NULL;
	}
	struct registered *schema = xcalloc(1, sizeof(*schema));
	schema->name = *name;
	arena_init(&schema->arena);
	arena_init(&scratch);
	enum registry_status status = registry_schema(schemas->registry, name, &scratch, &texts, &schemas->trouble);
	if (status == REGISTRY_DONE)
		compile(schema, &texts);
	else if (status == REGISTRY_NONE)
		refuse(schema, schemas->trouble.what, "");
	arena_release(&scratch);
	if (status != REGISTRY_AWAY)
		return keep(schemas, schema);
	arena_release(&schema->arena);
	free(schema);
	return NULL;
}

enum decode_status registered_find(struct schemas *schemas, const struct schema_name *name, struct arena *arena,
				   const struct known_schema **known, struct slice *detail)
{
	const struct registered *schema = recall(schemas, name);

	if (schema == NULL)
		schema = ask(schemas, name);
	if (schema == NULL)
		return DECODE_LATER;
	*known = &schema->known;
	if (schema->refusal.base == NULL)
		return DECODE_OK;
	*detail = arena_copy(arena, schema->refusal);
	return DECODE_MALFORMED;
}

/* --- the public doors ------------------------------------------------------------------------------------------------ */

bool schemas_use_registry(struct schemas *schemas, const struct config *config, struct err *err)
{
	struct registry *registry;

	if (!registry_open(&registry, config, err))
		return false;
	registry_close(schemas->registry);
	schemas->registry = registry;
	return true;
}

static bool take_id(struct schemas *schemas, enum subject subject, const char *topic, struct slice schema_json,
		    struct err *err)
{
	char *name = xasprintf("%s-value", topic);
	enum registry_status status = REGISTRY_NONE;

	if (schemas->registry != NULL)
		status = registry_id(schemas->registry, name, schema_json, &schemas->ids[subject], err);
	schemas->is_registered[subject] = status == REGISTRY_DONE;
	free(name);
	return schemas->registry == NULL || status == REGISTRY_DONE;
}

bool schemas_take_command_id(struct schemas *schemas, const char *commands_topic, struct err *err)
{
	return take_id(schemas, SUBJECT_COMMAND, commands_topic, embedded_command_schema(), err);
}

bool schemas_take_result_id(struct schemas *schemas, const char *results_topic, struct err *err)
{
	return take_id(schemas, SUBJECT_RESULT, results_topic, embedded_result_schema(), err);
}

bool schemas_due(const struct schemas *schemas)
{
	return schemas->registry == NULL || registry_is_due(schemas->registry);
}

void schemas_ask_until(struct schemas *schemas, int64_t until_ms)
{
	schemas->ask_until_ms = until_ms;
}

const struct err *schemas_trouble(const struct schemas *schemas)
{
	return &schemas->trouble;
}
