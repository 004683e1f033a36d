/* Everything the demo makes is in one folder and in children of this process, so that leaving nothing behind is one
 * kill and one removal. The embedded broker lives in this process. */
#include "demo.h"

#include "byunique/clock.h"
#include "child.h"
#include "throwaway_pg.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKER_STOP_MS = 30000, LOG_TAIL_BYTES = 4000 };

/* --- environment -------------------------------------------------------------------------------------------------- */

static bool is_setting(const char *variable)
{
	return strncmp(variable, "BYUNIQUE_", 9) == 0 || strncmp(variable, "PG", 2) == 0;
}

void demo_clean_environment(void)
{
	size_t i = 0;

	while (environ != NULL && environ[i] != NULL) {
		if (!is_setting(environ[i])) {
			i++;
			continue;
		}
		char *name = xasprintf("%.*s", (int)strcspn(environ[i], "="), environ[i]);
		unsetenv(name); /* moves the others up */
		free(name);
	}
}

/* --- folder ------------------------------------------------------------------------------------------------------- */

/* A path that needs no quoting in a connection string, and leaves room for a socket's name, of 107 bytes at most. */
static bool is_plain(const char *folder)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
	return folder[0] == '/' && folder[strspn(folder, plain)] == '\0' && strlen(folder) < 50;
}

static bool make_folder(struct demo *demo, struct err *err)
{
	const char *parent = getenv("TMPDIR");

	demo->folder = xasprintf("%s/byunique-demo-XXXXXX", parent != NULL && is_plain(parent) ? parent : "/tmp");
	if (mkdtemp(demo->folder) == NULL) {
		err_set(err, VERDICT_STOP, "", "can't make the folder %s: %s", demo->folder, strerror(errno));
		free(demo->folder);
		demo->folder = NULL;
		return false;
	}
	/* PostgreSQL may run as another user, who has to get through. */
	return geteuid() != 0 || chmod(demo->folder, 0711) == 0 ||
	       err_set(err, VERDICT_STOP, "", "can't open the folder %s: %s", demo->folder, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *unused, int type, struct FTW *walk)
{
	(void)unused, (void)type, (void)walk;
	return remove(path);
}

bool demo_write_file(const struct demo *demo, const char *name, struct slice text, struct err *err)
{
	char *path = xasprintf("%s/%s", demo->folder, name);
	FILE *file = fopen(path, "we");
	bool ok = file != NULL && fwrite(text.base, 1, text.len, file) == text.len;

	ok = file != NULL && fclose(file) == 0 && ok;
	if (!ok)
		err_set(err, VERDICT_STOP, "", "can't write %s: %s", path, strerror(errno));
	free(path);
	return ok;
}

/* --- services ----------------------------------------------------------------------------------------------------- */

/* The mock broker waits for members as long as a session lasts before it lets a group start anew: hence a short one. */
static bool write_config(struct demo *demo, struct err *err)
{
	struct buf text = BUF_EMPTY;

	buf_adds(&text, "# Made by `byunique demo`: both services end with it.\n");
	buf_printf(&text, "postgres = %s\n", throwaway_pg_conninfo(demo->server));
	buf_printf(&text, "kafka.bootstrap.servers = %s\n", kafka_embedded_servers(demo->broker));
	buf_adds(&text, "kafka.session.timeout.ms = 6000\nkafka.heartbeat.interval.ms = 500\n");
	bool ok = demo_write_file(demo, "demo.conf", buf_slice(&text), err);
	buf_release(&text);
	demo->config_path = xasprintf("%s/demo.conf", demo->folder);
	return ok;
}

static bool make_topics(struct demo *demo, struct err *err)
{
	const struct config *config = &demo->config;
	const char *const topics[] = {config->commands_topic, config->results_topic, config->dead_letter_topic};

	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++)
		if (!kafka_embedded_topic(demo->broker, topics[i], DEMO_PARTITIONS, err))
			return false;
	return true;
}

static bool load_config(struct demo *demo, struct err *err)
{
	demo->has_config = config_load(&demo->config, demo->config_path, NULL, 0, err);
	if (demo->has_config)
		log_setup(LOG_ERROR, LOG_TEXT); /* in this process, what is worth telling is told by the script */
	return demo->has_config;
}

/* The broker forgets where the group stands: put at the beginning once, it stands there whenever a worker starts. */
static bool open_services(struct demo *demo, struct err *err)
{
	const struct config *config = &demo->config;

	return throwaway_pg_start(&demo->server, demo->folder, demo->interrupted, err) &&
	       kafka_embedded_start(&demo->broker, err) && write_config(demo, err) && load_config(demo, err) &&
	       make_topics(demo, err) && kafka_rewind_group(config, config->commands_topic, err) &&
	       pg_open(&demo->pg, config, "byunique demo", err) &&
	       schemas_open(&demo->schemas, NULL, false, err) &&
	       kafka_reader_open(&demo->reader, config, config->results_topic, KAFKA_FROM_BEGINNING, err);
}

bool demo_open(struct demo *demo, struct err *err)
{
	arena_init(&demo->arena);
	return make_folder(demo, err) && open_services(demo, err);
}

void demo_close(struct demo *demo)
{
	if (demo->worker != 0)
		child_stop(demo->worker, SIGKILL, WORKER_STOP_MS);
	kafka_reader_close(demo->reader);
	schemas_close(demo->schemas);
	pg_close(demo->pg);
	kafka_embedded_stop(demo->broker);
	throwaway_pg_stop(demo->server);
	if (demo->has_config)
		config_release(&demo->config);
	if (demo->folder != NULL)
		nftw(demo->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(demo->folder);
	free(demo->config_path);
	free(demo->answers);
	arena_release(&demo->arena);
}

/* --- children ----------------------------------------------------------------------------------------------------- */

bool demo_spawn(const struct demo *demo, const char *const *words, int output, pid_t *pid, struct err *err)
{
	enum { WORDS_MOST = 16 };
	const char *argv[WORDS_MOST + 4] = {"/proc/self/exe", "-c", demo->config_path};
	size_t count = 3;

	for (; *words != NULL && count < WORDS_MOST; words++)
		argv[count++] = *words;
	ASSERT(*words == NULL);
	const struct child_spec spec = {.argv = argv,
					.folder = demo->folder,
					.output = output,
					.death_signal = SIGKILL};
	return child_start(pid, &spec, err);
}

bool demo_worker_start(struct demo *demo, struct err *err)
{
	static const char *const words[] = {"run", NULL};
	char *path = xasprintf("%s/worker.log", demo->folder);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	bool ok = log >= 0 ? demo_spawn(demo, words, log, &demo->worker, err)
			   : err_set(err, VERDICT_STOP, "", "can't write %s: %s", path, strerror(errno));

	if (!ok)
		demo->worker = 0;
	if (log >= 0)
		close(log);
	free(path);
	return ok;
}

bool demo_worker_stop(struct demo *demo, struct err *err)
{
	char text[32];
	int status = child_stop(demo->worker, SIGTERM, WORKER_STOP_MS);

	demo->worker = 0;
	return status == 0 ||
	       err_set(err, VERDICT_STOP, "", "the worker did not end in order: %s", child_status_text(status, text));
}

bool demo_worker_check(struct demo *demo, struct err *err)
{
	char text[32];
	int status;

	if (demo->interrupted())
		return err_set(err, VERDICT_STOP, "", "interrupted");
	if (demo->worker == 0 || !child_ended(demo->worker, &status))
		return true;
	demo->worker = 0;
	return err_set(err, VERDICT_STOP, "", "the worker ended by itself: %s", child_status_text(status, text));
}

void demo_worker_log(const struct demo *demo)
{
	char *path = xasprintf("%s/worker.log", demo->folder ? demo->folder : "");
	char text[LOG_TAIL_BYTES];
	FILE *log = demo->folder ? fopen(path, "re") : NULL;

	free(path);
	if (log == NULL)
		return;
	if (fseek(log, -(long)sizeof(text), SEEK_END) != 0)
		rewind(log);
	size_t len = fread(text, 1, sizeof(text), log);
	fclose(log);
	if (len > 0)
		fprintf(stderr, "\nThe end of the worker's log:\n%.*s", (int)len, text);
}
