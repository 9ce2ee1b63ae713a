/* What follows the steps, from the history. */
#include <inttypes.h>
#include <jansson.h>

#include "base/error.h"
#include "base/json.h"
#include "workflow/run_impl.h"

static int32_t contradicts(const checkpoint *c, orch_error **err, const char *what)
{
    return error_set(err, ORCH_E_DATA_LOSS, "", "checkpoint %" PRIu64 " (kind %u): %s", c->seq,
                     c->kind, what);
}

/* It must be an object that more can be added to. */
static int32_t check_error(const checkpoint *c, orch_error **err)
{
    static const char wrong[] = "it does not say why the run ends";
    const bytes *text = c->error;
    json_error_t where;
    json_t *tree;
    bool good;

    if (!text || !text->len || text->data[text->len - 1] != '}')
        return contradicts(c, err, wrong);
    tree = json_loadb(text->data, text->len, 0, &where);
    if (!tree && json_lacked_memory(&where))
        return error_no_memory(err);
    good = json_is_string(json_object_get(tree, "code"));
    json_decref(tree);
    return good ? ORCH_OK : contradicts(c, err, wrong);
}

static int32_t restore_closing(run *r, const checkpoint *c, orch_error **err)
{
    int32_t code;

    if (!r->aftermath || r->aftermath->is_stored || c->step != STEP_NONE || c->index != INDEX_NONE)
        return contradicts(c, err, "how the run ends is not to be decided here");
    if (c->attempt != RUN_FAILED && c->attempt != RUN_CANCELLED && c->attempt != RUN_TIMED_OUT)
        return contradicts(c, err, "nothing follows a run that ends so");
    code = check_error(c, err);
    if (code)
        return code;
    r->state = (uint8_t)c->attempt;
    if (!run_has_aftermath(r))
        return contradicts(c, err, "there is nothing to compensate or to be told");
    r->error = bytes_ref(c->error);
    r->aftermath->is_stored = true;
    return ORCH_OK;
}

static bool is_undo(const checkpoint *c)
{
    return c->kind == CHECKPOINT_UNDO_RETRYING || c->kind == CHECKPOINT_UNDONE ||
           c->kind == CHECKPOINT_UNDO_FAILED;
}

static int32_t restore_outcome(run *r, const checkpoint *c, orch_error **err)
{
    aftermath *a = r->aftermath;
    const handler *h;

    if (!run_has_aftermath(r) || is_undo(c) != (a->count > 0))
        return contradicts(c, err, "it is of nothing that is to be done then");
    if (c->step != run_undo_target(a).step || c->index != run_undo_target(a).index)
        return contradicts(c, err, "another is to be compensated before");
    h = run_undo_handler(r);
    if (c->attempt != a->attempt)
        return contradicts(c, err, "its attempt is out of order");
    if (c->kind == CHECKPOINT_UNDO_RETRYING || c->kind == CHECKPOINT_HANDLER_RETRYING) {
        if (c->attempt >= h->retry.max_attempts || c->due_ms <= 0)
            return contradicts(c, err, "no further attempt is due");
        if (!a->began_ms)
            a->began_ms = c->started_ms;
        a->due_ms = c->due_ms;
        a->attempt++;
        return ORCH_OK;
    }
    if (c->kind == CHECKPOINT_UNDO_FAILED)
        run_note_failure(a, run_undo_target(a), c->error);
    run_next_undo(a);
    return ORCH_OK;
}

int32_t run_restore_aftermath(run *r, const checkpoint *c, orch_error **err)
{
    if (c->kind == CHECKPOINT_CLOSING)
        return restore_closing(r, c, err);
    if (c->kind < CHECKPOINT_CLOSING || c->kind > CHECKPOINT_HANDLER_FAILED)
        return contradicts(c, err,
                           c->kind < CHECKPOINT_CLOSING ? "the run was ending already"
                                                        : "there is no such kind");
    if (!r->aftermath || !r->aftermath->is_stored)
        return contradicts(c, err, "it is not decided that the run ends");
    return restore_outcome(r, c, err);
}
