/* Whether a host's transport does what is asked of one: the rules of the port, then an orchestrator and an engine that have nothing else. */
#include <errno.h>
#include <orch/testing.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/api_impl.h"
#include "base/buf.h"
#include "transport/conformance/conformance.h"
#include "transport/plugin/plugin.h"

#define WAIT_NS     20000000
#define PATIENCE_MS 30000

typedef struct trial {
    const orch_transport_subject *subject;
    char *endpoint, *nobody; /* with the name */
    sem_t woken;
    unsigned failed;
    char first[300]; /* of those that failed */
} trial;

static void report(void *ctx, const char *rule, const char *why)
{
    trial *t = ctx;

    if (why && *why && !t->failed++)
        snprintf(t->first, sizeof t->first, "%s: %s", rule, why);
    if (t->subject->report)
        t->subject->report(t->subject->user_data, rule, why);
}

/* ---- the port's rules ------------------------------------------------------------------------------------ */

static void wake(void *ctx)
{
    sem_post(&((trial *)ctx)->woken);
}

static void await_wake(void *ctx)
{
    trial *t = ctx;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    sem_timedwait(&t->woken, &until);
    while (sem_trywait(&t->woken) == 0)
        ;
}

static int32_t begin_side(const trial *t, bool is_engine, void **out, orch_error **err)
{
    *out = t->subject->begin(t->subject->user_data, is_engine);
    return *out ? 0 : error_set(err, ORCH_E_UNAVAILABLE, NULL, "begin gave NULL");
}

static int32_t begin(void *ctx, enum conformance_side side, transport *out, orch_error **err)
{
    trial *t = ctx;
    plugin_options o = {
        .name = t->subject->name,
        .ops = t->subject->ops,
        .free_fn = t->subject->end,
        .wake = wake,
        .ctx = t,
    };
    int32_t rc = begin_side(t, side == SIDE_ENGINE, &o.user_data, err);

    return rc ? rc : transport_plugin_new(&o, out, err);
}

static void cut(void *ctx, channel *c)
{
    const orch_transport_subject *s = ((trial *)ctx)->subject;

    (void)c;
    s->cut(s->user_data);
}

static void try_port(trial *t)
{
    const conformance_subject s = {
        .endpoint = t->endpoint,
        .nobody = t->nobody,
        .ctx = t,
        .begin = begin,
        .wait = await_wake,
        .cut = t->subject->cut ? cut : NULL,
        .report = report,
    };

    transport_conformance(&s);
}

/* ---- executions over it ---------------------------------------------------------------------------------- */

/* An orchestrator and an engine. */
typedef struct couple {
    trial *trial;
    orch_v2 *orch;
    orch_engine *engine;
    sem_t held, release;
    atomic_int holds; /* attempts of `hold` */
} couple;

static void echo(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);

    (void)user_data;
    orch_task_complete(task, input, len, NULL);
}

static void hold(void *user_data, orch_task *task)
{
    couple *c = user_data;

    atomic_fetch_add(&c->holds, 1);
    sem_post(&c->held);
    while (sem_wait(&c->release))
        ;
    sem_post(&c->release);
    echo(NULL, task);
}

static const char DEFINITION[] =
    "{\"id\":\"trial\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"trial-echo\",\"with\":\"${input}\"},"
    "{\"id\":\"b\",\"executor\":\"trial-echo\",\"depends_on\":[\"a\"],\"with\":\"${steps.a.output}\"}],"
    "\"output\":\"${steps.b.output}\"}";
static const char HELD[] =
    "{\"id\":\"held\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"trial-hold\",\"with\":\"${input}\"},"
    "{\"id\":\"b\",\"executor\":\"trial-echo\",\"depends_on\":[\"a\"],\"with\":\"${steps.a.output}\"}],"
    "\"output\":\"${steps.b.output}\"}";

static orch_config *config_of(orch_error **err)
{
    static const char *const keys[][2] = {{"STORE_URL", "memory:"}, {"LOCAL_CAPACITY", "0"}};
    orch_config *c = orch_config_new();
    int32_t rc = c ? 0 : error_no_memory(err);

    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && !rc; i++)
        rc = orch_config_set(c, keys[i][0], keys[i][1], err);
    if (!rc)
        return c;
    orch_config_free(c);
    return NULL;
}

static int32_t open_engine(couple *c, const orch_config *config, orch_error **err)
{
    const orch_transport_subject *s = c->trial->subject;
    void *side = NULL;
    int32_t rc;

    c->engine = orch_engine_new(config, err);
    if (!c->engine)
        return ORCH_E_RESOURCE_EXHAUSTED;
    rc = orch_engine_register_executor(c->engine, "trial-echo", echo, NULL, NULL, err);
    if (!rc)
        rc = orch_engine_register_executor(c->engine, "trial-hold", hold, c, NULL, err);
    if (!rc)
        rc = begin_side(c->trial, true, &side, err);
    if (!rc)
        rc = orch_engine_register_transport(c->engine, s->name, s->ops, side, s->end, err);
    return rc ? rc : orch_engine_listen(c->engine, c->trial->endpoint, NULL, err);
}

static int32_t open_orchestrator(couple *c, const orch_config *config, orch_error **err)
{
    const orch_transport_subject *s = c->trial->subject;
    void *side = NULL;
    int32_t rc;

    c->orch = orch_v2_new(config, err);
    if (!c->orch)
        return ORCH_E_RESOURCE_EXHAUSTED;
    rc = begin_side(c->trial, false, &side, err);
    if (!rc)
        rc = orch_v2_register_transport(c->orch, s->name, s->ops, side, s->end, err);
    if (!rc)
        rc = orch_v2_add_engine(c->orch, "trial", c->trial->endpoint, 100, err);
    if (!rc)
        rc = orch_v2_register_definition(c->orch, DEFINITION, strlen(DEFINITION), err);
    return rc ? rc : orch_v2_register_definition(c->orch, HELD, strlen(HELD), err);
}

static int32_t begin_one(couple *c, const char *workflow, const char *input, size_t len,
                         orch_execution **out, orch_error **err)
{
    return orch_v2_start_workflow(c->orch, workflow, input, len, NULL, out, err);
}

/* It succeeds with its input as its output. Frees the execution. */
static int32_t expect(orch_execution *e, const char *input, orch_error **err)
{
    orch_response *r = NULL;
    int32_t rc = orch_execution_wait(e, PATIENCE_MS, &r, err);

    orch_execution_free(e);
    if (!rc && orch_response_state(r) != ORCH_EXECUTION_SUCCEEDED)
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, NULL, "an execution %s: %s",
                       orch_execution_state_name(orch_response_state(r)),
                       orch_response_error(r, NULL));
    if (!rc && strcmp(orch_response_output(r, NULL), input) != 0)
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                       "an execution has another output than its input");
    orch_response_free(r);
    return rc;
}

static int32_t run_many(couple *c, orch_error **err)
{
    orch_execution *all[40] = {0};
    char input[40];
    int32_t rc = 0;

    for (int i = 0; i < 40 && !rc; i++) {
        int len = snprintf(input, sizeof input, "{\"n\":%d}", i);

        rc = begin_one(c, "trial", input, (size_t)len, &all[i], err);
    }
    for (int i = 0; i < 40; i++) {
        snprintf(input, sizeof input, "{\"n\":%d}", i);
        if (rc)
            orch_execution_free(all[i]);
        else
            rc = expect(all[i], input, err);
    }
    return rc;
}

static int32_t run_large(couple *c, orch_error **err)
{
    buf input = BUF_INIT;
    orch_execution *e = NULL;
    int32_t rc;

    buf_puts(&input, "{\"t\":\"");
    for (int i = 0; i < 300000; i++)
        buf_puts(&input, "0123456789");
    buf_puts(&input, "\"}");
    rc = input.failed ? error_no_memory(err)
                      : begin_one(c, "trial", input.data, input.len, &e, err);
    if (!rc)
        rc = expect(e, input.data, err);
    buf_free(&input);
    return rc;
}

static bool await_hold(couple *c)
{
    struct timespec until;
    int rc;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    while ((rc = sem_timedwait(&c->held, &until)) && errno == EINTR)
        ;
    return rc == 0;
}

/* Connections break while steps run: they are found again, and run once. */
static int32_t run_cut(couple *c, orch_error **err)
{
    const orch_transport_subject *s = c->trial->subject;
    orch_execution *e = NULL;
    int32_t rc = begin_one(c, "held", "{\"n\":1}", 7, &e, err);

    if (!rc && !await_hold(c))
        rc = error_set(err, ORCH_E_DEADLINE_EXCEEDED, NULL, "a step was never begun");
    if (!rc)
        s->cut(s->user_data);
    sem_post(&c->release);
    if (rc)
        orch_execution_free(e);
    else
        rc = expect(e, "{\"n\":1}", err);
    if (!rc && atomic_load(&c->holds) != 1)
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, NULL, "a step was run %d times",
                       atomic_load(&c->holds));
    return rc;
}

static void close_couple(couple *c)
{
    orch_v2_free(c->orch);
    orch_engine_free(c->engine);
    sem_destroy(&c->held);
    sem_destroy(&c->release);
}

static void try_couple(trial *t, const char *rule, int32_t (*run)(couple *c, orch_error **err))
{
    couple c = {.trial = t};
    orch_error *error = NULL;
    orch_config *config = config_of(&error);
    int32_t rc;

    sem_init(&c.held, 0, 0);
    sem_init(&c.release, 0, 0);
    rc = config ? open_engine(&c, config, &error) : ORCH_E_RESOURCE_EXHAUSTED;
    if (!rc)
        rc = open_orchestrator(&c, config, &error);
    orch_config_free(config);
    if (!rc)
        rc = run(&c, &error);
    close_couple(&c);
    report(t, rule, rc ? orch_error_message(error) : "");
    orch_error_free(error);
}

static void try_executions(trial *t)
{
    static const char cut_rule[] = "steps that run while a connection breaks are run once";

    try_couple(t, "executions have their results", run_many);
    try_couple(t, "payloads may be long", run_large);
    if (t->subject->cut)
        try_couple(t, cut_rule, run_cut);
    else
        report(t, cut_rule, NULL);
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static int32_t check(const orch_transport_subject *s, orch_error **err)
{
    int32_t rc = check_not_null(s, "subject", err);

    if (!rc && s->size < sizeof *s)
        rc = error_set(
            err, ORCH_E_INVALID_ARGUMENT, "subject",
            "subject.size is %u; it must be sizeof(orch_transport_subject), which is %zu", s->size,
            sizeof *s);
    if (!rc)
        rc = check_transport(s->name, s->ops, err);
    if (!rc)
        rc = check_not_null(s->address, "subject.address", err);
    if (!rc)
        rc = check_not_null(s->nobody, "subject.nobody", err);
    return rc ? rc : check_given(s->begin != NULL, "subject.begin", err);
}

static char *endpoint_of(const char *name, const char *address)
{
    buf text = BUF_INIT;

    buf_printf(&text, "%s:%s", name, address);
    return buf_take(&text);
}

int32_t orch_testing_transport(const orch_transport_subject *subject, orch_error **err)
{
    trial t = {.subject = subject};
    int32_t rc = check(subject, err);

    if (rc)
        return rc;
    t.endpoint = endpoint_of(subject->name, subject->address);
    t.nobody = endpoint_of(subject->name, subject->nobody);
    if (t.endpoint && t.nobody) {
        sem_init(&t.woken, 0, 0);
        try_port(&t);
        try_executions(&t);
        sem_destroy(&t.woken);
        if (t.failed)
            rc = error_set(err, ORCH_E_FAILED_PRECONDITION, subject->name,
                           "transport %s: %u rules do not hold, the first of them: %s",
                           subject->name, t.failed, t.first);
    } else {
        rc = error_no_memory(err);
    }
    mem_free(t.endpoint);
    mem_free(t.nobody);
    return rc;
}
