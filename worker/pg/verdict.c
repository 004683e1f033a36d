/* SQLSTATE → verdict. The first row that matches counts; an empty pattern matches all. What is not listed is taken for
 * the fault of one command, which bisecting finds; if it is everybody's fault, the empty batch fails as well and stops
 * the worker. */
#include "internal.h"

#include <stdio.h>

struct rule {
	const char *prefix; /* of the SQLSTATE */
	enum verdict verdict;
	const char *hint;
};

static const struct rule rules[] = {
	{"40001", VERDICT_RETRY, NULL},
	{"40P01", VERDICT_RETRY, NULL},
	{"55P03", VERDICT_RETRY, NULL},
	{"25P02", VERDICT_RETRY, NULL}, /* the transaction had failed before: no fault of what comes then */
	{"57014", VERDICT_HALVE, NULL},
	{"57P0", VERDICT_RECONNECT, NULL},
	{"08", VERDICT_RECONNECT, NULL},
	{"25006", VERDICT_RECONNECT, "The server is read-only: a standby, or default_transaction_read_only is on."},
	{"25P03", VERDICT_RECONNECT, NULL}, /* idle_in_transaction_session_timeout */
	{"25P04", VERDICT_RECONNECT, NULL}, /* transaction_timeout, from PostgreSQL 17 on */
	{"53300", VERDICT_RECONNECT, "Raise max_connections, or let fewer programs connect."},
	{"53", VERDICT_PAUSE, "Free disk space or memory on the database server."},
	{"58", VERDICT_PAUSE, "Look into the database server's log."},
	{"26000", VERDICT_PREPARE, NULL},
	{"42P05", VERDICT_PREPARE, NULL},
	{"0A000", VERDICT_PREPARE, NULL}, /* cached plan must not change result type: see is_stale_plan() */
	{"42501", VERDICT_STOP, "Grant this role its rights, or let it be a member of one that `byunique init` makes with postgres.roles."},
	{"42P01", VERDICT_STOP, "A table is missing. Was `byunique init` run, and `postgres.schema` set right?"},
	{"42", VERDICT_STOP, "The database objects are not those this version expects. Run `byunique init`."},
	{"28", VERDICT_STOP, "Check user and password in `postgres`, and the server's pg_hba.conf."},
	{"3D", VERDICT_STOP, "Check the database name in `postgres`."},
	{"3F", VERDICT_STOP, "Run `byunique init`, or check `postgres.schema`."},
	{"55000", VERDICT_STOP, "A table can't be updated as it is, for one without a replica identity is published."},
	{"2200H", VERDICT_STOP, "A sequence that a trigger or a default draws from is exhausted."},
	{"XX001", VERDICT_STOP, "The database is damaged."},
	{"XX002", VERDICT_STOP, "The database is damaged."},
	{"", VERDICT_BISECT, NULL},
};

static const struct rule *rule_of(const char *sqlstate)
{
	const struct rule *rule = rules;
	while (strncmp(sqlstate, rule->prefix, strlen(rule->prefix)) != 0)
		rule++;
	return rule;
}

enum verdict pg_verdict(const char *sqlstate)
{
	return rule_of(sqlstate)->verdict;
}

bool pg_lock_was_missing(const struct err *err)
{
	return strcmp(err->origin, "55P03") == 0;
}

/* 0A000 has many causes, and its message many languages: the server's own function tells the one that is meant. */
static bool is_stale_plan(const PGresult *result)
{
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
	return function != NULL && strcmp(function, "RevalidateCachedQuery") == 0;
}

static const struct rule *rule_of_result(const PGresult *result, const char *sqlstate)
{
	const struct rule *rule = rule_of(sqlstate);
	return strcmp(sqlstate, "0A000") != 0 || is_stale_plan(result) ? rule : rule_of("");
}

/* Said by a trigger of somebody's, with whatever SQLSTATE it likes: the places are those of PL/pgSQL, PL/Python, PL/Perl,
 * PL/Tcl. */
static bool is_raised(const PGresult *result)
{
	static const char *const places[] = {"pl_exec.c", "plpy_elog.c", "plpy_plpymodule.c", "plperl.c", "pltcl.c"};
	const char *place = PQresultErrorField(result, PG_DIAG_SOURCE_FILE);

	for (size_t i = 0; place != NULL && i < sizeof(places) / sizeof(*places); i++)
		if (strcmp(place, places[i]) == 0)
			return true;
	return false;
}

/* A message of class 22 may quote the value at fault (invalid input syntax for type integer: "…"), and what a trigger of
 * somebody's raises may hold anything. */
static bool may_quote_values(const PGresult *result, const char *sqlstate, enum verdict verdict)
{
	return strncmp(sqlstate, "22", 2) == 0 || is_raised(result) ||
	       (verdict == VERDICT_BISECT && PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL);
}

bool pg_result_error(const PGresult *result, const char *context, struct err *err)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
	const char *table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);

	if (sqlstate == NULL) { /* made by libpq itself: the connection is at fault */
		err_set(err, VERDICT_RECONNECT, "", "%s failed", context);
		return err_detail(err, "%s", PQresultErrorMessage(result));
	}
	const struct rule *rule = rule_of_result(result, sqlstate);
	err_set(err, rule->verdict, sqlstate, "%s failed", context);
	if (constraint != NULL)
		err_detail(err, "constraint %s of table %s", constraint, table ? table : "?");
	else if (message != NULL && !may_quote_values(result, sqlstate, rule->verdict))
		err_detail(err, "%s", message);
	if (rule->hint != NULL)
		err_hint(err, "%s", rule->hint);
	return false;
}
