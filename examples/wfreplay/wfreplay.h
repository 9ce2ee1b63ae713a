/* wfreplay: runs recorded workflows (WfFormat) again, each task lasting as long as it did, scaled. */
#ifndef WFREPLAY_H
#define WFREPLAY_H

#include <orch/orch.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- A recorded workflow: instance.c ------------------------------------------------------------------- */

typedef struct task {
    char id[129]; /* of the step: the recorded one, or a made one where that is none of liborch's */
    uint32_t *parents;
    uint32_t parent_count;
    uint32_t children; /* how many */
    double seconds;    /* as recorded */
} task;

typedef struct instance {
    char name[129]; /* of the workflow: the file's, without its folder and ending */
    task *tasks;
    uint32_t count, edges;
    double critical_seconds; /* the longest way through the graph */
} instance;

/* Complains on stderr about what it cannot read. */
bool instance_read(const char *path, instance *out);
void instance_free(instance *in);
/* As a definition, JSON, to be freed; NULL if there is no memory. */
char *instance_definition(const instance *in);

/* ---- The executor "task": timers.c --------------------------------------------------------------------- */

/* What one task did, by the replay's own clock. */
typedef struct trace {
    int64_t start_ns, end_ns;
    uint32_t runs; /* times it was run to its end */
} trace;

/* Completes each attempt when its time has passed: one thread for all, so that as many run at a time as the graph lets. */
typedef struct timers timers;

timers *timers_new(double scale);
/* Follow one execution: its tasks' traces, by their numbers. NULL = none. */
void timers_follow(timers *t, const char *execution, trace *traces, uint32_t count);
void timers_executor(void *user_data, orch_task *task); /* user_data: the timers */
void timers_stop(timers *t);                            /* what still waits fails */
void timers_free(timers *t);                            /* once no attempt can come any more */
int64_t clock_ns(void);

/* ---- What must hold afterwards: check.c ---------------------------------------------------------------- */

/* From the stored history and the traces: every task ran once to success, and none began before the checkpoints of its
 * parents. Complains on stderr. */
bool check_execution(orch_v2 *orch, const char *id, const instance *in, const trace *traces);

bool complain(const char *what, const char *why);

#endif
