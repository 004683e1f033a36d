/* An Avro schema as a small tree of our own, compiled once from its JSON.
 *
 * It holds what the binary encoding and the parsing canonical form depend on, and the logical types that a command's value
 * can have; nothing else: documentation, defaults and aliases are gone. A named type that is used twice, or within itself, is one node with several
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

/* What a type means beyond its encoding. A logical type that is unknown, or that its schema gives wrongly, is none. */
enum logical_type {
	LOGICAL_NONE,
	LOGICAL_DATE,	    /* INT */
	LOGICAL_TIMESTAMP,  /* LONG; scale: 3, 6 or 9 */
	LOGICAL_LOCAL_TIME, /* INT, LONG: time of day, or timestamp without a time zone; scale: 3, 6 or 9 */
	LOGICAL_DECIMAL,    /* BYTES, FIXED */
};

struct shape {
	enum shape_kind kind;
	enum logical_type logical;
	uint32_t scale; /* of the logical type: decimal digits after the point */
	bool empty;		    /* its values take no byte at all (null, and what is made of nulls only) */
	uint32_t number;	    /* RECORD, ENUM, FIXED: order of definition within the schema, from 0 */
	uint32_t count;		    /* RECORD: fields; UNION: branches; ENUM: symbols; ARRAY, MAP: 1 */
	uint32_t size_bytes;	    /* FIXED */
	const char *name;	    /* RECORD, ENUM, FIXED: full name, at most SHAPE_NAME_MAX bytes */
	const struct shape **parts; /* types of fields, branches, items or values */
	const char **labels;	    /* RECORD: names of fields; ENUM: symbols */
	uint32_t solid_count;	    /* RECORD: so many fields are not empty */
	const struct shape **solid; /* RECORD: the types of these, in their order */
};

/* What a schema may ask of us: types, fields and symbols in all of its texts together, and the length of a full name. */
enum { SHAPE_PARTS_MAX = 10000, SHAPE_NAME_MAX = 500 };

/* False (VERDICT_USAGE) when the text is no JSON or no Avro schema; the detail says what is wrong. */
bool shape_compile(struct slice schema_json, struct arena *arena, const struct shape **shape,
		   struct err *err) BYU_MUST_CHECK;
/* The last of several schemas, which may speak of the types that those before it define. */
bool shape_compile_all(const struct slice *schemas_json, uint32_t count, struct arena *arena, const struct shape **shape,
		       struct err *err) BYU_MUST_CHECK;

/* "string", "record" … as in a schema. */
const char *shape_kind_name(enum shape_kind kind);

#endif
