/* A schema registry with Confluent's REST API. The only module that includes curl; knows JSON of the registry's answers,
 * but nothing of Avro: schemas are text here.
 *
 * Several addresses are tried in turn, and the one that answered is asked first the next time. After a failure nobody is
 * asked for a while, which grows: calls until then fail at once, with the same error. So who waits may call as often as
 * he likes. A call takes at most some seconds for each address, and ends early when the process is told to stop.
 *
 * A handle belongs to one thread. No error holds a password, a token, or an address with either. */
#ifndef BYUNIQUE_REGISTRY_H
#define BYUNIQUE_REGISTRY_H

#include "byunique/arena.h"
#include "byunique/config.h"
#include "byunique/err.h"
#include "byunique/slice.h"

struct registry;

/* *registry is NULL when none is configured. VERDICT_USAGE for settings that contradict each other, an address that is
 * none, or a file that can't be read. Nobody is asked yet. */
bool registry_open(struct registry **registry, const struct config *config, struct err *err) BYU_MUST_CHECK;
void registry_close(struct registry *registry); /* NULL is fine */

enum registry_status {
	REGISTRY_DONE,
	REGISTRY_NONE, /* it answers that there is no such thing, or not in Avro; err->what says so, in one line */
	REGISTRY_AWAY, /* no usable answer from any address: VERDICT_RETRY */
};

/* How a message names its writer's schema. */
struct schema_name {
	bool by_guid;
	uint32_t id;
	uint8_t guid[16];
};

/* The texts of a schema and of all that it refers to, in the order in which they have to be read: itself last. */
struct schema_texts {
	struct slice *texts;
	uint32_t count;
};

enum registry_status registry_schema(struct registry *registry, const struct schema_name *name, struct arena *arena,
				     struct schema_texts *texts, struct err *err) BYU_MUST_CHECK;

/* The id of a schema under a subject. When it has none: REGISTER_AUTO registers it, REGISTER_LOOKUP makes it REGISTRY_NONE.
 * What the registry refuses (incompatible, not allowed) is REGISTRY_NONE as well; the error is then one to stop at. */
enum registry_status registry_id(struct registry *registry, const char *subject, struct slice schema_json, uint32_t *id,
				 struct err *err) BYU_MUST_CHECK;

/* Is it time to ask again? True when nothing has failed. */
bool registry_is_due(const struct registry *registry);

#endif
