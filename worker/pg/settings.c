/* The guarantees hold as far as a COMMIT does. What weakens it is the operator's choice, so it is said, and no more. */
#include "internal.h"

#include "byunique/log.h"
#include "sql/statements.h"

void pg_warn_weak_settings(struct pg *pg)
{
	struct pg_rows *rows = NULL;
	struct err err;

	if (!pg_query(pg, sql_weak_settings, NULL, 0, &rows, &err)) {
		log_err(LOG_WARN, "settings_unknown", &err);
		return;
	}
	for (int row = 0; row < pg_rows_count(rows); row++)
		log_event(LOG_WARN, "weak_setting", "name=%s value=%s consequence=%s", log_quote(pg_rows_get(rows, row, 0)),
			  log_quote(pg_rows_get(rows, row, 1)), log_quote(pg_rows_get(rows, row, 2)));
	pg_rows_free(rows);
}
