/* The list of a command's attributes while it is read: memory follows what is really there, and not all of that. */
#ifndef BYUNIQUE_AVRO_ATTRIBUTES_H
#define BYUNIQUE_AVRO_ATTRIBUTES_H

#include "byunique/arena.h"
#include "byunique/command.h"

struct attribute_names;

struct attribute_list {
	struct command *command; /* gets them */
	struct arena *arena;
	uint32_t capacity;
	struct attribute_names *names; /* NULL until there are too many to keep all */
};

/* One more. `claimed` is how many its block says that there are: a hint for the first allocation, no more. */
void attribute_list_add(struct attribute_list *list, const struct named_value *attribute, int64_t claimed);

#endif
