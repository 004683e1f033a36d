/* The assembler takes the files in as they are, so there is one copy of each schema and no generated C. Paths are relative
 * to the root of the repository, where the compiler is started. */
#include "avro/embedded.h"

#define EMBED(symbol, path)                                                                                            \
	__asm__(".pushsection .rodata\n"                                                                               \
		".globl " #symbol "\n"                                                                                 \
		".hidden " #symbol "\n" #symbol ":\n"                                                                  \
		".incbin \"" path "\"\n"                                                                               \
		".globl " #symbol "_end\n"                                                                             \
		".hidden " #symbol "_end\n" #symbol "_end:\n"                                                          \
		".byte 0\n"                                                                                            \
		".popsection\n");                                                                                      \
	extern const char symbol[] __attribute__((visibility("hidden")));                                              \
	extern const char symbol##_end[] __attribute__((visibility("hidden")))

EMBED(byunique_command_schema, "schemas/UpdateByUnique.avsc");
EMBED(byunique_result_schema, "schemas/UpdateResult.avsc");

struct slice embedded_command_schema(void)
{
	return slice_of(byunique_command_schema, (size_t)(byunique_command_schema_end - byunique_command_schema));
}

struct slice embedded_result_schema(void)
{
	return slice_of(byunique_result_schema, (size_t)(byunique_result_schema_end - byunique_result_schema));
}
