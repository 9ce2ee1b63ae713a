/* Handles. The loop tells a handle of the end through its waiter; threads of the host wait on its condition. A handle
 * outlives the orchestrator, which tells all of them before it goes. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/api_impl.h"

/* ---- life ------------------------------------------------------------------------------------------------ */

static bool init_condition(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    bool ok;

    if (pthread_condattr_init(&attributes))
        return false;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    ok = !pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
    return ok;
}

/* On the loop thread: the end, or that it will not be seen here. */
static void on_end(end_waiter *w, int32_t code, outcome *out)
{
    orch_execution *e = LIST_ENTRY(w, orch_execution, waiter);
    list watches;
    list *node;

    list_init(&watches);
    pthread_mutex_lock(&e->lock);
    e->waiting = false;
    e->ended = true;
    e->code = code;
    e->outcome = outcome_ref(out);
    while ((node = list_pop(&e->watches)))
        list_push(&watches, node);
    for (; e->watchers;
         e->watchers--) /* here: time is not to go on until those threads have a processor */
        runtime_unwatch(e->orch->rt);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    while ((node = list_pop(&watches)))
        runtime_call_back(e->orch->rt, &LIST_ENTRY(node, end_watch, link)->callback, NULL);
    handle_unref(e);
}

static void forget(command *c, runtime *rt)
{
    orch_execution *e = LIST_ENTRY(c, orch_execution, forget);

    if (orchestrator_unwait(runtime_orchestrator(rt), &e->waiter))
        handle_unref(e); /* the loop's */
    handle_unref(e);
}

orch_execution *handle_new(orch_v2 *o, const char *id)
{
    size_t len = id ? strlen(id) + 1 : 0;
    orch_execution *e = mem_zalloc(sizeof *e + len);

    if (!e)
        return NULL;
    if (!init_condition(&e->changed)) {
        mem_free(e);
        return NULL;
    }
    pthread_mutex_init(&e->lock, NULL);
    if (id)
        e->id = memcpy(e + 1, id, len);
    list_init(&e->watches);
    list_init(&e->waiter.link);
    e->waiter.done = on_end;
    e->forget.run = forget;
    e->orch = orch_ref(o);
    e->wants = 1;
    atomic_init(&e->refs, 1);
    return e;
}

void handle_set_key(orch_execution *e, uint64_t key)
{
    e->key = key;
    execution_id_format(key, e->made);
}

void handle_set_existing(orch_execution *e)
{
    char id[EXECUTION_ID_MAX + 1];

    e->existed = true;
    e->existing = query_id(e->orch, e->key, id, NULL) ? NULL : mem_strdup(id);
    e->id = e->existing;
}

void handle_unref(orch_execution *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    outcome_unref(e->outcome);
    if (e->orch->pid ==
        getpid()) { /* else another thread may have held them when the process forked */
        pthread_cond_destroy(&e->changed);
        pthread_mutex_destroy(&e->lock);
    }
    orch_unref(e->orch);
    mem_free(e->existing);
    mem_free(e);
}

void handle_want(orch_execution *e)
{
    atomic_fetch_add(&e->refs, 1);
    pthread_mutex_lock(&e->lock);
    e->wants++;
    pthread_mutex_unlock(&e->lock);
}

void handle_unwant(orch_execution *e)
{
    bool tell_loop;

    pthread_mutex_lock(&e->lock);
    tell_loop = --e->wants == 0 && e->waiting;
    pthread_mutex_unlock(&e->lock);
    if (tell_loop) {
        atomic_fetch_add(&e->refs, 1);
        if (!runtime_post_always(e->orch->rt, &e->forget))
            handle_unref(e); /* the loop has ended, and told everybody before */
    }
    handle_unref(e);
}

void orch_execution_free(orch_execution *execution)
{
    if (!execution)
        return;
    if (execution->orch->pid == getpid())
        handle_unwant(execution);
    else
        handle_unref(execution);
}

const char *orch_execution_id(const orch_execution *execution)
{
    if (!execution)
        return "";
    return execution->id ? execution->id : execution->made;
}

int32_t orch_execution_existed(const orch_execution *execution)
{
    return execution && execution->existed;
}

/* ---- waiting --------------------------------------------------------------------------------------------- */

static struct timespec deadline_after(int32_t timeout_ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

/* False if the time ran out. */
static bool wait_for_end(orch_execution *e, int32_t timeout_ms)
{
    struct timespec until = {0};
    bool ended;
    int rc = 0;

    if (timeout_ms > 0)
        until = deadline_after(timeout_ms);
    pthread_mutex_lock(&e->lock);
    if (!e->ended) {
        e->watchers++;
        runtime_watch(e->orch->rt);
    }
    while (!e->ended && rc != ETIMEDOUT)
        rc = timeout_ms > 0 ? pthread_cond_timedwait(&e->changed, &e->lock, &until)
                            : pthread_cond_wait(&e->changed, &e->lock);
    ended = e->ended;
    if (!ended) {
        e->watchers--;
        runtime_unwatch(e->orch->rt);
    }
    pthread_mutex_unlock(&e->lock);
    return ended;
}

static bool has_ended(orch_execution *e)
{
    bool ended;

    pthread_mutex_lock(&e->lock);
    ended = e->ended;
    pthread_mutex_unlock(&e->lock);
    return ended;
}

/* It has ended: nothing of it changes any more. */
static int32_t answer(const orch_execution *e, orch_response *r, orch_error **err)
{
    const char *id = orch_execution_id(e);

    if (!e->code) {
        response_set_outcome(r, e->orch, e->outcome);
        return 0;
    }
    if (e->code == ORCH_E_CANCELLED)
        return error_set(
            err, e->code, id,
            "the orchestrator stopped before execution '%s' ended; it goes on after the "
            "next start",
            id);
    if (e->code == ORCH_E_RESOURCE_EXHAUSTED)
        return error_no_memory(err);
    return error_set(err, e->code, id, "execution '%s' cannot be waited for: %s", id,
                     orch_code_name(e->code));
}

static int32_t check_wait(const orch_execution *e, int32_t timeout_ms, orch_response **out,
                          orch_error **err)
{
    int32_t rc = check_not_null(e, "execution", err);

    if (!rc)
        rc = check_not_null(out, "out_response", err);
    if (!rc)
        rc = check_orch(e->orch, err);
    if (!rc && timeout_ms < -1)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                       "timeout_ms is %d; it must be -1 (for ever), 0 (only look) or more",
                       timeout_ms);
    if (!rc && timeout_ms)
        rc = check_may_block(e->orch, err);
    return rc;
}

int32_t orch_execution_wait(orch_execution *execution, int32_t timeout_ms,
                            orch_response **out_response, orch_error **err)
{
    int32_t rc = check_wait(execution, timeout_ms, out_response, err);
    orch_response *r;
    bool ended;

    if (rc)
        return rc;
    r = response_new();
    if (!r)
        return error_no_memory(err);
    ended = has_ended(execution);
    if (!ended && timeout_ms) {
        rc = runtime_begin_wait(execution->orch->rt, err);
        if (!rc) {
            ended = wait_for_end(execution, timeout_ms);
            runtime_end_wait(execution->orch->rt);
        }
    }
    if (!rc)
        rc = ended ? answer(execution, r, err)
                   : error_set(err, ORCH_E_DEADLINE_EXCEEDED, orch_execution_id(execution),
                               "execution '%s' has not ended within %d ms",
                               orch_execution_id(execution), timeout_ms);
    if (rc)
        orch_response_free(r);
    else
        *out_response = r;
    return rc;
}

/* ---- callbacks ------------------------------------------------------------------------------------------- */

static void call(callback *c)
{
    end_watch *w = (end_watch *)c;
    orch_execution *e = w->execution;
    orch_response *r = w->response;

    if (e->code) {
        orch_response_free(r);
        r = NULL;
    } else {
        response_set_outcome(r, e->orch, e->outcome);
    }
    w->fn(w->user_data, r);
    if (w->free_fn)
        w->free_fn(w->user_data);
    w->free(w);
    handle_unwant(e);
}

int32_t handle_watch(orch_execution *e, end_watch *w, orch_error **err)
{
    bool ended;
    int32_t rc = 0;

    w->callback.make = call;
    w->execution = e;
    handle_want(e);
    pthread_mutex_lock(&e->lock);
    ended = e->ended;
    if (!ended)
        list_push(&e->watches, &w->link);
    pthread_mutex_unlock(&e->lock);
    if (ended)
        rc = runtime_call_back(e->orch->rt, &w->callback, err);
    if (rc)
        handle_unwant(e);
    return rc;
}

static void free_watch(end_watch *w)
{
    mem_free(w);
}

static int32_t add_watch(orch_execution *e, orch_execution_fn fn, void *user_data,
                         orch_free_fn free_fn, orch_error **err)
{
    end_watch *w = mem_zalloc(sizeof *w);
    int32_t rc;

    if (w)
        w->response = response_new();
    if (!w || !w->response) {
        mem_free(w);
        return error_no_memory(err);
    }
    list_init(&w->link);
    w->fn = fn;
    w->user_data = user_data;
    w->free_fn = free_fn;
    w->free = free_watch;
    rc = handle_watch(e, w, err);
    if (rc) {
        orch_response_free(w->response);
        mem_free(w);
    }
    return rc;
}

int32_t orch_execution_on_end(orch_execution *execution, orch_execution_fn fn, void *user_data,
                              orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_not_null(execution, "execution", err);

    if (!rc)
        rc = check_given(fn != NULL, "fn", err);
    if (!rc)
        rc = check_orch(execution->orch, err);
    if (!rc)
        rc = add_watch(execution, fn, user_data, free_fn, err);
    if (rc && free_fn)
        free_fn(user_data);
    return rc;
}
