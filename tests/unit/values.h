/* Values and slices, written short. */
#ifndef TEST_VALUES_H
#define TEST_VALUES_H

#include "byunique/command.h"

#define NUL	  ((struct value){.kind = VALUE_NULL})
#define BOOL(b)	  ((struct value){.kind = VALUE_BOOLEAN, .boolean = (b)})
#define INT(n)	  ((struct value){.kind = VALUE_INT, .integer = (n)})
#define LONG(n)	  ((struct value){.kind = VALUE_LONG, .integer = (n)})
#define FLOAT(r)  ((struct value){.kind = VALUE_FLOAT, .real = (r)})
#define DOUBLE(r) ((struct value){.kind = VALUE_DOUBLE, .real = (r)})
#define STRING(s) ((struct value){.kind = VALUE_STRING, .string = {"" s, sizeof(s) - 1}})

#endif
