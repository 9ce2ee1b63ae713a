/* Steps that call an HTTP service. libcurl is loaded on the pool when the first one comes; until it is there, attempts
 * wait. Transfers run on the loop; results of large bodies are made on the pool. */
#include "executor/executor_impl.h"

#if ORCH_WITH_CURL
#    include <curl/curl.h>

#    include "base/error.h"
#    include "base/list.h"
#    include "base/mem.h"
#    include "executor/curl_impl.h"
#    include "executor/http_impl.h"

#    define INLINE_BODY_BYTES 65536 /* results up to here are made on the loop */

_Static_assert(sizeof((http_transfer){0}.error) == CURL_ERROR_SIZE, "libcurl fills it");

typedef struct http {
    work load;
    bool loading;
    orch_error *load_error;
    uv_loop_t *loop;
    work_pool pool;
    uint32_t max_body_bytes;
    http_multi *multi; /* NULL: not loaded yet */
    list all, waiting; /* waiting for libcurl */
    bool freed;
} http;

/* One attempt. It outlives it while the pool makes its result. */
typedef struct op {
    work work;
    list all, waiting;
    http *http;
    attempt *attempt; /* NULL: completed */
    http_transfer transfer;
    attempt_result result;
} op;

/* ---- The end --------------------------------------------------------------------------------------- */

static void destroy_if_done(http *x)
{
    if (!x->freed || x->loading || x->multi || !list_empty(&x->all))
        return;
    orch_error_free(x->load_error);
    mem_free(x);
}

static void on_multi_closed(void *ctx)
{
    http *x = ctx;

    x->multi = NULL;
    destroy_if_done(x);
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

static void op_free(op *o)
{
    http *x = o->http;

    list_remove(&o->all);
    list_remove(&o->waiting);
    http_transfer_end(&o->transfer);
    http_transfer_clear(&o->transfer);
    mem_free(o);
    destroy_if_done(x);
}

static void op_finish(op *o, attempt_result r)
{
    op_complete(o, r);
    op_free(o);
}

/* ---- The answer ------------------------------------------------------------------------------------ */

static void make_result(work *w)
{
    op *o = LIST_ENTRY(w, op, work);

    o->result = http_make_result(&o->transfer.request, &o->transfer.response);
}

static void result_made(work *w)
{
    op *o = LIST_ENTRY(w, op, work);

    if (w->refused)
        make_result(w);
    op_finish(o, o->result);
}

static void on_ended(http_transfer *t, int curl_code)
{
    op *o = LIST_ENTRY(t, op, transfer);
    http *x = o->http;

    if (curl_code != CURLE_OK) {
        op_finish(o, http_transfer_failure(t, curl_code));
        return;
    }
    http_transfer_end(t);
    o->work = (work){.run = make_result, .done = result_made};
    if (t->response.body.len > INLINE_BODY_BYTES && !x->pool.submit(x->pool.self, &o->work))
        return;
    make_result(&o->work);
    op_finish(o, o->result);
}

/* ---- libcurl --------------------------------------------------------------------------------------- */

static void load(work *w)
{
    http *x = LIST_ENTRY(w, http, load);

    curl_load(&x->load_error);
}

static void op_begin(op *o)
{
    if (!http_transfer_begin(&o->transfer, o->http->multi))
        op_finish(o, result_no_memory());
}

static void loaded(work *w)
{
    http *x = LIST_ENTRY(w, http, load);
    orch_error *error = x->load_error;
    list *node;

    x->loading = false;
    x->load_error = NULL;
    if (w->refused)
        error_set(&error, ORCH_E_CANCELLED, "http",
                  "the engine stopped before the request was sent");
    if (!error && !x->freed) {
        x->multi = http_multi_new(x->loop, on_ended, on_multi_closed, x);
        if (!x->multi)
            error_no_memory(&error);
    }
    while ((node = list_pop(&x->waiting))) {
        op *o = LIST_ENTRY(node, op, waiting);

        if (!error)
            op_begin(o);
        else
            op_finish(o, result_from_error(error_copy(error), !orch_error_retryable(error)));
    }
    orch_error_free(error);
    destroy_if_done(x);
}

static int32_t begin_loading(http *x)
{
    int32_t rc;

    if (x->loading)
        return 0;
    rc = x->pool.submit(x->pool.self, &x->load);
    x->loading = !rc;
    return rc;
}

/* ---- The port -------------------------------------------------------------------------------------- */

static op *op_new(http *x, attempt *a, orch_error **err)
{
    op *o = mem_zalloc(sizeof *o);

    if (!o) {
        error_no_memory(err);
        return NULL;
    }
    if (http_request_read(a, x->max_body_bytes, &o->transfer.request, err)) {
        mem_free(o);
        return NULL;
    }
    o->http = x;
    o->attempt = a;
    a->state = o;
    list_push(&x->all, &o->all);
    list_init(&o->waiting);
    return o;
}

static bool http_start(void *self, attempt *a)
{
    http *x = self;
    orch_error *error = NULL;
    op *o = op_new(x, a, &error);
    int32_t rc;

    if (!o)
        return attempt_ended(a, result_from_error(error, !orch_error_retryable(error)));
    if (x->multi) {
        op_begin(o);
        return false;
    }
    list_push(&x->waiting, &o->waiting);
    rc = begin_loading(x);
    if (rc)
        op_finish(o, result_error(rc, false, NULL, "the engine's task pool is full"));
    return false;
}

/* An answer that is here already counts. */
static void http_stop(void *self, attempt *a)
{
    op *o = a->state;

    (void)self;
    if (o && (o->transfer.multi || !list_empty(&o->waiting)))
        op_finish(o, result_stopped(a, o->transfer.request.label));
}

static void http_free(void *self)
{
    http *x = self;
    list *next;

    for (list *node = x->all.next; node != &x->all; node = next) {
        op *o = LIST_ENTRY(node, op, all);

        next = node->next;
        op_complete(o, result_error(ORCH_E_CANCELLED, false, NULL, "%s: the engine stopped",
                                    o->transfer.request.label));
        if (o->transfer.multi || !list_empty(&o->waiting))
            op_free(o);
    }
    x->freed = true;
    if (x->multi)
        http_multi_close(x->multi);
    else
        destroy_if_done(x);
}

int32_t executor_http_new(const executor_env *env, executor *out, orch_error **err)
{
    static const executor_ops ops = {.size = sizeof ops,
                                     .name = "http",
                                     .start = http_start,
                                     .stop = http_stop,
                                     .free = http_free};
    http *x = mem_zalloc(sizeof *x);

    if (!x)
        return error_no_memory(err);
    x->load.run = load;
    x->load.done = loaded;
    x->loop = env->loop;
    x->pool = env->pool;
    x->max_body_bytes = env->max_output_bytes ? env->max_output_bytes : DEFAULT_MAX_OUTPUT_BYTES;
    list_init(&x->all);
    list_init(&x->waiting);
    *out = (executor){&ops, x};
    return 0;
}
#endif
