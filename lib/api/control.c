/* Control over executions: each call is checked here, done on the loop, and answered once it is stored. */
#include <string.h>

#include "api/api_impl.h"
#include "base/text.h"

#define WHO_MAX_BYTES     256
#define WHY_MAX_BYTES     4096
#define CORRELATION_BYTES 4096

struct orch_control {
    char *who, *why;
};

orch_control *orch_control_new(void)
{
    return mem_zalloc(sizeof(orch_control));
}

void orch_control_free(orch_control *control)
{
    if (!control)
        return;
    mem_free(control->who);
    mem_free(control->why);
    mem_free(control);
}

static int32_t set_text(char **into, const char *text, size_t max_bytes)
{
    char *copy = NULL;

    if (text && (strlen(text) > max_bytes || !text_is_utf8(text, strlen(text))))
        return ORCH_E_INVALID_ARGUMENT;
    if (text) {
        copy = mem_strdup(text);
        if (!copy)
            return ORCH_E_RESOURCE_EXHAUSTED;
    }
    mem_free(*into);
    *into = copy;
    return 0;
}

int32_t orch_control_set_who(orch_control *control, const char *who)
{
    return control ? set_text(&control->who, who, WHO_MAX_BYTES) : ORCH_E_INVALID_ARGUMENT;
}

int32_t orch_control_set_why(orch_control *control, const char *why)
{
    return control ? set_text(&control->why, why, WHY_MAX_BYTES) : ORCH_E_INVALID_ARGUMENT;
}

void control_borrow(const orch_control *control, char **who, char **why)
{
    *who = control ? control->who : NULL;
    *why = control ? control->why : NULL;
}

/* ---- the way to the loop and back ------------------------------------------------------------------------ */

typedef struct control_call {
    command command; /* first */
    control_request request;
    sem_t done;
} control_call;

static void run_command(command *c, runtime *rt)
{
    control_call *k = (control_call *)c;

    orchestrator_control(runtime_orchestrator(rt), &k->request);
}

static void on_answer(control_request *r)
{
    sem_post(&LIST_ENTRY(r, control_call, request)->done);
}

static int32_t ask(orch_v2 *o, control_call *c, orch_error **err)
{
    int32_t rc;

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

static int32_t copy(const char *text, char **out, orch_error **err)
{
    if (!text)
        return 0;
    *out = mem_strdup(text);
    return *out ? 0 : error_no_memory(err);
}

/* What every call begins with. */
static int32_t prepare(orch_v2 *o, const char *id, const orch_control *control, control_call *c,
                       orch_error **err)
{
    int32_t rc = check_running(o, err);

    c->command.run = run_command;
    c->request.done = on_answer;
    if (!rc)
        rc = check_execution_id(id, err);
    if (!rc)
        rc = check_may_ask(o, err);
    if (!rc)
        rc = copy(id, &c->request.id, err);
    if (!rc && control)
        rc = copy(control->who, &c->request.who, err);
    if (!rc && control)
        rc = copy(control->why, &c->request.why, err);
    return rc;
}

/* `rc`: of the preparations. */
static int32_t finish(orch_v2 *o, control_call *c, int32_t rc, orch_error **err)
{
    control_request *r = &c->request;

    if (!rc)
        rc = ask(o, c, err);
    mem_free(r->id);
    mem_free(r->who);
    mem_free(r->why);
    mem_free(r->name);
    mem_free(r->step);
    mem_free(r->new_id);
    bytes_unref(r->correlation);
    bytes_unref(r->payload);
    semver_range_free(r->range);
    return rc;
}

static int32_t plain(orch_v2 *o, enum control_action action, const char *id,
                     const orch_control *control, orch_error **err)
{
    control_call c = {.request.action = (uint8_t)action};

    return finish(o, &c, prepare(o, id, control, &c, err), err);
}

/* ---- the calls ------------------------------------------------------------------------------------------- */

int32_t orch_v2_cancel(orch_v2 *orch, const char *execution_id, const orch_control *control,
                       orch_error **err)
{
    return plain(orch, CONTROL_CANCEL, execution_id, control, err);
}

int32_t orch_v2_terminate(orch_v2 *orch, const char *execution_id, const orch_control *control,
                          orch_error **err)
{
    return plain(orch, CONTROL_TERMINATE, execution_id, control, err);
}

int32_t orch_v2_pause(orch_v2 *orch, const char *execution_id, const orch_control *control,
                      orch_error **err)
{
    return plain(orch, CONTROL_PAUSE, execution_id, control, err);
}

int32_t orch_v2_resume(orch_v2 *orch, const char *execution_id, const orch_control *control,
                       orch_error **err)
{
    return plain(orch, CONTROL_RESUME, execution_id, control, err);
}

int32_t orch_v2_retry(orch_v2 *orch, const char *execution_id, const orch_control *control,
                      orch_error **err)
{
    return plain(orch, CONTROL_RETRY, execution_id, control, err);
}

int32_t orch_v2_set_priority(orch_v2 *orch, const char *execution_id, int32_t priority,
                             const orch_control *control, orch_error **err)
{
    control_call c = {.request.action = CONTROL_PRIORITY};
    int32_t rc = prepare(orch, execution_id, control, &c, err);

    if (!rc && (priority < 0 || priority >= PRIORITIES))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "priority",
                       "priority is %d; it must be 0 to %d", priority, PRIORITIES - 1);
    c.request.priority = (uint8_t)priority;
    return finish(orch, &c, rc, err);
}

static int32_t check_correlation(const char *text, bytes **out, orch_error **err)
{
    int32_t rc = text ? check_json(text, strlen(text), "correlation_json", CORRELATION_BYTES, false,
                                   out, err)
                      : 0;

    if (!rc && *out && (*(*out)->data == '{' || *(*out)->data == '['))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "correlation_json",
                       "correlation_json is %s; it must be a string, a number or a boolean",
                       *(*out)->data == '{' ? "an object" : "a list");
    return rc;
}

int32_t orch_v2_signal(orch_v2 *orch, const char *execution_id, const char *name,
                       const char *payload_json, size_t len, const char *correlation_json,
                       const orch_control *control, orch_error **err)
{
    control_call c = {.request.action = CONTROL_SIGNAL};
    int32_t rc = prepare(orch, execution_id, control, &c, err);

    if (!rc)
        rc = check_name(name, "name", err);
    if (!rc)
        rc = copy(name, &c.request.name, err);
    if (!rc && payload_json)
        rc = check_json(payload_json, len, "payload_json", orch->max_input_bytes, false,
                        &c.request.payload, err);
    if (!rc)
        rc = payload_encode(orch, &c.request.payload, err);
    if (!rc)
        rc = check_correlation(correlation_json, &c.request.correlation, err);
    return finish(orch, &c, rc, err);
}

int32_t orch_v2_rerun(orch_v2 *orch, const char *execution_id, const char *step,
                      const orch_control *control, orch_error **err)
{
    control_call c = {.request.action = CONTROL_RERUN};
    int32_t rc = prepare(orch, execution_id, control, &c, err);

    if (!rc)
        rc = check_name(step, "step", err);
    if (!rc)
        rc = copy(step, &c.request.step, err);
    return finish(orch, &c, rc, err);
}

static int32_t prepare_fork(control_request *r, const char *new_id, const char *version,
                            const char *step, orch_error **err)
{
    int32_t rc = new_id ? execution_id_check(new_id, err) : 0;

    if (!rc)
        rc = copy(new_id, &r->new_id, err);
    if (!rc && version)
        rc = semver_range_parse(version, &r->range, err);
    if (!rc && step)
        rc = check_name(step, "step", err);
    if (!rc)
        rc = copy(step, &r->step, err);
    return rc;
}

int32_t orch_v2_fork(orch_v2 *orch, const char *execution_id, const char *new_id,
                     const char *version, const char *step, const orch_control *control,
                     orch_execution **out_execution, orch_error **err)
{
    control_call c = {.request.action = CONTROL_FORK};
    int32_t rc = prepare(orch, execution_id, control, &c, err);
    orch_execution *e = NULL;

    if (!rc)
        rc = prepare_fork(&c.request, new_id, version, step, err);
    if (!rc && out_execution) {
        e = handle_new(orch, new_id);
        if (!e)
            rc = error_no_memory(err);
    }
    rc = finish(orch, &c, rc, err);
    if (!rc && e) {
        handle_set_key(e, c.request.key);
        *out_execution = e;
    } else if (e) {
        orch_execution_free(e);
    }
    return rc;
}
