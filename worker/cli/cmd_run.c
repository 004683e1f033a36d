#include "byunique/cli.h"
#include "byunique/pipeline.h"

static int run(const struct cli_args *args)
{
	return pipeline_run(args->config, args->sources);
}

const struct cli_command cmd_run = {
	.name = "run",
	.summary = "consume commands, apply them, answer each, until SIGTERM",
	.synopsis = "",
	.help = "Examples:\n"
		"  byunique -c byunique.conf run\n"
		"  byunique -X kafka.bootstrap.servers=kafka:9092 -X postgres=service=crm run\n"
		"\n"
		"Start as many as there is work for, up to the number of partitions of the commands topic: they share it\n"
		"as members of one consumer group. No option tells them apart.\n"
		"\n"
		"SIGTERM (or Ctrl-C) finishes the batches in hand, for at most shutdown.timeout, leaves the group and exits\n"
		"with 0. A second one ends the process at once; nothing is lost, the next worker reads again.\n"
		"\n"
		"SIGUSR1 makes the log say more, SIGUSR2 less. SIGHUP reads the configuration again: log.level, log.format,\n"
		"both retentions, batch.max.commands, shutdown.timeout, the registry's user, password and token, and further\n"
		"schemas in schemas.dir take effect at once; of anything else it is said that a restart is needed.\n"
		"\n"
		"Exit codes: 0 told to stop; 1 something that does not pass by itself; 2 wrong usage or configuration;\n"
		"4 fenced, stuck, or every partition refused: start it again.\n",
	.needs_config = true,
	.until_stopped = true,
	.run = run,
};
