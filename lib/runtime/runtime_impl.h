/* The inside of the runtime. */
#ifndef RUNTIME_RUNTIME_IMPL_H
#define RUNTIME_RUNTIME_IMPL_H

#include <semaphore.h>
#include <uv.h>

#include "base/map.h"
#include "runtime/callbacks_impl.h"
#include "runtime/pool_impl.h"
#include "runtime/random_impl.h"
#include "runtime/runtime.h"
#include "runtime/secrets_impl.h"
#include "runtime/wake_impl.h"

#define GATE_CLOSED 0x80000000U
#define MAX_PLUGINS 8

enum phase {
    PHASE_RUNNING,
    PHASE_STOPPING, /* somebody is in runtime_stop, or it ran out of time */
    PHASE_STOPPED,  /* all threads have ended */
};

/* A pulled executor, as seen from host threads. Stays until the runtime is closed. */
typedef struct pulled {
    UT_hash_handle hh;
    executor executor;
    char name[];
} pulled;

struct local_engine {
    local_engine *next; /* the runtime's list, which is the loop thread's until it stops */
    runtime *rt;
    char *name, *endpoint;
    engine *engine;   /* the loop thread's, as are the next two; NULL once it has ended */
    int64_t timer_ms; /* what it asked for */
    bool admitted;
    uint32_t capacity;
    uint64_t instance;
    int64_t started_ms;
    executor_env env;
    secrets secrets;
    pthread_mutex_t pulled_lock; /* guards the next two */
    pulled *pulled;
    bool pulled_closed;
};

struct runtime {
    /* Any thread. */
    wake wake;
    mpsc commands;
    atomic_uint gate; /* commands that were posted and have not run; GATE_CLOSED: none is taken */
    uint32_t max_commands;
    pool tasks, io;
    pool calls; /* of other processes, which want what may block */
    callbacks callbacks;
    logger *log;
    atomic_uint waiting;  /* threads of the pool that wait for executions */
    atomic_uint capacity; /* of all admitted engines */
    /* Of virtual time: threads that wait for what is to come. Below 0 for a moment, where the loop is quicker with the end of a watch than a
     * thread with its begin. */
    atomic_int watchers;
    atomic_llong virtual_ms;

    /* The loop thread's, once it runs. */
    pthread_t thread;
    uv_loop_t loop;
    uv_poll_t waker;
    uv_timer_t timer;
    mpsc_node *taken; /* commands that were drained and have not run, oldest first */
    int64_t now_ms;
    int64_t orchestrator_ms; /* what it asked for */
    int64_t timer_ms;        /* what the timer is set for; INT64_MAX = not at all */
    uint64_t flushed;        /* units */
    uint32_t turns;          /* since the loop was last looked at */
    random_state random;
    store store;         /* without one, as without an orchestrator, its ops are NULL */
    transport transport; /* within the process */
    events events;
    struct wires *wires;            /* to other processes; NULL: none were wanted yet */
    transport plugins[MAX_PLUGINS]; /* the host's */
    unsigned plugin_count;
    local_engine *engines;      /* oldest first */
    orchestrator *orchestrator; /* NULL: engines alone */
    bool is_virtual;            /* the time: virtual.c */
    struct advance *advances;   /* threads that let it pass */
    bool draining;              /* engines were told to take nothing more */
    bool stopping;              /* the cores were told */
    bool ending;                /* leave the loop */

    /* Stopping: runtime.c. */
    pthread_mutex_t lock; /* guards the next three */
    pthread_cond_t changed;
    bool quiet;   /* as the loop saw it */
    bool drained; /* likewise: no execution is on its engines, which take none */
    bool busy;    /* a thread is in runtime_stop */
    atomic_int phase;
    bool store_stopped;
    bool has_thread;
};

/* cores.c: store, transport, orchestrator, the first engine. On failure cores_free ends what was made. */
int32_t cores_new(runtime *rt, const runtime_options *o, orch_error **err);
int64_t runtime_steady_ms(const runtime *rt);
void cores_stop(runtime *rt); /* loop thread */
/* Loop thread: engines, orchestrator and transport; not the store, which is still read. */
void cores_free(runtime *rt);

/* loop.c */
int32_t loop_init(runtime *rt, orch_error **err);
int32_t loop_start(runtime *rt, orch_error **err);
void loop_destroy(runtime *rt); /* of a loop that was never started */

int32_t runtime_check_going(const runtime *rt, orch_error **err); /* loop thread */

/* locals.c: on the loop thread, or before there is one; the last two after it */
int32_t locals_new(runtime *rt, const local_engine_options *o, local_engine **out,
                   orch_error **err);
int32_t locals_admit(local_engine *e, orch_error **err);
bool locals_pump(runtime *rt, uint32_t budget); /* true if there is more to do now */
bool locals_are_idle(const runtime *rt);
bool locals_are_empty(const runtime *rt); /* no execution is on them */
int64_t locals_deadline(const runtime *rt);
/* "execution/step" of one that runs; "" if none does. */
const char *locals_first_running(const runtime *rt, char *buffer, size_t size);
void locals_drain(runtime *rt);
void locals_stop(runtime *rt);
void locals_end(runtime *rt);   /* their cores go */
void locals_close(runtime *rt); /* what the host gave goes */
void locals_free(runtime *rt);  /* the shells */

/* wires.c: likewise */
int32_t wires_init(runtime *rt, const runtime_options *o, orch_error **err);
void wires_drain(runtime *rt); /* who asks for its health is told to go elsewhere */
bool wires_pump(runtime *rt, uint32_t budget);
/* The end of a turn: send what is to be sent. True if that has brought something to pump. */
bool wires_settle(runtime *rt);
void wires_free(runtime *rt); /* what it has on the loop goes with the loop's last turns */

/* plugins.c: likewise */
const transport *plugins_find(const runtime *rt, const char *endpoint); /* NULL: none has it */
bool plugins_pump(runtime *rt, uint32_t budget);
void plugins_free(runtime *rt);

/* virtual.c: on the loop thread */
void virtual_init(runtime *rt, int64_t start_ms); /* or before there is one */
bool virtual_skip(runtime *rt); /* there is nothing to do now: true if time went on */
void virtual_cancel(runtime *rt);

/* pulled.c */
bool pulled_has(const local_engine *e, const char *name); /* under its lock */
void pulled_close_all(local_engine *e);
void pulled_free_all(local_engine *e);

#endif
