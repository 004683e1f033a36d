/* A set of attributes of one extension, by index. */
#ifndef BYUNIQUE_COLUMNS_H
#define BYUNIQUE_COLUMNS_H

#include "byunique/catalogue.h"

#define COLUMN_WORDS ((ATTRIBUTES_MAX + 63) / 64)

struct columns {
	uint64_t words[COLUMN_WORDS];
};

static inline bool columns_has(const struct columns *columns, unsigned attribute)
{
	return columns->words[attribute / 64] >> (attribute % 64) & 1;
}

static inline void columns_add(struct columns *columns, unsigned attribute)
{
	columns->words[attribute / 64] |= UINT64_C(1) << (attribute % 64);
}

/* Adds all of `more`; true when the set grew. */
static inline bool columns_merge(struct columns *columns, const struct columns *more)
{
	bool grew = false;
	for (unsigned i = 0; i < COLUMN_WORDS; i++) {
		grew |= (more->words[i] & ~columns->words[i]) != 0;
		columns->words[i] |= more->words[i];
	}
	return grew;
}

static inline unsigned columns_count(const struct columns *columns)
{
	unsigned count = 0;
	for (unsigned i = 0; i < COLUMN_WORDS; i++)
		count += (unsigned)__builtin_popcountll(columns->words[i]);
	return count;
}

#endif
