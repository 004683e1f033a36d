/* The handle's inside, for the files of this module. */
#ifndef BYUNIQUE_AVRO_SCHEMAS_H
#define BYUNIQUE_AVRO_SCHEMAS_H

#include "avro/decode.h"
#include "avro/framing.h"

struct encoder;
struct registered;

/* What a message is to be read as. */
enum subject { SUBJECT_COMMAND, SUBJECT_RESULT, SUBJECTS };

enum { REGISTERED_BUCKETS = 256 };

/* A writer's schema. */
struct known_schema {
	uint64_t fingerprint;
	const struct shape *shape;
	struct plan plans[SUBJECTS];
};

struct schemas {
	struct arena arena;	    /* shapes and plans; grows only while opening */
	struct known_schema *known; /* owned */
	uint32_t count;
	uint32_t capacity;
	uint32_t latest; /* index of the one found last: most topics have one writer's schema */
	uint64_t own[SUBJECTS]; /* fingerprints of our two */
	struct encoder *encoder; /* owned; see encode.c */

	/* With a registry: see registered.c */
	struct registry *registry; /* owned; NULL: none */
	struct registered *buckets[REGISTERED_BUCKETS]; /* owned */
	uint32_t refused_count;	   /* of those in the buckets, how many can't be used */
	int64_t ask_until_ms;	   /* nothing is asked after that; 0: no limit */
	struct err trouble;	   /* why a schema can't be had now */
	bool is_registered[SUBJECTS]; /* our two: what is written is framed with the id */
	uint32_t ids[SUBJECTS];
};

/* The schema that a message's framing names. MALFORMED: there is none, and *detail (in the arena) says why. */
enum decode_status schemas_find(struct schemas *schemas, const struct frame *frame, struct arena *arena,
				const struct known_schema **known, struct slice *detail);

void known_schema_resolve(struct known_schema *known, struct arena *arena); /* fills the plans */

/* registered.c: the same for a schema of the registry. */
enum decode_status registered_find(struct schemas *schemas, const struct schema_name *name, struct arena *arena,
				   const struct known_schema **known, struct slice *detail);
void registered_release(struct schemas *schemas); /* all of them */

#endif
