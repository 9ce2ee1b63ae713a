/* Graphs, the same for all who are measured on them. Their steps do nothing unless told otherwise. */
#ifndef BENCH_GRAPH_H
#define BENCH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum graph_work {
    GRAPH_NOOP,
    GRAPH_WHEN, /* nothing, under a condition of its own */
    GRAPH_CODE, /* Lua code of its own */
    GRAPH_LUA   /* a condition, an expression and code */
};

typedef struct graph {
    char name[32]; /* "chain/100000" */
    enum graph_work work;
    uint32_t nodes;
    uint32_t *first;        /* dependencies of node i: those from first[i] to first[i + 1] */
    uint32_t *dependencies; /* each has a lower number than the node that depends on it */
} graph;

graph graph_chain(uint32_t nodes);
graph graph_fan(uint32_t nodes);                      /* one, all others, one */
graph graph_layered(uint32_t layers, uint32_t width); /* three random parents in the layer before */
graph graph_wide(uint32_t nodes);                     /* no dependencies at all */
void graph_free(graph *g);

/* A definition in JSON with a step for each node; malloc'ed. */
char *graph_definition(const graph *g, const char *id, size_t *out_len);

#ifdef __cplusplus
}
#endif
#endif
