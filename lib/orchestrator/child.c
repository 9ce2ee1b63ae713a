/* Parents and children: a step's child is started like any other execution, its end goes into its parent's inbox in the
 * unit that ends it. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

/* ---- the end of a child, told to its parent -------------------------------------------------------------- */

static void make_notice(const parent_link *p, const execution_update *end, int64_t now_ms,
                        inbox_item *item, store_unit *u)
{
    if (p->by_task || MUTATED(CHILD_END_UNTOLD))
        return; /* whoever waits for it does so by itself */
    *item = (inbox_item){
        .kind = INBOX_CHILD_ENDED,
        .state = end->state,
        .step = p->step,
        .index = p->index,
        .attempt = p->attempt,
        .at_ms = now_ms,
        .payload = bytes_ref(end->state == EXECUTION_SUCCEEDED ? end->output : end->error),
    };
    u->notify = item;
    u->notify_key = p->key;
    u->notify_run = p->run;
    u->notify_urgency = end->state == EXECUTION_SUCCEEDED ? INBOX_COUNTED : INBOX_URGENT;
}

void child_notice(const live *l, const execution_update *end, inbox_item *item, store_unit *u)
{
    if (l->parent)
        make_notice(l->parent, end, l->o->now_ms, item, u);
}

void child_notice_of_row(const execution_row *row, const execution_update *end, inbox_item *item,
                         store_unit *u)
{
    parent_link p = {.key = row->parent,
                     .run = row->parent_run,
                     .step = row->parent_step,
                     .index = row->parent_index,
                     .attempt = row->parent_attempt,
                     .by_task = row->by_task};

    if (row->parent)
        make_notice(&p, end, end->ended_ms, item, u);
}

void child_told(orchestrator *o, const store_unit *u)
{
    if (u->notify && u->notify->seq)
        inbox_stored(o, u->notify_key, u->notify, u->notify_woke);
}

/* ---- starting one ---------------------------------------------------------------------------------------- */

typedef struct child_start {
    start_request request; /* first */
    orchestrator *o;
    uint64_t parent; /* key */
    uint32_t run;    /* of the parent */
    epoch epoch;     /* of the hand-over that asked */
    message_child *child;
    list link;                   /* in o->children_starting */
    struct own_control *cancels; /* of this child, that came meanwhile */
} child_start;

static void cancel_all(struct own_control *c);

/* A cancel that was asked for meanwhile finds it now, or finds that it is not there. */
static void start_free(child_start *s)
{
    struct own_control *cancels = s->cancels;

    list_remove(&s->link);
    mem_free(s->request.workflow);
    semver_range_free(s->request.range);
    mem_free(s->request.id);
    bytes_unref(s->request.input);
    parent_link_free(s->request.parent);
    orch_error_free(s->request.error);
    message_child_free(s->child);
    mem_free(s);
    cancel_all(cancels);
}

static live *asker(const child_start *s)
{
    live *l = live_find(s->o, s->parent);

    return l && epoch_compare(l->epoch, s->epoch) == 0 ? l : NULL;
}

/* Takes the message's child over. */
static void send_refusal(live *l, message_child *child, int32_t code, const char *why)
{
    message *m = message_new(MESSAGE_CHILD_REFUSED, l->epoch);

    child->code = code;
    child->no_retry = code == ORCH_E_INVALID_ARGUMENT || code == ORCH_E_FAILED_PRECONDITION;
    bytes_unref(child->error);
    child->error = end_error(code, why);
    if (!m) {
        message_child_free(child);
        dispatch_later(l); /* it asks again when it is handed over again */
        return;
    }
    m->child = child;
    l->refusals++;
    channel_send(l->channel, m);
}

static void decided(child_start *s, int32_t code, const char *why)
{
    live *l = asker(s);

    if (l && code && l->phase == PHASE_HANDED) {
        report_suspension_void(l);
        send_refusal(l, s->child, code, why);
        s->child = NULL;
    }
    l = asker(s); /* a refusal that could not be sent ends the hand-over */
    start_free(s);
    if (l) {
        l->children_asked--;
        report_suspension_again(l);
    }
}

/* It cannot be known now whether the child is there: the next hand-over asks again. */
static void undecided(child_start *s)
{
    live *l = asker(s);

    start_free(s);
    if (!l)
        return;
    l->children_asked--;
    if (l->phase == PHASE_HANDED && !l->o->stopping)
        dispatch_later(l);
}

/* Whether the execution that has the id is the one that was asked for, and was started before. */
static void existing_read(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    child_start *s = ctx;
    const message_child *c = s->child;

    if (code == ORCH_E_NOT_FOUND && s->request.code != ORCH_E_ALREADY_EXISTS)
        decided(s, s->request.code, orch_error_message(s->request.error));
    else if (code == ORCH_E_NOT_FOUND)
        decided(s, code, orch_error_message(error));
    else if (code)
        undecided(s);
    else if (row->parent == s->parent && row->parent_run == s->run && row->parent_step == c->step &&
             row->parent_index == c->index && row->parent_attempt == c->attempt)
        decided(s, 0, NULL);
    else
        decided(s, ORCH_E_ALREADY_EXISTS, "another execution has the id of this child");
}

/* What could not be recorded for a moment may have been started before, and run: it is asked for again after each hand-over. */
static void started(start_request *r)
{
    child_start *s = (child_start *)r;

    if (r->code == ORCH_E_ALREADY_EXISTS || refusal_passes(r->code))
        reads_row(s->o, 0, s->child->id, existing_read, s);
    else
        decided(s, r->code, r->code ? orch_error_message(r->error) : NULL);
}

int32_t child_join(start_request *r, const live *l, orch_error **err)
{
    parent_link *p = r->parent;

    p->key = l->key;
    p->run = l->run;
    p->depth = l->parent ? l->parent->depth + 1 : 1;
    if (p->depth > CHILD_DEPTH_MAX)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, r->workflow,
                         "workflow '%s' would be the %uth execution within another; at most %d are "
                         "allowed",
                         r->workflow, p->depth, CHILD_DEPTH_MAX);
    return 0;
}

/* It may have waited for its definition. That the parent is open when it is accepted, the store looks at. */
bool child_is_wanted(const orchestrator *o, const parent_link *p)
{
    const live *l = live_find(o, p->key);

    return l && l->run == p->run;
}

static int32_t fill_request(child_start *s, const live *l, orch_error **err)
{
    start_request *r = &s->request;
    child_spec *spec = &s->child->spec;
    char made[EXECUTION_ID_LEN + 1];
    int32_t rc;

    r->done = started;
    r->workflow = spec->workflow;
    spec->workflow = NULL;
    r->id = mem_strdup(s->child->id);
    r->input = bytes_ref(spec->inputs);
    r->timeout_ms = spec->timeout_ms;
    r->has_priority = true;
    r->priority = spec->priority < 0 ? l->priority : (uint8_t)spec->priority;
    r->parent = parent_link_new(live_id(l, made));
    if (!r->workflow || !r->id || !r->parent)
        return error_no_memory(err);
    r->parent->step = s->child->step;
    r->parent->index = s->child->index;
    r->parent->attempt = s->child->attempt;
    r->parent->abandoned = spec->on_cancel == CHILD_ABANDON;
    rc = child_join(r, l, err);
    return !rc && spec->version ? semver_range_parse(spec->version, &r->range, err) : rc;
}

void child_start_asked(live *l, message *m)
{
    child_start *s = mem_zalloc(sizeof *s);
    orch_error *error = NULL;
    int32_t code;

    if (!s) {
        dispatch_later(l);
        return;
    }
    s->o = l->o;
    s->parent = l->key;
    s->run = l->run;
    s->epoch = l->epoch;
    s->child = m->child;
    m->child = NULL;
    list_push(&l->o->children_starting, &s->link);
    l->children_asked++;
    code = fill_request(s, l, &error);
    if (code)
        decided(s, code, orch_error_message(error));
    else
        orchestrator_start(s->o, &s->request);
    orch_error_free(error);
}

/* ---- ending them ----------------------------------------------------------------------------------------- */

/* A control of our own. */
typedef struct own_control {
    control_request request; /* first */
    orchestrator *o;
    uint64_t parent; /* whose engine asked; 0 = none */
    epoch epoch;
    message_child *child;
    void (*told)(void *ctx, int32_t code); /* NULL = nobody wants to know */
    void *ctx;
    struct own_control *next; /* of child_start.cancels */
} own_control;

static void own_free(own_control *c)
{
    mem_free(c->request.id);
    mem_free(c->request.why);
    orch_error_free(c->request.error);
    message_child_free(c->child);
    mem_free(c);
}

static live *canceller(const own_control *c)
{
    live *l = c->parent ? live_find(c->o, c->parent) : NULL;

    return l && epoch_compare(l->epoch, c->epoch) == 0 ? l : NULL;
}

static void cancel_all(own_control *c)
{
    while (c) {
        own_control *next = c->next;

        orchestrator_control(c->o, &c->request);
        c = next;
    }
}

/* The start of that child is on its way, maybe of an earlier hand-over: only then is it known whether it is there. */
static bool waits_for_start(own_control *c)
{
    LIST_EACH(it, &c->o->children_starting)
    {
        child_start *s = LIST_ENTRY(it, child_start, link);

        if (strcmp(s->child->id, c->request.id) != 0)
            continue;
        c->next = s->cancels;
        s->cancels = c;
        return true;
    }
    return false;
}

/* A refusal that passes: the next hand-over asks again. */
static void cancel_refused(const own_control *c)
{
    const control_request *r = &c->request;
    live *l = canceller(c);

    log_write(c->o->ports.log, ORCH_LOG_ERROR, "execution %s: its parent's end was not told: %s",
              r->id, r->error ? orch_error_message(r->error) : orch_code_name(r->code));
    if (l && l->phase == PHASE_HANDED && refusal_passes(r->code) && !c->o->stopping)
        dispatch_later(l);
}

/* One that was never started is reported to the engine that waits for its end; one that has ended is in its inbox. */
static void own_done(control_request *r)
{
    own_control *c = (own_control *)r;
    live *l = canceller(c);

    if (l && r->code == ORCH_E_NOT_FOUND && l->phase == PHASE_HANDED) {
        report_suspension_void(l);
        send_refusal(l, c->child, r->code, "it was never started");
        c->child = NULL;
    } else if (r->code && r->code != ORCH_E_NOT_FOUND && r->code != ORCH_E_FAILED_PRECONDITION) {
        cancel_refused(c);
    }
    if (c->told)
        c->told(c->ctx, r->code);
    l = canceller(c); /* a refusal that could not be sent ends the hand-over */
    own_free(c);
    if (l) {
        l->children_asked--;
        report_suspension_again(l);
    }
}

static own_control *own_new(orchestrator *o, const char *id, enum control_action action,
                            const char *why)
{
    own_control *c = mem_zalloc(sizeof *c);

    if (!c)
        return NULL;
    c->o = o;
    c->request.action = (uint8_t)action;
    c->request.done = own_done;
    c->request.id = mem_strdup(id);
    c->request.why = why ? mem_strdup(why) : NULL;
    if (c->request.id && (c->request.why || !why))
        return c;
    own_free(c);
    return NULL;
}

void child_cancel_asked(live *l, message *m)
{
    own_control *c = own_new(l->o, m->child->id, CONTROL_CANCEL, "its parent was cancelled");

    if (!c) {
        dispatch_later(l);
        return;
    }
    c->parent = l->key;
    c->epoch = l->epoch;
    c->child = m->child;
    m->child = NULL;
    l->children_asked++;
    if (!waits_for_start(c))
        orchestrator_control(l->o, &c->request);
}

bool child_tell(orchestrator *o, const char *id, enum control_action action, const char *why,
                void (*told)(void *ctx, int32_t code), void *ctx)
{
    own_control *c = own_new(o, id, action, why);

    if (!c)
        return false;
    c->told = told;
    c->ctx = ctx;
    orchestrator_control(o, &c->request);
    return true;
}

/* ---- links ----------------------------------------------------------------------------------------------- */

parent_link *parent_link_new(const char *id)
{
    size_t len = strlen(id);
    parent_link *p = mem_zalloc(sizeof *p + len + 1);

    if (p)
        memcpy(p->id, id, len + 1);
    return p;
}

parent_link *parent_link_named(const parent_link *from, const char *id)
{
    parent_link *p = parent_link_new(id);

    if (p)
        memcpy(p, from, offsetof(parent_link, id));
    return p;
}

void parent_link_free(parent_link *p)
{
    mem_free(p);
}
