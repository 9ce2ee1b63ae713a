/* for_each: a step that stands for many units, in order, at most max_parallel of them in flight. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "workflow/run_impl.h"

each *run_each_new(const step *s, uint32_t count, const digest *d)
{
    each *e = mem_zalloc(sizeof *e + (size_t)count * sizeof(node));

    if (!e)
        return NULL;
    e->digest = *d;
    e->count = count;
    e->failed_index = INDEX_NONE;
    e->goes_on = run_continues(s);
    return e;
}

static void finish(run *r, uint32_t number)
{
    const each *e = r->nodes[number].each;
    char prefix[32];

    if (e->error) {
        run_fail_step(r, number, bytes_ref(e->error));
        return;
    }
    if (e->failed_index == INDEX_NONE) {
        checkpoint c = {.step = number, .index = INDEX_NONE, .kind = CHECKPOINT_SUCCEEDED};

        run_end_step(r, &c);
        return;
    }
    snprintf(prefix, sizeof prefix, "item %" PRIu32 ": ", e->failed_index);
    run_fail_step(r, number,
                  run_error_wrap(e->items[e->failed_index].value, ORCH_E_UNKNOWN, prefix, NULL));
}

static bool is_finished(const each *e)
{
    return !e->in_flight &&
           (run_stops(e) || e->ended + (MUTATED(ITEMS_END_EARLY) && e->ended) >= e->count);
}

static bool has_turn(const run *r, uint32_t number)
{
    const each *e = r->nodes[number].each;
    uint32_t limit = run_step(r, number)->extra->max_parallel;

    return !run_stops(e) && e->next < e->count &&
           (!limit || e->in_flight < limit + MUTATED(PARALLEL_OFF_BY_ONE));
}

/* The step is in a ready ring at most once, for its next item, and goes to the ring's end for the
 * one after: so that steps with many items and others take turns. */
static void queue(run *r, uint32_t number)
{
    each *e = r->nodes[number].each;

    if (e->queued || !has_turn(r, number))
        return;
    e->queued = true;
    run_push(r, (place){number, INDEX_NONE});
}

static void skip_taken(each *e)
{
    while (e->next < e->count && e->items[e->next].phase != PHASE_WAITING)
        e->next++;
}

/* Between two attempts, or, after a restart, begun and not gone on yet. */
static bool is_between(const run *r, place at)
{
    const step *s = run_step(r, at.step);
    const node *n = &r->nodes[at.step].each->items[at.index];

    if (n->phase == PHASE_RETRYING || n->phase == PHASE_BACKOFF || n->phase == PHASE_AGAIN)
        return true;
    return n->phase == PHASE_WAITING && n->flags & NODE_BEGAN && s->kind != STEP_WAIT &&
           !run_child_of(r, at);
}

/* No more of its items start: those that only wait for their next attempt do not get it. */
static void drop_retries(run *r, uint32_t number)
{
    each *e = r->nodes[number].each;

    for (uint32_t i = 0; i < e->count; i++) {
        node *n = &e->items[i];

        if (!is_between(r, (place){number, i}) ||
            run_end_uncertain(r, (place){number, i}, CHECKPOINT_FAILED))
            continue;
        run_drop_timing(r, n);
        n->phase = PHASE_WAITING;
        n->flags &= (uint8_t)~NODE_BEGAN;
        e->in_flight--;
    }
}

/* ---- The list -------------------------------------------------------------------------------- */

bool run_begin_items(run *r, uint32_t number, run_action *out)
{
    const each *e = r->nodes[number].each;

    if (e && run_stops(e))
        drop_retries(r, number);
    if (e && is_finished(e)) { /* the history lacks only the step's own end */
        finish(r, number);
        return false;
    }
    return run_ask(r, (place){number, INDEX_NONE}, RUN_FOR_EACH, PHASE_LISTING, out);
}

static void go(run *r, uint32_t number)
{
    each *e = r->nodes[number].each;

    r->nodes[number].phase = PHASE_ITEMS;
    skip_taken(e);
    if (is_finished(e))
        finish(r, number);
    else
        queue(r, number);
}

/* After a restart: the items that had begun go on. */
static void resume(run *r, uint32_t number)
{
    each *e = r->nodes[number].each;

    if (run_stops(e))
        drop_retries(r, number);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->items[i].flags & NODE_BEGAN && e->items[i].phase == PHASE_WAITING)
            run_resume(r, (place){number, i});
    go(r, number);
}

/* The list cannot be had any more, or is another one. What it has begun must come to an end all the same. */
static void lose_list(run *r, uint32_t number, bytes *error)
{
    r->nodes[number].each->error = error ? error : bytes_ref(r->no_memory);
    resume(r, number);
}

static bytes *expansion(const each *e)
{
    char hex[DIGEST_HEX_SIZE], text[DIGEST_HEX_SIZE + 64];
    int len;

    digest_hex(&e->digest, hex);
    len = snprintf(text, sizeof text, "{\"count\":%" PRIu32 ",\"digest\":\"%s\"}", e->count, hex);
    return bytes_new(text, (size_t)len);
}

static void expand(run *r, uint32_t number, const run_answer *a)
{
    node *n = &r->nodes[number];
    checkpoint c = {.step = number, .index = INDEX_NONE, .kind = CHECKPOINT_EXPANDED};

    n->each = run_reserve_undo(r, number, (uint32_t)a->count)
                  ? run_each_new(run_step(r, number), (uint32_t)a->count, &a->items_digest)
                  : NULL;
    c.output = n->each ? expansion(n->each) : NULL;
    if (!c.output) {
        run_no_memory(r);
        return;
    }
    n->phase = PHASE_EXPANDING;
    run_record(r, &c);
}

static void go_on(run *r, uint32_t number, const run_answer *a)
{
    const each *e = r->nodes[number].each;

    if (a->code)
        lose_list(r, number, run_error_wrap(a->error, a->code, "for_each: ", NULL));
    else if (a->count != e->count || memcmp(&a->items_digest, &e->digest, sizeof(digest)) != 0)
        lose_list(r, number,
                  run_error(ORCH_E_DATA_LOSS,
                            "for_each: the list is not what it was before the restart: "
                            "%" PRIu64 " items, were %" PRIu32 "%s",
                            a->count, e->count, a->count == e->count ? ", others" : ""));
    else
        resume(r, number);
}

void run_listed(run *r, uint32_t number, run_answer *a)
{
    if (r->nodes[number].each)
        go_on(r, number, a);
    else if (a->code)
        run_fail_step(r, number, run_error_wrap(a->error, a->code, "for_each: ", NULL));
    else if (a->count > r->options.max_items)
        run_fail_step(r, number,
                      run_error(ORCH_E_RESOURCE_EXHAUSTED,
                                "for_each: %" PRIu64 " items; at most %" PRIu32 " are allowed",
                                a->count, r->options.max_items));
    else
        expand(r, number, a);
}

void run_expanded(run *r, uint32_t number)
{
    go(r, number);
}

/* ---- The items ------------------------------------------------------------------------------- */

bool run_next_item(run *r, uint32_t number, run_action *out)
{
    each *e = r->nodes[number].each;
    place at = {number, 0};

    e->queued = false;
    if (!has_turn(r, number))
        return false;
    at.index = e->next++;
    skip_taken(e);
    e->in_flight++;
    queue(r, number);
    return run_begin_unit(r, at, out);
}

void run_item_ended(run *r, place at)
{
    each *e = r->nodes[at.step].each;

    e->in_flight--;
    e->ended++;
    if (e->items[at.index].end != CHECKPOINT_SUCCEEDED && e->failed_index == INDEX_NONE) {
        e->failed_index = at.index;
        if (run_stops(e))
            drop_retries(r, at.step);
    }
    /* While the others of a restart go on one after the other, it is too early to look. */
    if (r->phase != RUN_GOING || r->nodes[at.step].phase != PHASE_ITEMS)
        return;
    if (is_finished(e))
        finish(r, at.step);
    else
        queue(r, at.step);
}
