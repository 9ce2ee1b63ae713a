/* How a run ends: by its last step, by a failure, or closed from outside while something still runs. */
#include "workflow/run_impl.h"

static void decide_end(run *r, enum run_state state, bytes *error)
{
    r->state = (uint8_t)state;
    r->error = error;
    run_leave(r);
}

static void end_failed(run *r)
{
    bytes *error = run_error_wrap(r->nodes[r->failed_step].value, ORCH_E_UNKNOWN, "",
                                  run_step(r, r->failed_step)->id);

    decide_end(r, RUN_FAILED, error ? error : bytes_ref(r->no_memory));
}

bool run_next_done(run *r, run_action *out)
{
    if (r->failed) {
        end_failed(r);
        return false;
    }
    if (!r->definition->output) {
        decide_end(r, RUN_SUCCEEDED, NULL);
        return false;
    }
    r->phase = RUN_ASKING;
    r->output_asked = true;
    r->awaited++;
    run_give(out, RUN_EVALUATE, (place){0, INDEX_NONE});
    out->what = RUN_OUTPUT;
    return true;
}

void run_output(run *r, run_answer *a)
{
    if (!r->output_asked)
        return;
    r->output_asked = false;
    r->awaited--;
    if (r->phase != RUN_ASKING)
        return;
    if (a->code) {
        bytes *error = run_error_wrap(a->error, a->code, "output: ", NULL);

        decide_end(r, RUN_FAILED, error ? error : bytes_ref(r->no_memory));
        return;
    }
    r->output = a->value;
    a->value = NULL;
    decide_end(r, RUN_SUCCEEDED, NULL);
}

/* ---- Closed ---------------------------------------------------------------------------------- */

void run_close(run *r, enum run_state state, int32_t code, bytes *error)
{
    r->options.paused = false; /* it would hold up the end */
    if (run_all_done(r) && (r->failed || !r->definition->output)) {
        bytes_unref(error);
        if (r->failed)
            end_failed(r);
        else
            decide_end(r, RUN_SUCCEEDED, NULL);
        return;
    }
    if (r->phase >= RUN_CLOSING) {
        bytes_unref(error);
        return;
    }
    r->phase = RUN_CLOSING;
    r->state = (uint8_t)state;
    r->stop_code = code;
    r->error = error ? error : bytes_ref(r->no_memory);
}

void run_no_memory(run *r)
{
    if (r->phase >= RUN_CLOSING)
        return;
    r->phase = RUN_CLOSING;
    r->state = RUN_FAILED;
    r->stop_code = ORCH_E_CANCELLED;
    r->error = bytes_ref(r->no_memory);
}

void run_cancel(run *r, const char *reason, int64_t now_ms)
{
    r->now_ms = now_ms;
    r->options.paused = false;
    if (r->phase < RUN_CLOSING && !run_is_closed(r))
        run_close(r, RUN_CANCELLED, ORCH_E_CANCELLED,
                  run_error_text(ORCH_E_CANCELLED, reason ? reason : "cancelled"));
}

static bool stop_one(run *r, place at, run_action *out)
{
    const node *n = run_node(r, at);

    if (run_child_of(r, at))
        return run_close_child(r, at, out);
    if (n->phase == PHASE_RUNNING) {
        run_stop(r, at, r->stop_code, out);
        return true;
    }
    run_end_uncertain(r, at, CHECKPOINT_CANCELLED);
    return false;
}

/* One walk over all nodes, once in the life of a run, instead of a list that each attempt pays
 * for. True if it gave an action; false at its end, or to let a checkpoint go first. */
static bool next_stop(run *r, run_action *out)
{
    while (r->stopped.step < r->counts.steps) {
        place at = r->stopped;
        const node *n = &r->nodes[at.step];
        uint32_t items = run_has_items(run_step(r, at.step)) && n->each ? n->each->count : 0;

        /* INDEX_NONE + 1 is 0: the step first, then its items. */
        if (r->stopped.index + 1 < items)
            r->stopped.index++;
        else
            r->stopped = (place){at.step + 1, INDEX_NONE};
        if (stop_one(r, at, out))
            return true;
        if (r->made.len)
            return false;
    }
    return false;
}

bool run_has_closed(const run *r)
{
    return r->stopped.step == r->counts.steps;
}

bool run_next_closing(run *r, run_action *out)
{
    if (r->awaited || r->children || (r->aftermath && !run_has_closed(r))) {
        if (run_next_overdue(r, out) || next_stop(r, out))
            return true;
        if (r->awaited || r->children || r->made.len)
            return false;
    }
    run_leave(r);
    return false;
}
