/* Calls that are answered by a stream: the loop puts the answers into a queue, from which the caller's thread takes them. */
#include <string.h>

#include "service/client_impl.h"

#define QUEUE 64 /* above it the call is paused */

typedef struct answer {
    struct answer *next;
    bytes *data;
} answer;

typedef struct stream {
    command begin, go_on, cancel; /* each is posted once at a time */
    orch_client *client;
    char path[CLIENT_PATH];
    buf request;
    int64_t timeout_ns;
    grpc_call *call;      /* loop thread */
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    answer *first, *last;
    uint32_t count, posted;
    bool is_paused, over;
    int32_t code;
    orch_error *error;
} stream;

/* ---- loop thread ----------------------------------------------------------------------------------------- */

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    stream *s = ctx;
    answer *a = mem_zalloc(sizeof *a);

    if (a)
        a->data = bytes_new(data, len);
    if (!a || !a->data) {
        mem_free(a);
        grpc_cancel(c);
        return;
    }
    pthread_mutex_lock(&s->lock);
    if (s->last)
        s->last->next = a;
    else
        s->first = a;
    s->last = a;
    if (++s->count == QUEUE && !s->is_paused) {
        s->is_paused = true;
        grpc_pause(c);
    }
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void end(stream *s, int32_t code, const char *message)
{
    pthread_mutex_lock(&s->lock);
    s->call = NULL;
    s->over = true;
    s->code = code;
    if (code)
        client_error(code, message, &s->error);
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)c;
    end(ctx, code, message);
}

static const grpc_call_handler stream_handler = {.message = on_message, .closed = on_closed};

static void ran(stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->posted--;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void loop_begin(command *c, runtime *rt)
{
    stream *s = LIST_ENTRY(c, stream, begin);
    const grpc_call_options options = {.timeout_ns = s->timeout_ns};

    (void)rt;
    s->call = grpc_channel_call(s->client->channel, s->path, &options, &stream_handler, s);
    if (s->call) {
        grpc_send(s->call, s->request.data, s->request.len);
        grpc_half_close(s->call);
    } else {
        end(s, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    }
    ran(s);
}

static void loop_go_on(command *c, runtime *rt)
{
    stream *s = LIST_ENTRY(c, stream, go_on);

    (void)rt;
    if (s->call)
        grpc_resume(s->call);
    ran(s);
}

static void loop_cancel(command *c, runtime *rt)
{
    stream *s = LIST_ENTRY(c, stream, cancel);

    (void)rt;
    if (s->call)
        grpc_cancel(s->call);
    ran(s);
}

/* ---- the caller's thread --------------------------------------------------------------------------------- */

static void post(stream *s, command *c, void (*run)(command *c, runtime *rt))
{
    c->run = run;
    s->posted++;
    if (!runtime_post_always(api_runtime(s->client->host), c)) {
        s->posted--;
        s->over = true;
        s->code = ORCH_E_FAILED_PRECONDITION;
        client_error(s->code, "the client has ended, or is of the parent of a forked child",
                     &s->error);
    }
}

/* Under the lock. NULL: the stream is over. */
static answer *take(stream *s)
{
    answer *a;

    while (!s->first && !s->over)
        pthread_cond_wait(&s->changed, &s->lock);
    a = s->first;
    if (!a)
        return NULL;
    s->first = a->next;
    if (!s->first)
        s->last = NULL;
    if (--s->count == QUEUE / 2 && s->is_paused) {
        s->is_paused = false;
        post(s, &s->go_on, loop_go_on);
    }
    return a;
}

static int32_t tell(answer *a, const ProtobufCMessageDescriptor *d, orch_stream_fn fn,
                    void *user_data, bool *wants_more, orch_error **err)
{
    orch_reply *r = NULL;
    int32_t rc = client_read(a->data, d, &r, err);

    if (!rc)
        *wants_more = !fn(user_data, r->json, r->len);
    orch_reply_free(r);
    return rc;
}

static void answer_free(answer *a)
{
    bytes_unref(a->data);
    mem_free(a);
}

/* Until nothing of it is on the loop any more. */
static void leave(stream *s, bool cancel)
{
    answer *a;

    pthread_mutex_lock(&s->lock);
    if (cancel && !s->over)
        post(s, &s->cancel, loop_cancel);
    while (!s->over || s->posted)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    while ((a = s->first)) {
        s->first = a->next;
        answer_free(a);
    }
}

static int32_t follow(stream *s, const ProtobufCMessageDescriptor *d, orch_stream_fn fn,
                      void *user_data, orch_error **err)
{
    bool wants_more = true;
    int32_t rc = 0;

    pthread_mutex_lock(&s->lock);
    post(s, &s->begin, loop_begin);
    while (!rc && wants_more) {
        answer *a = take(s);

        if (!a)
            break;
        pthread_mutex_unlock(&s->lock);
        rc = tell(a, d, fn, user_data, &wants_more, err);
        answer_free(a);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    leave(s, rc || !wants_more);
    if (rc || !wants_more || !s->code)
        return rc;
    if (err) {
        *err = s->error;
        s->error = NULL;
    }
    return s->code;
}

int32_t orch_client_stream(orch_client *client, const char *method, const char *request_json,
                           size_t len, int32_t timeout_ms, orch_stream_fn fn, void *user_data,
                           orch_error **err)
{
    stream s = {.client = client, .timeout_ns = timeout_ms * INT64_C(1000000)};
    int32_t rc = client_check(client, method, timeout_ms, err);
    const ProtobufCMethodDescriptor *m = rc ? NULL : client_method(method, true, s.path);

    if (!rc && !fn)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "fn", "fn must not be NULL");
    if (!rc && !m)
        rc = error_set(err, ORCH_E_UNIMPLEMENTED, method, "there is no stream '%s'", method);
    if (!rc)
        rc = client_pack(request_json, len, m->input, &s.request, err);
    if (!rc) {
        pthread_mutex_init(&s.lock, NULL);
        pthread_cond_init(&s.changed, NULL);
        rc = follow(&s, m->output, fn, user_data, err);
        pthread_cond_destroy(&s.changed);
        pthread_mutex_destroy(&s.lock);
    }
    orch_error_free(s.error);
    buf_free(&s.request);
    return rc;
}
