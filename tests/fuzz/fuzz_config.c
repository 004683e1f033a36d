/* Any text as a configuration file: read, or refused with the place and the reason; nothing leaks either way. */
#include "fuzz.h"

#include "byunique/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file(data, size);
	struct config config;
	struct err err;

	if (!config_load(&config, path, NULL, 0, &err)) {
		HOLDS(err.verdict == VERDICT_USAGE);
		check_error(&err);
		return 0;
	}
	HOLDS(config_kafka(&config, "bootstrap.servers") != NULL);
	HOLDS(config.batch_max_commands >= 1 && config.batch_max_commands <= 100000);
	HOLDS(config.postgres_schema[0] != '\0' && strlen(config.postgres_schema) <= 63);
	config_release(&config);
	return 0;
}
