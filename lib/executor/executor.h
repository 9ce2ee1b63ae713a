/* The executor port: what a step does. Adapters: lua, exec, http, noop, host (callbacks, pushed or pulled).
 *
 * All slots are called on the loop thread and must not block. An attempt is completed exactly once, by
 * attempt_complete, from any thread, now or later — also after it was told to stop. */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include <jansson.h>
#include <orch/engine.h>
#include <orch/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mpsc.h"
#include "base/work.h"

typedef struct attempt attempt;

typedef struct attempt_result {
    int32_t code;   /* 0 or negative */
    bool no_retry;  /* of a failure */
    bytes *output;  /* JSON text; NULL = null */
    bytes *error;   /* JSON {"code","message","data"?}; NULL: made from the code */
    bytes *details; /* JSON: of its last heartbeat, if take_beat did not give them; NULL = none */
} attempt_result;

/* One attempt of one step. The engine makes it and owns it; the executor has it from start() until it completes it. */
struct attempt {
    mpsc_node node;        /* the engine's */
    const char *execution; /* id */
    const char *workflow;
    const char *step; /* "" for on_failure */
    /* "execution/run/step[/index]", the same and "/compensate", or "execution/run/on_failure" */
    const char *idempotency_key;
    uint32_t run;
    uint32_t index;       /* INDEX_NONE outside a for_each */
    uint32_t number;      /* 1, 2, … */
    uint8_t role;         /* enum run_role: the step, its compensation, on_failure */
    int64_t deadline_ms;  /* UTC; 0 = none */
    int64_t heartbeat_ms; /* it has failed if it beats no more for so long; 0 = need not beat */
    bytes *details; /* JSON of the last heartbeat of attempts before it; borrowed; NULL = none */
    json_t *with;   /* the evaluated input; never changed, may be read by any thread; NULL = none */
    json_t *input;  /* of the execution, for executors that show it (lua); borrowed likewise */
    const struct scope
        *scope; /* lua: what the code can see; may be read on a pool thread until completion */
    const struct sandbox_names *names; /* goes with scope */
    atomic_int stop;       /* 0, or the code why it was told to stop: read by executors that poll */
    void *state;           /* the executor's */
    attempt_result result; /* filled by the completion */
    void (*complete)(attempt *a); /* the engine's: takes the attempt back, from any thread */
    mpsc_node beat_node;          /* the engine's */
    /* The engine's: the attempt is alive. Any thread, before completion; not again until take_beat was called. */
    void (*beat)(attempt *a);
};

/* Finish an attempt; the result's bytes pass over. Any thread. `a` is gone afterwards. */
static inline void attempt_complete(attempt *a, attempt_result r)
{
    a->result = r;
    a->complete(a);
}
/* With an error made of a code and a message (formatted). */
void attempt_fail(attempt *a, int32_t code, bool no_retry, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* {"code":"NAME","message":…,"data":…}; data may be NULL (borrowed). NULL if there is no memory. */
bytes *error_json(int32_t code, const char *message, const json_t *data);
bytes *error_json_of(const orch_error *error); /* the same of an error, with its data */
/* With data as JSON text. */
bytes *error_json_text(int32_t code, const char *message, const bytes *data);

typedef struct executor_ops {
    uint32_t size;
    const char *name;
    bool wants_scope; /* needs attempt.scope (lua) */
    bool immediate;   /* start() always finishes, and looks at nothing but `with` (noop) */
    /* Begin. Returns true if the attempt is finished already with `result` filled (attempt_complete must not be called
     * then), false if it goes on. */
    bool (*start)(void *self, attempt *a);
    /* a->stop was set: end it soon. May be NULL if the executor polls a->stop. The attempt is still to be completed. */
    void (*stop)(void *self, attempt *a);
    /* The engine has seen its beat: another one may come from here on. Returns the details that were said since the last
     * time (JSON, the caller's), NULL = none. NULL if attempts of this executor never beat. */
    bytes *(*take_beat)(void *self, attempt *a);
    /* The end: no start follows, all attempts were told to stop. When it returns, every attempt was completed and none is
     * looked at any more. What else is to be ended (processes, handles of the loop) ends on the loop afterwards. */
    void (*free)(void *self);
} executor_ops;

typedef struct executor {
    const executor_ops *ops;
    void *self;
} executor;

/* What executors may use. Outlives them. */
typedef struct executor_env {
    uv_loop_t *loop;
    work_pool pool;
    logger *log;
    /* Limits. */
    uint64_t lua_instructions, lua_memory_bytes; /* 0 = the sandbox's defaults */
    uint32_t max_output_bytes; /* of exec's stdout, http's body and a task's output; 0 = 4 MiB */
    uint32_t max_processes;    /* of exec at a time; 0 = 64. More attempts wait */
    uint32_t stop_grace_ms;    /* of exec, between SIGTERM and SIGKILL; 0 = 5,000 */
} executor_env;

int32_t executor_noop_new(executor *out, orch_error **err); /* output = `with` */
int32_t executor_lua_new(const executor_env *env, executor *out, orch_error **err);
int32_t executor_exec_new(const executor_env *env, executor *out, orch_error **err);
int32_t executor_http_new(const executor_env *env, executor *out, orch_error **err);
/* Whether http steps can run: loads libcurl. Any thread; may block on the disk. UNIMPLEMENTED. */
int32_t executor_http_check(orch_error **err);
/* A host callback, on the pool. Takes user_data over, also on failure. */
int32_t executor_host_new(const executor_env *env, const char *name, orch_task_fn fn,
                          void *user_data, orch_free_fn free_fn, executor *out, orch_error **err);
/* Pulled with orch_engine_next_task: a bounded queue of tasks that waiting threads take. `max_queued` 0 = 1024; beyond it attempts fail
 * with RESOURCE_EXHAUSTED, retryable. */
int32_t executor_pull_new(const executor_env *env, const char *name, uint32_t max_queued,
                          executor *out, orch_error **err);
/* Take a task for `timeout_ms` (-1 = for ever, 0 = only if there is one). Any thread but the loop's. DEADLINE_EXCEEDED; CANCELLED once closed. */
int32_t executor_pull_next(executor *e, int32_t timeout_ms, orch_task **out, orch_error **err);
void executor_pull_close(executor *e); /* waiters get CANCELLED */
/* What an orchestrator must know of a task to start children of it. Keep it before it goes to another thread: the host may complete
 * it meanwhile. */
void task_ref(orch_task *t);
void task_unref(orch_task *t);
/* Whether it came from this process, and from an engine on that loop. Any thread. */
bool task_is_of(const orch_task *t, const uv_loop_t *loop);
attempt *task_attempt(
    const orch_task *t); /* on that loop; NULL: completed, or taken back by the engine */
/* Keep what executor_pull_next works on while a thread is on its way into it: `ops->free` does not wait for such. Any thread. */
void executor_pull_ref(executor *e);
void executor_pull_unref(executor *e);

#endif
