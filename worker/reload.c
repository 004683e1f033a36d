/* Settings that may change while the worker runs, and how loud its log is.
 *
 * A reload is all or nothing: the sources are read as at start, and everything that could fail is tried before anything
 * is changed. What can't change under a running worker (servers, topics, group, whatever Kafka's clients were made
 * with) is left as it was, and said. It happens on the fetching thread between messages, which alone reads schemas;
 * what other threads look at is atomic, and each of them by itself: no two of these settings have to fit together. */
#include "pipeline.h"

#include "byunique/clock.h"
#include "byunique/log.h"
#include "byunique/signals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The registry's settings but where it is, and what it does about our schema: that was done at start. */
static const char *const live_keys[] = {
	"log.level",
	"log.format",
	"idempotency.retention",
	"outcome.retention",
	"batch.max.commands",
	"shutdown.timeout",
	"schemas.dir",
	"schema.registry.user",
	"schema.registry.password",
	"schema.registry.password.file",
	"schema.registry.token",
	"schema.registry.token.file",
	"schema.registry.ca",
	"schema.registry.certificate",
	"schema.registry.key",
};

enum { LIVE_KEYS = sizeof(live_keys) / sizeof(*live_keys) };

void tunables_set(struct tunables *live, const struct config *config)
{
	live->batch_max_commands = config->batch_max_commands;
	live->idempotency_retention_ms = config->idempotency_retention;
	live->outcome_retention_ms = config->outcome_retention;
	live->shutdown_timeout_ms = config->shutdown_timeout;
}

/* --- what differs
 * ----------------------------------------------------------------------------------------------------- */

struct changes {
	const struct config *read; /* what the sources say now */
	struct config *next;	   /* what is to be in effect: owned */
	struct buf applied, left;  /* keys, separated by commas; owned */
};

static bool is_live(const char *key)
{
	for (int i = 0; i < LIVE_KEYS; i++)
		if (strcmp(live_keys[i], key) == 0)
			return true;
	return false;
}

static void note(void *context, const char *key)
{
	struct changes *changes = context;
	bool live = is_live(key);
	struct buf *list = live ? &changes->applied : &changes->left;

	buf_printf(list, "%s%s", list->len > 0 ? "," : "", key);
	if (!live)
		return;
	config_take(changes->next, changes->read, key);
}

static void find_changes(const struct pipeline *pipeline, const struct config *read, struct changes *changes)
{
	*changes = (struct changes){.read = read, .next = xcalloc(1, sizeof(*changes->next))};
	config_copy(changes->next, pipeline->current);
	config_compare(pipeline->current, read, note, changes);
}

/* --- reading and trying
 * ----------------------------------------------------------------------------------------------- */

/* A pipe gave all it had at start. */
static bool check_source(const char *file, struct err *err)
{
	struct stat info;

	if (file == NULL || stat(file, &info) != 0 || S_ISREG(info.st_mode))
		return true; /* config_load() says what is wrong, if something is */
	return err_set(err, VERDICT_USAGE, "", "%s can't be read a second time: it is no file", file);
}

static bool read_sources(const struct config_sources *sources, struct config *read, struct err *err)
{
	return check_source(sources->file, err) &&
	       config_load(read, sources->file, sources->overrides, sources->override_count, err);
}

/* Everything that may be wrong with it, tried on a handle that is thrown away. */
static bool try(const struct config *next, struct err *err)
{
	struct schemas *schemas = NULL;
	bool ok = schemas_open(&schemas, next->schemas_dir, next->schemas_dir_is_set, err) &&
		  schemas_use_registry(schemas, next, err);

	schemas_close(schemas);
	return ok;
}

/* --- doing
 * ------------------------------------------------------------------------------------------------------------ */

static bool change(struct pipeline *pipeline, struct changes *changes, uint32_t *schemas_added, struct err *err)
{
	struct config *next = changes->next;

	if (!schemas_rescan(pipeline->reading, next->schemas_dir, next->schemas_dir_is_set, schemas_added, err))
		return false;
	/* The registry's settings are borrowed from the configuration: it is always the newest one's. */
	if (!schemas_use_registry(pipeline->reading, next, err))
		return false;
	tunables_set(&pipeline->live, next);
	log_setup(next->log_level, next->log_format);
	changes->next = pipeline->current;
	pipeline->current = next;
	return true;
}

static void tell(const struct changes *changes, uint32_t schemas_added)
{
	log_notice("reloaded", "applied=%s schemas_added=%" PRIu32 " log_level=%s",
		   log_quotes(changes->applied.len > 0 ? changes->applied.base : "nothing"), schemas_added,
		   log_level_name(log_level()));
	if (changes->left.len > 0)
		log_event(LOG_WARN, "restart_needed", "for=%s reason=%s", log_quotes(changes->left.base),
			  "\"these can't change while the worker runs\"");
}

static bool reload(struct pipeline *pipeline, struct err *err)
{
	struct config read;
	struct changes changes;
	uint32_t schemas_added = 0;

	if (!read_sources(pipeline->sources, &read, err))
		return false;
	find_changes(pipeline, &read, &changes);
	bool ok = try(changes.next, err) && change(pipeline, &changes, &schemas_added, err);
	if (ok)
		tell(&changes, schemas_added);
	config_release(changes.next);
	free(changes.next);
	config_release(&read);
	buf_release(&changes.applied);
	buf_release(&changes.left);
	return ok;
}

static void say_reloading(const struct pipeline *pipeline)
{
	char lines[80];

	snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
	notify_say(&pipeline->notify, lines);
}

void reload_if_asked(struct pipeline *pipeline)
{
	struct err err;

	if (!signals_take_reload())
		return;
	say_reloading(pipeline);
	if (!reload(pipeline, &err)) {
		if (err.hint[0] == '\0')
			err_hint(&err, "Nothing was changed. Mend it and send SIGHUP again.");
		log_err(LOG_ERROR, "reload_failed", &err);
	}
	notify_say(&pipeline->notify, "READY=1");
}

/* --- log levels
 * --------------------------------------------------------------------------------------------------------- */

void reload_log_level(void)
{
	int steps = signals_take_louder(), before = (int)log_level(), level = before + steps;

	if (steps == 0)
		return;
	level = level < LOG_ERROR ? LOG_ERROR : level > LOG_DEBUG ? LOG_DEBUG : level;
	log_level_set((enum log_level)level);
	log_notice("log_level_changed", "from=%s to=%s", log_level_name((enum log_level)before),
		   log_level_name((enum log_level)level));
}
