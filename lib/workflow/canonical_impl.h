/* The canonical form, with limits: how a document from outside is measured before anything else
 * walks it. */
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
int32_t canonical_write(buf *b, json_t *tree, const canonical_limits *limits, orch_error **err);

/* Where a walk over a document is, linked up to the root: only a message ever asks. */
typedef struct level {
    const struct level *up;
    const char *key; /* NULL: a list's element */
    size_t index;
    uint32_t depth;
} level;

void pointer_add_key(buf *b, const char *key); /* a JSON pointer's "/token" */
void pointer_add_level(buf *b, const level *at);

#endif
