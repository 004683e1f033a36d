/* Second and last round trip of a batch: changes, refusals, outcomes with their ids, and positions, then COMMIT. Nothing
 * here depends on an answer of the same trip: what the UPDATE misses, its own statement stores (pg/compose.c), and repeats
 * of an id look at what is stored for the first. */
#include "store.h"

#include "byunique/clock.h"
#include "byunique/failpoint.h"
#include "byunique/id_index.h"
#include "pg/compose.h"
#include "pg/outcomes.h"
#include "sql/statements.h"

#include <endian.h>
#include <stdlib.h>

enum { ENCODING = 1 }; /* of outcome.entries and of the results that are made from an outcome */

/* --- the UPDATE of an extension ------------------------------------------------------------------------------------------- */

static struct update *find_update(struct store *store, const struct extension *extension, bool writes, int64_t version)
{
	for (uint32_t i = 0; i < store->update_count; i++) {
		struct update *update = store->updates[i];
		if (update->extension_id != extension->id || update->writes != writes)
			continue;
		if (update->catalogue_version != version) { /* indexes mean other attributes now */
			pg_statement_release(store->pg, &update->statement);
			buf_clear(&update->sql);
			memset(&update->columns, 0, sizeof(update->columns));
			update->catalogue_version = version;
		}
		return update;
	}
	store->updates = xrealloc(store->updates, sizeof(*store->updates) * (store->update_count + 1));
	struct update *update = xcalloc(1, sizeof(*update));
	*update = (struct update){.extension_id = extension->id, .writes = writes, .catalogue_version = version};
	store->updates[store->update_count++] = update;
	return update;
}

static struct update *update_for(struct store *store, const struct group *group, int64_t version)
{
	struct update *update = find_update(store, group->extension, columns_count(&group->columns) > 0, version);

	if (columns_merge(&update->columns, &group->columns) || update->sql.len == 0) {
		pg_statement_release(store->pg, &update->statement);
		buf_clear(&update->sql);
		compose_update(group->extension, &update->columns, &update->sql);
		update->statement.sql = update->sql.base;
	}
	return update;
}

/* Parameter buffers in the order that compose_update() gives. */
struct update_arrays {
	struct buf *customer, *keys, *masks, *values, *position, *offset, *folded;
};

enum { FOLDED_ARRAYS = 4 };

static struct update_arrays begin_update_arrays(struct store *store, const struct extension *extension,
						const struct columns *columns)
{
	unsigned keys = extension->unique_count, masks = columns_masks(columns), values = columns_count(columns);
	static const enum pg_oid folded_types[FOLDED_ARRAYS] = {PG_INT8, PG_TEXT, PG_INT4, PG_INT8};

	store_array(store, 3 + keys + masks + values + FOLDED_ARRAYS); /* all there before pointers are taken */
	struct buf *at = store_array(store, 0);
	struct update_arrays arrays = {.customer = at, .keys = at + 1};
	arrays.masks = arrays.keys + keys;
	arrays.values = arrays.masks + masks;
	arrays.position = arrays.values + values;
	arrays.offset = arrays.position + 1;
	arrays.folded = arrays.position + 2;

	pg_array_begin(arrays.customer, PG_TEXT);
	for (unsigned k = 0; k < keys; k++)
		pg_array_begin(&arrays.keys[k], pg_type_oid((int)extension->attributes[extension->unique[k]].type));
	pg_array_begin(arrays.position, PG_INT4);
	pg_array_begin(arrays.offset, PG_INT8);
	for (unsigned m = 0; m < masks; m++)
		pg_array_begin(&arrays.masks[m], PG_INT8);
	for (unsigned a = 0, v = 0; a < extension->attribute_count; a++)
		if (columns_has(columns, a))
			pg_array_begin(&arrays.values[v++], pg_type_oid((int)extension->attributes[a].type));
	for (unsigned f = 0; f < FOLDED_ARRAYS; f++)
		pg_array_begin(&arrays.folded[f], folded_types[f]);
	return arrays;
}

/* One element for each column of the statement: what the change stores, or a null with its flag not set. */
static void add_values(const struct change *change, const struct extension *extension, const struct columns *columns,
		       const struct update_arrays *arrays)
{
	uint64_t mask = 0;
	unsigned flag = 0, cell = 0;

	for (unsigned a = 0; a < extension->attribute_count; a++) {
		if (!columns_has(columns, a))
			continue;
		if (cell < change->cell_count && change->cells[cell].attribute == a) {
			pg_array_cell(&arrays->values[flag], (int)extension->attributes[a].type, &change->cells[cell++]);
			mask |= UINT64_C(1) << (flag % MASK_BITS);
		} else {
			pg_array_null(&arrays->values[flag]);
		}
		if (++flag % MASK_BITS == 0) {
			pg_array_int8(&arrays->masks[flag / MASK_BITS - 1], (int64_t)mask);
			mask = 0;
		}
	}
	if (flag % MASK_BITS != 0)
		pg_array_int8(&arrays->masks[flag / MASK_BITS], (int64_t)mask);
}

static void add_change(const struct change *change, const struct message *message, const struct columns *columns,
		       const struct update_arrays *arrays)
{
	const struct extension *extension = message->extension;

	pg_array_bytes(arrays->customer, message->command.customer_id.base, message->command.customer_id.len);
	for (unsigned k = 0; k < extension->unique_count; k++)
		pg_array_cell(&arrays->keys[k], (int)extension->attributes[extension->unique[k]].type,
			      &message->key_cells[k]);
	pg_array_int4(arrays->position, message->partition->id);
	pg_array_int8(arrays->offset, message->offset);
	add_values(change, extension, columns, arrays);
}

static void add_folded(const struct folded *folded, const struct message *message, const struct update_arrays *arrays)
{
	pg_array_int8(&arrays->folded[0], (int64_t)folded->change + 1);
	pg_array_bytes(&arrays->folded[1], message->command.customer_id.base, message->command.customer_id.len);
	pg_array_int4(&arrays->folded[2], message->partition->id);
	pg_array_int8(&arrays->folded[3], message->offset);
}

static void send_update(struct store *store, const struct batch *batch, const struct group *group)
{
	struct update *update = update_for(store, group, batch->catalogue->version);
	unsigned count = compose_update_params(group->extension, &update->columns);
	struct update_arrays arrays = begin_update_arrays(store, group->extension, &update->columns);
	struct pg_param *params = xcalloc(count, sizeof(*params));

	for (uint32_t i = 0; i < group->change_count; i++)
		add_change(&group->changes[i], &batch->messages[group->changes[i].message], &update->columns, &arrays);
	for (uint32_t i = 0; i < group->folded_count; i++)
		add_folded(&group->folded[i], &batch->messages[group->folded[i].message], &arrays);
	for (unsigned i = 0; i < count; i++)
		params[i] = pg_array_param(store_array(store, i));
	pg_pipeline_add(store->pg, &update->statement, params, (int)count);
	free(params);
}

/* --- refusals and repeats -------------------------------------------------------------------------------------------------- */

static bool is_refused(const struct message *message)
{
	return message->state == MESSAGE_NEW && message->answer.code != OUTCOME_NONE;
}

static void add_text(struct buf *array, struct slice text)
{
	if (text.base == NULL)
		pg_array_null(array);
	else
		pg_array_bytes(array, text.base, text.len);
}

/* What is decided before the trip: refused by decode or validate, or by an id known already. */
static void send_refusals(struct store *store, const struct span *span)
{
	static const enum pg_oid types[] = {PG_INT4, PG_INT8, PG_INT2, PG_TEXT, PG_TEXT};
	enum { POSITION, OFFSET, CODE, ATTRIBUTE, DETAIL, ARRAYS };
	struct pg_param params[ARRAYS];
	bool any = false;

	store_array(store, ARRAYS);
	struct buf *arrays = store_array(store, 0);
	for (int i = 0; i < ARRAYS; i++)
		pg_array_begin(&arrays[i], types[i]);
	for (uint32_t i = span->begin; i < span->end; i++) {
		const struct message *message = &span->batch->messages[i];
		if (!is_refused(message))
			continue;
		pg_array_int4(&arrays[POSITION], message->partition->id);
		pg_array_int8(&arrays[OFFSET], message->offset);
		pg_array_int2(&arrays[CODE], (int16_t)message->answer.code);
		add_text(&arrays[ATTRIBUTE], pg_text_escape(message->answer.attribute, &span->batch->arena));
		add_text(&arrays[DETAIL], message->answer.detail);
		any = true;
	}
	for (int i = 0; i < ARRAYS; i++)
		params[i] = pg_array_param(&arrays[i]);
	if (any)
		pg_pipeline_add(store->pg, &store->store_refusals, params, ARRAYS);
}

static void send_repeats(struct store *store, const struct span *span)
{
	enum { POSITION, OFFSET, FIRST, ARRAYS };
	struct pg_param params[ARRAYS];
	bool any = false;

	store_array(store, ARRAYS);
	struct buf *arrays = store_array(store, 0);
	pg_array_begin(&arrays[POSITION], PG_INT4);
	pg_array_begin(&arrays[OFFSET], PG_INT8);
	pg_array_begin(&arrays[FIRST], PG_INT8);
	for (uint32_t i = span->begin; i < span->end; i++) {
		const struct message *message = &span->batch->messages[i];
		if (message->same_as == NO_MESSAGE)
			continue;
		pg_array_int4(&arrays[POSITION], message->partition->id);
		pg_array_int8(&arrays[OFFSET], message->offset);
		pg_array_int8(&arrays[FIRST], span->batch->messages[message->same_as].offset);
		any = true;
	}
	for (int i = 0; i < ARRAYS; i++)
		params[i] = pg_array_param(&arrays[i]);
	if (any)
		pg_pipeline_add(store->pg, &store->store_repeats, params, ARRAYS);
}

/* --- outcomes and positions ------------------------------------------------------------------------------------------------ */

/* BLOCK_ENTRY_BYTES. */
static void add_id(const struct message *message, int64_t first_offset, struct buf *ids)
{
	uint32_t distance = htole32((uint32_t)(message->offset - first_offset));

	buf_add(ids, message->id.bytes, BLOCK_ID_BYTES);
	buf_add(ids, message->content.bytes, BLOCK_CONTENT_BYTES);
	buf_add(ids, &distance, sizeof(distance));
}

/* The new messages of a reach: what is stored for them. False when all are repeats. */
static bool collect_entries(const struct span *span, const struct reach *reach, struct buf *entries, struct buf *ids,
			    uint32_t *first, uint32_t *last)
{
	const struct message *messages = span->batch->messages;
	int64_t before = -1;

	buf_clear(entries);
	buf_clear(ids);
	for (uint32_t i = reach->first; i <= reach->last; i++) {
		if (messages[i].partition != reach->partition || messages[i].state != MESSAGE_NEW)
			continue;
		if (before < 0)
			*first = i;
		uint32_t hash = htole32((uint32_t)messages[i].hash);
		buf_varint(entries, before < 0 ? 0 : (uint64_t)(messages[i].offset - before));
		buf_add(entries, &hash, sizeof(hash));
		before = messages[i].offset;
		*last = i;
		if (message_is_planned(&messages[i]))
			add_id(&messages[i], messages[*first].offset, ids);
	}
	return before >= 0;
}

struct progress_arrays {
	struct buf *position, *first, *last, *entries, *ids; /* of outcomes */
	struct buf *id, *next, *last_offset, *last_hash, *published; /* of positions */
	struct buf *entries_of_one, *ids_of_one;	     /* of the partition at hand */
};

static struct progress_arrays begin_progress_arrays(struct store *store)
{
	enum { ARRAYS = 10 };
	static const enum pg_oid types[ARRAYS] = {PG_INT4, PG_INT8, PG_INT8, PG_BYTEA, PG_BYTEA,
						  PG_INT4, PG_INT8, PG_INT8, PG_INT8,  PG_INT8};

	store_array(store, ARRAYS + 1); /* all there before pointers are taken */
	struct buf *at = store_array(store, 0);
	for (int i = 0; i < ARRAYS; i++)
		pg_array_begin(&at[i], types[i]);
	return (struct progress_arrays){at,	at + 1, at + 2, at + 3, at + 4,	 at + 5,
					at + 6, at + 7, at + 8, at + 9, at + 10, at + 11};
}

static void add_progress(const struct span *span, const struct reach *reach, const struct progress_arrays *arrays)
{
	const struct message *messages = span->batch->messages;
	struct buf *entries = arrays->entries_of_one, *ids = arrays->ids_of_one;
	uint32_t first, last;

	if (!collect_entries(span, reach, entries, ids, &first, &last))
		return;
	pg_array_int4(arrays->position, reach->partition->id);
	pg_array_int8(arrays->first, messages[first].offset);
	pg_array_int8(arrays->last, messages[last].offset);
	pg_array_bytes(arrays->entries, entries->base, entries->len);
	pg_array_bytes(arrays->ids, ids->base, ids->len);
	pg_array_int4(arrays->id, reach->partition->id);
	pg_array_int8(arrays->next, messages[last].offset + 1);
	pg_array_int8(arrays->last_offset, messages[last].offset);
	pg_array_int8(arrays->last_hash, (int64_t)messages[last].hash);
	pg_array_int8(arrays->published, reach->partition->published);
}

static void send_progress(struct store *store, const struct span *span, const struct reach *reaches, uint32_t count,
			  int64_t processed_at_ms)
{
	struct progress_arrays arrays = begin_progress_arrays(store);
	uint64_t when = htobe64((uint64_t)processed_at_ms);
	uint16_t encoding = htobe16(ENCODING);

	for (uint32_t i = 0; i < count; i++)
		add_progress(span, &reaches[i], &arrays);
	struct pg_param outcomes[] = {pg_array_param(arrays.position), pg_array_param(arrays.first),
				      pg_array_param(arrays.last),     pg_array_param(arrays.entries),
				      pg_array_param(arrays.ids),      {&when, sizeof(when)},
				      {&encoding, sizeof(encoding)}};
	pg_pipeline_add(store->pg, &store->store_outcomes, outcomes, 7);
	struct pg_param positions[] = {pg_array_param(arrays.id), pg_array_param(arrays.next),
				       pg_array_param(arrays.last_offset), pg_array_param(arrays.last_hash),
				       pg_array_param(arrays.published)};
	pg_pipeline_add(store->pg, &store->move_positions, positions, 5);
}

/* --- after COMMIT ------------------------------------------------------------------------------------------------------------- */

static struct message *find_message(const struct span *span, const struct reach *reach, int64_t offset)
{
	struct message *messages = span->batch->messages;
	uint32_t low = reach->first, high = reach->last;

	/* Partitions may be mixed within the reach: look at the nearest message of this one. */
	while (low <= high) {
		uint32_t middle = low + (high - low) / 2, at = middle;
		while (at > low && messages[at].partition != reach->partition)
			at--;
		if (messages[at].partition != reach->partition || messages[at].offset < offset)
			low = middle + 1;
		else if (messages[at].offset == offset)
			return &messages[at];
		else if (at == reach->first)
			break;
		else
			high = at - 1;
	}
	die("PostgreSQL answered for a message that is not in the batch");
}

/* The refusals that the UPDATE statements stored and returned. */
static void take_misses(const struct pg_rows *rows, const struct span *span, const struct reach *reaches, uint32_t count)
{
	for (int row = 0; row < pg_rows_count(rows); row++) {
		uint32_t r = 0;
		while (r < count && reaches[r].partition->id != pg_rows_int(rows, row, 0))
			r++;
		ASSERT(r < count);
		struct message *message = find_message(span, &reaches[r], pg_rows_int(rows, row, 1));
		message->answer.code = (enum outcome_code)pg_rows_int(rows, row, 2);
		outcome_fill_detail(&message->answer);
	}
}

static void settle(const struct span *span, int64_t processed_at_ms)
{
	for (uint32_t i = span->begin; i < span->end; i++) {
		struct message *message = &span->batch->messages[i];
		if (message->state != MESSAGE_NEW)
			continue;
		if (message->same_as != NO_MESSAGE) {
			message->answer = span->batch->messages[message->same_as].answer;
			if (message->answer.code == OUTCOME_DONE)
				message->answer.code = OUTCOME_DUPLICATE;
		} else if (message->answer.code == OUTCOME_NONE) {
			message->answer.code = OUTCOME_DONE;
		}
		message->answer.processed_at_ms = processed_at_ms;
	}
}

/* The ids that took effect, into the index, under the block that collect_entries() has made of the reach. */
static void remember_ids(const struct span *span, const struct reach *reach)
{
	const struct message *messages = span->batch->messages;
	int64_t block = -1;

	for (uint32_t i = reach->last + 1; i-- > reach->first && block < 0;)
		if (messages[i].partition == reach->partition && messages[i].state == MESSAGE_NEW)
			block = messages[i].offset;
	for (uint32_t i = reach->first; i <= reach->last; i++)
		if (messages[i].partition == reach->partition && messages[i].state == MESSAGE_NEW &&
		    messages[i].answer.code == OUTCOME_DONE)
			id_index_add(reach->partition->ids, &messages[i].id, block);
	reach->partition->ids_from = reach->partition->next_offset;
}

static bool has_news(const struct span *span)
{
	for (uint32_t i = span->begin; i < span->end; i++)
		if (span->batch->messages[i].state == MESSAGE_NEW)
			return true;
	return false;
}

int64_t reach_next_offset(const struct span *span, const struct reach *reach)
{
	int64_t next = span->batch->messages[reach->last].offset + 1;
	return next > reach->partition->next_offset ? next : reach->partition->next_offset;
}

void apply_send(struct store *store, const struct span *span, const struct plan *plan, const struct reach *reaches,
		uint32_t count, int64_t processed_at_ms)
{
	for (uint32_t i = 0; i < plan->group_count; i++)
		send_update(store, span->batch, &plan->groups[i]);
	send_refusals(store, span);
	send_repeats(store, span);
	if (has_news(span))
		send_progress(store, span, reaches, count, processed_at_ms);
	if (span->end < span->batch->count)
		pg_pipeline_add(store->pg, &store->commit_later, NULL, 0);
	pg_pipeline_add(store->pg, &store->commit, NULL, 0);
}

void apply_settle(const struct span *span, const struct plan *plan, struct reach *reaches, uint32_t count,
		  struct pg_rows *const *answers, int64_t processed_at_ms)
{
	for (uint32_t i = 0; i < count; i++)
		partition_is_at(reaches[i].partition, reach_next_offset(span, &reaches[i]));
	for (uint32_t i = 0; i < plan->group_count; i++)
		take_misses(answers[i], span, reaches, count);
	settle(span, processed_at_ms);
	for (uint32_t i = 0; i < count; i++)
		remember_ids(span, &reaches[i]);
	FAILPOINT_REACH(store_settled);
}

bool apply_span(struct store *store, const struct span *span, const struct plan *plan, struct err *err)
{
	struct pg_rows *answers[PG_PIPELINE_MAX] = {NULL};
	int64_t processed_at_ms = clock_wall_ms();
	uint32_t count;
	struct reach *reaches = span_reaches(span, &count);

	apply_send(store, span, plan, reaches, count, processed_at_ms);
	for (uint32_t i = 0; i < count; i++)
		reaches[i].partition->uncertain_offset = reach_next_offset(span, &reaches[i]);
	bool ok = pg_pipeline_run(store->pg, answers, err);
	for (uint32_t i = 0; i < count; i++)
		if (ok || pg_alive(store->pg)) /* an error that the server told: nothing was committed */
			reaches[i].partition->uncertain_offset = -1;
	if (!ok)
		return false;
	apply_settle(span, plan, reaches, count, answers, processed_at_ms);
	for (int i = 0; i < PG_PIPELINE_MAX && answers[i] != NULL; i++)
		pg_rows_free(answers[i]);
	return true;
}
