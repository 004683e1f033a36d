/* Written from the compiled shape, which holds exactly what the canonical form keeps (Avro 1.11 specification, "Parsing
 * Canonical Form for Schemas"). A named type is spelled out where it is defined, which is where a walk in the schema's own
 * order meets it first, and is called by its full name after that.
 *
 * The CRC goes bit by bit, without a table: a schema is hashed once, when it is loaded. */
#include "avro/canonical.h"

#include "byunique/avro.h"

#include <inttypes.h>

struct writer {
	struct buf *out;
	uint32_t defined; /* named types spelled out so far */
};

static void write_shape(struct writer *w, const struct shape *shape);

static void write_record(struct writer *w, const struct shape *shape)
{
	buf_printf(w->out, "{\"name\":\"%s\",\"type\":\"record\",\"fields\":[", shape->name);
	for (uint32_t i = 0; i < shape->count; i++) {
		buf_printf(w->out, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", shape->labels[i]);
		write_shape(w, shape->parts[i]);
		buf_addc(w->out, '}');
	}
	buf_adds(w->out, "]}");
}

static void write_enum(struct writer *w, const struct shape *shape)
{
	buf_printf(w->out, "{\"name\":\"%s\",\"type\":\"enum\",\"symbols\":[", shape->name);
	for (uint32_t i = 0; i < shape->count; i++)
		buf_printf(w->out, "%s\"%s\"", i ? "," : "", shape->labels[i]);
	buf_adds(w->out, "]}");
}

static void write_named(struct writer *w, const struct shape *shape)
{
	if (shape->number < w->defined) {
		buf_printf(w->out, "\"%s\"", shape->name);
		return;
	}
	w->defined++;
	if (shape->kind == SHAPE_RECORD)
		write_record(w, shape);
	else if (shape->kind == SHAPE_ENUM)
		write_enum(w, shape);
	else
		buf_printf(w->out, "{\"name\":\"%s\",\"type\":\"fixed\",\"size\":%" PRIu32 "}", shape->name,
			   shape->size_bytes);
}

static void write_union(struct writer *w, const struct shape *shape)
{
	buf_addc(w->out, '[');
	for (uint32_t i = 0; i < shape->count; i++) {
		if (i > 0)
			buf_addc(w->out, ',');
		write_shape(w, shape->parts[i]);
	}
	buf_addc(w->out, ']');
}

static void write_shape(struct writer *w, const struct shape *shape)
{
	switch (shape->kind) {
	case SHAPE_RECORD:
	case SHAPE_ENUM:
	case SHAPE_FIXED: write_named(w, shape); break;
	case SHAPE_UNION: write_union(w, shape); break;
	case SHAPE_ARRAY:
	case SHAPE_MAP:
		buf_adds(w->out, shape->kind == SHAPE_ARRAY ? "{\"type\":\"array\",\"items\":"
							    : "{\"type\":\"map\",\"values\":");
		write_shape(w, shape->parts[0]);
		buf_addc(w->out, '}');
		break;
	default: buf_printf(w->out, "\"%s\"", shape_kind_name(shape->kind));
	}
}

void canonical_form(const struct shape *shape, struct buf *out)
{
	struct writer w = {.out = out};
	write_shape(&w, shape);
}

static uint64_t crc64_avro(struct slice text)
{
	const uint64_t empty = UINT64_C(0xC15D213AA4D7A795); /* polynomial, and the fingerprint of nothing */
	uint64_t crc = empty;

	for (size_t i = 0; i < text.len; i++) {
		crc ^= (unsigned char)text.base[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? empty : 0);
	}
	return crc;
}

uint64_t canonical_fingerprint(const struct shape *shape)
{
	struct buf form = BUF_EMPTY;

	canonical_form(shape, &form);
	uint64_t fingerprint = crc64_avro(buf_slice(&form));
	buf_release(&form);
	return fingerprint;
}

bool schema_canonical_form(struct slice schema_json, struct buf *out, struct err *err)
{
	struct arena arena;
	const struct shape *shape;

	arena_init(&arena);
	bool ok = shape_compile(schema_json, &arena, &shape, err);
	if (ok)
		canonical_form(shape, out);
	arena_release(&arena);
	return ok;
}

bool schema_fingerprint(struct slice schema_json, uint64_t *fingerprint, struct err *err)
{
	struct arena arena;
	const struct shape *shape;

	arena_init(&arena);
	bool ok = shape_compile(schema_json, &arena, &shape, err);
	if (ok)
		*fingerprint = canonical_fingerprint(shape);
	arena_release(&arena);
	return ok;
}
