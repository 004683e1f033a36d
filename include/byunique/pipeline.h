/* `byunique run`: consume, apply, answer, until SIGTERM. */
#ifndef BYUNIQUE_PIPELINE_H
#define BYUNIQUE_PIPELINE_H

#include "byunique/config.h"

/* Returns an enum exit_code (cli.h); has logged its errors. signals_install() is called before. */
int pipeline_run(const struct config *config);

#endif
