/* "Did you mean …?": the known name nearest to one that is not known. Configuration keys, options, commands,
 * extensions. */
#ifndef BYUNIQUE_NEAREST_H
#define BYUNIQUE_NEAREST_H

#include <stdbool.h>

enum { NEAREST_MAX = 200 }; /* bytes of a name that count */

struct nearest {
	const char *wanted;	     /* borrowed */
	char found[NEAREST_MAX + 1]; /* the best so far; empty before the first */
	unsigned cost;		     /* of turning wanted into found */
};

void nearest_init(struct nearest *nearest, const char *wanted);
void nearest_consider(struct nearest *nearest, const char *candidate); /* of equals the first one wins */
bool nearest_is_close(const struct nearest *nearest);		       /* near enough to be what was meant */

#endif
