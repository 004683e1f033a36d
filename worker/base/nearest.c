/* Edit distance with neighbours swapped as one step, letters taken without case. What was left out costs less than what
 * is wrong or too much: people shorten names ("bootstrap.servers", "retention") more than they invent. */
#include "base/nearest.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { COST_MISSING = 1, COST_SWAPPED = 1, COST_WRONG = 2, COST_EXTRA = 2 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* One row of the table: the cost of turning the first i letters of `wanted` into each beginning of `known`. */
static void next_row(const char *wanted, size_t i, const char *known, size_t known_len,
		     unsigned (*rows)[NEAREST_MAX + 1])
{
	unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];

	now[0] = (unsigned)i * COST_EXTRA;
	for (size_t k = 1; k <= known_len; k++) {
		bool equal = same(wanted[i - 1], known[k - 1]);
		now[k] = least(before[k - 1] + (equal ? 0 : COST_WRONG), now[k - 1] + COST_MISSING);
		now[k] = least(now[k], before[k] + COST_EXTRA);
		if (i > 1 && k > 1 && same(wanted[i - 1], known[k - 2]) && same(wanted[i - 2], known[k - 1]))
			now[k] = least(now[k], two_before[k - 2] + COST_SWAPPED);
	}
}

static unsigned cost_of(const char *wanted, const char *known)
{
	unsigned rows[3][NEAREST_MAX + 1];
	size_t wanted_len = strnlen(wanted, NEAREST_MAX), known_len = strnlen(known, NEAREST_MAX);

	for (size_t k = 0; k <= known_len; k++)
		rows[0][k] = (unsigned)k * COST_MISSING;
	for (size_t i = 1; i <= wanted_len; i++)
		next_row(wanted, i, known, known_len, rows);
	return rows[wanted_len % 3][known_len];
}

void nearest_init(struct nearest *nearest, const char *wanted)
{
	*nearest = (struct nearest){.wanted = wanted, .cost = UINT_MAX};
}

void nearest_consider(struct nearest *nearest, const char *candidate)
{
	unsigned cost = cost_of(nearest->wanted, candidate);

	if (cost >= nearest->cost)
		return;
	nearest->cost = cost;
	snprintf(nearest->found, sizeof(nearest->found), "%s", candidate);
}

bool nearest_is_close(const struct nearest *nearest)
{
	return nearest->found[0] != '\0' && nearest->cost <= strlen(nearest->wanted);
}
