/* Starts that do not block: a callback says that it was accepted, another one how it ended. */
#include "api/start_impl.h"

static void end_callbacks(start *s)
{
    if (s->free_fn)
        s->free_fn(s->user_data);
    start_free(s);
}

static void watch_called(end_watch *w)
{
    end_callbacks(LIST_ENTRY(w, start, watch));
}

/* The end's callback comes after this one has returned: only now is it asked for. */
static void call_accepted(callback *c)
{
    start *s = LIST_ENTRY(c, start, callback);
    orch_execution *e = s->execution;
    orch_error *error = s->request.error;

    s->request.error = NULL;
    if (e && s->request.existed) {
        start_take_existing(s, &error);
        e = s->execution;
    }
    if (!e) {
        orch_response_free(s->watch.response);
        if (s->accepted_fn)
            s->accepted_fn(s->user_data, NULL, error);
        else
            orch_error_free(error);
        end_callbacks(s);
        return;
    }
    handle_want(e); /* the host's own want may end inside its callback */
    if (s->accepted_fn)
        s->accepted_fn(s->user_data, e, NULL);
    else
        handle_unwant(e);
    if (s->watch.fn)
        handle_watch(e, &s->watch, NULL); /* who makes this callback will make the next one */
    else
        end_callbacks(s);
    handle_unwant(e);
}

/* Loop thread. */
static void on_async_answer(start_request *r)
{
    start *s = start_of(r);
    orch_execution *e = s->execution;

    if (r->code) {
        start_drop_handle(s);
    } else {
        handle_set_key(e, r->key);
        if (!s->accepted_fn && s->watch.fn && !r->existed) { /* nothing to say before the end */
            handle_watch(e, &s->watch, NULL);
            handle_unwant(e);
            return;
        }
    }
    runtime_call_back(s->orch->rt, &s->callback, NULL);
}

static int32_t post_async(start *s, const start_arguments *a, orch_error **err)
{
    int32_t rc = start_add_handle(s, a, err);

    if (!rc && s->watch.fn) {
        s->watch.response = response_new();
        if (!s->watch.response)
            rc = error_no_memory(err);
    }
    if (!rc)
        rc = runtime_post(s->orch->rt, &s->command, err);
    if (rc) {
        start_drop_handle(s);
        orch_response_free(s->watch.response);
        start_free(s);
    }
    return rc;
}

int32_t start_async(orch_v2 *o, const start_arguments *a, const start_callbacks *c,
                    orch_error **err)
{
    start *s = NULL;
    int32_t rc = start_new(o, a, on_async_answer, &s, err);

    if (!rc) {
        s->callback.make = call_accepted;
        s->accepted_fn = c->accepted;
        s->user_data = c->user_data;
        s->free_fn = c->free_fn;
        list_init(&s->watch.link);
        s->watch.fn = c->ended;
        s->watch.user_data = c->user_data;
        s->watch.free = watch_called;
        rc = post_async(s, a, err);
    }
    if (rc && c->free_fn)
        c->free_fn(c->user_data);
    return rc;
}

int32_t orch_v2_start_workflow_async(orch_v2 *orch, const char *id, const char *inputs_json,
                                     size_t len, const orch_start_options *options,
                                     orch_start_fn accepted, orch_execution_fn ended,
                                     void *user_data, orch_free_fn free_fn, orch_error **err)
{
    const start_arguments a = {id, inputs_json, len, options, NULL, NULL, false};
    const start_callbacks c = {accepted, ended, user_data, free_fn};
    int32_t rc = check_running(orch, err);

    if (!rc)
        return start_async(orch, &a, &c, err);
    if (free_fn)
        free_fn(user_data);
    return rc;
}
