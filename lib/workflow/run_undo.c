/* What follows the steps of a run that did not succeed: what was done is compensated, the last first, and then on_failure is told.
 * How the run ends is decided and stored before, so that a restart goes on with the same. One thing is done at a time,
 * and the next only once the outcome of the one before is stored. */
#include <inttypes.h>

#include "base/buf.h"
#include "base/mem.h"
#include "workflow/run_impl.h"

#define FAILURES_TOLD 100 /* in the error of the run; all are in the history */

/* ---- Before the end -------------------------------------------------------------------------- */

static bool has_compensation(const step *s)
{
    return s->extra && s->extra->compensate;
}

/* In advance, so that nothing that was done is forgotten for lack of memory. */
bool run_reserve_undo(run *r, uint32_t number, uint32_t count)
{
    aftermath *a = r->aftermath;
    place *grown;

    if (!a || !has_compensation(run_step(r, number)))
        return true;
    grown = mem_grow(a->done, &a->cap, a->reserved + count, sizeof *grown);
    if (!grown)
        return false;
    a->done = grown;
    a->reserved += count;
    return true;
}

/* As much as all of it needs: from here on no lack of memory can end a run before what was done is compensated. */
bool run_prepare_aftermath(run *r)
{
    const definition *d = r->definition;
    aftermath *a;

    if (!d->compensates && !d->on_failure)
        return true;
    a = r->aftermath = mem_zalloc(sizeof *a);
    if (!a || !ring_grow(&r->made, sizeof(checkpoint)) ||
        !ring_grow(&r->unstored, sizeof(unstored)))
        return false;
    a->attempt = 1;
    a->timer_ms = INT64_MAX;
    for (uint32_t i = 0; i < d->step_count && d->compensates; i++)
        if (!run_has_items(&d->steps[i]) && !run_reserve_undo(r, i, 1))
            return false;
    return true;
}

void run_free_aftermath(run *r)
{
    aftermath *a = r->aftermath;

    if (!a)
        return;
    for (uint32_t i = 0; i < a->failed && i < FAILURES_TOLD && a->failures; i++)
        bytes_unref(a->failures[i].error);
    mem_free(a->failures);
    mem_free(a->done);
    mem_free(a);
}

/* What has ended in a way that calls for compensation. A step with items leaves that to them. */
static bool is_to_undo(const run *r, const checkpoint *c)
{
    const step *s = run_step(r, c->step);

    if (!has_compensation(s) || (c->index == INDEX_NONE && run_has_items(s)))
        return false;
    if (c->kind == CHECKPOINT_SUCCEEDED)
        return true;
    return c->attempt && s->extra->compensate->when_failed &&
           (c->kind == CHECKPOINT_FAILED || c->kind == CHECKPOINT_CANCELLED);
}

void run_note_end(run *r, const checkpoint *c)
{
    aftermath *a = r->aftermath;

    if (MUTATED(UNDO_LEFT_OUT) && r->phase == RUN_CLOSING)
        return;
    if (checkpoint_is_end(c) && is_to_undo(r, c))
        a->done[a->count++] = (place){c->step, c->index};
}

/* The attempts of a unit that now makes none any more: what they did is not known. */
static uint32_t attempts_left_open(const run *r, place at)
{
    const step *s = run_step(r, at.step);
    const node *n = &r->nodes[at.step];

    if (s->kind == STEP_WAIT || !has_compensation(s) || !s->extra->compensate->when_failed)
        return 0;
    if (run_has_items(s)) {
        if (at.index == INDEX_NONE)
            return 0;
        n = &n->each->items[at.index];
    }
    if (n->phase == PHASE_ENDED || n->phase == PHASE_SPEC || run_is_out(n) || !n->timing ||
        run_child_of(r, at))
        return 0;
    if (s->kind == STEP_TASK && n->timing->beat && n->timing->beat->attempt == n->timing->attempt)
        return n->timing->attempt; /* it was out before a restart */
    return n->timing->attempt - 1;
}

/* It ends like that, so that it is compensated. False if that is not called for. */
bool run_end_uncertain(run *r, place at, enum checkpoint_kind kind)
{
    uint32_t attempt = r->aftermath ? attempts_left_open(r, at) : 0;
    checkpoint c = {.step = at.step, .index = at.index, .kind = (uint8_t)kind, .attempt = attempt};

    if (!attempt)
        return false;
    c.error = run_error(kind == CHECKPOINT_CANCELLED ? ORCH_E_CANCELLED : ORCH_E_ABORTED,
                        "not tried again after attempt %" PRIu32, attempt);
    if (!c.error)
        c.error = bytes_ref(r->no_memory);
    run_end_unit(r, at, &c);
    return true;
}

/* ---- What is next ---------------------------------------------------------------------------- */

static bool wants_on_failure(const run *r)
{
    return r->definition->on_failure && !r->aftermath->is_handled &&
           (r->state == RUN_FAILED || r->state == RUN_TIMED_OUT);
}

bool run_has_aftermath(const run *r)
{
    return r->aftermath && r->state != RUN_SUCCEEDED &&
           (r->aftermath->count || wants_on_failure(r));
}

place run_undo_target(const aftermath *a)
{
    return a->count ? a->done[MUTATED(UNDO_OUT_OF_ORDER) ? 0 : a->count - 1]
                    : (place){STEP_NONE, INDEX_NONE};
}

static enum run_role role_of(const aftermath *a)
{
    return a->count ? ROLE_COMPENSATE : ROLE_ON_FAILURE;
}

const handler *run_undo_handler(const run *r)
{
    const aftermath *a = r->aftermath;

    return a->count ? run_step(r, run_undo_target(a).step)->extra->compensate
                    : r->definition->on_failure;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void add_failure(const run *r, buf *b, const failure *f)
{
    bytes *error = run_error_wrap(f->error, ORCH_E_UNKNOWN, "", NULL);
    const char *id = run_step(r, f->at.step)->id;

    buf_puts(b, "{\"step\":");
    buf_json_string(b, id, strlen(id));
    if (f->at.index != INDEX_NONE)
        buf_printf(b, ",\"index\":%" PRIu32, f->at.index);
    buf_puts(b, ",\"error\":");
    if (error)
        buf_add(b, error->data, error->len);
    b->failed = b->failed || !error;
    buf_putc(b, '}');
    bytes_unref(error);
}

/* The run's error with what could not be compensated. */
static void tell_failures(run *r)
{
    const aftermath *a = r->aftermath;
    uint32_t told = !a->failures ? 0 : a->failed < FAILURES_TOLD ? a->failed : FAILURES_TOLD;
    buf b = BUF_INIT;
    bytes *error;

    buf_add(&b, r->error->data, r->error->len - 1); /* it ends in a brace */
    buf_puts(&b, ",\"compensation_failed\":[");
    for (uint32_t i = 0; i < told; i++) {
        if (i)
            buf_putc(&b, ',');
        add_failure(r, &b, &a->failures[i]);
    }
    buf_putc(&b, ']');
    if (a->failed > told)
        buf_printf(&b, ",\"compensation_failed_more\":%" PRIu32, a->failed - told);
    buf_putc(&b, '}');
    error = buf_bytes(&b);
    if (!error) /* all of it is in the history */
        return;
    bytes_unref(r->error);
    r->error = error;
}

void run_note_failure(aftermath *a, place at, bytes *error)
{
    if (!a->failures)
        a->failures = mem_calloc(FAILURES_TOLD, sizeof *a->failures);
    if (a->failures && a->failed < FAILURES_TOLD)
        a->failures[a->failed] = (failure){at, bytes_ref(error)};
    a->failed++;
}

/* One is through; the next begins with its first attempt. */
void run_next_undo(aftermath *a)
{
    if (a->count)
        a->count--;
    else
        a->is_handled = true;
    a->attempt = 1;
    a->began_ms = a->due_ms = 0;
}

void run_leave(run *r)
{
    if (run_has_aftermath(r)) {
        r->phase = RUN_AFTERMATH;
        return;
    }
    if (r->aftermath && r->aftermath->failed)
        tell_failures(r);
    r->phase = RUN_ENDING;
}

/* ---- Actions --------------------------------------------------------------------------------- */

static bool decide(run *r)
{
    checkpoint c = {
        .step = STEP_NONE, .index = INDEX_NONE, .kind = CHECKPOINT_CLOSING, .attempt = r->state};

    if (r->unstored.len) /* else there is room for it */
        return false;
    c.error = bytes_ref(r->error);
    r->aftermath->stage = STAGE_STORING;
    run_record(r, &c);
    return false;
}

static bool give(run *r, enum run_action_kind kind, run_action *out)
{
    const aftermath *a = r->aftermath;

    run_give(out, kind, run_undo_target(a));
    out->role = (uint8_t)role_of(a);
    out->attempt = a->attempt;
    return true;
}

static bool start(run *r, run_action *out)
{
    aftermath *a = r->aftermath;
    int64_t timeout_ms = run_undo_handler(r)->timeout_ms;

    if (r->options.paused || r->held)
        return false;
    a->stage = STAGE_RUNNING;
    a->timer_ms = timeout_ms ? r->now_ms + timeout_ms : INT64_MAX;
    give(r, RUN_ATTEMPT, out);
    out->deadline_ms = timeout_ms ? a->timer_ms : 0;
    out->heartbeat_ms = 0;
    out->details = NULL;
    return true;
}

bool run_next_aftermath(run *r, run_action *out)
{
    aftermath *a = r->aftermath;

    switch (a->stage) {
    case STAGE_DECIDED: return decide(r);
    case STAGE_READY: return start(r, out);
    case STAGE_OVERDUE:
        a->stage = STAGE_STOPPING;
        give(r, RUN_STOP, out);
        out->code = ORCH_E_DEADLINE_EXCEEDED;
        return true;
    default: return false;
    }
}

void run_aftermath_timer(run *r)
{
    aftermath *a = r->aftermath;

    a->timer_ms = INT64_MAX;
    a->stage = a->stage == STAGE_BACKOFF ? STAGE_READY : STAGE_OVERDUE;
}

/* A row of it is stored. */
void run_aftermath_stored(run *r)
{
    aftermath *a = r->aftermath;

    if (r->phase != RUN_AFTERMATH)
        return;
    a->stage = a->due_ms ? STAGE_BACKOFF : STAGE_READY;
    a->timer_ms = a->due_ms ? a->due_ms : INT64_MAX;
    a->due_ms = 0;
}

bool run_aftermath_could_start(const run *r)
{
    return r->aftermath->stage == STAGE_READY && !r->options.paused;
}

bool run_aftermath_waits(const run *r)
{
    const aftermath *a = r->aftermath;

    return a->stage == STAGE_BACKOFF || (a->stage == STAGE_READY && r->options.paused);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool is_out(const aftermath *a)
{
    return a->stage == STAGE_RUNNING || a->stage == STAGE_OVERDUE || a->stage == STAGE_STOPPING;
}

/* True if another attempt follows. */
static bool try_again(run *r, const run_result *result, int32_t code, checkpoint *c)
{
    aftermath *a = r->aftermath;
    bool is_late = a->stage != STAGE_RUNNING;

    if (result->no_retry && !is_late)
        return false;
    if (!a->began_ms)
        a->began_ms = c->started_ms;
    a->due_ms = run_retry_at(&run_undo_handler(r)->retry, a->attempt, code, a->began_ms, r->now_ms,
                             &r->options);
    if (!a->due_ms)
        return false;
    c->due_ms = a->due_ms;
    c->kind = a->count ? CHECKPOINT_UNDO_RETRYING : CHECKPOINT_HANDLER_RETRYING;
    a->attempt++;
    return true;
}

static void failed(run *r, run_result *result, checkpoint *c)
{
    aftermath *a = r->aftermath;
    bool is_late = a->stage != STAGE_RUNNING;
    int32_t code = is_late ? ORCH_E_DEADLINE_EXCEEDED : result->code;

    c->error = run_attempt_error(r, result, is_late, a->attempt, run_undo_handler(r)->timeout_ms);
    if (try_again(r, result, code, c))
        return;
    c->kind = a->count ? CHECKPOINT_UNDO_FAILED : CHECKPOINT_HANDLER_FAILED;
    if (a->count)
        run_note_failure(a, run_undo_target(a), c->error);
    run_next_undo(a);
}

static void succeeded(run *r, run_result *result, checkpoint *c)
{
    aftermath *a = r->aftermath;

    c->kind = a->count ? CHECKPOINT_UNDONE : CHECKPOINT_HANDLED;
    c->output = result->output;
    result->output = NULL;
    run_next_undo(a);
}

void run_aftermath_ended(run *r, enum run_role role, place at, uint32_t attempt, run_result *result)
{
    aftermath *a = r->aftermath;
    place now;
    checkpoint c;

    if (r->phase != RUN_AFTERMATH || !is_out(a))
        return;
    now = run_undo_target(a);
    if (role != role_of(a) || at.step != now.step || at.index != now.index || attempt != a->attempt)
        return;
    c = (checkpoint){
        .step = at.step, .index = at.index, .attempt = attempt, .started_ms = result->started_ms};
    a->timer_ms = INT64_MAX;
    if (result->code)
        failed(r, result, &c);
    else
        succeeded(r, result, &c);
    a->stage = STAGE_STORING;
    run_record(r, &c); /* there is room: the one before is stored */
    if (!run_has_aftermath(r))
        run_leave(r); /* its end need not wait */
}

const bytes *run_closing_error(const run *r)
{
    return r->phase == RUN_AFTERMATH ? r->error : NULL;
}

enum run_state run_closing_state(const run *r)
{
    return r->phase == RUN_AFTERMATH ? (enum run_state)r->state : RUN_RUNNING;
}
