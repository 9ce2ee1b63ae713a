/* The exec executor's inside: what is to be run, how it is spawned, what it left behind. */
#ifndef EXECUTOR_EXEC_IMPL_H
#define EXECUTOR_EXEC_IMPL_H

#include <sys/types.h>

#include "base/list.h"
#include "executor/executor_impl.h"

/* ---- What is to be run: exec_spec.c */

typedef struct exec_spec {
    char **argv; /* one block, as is envp */
    char **envp;
    const char *cwd;        /* NULL = the host's */
    const json_t *input;    /* NULL = none */
    const json_t *ok_codes; /* NULL = 0 alone */
    enum capture_as output;
    uint32_t max_output_bytes;
    json_t *with; /* a reference: what the others point into */
} exec_spec;

/* From a->with and the host's environment (as of the executor's making). Errors: INVALID_ARGUMENT. */
int32_t exec_spec_read(const attempt *a, char *const *environment, uint32_t max_output_bytes,
                       exec_spec *out, orch_error **err);
void exec_spec_clear(exec_spec *s);
char **exec_environment_copy(void); /* NULL if there is no memory */

/* ---- Spawning: exec_spawn.c. May block on the disk. */

typedef struct exec_process {
    pid_t pid;    /* also its session and process group; 0: reaped */
    int pidfd;    /* -1: nothing was spawned */
    int out, err; /* the reading ends, non-blocking; -1 = closed */
} exec_process;

int32_t exec_spawn(const exec_spec *s, exec_process *out, orch_error **err);
/* Kill the group of a process that nobody watches, and wait for its end, which is not long. Closes what is open. */
void exec_discard(exec_process *p);

/* ---- What it left behind: exec_result.c */

#define EXEC_STDERR_TAIL 8192
#define EXEC_END_UNKNOWN \
    "ended, but how is unknown: the host ignores SIGCHLD or waits for all children"

typedef struct exec_end {
    bool known;  /* false: the host took the status away */
    bool killed; /* by signal `status` */
    int status;
} exec_end;

attempt_result exec_make_result(const exec_spec *s, exec_end end, const buf *out, const buf *err);

/* ---- A process under watch: exec_watch.c. Loop thread. */

typedef struct exec_watch exec_watch;

struct exec_watch {
    exec_process process;
    uv_poll_t ended, out, err;
    uv_timer_t grace;
    int open_handles;
    uint32_t max_output_bytes, stop_grace_ms;
    bool over_limit; /* it wrote more, and was killed */
    exec_end end;
    buf stdout_data, stderr_tail;
    /* The process has ended, its group is killed, and the output is all here. */
    void (*on_end)(exec_watch *w);
    /* No handle is open any more: it may be freed. */
    void (*on_closed)(exec_watch *w);
};

/* Takes the process over, and kills it if it cannot be watched; then only on_closed comes. */
int32_t exec_watch_start(exec_watch *w, uv_loop_t *loop, exec_process p, orch_error **err);
void exec_watch_terminate(exec_watch *w); /* SIGTERM, and SIGKILL after a grace time */
void exec_watch_kill(exec_watch *w);
void exec_watch_free_data(exec_watch *w);

#endif
