/* The handle's inside, for the files of this module. */
#ifndef BYUNIQUE_AVRO_SCHEMAS_H
#define BYUNIQUE_AVRO_SCHEMAS_H

#include "avro/decode.h"
#include "avro/framing.h"

struct encoder;

/* What a message is to be read as. */
enum subject { SUBJECT_COMMAND, SUBJECT_RESULT, SUBJECTS };

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
};

/* The schema that a message's framing names. When there is none, NULL, and *detail (in the arena) says why. */
const struct known_schema *schemas_find(struct schemas *schemas, const struct frame *frame, struct arena *arena,
					struct slice *detail);

#endif
