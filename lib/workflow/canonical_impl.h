/* The canonical form, with limits: how a document from outside is measured before anything else walks it. */
#ifndef WORKFLOW_CANONICAL_IMPL_H
#define WORKFLOW_CANONICAL_IMPL_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct canonical_limits {
    size_t max_bytes;
    uint32_t max_nesting;
    bool check_utf8; /* of strings that did not come through a parser */
} canonical_limits;

/* Append the canonical form of `tree`. Errors as definition_parse gives them. */
int32_t canonical_write(buf *b, const json_t *tree, const canonical_limits *limits,
                        orch_error **err);
/* Append a JSON pointer's "/token". */
void canonical_pointer_key(buf *b, const char *key);

#endif
