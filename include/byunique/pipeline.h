/* `byunique run`: consume, apply, answer, until SIGTERM. */
#ifndef BYUNIQUE_PIPELINE_H
#define BYUNIQUE_PIPELINE_H

#include "byunique/config.h"

/* Returns an enum exit_code (cli.h); has logged its errors. signals_install() is called before. The sources are read again on
 * SIGHUP. */
int pipeline_run(const struct config *config, const struct config_sources *sources);

#endif
