/* Our schemas, as they are published. */
#include "avro/embedded.h"

#include "base/embed.h"

EMBED(byunique_command_schema, "schemas/UpdateByUnique.avsc");
EMBED(byunique_result_schema, "schemas/UpdateResult.avsc");
EMBED(byunique_archive_schema, "schemas/ArchivedMessage.avsc");

extern const char byunique_command_schema[], byunique_command_schema_end[];
extern const char byunique_result_schema[], byunique_result_schema_end[];
extern const char byunique_archive_schema[], byunique_archive_schema_end[];

struct slice embedded_command_schema(void)
{
	return slice_of(byunique_command_schema, (size_t)(byunique_command_schema_end - byunique_command_schema));
}

struct slice embedded_result_schema(void)
{
	return slice_of(byunique_result_schema, (size_t)(byunique_result_schema_end - byunique_result_schema));
}

struct slice embedded_archive_schema(void)
{
	return slice_of(byunique_archive_schema, (size_t)(byunique_archive_schema_end - byunique_archive_schema));
}
