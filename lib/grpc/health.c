#include "grpc/health.h"

#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "grpc/pb.h"

#define MAX_SERVICES    100 /* of List */
#define MAX_WATCHES     1000
#define NAME_MAX_BYTES  200
#define SERVICE_UNKNOWN 3

typedef struct service {
    char name[NAME_MAX_BYTES + 1];
    uint8_t state;
} service;

struct grpc_health {
    service services[MAX_SERVICES];
    size_t count;
    list watches;
    unsigned watch_count;
    list calls; /* that have not closed */
};

typedef struct health_call {
    list node; /* in health.calls */
    list link; /* in health.watches, once it watches */
    grpc_health *health;
    grpc_call *call;
    void (*answer)(struct health_call *c);
    char name[NAME_MAX_BYTES + 2]; /* what is longer is none of ours */
    bool has_request, answered;
    uint8_t told; /* what was sent last */
} health_call;

static const service *find(const grpc_health *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (!strcmp(h->services[i].name, name))
            return &h->services[i];
    return NULL;
}

/* ---- messages --------------------------------------------------------------------------------------------- */

/* The numbers of health.proto. */
enum {
    REQUEST_SERVICE = 1,
    RESPONSE_STATUS = 1,
    LIST_STATUSES = 1,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2
};

/* The name of a HealthCheckRequest; one that is too long for ours becomes one that is none of them. False: it is no request. */
static bool read_request(const uint8_t *data, size_t len, char *name)
{
    pb_reader r = pb_read(data, len);
    pb_field f;
    int rc;

    *name = '\0';
    while ((rc = pb_next(&r, &f)) > 0)
        if (f.number == REQUEST_SERVICE && f.type == PB_BYTES)
            snprintf(name, NAME_MAX_BYTES + 2, "%.*s", (int)f.len, (const char *)f.data);
    return rc == 0;
}

static void put_state(buf *out, uint8_t state)
{
    pb_put_number(out, RESPONSE_STATUS, state);
}

static void send_state(grpc_call *c, uint8_t state)
{
    buf response = BUF_INIT;

    put_state(&response, state);
    if (response.failed)
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    else
        grpc_send(c, response.data, response.len);
    buf_free(&response);
}

/* map<string, HealthCheckResponse> */
static void put_entry(buf *out, const service *s)
{
    buf entry = BUF_INIT, state = BUF_INIT;

    put_state(&state, s->state);
    pb_put_bytes(&entry, ENTRY_KEY, s->name, strlen(s->name));
    pb_put_bytes(&entry, ENTRY_VALUE, state.data, state.len);
    pb_put_bytes(out, LIST_STATUSES, entry.data, entry.len);
    out->failed |= entry.failed || state.failed;
    buf_free(&state);
    buf_free(&entry);
}

/* ---- the calls ------------------------------------------------------------------------------------------- */

static void answer_check(health_call *c)
{
    const service *s = find(c->health, c->name);

    if (!s) {
        grpc_finish(c->call, ORCH_E_NOT_FOUND, "unknown service");
        return;
    }
    send_state(c->call, s->state);
    grpc_finish(c->call, 0, NULL);
}

static void tell(health_call *c)
{
    const service *s = find(c->health, c->name);
    uint8_t state = s ? s->state : SERVICE_UNKNOWN;

    if (c->told == state)
        return;
    c->told = state;
    send_state(c->call, state);
}

static void answer_watch(health_call *c)
{
    grpc_health *h = c->health;

    if (h->watch_count == MAX_WATCHES) {
        grpc_finish(c->call, ORCH_E_RESOURCE_EXHAUSTED, "too many watches");
        return;
    }
    h->watch_count++;
    list_push(&h->watches, &c->link);
    tell(c);
}

static void answer_list(health_call *c)
{
    grpc_health *h = c->health;
    buf out = BUF_INIT;

    for (size_t i = 0; i < h->count; i++)
        put_entry(&out, &h->services[i]);
    if (out.failed) {
        grpc_finish(c->call, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    } else {
        grpc_send(c->call, out.data, out.len);
        grpc_finish(c->call, 0, NULL);
    }
    buf_free(&out);
}

static void on_message(void *ctx, grpc_call *call, const uint8_t *data, size_t len)
{
    health_call *c = ctx;

    if (c->answered)
        return;
    if (c->has_request || !read_request(data, len, c->name)) {
        c->answered = true;
        grpc_finish(call, ORCH_E_INTERNAL, "this is no HealthCheckRequest");
    }
    c->has_request = true;
}

static void on_half_closed(void *ctx, grpc_call *call)
{
    health_call *c = ctx;

    if (c->answered)
        return;
    c->answered = true;
    if (c->has_request)
        c->answer(c);
    else
        grpc_finish(call, ORCH_E_INTERNAL, "there is no request");
}

static void on_closed(void *ctx, grpc_call *call, int32_t code, const char *message)
{
    health_call *c = ctx;

    (void)call;
    (void)code;
    (void)message;
    if (c->health && !list_empty(&c->link))
        c->health->watch_count--;
    list_remove(&c->link);
    list_remove(&c->node);
    mem_free(c);
}

static const grpc_call_handler health_handler = {
    .message = on_message,
    .half_closed = on_half_closed,
    .closed = on_closed,
};

static void begin(grpc_health *h, grpc_call *call, void (*answer)(health_call *c))
{
    health_call *c = mem_zalloc(sizeof *c);

    if (!c) {
        grpc_finish(call, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    c->health = h;
    c->call = call;
    c->answer = answer;
    list_init(&c->link);
    list_push(&h->calls, &c->node);
    grpc_call_set_handler(call, &health_handler, c);
}

static void begin_check(void *ctx, grpc_call *c)
{
    begin(ctx, c, answer_check);
}

static void begin_watch(void *ctx, grpc_call *c)
{
    begin(ctx, c, answer_watch);
}

static void begin_list(void *ctx, grpc_call *c)
{
    begin(ctx, c, answer_list);
}

/* ---- its life -------------------------------------------------------------------------------------------- */

int32_t grpc_health_new(grpc_server *s, grpc_health **out, orch_error **err)
{
    grpc_health *h = mem_zalloc(sizeof *h);
    int32_t rc;

    if (!h)
        return error_no_memory(err);
    list_init(&h->watches);
    list_init(&h->calls);
    grpc_health_set(h, "", GRPC_SERVING);
    rc = grpc_server_add(s, "/grpc.health.v1.Health/Check", begin_check, h, err);
    if (!rc)
        rc = grpc_server_add(s, "/grpc.health.v1.Health/Watch", begin_watch, h, err);
    if (!rc)
        rc = grpc_server_add(s, "/grpc.health.v1.Health/List", begin_list, h, err);
    if (rc)
        mem_free(h); /* who gets an error lets the server go */
    else
        *out = h;
    return rc;
}

bool grpc_health_set(grpc_health *h, const char *name, enum grpc_serving state)
{
    size_t i = 0;

    while (i < h->count && strcmp(h->services[i].name, name) != 0)
        i++;
    if (i == h->count) {
        if (h->count == MAX_SERVICES || strlen(name) > NAME_MAX_BYTES)
            return false;
        memcpy(h->services[h->count++].name, name, strlen(name) + 1);
    }
    h->services[i].state = (uint8_t)state;
    LIST_EACH(it, &h->watches)
    {
        health_call *c = LIST_ENTRY(it, health_call, link);

        if (!strcmp(c->name, name))
            tell(c);
    }
    return true;
}

void grpc_health_free(grpc_health *h)
{
    if (!h)
        return;
    while (!list_empty(&h->calls)) {
        health_call *c = LIST_ENTRY(h->calls.next, health_call, node);

        list_remove(&c->node);
        list_remove(&c->link);
        c->health = NULL;
        c->answered = true;
        grpc_finish(c->call, ORCH_E_UNAVAILABLE, "the server stops");
    }
    mem_free(h);
}
