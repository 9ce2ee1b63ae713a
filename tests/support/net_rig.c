#include "support/net_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define PATIENCE_MS 20000

static int64_t patient_until;
static uv_timer_t watch;
static uv_prepare_t sleeper;

static void look_at_time(net_end *e)
{
    int64_t behind_ns = clock_monotonic_ns() - net_uv_loop(e->rig->net)->now_ns;

    if (behind_ns > e->behind_ns)
        e->behind_ns = behind_ns;
}

static void opened(void *ctx)
{
    net_end *e = ctx;

    look_at_time(e);
    e->opened++;
}

static void on_read(void *ctx, const uint8_t *data, size_t len)
{
    net_end *e = ctx;

    look_at_time(e);
    e->len += len;
    if (!e->quiet)
        buf_add(&e->got, data, len);
    if (e->echo)
        conn_send(e->conn, data, len);
}

static void drained(void *ctx)
{
    net_end *e = ctx;

    look_at_time(e);
    e->drained++;
}

static void closed(void *ctx, int32_t code, const char *message)
{
    net_end *e = ctx;

    e->closed++;
    e->code = code;
    snprintf(e->message, sizeof e->message, "%s", message);
}

static const conn_handler handler = {opened, on_read, drained, closed};

static void accepted(void *ctx, conn *c)
{
    net_rig *r = ctx;
    net_end *e = &r->accepted[r->count++];

    assert_true(r->count <= NET_ENDS);
    e->rig = r;
    e->conn = c;
    look_at_time(e);
    e->echo = r->echo;
    c->handler = &handler;
    c->ctx = e;
}

static void tick(uv_timer_t *t)
{
    (void)t; /* the loop turns, and the test looks whether it is too long */
}

/* libuv runs first what was started last: this one comes after that of `net`, right before the loop sleeps. */
static void fall_asleep(uv_prepare_t *prepare)
{
    net_rig *r = prepare->data;

    net_uv_loop(r->net)->now_ns -= r->slept_ns;
}

void net_rig_begin(net_rig *r)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    memset(r, 0, sizeof *r);
    assert_int_equal(uv_loop_init(&r->uv), 0);
    uv_prepare_init(&r->uv, &sleeper);
    sleeper.data = r;
    uv_prepare_start(&sleeper, fall_asleep);
    assert_int_equal(net_uv_new(&r->uv, &r->net, NULL), 0);
    uv_timer_init(&r->uv, &watch);
    uv_timer_start(&watch, tick, 100, 100);
    snprintf(r->folder, sizeof r->folder, "/tmp/orch-net-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
}

static void gone(void *ctx)
{
    *(bool *)ctx = true;
}

void net_rig_end(net_rig *r)
{
    bool is_gone = false;
    char command[128];

    for (int i = 0; i < r->count; i++)
        net_end_close(&r->accepted[i]);
    net_listener_close(r->listener);
    net_uv_close(r->net, gone, &is_gone);
    r->slept_ns = 0;
    uv_close((uv_handle_t *)&sleeper, NULL);
    NET_UNTIL(r, is_gone);
    uv_close((uv_handle_t *)&watch, NULL);
    uv_run(&r->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->uv), 0);
    snprintf(command, sizeof command, "rm -rf %s", r->folder);
    assert_int_equal(system(command), 0);
}

void net_rig_listen(net_rig *r, const char *where, tls_context *tls)
{
    orch_error *error = NULL;
    endpoint at;

    assert_int_equal(endpoint_parse(where, -1, &at, NULL), 0);
    if (net_uv_listen(r->net, &at, tls, accepted, r, &r->listener, &r->port, &error))
        fail_msg("%s", orch_error_message(error));
}

void net_rig_dial(net_rig *r, net_end *e, const char *where, tls_context *tls, const char *name)
{
    endpoint to = {.host = "127.0.0.1", .port = r->port};

    memset(e, 0, sizeof *e);
    e->rig = r;
    if (where)
        assert_int_equal(endpoint_parse(where, r->port, &to, NULL), 0);
    e->conn = net_uv_dial(r->net, &to, tls, name, INT64_C(10000000000), &handler, e);
    assert_non_null(e->conn);
}

void net_end_send(net_end *e, const void *data, size_t len)
{
    conn_send(e->conn, data, len);
}

void net_end_close(net_end *e)
{
    conn_close(e->conn);
    e->conn = NULL;
    buf_free(&e->got);
}

void net_rig_patience(net_rig *r)
{
    uv_update_time(&r->uv);
    patient_until = (int64_t)uv_now(&r->uv) + PATIENCE_MS;
}

void net_rig_once(net_rig *r, const char *what)
{
    if ((int64_t)uv_now(&r->uv) > patient_until)
        fail_msg("waited in vain for: %s", what);
    uv_run(&r->uv, UV_RUN_ONCE);
}
