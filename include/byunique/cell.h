/* An attribute's value, converted to what PostgreSQL stores. */
#ifndef BYUNIQUE_CELL_H
#define BYUNIQUE_CELL_H

#include "byunique/arena.h"
#include "byunique/catalogue.h"
#include "byunique/command.h"

/* Decimal with four places: sign and magnitude * 10^4 (19 digits do not fit a signed 64-bit integer). */
struct decimal {
	uint64_t scaled;
	bool negative; /* never set for zero */
};

struct cell {
	uint16_t attribute; /* index into the extension's attributes */
	bool null;
	union {
		int64_t integer; /* INTEGER, LONG; BOOLEAN as 0 or 1; DATE in days since 2000-01-01; DATETIME in µs since
				    2000-01-01T00:00:00Z (PostgreSQL's epoch) */
		double real;	 /* DOUBLE; finite; -0.0 is kept, and compares equal to 0.0 */
		struct decimal decimal; /* CURRENCY */
		struct slice text;	/* STRING; views the value's bytes */
	};
};

/* Convert by the contract's table of types. On false *reason is a constant text for a person ("is longer than the
 * attribute's length", …); the value itself never shows up in it. Null is not handled here. */
bool cell_from_value(const struct attribute *attribute, const struct value *value, struct cell *cell,
		     const char **reason);

/* A cell of a CSV or JSON file: text to the Avro value a command would carry ("5" → int for an integer attribute,
 * "true"/"false" in any case → boolean, a decimal text stays a string for currency, date and datetime). False with
 * *reason when the text is not of the attribute's type; on true, cell_from_value() takes the value too. A string value
 * views `text`. */
bool value_from_text(const struct attribute *attribute, struct slice text, struct value *value, const char **reason);

/* Total order of cells of the same attribute (for sorting and for telling equal keys); neither is null. Equal exactly
 * when PostgreSQL's = says so. */
int cell_compare(enum attribute_type type, const struct cell *a, const struct cell *b);

/* Text as PostgreSQL's COPY and psql understand it, appended to buf (no escaping); value_from_text() reads it back as the
 * same cell. The cell is not null. */
struct buf;
void cell_text(enum attribute_type type, const struct cell *cell, struct buf *out);

#endif
