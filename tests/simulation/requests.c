#include "simulation/requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "simulation/trace.h"

static uint32_t open_requests;

typedef struct from { /* whom it was asked */
    node *node;
    uint32_t incarnation;
} from;

void requests_begin(void)
{
    open_requests = 0;
}

uint32_t requests_open(void)
{
    return open_requests;
}

static void *new_request(size_t size)
{
    void *r = calloc(1, size);

    if (!r)
        abort();
    open_requests++;
    return r;
}

static void free_request(void *r)
{
    open_requests--;
    free(r);
}

static bool counts(from f)
{
    return f.node->up && f.node->incarnation == f.incarnation;
}

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

static bytes *text(const char *s)
{
    return s ? bytes_new(s, strlen(s)) : NULL;
}

/* ---- waiting for ends ------------------------------------------------------------------------------------ */

typedef struct wait {
    end_waiter waiter; /* first */
    from from;
} wait;

static void end_told(end_waiter *w, int32_t code, outcome *o)
{
    wait *own = (wait *)w;

    if (counts(own->from))
        model_end_told(w->key, code, o);
    free_request(own);
}

static wait *new_wait(node *n)
{
    wait *w = new_request(sizeof *w);

    w->from = (from){n, n->incarnation};
    w->waiter.done = end_told;
    return w;
}

void request_wait(node *n, execution *e)
{
    orchestrator_wait(n->orchestrator, execution_key(e), &new_wait(n)->waiter);
    node_wake(n);
}

/* ---- starts ---------------------------------------------------------------------------------------------- */

typedef struct start {
    start_request request; /* first */
    from from;
    bool bad_input;
} start;

static void started(start_request *r)
{
    start *s = (start *)r;

    if (counts(s->from)) {
        trace("start of %s is answered: %s", r->workflow, r->code ? orch_code_name(r->code) : "OK");
        if (!r->code && !r->existed && s->bad_input)
            broken("Bad input is an error", "%s took it", r->workflow);
        if (!r->code)
            model_start_answered(r, r->start_at_ms);
    }
    if (r->code && r->waiter)
        free_request(r->waiter);
    mem_free(r->workflow);
    semver_range_free(r->range);
    mem_free(r->id);
    bytes_unref(r->input);
    mem_free(r->limit_key);
    mem_free(r->start_key);
    orch_error_free(r->error);
    free_request(s);
}

void request_start(node *n, const start_wish *w)
{
    start *s = new_request(sizeof *s);
    start_request *r = &s->request;

    s->from = (from){n, n->incarnation};
    s->bad_input = w->bad_input;
    r->done = started;
    r->workflow = copy(w->workflow);
    if (w->range && semver_range_parse(w->range, &r->range, NULL))
        abort();
    r->id = copy(w->id);
    r->input = text(w->input);
    r->timeout_ms = w->timeout_ms;
    r->start_at_ms = w->start_at_ms;
    r->has_priority = w->has_priority;
    r->priority = w->priority;
    r->limit_key = copy(w->limit_key);
    r->start_key = copy(w->start_key);
    r->start_key_policy = w->key_policy;
    if (w->waits)
        r->waiter = &new_wait(n)->waiter;
    trace("start %s%s%s", w->workflow, w->id ? " as " : "", w->id ? w->id : "");
    orchestrator_start(n->orchestrator, r);
    node_wake(n);
}

/* ---- control --------------------------------------------------------------------------------------------- */

typedef struct control {
    control_request request; /* first */
    from from;
    execution *execution;
    uint32_t before; /* how many of it were stored */
    uint64_t signal;
} control;

static const char *const names[] = {"cancel",   "terminate", "signal", "pause", "resume",
                                    "priority", "retry",     "rerun",  "fork"};

static void check_stored(const control *c)
{
    const control_request *r = &c->request;
    uint32_t now = r->action == CONTROL_CANCEL
                       ? execution_cancels(c->execution)
                       : execution_pauses(c->execution, r->action == CONTROL_PAUSE);

    if (now == c->before)
        broken("Commit before effect: an answer comes after the store has it",
               "%s of %s was answered, and is not stored", names[r->action],
               execution_id(c->execution));
}

static void controlled(control_request *r)
{
    control *c = (control *)r;
    bool pauses = r->action == CONTROL_PAUSE || r->action == CONTROL_RESUME;

    if (pauses)
        execution_pause_answered(c->execution, counts(c->from) && !r->code,
                                 r->action == CONTROL_PAUSE);
    if (counts(c->from)) {
        trace("%s of %s is answered: %s", names[r->action], r->id,
              r->code ? orch_code_name(r->code) : "OK");
        if (!r->code && (pauses || r->action == CONTROL_CANCEL))
            check_stored(c);
        if (r->action == CONTROL_SIGNAL)
            model_signal_answered(c->signal, r->code);
        if (!r->code && r->action == CONTROL_FORK && !model_find(r->key))
            broken("Accepted is never lost", "a fork of %s is not stored", r->id);
    }
    mem_free(r->id);
    mem_free(r->who);
    mem_free(r->name);
    bytes_unref(r->correlation);
    bytes_unref(r->payload);
    mem_free(r->step);
    mem_free(r->new_id);
    orch_error_free(r->error);
    free_request(c);
}

static control *new_control(node *n, execution *e, const control_request *from_request)
{
    control *c = new_request(sizeof *c);

    c->request = *from_request;
    c->from = (from){n, n->incarnation};
    c->execution = e;
    c->request.done = controlled;
    c->request.id = copy(execution_id(e));
    c->request.who = copy("sim");
    return c;
}

void request_control(node *n, execution *e, control_request r, const char *step, const char *new_id)
{
    control *c = new_control(n, e, &r);
    bool pauses = r.action == CONTROL_PAUSE || r.action == CONTROL_RESUME;

    c->request.step = copy(step);
    c->request.new_id = copy(new_id);
    c->before = pauses ? execution_pauses(e, r.action == CONTROL_PAUSE) : execution_cancels(e);
    if (pauses)
        execution_pause_asked(e);
    trace("%s %s%s%s", names[r.action], execution_id(e), step ? " from " : "", step ? step : "");
    orchestrator_control(n->orchestrator, &c->request);
    node_wake(n);
}

void request_signal(node *n, execution *e, uint8_t signal, bool correlated)
{
    control_request r = {.action = CONTROL_SIGNAL};
    control *c = new_control(n, e, &r);
    char name[16], value[24];

    c->signal = model_signal_new(execution_key(e), signal, correlated);
    snprintf(name, sizeof name, "sig%u", (unsigned)signal);
    c->request.name = copy(name);
    snprintf(value, sizeof value, "%" PRIu64, c->signal);
    c->request.payload = text(value);
    if (correlated) {
        snprintf(value, sizeof value, "\"c%u\"", (unsigned)signal);
        c->request.correlation = text(value);
    }
    trace("signal %s to %s, %" PRIu64, name, execution_id(e), c->signal);
    orchestrator_control(n->orchestrator, &c->request);
    node_wake(n);
}

/* ---- settings, registrations ------------------------------------------------------------------------------ */

typedef struct setting {
    setting_request request; /* first */
    from from;
} setting;

static void was_set(setting_request *r)
{
    setting *s = (setting *)r;

    if (counts(s->from))
        trace("a setting is answered: %s", r->code ? orch_code_name(r->code) : "OK");
    mem_free(r->workflow);
    mem_free(r->limit_key);
    orch_error_free(r->error);
    free_request(s);
}

void request_setting(node *n, const char *workflow, const char *limit_key, bool paused, limit limit)
{
    setting *s = new_request(sizeof *s);

    s->from = (from){n, n->incarnation};
    s->request = (setting_request){
        .workflow = copy(workflow),
        .limit_key = copy(limit_key),
        .paused = paused,
        .limit = limit,
        .done = was_set,
    };
    trace("%s %s%s",
          limit_key ? "limit"
          : paused  ? "pause"
                    : "resume",
          workflow ? workflow : "", limit_key ? limit_key : "");
    orchestrator_set(n->orchestrator, &s->request);
    node_wake(n);
}

typedef struct registration {
    register_request request; /* first */
    from from;
    const described *d;
} registration;

static void registered(register_request *r)
{
    registration *g = (registration *)r;

    if (counts(g->from) && !r->code && !g->d->key)
        broken("Commit before effect: an answer comes after the store has it",
               "w%u 1.%u.0 was registered, and is not stored", (unsigned)g->d->workflow,
               (unsigned)g->d->version);
    definition_unref(r->definition);
    orch_error_free(r->error);
    free_request(g);
}

void request_register(node *n, const described *d)
{
    registration *g = new_request(sizeof *g);

    g->from = (from){n, n->incarnation};
    g->d = d;
    g->request.done = registered;
    if (definition_parse(d->text, strlen(d->text), NULL, &g->request.definition, NULL))
        abort();
    orchestrator_register(n->orchestrator, &g->request);
    node_wake(n);
}
