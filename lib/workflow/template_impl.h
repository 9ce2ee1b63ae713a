/* A compiled template: a tree of only those places of the value that change. */
#ifndef WORKFLOW_TEMPLATE_IMPL_H
#define WORKFLOW_TEMPLATE_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workflow/sandbox_scan.h"
#include "workflow/template.h"

#define TEMPLATE_MAX_DEPTH 512
#define EXPRESSION_SHOWN   80 /* bytes of an expression in messages */

/* ---- template_path.c ----------------------------------------------------------------------------------- */

typedef struct segment {
    const char *name; /* inside the path's text; NULL: an index */
    size_t len;
    uint64_t index; /* from 1 */
} segment;

typedef struct path {
    segment *segments; /* of `steps`, without the step */
    uint32_t count;
    uint32_t step;
    uint8_t root; /* enum scan_root */
} path;

enum path_kind { PATH_NONE, PATH_PLAIN, PATH_NO_MEMORY };

/* Read a plain path; segments point into `text`. */
enum path_kind path_parse(const char *text, size_t len, path *out);
void path_free(path *p);
/* Borrowed value of the members after the root; NULL with what is wrong in `wrong`. */
json_t *path_walk(const path *p, json_t *value, char *wrong, size_t wrong_size);

/* ---- template.c ---------------------------------------------------------------------------------------- */

typedef struct expression {
    char *text;
    size_t len;
    bool plain;
    bool dynamic_steps; /* Lua that uses `steps` otherwise than by literal names */
    path path;          /* if plain */
} expression;

typedef struct part {
    char *text; /* NULL: the expression */
    size_t len;
    expression expression;
} part;

enum node_kind { NODE_LITERAL, NODE_VALUE, NODE_TEXT, NODE_OBJECT, NODE_LIST };

typedef struct node {
    uint8_t kind;
    uint32_t count; /* of parts or changes */
    size_t cap;
    json_t *value; /* literal: owned; object, list: the original, borrowed */
    part *parts;   /* of a value: one, without text */
    struct change *changes;
} node;

typedef struct change {
    size_t at; /* which member in the order of iteration, or which element */
    node node;
} change;

typedef struct known_step {
    uint32_t number;
    char *name;
} known_step;

struct template
{
    json_t *value;    /* owned */
    bool is_constant; /* then value is the result */
    bool uses_lua;
    bool uses_secrets;
    bool all_dependencies;
    node root;
    uint32_t *steps;   /* sorted, each once */
    known_step *known; /* in the same order */
    size_t step_count;
    size_t step_cap, known_cap;
};

/* Where in the value we are: a chain up to the root, on the C stack. */
typedef struct place {
    const struct place *up;
    const char *key; /* NULL: an element */
    size_t index;
} place;

/* Sets *err with the place as a JSON pointer in `about`; returns code. */
int32_t place_error(const place *at, int32_t code, const char *text, size_t len,
                    const char *message, orch_error **err);
void node_free(node *n);

/* ---- template_expression.c ------------------------------------------------------------------------------ */

/* Compile into *out; adds to the template's steps and flags. */
int32_t expression_compile(template *t, const template_names *names, const char *text, size_t len,
                           const place *at, expression *out, orch_error **err);
void expression_free(expression *e);

#endif
