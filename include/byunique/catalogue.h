/* What extensions there are: an immutable snapshot of the catalogue tables, shared by reference count.
 *
 * Names are kept as given and matched without case. Loading from PostgreSQL is pg/catalogue.c's; this header is pure. */
#ifndef BYUNIQUE_CATALOGUE_H
#define BYUNIQUE_CATALOGUE_H

#include "byunique/slice.h"

#define NAME_MAX_CHARS 26
#define ATTRIBUTES_MAX 1000	     /* PostgreSQL's limit is 1600 columns; this leaves room */
#define STRING_LENGTH_MAX 10485760 /* PostgreSQL's limit for varchar(n) */

/* ATTRIBUTE_TYPE(symbol, name): the rest of a type stands in model/value.c (conversion) and pg/array.c (binary form). */
#define ATTRIBUTE_TYPES(X)                                                                                             \
	X(STRING, "string")                                                                                            \
	X(INTEGER, "integer")                                                                                          \
	X(LONG, "long")                                                                                                \
	X(DOUBLE, "double")                                                                                            \
	X(DATE, "date")                                                                                                \
	X(DATETIME, "datetime")                                                                                        \
	X(CURRENCY, "currency")                                                                                        \
	X(BOOLEAN, "boolean")

enum attribute_type {
#define X(symbol, name) TYPE_##symbol,
	ATTRIBUTE_TYPES(X)
#undef X
	ATTRIBUTE_TYPE_COUNT
};

enum extension_type { EXTENSION_MULTI_VALUED, EXTENSION_SINGLE_VALUED, EXTENSION_CLASSIFIER, EXTENSION_TYPE_COUNT };

struct attribute {
	char name[NAME_MAX_CHARS + 1];	 /* as given */
	char column[NAME_MAX_CHARS + 1]; /* in lower case: the column's name */
	enum attribute_type type;
	int32_t length;	       /* code points; 0: no limit. TYPE_STRING only */
	bool mandatory;	       /* null is refused; true for every unique attribute */
	bool unique;	       /* part of the key */
	char *default_value;   /* as text, or NULL; owned by the extension */
};

struct extension {
	int32_t id; /* of the catalogue row; 0 while not stored */
	char name[NAME_MAX_CHARS + 1];
	char table[NAME_MAX_CHARS + 5]; /* "ext_" and the name in lower case */
	enum extension_type type;
	uint16_t attribute_count;
	uint16_t unique_count;
	struct attribute *attributes; /* owned */
	uint16_t *unique;	      /* indexes into attributes, in the order of the schema's `unique`; owned */
	uint16_t *by_name;	      /* indexes into attributes, sorted by column; NULL: look-ups scan; owned */
};

struct catalogue {
	int64_t version;
	unsigned refs; /* use catalogue_hold() and catalogue_drop() */
	uint32_t extension_count;
	struct extension *extensions; /* sorted by name without case; owned */
};

struct catalogue *catalogue_new(int64_t version, uint32_t extension_count); /* one reference; extensions cleared */
struct catalogue *catalogue_hold(struct catalogue *catalogue);		     /* atomic; returns its argument */
void catalogue_drop(struct catalogue *catalogue);			     /* atomic; NULL is fine */
void catalogue_sort(struct catalogue *catalogue);			     /* after filling, before the first look-up */
void extension_index(struct extension *extension); /* fills by_name; catalogue_sort() and schema_file_parse() call it */

const struct extension *catalogue_find(const struct catalogue *catalogue, struct slice name);
/* Index of the attribute, or -1. */
int extension_find(const struct extension *extension, struct slice name);

void extension_release(struct extension *extension); /* frees what it owns, not itself */

/* A letter, then letters, digits or underscores (ASCII), 26 characters at most. */
bool name_valid(struct slice name);
void name_lower(struct slice name, char lower[NAME_MAX_CHARS + 1]); /* name has to be valid */

const char *attribute_type_name(enum attribute_type type);
bool attribute_type_parse(struct slice text, enum attribute_type *type); /* in any case */
const char *extension_type_name(enum extension_type type);
bool extension_type_parse(struct slice text, enum extension_type *type); /* in any case */

#endif
