/* orchctl: an orchestrator's management service on the command line. */
#ifndef ORCHCTL_H
#define ORCHCTL_H

#include <jansson.h>

#include "../common/program.h"

/* Exit codes beside EXIT_SUCCESS and EXIT_USAGE. */
#define EXIT_NOT_SUCCEEDED 1 /* an execution ended otherwise; and any other failure */
#define EXIT_NOT_FOUND     3
#define EXIT_REFUSED       4 /* what was asked for is wrong, or its time is not now */
#define EXIT_UNREACHABLE   5 /* no answer */

typedef struct ctl {
    program program;
    orch_client *client;
    const char *server;
    int json;           /* -o json: what the service answers, one object a line */
    int32_t timeout_ms; /* of a call; 0 = no limit */
    /* Of commands. */
    const char *version, *id, *input, *key, *state, *workflow, *format, *why, *policy, *level;
    int32_t priority, limit;
    int all, force;
    /* What is left of the command line. */
    char **args;
    int count;
} ctl;

/* ---- call.c ---------------------------------------------------------------------------------------------- */

/* Takes the request over. A failure ends the process with its exit code, and says what was wrong. */
json_t *ctl_call(ctl *c, const char *method, json_t *request);
void ctl_fail(ctl *c, int32_t code, orch_error *err);
void ctl_end(ctl *c); /* what it has of the library goes */
/* Fields: "" and 0 where they are left out. */
const char *text_of(const json_t *o, const char *key);
int64_t number_of(const json_t *o, const char *key);
void put_json(const json_t *value); /* and a line end */
/* A file's, or standard input's for "-"; to be freed. Ends the process if it cannot be read. */
char *read_file(const ctl *c, const char *path);

/* ---- show.c ---------------------------------------------------------------------------------------------- */

int show_execution(ctl *c);
int show_history(ctl *c);
int show_steps(ctl *c);
int list_executions(ctl *c);
int list_workflows(ctl *c);
int list_engines(ctl *c);
/* Says how an execution ended; the exit code. */
int show_end(const ctl *c, const json_t *execution);

/* ---- watch.c, graph.c, graph_svg.c, completion.c ---------------------------------------------------------- */

int watch_execution(ctl *c);
int show_events(ctl *c);

/* A workflow's steps: each has a layer, behind those of all that it depends on. */
typedef struct graph {
    json_t *definition, *steps;
    size_t count, layers;
    size_t *layer, *place; /* of each step; its place within the layer */
    size_t widest;
} graph;

int show_graph(ctl *c);
size_t graph_step(const graph *g, const char *id); /* g->count: there is none */
void graph_svg(const graph *g);

int show_completion(ctl *c);

#endif
