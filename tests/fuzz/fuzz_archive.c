/* Any bytes as a file of an archive: messages in order, within what the header says, or refused.
 *
 * The first byte of an input says how to take the rest: 0, as blocks behind a header that is right, without a codec; 1, as a
 * whole file. */
#include "fuzz.h"

#include "avro/embedded.h"
#include "byunique/archive.h"
#include "byunique/avro_file.h"

static void add_pair(struct buf *out, const char *key, struct slice value)
{
	buf_varint(out, 2 * strlen(key));
	buf_adds(out, key);
	buf_varint(out, 2 * value.len);
	buf_add(out, value.base, value.len);
}

static void add_header(struct buf *out)
{
	buf_add(out, AVRO_FILE_MAGIC, 4);
	buf_varint(out, 2 * 7);
	add_pair(out, "avro.schema", embedded_archive_schema());
	add_pair(out, "byunique.topic", SLICE_LIT("t"));
	add_pair(out, "byunique.cluster", SLICE_LIT("c"));
	add_pair(out, "byunique.partition", SLICE_LIT("0"));
	add_pair(out, "byunique.first_offset", SLICE_LIT("5"));
	add_pair(out, "byunique.next_offset", SLICE_LIT("1000"));
	add_pair(out, "byunique.records", SLICE_LIT("3"));
	buf_addc(out, '\0');
	buf_adds(out, "0123456789abcdef");
}

static void read_all(struct archive_reader *reader)
{
	static struct arena arena;
	const struct archive_label *label = archive_label(reader);
	int64_t last = label->first_offset - 1, count = 0;
	struct archived message;
	struct err err;
	bool got;

	HOLDS(label->next_offset > label->first_offset && label->partition >= 0);
	for (;;) {
		arena_clear(&arena);
		if (!archive_next(reader, &arena, &message, &got, &err)) {
			HOLDS(err.verdict == VERDICT_STOP);
			check_error(&err);
			return;
		}
		if (!got)
			break;
		HOLDS(message.offset > last && message.offset < label->next_offset);
		last = message.offset;
		count++;
	}
	HOLDS(count == label->records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf bytes = BUF_EMPTY;
	struct archive_reader *reader;
	struct err err;

	if (size == 0)
		return 0;
	if (data[0] == 0)
		add_header(&bytes);
	buf_add(&bytes, data + 1, size - 1);
	if (archive_open(&reader, fuzz_file(bytes.base, bytes.len), &err)) {
		read_all(reader);
		archive_close(reader);
	} else {
		check_error(&err);
	}
	buf_release(&bytes);
	return 0;
}
