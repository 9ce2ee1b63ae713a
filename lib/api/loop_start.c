#include "api/api.h"
#include "api/start_impl.h"

struct loop_start {
    start *start;
    const loop_start_handler *handler; /* NULL: forgotten */
    void *ctx;
    bool answered, ended;
};

runtime *api_runtime(orch_v2 *o)
{
    return o->rt;
}

int32_t api_check(orch_v2 *o, orch_error **err)
{
    return check_running(o, err);
}

orch_v2 *api_host_new(const orch_config *config, orch_error **err)
{
    return v2_new_host(config, err);
}

int32_t api_serve(orch_v2 *o, const char *endpoint,
                  int32_t (*add)(void *ctx, struct grpc_server *s, orch_error **err), void *ctx,
                  uint16_t *out_port, orch_error **err)
{
    int32_t rc = check_running(o, err);

    if (!rc)
        rc = check_not_null(endpoint, "endpoint", err);
    if (!rc)
        rc = check_may_ask(o, err);
    return rc ? rc : runtime_serve(o->rt, endpoint, add, ctx, out_port, err);
}

int32_t api_id_of(orch_v2 *o, uint64_t key, char out[EXECUTION_ID_MAX + 1], orch_error **err)
{
    return query_id(o, key, out, err);
}

int32_t api_decode(orch_v2 *o, outcome *end, orch_response **out, orch_error **err)
{
    *out = response_new();
    if (!*out)
        return error_no_memory(err);
    response_set_outcome(*out, o, end);
    return 0;
}

bool api_has_codec(const orch_v2 *o)
{
    return o->codec.ops != NULL;
}

void loop_start_free(loop_start *s)
{
    start_free(s->start);
    mem_free(s);
}

static loop_start *of_request(start_request *r)
{
    return start_of(r)->user_data;
}

static void free_if_over(loop_start *s)
{
    if (s->answered && (s->ended || !s->start->request.waiter))
        loop_start_free(s);
}

static void on_ended(end_waiter *w, int32_t code, outcome *out)
{
    loop_start *s = LIST_ENTRY(w, start, waiter)->user_data;

    s->ended = true;
    if (s->handler)
        s->handler->ended(s->ctx, code, out);
    free_if_over(s);
}

static void on_answer(start_request *r)
{
    loop_start *s = of_request(r);

    s->answered = true;
    if (r->code)
        r->waiter = NULL; /* it is not told */
    if (s->handler)
        s->handler->answered(s->ctx, r->code, r->error, r->key, r->existed);
    if (r->waiter && !s->handler &&
        orchestrator_unwait(runtime_orchestrator(s->start->orch->rt), r->waiter))
        r->waiter = NULL;
    free_if_over(s);
}

int32_t loop_start_new(orch_v2 *o, const char *workflow, const char *inputs_json, size_t len,
                       const orch_start_options *options, loop_start **out, orch_error **err)
{
    const start_arguments a = {workflow, inputs_json, len, options, NULL, NULL, false};
    loop_start *s = mem_zalloc(sizeof *s);
    int32_t rc = s ? start_new(o, &a, on_answer, &s->start, err) : error_no_memory(err);

    if (rc) {
        mem_free(s);
        return rc;
    }
    s->start->user_data = s;
    *out = s;
    return 0;
}

static void set_handler(loop_start *s, const loop_start_handler *h, void *ctx)
{
    s->handler = h;
    s->ctx = ctx;
    if (h->ended) {
        s->start->waiter.done = on_ended;
        s->start->request.waiter = &s->start->waiter;
    }
}

void loop_start_go(loop_start *s, const loop_start_handler *h, void *ctx)
{
    start *t = s->start;

    set_handler(s, h, ctx);
    t->command.run(&t->command, t->orch->rt);
}

void loop_start_go_child(loop_start *s, const attempt_place *from, bool abandoned,
                         const loop_start_handler *h, void *ctx)
{
    start *t = s->start;

    set_handler(s, h, ctx);
    orchestrator_start_child(runtime_orchestrator(t->orch->rt), &t->request, from, abandoned);
}

void loop_start_forget(loop_start *s)
{
    start_request *r = &s->start->request;

    s->handler = NULL;
    if (s->answered && r->waiter &&
        orchestrator_unwait(runtime_orchestrator(s->start->orch->rt), r->waiter)) {
        r->waiter = NULL;
        loop_start_free(s);
    }
}
