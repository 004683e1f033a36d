/* librdkafka describes its properties in a table meant for people; that table is read here, once, because there is no
 * call that tells names and clients. A list of our own was rejected: it would be wrong with the next version of the
 * library.
 *
 * librdkafka's complaint about a bad value quotes the value, which may be a secret: what is allowed is said instead. */
#include "base/nearest.h"
#include "byunique/secret.h"
#include "internal.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known {
	const char *name;
	const char *range;    /* "1000 .. 2147483647", "true, false"; empty: any text */
	const char *alias_of; /* or NULL */
	char clients;	      /* '*' all, 'C' consumers, 'P' producers */
	bool has_text_form;   /* false: a callback or pointer, set by a call of its own */
};

struct known_list {
	struct known *items;
	size_t count;
	pthread_once_t once;
};

/* Written once, under `once`; constant afterwards. */
static struct known_list list = {.once = PTHREAD_ONCE_INIT};

static const struct {
	const char *name, *reason;
} reserved[] = {
	{"enable.auto.commit", "offsets are committed together with the results, in one Kafka transaction"},
	{"auto.commit.enable", "offsets are committed together with the results, in one Kafka transaction"},
	{"enable.auto.offset.store", "offsets are committed together with the results, in one Kafka transaction"},
	{"auto.offset.reset", "where a partition starts is decided by what PostgreSQL knows"},
	{"isolation.level", "commands of an aborted transaction must not be applied"},
	{"partition.assignment.strategy", "the worker hands its partitions over by the range assignor's protocol"},
	{"group.instance.id", "a static member that is gone keeps its partitions for a while"},
	{"transactional.id", "each worker takes one that is unique and survives a restart"},
	{"enable.idempotence", "each command gets exactly one result, in order, only from an idempotent producer"},
	{"acks", "a result counts as published only when all in-sync replicas have it"},
	{"request.required.acks", "a result counts as published only when all in-sync replicas have it"},
	{"enabled_events", "the program is served by callbacks"},
};

/* --- librdkafka's table ------------------------------------------------------------------------------------------ */

/* The next column, cut out in place and trimmed; *line moves behind it. NULL: there is none. */
static char *cut_column(char **line)
{
	char *column = *line, *bar = strchr(column, '|');

	if (bar == NULL)
		return NULL;
	*line = bar + 1;
	while (bar > column && bar[-1] == ' ')
		bar--;
	*bar = '\0';
	return column + strspn(column, " ");
}

/* "Alias for `name`: …" → name, cut out in place. */
static const char *cut_alias(char *rest)
{
	static const char words[] = "Alias for `";
	char *name = strstr(rest, words);

	if (name == NULL)
		return NULL;
	name += sizeof(words) - 1;
	name[strcspn(name, "`")] = '\0';
	return name;
}

static const struct known *find(const char *name)
{
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.items[i].name, name) == 0)
			return &list.items[i];
	return NULL;
}

/* A name may stand there twice, for clients and for topics: the first is what rd_kafka_conf_set() takes. */
static void take_line(char *line)
{
	char *rest = line;
	char *name = cut_column(&rest), *clients = name ? cut_column(&rest) : NULL;
	char *range = clients ? cut_column(&rest) : NULL;

	if (range == NULL || clients[0] == '\0' || strchr("*CP", clients[0]) == NULL || clients[1] != '\0' ||
	    find(name))
		return;
	list.items = xrealloc(list.items, (list.count + 1) * sizeof(*list.items));
	list.items[list.count++] = (struct known){
		.name = name,
		.range = range,
		.clients = clients[0],
		.has_text_form = strstr(rest, "see dedicated API") == NULL,
		.alias_of = cut_alias(rest),
	};
}

static void read_table(void)
{
	char *text = NULL, *rest, *line;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		die("out of memory");
	rd_kafka_conf_properties_show(out);
	if (fclose(out) != 0)
		die("out of memory");
	rest = text; /* kept: the list points into it */
	while ((line = strsep(&rest, "\n")) != NULL)
		take_line(line);
	ASSERT(find("bootstrap.servers") != NULL && find("group.id") != NULL);
}

static const struct known *look_up(const char *name)
{
	pthread_once(&list.once, read_table);
	return find(name);
}

/* --- what the user may set --------------------------------------------------------------------------------------- */

static const char *reserved_reason(const char *name)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (strcmp(reserved[i].name, name) == 0)
			return reserved[i].reason;
	return NULL;
}

static bool may_be_set(const struct known *known)
{
	return known->has_text_form && reserved_reason(known->name) == NULL;
}

void kafka_property_each(void (*each)(void *context, const char *name), void *context)
{
	look_up("");
	for (size_t i = 0; i < list.count; i++)
		if (may_be_set(&list.items[i]))
			each(context, list.items[i].name);
}

static void consider(void *nearest, const char *name)
{
	nearest_consider(nearest, name);
}

static bool fail_unknown(const char *name, struct err *err)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	kafka_property_each(consider, &nearest);
	err_set(err, VERDICT_USAGE, "", "unknown key kafka.%.100s", name);
	return err_hint(err, "librdkafka's nearest property is kafka.%s.", nearest.found);
}

static bool fail_reserved(const char *name, const char *reason, struct err *err)
{
	err_set(err, VERDICT_USAGE, "", "kafka.%s is not for you to set", name);
	err_detail(err, "%s", reason);
	return err_hint(err, "Remove it.");
}

static bool fail_value(const struct known *known, const char *value, const char *complaint, struct err *err)
{
	err_set(err, VERDICT_USAGE, "", "librdkafka refuses the value of kafka.%s", known->name);
	if (known->range[0] != '\0')
		return err_detail(err, "allowed is %s", known->range);
	if (value[0] != '\0' && strstr(complaint, value) == NULL)
		err_detail(err, "%s", complaint);
	return false;
}

static bool check_value(const struct known *known, const char *value, struct err *err)
{
	char complaint[512] = "";
	rd_kafka_conf_t *scratch = rd_kafka_conf_new();
	rd_kafka_conf_res_t answer = rd_kafka_conf_set(scratch, known->name, value, complaint, sizeof(complaint));

	rd_kafka_conf_destroy(scratch);
	return answer == RD_KAFKA_CONF_OK || fail_value(known, value, complaint, err);
}

bool kafka_property_check(const char *name, const char *value, struct err *err)
{
	const struct known *known = look_up(name);
	const char *reason = reserved_reason(name);

	if (reason != NULL)
		return fail_reserved(name, reason, err);
	if (known == NULL)
		return fail_unknown(name, err);
	if (!known->has_text_form)
		return fail_reserved(name, "it is no text, but set by a call of the library", err);
	return check_value(known, value, err);
}

const char *kafka_property_name(const char *name)
{
	const struct known *known = look_up(name);
	const char *kept = known == NULL ? name : known->alias_of ? known->alias_of : known->name;

	/* To librdkafka the name that everybody uses is the alias. */
	return strcmp(kept, "metadata.broker.list") == 0 ? "bootstrap.servers" : kept;
}

static bool is_variable_of(const char *variable, const char *name)
{
	for (; *variable != '\0' && *name != '\0'; variable++, name++)
		if (*variable != (*name == '.' ? '_' : (char)toupper((unsigned char)*name)))
			return false;
	return *variable == *name;
}

const char *kafka_property_of_variable(const char *variable)
{
	look_up("");
	for (size_t i = 0; i < list.count; i++)
		if (is_variable_of(variable, list.items[i].name))
			return list.items[i].name;
	return NULL;
}

/* --- clients ----------------------------------------------------------------------------------------------------- */

/* An administrating client is a producer that produces nothing: what all clients know is all that it needs. */
static bool is_for(const struct known *known, enum kafka_role role)
{
	return known->clients == '*' || (known->clients == 'C' && role == KAFKA_CONSUMER) ||
	       (known->clients == 'P' && role == KAFKA_PRODUCER);
}

/* The value as it is now. A file that was fine at the start is being renewed: trying again helps. */
static bool read_value(const struct property *property, struct buf *value, struct err *err)
{
	if (property->file == NULL) {
		buf_adds(value, property->value);
		return true;
	}
	char *key = xasprintf("kafka.%s.file", property->name);
	bool ok = secret_read(key, property->file, value, err);

	if (!ok)
		err->verdict = VERDICT_REJOIN;
	free(key);
	return ok;
}

static bool apply(rd_kafka_conf_t *conf, const struct known *known, const struct property *property, struct err *err)
{
	char complaint[512] = "";
	struct buf value = BUF_EMPTY;
	bool ok = read_value(property, &value, err);

	ok = ok && (rd_kafka_conf_set(conf, known->name, value.base ? value.base : "", complaint, sizeof(complaint)) ==
			    RD_KAFKA_CONF_OK ||
		    fail_value(known, value.base ? value.base : "", complaint, err));
	secret_release(&value);
	return ok;
}

bool kafka_conf_apply(rd_kafka_conf_t *conf, const struct config *config, enum kafka_role role, struct err *err)
{
	for (size_t i = 0; i < config->kafka_count; i++) {
		const struct property *property = &config->kafka[i];
		const struct known *known = look_up(property->name);

		if (known == NULL)
			return fail_unknown(property->name, err);
		if (is_for(known, role) && !apply(conf, known, property, err))
			return false;
	}
	return true;
}
