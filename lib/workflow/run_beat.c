/* Heartbeats of an attempt: that it is alive, and details of how far it has come, which the next attempt is given. Details
 * are stored at their own pace, however often they come; the last of them is never lost for that. */
#include "base/mem.h"
#include "workflow/run_impl.h"

#define GAP_MS 1000 /* at least between two checkpoints with details */

void run_beat_free(beat *b)
{
    if (!b)
        return;
    bytes_unref(b->details);
    mem_free(b);
}

static int64_t earliest(const beat *b)
{
    int64_t at = b->timeout_at < b->silent_at ? b->timeout_at : b->silent_at;

    return b->save_at < at ? b->save_at : at;
}

static void set_timer(run *r, timing *t)
{
    int64_t at = earliest(t->beat);

    if (at == INT64_MAX)
        heap_remove(&r->timers, &t->timer);
    else if (!heap_set(&r->timers, &t->timer, at))
        run_no_memory(r);
}

beat *run_beat(timing *t)
{
    if (t->beat)
        return t->beat;
    t->beat = mem_zalloc(sizeof *t->beat);
    if (!t->beat)
        return NULL;
    t->beat->timeout_at = t->timer.place ? t->timer.at : INT64_MAX;
    t->beat->silent_at = t->beat->save_at = INT64_MAX;
    return t->beat;
}

/* An attempt starts. */
bool run_beat_begin(run *r, timing *t, int64_t timeout_at, int64_t heartbeat_ms)
{
    beat *b = run_beat(t);

    if (!b) {
        run_no_memory(r);
        return false;
    }
    b->timeout_at = timeout_at;
    b->silent_at = heartbeat_ms ? r->now_ms + heartbeat_ms : INT64_MAX;
    b->save_at = INT64_MAX; /* what came last is in the row of the attempt before */
    set_timer(r, t);
    return r->phase == RUN_GOING;
}

static void save(run *r, timing *t)
{
    beat *b = t->beat;
    checkpoint c = {.step = t->at.step,
                    .index = t->at.index,
                    .kind = CHECKPOINT_HEARTBEAT,
                    .attempt = t->attempt,
                    .output = bytes_ref(b->details)};

    b->save_at = INT64_MAX;
    b->saved_ms = r->now_ms;
    run_record(r, &c);
}

/* The timer went off. True if the attempt is overdue. */
bool run_beat_over(run *r, timing *t)
{
    beat *b = t->beat;

    if (b->save_at <= r->now_ms)
        save(r, t);
    b->was_silent = b->silent_at <= r->now_ms && b->silent_at < b->timeout_at;
    if (b->was_silent || b->timeout_at <= r->now_ms)
        return true;
    set_timer(r, t);
    return false;
}

static void keep_details(run *r, timing *t, bytes *details, int64_t heartbeat_ms)
{
    beat *b = t->beat;
    int64_t gap_ms = heartbeat_ms / 2 > GAP_MS ? heartbeat_ms / 2 : GAP_MS;

    bytes_unref(b->details);
    b->details = details;
    b->attempt = t->attempt;
    if (b->saved_ms > r->now_ms) /* by another clock */
        b->saved_ms = r->now_ms;
    b->save_at = b->saved_ms ? b->saved_ms + gap_ms : r->now_ms;
    if (b->save_at <= r->now_ms)
        save(r, t);
}

static void alive(run *r, place at, bytes *details)
{
    const step_extra *extra = run_step(r, at.step)->extra;
    int64_t heartbeat_ms = extra ? extra->heartbeat_ms : 0;
    timing *t = heartbeat_ms || details ? run_timing(r, at) : NULL;
    beat *b = t ? run_beat(t) : NULL;

    if (!b) {
        if (t)
            run_no_memory(r);
        bytes_unref(details);
        return;
    }
    if (heartbeat_ms)
        b->silent_at = r->now_ms + heartbeat_ms;
    if (details)
        keep_details(r, t, details, heartbeat_ms);
    set_timer(r, t);
}

void run_heartbeat(run *r, uint32_t number, uint32_t index, uint32_t attempt, bytes *details,
                   int64_t now_ms)
{
    place at = {number, index};
    const node *n = run_find_attempt(r, at, attempt);

    r->now_ms = now_ms;
    /* One that was told to stop for its silence stays so. */
    if (n && n->phase == PHASE_RUNNING && r->phase == RUN_GOING)
        alive(r, at, details);
    else
        bytes_unref(details);
}
