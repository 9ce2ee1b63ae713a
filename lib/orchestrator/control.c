/* Control from outside: cancel, terminate, signal, pause, resume, priority. Each is one unit that does it and says who
 * wanted it and why; answered once that is stored, then told to whoever has the execution. New runs: renew.c. */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct control_job {
    unit_job job; /* first */
    control_request *request;
    inbox_item item;
    inbox_item notice;  /* for the parent */
    children_mark mark; /* for the children */
    execution_setting setting;
    execution_update update;
    control_row control;
} control_job;

/* What an action puts into its unit, and what follows once that is stored. */
typedef struct action {
    const char *name;
    bool (*fill)(control_job *c); /* false: no memory */
    void (*stored)(control_job *c);
    bool unsaid; /* nothing of it is recorded unless somebody said who or why */
} action;

static void answer(control_request *r, int32_t code)
{
    r->code = code;
    r->done(r);
}

static void answer_later(orchestrator *o, control_request *r, int32_t code)
{
    r->code = code;
    list_push(&o->answered_controls, &r->link);
}

/* ---- cancel ---------------------------------------------------------------------------------------------- */

static bool fill_cancel(control_job *c)
{
    store_unit *u = &c->job.unit;
    const char *why = c->request->why;
    buf b = BUF_INIT;

    c->item.kind = INBOX_CANCEL;
    if (why) {
        buf_json_string(&b, why, strlen(why));
        c->item.payload = buf_bytes(&b);
        if (!c->item.payload)
            return false;
    }
    c->setting = (execution_setting){.paused = 0, .priority = -1};
    u->inbox_put = &c->item;
    u->inbox_urgency = INBOX_FORCED;
    u->setting = &c->setting; /* what is cancelled is not held up any more */
    return true;
}

/* l may be gone afterwards. */
static void set_paused(live *l, bool paused)
{
    bool changes = l->paused != paused;

    l->paused = paused;
    l->pause_told = true;
    if (changes)
        live_tell_pause(l);
}

static void cancel_stored(control_job *c)
{
    live *l = live_find(c->job.o, c->job.unit.key);

    if (l)
        set_paused(l, false);
    l = live_find(c->job.o, c->job.unit.key);
    if (l && (l->phase == PHASE_HANDED || l->phase == PHASE_DETACHED))
        children_cancel(l); /* their parent's tasks may wait for them; else when it is loaded */
    inbox_stored(c->job.o, c->job.unit.key, &c->item, c->job.unit.inbox_woke);
}

/* ---- signal ---------------------------------------------------------------------------------------------- */

static bool fill_signal(control_job *c)
{
    store_unit *u = &c->job.unit;

    c->item.kind = INBOX_SIGNAL;
    c->item.name = mem_strdup(c->request->name);
    c->item.correlation = bytes_ref(c->request->correlation);
    c->item.payload = bytes_ref(c->request->payload);
    u->inbox_put = &c->item;
    u->inbox_urgency = INBOX_URGENT;
    u->inbox_limit = c->job.o->options.max_signals;
    return c->item.name != NULL;
}

static void item_stored(control_job *c)
{
    inbox_stored(c->job.o, c->job.unit.key, &c->item, c->job.unit.inbox_woke);
}

/* ---- terminate ------------------------------------------------------------------------------------------- */

static bool fill_terminate(control_job *c)
{
    orchestrator *o = c->job.o;
    store_unit *u = &c->job.unit;
    const char *why = c->request->why;
    buf b = BUF_INIT;

    buf_puts(&b, "terminated");
    if (why)
        buf_printf(&b, ": %s", why);
    c->update = (execution_update){
        .state = EXECUTION_CANCELLED,
        .ended_ms = o->now_ms,
        .error = b.failed ? NULL : end_error(ORCH_E_ABORTED, b.data),
    };
    buf_free(&b);
    u->update = &c->update;
    u->inbox_consumed = INT64_MAX;
    return c->update.error && children_mark_set(&c->mark, u, CONTROL_TERMINATE);
}

static void terminate_stored(control_job *c)
{
    orchestrator *o = c->job.o;
    uint64_t key = c->job.unit.key;
    live *l = live_find(o, key);

    if (l) { /* its engine finds the channel closed and stops what runs */
        end_reached(l, c->update.state, c->update.ended_ms, NULL, c->update.error);
    } else {
        o->stats.ended++;
        o->stats.open--;
        waiters_look(o, key);
    }
    children_end(o, key, c->job.unit.run, CONTROL_TERMINATE, c->request->why);
}

/* ---- pause, resume, priority ----------------------------------------------------------------------------- */

static bool fill_pause(control_job *c)
{
    c->setting = (execution_setting){.paused = 1, .priority = -1};
    c->job.unit.setting = &c->setting;
    return true;
}

static void pause_stored(control_job *c)
{
    live *l = live_find(c->job.o, c->job.unit.key);

    if (l)
        set_paused(l, true);
}

/* What waits because of the pause alone knows no time at which it would wake. */
static bool fill_resume(control_job *c)
{
    c->setting = (execution_setting){.paused = 0, .priority = -1};
    c->item.kind = INBOX_WAKE;
    c->job.unit.setting = &c->setting;
    c->job.unit.inbox_put = &c->item;
    c->job.unit.inbox_urgency = INBOX_URGENT;
    return true;
}

static void resume_stored(control_job *c)
{
    orchestrator *o = c->job.o;
    live *l = live_find(o, c->job.unit.key);

    if (l) {
        set_paused(l, false);
    } else {
        queue_bring(o, c->job.unit.key); /* it may have been put aside before it was handed over */
    }
    item_stored(c);
    wake_at(o, o->now_ms); /* and one with a time of its own was not looked at meanwhile */
}

static bool fill_priority(control_job *c)
{
    c->setting = (execution_setting){.paused = -1, .priority = (int8_t)c->request->priority};
    c->job.unit.setting = &c->setting;
    return true;
}

static void priority_stored(control_job *c)
{
    live *l = live_find(c->job.o, c->job.unit.key);

    if (!l) { /* it may wait in the store, where it is not looked for under that one */
        queue_overflow(c->job.o, c->request->priority, c->job.unit.key);
        return;
    }
    l->priority_told = true;
    if (l->phase == PHASE_PENDING && !l->blocked && !list_empty(&l->link)) {
        queue_remove(l);
        l->priority = c->request->priority;
        queue_add(l, false);
    } else {
        l->priority = c->request->priority;
    }
}

/* ---- the way of each ------------------------------------------------------------------------------------- */

static const action actions[] = {
    [CONTROL_CANCEL] = {"cancel", fill_cancel, cancel_stored, false},
    [CONTROL_TERMINATE] = {"terminate", fill_terminate, terminate_stored, false},
    [CONTROL_SIGNAL] = {"signal", fill_signal, item_stored, true},
    [CONTROL_PAUSE] = {"pause", fill_pause, pause_stored, false},
    [CONTROL_RESUME] = {"resume", fill_resume, resume_stored, false},
    [CONTROL_PRIORITY] = {"set_priority", fill_priority, priority_stored, false},
    [CONTROL_RETRY] = {"retry", NULL, NULL, false},
    [CONTROL_RERUN] = {"rerun", NULL, NULL, false},
    [CONTROL_FORK] = {"fork", NULL, NULL, false},
};

const char *control_name(enum control_action a)
{
    return actions[a].name;
}

control_row control_record(const orchestrator *o, const char *action, char *who, char *why,
                           const char *detail)
{
    /* The store copies them. */
    return (control_row){.at_ms = o->now_ms,
                         .action = text_lent(action),
                         .who = who,
                         .why = why,
                         .detail = text_lent(detail)};
}

int32_t control_not_open(const execution_row *row, control_request *r)
{
    static const char *const names[] = {"",       "open",      "suspended", "succeeded",
                                        "failed", "cancelled", "timed out"};

    return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                     "execution '%s' has ended already (%s): it cannot take a %s", r->id,
                     names[row->state], actions[r->action].name);
}

typedef struct find_job {
    orchestrator *o;
    control_request *request;
} find_job;

static int32_t submit(orchestrator *o, uint64_t key, const execution_row *row, control_request *r);

static int32_t no_longer(control_request *r)
{
    return error_set(&r->error, ORCH_E_CANCELLED, r->id,
                     "the orchestrator stops: the %s was not recorded", actions[r->action].name);
}

/* It had ended; or the row by which it was to be ended was of a run before the one that it is in. */
static void refused_read(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    find_job f = *(find_job *)ctx;
    control_request *r = f.request;

    mem_free(ctx);
    if (code)
        r->error = error_copy(error);
    else if (EXECUTION_STATE_IS_END(row->state))
        code = control_not_open(row, r);
    else
        code = f.o->stopping ? no_longer(r) : submit(f.o, row->key, row, r);
    if (code)
        answer(r, code);
}

static void read_refused(orchestrator *o, uint64_t key, control_request *r)
{
    find_job *f = mem_alloc(sizeof *f);

    if (!f) {
        answer(r, error_no_memory(&r->error));
        return;
    }
    *f = (find_job){o, r};
    reads_row(o, key, NULL, refused_read, f);
}

static int32_t refusal(const control_job *c)
{
    control_request *r = c->request;
    int32_t code = c->job.unit.result;

    if (code == ORCH_E_RESOURCE_EXHAUSTED && c->job.unit.inbox_limit)
        return error_set(&r->error, code, r->id,
                         "execution '%s' has %u signals waiting, or the store is full", r->id,
                         c->job.unit.inbox_limit);
    if (code == ORCH_E_NOT_FOUND)
        return error_set(&r->error, code, r->id, "there is no execution '%s'", r->id);
    return error_set(&r->error, code, r->id, "the %s could not be recorded: %s",
                     actions[r->action].name, orch_code_name(code));
}

static void job_free(control_job *c)
{
    inbox_item_clear(&c->item);
    inbox_item_clear(&c->notice);
    children_mark_clear(&c->mark);
    bytes_unref(c->update.error);
    mem_free(c);
}

static void control_done(unit_job *j)
{
    control_job *c = (control_job *)j;
    control_request *r = c->request;
    orchestrator *o = j->o;
    int32_t code = j->unit.result;
    uint64_t key = j->unit.key;

    if (!code) {
        actions[r->action].stored(c);
        child_told(o, &j->unit);
    } else if (code != ORCH_E_FAILED_PRECONDITION) {
        code = refusal(c);
    }
    job_free(c);
    if (code == ORCH_E_FAILED_PRECONDITION)
        read_refused(o, key, r);
    else
        answer(r, code);
}

/* `row` NULL: only the key is known, and nobody is to be told. */
static int32_t submit(orchestrator *o, uint64_t key, const execution_row *row, control_request *r)
{
    const action *a = &actions[r->action];
    control_job *c = mem_zalloc(sizeof *c);

    if (!c)
        return error_no_memory(&r->error);
    unit_init(&c->job, o, key, control_done);
    c->request = r;
    c->item.at_ms = o->now_ms;
    c->job.unit.must_be_open = true;
    if (row)
        c->job.unit.run = row->run;
    if (!a->fill(c)) {
        job_free(c);
        return error_no_memory(&r->error);
    }
    if (row && c->job.unit.update)
        child_notice_of_row(row, &c->update, &c->notice, &c->job.unit);
    if (!a->unsaid || r->who || r->why) {
        c->control = control_record(o, a->name, r->who, r->why, r->name);
        c->control.execution = key;
        c->job.unit.control = &c->control;
    }
    unit_submit(&c->job);
    return 0;
}

static void found(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    find_job f = *(find_job *)ctx;
    control_request *r = f.request;

    mem_free(ctx);
    if (code == ORCH_E_NOT_FOUND) {
        code = error_set(&r->error, code, r->id, "there is no execution '%s'", r->id);
    } else if (code) {
        r->error = error_copy(error);
    } else if (f.o->stopping) { /* the store may take nothing any more */
        code = no_longer(r);
    } else if (!actions[r->action].fill) {
        renew(f.o, row, r);
        return;
    } else {
        code = submit(f.o, row->key, row, r);
    }
    if (code)
        answer(r, code);
}

/* Whose key says all that the action needs to know. */
static bool needs_row(const control_request *r, uint64_t *key)
{
    return r->action == CONTROL_TERMINATE || !actions[r->action].fill ||
           !execution_id_parse(r->id, key);
}

void orchestrator_control(orchestrator *o, control_request *r)
{
    uint64_t key = 0;
    find_job *f;
    int32_t code = 0;

    look_at_clock(o);
    list_init(&r->link);
    if (o->stopping)
        code = error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL,
                         "the orchestrator is stopped");
    else if (!needs_row(r, &key))
        code = submit(o, key, NULL, r);
    else if ((f = mem_alloc(sizeof *f)) != NULL) {
        bool made = execution_id_parse(r->id, &key);

        *f = (find_job){o, r};
        reads_row(o, made ? key : 0, made ? NULL : r->id, found, f);
    } else {
        code = error_no_memory(&r->error);
    }
    if (code)
        answer_later(o, r, code);
}

void controls_answer_all(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->answered_controls))) {
        control_request *r = LIST_ENTRY(node, control_request, link);

        r->done(r);
    }
}
