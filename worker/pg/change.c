/* A change of tables that workers and others use meanwhile. ALTER TABLE waits for every transaction that has used the table,
 * and whoever comes behind it waits as well: a backup, or a transaction that somebody forgot, would stop all workers for as
 * long as it lasts. So no lock is waited for longer than a second; then the transaction is given up, which lets the others
 * pass, and tried again. Rejected: NOWAIT, which hardly ever gets in where batches follow each other. */
#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/log.h"

#include "internal.h"


enum {
	PATIENCE_MS = 300000,
	PAUSE_MS = 1000, /* at least as long as others were kept waiting */
	PAUSE_CAP_MS = 5000,
	TELL_MS = 30000,
};

static const char begin[] = "BEGIN; SET LOCAL lock_timeout = '1s'";

static int64_t patience_ms(void)
{
	return FAILPOINT_MS("BYUNIQUE_TEST_PATIENCE_MS", PATIENCE_MS);
}

static bool try_once(struct pg *pg, pg_step *step, void *arg, struct err *err)
{
	bool ok = pg_script(pg, begin, err) && step(pg, arg, err) && pg_script(pg, "COMMIT", err);

	if (!ok)
		pg_rollback(pg);
	return ok;
}

static bool fail(struct err *err)
{
	err_set(err, VERDICT_STOP, "55P03", "a transaction of somebody else's keeps tables locked");
	err_detail(err, "this was tried for %lld s", (long long)patience_ms() / 1000);
	return err_hint(err, "See pg_stat_activity for one that has been open for long. Repeat the command when it has ended.");
}

bool pg_change(struct pg *pg, pg_step *step, void *arg, struct err *err)
{
	int64_t give_up_ms = clock_mono_ms() + patience_ms(), told_ms = 0;

	for (unsigned attempt = 0;; attempt++) {
		if (try_once(pg, step, arg, err))
			return true;
		if (!pg_lock_was_missing(err))
			return false;
		if (clock_mono_ms() >= give_up_ms)
			return fail(err);
		if (log_limit(&told_ms, TELL_MS))
			log_event(LOG_WARN, "lock_awaited", "attempt=%u what=%s", attempt + 1,
				  log_quotes("another transaction keeps a table locked; tried again until it has ended"));
		clock_sleep_ms(PAUSE_MS + clock_backoff_ms(attempt, PAUSE_MS, PAUSE_CAP_MS));
	}
}
