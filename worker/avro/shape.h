/* An Avro schema as a small tree of our own, compiled once from its JSON.
 *
 * It holds what the binary encoding and the parsing canonical form depend on, and nothing else: documentation, defaults,
 * aliases and logical types are gone. A named type that is used twice, or within itself, is one node with several
 * parents. The tree lives in the arena that it was compiled into and is never changed afterwards. */
#ifndef BYUNIQUE_AVRO_SHAPE_H
#define BYUNIQUE_AVRO_SHAPE_H

#include "byunique/arena.h"
#include "byunique/err.h"

enum shape_kind {
	SHAPE_NULL,
	SHAPE_BOOLEAN,
	SHAPE_INT,
	SHAPE_LONG,
	SHAPE_FLOAT,
	SHAPE_DOUBLE,
	SHAPE_BYTES,
	SHAPE_STRING,
	SHAPE_PRIMITIVES, /* the number of those above */
	SHAPE_ARRAY = SHAPE_PRIMITIVES,
	SHAPE_MAP,
	SHAPE_UNION,
	SHAPE_RECORD,
	SHAPE_ENUM,
	SHAPE_FIXED,
	SHAPE_KINDS
};

struct shape {
	enum shape_kind kind;
	bool empty;		    /* its values take no byte at all (null, and what is made of nulls only) */
	uint32_t number;	    /* RECORD, ENUM, FIXED: order of definition within the schema, from 0 */
	uint32_t count;		    /* RECORD: fields; UNION: branches; ENUM: symbols; ARRAY, MAP: 1 */
	uint32_t size_bytes;	    /* FIXED */
	const char *name;	    /* RECORD, ENUM, FIXED: full name */
	const struct shape **parts; /* types of fields, branches, items or values */
	const char **labels;	    /* RECORD: names of fields; ENUM: symbols */
};

/* False (VERDICT_USAGE) when the text is no JSON or no Avro schema; the detail says what is wrong. */
bool shape_compile(struct slice schema_json, struct arena *arena, const struct shape **shape,
		   struct err *err) BYU_MUST_CHECK;

/* "string", "record" … as in a schema. */
const char *shape_kind_name(enum shape_kind kind);

#endif
