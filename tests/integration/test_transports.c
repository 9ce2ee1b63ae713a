/* Goal: every transport does what the protocol needs of one: inproc, grpc over both kinds of sockets, and a host's own, here one whose thread
 * delivers late, refuses now and then, and takes short messages alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include <orch/testing.h>

#include <cmocka.h>

#include "support/bad_proxy.h"
#include "support/example.h"
#include "support/mill.h"
#include "support/net_rig.h"
#include "transport/conformance/conformance.h"
#include "transport/grpc/grpc_transport.h"
#include "transport/plugin/plugin.h"

static void report(void *ctx, const char *rule, const char *why)
{
    (void)ctx;
    if (!why || *why)
        print_message("    %s: %s\n", why ? "does not hold" : "not looked at", rule);
    if (why && *why)
        print_message("      %s\n", why);
}

static void quiet(void *ctx, const char *rule, const char *why)
{
    (void)ctx;
    (void)rule;
    (void)why;
}

/* ---- inproc ---------------------------------------------------------------------------------------------- */

static int32_t inproc_begin(void *ctx, enum conformance_side side, transport *out, orch_error **err)
{
    (void)ctx;
    (void)side;
    return transport_inproc_new(out, err);
}

static void inproc_wait(void *ctx)
{
    (void)ctx;
}

static void inproc_cut(void *ctx, channel *c)
{
    (void)ctx;
    transport_inproc_break(c);
}

static void inproc_conforms(void **state)
{
    const conformance_subject s = {
        .endpoint = "inproc:here",
        .nobody = "inproc:nowhere",
        .is_one = true,
        .begin = inproc_begin,
        .wait = inproc_wait,
        .cut = inproc_cut,
        .report = report,
    };

    (void)state;
    assert_int_equal(transport_conformance(&s), 0);
}

/* ---- grpc ------------------------------------------------------------------------------------------------ */

typedef struct grpc_world {
    net_rig rig;
    bad_proxy *proxy;
} grpc_world;

static int32_t grpc_begin(void *ctx, enum conformance_side side, transport *out, orch_error **err)
{
    (void)side;
    return transport_grpc_new(((grpc_world *)ctx)->rig.net, NULL, out, err);
}

static void grpc_wait(void *ctx)
{
    uv_run(&((grpc_world *)ctx)->rig.uv, UV_RUN_ONCE); /* the rig has it turn now and then */
}

static void proxy_cut(void *ctx, channel *c)
{
    (void)c;
    bad_proxy_cut(((grpc_world *)ctx)->proxy);
}

static void grpc_conforms_over_unix_sockets(void **state)
{
    grpc_world w = {0};
    char endpoint[100], nobody[100];
    const conformance_subject s = {
        .endpoint = endpoint,
        .nobody = nobody,
        .ctx = &w,
        .begin = grpc_begin,
        .wait = grpc_wait,
        .report = report,
    };

    (void)state;
    net_rig_begin(&w.rig);
    snprintf(endpoint, sizeof endpoint, "grpc:unix:%s/engine", w.rig.folder);
    snprintf(nobody, sizeof nobody, "grpc:unix:%s/nobody", w.rig.folder);
    assert_int_equal(transport_conformance(&s), 0);
    net_rig_end(&w.rig);
}

/* One that nobody has. */
static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void grpc_conforms_where_connections_are_cut(void **state)
{
    uint16_t port = free_port();
    grpc_world w = {.proxy = bad_proxy_new(port, 1)};
    char endpoint[100], dial[100], nobody[100];
    const conformance_subject s = {
        .endpoint = endpoint,
        .dial = dial,
        .nobody = nobody,
        .ctx = &w,
        .begin = grpc_begin,
        .wait = grpc_wait,
        .cut = proxy_cut,
        .report = report,
    };

    (void)state;
    net_rig_begin(&w.rig);
    snprintf(endpoint, sizeof endpoint, "grpc://127.0.0.1:%u", port);
    snprintf(dial, sizeof dial, "grpc://127.0.0.1:%u", bad_proxy_port(w.proxy));
    snprintf(nobody, sizeof nobody, "grpc://127.0.0.1:%u", free_port());
    assert_int_equal(transport_conformance(&s), 0);
    net_rig_end(&w.rig);
    bad_proxy_free(w.proxy);
}

/* ---- a host's own ---------------------------------------------------------------------------------------- */

static void mill_wake(void *ctx)
{
    (void)ctx; /* mill_wait sees it */
}

static int32_t mill_begin(void *ctx, enum conformance_side side, transport *out, orch_error **err)
{
    const plugin_options o = {
        .name = "mill",
        .ops = &mill_ops,
        .user_data = mill_side_new(ctx),
        .free_fn = mill_side_free,
        .wake = mill_wake,
    };

    (void)side;
    return transport_plugin_new(&o, out, err);
}

static void mill_pause(void *ctx)
{
    mill_wait(ctx);
}

static void cut_mill(void *ctx, channel *c)
{
    (void)c;
    mill_cut(ctx);
}

static conformance_subject subject_of(mill *m)
{
    return (conformance_subject){
        .endpoint = "mill:here",
        .nobody = "mill:nowhere",
        .ctx = m,
        .begin = mill_begin,
        .wait = mill_pause,
        .cut = cut_mill,
        .report = report,
    };
}

static void hosts_conform(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2; seed++) {
        mill *m = mill_new(seed);
        const conformance_subject s = subject_of(m);

        assert_int_equal(transport_conformance(&s), 0);
        mill_free(m);
    }
}

/* A suite that finds nothing wrong with what is wrong says nothing of what is right. */
static void faults_are_found(void **state)
{
    (void)state;
    for (int fault = MILL_IS_RIGHT + 1; fault < MILL_FAULTS; fault++) {
        mill *m = mill_new(1);
        conformance_subject s = subject_of(m);

        s.patience_ns = 100000000;
        s.report = quiet;
        mill_set_fault(m, (enum mill_fault)fault);
        if (!transport_conformance(&s))
            fail_msg("fault %d of a transport is not found", fault);
        mill_free(m);
    }
}

/* ---- as hosts ask for it --------------------------------------------------------------------------------- */

static void *side_of_mill(void *user_data, int32_t is_engine)
{
    (void)is_engine;
    return mill_side_new(user_data);
}

static void cut_for_host(void *user_data)
{
    mill_cut(user_data);
}

static void hosts_can_ask(void **state)
{
    mill *m = mill_new(3);
    orch_transport_subject s = {
        .size = sizeof s,
        .name = "mill",
        .ops = &mill_ops,
        .address = "here",
        .nobody = "nowhere",
        .user_data = m,
        .begin = side_of_mill,
        .end = mill_side_free,
        .cut = cut_for_host,
        .report = report,
    };
    orch_error *error = NULL;

    (void)state;
    assert_int_equal(orch_testing_transport(&s, &error), 0);
    mill_free(m);
    m = s.user_data = mill_new(3);
    mill_set_fault(m, MILL_IS_VAGUE);
    s.report = NULL;
    assert_int_equal(orch_testing_transport(&s, &error), ORCH_E_FAILED_PRECONDITION);
    assert_non_null(strstr(orch_error_message(error), "NOT_FOUND"));
    orch_error_free(error);
    mill_free(m);
}

/* ---- the example ----------------------------------------------------------------------------------------- */

static void the_example_conforms(void **state)
{
    static const char *const check[] = {"check", NULL};
    static example e;

    (void)state;
    example_start(&e, "transport-pipe", check);
    assert_true(example_read_until(&e, "steps that run while a connection breaks are run once"));
    assert_int_equal(example_end(&e), 0);
    assert_null(strstr(e.text, "FAILED"));
}

static void the_example_runs_in_two_processes(void **state)
{
    static example engine, orch;
    char folder[200], path[250];
    const char *const serve[] = {"engine", path, NULL}, *const run[] = {"run", path, "20", NULL};

    (void)state;
    example_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/engine", folder);
    example_start(&engine, "transport-pipe", serve);
    assert_true(example_read_until(&engine, "ready"));
    example_start(&orch, "transport-pipe", run);
    assert_true(example_read_until(&orch, "succeeded \"GOOD DAY\""));
    assert_int_equal(example_end(&orch), 0);
    example_kill(&engine); /* its socket stays, and is in nobody's way */
    example_start(&orch, "transport-pipe", run);
    example_start(&engine, "transport-pipe", serve);
    assert_true(example_read_until(&orch, "succeeded \"GOOD DAY\""));
    assert_int_equal(example_end(&orch), 0);
    example_kill(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inproc_conforms),
        cmocka_unit_test(grpc_conforms_over_unix_sockets),
        cmocka_unit_test(grpc_conforms_where_connections_are_cut),
        cmocka_unit_test(hosts_conform),
        cmocka_unit_test(faults_are_found),
        cmocka_unit_test(hosts_can_ask),
        cmocka_unit_test(the_example_conforms),
        cmocka_unit_test(the_example_runs_in_two_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
