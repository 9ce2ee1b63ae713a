/* Goal: engines that an orchestrator reaches over gRPC do what those of its own process do: executions get their results, definitions
 * travel once, what is large travels in parts, what breaks is attached again or goes elsewhere, engines drain, TLS holds. */
#include "support/api_host.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grpc/grpc.h"
#include "support/certificate.h"
#include "support/net_rig.h"

static const char CHAIN[] =
    "{'id':'chain','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':{'n':'${input.n}'}},"
    "{'id':'b','executor':'lua','depends_on':['a'],'with':{'code':'return steps.a.output.n * 2'}},"
    "{'id':'c','executor':'noop','depends_on':['b'],'with':{'got':'${steps.b.output}'}}],"
    "'output':{'r':'${steps.c.output.got}'}}";
static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'first','executor':'echo','with':{'x':1}},"
    "{'id':'held','executor':'gate','depends_on':['first'],'with':{'x':2}},"
    "{'id':'after','executor':'echo','depends_on':['held']}]}";
static const char LARGE[] =
    "{'id':'large','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':'${input}'},"
    "{'id':'b','executor':'echo','depends_on':['a'],'with':'${steps.a.output}'}],"
    "'output':'${steps.b.output}'}";

typedef struct remote {
    orch_engine *engine;
    char endpoint[64], port[16];
    latch echoes, gate;
} remote;

static void echo(void *user_data, orch_task *task)
{
    latch_add(user_data);
    host_echo(NULL, task);
}

static orch_config *config_of(const char *name, va_list args)
{
    orch_config *config = orch_config_new();
    const char *key;

    HOST_OK(orch_config_set(config, "ENGINE_ID", name, &err));
    HOST_OK(orch_config_set(config, "TASK_THREADS", "16", &err)); /* gates keep threads busy */
    while ((key = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);

        HOST_OK(orch_config_set(config, key, value, &err));
    }
    return config;
}

/* Keys and values follow; ends with NULL. It listens at `port`, or at any if it is "". */
static void remote_open(remote *r, const char *name, ...)
{
    orch_config *config;
    uint16_t port = 0;
    va_list args;

    va_start(args, name);
    config = config_of(name, args);
    va_end(args);
    r->echoes = r->gate = (latch)LATCH_INIT;
    r->engine = orch_engine_new(config, NULL);
    assert_non_null(r->engine);
    orch_config_free(config);
    HOST_OK(orch_engine_register_executor(r->engine, "echo", echo, &r->echoes, NULL, &err));
    HOST_OK(orch_engine_register_executor(r->engine, "gate", host_gate, &r->gate, NULL, &err));
    snprintf(r->endpoint, sizeof r->endpoint, "127.0.0.1:%s", r->port[0] ? r->port : "0");
    HOST_OK(orch_engine_listen(r->engine, r->endpoint, &port, &err));
    assert_true(port > 0);
    snprintf(r->port, sizeof r->port, "%u", port);
    snprintf(r->endpoint, sizeof r->endpoint, "grpc://127.0.0.1:%u", port);
}

static void remote_close(remote *r)
{
    HOST_OK(orch_engine_stop(r->engine, HOST_PATIENCE_MS, &err));
    orch_engine_free(r->engine);
}

static orch_v2 *open_for(const remote *r, const char *url)
{
    return host_open(url, "DISCOVERY_TYPE", "static", "STATIC_ENGINES", r->endpoint, NULL);
}

static orch_execution *start(orch_v2 *o, const char *workflow, const char *id)
{
    orch_start_options *options = orch_start_options_new();
    orch_execution *e = NULL;

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, &e, &err));
    orch_start_options_free(options);
    return e;
}

static void succeeds(orch_execution *e)
{
    orch_response *r = NULL;

    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_execution_state_name(orch_response_state(r)), "succeeded");
    orch_response_free(r);
    orch_execution_free(e);
}

/* ---- the main road --------------------------------------------------------------------------------------- */

static void executions_run_elsewhere(void **state)
{
    remote r = {0};
    char output[100], input[40];
    orch_v2 *o;

    (void)state;
    remote_open(&r, "one", NULL);
    o = open_for(&r, "memory:");
    assert_null(orch_v2_local_engine(o));
    host_define(o, CHAIN);
    for (int i = 0; i < 50; i++) {
        snprintf(input, sizeof input, "{\"n\": %d}", i);
        assert_string_equal(host_execute(o, "chain", input, output, sizeof output), "succeeded");
        snprintf(input, sizeof input, "{\"r\":%d}", 2 * i);
        assert_string_equal(output, input);
    }
    assert_int_equal(latch_count(&r.echoes), 50);
    host_close(o);
    remote_close(&r);
}

static void several_engines_share_the_work(void **state)
{
    remote r[3] = {0};
    orch_execution *e[30];
    orch_v2 *o;
    char id[20];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "engine-%d", i);
        remote_open(&r[i], id, NULL);
    }
    o = open_for(&r[0], "memory:");
    HOST_OK(orch_v2_add_engine(o, "second", r[1].endpoint, 10, &err));
    HOST_OK(orch_v2_add_engine(o, NULL, r[2].endpoint, 10, &err));
    HOST_FAILS(orch_v2_add_engine(o, "second", r[2].endpoint, 10, &err), ORCH_E_ALREADY_EXISTS,
               "second");
    HOST_FAILS(orch_v2_add_engine(o, "bad", "grpc://1.2.3.4:x", 10, &err), ORCH_E_INVALID_ARGUMENT,
               "port");
    host_define(o, GATED);
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof id, "share-%d", i);
        e[i] = start(o, "gated", id);
    }
    for (int i = 0; i < 3; i++)
        latch_wait(&r[i].gate, 10);
    for (int i = 0; i < 3; i++)
        latch_open(&r[i].gate);
    for (int i = 0; i < 30; i++)
        succeeds(e[i]);
    host_close(o);
    for (int i = 0; i < 3; i++)
        remote_close(&r[i]);
}

static void what_is_large_goes_in_parts(void **state)
{
    const size_t size = (size_t)3500000;
    char *input = malloc(size + 16), *output = malloc(size + 16);
    remote r = {0};
    orch_v2 *o;

    (void)state;
    assert_non_null(input);
    assert_non_null(output);
    memcpy(input, "{\"t\":\"", 6);
    memset(input + 6, 'x', size);
    memcpy(input + 6 + size, "\"}", 3);
    remote_open(&r, "large", NULL);
    o = open_for(&r, "memory:");
    host_define(o, LARGE);
    assert_string_equal(host_execute(o, "large", input, output, size + 16), "succeeded");
    assert_string_equal(output, input);
    host_close(o);
    remote_close(&r);
    free(input);
    free(output);
}

static void engines_tell_how_they_are(void **state)
{
    remote r = {0};
    orch_reply *reply = NULL;
    orch_client *c;
    orch_v2 *o;
    orch_execution *e;
    static const char stop[] = "{\"execution_key\":1,\"epoch\":{\"term\":1}}";

    (void)state;
    remote_open(&r, "asked", NULL);
    c = orch_client_new(NULL, r.endpoint, NULL);
    o = open_for(&r, "memory:");
    host_define(o, GATED);
    e = start(o, "gated", "is-active");
    latch_wait(&r.gate, 1);
    HOST_OK(orch_client_call(c, "EngineService/GetEngineStatus", NULL, 0, HOST_PATIENCE_MS, &reply,
                             &err));
    assert_non_null(strstr(orch_reply_json(reply, NULL), "\"name\":\"asked\""));
    assert_non_null(strstr(orch_reply_json(reply, NULL), "\"capacity\":10,\"active\":1,"));
    assert_non_null(strstr(orch_reply_json(reply, NULL), "\"gate\""));
    orch_reply_free(reply);
    HOST_OK(orch_client_call(c, "EngineService/StopWorkflow", stop, strlen(stop), HOST_PATIENCE_MS,
                             &reply, &err));
    assert_string_equal(orch_reply_json(reply, NULL), "{}"); /* its epoch is higher */
    orch_reply_free(reply);
    orch_client_free(c);
    latch_open(&r.gate);
    succeeds(e);
    host_close(o);
    remote_close(&r);
}

/* ---- what a listening process has beside its own services ------------------------------------------------ */

typedef struct answer {
    char data[4000];
    size_t len;
    bool is_over;
    int32_t code;
} answer;

static void on_answer(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    answer *a = ctx;

    (void)c;
    a->len = len < sizeof a->data ? len : sizeof a->data;
    memcpy(a->data, data, a->len);
}

static void on_answer_over(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    answer *a = ctx;

    (void)c;
    (void)message;
    a->code = code;
    a->is_over = true;
}

static answer ask_raw(net_rig *net, uint16_t port, const char *path, const char *request)
{
    static const grpc_call_handler handler = {.message = on_answer, .closed = on_answer_over};
    grpc_channel *channel;
    grpc_call *call;
    char target[40];
    answer a = {0};

    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    assert_int_equal(grpc_channel_new(net->net, target, NULL, &channel, NULL), 0);
    call = grpc_channel_call(channel, path, NULL, &handler, &a);
    grpc_send(call, request, strlen(request));
    grpc_half_close(call);
    NET_UNTIL(net, a.is_over);
    grpc_channel_free(channel);
    return a;
}

/* An engine, and an orchestrator's management service: ports[0] and [1]. */
typedef struct listeners {
    remote engine;
    orch_v2 *orch;
    uint16_t ports[2];
    net_rig net;
} listeners;

static void listeners_open(listeners *l, const char *reflection)
{
    *l = (listeners){0};
    remote_open(&l->engine, "listens", "GRPC_REFLECTION", reflection, NULL);
    l->orch = host_open("memory:", "DISCOVERY_TYPE", "static", "STATIC_ENGINES", l->engine.endpoint,
                        "GRPC_REFLECTION", reflection, NULL);
    l->ports[0] = (uint16_t)atoi(l->engine.port);
    HOST_OK(orch_v2_listen(l->orch, "127.0.0.1:0", &l->ports[1], &err));
    net_rig_begin(&l->net);
}

static void listeners_close(listeners *l)
{
    net_rig_end(&l->net);
    host_close(l->orch);
    remote_close(&l->engine);
}

static void both_have_the_health_service(void **state)
{
    listeners l;

    (void)state;
    listeners_open(&l, "true");
    for (int i = 0; i < 2; i++) {
        answer a = ask_raw(&l.net, l.ports[i], "/grpc.health.v1.Health/Check", "");

        assert_int_equal(a.code, 0);
        assert_int_equal(a.len, 2);
        assert_memory_equal(a.data, "\x08\x01", 2); /* SERVING */
    }
    listeners_close(&l);
}

#define HOLDS_TEXT(a, text) assert_non_null(memmem((a)->data, (a)->len, text, strlen(text)))

/* What services there are, and how a message of one of them looks. */
static void both_tell_what_they_serve(void **state)
{
    static const char *const versions[] = {"v1", "v1alpha"};
    static const char *const services[] = {"orch.v1.EngineService", "orch.v1.OrchestratorService"};
    static const char *const symbols[] = {"\x22\x10orch.v1.ToEngine",
                                          "\x22\x1borch.v1.OrchestratorService"};
    static const char *const holds[] = {"need_definition", "StartExecution"};
    listeners l;

    (void)state;
    listeners_open(&l, "true");
    for (int i = 0; i < 4; i++) {
        char path[100];
        answer a;

        snprintf(path, sizeof path, "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo",
                 versions[i / 2]);
        a = ask_raw(&l.net, l.ports[i % 2], path, "\x3a\x01*");
        assert_int_equal(a.code, 0);
        HOLDS_TEXT(&a, services[i % 2]);
        HOLDS_TEXT(&a, "grpc.health.v1.Health");
        a = ask_raw(&l.net, l.ports[i % 2], path, symbols[i % 2]);
        HOLDS_TEXT(&a, holds[i % 2]);
    }
    listeners_close(&l);
    listeners_open(&l, "false");
    for (int i = 0; i < 2; i++) {
        answer a = ask_raw(&l.net, l.ports[i],
                           "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                           "\x3a\x01*");

        assert_int_equal(a.code, ORCH_E_UNIMPLEMENTED);
    }
    listeners_close(&l);
}

/* ---- what goes wrong ------------------------------------------------------------------------------------- */

static void a_drained_engine_hands_back(void **state)
{
    remote a = {0}, b = {0};
    orch_execution *e;
    orch_v2 *o;

    (void)state;
    remote_open(&a, "drained", NULL);
    o = open_for(&a, "memory:");
    host_define(o, GATED);
    e = start(o, "gated", "hand-back");
    latch_wait(&a.gate, 1);
    remote_open(&b, "other", NULL);
    HOST_OK(orch_v2_add_engine(o, "other", b.endpoint, 10, &err));
    latch_open(
        &a.gate); /* the step ends; the next one starts here or, if this engine drains by then, there */
    latch_open(&b.gate);
    remote_close(&a);
    succeeds(e);
    assert_int_equal(latch_count(&a.gate) + latch_count(&b.gate), 1); /* it did not run again */
    host_close(o);
    remote_close(&b);
}

static void an_engine_that_is_lost_is_replaced(void **state)
{
    remote a = {0}, b = {0};
    orch_execution *e;
    orch_v2 *o;

    (void)state;
    remote_open(&a, "lost", NULL);
    o = host_open("memory:", "DISCOVERY_TYPE", "static", "STATIC_ENGINES", a.endpoint,
                  "ATTACH_GRACE", "1s", NULL);
    host_define(o, GATED);
    e = start(o, "gated", "goes-elsewhere");
    latch_wait(&a.gate, 1);
    remote_open(&b, "replaces", NULL);
    HOST_OK(orch_v2_add_engine(o, "b", b.endpoint, 10, &err));
    latch_open(&b.gate);
    orch_engine_stop(a.engine, 0, NULL); /* the gate sees that it is to stop, and may be late */
    succeeds(e);
    assert_int_equal(latch_count(&b.gate), 1);
    assert_int_equal(latch_count(&b.echoes), 1); /* `first` is in its checkpoints: `after` alone */
    orch_engine_free(a.engine);
    host_close(o);
    remote_close(&b);
}

static void an_engine_that_is_not_there_yet_is_waited_for(void **state)
{
    remote r = {0};
    orch_execution *e;
    orch_v2 *o;

    (void)state;
    remote_open(&r, "first-life", NULL); /* to know of a port that is free */
    remote_close(&r);
    o = open_for(&r, "memory:");
    host_define(o, CHAIN);
    {
        orch_error *err = NULL;

        assert_int_equal(orch_v2_start_workflow(o, "chain", "{\"n\":1}", 7, NULL, &e, &err), 0);
    }
    remote_open(&r, "second-life", NULL);
    succeeds(e);
    host_close(o);
    remote_close(&r);
}

static void a_restarted_orchestrator_goes_on(void **state)
{
    char room[200];
    remote r = {0};
    orch_v2 *o;
    orch_execution *e = NULL;
    const char *url = host_sqlite(room, sizeof room, "restart.db");

    (void)state;
    remote_open(&r, "stays", NULL);
    o = open_for(&r, url);
    host_define(o, GATED);
    orch_execution_free(start(o, "gated", "goes-on"));
    latch_wait(&r.gate, 1);
    host_close(o);
    latch_open(&r.gate);
    o = open_for(&r, url);
    HOST_OK(orch_v2_find_execution(o, "goes-on", &e, &err));
    succeeds(e);
    assert_int_equal(latch_count(&r.echoes), 2); /* `first` once, `after` once */
    host_close(o);
    remote_close(&r);
}

/* ---- TLS ------------------------------------------------------------------------------------------------- */

static void connections_have_tls(void **state)
{
    char folder[] = "/tmp/orch-remote-XXXXXX", command[64], output[100];
    certificate authority, server, client;
    remote r = {0};
    orch_v2 *o;

    (void)state;
    assert_non_null(mkdtemp(folder));
    authority = certificate_make(folder, "authority", NULL, NULL, 30);
    server = certificate_make(folder, "server", "IP:127.0.0.1", &authority, 30);
    client = certificate_make(folder, "client", NULL, &authority, 30);
    remote_open(&r, "safe", "TLS_CERT", server.cert, "TLS_KEY", server.key, "TLS_CA",
                authority.cert, NULL);
    o = host_open("memory:", "DISCOVERY_TYPE", "static", "STATIC_ENGINES", r.endpoint, "TLS_CA",
                  authority.cert, "TLS_CERT", client.cert, "TLS_KEY", client.key, NULL);
    host_define(o, CHAIN);
    assert_string_equal(host_execute(o, "chain", "{\"n\":4}", output, sizeof output), "succeeded");
    host_close(o);
    remote_close(&r);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void wrong_uses_are_named(void **state)
{
    orch_config *config = orch_config_new();
    orch_engine *e = orch_engine_new(config, NULL);
    remote r = {0};

    (void)state;
    HOST_FAILS(orch_engine_listen(e, "nowhere", NULL, &err), ORCH_E_INVALID_ARGUMENT, "nowhere");
    HOST_FAILS(orch_engine_stop(NULL, 0, &err), ORCH_E_INVALID_ARGUMENT, "engine");
    remote_open(&r, "twice", NULL);
    HOST_FAILS(orch_engine_listen(r.engine, r.endpoint + 7, NULL, &err), ORCH_E_ALREADY_EXISTS,
               r.port);
    remote_close(&r);
    orch_engine_free(e);
    orch_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executions_run_elsewhere),
        cmocka_unit_test(several_engines_share_the_work),
        cmocka_unit_test(what_is_large_goes_in_parts),
        cmocka_unit_test(engines_tell_how_they_are),
        cmocka_unit_test(both_have_the_health_service),
        cmocka_unit_test(both_tell_what_they_serve),
        cmocka_unit_test(a_drained_engine_hands_back),
        cmocka_unit_test(an_engine_that_is_lost_is_replaced),
        cmocka_unit_test(an_engine_that_is_not_there_yet_is_waited_for),
        cmocka_unit_test(a_restarted_orchestrator_goes_on),
        cmocka_unit_test(connections_have_tls),
        cmocka_unit_test(wrong_uses_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
