/* The handlers only set flags: every loop that may last looks at it, at least ten times a second. All threads do, so it is
 * atomic, not just volatile. */
#include "byunique/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { EXIT_AT_ONCE = 1 };

static _Atomic sig_atomic_t stop_requested;
static _Atomic int reload_requested, louder;

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler may use it");

static void on_stop(int number)
{
	(void)number;
	if (stop_requested)
		_exit(EXIT_AT_ONCE);
	stop_requested = 1;
}

void signals_install(void)
{
	struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};

	sigemptyset(&stop.sa_mask);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

bool signals_stop_requested(void)
{
	return stop_requested != 0;
}

static void on_wish(int number)
{
	if (number == SIGHUP)
		reload_requested = 1;
	else
		louder += number == SIGUSR1 ? 1 : -1;
}

void signals_serve(void)
{
	struct sigaction wish = {.sa_handler = on_wish, .sa_flags = SA_RESTART};

	sigemptyset(&wish.sa_mask);
	sigaction(SIGHUP, &wish, NULL);
	sigaction(SIGUSR1, &wish, NULL);
	sigaction(SIGUSR2, &wish, NULL);
}

bool signals_take_reload(void)
{
	return atomic_exchange(&reload_requested, 0) != 0;
}

int signals_take_louder(void)
{
	return atomic_exchange(&louder, 0);
}
