/* Our schemas, as published in schemas/, within the program. */
#ifndef BYUNIQUE_AVRO_EMBEDDED_H
#define BYUNIQUE_AVRO_EMBEDDED_H

#include "byunique/slice.h"

struct slice embedded_command_schema(void); /* schemas/UpdateByUnique.avsc */
struct slice embedded_result_schema(void);  /* schemas/UpdateResult.avsc */
struct slice embedded_archive_schema(void); /* schemas/ArchivedMessage.avsc */

#endif
