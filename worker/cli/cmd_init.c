/* init: the database objects, then the topics. Every step asks what is there first and may lose a race against another
 * init, so it can be repeated, and two at once end alike. */
#include "byunique/kafka.h"
#include "byunique/pg.h"
#include "cli/internal.h"

#include <jansson.h>

/* Partitions bound how many workers share the load. Too few can't be mended later without breaking the order of a
 * customer's commands; too many cost little. */
enum { DEFAULT_PARTITIONS = 8, BROKERS_DEFAULT = -1 };

struct topic_state {
	const char *name;
	bool created;
	int partitions;
};

struct init {
	const struct config *config;
	int64_t partitions; /* 0: not given */
	int64_t replication_factor;
	int from_version, to_version;
	struct topic_state topics[3];
	int topic_count;
};

static bool make_database(struct init *init, struct err *err)
{
	struct pg *pg;

	if (!pg_open(&pg, init->config, "byunique init", err))
		return false;
	const char *roles = init->config->postgres_roles;
	bool ok = pg_migrate(pg, &init->from_version, &init->to_version, err) &&
		  (roles[0] == '\0' || pg_make_roles(pg, roles, err));
	pg_close(pg);
	return ok;
}

static bool make_topic(struct init *init, const char *name, int partitions, struct err *err)
{
	struct topic_state *topic = &init->topics[init->topic_count++];

	topic->name = name;
	return kafka_create_topic(init->config, name, partitions, (int)init->replication_factor, &topic->created,
				  err) &&
	       kafka_count_partitions(init->config, name, &topic->partitions, err);
}

/* The answers' topics get as many partitions as the commands have, unless told otherwise. */
static bool make_topics(struct init *init, struct err *err)
{
	const struct config *config = init->config;
	int partitions = init->partitions ? (int)init->partitions : DEFAULT_PARTITIONS;

	if (!make_topic(init, config->commands_topic, partitions, err))
		return false;
	if (init->partitions == 0)
		partitions = init->topics[0].partitions;
	return make_topic(init, config->results_topic, partitions, err) &&
	       (config->dead_letter_topic[0] == '\0' || make_topic(init, config->dead_letter_topic, partitions, err));
}

/* --- what came of it --------------------------------------------------------------------------------------------- */

static void print_database(const struct init *init)
{
	const char *schema = init->config->postgres_schema;

	if (init->from_version == 0)
		printf("schema %s: created, version %d\n", schema, init->to_version);
	else if (init->from_version < init->to_version)
		printf("schema %s: upgraded from version %d to %d\n", schema, init->from_version, init->to_version);
	else
		printf("schema %s: already there, version %d\n", schema, init->to_version);
}

static void print_roles(const char *name)
{
	if (name[0] != '\0')
		printf("roles %s_worker, %s_reader: have their rights\n", name, name);
}

static void print_topic(const struct init *init, const struct topic_state *topic)
{
	printf("topic %s: %s, %d partition%s", topic->name, topic->created ? "created" : "already there",
	       topic->partitions, topic->partitions == 1 ? "" : "s");
	if (init->partitions != 0 && topic->partitions != init->partitions)
		printf(", not the %d asked for: it is left as it is", (int)init->partitions);
	putchar('\n');
}

static void print_text(const struct init *init)
{
	print_database(init);
	print_roles(init->config->postgres_roles);
	for (int i = 0; i < init->topic_count; i++)
		print_topic(init, &init->topics[i]);
}

static void print_json(const struct init *init)
{
	json_t *topics = json_array();

	for (int i = 0; i < init->topic_count; i++)
		json_array_append_new(topics,
				      json_pack("{s:s, s:b, s:i}", "name", init->topics[i].name, "created",
						init->topics[i].created, "partitions", init->topics[i].partitions));
	json_t *all = json_pack("{s:s, s:i, s:i, s:o}", "schema", init->config->postgres_schema, "from_version",
				init->from_version, "version", init->to_version, "topics", topics);
	const char *roles = init->config->postgres_roles;
	if (roles[0] != '\0')
		json_object_set_new(all, "roles", json_pack("[s+, s+]", roles, "_worker", roles, "_reader"));
	ASSERT(all != NULL); /* names that the servers took are well-formed UTF-8 */
	json_dumpf(all, stdout, JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(all);
}

static int run_init(const struct cli_args *args)
{
	struct init init = {.config = args->config, .replication_factor = BROKERS_DEFAULT};
	struct err err;

	if (!cli_option_int(args, "partitions", 1, 10000, &init.partitions, &err) ||
	    !cli_option_int(args, "replication-factor", 1, 100, &init.replication_factor, &err) ||
	    !make_database(&init, &err) || !make_topics(&init, &err))
		return cli_fail(&err);
	if (cli_flag(args, "json"))
		print_json(&init);
	else
		print_text(&init);
	return EXIT_DONE;
}

static const struct option_spec options[] = {
	{"partitions", "N", "partitions of topics to be created (default 8)"},
	{"replication-factor", "N", "copies of each partition (default: the broker's own default)"},
	{"json", NULL, "tell what was made as one JSON object"},
	{NULL, NULL, NULL},
};

const struct cli_command cmd_init = {
	.name = "init",
	.summary = "create or upgrade the database objects and the topics; safe to repeat",
	.synopsis = "[--partitions N] [--replication-factor N] [--json]",
	.help = "Examples:\n"
		"  byunique -X postgres=postgresql://localhost/crm init\n"
		"  byunique -c byunique.conf init --partitions 24 --replication-factor 3\n"
		"\n"
		"Makes the PostgreSQL schema with its tables, and the topics of commands, results and dead letters.\n"
		"What is there already is left as it is, but for database objects of an older version, which are\n"
		"upgraded. Workers may run meanwhile: where a table is in use, it is waited for a second at a time.\n"
		"\n"
		"With postgres.roles = NAME it makes the roles NAME_worker and NAME_reader, too, which can't log in, and\n"
		"gives them exactly the rights that workers need, and those who only look (SECURITY.md).\n"
		"\n"
		"At most as many workers share the load as the topic of commands has partitions. Choose generously:\n"
		"adding partitions to a topic in use moves customers from one to another, and puts their commands out\n"
		"of order.\n",
	.options = options,
	.needs_config = true,
	.run = run_init,
};
