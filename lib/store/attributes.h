/* Attributes of executions, taken apart for lists. Private to the store's adapters. */
#ifndef STORE_ATTRIBUTES_H
#define STORE_ATTRIBUTES_H

#include <orch/error.h>
#include <stdint.h>

#include "base/bytes.h"

typedef struct attribute {
    char *name;
    bytes *value; /* canonical JSON: equal values are equal texts */
} attribute;

typedef struct attribute_list {
    attribute *rows;
    uint32_t count;
} attribute_list;

/* From a JSON object of texts, numbers and booleans; NULL = {}. INVALID_ARGUMENT names the attribute. */
int32_t attributes_read(const bytes *json, attribute_list *out, orch_error **err);
void attributes_clear(attribute_list *l);
/* The value of attribute `name` from its JSON. */
int32_t attribute_value(const char *json, const char *name, bytes **out, orch_error **err);

#endif
