/* SIGTERM and SIGINT: the first asks for an end in good order, a second one ends the process at once. A worker hears three
 * more. */
#ifndef BYUNIQUE_SIGNALS_H
#define BYUNIQUE_SIGNALS_H

#include <stdbool.h>

/* For commands that run until they are told to end. SIGPIPE is ignored as well: a broken pipe shows up as a write error. */
void signals_install(void);
bool signals_stop_requested(void);

/* For `run`: SIGHUP, SIGUSR1 and SIGUSR2 are noted from now on, instead of ending the process. */
void signals_serve(void);
bool signals_take_reload(void); /* was there a SIGHUP since it was last asked for? */
int signals_take_louder(void);	/* how many more SIGUSR1 than SIGUSR2 there were since */

#endif
