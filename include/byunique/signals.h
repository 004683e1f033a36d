/* SIGTERM and SIGINT: the first asks for an end in good order, a second one ends the process at once. */
#ifndef BYUNIQUE_SIGNALS_H
#define BYUNIQUE_SIGNALS_H

#include <stdbool.h>

/* For commands that run until they are told to end. SIGPIPE is ignored as well: a broken pipe shows up as a write error. */
void signals_install(void);
bool signals_stop_requested(void);

#endif
