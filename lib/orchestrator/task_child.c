/* Children of tasks: an attempt that runs asks for them from outside of the protocol, as often as it likes. Their ids follow
 * from the step and not from the attempt, so that the next attempt finds what this one has started. Their ends are told to
 * whoever waits, and not to the parent's inbox: no run of the parent knows of them. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct task_child {
    start_request request; /* first: the asker's, with an answer of our own */
    start_request *asker;
    orchestrator *o;
    attempt_place from;
    bool abandoned;
    char *id;
} task_child;

static void answer(task_child *t, int32_t code)
{
    start_request *r = t->asker;
    void (*done)(start_request * r) = r->done;

    parent_link_free(t->request.parent); /* unless the child has it */
    t->request.parent = NULL;
    *r = t->request;
    list_init(&r->link);
    r->done = done;
    r->code = code;
    mem_free(t->id);
    mem_free(t);
    r->done(r);
}

/* ---- one that is there already --------------------------------------------------------------------------- */

static bool is_of(const execution_row *row, const attempt_place *at)
{
    return row->by_task && row->parent == at->execution && row->parent_run == at->run &&
           row->parent_step == at->step && row->parent_index == at->index;
}

static int32_t check_existing(task_child *t, const execution_row *row)
{
    start_request *r = &t->request;
    const version_entry *v = registry_by_key(t->o, row->definition);

    if (!is_of(row, &t->from))
        return error_set(&r->error, ORCH_E_ALREADY_EXISTS, t->id,
                         "another execution has the id '%s', which a child of this task would have",
                         t->id);
    if (v && strcmp(v->workflow, r->workflow) != 0)
        return error_set(&r->error, ORCH_E_ALREADY_EXISTS, t->id,
                         "child '%s' was started before, of workflow '%s' and not '%s'; give the "
                         "second child of a step a key of its own",
                         t->id, v->workflow, r->workflow);
    return 0;
}

static void existing_read(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    task_child *t = ctx;
    start_request *r = &t->request;

    if (code)
        r->error = error_copy(error);
    else
        code = check_existing(t, row);
    if (!code) {
        r->existed = true;
        r->key = row->key;
        if (r->waiter)
            orchestrator_wait(t->o, row->key, r->waiter);
    }
    answer(t, code);
}

/* ---- the start ------------------------------------------------------------------------------------------- */

/* A cancel that came while the child was on its way has not seen it. */
static void cancelled_meanwhile(const task_child *t)
{
    const live *l = live_find(t->o, t->from.execution);

    if (l && l->run == t->from.run && l->cancelled && !t->abandoned)
        child_tell(t->o, t->id, CONTROL_CANCEL, "its parent was cancelled", NULL, NULL);
}

static void started(start_request *r)
{
    task_child *t = (task_child *)r;

    if (r->code == ORCH_E_ALREADY_EXISTS) {
        orch_error_free(r->error);
        r->error = NULL;
        reads_row(t->o, 0, t->id, existing_read, t);
        return;
    }
    if (!r->code)
        cancelled_meanwhile(t);
    answer(t, r->code);
}

static live *parent_of(const orchestrator *o, const attempt_place *at)
{
    live *l = live_find(o, at->execution);
    bool is_with_engine = l && (l->phase == PHASE_HANDED || l->phase == PHASE_DETACHED);

    return is_with_engine && l->run == at->run && epoch_compare(l->epoch, at->epoch) == 0 ? l
                                                                                          : NULL;
}

static int32_t set_parent(start_request *r, const live *l, const attempt_place *at, bool abandoned,
                          orch_error **err)
{
    char made[EXECUTION_ID_LEN + 1];

    r->parent = parent_link_new(live_id(l, made));
    if (!r->parent)
        return error_no_memory(err);
    r->parent->step = at->step;
    r->parent->index = at->index;
    r->parent->attempt = at->attempt;
    r->parent->by_task = true;
    r->parent->abandoned = abandoned;
    return child_join(r, l, err);
}

static int32_t begin(orchestrator *o, start_request *r, const attempt_place *at, bool abandoned,
                     task_child **out)
{
    live *l = parent_of(o, at);
    task_child *t;
    int32_t rc;

    if (!l)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                         "the attempt is over: its execution has ended, or was handed over again; "
                         "child '%s' was not started",
                         r->id);
    rc = set_parent(r, l, at, abandoned, &r->error);
    if (rc)
        return rc;
    t = mem_zalloc(sizeof *t);
    if (t)
        t->id = mem_strdup(r->id);
    if (!t || !t->id) {
        mem_free(t);
        return error_no_memory(&r->error);
    }
    if (!r->has_priority)
        r->priority = l->priority;
    r->has_priority = true;
    if (!abandoned)
        r->latest_ms = l->deadline_ms;
    l->may_have_children = true;
    t->o = o;
    t->from = *at;
    t->abandoned = abandoned;
    *out = t;
    return 0;
}

void orchestrator_start_child(orchestrator *o, start_request *r, const attempt_place *from,
                              bool abandoned)
{
    task_child *t;

    look_at_clock(o);
    list_init(&r->link);
    r->code = begin(o, r, from, abandoned, &t);
    if (r->code) {
        parent_link_free(r->parent);
        r->parent = NULL;
        list_push(&o->answered_starts, &r->link);
        return;
    }
    t->asker = r;
    t->request = *r;
    t->request.done = started;
    orchestrator_start(o, &t->request);
}
