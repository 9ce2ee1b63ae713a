/* Steps that run a program. Spawning and the making of large results are done on the pool; the process is watched on
 * the loop. At most so many processes run at a time; further attempts wait for their turn. */
#include "base/error.h"
#include "base/mem.h"
#include "executor/exec_impl.h"

#define DEFAULT_MAX_PROCESSES 64
#define DEFAULT_STOP_GRACE_MS 5000
#define INLINE_OUTPUT_BYTES   65536 /* results up to here are made on the loop */

typedef struct exec {
    uv_loop_t *loop;
    work_pool pool;
    uint32_t max_output_bytes, max_processes, stop_grace_ms;
    uint32_t processes; /* that run, or are being spawned */
    char *
        *environment; /* of the host, when this was made: reading it later would race with setenv */
    list all, waiting;
    bool freed;
} exec;

enum op_state { OP_WAITING, OP_SPAWNING, OP_RUNNING, OP_ENDED };

/* One attempt. It outlives it: until the last handle is closed. */
typedef struct op {
    work work;
    exec_watch watch;
    list all, waiting;
    exec *exec;
    attempt *attempt; /* NULL: completed */
    enum op_state state;
    bool stopped; /* it was told to stop, so that its end is no result */
    bool closed;  /* no handle is open */
    exec_spec spec;
    exec_process process; /* from the pool */
    orch_error *error;    /* likewise */
    attempt_result result;
} op;

static void begin_waiting(exec *x);

/* ---- The end of an attempt ------------------------------------------------------------------------- */

static void destroy(exec *x)
{
    mem_free(x->environment);
    mem_free(x);
}

static void op_free(op *o)
{
    exec *x = o->exec;

    list_remove(&o->all);
    list_remove(&o->waiting);
    exec_watch_free_data(&o->watch);
    exec_spec_clear(&o->spec);
    orch_error_free(o->error);
    mem_free(o);
    if (x->freed && list_empty(&x->all))
        destroy(x);
}

static void op_complete(op *o, attempt_result r)
{
    attempt *a = o->attempt;

    o->attempt = NULL;
    if (!a) {
        result_clear(&r);
        return;
    }
    a->state = NULL; /* the engine may still say stop until it looks at the result */
    attempt_complete(a, r);
}

/* Its result is given, its process gone. */
static void op_finish(op *o, attempt_result r)
{
    op_complete(o, r);
    if (o->closed)
        op_free(o);
    else
        o->state = OP_ENDED;
}

static void give_up_place(exec *x)
{
    x->processes--;
    begin_waiting(x);
}

/* ---- The result ------------------------------------------------------------------------------------ */

static void make_result(work *w)
{
    op *o = LIST_ENTRY(w, op, work);

    o->result = exec_make_result(&o->spec, o->watch.end, &o->watch.stdout_data,
                                 &o->watch.stderr_tail);
}

static void result_made(work *w)
{
    op *o = LIST_ENTRY(w, op, work);

    if (w->refused)
        make_result(w);
    op_finish(o, o->result);
}

static attempt_result over_limit(const op *o)
{
    return result_error(ORCH_E_RESOURCE_EXHAUSTED, true, NULL,
                        "'%s' wrote more than max_output_bytes (%u) to stdout", o->spec.argv[0],
                        o->watch.max_output_bytes);
}

static void on_end(exec_watch *w)
{
    op *o = LIST_ENTRY(w, op, watch);
    exec *x = o->exec;

    give_up_place(x);
    o->work = (work){.run = make_result, .done = result_made};
    if (o->attempt && o->stopped) {
        op_finish(o, result_stopped(o->attempt, o->spec.argv[0]));
    } else if (w->over_limit) {
        op_finish(o, over_limit(o));
    } else if (!o->attempt || w->stdout_data.failed || w->stderr_tail.failed) {
        op_finish(o, result_no_memory());
    } else if (w->stdout_data.len <= INLINE_OUTPUT_BYTES ||
               x->pool.submit(x->pool.self, &o->work)) {
        make_result(&o->work);
        op_finish(o, o->result);
    }
}

static void on_closed(exec_watch *w)
{
    op *o = LIST_ENTRY(w, op, watch);

    o->closed = true;
    if (o->state == OP_ENDED)
        op_free(o);
}

/* ---- The start ------------------------------------------------------------------------------------- */

static void spawn(work *w)
{
    op *o = LIST_ENTRY(w, op, work);

    exec_spawn(&o->spec, &o->process, &o->error);
}

static void fail_to_start(op *o)
{
    orch_error *error = o->error;
    int32_t code = orch_error_code(error);

    o->error = NULL;
    op_finish(o, result_from_error(error, !orch_error_retryable(error) && code != ORCH_E_UNKNOWN &&
                                              code != ORCH_E_CANCELLED));
}

static bool watch(op *o)
{
    o->closed = false;
    if (exec_watch_start(&o->watch, o->exec->loop, o->process, &o->error))
        return false;
    o->state = OP_RUNNING;
    if (o->stopped)
        exec_watch_terminate(&o->watch);
    return true;
}

static void spawned(work *w)
{
    op *o = LIST_ENTRY(w, op, work);

    if (w->refused) {
        error_set(&o->error, ORCH_E_CANCELLED, "exec", "the engine stopped before '%s' was started",
                  o->spec.argv[0]);
    } else if (!o->error && o->exec->freed) { /* the loop may be gone */
        exec_discard(&o->process);
        error_set(&o->error, ORCH_E_CANCELLED, "exec", "the engine stopped");
    }
    if (!o->error && watch(o))
        return;
    give_up_place(o->exec);
    fail_to_start(o);
}

/* False if it has failed. */
static bool op_begin(op *o)
{
    exec *x = o->exec;
    int32_t rc;

    o->state = OP_SPAWNING;
    o->work = (work){.run = spawn, .done = spawned};
    rc = x->pool.submit(x->pool.self, &o->work);
    if (!rc)
        return true;
    error_set(&o->error, rc, "exec", "the engine's task pool is full");
    fail_to_start(o);
    return false;
}

static void begin_waiting(exec *x)
{
    while (x->processes < x->max_processes && !list_empty(&x->waiting))
        if (op_begin(LIST_ENTRY(list_pop(&x->waiting), op, waiting)))
            x->processes++;
}

static op *op_new(exec *x, attempt *a, orch_error **err)
{
    op *o = mem_zalloc(sizeof *o);

    if (!o) {
        error_no_memory(err);
        return NULL;
    }
    if (exec_spec_read(a, x->environment, x->max_output_bytes, &o->spec, err)) {
        mem_free(o);
        return NULL;
    }
    o->exec = x;
    o->attempt = a;
    o->closed = true; /* none is open yet */
    o->watch.max_output_bytes = o->spec.max_output_bytes;
    o->watch.stop_grace_ms = x->stop_grace_ms;
    o->watch.on_end = on_end;
    o->watch.on_closed = on_closed;
    a->state = o;
    list_push(&x->all, &o->all);
    list_push(&x->waiting, &o->waiting);
    return o;
}

/* ---- The port -------------------------------------------------------------------------------------- */

static bool exec_start(void *self, attempt *a)
{
    exec *x = self;
    orch_error *error = NULL;

    if (!op_new(x, a, &error))
        return attempt_ended(a, result_from_error(error, !orch_error_retryable(error)));
    begin_waiting(x);
    return false;
}

static void exec_stop(void *self, attempt *a)
{
    op *o = a->state;

    (void)self;
    if (!o)
        return;
    o->stopped = true;
    if (o->state == OP_WAITING)
        op_finish(o, result_stopped(a, o->spec.argv[0]));
    else if (o->state == OP_RUNNING)
        exec_watch_terminate(&o->watch);
}

static void exec_free(void *self)
{
    exec *x = self;
    list *next;

    x->max_processes = 0; /* nothing begins any more */
    for (list *node = x->all.next; node != &x->all; node = next) {
        op *o = LIST_ENTRY(node, op, all);

        next = node->next;
        op_complete(o, result_error(ORCH_E_CANCELLED, false, NULL,
                                    "the engine stopped before '%s' ended", o->spec.argv[0]));
        if (o->state == OP_WAITING)
            op_free(o);
        else if (o->state == OP_RUNNING)
            exec_watch_kill(&o->watch);
    }
    x->freed = true;
    if (list_empty(&x->all))
        destroy(x);
}

int32_t executor_exec_new(const executor_env *env, executor *out, orch_error **err)
{
    static const executor_ops ops = {.size = sizeof ops,
                                     .name = "exec",
                                     .start = exec_start,
                                     .stop = exec_stop,
                                     .free = exec_free};
    exec *x = mem_zalloc(sizeof *x);

    if (!x)
        return error_no_memory(err);
    x->environment = exec_environment_copy();
    if (!x->environment) {
        mem_free(x);
        return error_no_memory(err);
    }
    x->loop = env->loop;
    x->pool = env->pool;
    x->max_output_bytes = env->max_output_bytes ? env->max_output_bytes : DEFAULT_MAX_OUTPUT_BYTES;
    x->max_processes = env->max_processes ? env->max_processes : DEFAULT_MAX_PROCESSES;
    x->stop_grace_ms = env->stop_grace_ms ? env->stop_grace_ms : DEFAULT_STOP_GRACE_MS;
    list_init(&x->all);
    list_init(&x->waiting);
    *out = (executor){&ops, x};
    return 0;
}
