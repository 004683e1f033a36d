/* Decimals of Avro's logical type, exactly. */
#ifndef MODEL_DECIMAL_H
#define MODEL_DECIMAL_H

#include "byunique/cell.h"

enum { CURRENCY_DECIMALS = 4 };
#define CURRENCY_SCALE	   10000
#define CURRENCY_WHOLE_END INT64_C(1000000000000000) /* 10^15 */

/* A VALUE_DECIMAL as a currency holds it. False with *reason when it has other digits than zeros after the fourth one
 * behind the point, or more than 15 before it. */
bool decimal_from_value(const struct value *value, struct decimal *decimal, const char **reason);

#endif
