/* The list is read once, at the first place that is reached: places are reached a few times for a batch, never for a
 * command, so nothing here has to be fast. */
#include "byunique/failpoint.h"

#ifdef BYUNIQUE_FAILPOINTS

#include "byunique/clock.h"
#include "byunique/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum action { ACTION_NONE, ACTION_CRASH, ACTION_FREEZE, ACTION_WAIT, ACTION_FAIL };

struct place {
	const char *name, *text;
	enum verdict verdict;
	enum action action;
	long wait_ms;
	unsigned from, to; /* the times at which it strikes, from 1 */
	_Atomic unsigned reached;
};

static struct place places[] = {
#define FAILPOINT(name, verdict, text) {#name, text, VERDICT_##verdict, ACTION_NONE, 0, 1, 1, 0},
#include "byunique/failpoint.def"
#undef FAILPOINT
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int64_t jitter_ms;

static struct place *find_place(const char *name)
{
	for (size_t i = 0; i < FAILPOINT_COUNT; i++)
		if (strcmp(places[i].name, name) == 0)
			return &places[i];
	die("BYUNIQUE_TEST_FAILPOINTS: there is no failpoint %s", name);
}

static void read_times(struct place *place, const char *text)
{
	char *end;

	place->from = place->to = (unsigned)strtoul(text, &end, 10);
	if (*end == '+' && end[1] == '\0')
		place->to = ~0U;
	else if (*end != '\0' || place->from == 0)
		die("BYUNIQUE_TEST_FAILPOINTS: @%s is no number of times", text);
}

static void read_action(struct place *place, const char *text)
{
	if (strcmp(text, "crash") == 0)
		place->action = ACTION_CRASH;
	else if (strcmp(text, "freeze") == 0)
		place->action = ACTION_FREEZE;
	else if (strcmp(text, "fail") == 0 && place->verdict != VERDICT_NONE)
		place->action = ACTION_FAIL;
	else if (strncmp(text, "wait:", 5) == 0)
		place->action = ACTION_WAIT;
	else
		die("BYUNIQUE_TEST_FAILPOINTS: %s can't %s", place->name, text);
	if (place->action == ACTION_WAIT)
		place->wait_ms = strtol(text + 5, NULL, 10);
}

static void read_list(void)
{
	const char *given = getenv("BYUNIQUE_TEST_FAILPOINTS");
	char *list = xstrdup(given ? given : ""), *rest = list, *entry;

	while ((entry = strsep(&rest, ", ")) != NULL) {
		char *action = entry, *name = strsep(&action, "="), *times = action;
		if (*name == '\0')
			continue;
		struct place *place = find_place(name);
		action = strsep(&times, "@");
		read_action(place, action ? action : "");
		if (times != NULL)
			read_times(place, times);
	}
	free(list);
	jitter_ms = failpoint_ms("BYUNIQUE_TEST_JITTER_MS", 0);
}

/* Threads meet in another order each time. */
static void be_late(void)
{
	static _Thread_local unsigned seed;

	if (jitter_ms <= 0)
		return;
	if (seed == 0)
		seed = (unsigned)clock_mono_us() | 1;
	clock_sleep_ms(rand_r(&seed) % (jitter_ms + 1));
}

/* Does it strike this time? */
static bool strikes(struct place *place, unsigned *time)
{
	pthread_once(&once, read_list);
	be_late();
	*time = ++place->reached;
	return place->action != ACTION_NONE && *time >= place->from && *time <= place->to;
}

bool failpoint_pass(enum failpoint failpoint, struct err *err)
{
	struct place *place = &places[failpoint];
	unsigned time;

	if (!strikes(place, &time))
		return true;
	log_event(LOG_WARN, "failpoint", "name=%s time=%u", place->name, time);
	switch (place->action) {
	case ACTION_CRASH: kill(getpid(), SIGKILL); pause(); return true;
	case ACTION_FREEZE: raise(SIGSTOP); return true;
	case ACTION_WAIT: clock_sleep_ms(place->wait_ms); return true;
	default: err_set(err, place->verdict, "", "a failure was asked for"); return err_detail(err, "%s", place->text);
	}
}

void failpoint_reach(enum failpoint failpoint)
{
	struct err err;

	if (!failpoint_pass(failpoint, &err))
		die("%s", err.what);
}

int64_t failpoint_ms(const char *variable, int64_t otherwise_ms)
{
	const char *given = getenv(variable);
	return given != NULL ? strtoll(given, NULL, 10) : otherwise_ms;
}

#endif
