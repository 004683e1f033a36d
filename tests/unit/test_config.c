/* File, environment and -X: what is taken, which one wins, and what is said about mistakes. */
#include "byunique/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/byunique-test-config-XXXXXX";

static void write_bytes(const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const char *text)
{
	write_bytes(text, strlen(text));
}

static void assert_in(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static struct config loaded(const char *file, const char *override)
{
	struct config config;
	struct err err;

	if (!config_load(&config, file, &override, override ? 1 : 0, &err))
		fail_msg("refused: %s", err.what);
	return config;
}

static struct err refused(const char *file, const char *override)
{
	struct config config;
	struct err err;

	if (config_load(&config, file, &override, override ? 1 : 0, &err))
		fail_msg("taken: %s", override ? override : "the file");
	assert_int_equal(err.verdict, VERDICT_USAGE);
	return err;
}

static struct err refused_text(const char *text)
{
	write_text(text);
	return refused(path, NULL);
}

/* --- what is taken ----------------------------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
	struct config config = loaded(NULL, NULL);

	(void)state;
	assert_string_equal(config.postgres, "");
	assert_string_equal(config.postgres_schema, "byunique");
	assert_string_equal(config.commands_topic, "byunique.commands");
	assert_string_equal(config.results_topic, "byunique.results");
	assert_string_equal(config.dead_letter_topic, "byunique.dead-letters");
	assert_string_equal(config.schema_registry_url, "");
	assert_string_equal(config.schemas_dir, SCHEMAS_DIR);
	assert_false(config.schemas_dir_is_set);
	assert_int_equal(config.idempotency_retention, INT64_C(7) * 24 * 3600 * 1000);
	assert_int_equal(config.outcome_retention, INT64_C(7) * 24 * 3600 * 1000);
	assert_int_equal(config.shutdown_timeout, 20000);
	assert_string_equal(config.admin_listen, "");
	assert_int_equal(config.log_level, LOG_INFO);
	assert_int_equal(config.log_format, LOG_TEXT);
	assert_int_equal(config.kafka_count, 2);
	assert_string_equal(config_kafka(&config, "bootstrap.servers"), "localhost:9092");
	assert_string_equal(config_kafka(&config, "group.id"), "byunique");
	assert_null(config_kafka(&config, "client.rack"));
	config_release(&config);
}

static void test_lines(void **state)
{
	(void)state;
	write_text("\xEF\xBB\xBF# a comment\r\n"
		   "\r\n"
		   "   \t # another = one\n"
		   "postgres=host=db password='a b#c'\r\n"
		   "  postgres.schema\t=  other  \n"
		   "dead.letter.topic =\n"
		   "log.level = warn\n"
		   "schemas.dir = /etc/schemas\n"
		   "kafka.client.rack = a=b\n"
		   "log.level = debug"); /* the later wins; no line's end */
	struct config config = loaded(path, NULL);
	assert_string_equal(config.postgres, "host=db password='a b#c'");
	assert_string_equal(config.postgres_schema, "other");
	assert_string_equal(config.dead_letter_topic, "");
	assert_string_equal(config.schemas_dir, "/etc/schemas");
	assert_true(config.schemas_dir_is_set);
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_string_equal(config_kafka(&config, "client.rack"), "a=b");
	config_release(&config);
}

static void test_later_wins(void **state)
{
	struct config config;
	struct err err;
	static const char *const overrides[] = {"results.topic = x1", "kafka.linger.ms=3", "results.topic=x2"};

	(void)state;
	write_text("commands.topic = f\nresults.topic = f2\npostgres.schema = f3\nkafka.linger.ms = 1\n"
		   "kafka.sasl.username = f4\n");
	setenv("BYUNIQUE_COMMANDS_TOPIC", "e", 1);
	setenv("BYUNIQUE_RESULTS_TOPIC", "e2", 1);
	setenv("BYUNIQUE_DEAD_LETTER_TOPIC", "", 1);
	setenv("BYUNIQUE_KAFKA_QUEUE_BUFFERING_MAX_MS", "2", 1);
	setenv("BYUNIQUE_KAFKA_SASL_USERNAME", "e4", 1);
	setenv("BYUNIQUE_KAFKA_LOG_LEVEL", "5", 1);
	if (!config_load(&config, path, overrides, 3, &err))
		fail_msg("refused: %s", err.what);
	assert_string_equal(config.postgres_schema, "f3");
	assert_string_equal(config.commands_topic, "e");
	assert_string_equal(config.dead_letter_topic, "");
	assert_string_equal(config.results_topic, "x2");
	assert_string_equal(config_kafka(&config, "sasl.username"), "e4");
	assert_string_equal(config_kafka(&config, "log_level"), "5");
	assert_string_equal(config_kafka(&config, "linger.ms"), "3");
	assert_string_equal(config_kafka(&config, "queue.buffering.max.ms"), "3");
	assert_int_equal(config.kafka_count, 5); /* an alias is not held twice */
	config_release(&config);
	clearenv();
}

static void test_alias_of_a_default(void **state)
{
	struct config config = loaded(NULL, "kafka.metadata.broker.list=a:1");

	(void)state;
	assert_string_equal(config_kafka(&config, "bootstrap.servers"), "a:1");
	assert_int_equal(config.kafka_count, 2);
	config_release(&config);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0},	    {"0s", 0},	     {"1ms", 1},      {"250ms", 250}, {"20s", 20000},
		    {"5m", 300000}, {"1h", 3600000}, {"20 s", 20000}, {"007s", 7000}, {"3600000ms", 3600000}};
	static const char *const bad[] = {"",
					  "20",
					  "s",
					  "-1s",
					  "+1s",
					  "1.5s",
					  "1e3s",
					  "20S",
					  "20sec",
					  "20s s",
					  "61m",
					  "2h",
					  "3600001ms",
					  "0x1s",
					  "1d2h",
					  "99999999999999999999s",
					  "9223372036854775807d"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		char *override = xasprintf("shutdown.timeout=%s", good[i].text);
		struct config config = loaded(NULL, override);
		assert_int_equal(config.shutdown_timeout, good[i].ms);
		config_release(&config);
		free(override);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *override = xasprintf("shutdown.timeout=%s", bad[i]);
		struct err err = refused(NULL, override);
		assert_in(err.what, "-X: shutdown.timeout has to be a duration from 0s to 1h");
		free(override);
	}
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {"",	 "0",	 "-1", "+1",	 "1.0",
					  "1e3", "0x10", " ",  "100001", "99999999999999999999",
					  "5 x"};
	struct config config = loaded(NULL, "batch.max.commands = 100000 ");

	(void)state;
	assert_int_equal(config.batch_max_commands, 100000);
	config_release(&config);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *override = xasprintf("batch.max.commands=%s", bad[i]);
		assert_in(refused(NULL, override).what, "from 1 to 100000");
		free(override);
	}
}

/* --- what is refused --------------------------------------------------------------------------------------------- */

static void test_unknown_keys(void **state)
{
	(void)state;
	struct err err = refused_text("# one\n\nlog.level = info\npostgres.scheme = x\n");
	assert_in(err.what, path);
	assert_in(err.what, ":4: unknown key postgres.scheme");
	assert_in(err.hint, "postgres.schema");
	assert_in(refused(NULL, "retention=1d").what, "-X: unknown key retention");
	assert_in(refused(NULL, "retention=1d").hint, "outcome.retention");
	assert_in(refused(NULL, "bootstrap.servers=a:1").hint, "kafka.bootstrap.servers");
	assert_in(refused(NULL, "Log.Level=info").hint, "log.level");
	assert_in(refused(NULL, "kafka.bootstrap.server=a:1").hint, "kafka.bootstrap.servers");
	assert_in(refused_text("\nkafka.acks = all\n").what, ":2: kafka.acks");
	assert_in(refused(NULL, "kafka=1").what, "unknown key kafka");
}

static void test_bad_values(void **state)
{
	static const char *const bad[][2] = {
		{"log.level=loud", "error, warn, info or debug"},
		{"log.level=", "error, warn, info or debug"},
		{"log.format=xml", "text or json"},
		{"commands.topic=", "must not be empty"},
		{"results.topic=", "must not be empty"},
		{"postgres.schema=", "must not be empty"},
		{"commands.topic=a b", "letters, digits"},
		{"commands.topic=caf\xC3\xA9", "letters, digits"},
		{"dead.letter.topic=..", "letters, digits"},
		{"kafka.group.id=", "must not be empty"},
		{"kafka.bootstrap.servers=", "must not be empty"},
		{"results.topic=byunique.commands", "commands.topic and results.topic have to be different"},
		{"dead.letter.topic=byunique.commands", "commands.topic and dead.letter.topic"},
		{"dead.letter.topic=byunique.results", "results.topic and dead.letter.topic"},
		{"postgres.schema=x123456789012345678901234567890123456789012345678901234567890123", "63 bytes"},
		{"reply.topics=a b;c", "names of topics"},
		{"reply.topics=a,..", "names of topics"},
		{"reply.topics=a,byunique.commands", "commands.topic"},
		{"reply.topics=byunique.results", "results.topic"},
		{"reply.topics=a, byunique.dead-letters ,b", "dead.letter.topic"},
		{"results.cloudevents.source=/a b", "URI reference"},
		{"results.cloudevents.source=/caf\xC3\xA9", "URI reference"},
		{"results.cloudevents.source=<x>", "URI reference"},
		{"log.level", "key = value"},
		{"=x", "key = value"},
		{" = x", "key = value"},
		{"", "key = value"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_in(refused(NULL, bad[i][0]).what, bad[i][1]);
}

static void test_secrets(void **state)
{
	static const char *const texts[] = {"kafka.sasl.pasword = hunter2\n",  "postgress = password=hunter2\n",
					    "kafka.linger.ms = hunter2\n",     "log.level = hunter2\n",
					    "kafka.acks = hunter2\n",	       "shutdown.timeout = hunter2\n",
					    "commands.topic = hunter2 \xFF\n", "hunter2\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct err err = refused_text(texts[i]);
		assert_null(strstr(err.what, "hunter2"));
		assert_null(strstr(err.detail, "hunter2"));
		assert_null(strstr(err.hint, "hunter2"));
	}
}

/* The later wins, whether it is the value or its file. */
static void test_secret_files(void **state)
{
	char override[128], lines[256];

	(void)state;
	write_text("hunter2\n");
	snprintf(override, sizeof(override), "kafka.sasl.password.file=%s", path);
	struct config config = loaded(NULL, override);
	assert_string_equal(config_kafka(&config, "sasl.password"), "hunter2");
	assert_true(config_kafka_files(&config));
	config_release(&config);

	setenv("BYUNIQUE_KAFKA_SASL_PASSWORD_FILE", path, 1);
	config = loaded(NULL, NULL);
	assert_string_equal(config_kafka(&config, "sasl.password"), "hunter2");
	config_release(&config);
	config = loaded(NULL, "kafka.sasl.password=hunter3");
	assert_string_equal(config_kafka(&config, "sasl.password"), "hunter3");
	assert_false(config_kafka_files(&config));
	config_release(&config);
	unsetenv("BYUNIQUE_KAFKA_SASL_PASSWORD_FILE");

	assert_in(refused(NULL, "kafka.sasl.password.file=/nonexistent").what, "-X: kafka.sasl.password.file: the file can't be read");
	snprintf(override, sizeof(override), "kafka.sasl.pasword.file=%s", path);
	assert_in(refused(NULL, override).hint, "kafka.sasl.password");
	snprintf(override, sizeof(override), "kafka.acks.file=%s", path);
	assert_in(refused(NULL, override).what, "not for you to set");
	snprintf(override, sizeof(override), "kafka.security.protocol.file=%s", path);
	struct err err = refused(NULL, override);
	assert_in(err.what, "kafka.security.protocol");
	assert_null(strstr(err.what, "hunter2"));
	assert_null(strstr(err.detail, "hunter2"));
	snprintf(lines, sizeof(lines), "kafka.sasl.password.file = %s\n", path);
	write_text(lines);
	config = loaded(path, NULL); /* the file itself, as it happens */
	assert_in(config_kafka(&config, "sasl.password"), "kafka.sasl.password.file");
	config_release(&config);
}

static void test_files(void **state)
{
	static const char with_nul[] = "log.level = info\nlog.format = te\0xt\n";

	(void)state;
	struct err err = refused("/no/such/file", NULL);
	assert_in(err.what, "/no/such/file");
	assert_string_equal(err.origin, "ENOENT");
	assert_string_equal(refused("/tmp", NULL).origin, "EISDIR");
	write_bytes(with_nul, sizeof(with_nul) - 1);
	assert_in(refused(path, NULL).what, ":2: there is a NUL byte");
	write_text("");
	struct config config = loaded(path, NULL);
	config_release(&config);
}

static void test_environment(void **state)
{
	static const char *const bad[][3] = {
		{"BYUNIQUE_POSTGRES_SCHEME", "x", "BYUNIQUE_POSTGRES_SCHEMA"},
		{"BYUNIQUE_KAFKA_SASL_USER", "x", "BYUNIQUE_KAFKA_SASL_USERNAME"},
		{"BYUNIQUE_BOOTSTRAP_SERVERS", "x", "BYUNIQUE_KAFKA_BOOTSTRAP_SERVERS"},
		{"BYUNIQUE_Log_Level", "info", "BYUNIQUE_LOG_LEVEL"},
		{"BYUNIQUE_", "x", "BYUNIQUE_"},
		{"BYUNIQUE_KAFKA_ACKS", "all", ""},
		{"BYUNIQUE_LOG_LEVEL", "loud", ""},
	};
	/* Of services called byunique and byunique-admin. */
	static const char *const fine[] = {"BYUNIQUE_TEST_X",
					   "BYUNIQUE_SERVICE_HOST",
					   "BYUNIQUE_SERVICE_PORT",
					   "BYUNIQUE_SERVICE_PORT_ADMIN",
					   "BYUNIQUE_PORT",
					   "BYUNIQUE_PORT_9187_TCP",
					   "BYUNIQUE_PORT_9187_TCP_ADDR",
					   "BYUNIQUE_ADMIN_SERVICE_HOST",
					   "BYUNIQUE_ADMIN_PORT",
					   "BYUNIQUER",
					   "byunique_x"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		setenv(bad[i][0], bad[i][1], 1);
		struct err err = refused(NULL, NULL);
		assert_int_equal(strncmp(err.what, bad[i][0], strlen(bad[i][0])), 0);
		assert_in(err.hint, bad[i][2]);
		clearenv();
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		setenv(fine[i], "tcp://10.0.0.1:9187", 1);
	struct config config = loaded(NULL, NULL);
	config_release(&config);
	clearenv();
}

/* --- for people -------------------------------------------------------------------------------------------------- */

/* Every key of the sample, uncommented, is what holds without it. */
static void test_sample_is_the_defaults(void **state)
{
	struct buf sample = BUF_EMPTY, uncommented = BUF_EMPTY;
	int lines = 0;

	(void)state;
	config_sample(&sample);
	for (char *rest = sample.base, *line; (line = strsep(&rest, "\n")) != NULL;) {
		bool is_key = line[0] == '#' && line[1] != ' ' && line[1] != '\0';
		buf_printf(&uncommented, "%s\n", is_key ? line + 1 : line);
		lines += is_key;
	}
	write_text(uncommented.base);
	struct config config = loaded(path, NULL), defaults = loaded(NULL, NULL);
#define CONFIG_SAME_STRING(field)				assert_string_equal(config.field, defaults.field);
#define CONFIG_SAME_TOPIC					CONFIG_SAME_STRING
#define CONFIG_SAME_TOPICS					CONFIG_SAME_STRING
#define CONFIG_SAME_URI						CONFIG_SAME_STRING
#define CONFIG_SAME_INT(field)					assert_int_equal(config.field, defaults.field);
#define CONFIG_SAME_DURATION					CONFIG_SAME_INT
#define CONFIG_SAME_BOOL					CONFIG_SAME_INT
#define CONFIG_SAME_LEVEL					CONFIG_SAME_INT
#define CONFIG_SAME_FORMAT					CONFIG_SAME_INT
#define CONFIG_SAME_REGISTER					CONFIG_SAME_INT
#define CONFIG(type, field, key, default_value, min, max, text) CONFIG_SAME_##type(field) lines--;
#include "byunique/config.def"
#undef CONFIG
	assert_int_equal(lines, defaults.kafka_count);
	assert_int_equal(config.kafka_count, defaults.kafka_count);
	config_release(&config);
	config_release(&defaults);
	buf_release(&sample);
	buf_release(&uncommented);
}

/* When this fails: byunique help config --sample >deploy/byunique.conf */
static void test_sample_file(void **state)
{
	struct buf sample = BUF_EMPTY, shipped = BUF_EMPTY;
	FILE *file = fopen("deploy/byunique.conf", "r");

	(void)state;
	assert_non_null(file);
	shipped.len = fread(buf_reserve(&shipped, 65536), 1, 65536, file);
	shipped.base[shipped.len] = '\0';
	fclose(file);
	config_sample(&sample);
	assert_string_equal(shipped.base, sample.base);
	buf_release(&sample);
	buf_release(&shipped);
}

static void test_help(void **state)
{
	struct buf help = BUF_EMPTY;

	(void)state;
	config_help(&help);
#define CONFIG(type, field, key, default_value, min, max, text) assert_in(help.base, "\n  " key);
#include "byunique/config.def"
#undef CONFIG
	assert_in(help.base, "kafka.bootstrap.servers = localhost:9092");
	for (char *rest = help.base, *line; (line = strsep(&rest, "\n")) != NULL;)
		assert_true(strlen(line) <= 120);
	buf_release(&help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_lines),
		cmocka_unit_test(test_later_wins),   cmocka_unit_test(test_alias_of_a_default),
		cmocka_unit_test(test_durations),    cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_secrets),	     cmocka_unit_test(test_secret_files),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_environment),  cmocka_unit_test(test_sample_is_the_defaults),
		cmocka_unit_test(test_sample_file),  cmocka_unit_test(test_help),
	};

	clearenv(); /* the tests' own variables alone */
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
