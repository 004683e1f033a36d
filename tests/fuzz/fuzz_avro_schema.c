/* Any text as an Avro schema: its parsing canonical form is its own canonical form, and has the same fingerprint. */
#include "fuzz.h"

#include "byunique/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf form = BUF_EMPTY, again = BUF_EMPTY;
	uint64_t fingerprint, same;
	struct err err;

	if (!schema_canonical_form(slice_of(data, size), &form, &err)) {
		check_error(&err);
		buf_release(&form);
		return 0;
	}
	HOLDS(schema_canonical_form(buf_slice(&form), &again, &err));
	HOLDS(slice_equal(buf_slice(&form), buf_slice(&again)));
	HOLDS(schema_fingerprint(slice_of(data, size), &fingerprint, &err));
	HOLDS(schema_fingerprint(buf_slice(&form), &same, &err) && fingerprint == same);
	buf_release(&form);
	buf_release(&again);
	return 0;
}
