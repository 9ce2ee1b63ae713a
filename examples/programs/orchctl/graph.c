/* A workflow as a picture: Mermaid, Graphviz, SVG. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchctl.h"

size_t graph_step(const graph *g, const char *id)
{
    json_t *step;
    size_t i;

    json_array_foreach(g->steps, i, step)
    {
        if (!strcmp(text_of(step, "id"), id))
            break;
    }
    return i;
}

/* A definition is a DAG, so that this comes to rest. */
static void set_layers(graph *g)
{
    int moved;

    do {
        moved = 0;
        for (size_t i = 0; i < g->count; i++) {
            json_t *dependency;
            size_t k;

            json_array_foreach(json_object_get(json_array_get(g->steps, i), "depends_on"), k,
                               dependency)
            {
                size_t j = graph_step(g, json_string_value(dependency));

                if (j < g->count && g->layer[i] <= g->layer[j]) {
                    g->layer[i] = g->layer[j] + 1;
                    moved = 1;
                }
            }
        }
    } while (moved);
    for (size_t i = 0; i < g->count; i++) {
        for (size_t j = 0; j < i; j++)
            g->place[i] += g->layer[j] == g->layer[i];
        if (g->layer[i] >= g->layers)
            g->layers = g->layer[i] + 1;
        if (g->place[i] >= g->widest)
            g->widest = g->place[i] + 1;
    }
}

static void put_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    putchar('"');
}

static void for_each_edge(const graph *g, void (*put)(size_t from, size_t to))
{
    for (size_t i = 0; i < g->count; i++) {
        json_t *dependency;
        size_t k;

        json_array_foreach(json_object_get(json_array_get(g->steps, i), "depends_on"), k,
                           dependency)
        {
            put(graph_step(g, json_string_value(dependency)), i);
        }
    }
}

static void put_mermaid_edge(size_t from, size_t to)
{
    printf("  s%zu --> s%zu\n", from, to);
}

static void mermaid(const graph *g)
{
    printf("flowchart LR\n");
    for (size_t i = 0; i < g->count; i++)
        printf("  s%zu[\"%s<br/><small>%s</small>\"]\n", i,
               text_of(json_array_get(g->steps, i), "id"),
               text_of(json_array_get(g->steps, i), "executor"));
    for_each_edge(g, put_mermaid_edge);
}

static void put_dot_edge(size_t from, size_t to)
{
    printf("  s%zu -> s%zu;\n", from, to);
}

static void dot(const graph *g)
{
    printf("digraph ");
    put_quoted(text_of(g->definition, "id"));
    printf(" {\n  rankdir=LR;\n  node [shape=box];\n");
    for (size_t i = 0; i < g->count; i++) {
        printf("  s%zu [label=", i);
        put_quoted(text_of(json_array_get(g->steps, i), "id"));
        printf("];\n");
    }
    for_each_edge(g, put_dot_edge);
    printf("}\n");
}

int show_graph(ctl *c)
{
    json_t *w = ctl_call(
        c, "GetWorkflow",
        json_pack("{s:s,s:s}", "workflow_id", c->args[0], "version", c->version ? c->version : ""));
    graph g = {.definition = json_loads(text_of(w, "definition"), 0, NULL)};
    const char *format = c->format ? c->format : "mermaid";

    g.steps = json_object_get(g.definition, "steps");
    g.count = json_array_size(g.steps);
    g.layer = calloc(g.count + 1, sizeof *g.layer);
    g.place = calloc(g.count + 1, sizeof *g.place);
    if (!g.layer || !g.place)
        abort();
    set_layers(&g);
    if (!strcmp(format, "mermaid"))
        mermaid(&g);
    else if (!strcmp(format, "dot"))
        dot(&g);
    else if (!strcmp(format, "svg"))
        graph_svg(&g);
    else
        program_misuse(&c->program, "--format is mermaid, dot or svg");
    free(g.layer);
    free(g.place);
    json_decref(g.definition);
    json_decref(w);
    return EXIT_SUCCESS;
}
