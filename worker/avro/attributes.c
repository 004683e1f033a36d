/* Two bytes of a message can be an attribute, which takes forty in memory: a megabyte of the same name over and over would
 * take twenty. So of a command with more attributes than any extension can have, only those are kept that decide how it is
 * refused: of equal names the first, but one name twice; and of different names one more than an extension can have, among
 * which there must be one that it has not. Whoever looks for the first unknown attribute, or else for the first that is given
 * twice, finds the same ones as in all of them.
 *
 * The table of names is small and open: it holds places in the list. */
#include "avro/attributes.h"

#include "byunique/catalogue.h"

enum { DISTINCT_MAX = ATTRIBUTES_MAX + 1, KEPT_MAX = DISTINCT_MAX + 1, SLOTS = 4096, FIRST_MAX = 64 };

struct attribute_names {
	uint16_t slots[SLOTS]; /* place in the list + 1; 0: free */
	uint32_t distinct;
	bool repeated; /* one that comes twice is kept */
};

static uint32_t hash_of(struct slice name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.base[i];
		hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c)) * 16777619u;
	}
	return hash;
}

/* Its slot, or the free one where it belongs. */
static uint16_t *slot_of(struct attribute_names *names, const struct named_value *kept, struct slice name)
{
	uint32_t at = hash_of(name) % SLOTS;

	while (names->slots[at] != 0 && !slice_equal_nocase(kept[names->slots[at] - 1].name, name))
		at = (at + 1) % SLOTS;
	return &names->slots[at];
}

/* Does it have to be kept as number `place` of the list? Then it is noted. */
static bool decides(struct attribute_names *names, const struct named_value *kept, struct slice name, uint32_t place)
{
	if (names->distinct == DISTINCT_MAX && names->repeated)
		return false;
	uint16_t *slot = slot_of(names, kept, name);
	if (*slot != 0) {
		bool first = !names->repeated;
		names->repeated = true;
		return first;
	}
	if (names->distinct == DISTINCT_MAX)
		return false;
	names->distinct++;
	*slot = (uint16_t)(place + 1);
	return true;
}

/* From now on, and backwards, only what decides. */
static void thin(struct attribute_list *list)
{
	struct named_value *kept = list->command->attributes;
	uint32_t count = 0;

	list->names = arena_zalloc(list->arena, sizeof(*list->names));
	for (uint32_t i = 0; i < list->command->attribute_count; i++) {
		struct named_value moving = kept[i];
		if (decides(list->names, kept, moving.name, count))
			kept[count++] = moving;
	}
	list->command->attribute_count = count;
}

static void make_room(struct attribute_list *list, int64_t claimed)
{
	struct command *command = list->command;
	uint32_t first = claimed < FIRST_MAX ? (uint32_t)claimed : FIRST_MAX;

	list->capacity = list->capacity ? list->capacity * 2 : first;
	if (list->capacity > KEPT_MAX)
		list->capacity = KEPT_MAX;
	struct named_value *larger = arena_array(list->arena, struct named_value, list->capacity);
	if (command->attribute_count > 0)
		memcpy(larger, command->attributes, sizeof(*larger) * command->attribute_count);
	command->attributes = larger;
}

void attribute_list_add(struct attribute_list *list, const struct named_value *attribute, int64_t claimed)
{
	struct command *command = list->command;

	if (command->attribute_count == KEPT_MAX && list->names == NULL)
		thin(list);
	if (list->names != NULL && !decides(list->names, command->attributes, attribute->name, command->attribute_count))
		return;
	if (command->attribute_count == list->capacity)
		make_room(list, claimed);
	command->attributes[command->attribute_count++] = *attribute;
}
