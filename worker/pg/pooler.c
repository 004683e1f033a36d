/* pgbouncer and its like, in transaction mode: the next transaction meets another session, without our search_path, our
 * prepared statements and the lock that keeps our transactional id ours; and what we set reaches strangers.
 *
 * A pooler is known by the process id that it gives at connection, which is not the server's: it has to invent one, so
 * that it can tell whose request to cancel comes in. In session mode all is well. Whether sessions are shared is found
 * out by a second connection: does it, within a transaction, meet the session that this one has just used, or does this
 * one meet another meanwhile? Poolers hand out the session used last, or all in turn: a few rounds tell. */
#include "internal.h"

#include <stdlib.h>

static bool ask_pid(struct pg *pg, int64_t *pid, struct err *err)
{
	struct pg_rows *rows = NULL;

	if (!pg_query(pg, "SELECT pg_backend_pid()", NULL, 0, &rows, err))
		return false;
	*pid = pg_rows_int(rows, 0, 0);
	pg_rows_free(rows);
	return true;
}

/* Statement mode: each statement meets another session, so there are no transactions. */
static bool knows_no_transactions(const struct err *err)
{
	return strstr(err->detail, "statement pooling") != NULL;
}

/* The second connection takes a session for as long as its transaction lasts. Where the pooler has none left for it, it
 * fails: then this one's is not shared. */
static bool meets_ours(struct pg *pg, struct pg *other, int64_t ours, bool *shared, struct err *err)
{
	struct err told;
	int64_t theirs = 0, again = 0;

	if (!pg_script(other, "BEGIN", &told) || !ask_pid(other, &theirs, &told)) {
		*shared = knows_no_transactions(&told);
		return true;
	}
	*shared = theirs == ours;
	bool ok = *shared || ask_pid(pg, &again, err);
	pg_rollback(other);
	*shared = *shared || (ok && again != ours);
	return ok;
}

static bool find_out(struct pg *pg, int64_t ours, bool *shared, struct err *err)
{
	enum { ROUNDS = 5, OTHERS_LIMIT_MS = 5000 };
	struct pg other = {.conn = pg_connect_raw(pg), .limit_ms = OTHERS_LIMIT_MS, .give_up = pg->give_up};
	bool ok = true;

	for (int i = 0; ok && !*shared && i < ROUNDS && pg_alive(&other); i++)
		ok = meets_ours(pg, &other, ours, shared, err);
	PQfinish(other.conn);
	return ok;
}

bool pg_refuse_shared_sessions(struct pg *pg, struct err *err)
{
	int64_t ours;
	bool shared = false;

	if (!ask_pid(pg, &ours, err))
		return false;
	if (ours == PQbackendPID(pg->conn))
		return true;
	if (!find_out(pg, ours, &shared, err))
		return false;
	if (!shared)
		return true;
	err_set(err, VERDICT_STOP, "", "a connection pooler gives this session to others between two transactions");
	return err_hint(err, "Use a pool with pool_mode = session, or connect to PostgreSQL itself.");
}
