/* PostgreSQL's UPDATE … FROM keeps one of two matches for a row, and does not say which. So commands that meet the same
 * record are folded here into one net change, in their order. Sorting does it: by extension and key, then by place in the
 * batch; equal keys end up side by side. The sorted order is also the order in which records are locked. */
#include "byunique/stages.h"

#include <endian.h>
#include <stdlib.h>

/* --- ids that come twice --------------------------------------------------------------------------------------------- */

static uint32_t id_hash(const struct message *message)
{
	uint64_t high, low;
	memcpy(&high, message->id.bytes, sizeof(high));
	memcpy(&low, message->id.bytes + sizeof(high), sizeof(low));
	high = (high ^ (low >> 17) ^ (low << 29) ^ (uint64_t)message->partition->id) * UINT64_C(0x9E3779B97F4A7C15);
	return (uint32_t)(high >> 32);
}

static struct id_table id_table_new(struct arena *arena, uint32_t messages)
{
	uint32_t size = 16;
	while (size < 2 * messages)
		size *= 2;
	struct id_table table = {arena_array(arena, uint32_t, size), size - 1};
	memset(table.slots, 0xFF, sizeof(*table.slots) * size);
	return table;
}

static uint32_t *id_table_slot(const struct id_table *table, const struct message *messages, const struct message *message)
{
	uint32_t at = id_hash(message) & table->mask;
	for (;; at = (at + 1) & table->mask) {
		if (table->slots[at] == NO_MESSAGE)
			return &table->slots[at];
		const struct message *other = &messages[table->slots[at]];
		if (other->partition == message->partition && memcmp(&other->id, &message->id, sizeof(message->id)) == 0)
			return &table->slots[at];
	}
}

static bool is_open(const struct message *message)
{
	return message->state == MESSAGE_NEW && message->answer.code == OUTCOME_NONE;
}

/* Could a new message have been answered by an earlier one of the same id? Known ids are answered already. */
static bool is_rival(const struct message *message)
{
	return message->state == MESSAGE_NEW && message->has_id && message->answer.code != OUTCOME_DUPLICATE &&
	       message->answer.code != OUTCOME_COMMAND_ID_REUSED;
}

/* Finds repeats of an id that is about to take effect. False: the span has to end before this message. */
static bool place_id(const struct id_table *table, struct message *messages, uint32_t index)
{
	struct message *message = &messages[index];
	if (!is_rival(message))
		return true;
	uint32_t *slot = id_table_slot(table, messages, message);
	if (*slot == NO_MESSAGE) {
		if (is_open(message))
			*slot = index;
		return true;
	}
	if (!is_open(message) || memcmp(&messages[*slot].content, &message->content, sizeof(message->content)) != 0)
		return false;
	message->same_as = *slot;
	return true;
}

static struct id_table find_repeated_ids(struct span *span)
{
	struct id_table table = id_table_new(&span->batch->arena, span->end - span->begin);
	for (uint32_t i = span->begin; i < span->end; i++)
		if (!place_id(&table, span->batch->messages, i))
			span->end = i;
	return table;
}

bool plan_has_id(const struct plan *plan, const struct batch *batch, const struct message *message)
{
	return *id_table_slot(&plan->ids, batch->messages, message) != NO_MESSAGE;
}

/* --- grouping and folding ---------------------------------------------------------------------------------------------- */

struct item {
	uint64_t prefix; /* the customer id's first bytes, for a cheap comparison */
	const struct message *message;
};

static int compare_keys(const struct message *a, const struct message *b)
{
	int order = slice_compare(a->command.customer_id, b->command.customer_id);
	for (unsigned k = 0; order == 0 && k < a->extension->unique_count; k++) {
		enum attribute_type type = a->extension->attributes[a->extension->unique[k]].type;
		order = cell_compare(type, &a->key_cells[k], &b->key_cells[k]);
	}
	return order;
}

/* By extension, then key, then place in the batch. */
static int compare_items(const void *left, const void *right)
{
	const struct item *a = left, *b = right;

	if (a->message->extension != b->message->extension) /* by id: the same order in every worker */
		return a->message->extension->id < b->message->extension->id ? -1 : 1;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	int order = compare_keys(a->message, b->message);
	return order != 0 ? order : a->message < b->message ? -1 : 1;
}

static uint64_t prefix_of(struct slice customer_id)
{
	uint64_t be = 0;
	memcpy(&be, customer_id.base, customer_id.len < sizeof(be) ? customer_id.len : sizeof(be));
	return be64toh(be);
}

static uint32_t sorted_items(const struct span *span, struct item **out)
{
	struct item *items = arena_array(&span->batch->arena, struct item, span->end - span->begin);
	uint32_t count = 0;

	for (uint32_t i = span->begin; i < span->end; i++) {
		const struct message *message = &span->batch->messages[i];
		if (message_is_planned(message))
			items[count++] = (struct item){prefix_of(message->command.customer_id), message};
	}
	qsort(items, count, sizeof(*items), compare_items);
	*out = items;
	return count;
}

/* The later command's cells over the change's; both sorted by attribute. */
static void overlay(struct change *change, const struct message *later, struct arena *arena)
{
	struct cell *merged = arena_array(arena, struct cell, change->cell_count + later->cell_count);
	uint32_t a = 0, b = 0, count = 0;

	while (a < change->cell_count || b < later->cell_count) {
		bool take_later = a == change->cell_count ||
				  (b < later->cell_count && later->cells[b].attribute <= change->cells[a].attribute);
		if (!take_later) {
			merged[count++] = change->cells[a++];
			continue;
		}
		if (a < change->cell_count && change->cells[a].attribute == later->cells[b].attribute)
			a++;
		merged[count++] = later->cells[b++];
	}
	change->cells = merged;
	change->cell_count = count;
}

static void add_command(struct group *group, const struct span *span, const struct message *message)
{
	const struct message *messages = span->batch->messages;
	uint32_t index = (uint32_t)(message - messages);
	struct change *last = group->change_count ? &group->changes[group->change_count - 1] : NULL;

	for (uint32_t i = 0; i < message->cell_count; i++)
		columns_add(&group->columns, message->cells[i].attribute);
	if (last == NULL || compare_keys(&messages[last->message], message) != 0) {
		group->changes[group->change_count++] =
			(struct change){.message = index, .cells = message->cells, .cell_count = message->cell_count};
		return;
	}
	if (message->cell_count > 0)
		overlay(last, message, &span->batch->arena);
	group->folded[group->folded_count++] = (struct folded){.change = group->change_count - 1, .message = index};
}

static uint32_t count_extensions(const struct item *items, uint32_t count)
{
	uint32_t extensions = 0;
	for (uint32_t i = 0; i < count; i++)
		extensions += i == 0 || items[i].message->extension != items[i - 1].message->extension;
	return extensions;
}

/* --- changes that store nothing ------------------------------------------------------------------------------------------ */

static uint32_t count_looks(const struct group *group)
{
	uint32_t looks = 0;
	for (uint32_t i = 0; i < group->change_count; i++)
		looks += group->changes[i].cell_count == 0;
	return looks;
}

/* Moves the changes that only look for their record, with what is folded into them, into a group of their own. */
static void part_looks(struct group *group, struct group *looks, uint32_t looks_count, struct arena *arena)
{
	struct group all = *group;
	uint32_t *places = arena_array(arena, uint32_t, all.change_count); /* in the new groups */
	bool *is_look = arena_array(arena, bool, all.change_count);

	*looks = (struct group){.extension = all.extension,
				.changes = arena_array(arena, struct change, looks_count),
				.folded = arena_array(arena, struct folded, all.folded_count)};
	group->change_count = group->folded_count = 0;
	for (uint32_t i = 0; i < all.change_count; i++) {
		is_look[i] = all.changes[i].cell_count == 0;
		struct group *part = is_look[i] ? looks : group;
		places[i] = part->change_count;
		part->changes[part->change_count++] = all.changes[i];
	}
	for (uint32_t i = 0; i < all.folded_count; i++) {
		struct folded folded = all.folded[i];
		struct group *part = is_look[folded.change] ? looks : group;
		folded.change = places[folded.change];
		part->folded[part->folded_count++] = folded;
	}
}

/* They lock nothing, so their groups may come last. */
static void part_all_looks(struct plan *plan, struct arena *arena)
{
	uint32_t extensions = plan->group_count;

	for (uint32_t i = 0; i < extensions; i++) {
		uint32_t looks = count_looks(&plan->groups[i]);
		if (looks > 0 && looks < plan->groups[i].change_count)
			part_looks(&plan->groups[i], &plan->groups[plan->group_count++], looks, arena);
	}
}

void plan_span(struct span *span, struct plan *plan)
{
	struct arena *arena = &span->batch->arena;
	struct group *group = NULL;
	struct item *items;

	struct id_table ids = find_repeated_ids(span);
	uint32_t count = sorted_items(span, &items);
	struct change *changes = arena_array(arena, struct change, count);
	struct folded *folded = arena_array(arena, struct folded, count);
	*plan = (struct plan){.groups = arena_zarray(arena, struct group, 2 * count_extensions(items, count)),
			      .planned = count,
			      .ids = ids};
	for (uint32_t i = 0; i < count; i++) {
		if (group == NULL || group->extension != items[i].message->extension) {
			group = &plan->groups[plan->group_count++];
			group->extension = items[i].message->extension;
			group->changes = changes + i; /* no more changes or folded ones than items */
			group->folded = folded + i;
		}
		add_command(group, span, items[i].message);
	}
	part_all_looks(plan, arena);
}
