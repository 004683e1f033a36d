/* The rows are locked by a statement of its own: what deletes outcomes then sees those of the batch it waited for. */
#include "byunique/adopt.h"

#include "byunique/pg_pipeline.h"
#include "sql/statements.h"

static const char *const changes[] = {
	[ADOPT_FORGET] = sql_adopt_forget,
	[ADOPT_CLUSTER] = sql_adopt_cluster,
	[ADOPT_GROUP] = sql_adopt_group,
	[ADOPT_LOSS] = sql_adopt_loss,
};

static struct pg_param text_param(const char *text)
{
	return (struct pg_param){text, strlen(text)};
}

static bool run(struct pg *pg, enum adoption adoption, const struct pg_param *params, int count, struct err *err)
{
	struct pg_statement begin = {.sql = sql_begin}, lock = {.sql = sql_adopt_lock}, commit = {.sql = sql_commit},
			    change = {.sql = changes[adoption]};

	pg_pipeline_add(pg, &begin, NULL, 0);
	pg_pipeline_add(pg, &lock, params, 2);
	pg_pipeline_add(pg, &change, params, count);
	pg_pipeline_add(pg, &commit, NULL, 0);
	bool ok = pg_pipeline_run(pg, NULL, err);
	pg_statement_release(pg, &begin);
	pg_statement_release(pg, &lock);
	pg_statement_release(pg, &change);
	pg_statement_release(pg, &commit);
	return ok;
}

bool position_adopt(struct pg *pg, const char *topic, enum adoption adoption, const int32_t *partitions, uint32_t count,
		    const char *name, const int64_t *log_starts, struct err *err)
{
	struct buf numbers = BUF_EMPTY, offsets = BUF_EMPTY;
	struct pg_param params[3] = {text_param(topic)};
	int param_count = 2;

	pg_array_begin(&numbers, PG_INT4);
	for (uint32_t i = 0; i < count; i++)
		pg_array_int4(&numbers, partitions[i]);
	params[1] = pg_array_param(&numbers);
	if (name != NULL)
		params[param_count++] = text_param(name);
	pg_array_begin(&offsets, PG_INT8);
	for (uint32_t i = 0; log_starts != NULL && i < count; i++)
		pg_array_int8(&offsets, log_starts[i]);
	if (log_starts != NULL)
		params[param_count++] = pg_array_param(&offsets);
	bool ok = run(pg, adoption, params, param_count, err);
	buf_release(&numbers);
	buf_release(&offsets);
	return ok;
}
