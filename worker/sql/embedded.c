/* The .sql files beside this one, so that they stay files that psql can run. */
#include "sql/statements.h"

#include "base/embed.h"

#define SQL_FILE(name) EMBED(sql_##name, "worker/sql/" #name ".sql");
SQL_FILES(SQL_FILE)

EMBED(sql_migration_1, "schemas/migrations/001.sql");
EMBED(sql_migration_2, "schemas/migrations/002.sql");
EMBED(example_phone, "schemas/examples/phone.json");
