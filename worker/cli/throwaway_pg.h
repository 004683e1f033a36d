/* A PostgreSQL cluster of its own, in a folder of its own, reachable by a Unix socket in there and by nothing else. */
#ifndef CLI_THROWAWAY_PG_H
#define CLI_THROWAWAY_PG_H

#include "byunique/err.h"

struct throwaway_pg;

/* Makes and starts one in `folder`/postgresql, waits until it answers. Never runs as root: as the user postgres or
 * nobody instead. `interrupted` ends the wait. Errors: PostgreSQL's programs are not installed (with what to install),
 * or do not work (with the end of their output). */
bool throwaway_pg_start(struct throwaway_pg **pg, const char *folder, bool (*interrupted)(void), struct err *err)
	BYU_MUST_CHECK;
const char *throwaway_pg_conninfo(const struct throwaway_pg *pg);
void throwaway_pg_stop(struct throwaway_pg *pg); /* NULL is fine; the folder is the caller's to remove */

#endif
