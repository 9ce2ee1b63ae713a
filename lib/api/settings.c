/* What holds for many executions: checked here, done on the loop, answered once it is stored. */
#include <string.h>

#include "api/api_impl.h"

#define CONCURRENCY_MAX 10000000
#define RATE_MAX        1000000
#define PER_MAX_MS      (30LL * 24 * 3600 * 1000)

/* ---- the way to the loop and back ------------------------------------------------------------------------ */

typedef struct setting_call {
    command command; /* first */
    setting_request request;
    sem_t done;
} setting_call;

static void on_answer(setting_request *r)
{
    sem_post(&LIST_ENTRY(r, setting_call, request)->done);
}

static void run_command(command *c, runtime *rt)
{
    orchestrator_set(runtime_orchestrator(rt), &((setting_call *)c)->request);
}

static int32_t ask(orch_v2 *o, setting_call *c, orch_error **err)
{
    int32_t rc;

    c->command.run = run_command;
    c->request.done = on_answer;
    sem_init(&c->done, 0, 0);
    orch_ref(o);
    rc = runtime_post(o->rt, &c->command, err);
    if (!rc) {
        while (sem_wait(&c->done))
            ;
        rc = pass_error(c->request.code, c->request.error, err);
    }
    orch_unref(o);
    sem_destroy(&c->done);
    return rc;
}

/* The texts live for as long as the call. */
static int32_t set(orch_v2 *o, const setting_request *r, const char *workflow, const char *version,
                   const char *limit_key, const orch_control *control, orch_error **err)
{
    setting_call c = {.request = *r};
    int32_t rc = replace_text(&c.request.workflow, workflow);

    if (!rc)
        rc = replace_text(&c.request.version, version);
    if (!rc)
        rc = replace_text(&c.request.limit_key, limit_key);
    control_borrow(control, &c.request.who, &c.request.why);
    rc = rc ? error_no_memory(err) : ask(o, &c, err);
    mem_free(c.request.workflow);
    mem_free(c.request.version);
    mem_free(c.request.limit_key);
    return rc;
}

static int32_t check_loop(orch_v2 *o, orch_error **err)
{
    int32_t rc = check_running(o, err);

    return rc ? rc : check_may_ask(o, err);
}

/* What the loop knows, asked in one turn. */
typedef struct look_call {
    command command; /* first */
    const char *name;
    bool paused;
    limit limit;
    sem_t done;
} look_call;

static int32_t look(orch_v2 *o, look_call *c, void (*run)(command *c, runtime *rt),
                    orch_error **err)
{
    int32_t rc;

    c->command.run = run;
    sem_init(&c->done, 0, 0);
    orch_ref(o);
    rc = runtime_post(o->rt, &c->command, err);
    while (!rc && sem_wait(&c->done))
        ;
    orch_unref(o);
    sem_destroy(&c->done);
    return rc;
}

/* ---- paused workflows ------------------------------------------------------------------------------------ */

static int32_t set_paused(orch_v2 *o, const char *workflow, bool paused,
                          const orch_control *control, orch_error **err)
{
    setting_request r = {.paused = paused};
    int32_t rc = check_loop(o, err);

    if (!rc && workflow)
        rc = check_name(workflow, "workflow", err);
    return rc ? rc : set(o, &r, workflow, NULL, NULL, control, err);
}

int32_t orch_v2_pause_workflow(orch_v2 *orch, const char *workflow, const orch_control *control,
                               orch_error **err)
{
    return set_paused(orch, workflow, true, control, err);
}

int32_t orch_v2_resume_workflow(orch_v2 *orch, const char *workflow, const orch_control *control,
                                orch_error **err)
{
    return set_paused(orch, workflow, false, control, err);
}

static void look_at_pause(command *c, runtime *rt)
{
    look_call *l = (look_call *)c;

    l->paused = orchestrator_is_paused(runtime_orchestrator(rt), l->name);
    sem_post(&l->done);
}

int32_t orch_v2_get_workflow_paused(orch_v2 *orch, const char *workflow, int32_t *out_paused,
                                    orch_error **err)
{
    look_call c = {.name = workflow};
    int32_t rc = check_loop(orch, err);

    if (!rc && workflow)
        rc = check_name(workflow, "workflow", err);
    if (!rc)
        rc = check_not_null(out_paused, "out_paused", err);
    if (!rc)
        rc = look(orch, &c, look_at_pause, err);
    if (!rc)
        *out_paused = c.paused;
    return rc;
}

/* ---- deleted versions ------------------------------------------------------------------------------------ */

int32_t orch_v2_delete_workflow(orch_v2 *orch, const char *workflow, const char *version,
                                const orch_control *control, orch_error **err)
{
    const setting_request r = {0};
    semver v;
    int32_t rc = check_loop(orch, err);

    if (!rc)
        rc = check_name(workflow, "workflow", err);
    if (!rc)
        rc = check_not_null(version, "version", err);
    if (!rc)
        rc = semver_parse(version, &v, err);
    return rc ? rc : set(orch, &r, workflow, version, NULL, control, err);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

struct orch_limit {
    limit limit;
};

orch_limit *orch_limit_new(void)
{
    return mem_zalloc(sizeof(orch_limit));
}

void orch_limit_free(orch_limit *limit)
{
    mem_free(limit);
}

int32_t orch_limit_set_concurrency(orch_limit *limit, uint32_t executions)
{
    if (!limit || executions > CONCURRENCY_MAX)
        return ORCH_E_INVALID_ARGUMENT;
    limit->limit.concurrency = executions;
    return 0;
}

int32_t orch_limit_set_rate(orch_limit *limit, uint32_t executions, int64_t per_ms, uint32_t burst)
{
    if (!limit || executions > RATE_MAX || burst > RATE_MAX || per_ms < 0 || per_ms > PER_MAX_MS ||
        (executions ? !per_ms : per_ms || burst))
        return ORCH_E_INVALID_ARGUMENT;
    limit->limit.rate = executions;
    limit->limit.per_ms = per_ms;
    limit->limit.burst = burst;
    return 0;
}

int64_t orch_limit_get(const orch_limit *limit, const char *name)
{
    if (!limit || !name)
        return -1;
    if (!strcmp(name, "concurrency"))
        return limit->limit.concurrency;
    if (!strcmp(name, "rate"))
        return limit->limit.rate;
    if (!strcmp(name, "per_ms"))
        return limit->limit.per_ms;
    return strcmp(name, "burst") ? -1 : (int64_t)limit->limit.burst;
}

int32_t orch_v2_set_limit(orch_v2 *orch, const char *key, const orch_limit *limit,
                          const orch_control *control, orch_error **err)
{
    setting_request r = {0};
    int32_t rc = check_loop(orch, err);

    if (!rc)
        rc = check_key(key, "key", err);
    if (rc)
        return rc;
    if (limit)
        r.limit = limit->limit;
    return set(orch, &r, NULL, NULL, key, control, err);
}

static void look_at_limit(command *c, runtime *rt)
{
    look_call *l = (look_call *)c;

    l->limit = orchestrator_get_limit(runtime_orchestrator(rt), l->name);
    sem_post(&l->done);
}

int32_t orch_v2_get_limit(orch_v2 *orch, const char *key, orch_limit **out_limit, orch_error **err)
{
    look_call c = {.name = key};
    orch_limit *l;
    int32_t rc = check_loop(orch, err);

    if (!rc)
        rc = check_key(key, "key", err);
    if (!rc)
        rc = check_not_null(out_limit, "out_limit", err);
    if (!rc)
        rc = look(orch, &c, look_at_limit, err);
    if (rc)
        return rc;
    l = orch_limit_new();
    if (!l)
        return error_no_memory(err);
    l->limit = c.limit;
    *out_limit = l;
    return 0;
}
