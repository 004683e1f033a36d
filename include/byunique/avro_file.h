/* Commands from an Avro object container file, record by record in constant memory.
 *
 * The records are shaped like UpdateByUnique, by the schema that the file was written with: it is resolved as a message's
 * writer's schema is, but command_id and ext_name may be missing or null, like batch_id and issued_at. Codecs: null and
 * deflate. A block may take 64 MiB, packed and unpacked, the header 4 MiB. Nothing in the file is believed before it is
 * checked (avro-c's own reader does not): a truncated or damaged file is an error that says where. */
#ifndef BYUNIQUE_AVRO_FILE_H
#define BYUNIQUE_AVRO_FILE_H

#include "byunique/arena.h"
#include "byunique/command.h"
#include "byunique/err.h"

enum { AVRO_BLOCK_BYTES_MAX = 64 * 1024 * 1024, AVRO_HEADER_BYTES_MAX = 4 * 1024 * 1024 };

#define AVRO_FILE_MAGIC "Obj\x01"

struct input;
struct avro_file;
/* `input` is taken over, also in case of failure. Errors: no container file (VERDICT_STOP), or one with a codec or a schema
 * that can't be read (VERDICT_USAGE). */
bool avro_file_open(struct avro_file **file, struct input *input, struct err *err) BYU_MUST_CHECK;
/* The next command: what is missing is absent. Its strings live until the next call, its list of attributes as long as the
 * arena's content. *got is false at the end. After an error (VERDICT_STOP) only avro_file_close() may follow. */
bool avro_file_next(struct avro_file *file, struct arena *arena, struct command *command, bool *got,
		    struct err *err) BYU_MUST_CHECK;
uint64_t avro_file_record(const struct avro_file *file); /* number of the last record, from 1 */
const char *avro_file_name(const struct avro_file *file);
void avro_file_close(struct avro_file *file); /* NULL is fine */

#endif
