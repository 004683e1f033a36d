/* The .sql files beside this one, in the binary: .incbin keeps them files that psql can run, with no generator. Paths are
 * relative to the repository's root, where the compiler is started. */
#include "sql/statements.h"

#define EMBED(symbol, path)                                                                                            \
	__asm__(".pushsection .rodata\n"                                                                               \
		".global " #symbol "\n"                                                                                \
		".type " #symbol ", @object\n" #symbol ":\n"                                                           \
		".incbin \"" path "\"\n"                                                                               \
		".byte 0\n"                                                                                            \
		".size " #symbol ", . - " #symbol "\n"                                                                 \
		".popsection\n")

#define SQL_FILE(name) EMBED(sql_##name, "worker/sql/" #name ".sql");
SQL_FILES(SQL_FILE)

EMBED(sql_migration_1, "schemas/migrations/001.sql");
EMBED(example_phone, "schemas/examples/phone.json");
