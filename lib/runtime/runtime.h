/* Where threads and I/O meet: the loop thread that owns an orchestrator and its in-process engine, the task pool for what
 * may block, a small pool for reads of the store, timers, and the way back to the host. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include <orch/engine.h>
#include <orch/error.h>
#include <orch/transport.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mpsc.h"
#include "engine/engine.h"
#include "orchestrator/orchestrator.h"
#include "runtime/role.h"
#include "store/store.h"

typedef struct runtime runtime;
typedef struct local_engine
    local_engine; /* one in this process; lives as long as its runtime's shell */

typedef struct local_engine_options { /* texts are borrowed for the call */
    engine_options engine;            /* without its instance */
    const char *secrets_dir;          /* NULL = none */
    uint32_t max_output_bytes;
    uint32_t max_processes; /* of exec */
    const char *
        executors; /* of lua, http and exec, those that are allowed, with a space between; NULL = all */
    bool exec_enabled; /* exec only then */
} local_engine_options;

typedef struct remote_engine { /* texts are borrowed for the call */
    const char *name, *endpoint;
    uint32_t capacity;
} remote_engine;

typedef struct runtime_options { /* texts are borrowed for the call of runtime_new */
    const char *
        store_url; /* NULL: no orchestrator, and so no store: engines alone, for orchestrators of other processes */
    const char *synchronous; /* NULL = as the URL says */
    uint32_t task_threads;
    uint32_t max_commands;
    orchestrator_options orchestrator;
    const local_engine_options *engine; /* the first one; NULL = there is none yet */
    const char *owner;                  /* who has the store, for others who want it */
    int64_t virtual_ms;                 /* virtual time begins then; 0 = the clock's time */
    const char *tls_cert, *tls_key,
        *tls_ca; /* for connections of other processes; NULL = not set, all: no TLS */
    bool grpc_reflection;
    logger *log; /* outlives the runtime */
} runtime_options;

/* Open the store, make the cores, start the loop. Blocks while the store opens. */
int32_t runtime_new(const runtime_options *o, runtime **out, orch_error **err);
/* Nothing is accepted any more, waiters get CANCELLED, running steps are told to stop and have timeout_ms for it. Then the store is
 * closed for writing and, unless something still runs (DEADLINE_EXCEEDED, which names it), all threads end. May be called
 * again. Not on threads of the runtime. */
int32_t runtime_stop(runtime *rt, int32_t timeout_ms, orch_error **err);
/* The end: stops if need be, waits for callbacks that run, ends the threads, makes the callbacks that were not made, closes the
 * store. What is left is a shell that refuses commands, for those who still hold it. */
void runtime_close(runtime *rt);
void runtime_free(
    runtime *rt); /* closed before; or in a forked child, which leaves the rest alone */

bool runtime_is_stopped(runtime *rt); /* any thread: runtime_stop has begun */

/* ---- commands: what API threads want done on the loop ---------------------------------------------------- */

typedef struct command {
    mpsc_node node;
    void (*run)(struct command *c,
                runtime *rt); /* on the loop thread; the command is the callee's */
} command;

/* Any thread. RESOURCE_EXHAUSTED beyond max_commands, FAILED_PRECONDITION once the loop has ended; it was not taken then. */
int32_t runtime_post(runtime *rt, command *c, orch_error **err);
/* Without a bound, for what is bounded otherwise. False once the loop has ended. */
bool runtime_post_always(runtime *rt, command *c);

/* A command that a thread waits for. */
typedef struct asked {
    command base; /* first */
    int32_t code;
    orch_error *error;
    sem_t done;
} asked;
/* Have it run on the loop, where `run`, or what it begins, fills code and error, and posts done. Threads of the host. As runtime_post. */
int32_t runtime_ask(runtime *rt, asked *c, void (*run)(command *c, runtime *rt), orch_error **err);

/* For commands, on the loop thread. */
events *runtime_events(runtime *rt);
orchestrator *runtime_orchestrator(runtime *rt);
bool runtime_is_stopping(const runtime *rt);
int64_t runtime_now_ms(const runtime *rt); /* UTC, as of this turn */

/* ---- engines in this process ----------------------------------------------------------------------------- */

local_engine *runtime_first_engine(const runtime *rt); /* of the options */
/* Make a further one: it has executors, but gets no executions before it is admitted. Threads of the host. ALREADY_EXISTS: the
 * name. FAILED_PRECONDITION: stopping. */
int32_t runtime_new_engine(runtime *rt, const local_engine_options *o, local_engine **out,
                           orch_error **err);
int32_t runtime_admit_engine(local_engine *e, orch_error **err);
/* Let orchestrators of other processes reach it at an endpoint. `port` (may be NULL) is told which it became. Threads of the host.
 * ALREADY_EXISTS, UNAVAILABLE, INVALID_ARGUMENT: endpoint or TLS files. */
int32_t runtime_listen(local_engine *e, const char *endpoint, uint16_t *port, orch_error **err);
/* Have endpoints with this name go over a transport of the host; both were checked (transport_plugin_check). Threads of the host. user_data is
 * taken over, also on failure. ALREADY_EXISTS. */
int32_t runtime_add_transport(runtime *rt, const char *name, const orch_transport_ops *ops,
                              void *user_data, orch_free_fn free_fn, orch_error **err);
/* Know an engine of another process. Threads of the host. ALREADY_EXISTS: the name. */
int32_t runtime_add_remote(runtime *rt, const remote_engine *r, orch_error **err);
/* Let engines end what they have begun, and hand back the rest: nothing new is taken. True once all is handed back; else after timeout_ms.
 * Threads of the host. */
bool runtime_drain(runtime *rt, int32_t timeout_ms);
/* Takes the executor over, also on failure. ALREADY_EXISTS. Threads of the host. */
int32_t runtime_add_executor(local_engine *e, const char *name, executor x, orch_error **err);
/* The same in the place of one that may be there already. FAILED_PRECONDITION while something runs. */
int32_t runtime_put_executor(local_engine *e, const char *name, executor x, orch_error **err);
const executor_env *runtime_executor_env(const local_engine *e);
/* Take a task of the pulled executor `name`, registering it if need be. */
int32_t runtime_next_task(local_engine *e, const char *name, int32_t timeout_ms, orch_task **out,
                          orch_error **err);
/* Replaces what was set; takes user_data over. fn NULL = none. */
int32_t runtime_set_secrets(local_engine *e, orch_secret_fn fn, void *user_data,
                            orch_free_fn free_fn, orch_error **err);
/* Whether one of these engines gave the task. Any thread. */
bool runtime_has_task(const runtime *rt, const orch_task *task);
/* Loop thread: whichever engine has the execution. */
bool runtime_get_progress(const runtime *rt, uint64_t execution_key, engine_progress *out);
bool runtime_is_running(const runtime *rt, uint64_t execution_key, uint32_t step, uint32_t index);

/* ---- services for other processes ------------------------------------------------------------------------ */

struct grpc_server;
struct grpc_channel;
/* Serve at an endpoint of gRPC; `add` fills the server on the loop, before it listens. It goes with the runtime. Threads of the host. As
 * runtime_listen. */
int32_t runtime_serve(runtime *rt, const char *endpoint,
                      int32_t (*add)(void *ctx, struct grpc_server *s, orch_error **err), void *ctx,
                      uint16_t *port, orch_error **err);
/* Loop thread: a way to such a service. It is freed before the runtime closes. INVALID_ARGUMENT: endpoint or TLS files. */
int32_t runtime_dial(runtime *rt, const char *to, struct grpc_channel **out, orch_error **err);
/* Loop thread: work of such a service that may block, as callers of the public functions do, on threads that may. RESOURCE_EXHAUSTED:
 * too much waits; it was not taken. */
int32_t runtime_call(runtime *rt, work *w);

/* ---- for threads of the host ----------------------------------------------------------------------------- */

store *runtime_store(runtime *rt); /* for reads, and backup before the stop */

/* Whether this thread may wait for an execution: INVALID roles get FAILED_PRECONDITION, and so does the pool's last free thread, since
 * what it would wait for may need one. Each success is undone by runtime_end_wait. */
int32_t runtime_begin_wait(runtime *rt, orch_error **err);
void runtime_end_wait(runtime *rt);

/* ---- virtual time, for tests of workflows ------------------------------------------------------------------ */

/* Around the wait of a thread for what is to come: it lets virtual time jump when all is quiet. Where the loop gives it what it waits for,
 * the loop ends its watch too: time would go on while that thread comes round. */
void runtime_watch(runtime *rt);
void runtime_unwatch(runtime *rt);
/* Let so much of it pass, and everything be done that is due. Threads of the host; blocks. CANCELLED if it stops first. */
int32_t runtime_advance(runtime *rt, int64_t by_ms, orch_error **err);
int64_t runtime_virtual_now(runtime *rt); /* any thread; -1: time is not virtual */

/* ---- callbacks to the host ------------------------------------------------------------------------------- */

typedef struct callback {
    struct callback *next;
    void (*make)(
        struct callback *c); /* once, on a pool thread, in runtime_dispatch or in runtime_close */
} callback;

/* Any thread; never calls back inside. FAILED_PRECONDITION if there is nobody left who would make it: it was not taken. */
int32_t runtime_call_back(runtime *rt, callback *c, orch_error **err);
int32_t runtime_fd(runtime *rt); /* from now on callbacks wait for runtime_dispatch */
int32_t runtime_dispatch(
    runtime *rt); /* how many were made, or FAILED_PRECONDITION while another call is at it */

#endif
