/* What a new run takes over: one walk over the history to see how each step stands, one over the graph to see what has to be
 * done again, and one over the history again to copy what stands. */
#include "workflow/carry.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/mutation.h"

#define ROW_NONE UINT32_MAX

/* How a step of `onto` stands. */
typedef struct standing {
    uint32_t from;  /* its number there; STEP_NONE: not there */
    uint32_t end;   /* the row of its end; ROW_NONE = none */
    uint32_t waits; /* dependencies that are not sorted out */
    uint8_t marks;  /* of its dependencies: enum mark */
    bool again;     /* it and all that comes after it is done again */
    bool decided;   /* the history says that its `when` was true */
    bool items;     /* only what its items lack is done again */
    bool implicit;  /* it leaves no row: it is skipped by its run_if, or makes no checkpoints */
} standing;

enum mark { MARK_SUCCEEDED = 1, MARK_FAILED = 2, MARK_NOT_DONE = 4, MARK_AGAIN = 8 };

typedef struct work {
    const definition *from, *onto;
    const checkpoint *rows;
    uint32_t count;
    uint32_t chosen;     /* step of onto; STEP_NONE = none */
    standing *standings; /* by step of onto */
    uint32_t *onto_of;   /* by step of from; STEP_NONE = gone */
    uint32_t *queue;
    uint64_t *undone; /* places whose compensation was tried, sorted */
    uint32_t undone_count;
    json_t *from_steps, *onto_steps; /* as they were written; read where it matters */
    bool no_memory;
} work;

void carried_clear(carried *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        checkpoint_clear(&c->rows[i]);
    mem_free(c->rows);
    *c = (carried){0};
}

/* ---- how each step stands -------------------------------------------------------------------------------- */

static uint64_t place_of(const checkpoint *c)
{
    return (uint64_t)c->step << 32 | c->index;
}

static int by_place(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool is_undone(const work *w, const checkpoint *c)
{
    uint64_t place = place_of(c);

    return w->undone_count &&
           bsearch(&place, w->undone, w->undone_count, sizeof place, by_place) != NULL;
}

static bool has_items(const step *s)
{
    return s->extra && s->extra->for_each;
}

static bool has_when(const step *s)
{
    return s->extra && s->extra->when;
}

/* Whatever came of the compensation, what it was for no longer stands as it was. */
static bool find_undone(work *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->count; i++)
        n += w->rows[i].kind == CHECKPOINT_UNDONE || w->rows[i].kind == CHECKPOINT_UNDO_FAILED;
    if (!n)
        return true;
    w->undone = mem_alloc(n * sizeof *w->undone);
    if (!w->undone)
        return false;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->rows[i].kind == CHECKPOINT_UNDONE || w->rows[i].kind == CHECKPOINT_UNDO_FAILED)
            w->undone[w->undone_count++] = place_of(&w->rows[i]);
    qsort(w->undone, n, sizeof *w->undone, by_place);
    return true;
}

/* A step with an item that was compensated does not stand either. */
static void void_undone(work *w)
{
    for (uint32_t i = 0; i < w->undone_count; i++) {
        uint32_t number = (uint32_t)(w->undone[i] >> 32);

        if (number < w->from->step_count && w->onto_of[number] != STEP_NONE)
            w->standings[w->onto_of[number]].end = ROW_NONE;
    }
}

static void look_at_rows(work *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const checkpoint *c = &w->rows[i];
        standing *s;

        if (c->step >= w->from->step_count || w->onto_of[c->step] == STEP_NONE)
            continue;
        s = &w->standings[w->onto_of[c->step]];
        if (c->index == INDEX_NONE && checkpoint_is_end(c))
            s->end = i;
        else if (c->kind == CHECKPOINT_DECIDED)
            s->decided = true;
        else if (c->kind == CHECKPOINT_EXPANDED)
            s->items = true;
    }
    void_undone(w);
}

static void match_steps(work *w)
{
    for (uint32_t i = 0; i < w->from->step_count; i++)
        w->onto_of[i] = STEP_NONE;
    for (uint32_t i = 0; i < w->onto->step_count; i++) {
        const char *id = w->onto->steps[i].id;
        standing *s = &w->standings[i];

        s->end = ROW_NONE;
        s->waits = w->onto->steps[i].dependency_count;
        if (w->from == w->onto)
            s->from = i;
        else if (!definition_find_step(w->from, id, strlen(id), &s->from))
            s->from = STEP_NONE;
        if (s->from != STEP_NONE)
            w->onto_of[s->from] = i;
    }
}

/* ---- what is done again ---------------------------------------------------------------------------------- */

/* Its end in the history, if that can stand in the new run; else NULL. */
static const checkpoint *end_that_stands(const work *w, uint32_t number)
{
    const standing *s = &w->standings[number];
    const step *now = &w->onto->steps[number];
    const checkpoint *c = s->end == ROW_NONE ? NULL : &w->rows[s->end];

    if (!c || !now->checkpoint || has_items(now) != has_items(&w->from->steps[s->from]))
        return NULL;
    switch (c->kind) {
    case CHECKPOINT_SUCCEEDED: return c;
    case CHECKPOINT_SKIPPED: return has_when(now) ? c : NULL;
    case CHECKPOINT_FAILED: return now->extra && now->extra->continue_on_failure ? c : NULL;
    default: return NULL;
    }
}

static json_t *written_steps(const definition *d)
{
    json_t *tree = json_loadb(d->text->data, d->text->len, 0, NULL); /* it was read before */
    json_t *steps = json_incref(json_object_get(tree, "steps"));

    json_decref(tree);
    return steps;
}

/* Whether a list of items is made in the same way: a run that is restored refuses another one. */
static bool has_same_list(work *w, uint32_t number)
{
    const json_t *was, *now;

    if (!memcmp(&w->from->digest, &w->onto->digest, sizeof w->from->digest))
        return true;
    if (!w->from_steps)
        w->from_steps = written_steps(w->from);
    if (!w->onto_steps)
        w->onto_steps = written_steps(w->onto);
    w->no_memory |= !w->from_steps || !w->onto_steps;
    was = json_object_get(json_array_get(w->from_steps, w->standings[number].from), "for_each");
    now = json_object_get(json_array_get(w->onto_steps, number), "for_each");
    return json_equal(was, now);
}

static bool is_satisfied(const step *s, uint8_t marks)
{
    switch (s->run_if) {
    case RUN_IF_ALL_DONE: return true;
    case RUN_IF_ANY_FAILED: return marks & MARK_FAILED;
    case RUN_IF_ANY_SUCCEEDED: return marks & MARK_SUCCEEDED;
    default: return !(marks & MARK_NOT_DONE);
    }
}

/* What its end means for those that depend on it. */
static uint8_t mark_of(const work *w, uint32_t number)
{
    const standing *s = &w->standings[number];
    const checkpoint *c = end_that_stands(w, number);

    if (s->again)
        return MARK_AGAIN;
    if (!c)
        return s->marks & MARK_NOT_DONE; /* implicit: skipped, or done without a word */
    return c->kind == CHECKPOINT_SUCCEEDED ? MARK_SUCCEEDED
           : c->kind == CHECKPOINT_FAILED  ? MARK_FAILED
                                           : 0;
}

static void sort_out_step(work *w, uint32_t number)
{
    standing *s = &w->standings[number];
    const step *now = &w->onto->steps[number];
    bool same_items = s->items && has_items(now) && now->checkpoint;

    s->items = false;
    if (number == w->chosen || s->marks & MARK_AGAIN) {
        s->again = true;
    } else if (end_that_stands(w, number)) {
        /* taken over */
    } else if (!is_satisfied(now, s->marks) || !now->checkpoint) {
        s->implicit = true;
    } else {
        s->again = true;
        s->items = same_items && has_same_list(w, number);
    }
}

/* In the order of the graph. */
static void sort_out(work *w)
{
    uint32_t head = 0, tail = 0;

    for (uint32_t i = 0; i < w->onto->step_count; i++)
        if (!w->standings[i].waits)
            w->queue[tail++] = i;
    while (head < tail) {
        uint32_t number = w->queue[head++];
        const step *s = &w->onto->steps[number];
        uint8_t mark;

        sort_out_step(w, number);
        mark = mark_of(w, number);
        for (uint32_t i = 0; i < s->dependent_count; i++) {
            uint32_t next = w->onto->edges[s->dependents + i];

            w->standings[next].marks |= mark;
            if (--w->standings[next].waits == 0)
                w->queue[tail++] = next;
        }
    }
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

static void add(carried *out, const checkpoint *c, uint32_t number)
{
    checkpoint *row = &out->rows[out->count++];

    *row = *c;
    row->step = number;
    row->seq = out->count;
    row->inbox = 0; /* consumed long ago */
    bytes_ref(row->output);
    bytes_ref(row->error);
}

/* `when` is new in this version, and what it was not asked about stands. */
static void add_decision(carried *out, const checkpoint *c, uint32_t number)
{
    checkpoint decided = {
        .step = c->step, .index = INDEX_NONE, .kind = CHECKPOINT_DECIDED, .ended_ms = c->ended_ms};

    add(out, &decided, number);
}

static bool is_taken_over(const work *w, const checkpoint *c, const standing *s, const step *now)
{
    if (s->again && !s->items)
        return false;
    switch (c->kind) {
    case CHECKPOINT_DECIDED: return has_when(now);
    case CHECKPOINT_EXPANDED: return true;
    case CHECKPOINT_SUCCEEDED: return c->index == INDEX_NONE ? !s->again : !is_undone(w, c);
    case CHECKPOINT_FAILED:
    case CHECKPOINT_SKIPPED: return !s->again; /* items that failed are those of a step that may */
    default: return false;
    }
}

static void copy_rows(work *w, carried *out)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const checkpoint *c = &w->rows[i];
        uint32_t number = c->step < w->from->step_count ? w->onto_of[c->step] : STEP_NONE;
        standing *s = number == STEP_NONE ? NULL : &w->standings[number];
        const step *now = s ? &w->onto->steps[number] : NULL;

        if (!s || s->implicit || !is_taken_over(w, c, s, now) || MUTATED(RETRY_FROM_THE_START))
            continue;
        if (has_when(now) && !s->decided && c->kind != CHECKPOINT_SKIPPED) {
            add_decision(out, c, number);
            s->decided = true;
        }
        add(out, c, number);
        out->kept_steps += c->index == INDEX_NONE && checkpoint_is_end(c);
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static int32_t find_chosen(work *w, const char *id, orch_error **err)
{
    uint32_t number;

    w->chosen = STEP_NONE;
    if (!id || definition_find_step(w->onto, id, strlen(id), &w->chosen))
        return 0;
    if (w->onto != w->from && definition_find_step(w->from, id, strlen(id), &number))
        return error_set(err, ORCH_E_NOT_FOUND, id,
                         "version %s of workflow '%s' lacks the step '%s', which version %s has",
                         w->onto->version, w->onto->id, id, w->from->version);
    return error_set(err, ORCH_E_NOT_FOUND, id, "workflow '%s' %s has no step '%s'", w->onto->id,
                     w->onto->version, id);
}

int32_t carry_over(const definition *from, const checkpoint *rows, uint32_t count,
                   const definition *onto, const char *step, carried *out, orch_error **err)
{
    work w = {.from = from, .onto = onto, .rows = rows, .count = count};
    carried made = {0};
    int32_t rc = find_chosen(&w, step, err);

    if (rc)
        return rc;
    w.standings = mem_calloc(onto->step_count, sizeof *w.standings);
    w.onto_of = mem_calloc(from->step_count, sizeof *w.onto_of);
    w.queue = mem_calloc(onto->step_count, sizeof *w.queue);
    /* At most one decision is added for each step. */
    made.rows = mem_calloc((size_t)count + onto->step_count, sizeof *made.rows);
    if (!w.standings || !w.onto_of || !w.queue || !made.rows || !find_undone(&w)) {
        rc = error_no_memory(err);
    } else {
        match_steps(&w);
        look_at_rows(&w);
        sort_out(&w);
        copy_rows(&w, &made);
        rc = w.no_memory ? error_no_memory(err) : 0;
    }
    json_decref(w.from_steps);
    json_decref(w.onto_steps);
    mem_free(w.standings);
    mem_free(w.onto_of);
    mem_free(w.queue);
    mem_free(w.undone);
    if (rc)
        carried_clear(&made);
    else
        *out = made;
    return rc;
}
