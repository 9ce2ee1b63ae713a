#include "bench/graph.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

#define PARENTS 3

static void *allocate(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p)
        bench_fail("a graph", NULL);
    return p;
}

static graph graph_new(const char *shape, uint32_t nodes, size_t dependencies)
{
    graph g = {.nodes = nodes};

    snprintf(g.name, sizeof g.name, "%s/%u", shape, nodes);
    g.first = allocate(nodes + 1, sizeof *g.first);
    g.dependencies = allocate(dependencies + 1, sizeof *g.dependencies);
    return g;
}

static void depend(graph *g, uint32_t node, uint32_t on)
{
    g->dependencies[g->first[node + 1]++] = on;
}

graph graph_chain(uint32_t nodes)
{
    graph g = graph_new("chain", nodes, nodes);

    for (uint32_t i = 0; i < nodes; i++) {
        g.first[i + 1] = g.first[i];
        if (i > 0)
            depend(&g, i, i - 1);
    }
    return g;
}

graph graph_fan(uint32_t nodes)
{
    graph g = graph_new("fan", nodes, 2 * (size_t)nodes);

    for (uint32_t i = 0; i < nodes; i++) {
        g.first[i + 1] = g.first[i];
        if (i > 0 && i < nodes - 1)
            depend(&g, i, 0);
    }
    for (uint32_t i = 1; i < nodes - 1; i++)
        depend(&g, nodes - 1, i);
    return g;
}

static uint32_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static bool depends_on(const graph *g, uint32_t node, uint32_t on)
{
    for (uint32_t i = g->first[node]; i < g->first[node + 1]; i++)
        if (g->dependencies[i] == on)
            return true;
    return false;
}

graph graph_layered(uint32_t layers, uint32_t width)
{
    uint32_t nodes = layers * width;
    graph g = graph_new("layered", nodes, (size_t)nodes * PARENTS);
    uint64_t state = 42;

    if (!width)
        bench_fail("a layer without nodes", NULL);
    for (uint32_t i = 0; i < nodes; i++) {
        g.first[i + 1] = g.first[i];
        while (i >= width && g.first[i + 1] - g.first[i] < PARENTS) {
            uint32_t parent = (i / width - 1) * width + random_next(&state) % width;

            if (!depends_on(&g, i, parent))
                depend(&g, i, parent);
        }
    }
    return g;
}

graph graph_wide(uint32_t nodes)
{
    return graph_new("wide", nodes, 0);
}

void graph_free(graph *g)
{
    free(g->first);
    free(g->dependencies);
}

/* A step that computes: a condition, an input from the step before, and code, no two of them alike. */
static void put_lua(FILE *f, const graph *g, uint32_t i)
{
    fprintf(f, "\"lua\",\"when\":\"input.total > %u\",\"with\":{\"code\":", i);
    fprintf(f, "\"return { risk = input.sum / %u }\",\"input\":{\"sum\":\"${", i + 1);
    if (g->first[i] < g->first[i + 1])
        fprintf(f, "steps.s%u.output.risk", g->dependencies[g->first[i]]);
    else
        fputs("input.total", f);
    fprintf(f, " + %u}\"}}", i);
}

static void put_work(FILE *f, const graph *g, uint32_t i)
{
    switch (g->work) {
    case GRAPH_NOOP: fputs("\"noop\"", f); return;
    case GRAPH_WHEN: fprintf(f, "\"noop\",\"when\":\"input.total > %u\"", i); return;
    case GRAPH_CODE:
        fputs("\"lua\",\"with\":{\"code\":", f);
        fprintf(f, "\"return { risk = input.total / %u }\"}", i + 1);
        return;
    case GRAPH_LUA: put_lua(f, g, i); return;
    }
}

char *graph_definition(const graph *g, const char *id, size_t *out_len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, out_len);

    if (!f)
        bench_fail("a definition", NULL);
    fprintf(f, "{\"id\":\"%s\",\"version\":\"1.0.0\",\"steps\":[", id);
    for (uint32_t i = 0; i < g->nodes; i++) {
        fprintf(f, "%s{\"id\":\"s%u\",\"executor\":", i ? "," : "", i);
        put_work(f, g, i);
        for (uint32_t d = g->first[i]; d < g->first[i + 1]; d++)
            fprintf(f, "%s\"s%u\"", d == g->first[i] ? ",\"depends_on\":[" : ",",
                    g->dependencies[d]);
        fputs(g->first[i] < g->first[i + 1] ? "]}" : "}", f);
    }
    fputs("]}", f);
    if (fclose(f))
        bench_fail("a definition", NULL);
    return text;
}
