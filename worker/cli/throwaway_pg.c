/* initdb, then the server itself as our child: by pg_ctl it would outlive us. Durability is left as it is shipped, so
 * that what is measured on it means something; only initdb does not wait for the disk. */
#include "throwaway_pg.h"

#include "byunique/clock.h"
#include "byunique/config.h"
#include "byunique/pg.h"
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 60000, STOP_MS = 10000 };

struct throwaway_pg {
	char *programs; /* folder of initdb and postgres */
	char *folder;
	char *log;
	char *conninfo;
	uid_t uid; /* 0: as we are */
	gid_t gid;
	pid_t pid; /* 0: not started */
};

/* --- where PostgreSQL is installed -------------------------------------------------------------------------------- */

/* Takes the folder over: returns it when both programs are there, else NULL. */
static char *with_programs(char *folder)
{
	char *initdb = xasprintf("%s/initdb", folder), *postgres = xasprintf("%s/postgres", folder);
	bool both = access(initdb, X_OK) == 0 && access(postgres, X_OK) == 0;

	free(initdb);
	free(postgres);
	if (both)
		return folder;
	free(folder);
	return NULL;
}

static char *find_in_path(void)
{
	const char *path = getenv("PATH");
	char *copy = xstrdup(path ? path : ""), *rest = copy, *folder, *found = NULL;

	while (found == NULL && (folder = strsep(&rest, ":")) != NULL)
		if (folder[0] == '/')
			found = with_programs(xstrdup(folder));
	free(copy);
	return found;
}

static char *ask_pg_config(void)
{
	char line[PATH_MAX] = "";
	FILE *out = popen("pg_config --bindir 2>/dev/null", "re");

	if (out == NULL)
		return NULL;
	if (fgets(line, sizeof(line), out) == NULL)
		line[0] = '\0';
	pclose(out);
	line[strcspn(line, "\n")] = '\0';
	return with_programs(xstrdup(line));
}

/* Debian's folders, newest version first. */
static char *find_in_debian(void)
{
	glob_t versions;
	char *found = NULL;
	int best = -1;

	if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &versions) != 0)
		return NULL;
	for (size_t i = 0; i < versions.gl_pathc; i++) {
		int version = atoi(versions.gl_pathv[i] + strlen("/usr/lib/postgresql/"));
		char *folder = version > best ? with_programs(xstrdup(versions.gl_pathv[i])) : NULL;
		if (folder == NULL)
			continue;
		free(found);
		found = folder;
		best = version;
	}
	globfree(&versions);
	return found;
}

static bool find_programs(struct throwaway_pg *pg, struct err *err)
{
	pg->programs = find_in_path();
	if (pg->programs == NULL)
		pg->programs = ask_pg_config();
	if (pg->programs == NULL)
		pg->programs = find_in_debian();
	if (pg->programs != NULL)
		return true;
	err_set(err, VERDICT_STOP, "", "PostgreSQL's server is not installed");
	err_detail(err,
		   "initdb and postgres are neither in PATH, nor where pg_config says, nor below /usr/lib/postgresql");
	return err_hint(
		err, "Install it: `apt-get install postgresql` (Debian, Ubuntu) or `dnf install postgresql-server`.");
}

/* --- folder and user ---------------------------------------------------------------------------------------------- */

static bool choose_user(struct throwaway_pg *pg, struct err *err)
{
	if (geteuid() != 0)
		return true;
	const struct passwd *user = getpwnam("postgres");
	if (user == NULL)
		user = getpwnam("nobody");
	if (user == NULL || user->pw_uid == 0) {
		err_set(err, VERDICT_STOP, "", "there is no user to run PostgreSQL as");
		err_detail(err,
			   "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody");
		return err_hint(err, "Run this as an ordinary user.");
	}
	pg->uid = user->pw_uid;
	pg->gid = user->pw_gid;
	return true;
}

static bool make_folder(struct throwaway_pg *pg, struct err *err)
{
	if (mkdir(pg->folder, 0700) == 0 && (pg->uid == 0 || chown(pg->folder, pg->uid, pg->gid) == 0))
		return true;
	return err_set(err, VERDICT_STOP, "", "can't make the folder %s: %s", pg->folder, strerror(errno));
}

/* --- its two programs --------------------------------------------------------------------------------------------- */

static bool start_program(struct throwaway_pg *pg, const char *const *argv, pid_t *pid, struct err *err)
{
	int log = open(pg->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0)
		return err_set(err, VERDICT_STOP, "", "can't write %s: %s", pg->log, strerror(errno));

	const struct child_spec spec = {
		.argv = argv,
		.folder = pg->folder,
		.output = log,
		.uid = pg->uid,
		.gid = pg->gid,
		.death_signal = SIGQUIT, /* its "immediate" shutdown */
	};
	bool ok = child_start(pid, &spec, err);
	close(log);
	return ok;
}

/* The end of the log says why. */
static bool fail_with_log(const struct throwaway_pg *pg, const char *program, int status, struct err *err)
{
	char text[400] = "", how[32];
	FILE *log = fopen(pg->log, "re");

	if (log != NULL) {
		if (fseek(log, -(long)sizeof(text) + 1, SEEK_END) != 0)
			rewind(log);
		text[fread(text, 1, sizeof(text) - 1, log)] = '\0';
		fclose(log);
	}
	err_set(err, VERDICT_STOP, "", "PostgreSQL's %s failed: %s", program, child_status_text(status, how));
	return err_detail(err, "%s", text);
}

static bool make_cluster(struct throwaway_pg *pg, bool (*interrupted)(void), struct err *err)
{
	char *program = xasprintf("%s/initdb", pg->programs);
	const char *const argv[] = {program, "-D", "data", "-U",	 "byunique",  "-A",
				    "trust", "-E", "UTF8", "--locale=C", "--no-sync", NULL};
	int status = 0;
	pid_t pid;

	bool ok = start_program(pg, argv, &pid, err);
	free(program);
	if (!ok)
		return false;
	bool ended = false;
	while (!ended && !interrupted())
		ended = child_wait(pid, 100, &status);
	if (!ended)
		status = child_stop(pid, SIGTERM, STOP_MS);
	return status == 0 || fail_with_log(pg, "initdb", status, err);
}

static bool start_server(struct throwaway_pg *pg, struct err *err)
{
	char *program = xasprintf("%s/postgres", pg->programs);
	char *sockets = xasprintf("unix_socket_directories=%s", pg->folder);
	const char *const argv[] = {program,
				    "-D",
				    "data",
				    "-c",
				    "listen_addresses=",
				    "-c",
				    sockets,
				    "-c",
				    "max_connections=20",
				    "-c",
				    "timezone=UTC",
				    "-c",
				    "log_min_messages=warning",
				    NULL};

	bool ok = start_program(pg, argv, &pg->pid, err);
	if (!ok)
		pg->pid = 0;
	free(program);
	free(sockets);
	return ok;
}

static bool answers(const struct throwaway_pg *pg)
{
	char none[] = "", schema[] = "byunique";
	struct config config = {.postgres = pg->conninfo, .postgres_password = none, .postgres_password_file = none,
				.postgres_schema = schema};
	struct err ignored; /* it is not up yet: asked again */
	struct pg *connection;

	if (!pg_open(&connection, &config, "byunique demo", &ignored))
		return false;
	pg_close(connection);
	return true;
}

static bool wait_until_up(struct throwaway_pg *pg, bool (*interrupted)(void), struct err *err)
{
	int64_t deadline_ms = clock_mono_ms() + START_MS;
	int status;

	while (!answers(pg)) {
		if (child_ended(pg->pid, &status)) {
			pg->pid = 0;
			return fail_with_log(pg, "server", status, err);
		}
		if (interrupted() || clock_mono_ms() > deadline_ms)
			return err_set(err, VERDICT_STOP, "", "PostgreSQL did not come up");
		clock_sleep_ms(50);
	}
	return true;
}

/* --- start and stop ----------------------------------------------------------------------------------------------- */

bool throwaway_pg_start(struct throwaway_pg **out, const char *folder, bool (*interrupted)(void), struct err *err)
{
	struct throwaway_pg *pg = xcalloc(1, sizeof(*pg));

	pg->folder = xasprintf("%s/postgresql", folder);
	pg->log = xasprintf("%s/postgresql.log", folder);
	pg->conninfo = xasprintf("host=%s user=byunique dbname=postgres", pg->folder);
	if (find_programs(pg, err) && choose_user(pg, err) && make_folder(pg, err) &&
	    make_cluster(pg, interrupted, err) && start_server(pg, err) && wait_until_up(pg, interrupted, err)) {
		*out = pg;
		return true;
	}
	throwaway_pg_stop(pg);
	return false;
}

const char *throwaway_pg_conninfo(const struct throwaway_pg *pg)
{
	return pg->conninfo;
}

void throwaway_pg_stop(struct throwaway_pg *pg)
{
	if (pg == NULL)
		return;
	if (pg->pid != 0)
		child_stop(pg->pid, SIGQUIT, STOP_MS);
	free(pg->programs);
	free(pg->folder);
	free(pg->log);
	free(pg->conninfo);
	free(pg);
}
