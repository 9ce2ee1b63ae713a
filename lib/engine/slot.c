/* One execution on the engine: from its start or restart to the end of its channel. */
#include <string.h>

#include "base/error.h"
#include "engine/engine_impl.h"

slot *slot_new(engine *e, channel *c, message *m, orch_error **err)
{
    slot *s = mem_zalloc(sizeof *s);

    if (!s) {
        error_no_memory(err);
        return NULL;
    }
    s->key = m->start->key;
    HASH_ADD(hh, e->slots, key, sizeof s->key, s);
    if (!map_added(s->hh)) {
        mem_free(s);
        error_no_memory(err);
        return NULL;
    }
    s->engine = e;
    s->channel = c;
    s->epoch = m->epoch;
    s->start = m->start;
    m->start = NULL;
    list_push(&e->all, &s->all);
    list_init(&s->ready);
    list_init(&s->proof.held);
    e->active++;
    events_tell(e->ports.events, e->now_ms, ORCH_LOG_INFO, "execution_taken", s->start->execution,
                NULL, "run %u", s->start->run);
    return s;
}

static int32_t restore(slot *s, orch_error **err)
{
    for (uint32_t i = 0; i < s->start->checkpoint_count; i++) {
        const checkpoint *c = &s->start->checkpoints[i];
        int32_t rc = run_restore(s->run, c, err);

        if (rc)
            return rc;
        if (c->index != INDEX_NONE && checkpoint_is_end(c))
            s->items_ended++;
        checkpoint_clear(&s->start->checkpoints[i]);
    }
    mem_free(s->start->checkpoints);
    s->start->checkpoints = NULL;
    s->start->checkpoint_count = 0;
    return 0;
}

/* Who started it could only look at the inputs if they were not encoded. */
static int32_t check_inputs(slot *s, orch_error **err)
{
    const message_start *start = s->start;
    json_t *input;
    int32_t rc;

    if (!s->engine->options.codec.ops || start->checkpoint_count)
        return 0;
    input = start->input ? json_loadb(start->input->data, start->input->len, 0, NULL) : NULL;
    rc = definition_check_inputs(s->known->definition, input, err);
    json_decref(input);
    return rc;
}

int32_t slot_begin(slot *s, known_definition *k, orch_error **err)
{
    engine *e = s->engine;
    run_options options = {
        .deadline_ms = MUTATED(DEADLINE_IGNORED) ? 0 : s->start->deadline_ms,
        .paused = s->start->paused,
        .random = e->ports.random,
        .random_ctx = e->ports.ctx,
    };
    int32_t rc;

    known_use(e, k);
    s->known = k;
    rc = payloads_decode_start(&e->options.codec, s->start, err);
    if (!rc)
        rc = check_inputs(s, err);
    if (rc)
        return rc;
    s->run = run_new(k->definition, &options);
    if (!s->run)
        return error_no_memory(err);
    rc = restore(s, err);
    if (rc)
        return rc;
    inbox_begin(s);
    rc = run_start(s->run, e->now_ms, err);
    if (rc)
        return rc;
    s->state = SLOT_RUNNING;
    s->pending.first_seq = run_last_seq(s->run) + 1;
    engine_touch(s);
    return 0;
}

static void slot_free(slot *s)
{
    engine *e = s->engine;
    slot_items *items, *next;

    list_remove(&s->all);
    HASH_ITER(hh, s->items, items, next)
    {
        HASH_DEL(s->items, items);
        json_decref(items->list);
        mem_free(items);
    }
    if (s->values) {
        for (uint32_t i = 0; i < s->known->definition->step_count; i++)
            json_decref(s->values[i]);
        mem_free(s->values);
    }
    json_decref(s->input);
    json_decref(s->execution);
    children_free(s);
    run_free(s->run);
    message_free(s->report);
    message_free(s->spare);
    unacknowledged_free(&s->pending);
    bytes_unref(s->end.output);
    bytes_unref(s->end.error);
    if (s->known)
        known_release(e, s->known);
    message_start_free(s->start);
    mem_free(s);
}

void slot_unref_work(slot *s)
{
    s->engine->under_way--;
    if (--s->under_way == 0 && s->state == SLOT_DROPPED)
        slot_free(s);
}

void slot_drop(slot *s)
{
    engine *e = s->engine;

    if (s->state == SLOT_DROPPED)
        return;
    events_tell(e->ports.events, e->now_ms, ORCH_LOG_INFO, "execution_left", s->start->execution,
                NULL, "%s", s->end_taken ? "completed" : "put down, or handed back");
    s->state = SLOT_DROPPED;
    HASH_DEL(e->slots, s);
    e->active -= !MUTATED(SLOT_LEAKED_ON_STOP);
    list_remove(&s->ready);
    heap_remove(&e->timers, &s->timer);
    channel_close(s->channel);
    s->channel = NULL;
    s->under_way++; /* keeps it while attempts that never started come back at once */
    e->under_way++;
    attempt_stop_all(s, ORCH_E_CANCELLED);
    slot_unref_work(s);
}

void slot_fail(slot *s, orch_error *error)
{
    bytes_unref(s->end.output);
    bytes_unref(s->end.error);
    s->end = (run_action){
        .kind = RUN_END,
        .state = RUN_FAILED,
        .children = true, /* it may have */
        .error = error_json_of(error),
    };
    s->end_taken = true;
    orch_error_free(error);
    attempt_stop_all(s, ORCH_E_CANCELLED);
    engine_touch(s);
}

void slot_drain(slot *s)
{
    if (s->state == SLOT_NEEDS_DEFINITION) {
        slot_drop(s);
    } else if (s->state == SLOT_RUNNING) {
        run_pause(s->run, true, s->engine->now_ms);
        engine_touch(s);
    }
}

/* Once all that it has done is stored, and nothing but the caller is at work for it. Its children are the orchestrator's. */
static void hand_back(slot *s)
{
    if (s->state == SLOT_RUNNING && s->under_way == 1 && !s->pending.count)
        slot_drop(s);
}

static void take_end(slot *s, const run_action *a)
{
    orch_error *error = NULL;

    s->end = *a;
    s->end_taken = true;
    if (!s->engine->options.codec.ops)
        return;
    if (codec_encode(&s->engine->options.codec, &s->end.output, &error))
        slot_fail(s, error);
    payloads_encode_error(s, &s->end.error);
}

static void perform(slot *s, run_action *a)
{
    switch (a->kind) {
    case RUN_EVALUATE: evaluate_action(s, a); break;
    case RUN_ATTEMPT: attempt_begin(s, a); break;
    case RUN_STOP: attempt_stop(s, a); break;
    case RUN_CHILD: child_start(s, a); break;
    case RUN_STOP_CHILD: child_stop(s, a); break;
    case RUN_CHECKPOINT:
        if (a->checkpoint.index != INDEX_NONE && checkpoint_is_end(&a->checkpoint))
            s->items_ended++;
        if (!protocol_report(s, &a->checkpoint)) {
            checkpoint_clear(&a->checkpoint);
            slot_drop(
                s); /* the orchestrator finds the channel closed and goes on from what is stored */
        } else if (MUTATED(STORE_NOT_AWAITED)) {
            run_stored(s->run, run_last_seq(s->run));
        }
        break;
    default: take_end(s, a); break;
    }
}

static void send_report(slot *s, enum report_end end)
{
    if (s->proof.needed && s->report)
        proof_told(s, s->pending.first_seq + s->pending.count - 1);
    protocol_send_report(s, end);
}

uint32_t slot_work(slot *s, uint32_t most)
{
    engine *e = s->engine;
    run_action a;
    uint32_t taken = 0;

    if (s->state != SLOT_RUNNING || !s->channel)
        return 0;
    s->quiet_ms = 0;
    s->under_way++; /* perform() may drop it */
    e->under_way++;
    if (s->proof.needed)
        run_hold(s->run, !proof_holds(s));
    while (s->state == SLOT_RUNNING && !s->end_taken && protocol_has_credit(s)) {
        if (taken == most) {
            engine_touch(s);
            break;
        }
        if (!run_next(s->run, e->now_ms, &a))
            break;
        taken++;
        perform(s, &a);
    }
    if (s->state == SLOT_RUNNING) {
        if (s->end_taken) {
            s->state = SLOT_COMPLETED;
            send_report(s, REPORT_COMPLETED);
        } else if (s->report) {
            send_report(s, REPORT_GOES_ON);
        }
    }
    if (s->proof.needed && s->state == SLOT_RUNNING && run_is_held_up(s->run))
        proof_ask(s);
    if (s->state != SLOT_DROPPED)
        slot_set_timer(s);
    if (e->draining)
        hand_back(s);
    slot_unref_work(s);
    return taken;
}

/* Whether only time or its inbox can move it on, and that may take long enough to put it down. */
static bool may_suspend(const slot *s)
{
    return !s->pending.count && run_is_waiting(s->run) &&
           run_deadline(s->run) - s->engine->now_ms >= s->engine->options.suspend_after_ms;
}

static void suspend(slot *s)
{
    s->state = SLOT_SUSPENDING;
    protocol_send_report(s, REPORT_SUSPENDED);
}

/* Who waits for a moment only stays: to bring it back costs more than to keep it. But not where others want its place. */
static int64_t quiet_until(slot *s, int64_t deadline_ms)
{
    engine *e = s->engine;

    if (e->active > e->options.capacity / 2) {
        suspend(s);
        return INT64_MAX;
    }
    s->quiet_ms = e->now_ms;
    return deadline_ms - e->now_ms < e->options.quiet_ms ? deadline_ms
                                                         : e->now_ms + e->options.quiet_ms;
}

void slot_set_timer(slot *s)
{
    engine *e = s->engine;
    int64_t at = INT64_MAX;

    if (!s->channel) {
        at = s->detached_ms + e->options.detach_grace_ms;
    } else if (s->state == SLOT_RUNNING) {
        at = run_deadline(s->run);
        if (may_suspend(s))
            at = quiet_until(s, at);
    }
    if (s->state == SLOT_DROPPED)
        return;
    if (at == INT64_MAX) {
        heap_remove(&e->timers, &s->timer);
    } else if ((!s->timer.place || s->timer.at != at) && !heap_set(&e->timers, &s->timer, at)) {
        slot_drop(s); /* without a timer it would sleep for ever */
    }
}

void slot_on_timer(slot *s)
{
    engine *e = s->engine;

    if (!s->channel) {
        log_write(e->ports.log, ORCH_LOG_WARNING,
                  "execution %s: no orchestrator came back for it within %lld ms",
                  s->start->execution, (long long)e->options.detach_grace_ms);
        slot_drop(s);
        return;
    }
    if (s->state != SLOT_RUNNING)
        return;
    if (s->quiet_ms && may_suspend(s)) {
        suspend(s);
        return;
    }
    run_tick(s->run, e->now_ms);
    engine_touch(s);
}
