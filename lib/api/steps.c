/* Where each step is: what the history of a run says of it last, and what its engine says runs now. */
#include <string.h>

#include "api/api_impl.h"
#include "base/json.h"
#include "workflow/definition.h"

#define PAGE_DEFAULT      1000
#define PAGE_MAX          10000
#define HISTORY_AT_A_TIME 10000

typedef struct entry {
    uint8_t kind; /* enum checkpoint_kind of the last thing recorded; 0 = nothing */
    bool running;
    uint32_t attempts;
    int64_t started_ms, ended_ms, due_ms;
    uint32_t items, items_ended;
    bytes *output, *error;
} entry;

struct orch_steps {
    definition *definition;
    uint32_t step;  /* STEP_NONE: the entries are steps; else items of it */
    uint32_t first; /* of the page */
    uint32_t total, count;
    int32_t codec_status;
    entry entries[];
};

/* ---- from the history ------------------------------------------------------------------------------------ */

static entry *place_of(orch_steps *s, uint32_t number)
{
    return number >= s->first && number - s->first < s->count ? &s->entries[number - s->first]
                                                              : NULL;
}

static void replace(bytes **field, bytes *with)
{
    bytes_unref(*field);
    *field = bytes_ref(with);
}

/* 0 also of one that cannot be decoded. */
static int32_t count_of(const checkpoint *c, uint32_t *out, orch_error **err)
{
    json_error_t where;
    json_t *tree = c->output ? json_loadb(c->output->data, c->output->len, 0, &where) : NULL;
    const json_t *count = json_object_get(tree, "count");
    json_int_t n = json_integer_value(count);
    bool encoded = json_object_get(tree, "$encoded") != NULL;
    bool good = encoded || (json_is_integer(count) && n >= 0 && n < INDEX_NONE);
    bool no_memory = c->output && !tree && json_lacked_memory(&where);

    json_decref(tree);
    if (no_memory)
        return error_no_memory(err);
    if (!good)
        return error_set(err, ORCH_E_DATA_LOSS, NULL,
                         "checkpoint %llu does not say how many items there are",
                         (unsigned long long)c->seq);
    *out = (uint32_t)n;
    return 0;
}

/* What the compensation of a step gave is in the history; its own output stays. */
static bool is_undo(const checkpoint *c)
{
    return c->kind >= CHECKPOINT_UNDO_RETRYING && c->kind <= CHECKPOINT_UNDO_FAILED;
}

static bool ends_attempt(const checkpoint *c)
{
    return c->kind == CHECKPOINT_RETRYING || checkpoint_is_end(c);
}

/* An attempt or its end. */
static void fold_attempt(entry *e, const checkpoint *c)
{
    if (!e->started_ms)
        e->started_ms = c->started_ms;
    if (checkpoint_is_end(c))
        e->ended_ms = c->ended_ms;
    if (ends_attempt(c)) {
        e->attempts = c->attempt;
        replace(&e->error, c->error);
    }
    if (ends_attempt(c) || c->kind == CHECKPOINT_HEARTBEAT)
        replace(&e->output, c->output);
}

static int32_t fold(entry *e, const checkpoint *c, orch_error **err)
{
    e->kind = c->kind;
    e->due_ms = c->due_ms;
    if (c->kind == CHECKPOINT_EXPANDED)
        return count_of(c, &e->items, err);
    if (!is_undo(c))
        fold_attempt(e, c);
    else if (c->error)
        replace(&e->error, c->error);
    return 0;
}

static int32_t take(orch_steps *s, const checkpoint *c, orch_error **err)
{
    bool of_items = s->step != STEP_NONE, is_item = c->index != INDEX_NONE;
    entry *e;

    if (c->step == STEP_NONE || (of_items && (c->step != s->step || !is_item)))
        return 0;
    e = place_of(s, of_items ? c->index : c->step);
    if (!e)
        return 0;
    if (of_items || !is_item)
        return fold(e, c, err);
    if (checkpoint_is_end(c))
        e->items_ended++;
    return 0;
}

/* All checkpoints of a run, one after the other, until `each` says otherwise. */
typedef struct walk {
    orch_v2 *orch;
    const execution_row *row;
    uint32_t run;
    const definition *definition;
    int32_t (*each)(void *ctx, const checkpoint *c, orch_error **err);
    void *ctx;
    int32_t *codec_status;
} walk;

static int32_t walk_page(const walk *w, uint64_t *after, bool *more, orch_error **err)
{
    checkpoint_page page = {0};
    int32_t rc = record_read(w->orch, w->row, w->run, *after, HISTORY_AT_A_TIME, w->definition,
                             &page, w->codec_status, err);

    *more = page.count == HISTORY_AT_A_TIME;
    for (size_t i = 0; !rc && i < page.count; i++) {
        *after = page.rows[i].seq;
        rc = w->each(w->ctx, &page.rows[i], err);
    }
    checkpoint_page_clear(&page);
    return rc;
}

static int32_t walk_history(const walk *w, orch_error **err)
{
    uint64_t after = 0;
    bool more = true;
    int32_t rc = 0;

    while (!rc && more)
        rc = walk_page(w, &after, &more, err);
    return rc;
}

static int32_t take_each(void *ctx, const checkpoint *c, orch_error **err)
{
    return take(ctx, c, err);
}

/* How many items a for_each has, as its history says. */
typedef struct item_count {
    uint32_t step, count;
} item_count;

static int32_t count_each(void *ctx, const checkpoint *c, orch_error **err)
{
    item_count *n = ctx;

    return c->step == n->step && c->kind == CHECKPOINT_EXPANDED ? count_of(c, &n->count, err) : 0;
}

/* The run has ended, and with it whatever had begun. */
static void end_all(orch_steps *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        entry *e = &s->entries[i];

        if (e->kind && !e->ended_ms)
            e->kind = CHECKPOINT_CANCELLED;
        e->due_ms = 0;
    }
}

/* ---- from the engine ------------------------------------------------------------------------------------- */

typedef struct look_command {
    command base; /* first */
    uint64_t key;
    orch_steps *steps;
    sem_t done;
} look_command;

static void look(command *c, runtime *rt)
{
    look_command *l = (look_command *)c;
    orch_steps *s = l->steps;

    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t step = s->step == STEP_NONE ? s->first + i : s->step;
        uint32_t index = s->step == STEP_NONE ? INDEX_NONE : s->first + i;

        s->entries[i].running = runtime_is_running(rt, l->key, step, index);
    }
    sem_post(&l->done);
}

/* Nothing runs once the loop has ended. */
static int32_t look_at_engine(orch_v2 *o, uint64_t key, orch_steps *s, orch_error **err)
{
    look_command l = {.base.run = look, .key = key, .steps = s};
    int32_t rc;

    sem_init(&l.done, 0, 0);
    rc = runtime_post(o->rt, &l.base, runtime_is_stopped(o->rt) ? NULL : err);
    while (!rc && sem_wait(&l.done))
        ;
    sem_destroy(&l.done);
    return rc == ORCH_E_FAILED_PRECONDITION ? 0 : rc;
}

/* ---- the page -------------------------------------------------------------------------------------------- */

static int32_t find_step(const definition *d, const char *step, uint32_t *out, orch_error **err)
{
    const struct step *s;

    if (!definition_find_step(d, step, strlen(step), out))
        return error_set(err, ORCH_E_NOT_FOUND, step, "workflow '%s' %s has no step '%s'", d->id,
                         d->version, step);
    s = &d->steps[*out];
    if (!s->extra || !s->extra->for_each)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, step,
                         "step '%s' has no for_each, so it has no items", step);
    return 0;
}

static orch_steps *steps_new(definition *d, uint32_t step, uint32_t total, uint32_t first,
                             uint32_t limit)
{
    uint32_t left = first < total ? total - first : 0, count = left < limit ? left : limit;
    orch_steps *s = mem_zalloc(sizeof *s + count * sizeof *s->entries);

    if (!s)
        return NULL;
    s->definition = definition_ref(d);
    s->step = step;
    s->first = first;
    s->total = total;
    s->count = count;
    return s;
}

typedef struct steps_query {
    const char *id, *step;
    uint32_t run, first, limit;
} steps_query;

static int32_t read_page(orch_v2 *o, const execution_row *row, const steps_query *q, definition *d,
                         orch_steps **out, orch_error **err)
{
    int32_t codec_status = 0;
    walk w = {.orch = o, .row = row, .run = q->run, .definition = d, .codec_status = &codec_status};
    item_count items = {STEP_NONE, d->step_count};
    int32_t rc = record_find_run(row, q->id, &w.run, err);

    if (!rc && q->step) {
        items.count = 0;
        rc = find_step(d, q->step, &items.step, err);
        w.each = count_each;
        w.ctx = &items;
        if (!rc)
            rc = walk_history(&w, err);
    }
    if (rc)
        return rc;
    *out = steps_new(d, items.step, items.count, q->first, q->limit);
    if (!*out)
        return error_no_memory(err);
    w.each = take_each;
    w.ctx = *out;
    w.codec_status = &(*out)->codec_status;
    rc = walk_history(&w, err);
    if (rc)
        return rc;
    if (w.run == row->run && !EXECUTION_STATE_IS_END(row->state))
        return look_at_engine(o, row->key, *out, err);
    end_all(*out);
    return 0;
}

int32_t orch_v2_get_steps(orch_v2 *orch, const char *execution_id, uint32_t run, const char *step,
                          uint32_t first, uint32_t limit, orch_steps **out_steps, orch_error **err)
{
    const steps_query q = {execution_id, step, run, first, limit ? limit : PAGE_DEFAULT};
    execution_row row = {0};
    definition *d = NULL;
    orch_steps *s = NULL;
    int32_t rc = check_query(orch, execution_id, out_steps, "out_steps", err);

    if (!rc && step)
        rc = check_name(step, "step", err);
    if (!rc)
        rc = check_limit(limit, PAGE_MAX, err);
    if (!rc)
        rc = query_row(orch, execution_id, &row, err);
    if (!rc)
        rc = versions_definition(orch, row.definition, &d, err);
    if (!rc)
        rc = read_page(orch, &row, &q, d, &s, err);
    execution_row_clear(&row);
    definition_unref(d);
    if (rc)
        orch_steps_free(s);
    else
        *out_steps = s;
    return rc;
}

void orch_steps_free(orch_steps *steps)
{
    if (!steps)
        return;
    for (uint32_t i = 0; i < steps->count; i++) {
        bytes_unref(steps->entries[i].output);
        bytes_unref(steps->entries[i].error);
    }
    definition_unref(steps->definition);
    mem_free(steps);
}

/* ---- what it says ---------------------------------------------------------------------------------------- */

int32_t orch_steps_codec_status(const orch_steps *steps)
{
    return steps ? steps->codec_status : 0;
}

size_t orch_steps_count(const orch_steps *steps)
{
    return steps ? steps->count : 0;
}

uint32_t orch_steps_total(const orch_steps *steps)
{
    return steps ? steps->total : 0;
}

/* NULL beyond the end. */
static const entry *entry_at(const orch_steps *steps, size_t i)
{
    return steps && i < steps->count ? &steps->entries[i] : NULL;
}

static const step *step_at(const orch_steps *steps, size_t i)
{
    if (!entry_at(steps, i))
        return NULL;
    return &steps->definition
                ->steps[steps->step == STEP_NONE ? steps->first + (uint32_t)i : steps->step];
}

const char *orch_steps_id(const orch_steps *steps, size_t i)
{
    const step *s = step_at(steps, i);

    return s ? s->id : "";
}

int64_t orch_steps_index(const orch_steps *steps, size_t i)
{
    return entry_at(steps, i) && steps->step != STEP_NONE ? (int64_t)(steps->first + i) : -1;
}

const char *orch_steps_executor(const orch_steps *steps, size_t i)
{
    const step *s = step_at(steps, i);

    return s ? steps->definition->executors[s->executor] : "";
}

int32_t orch_steps_state(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    if (!e)
        return ORCH_STEP_NONE;
    if (e->running)
        return ORCH_STEP_RUNNING;
    return e->kind ? record_kind(e->kind) : ORCH_STEP_NONE;
}

int32_t orch_steps_attempts(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    return e ? (int32_t)e->attempts : 0;
}

int64_t orch_steps_started_ms(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    return e ? e->started_ms : 0;
}

int64_t orch_steps_ended_ms(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    return e ? e->ended_ms : 0;
}

int64_t orch_steps_due_ms(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    return e ? e->due_ms : 0;
}

uint32_t orch_steps_items(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    return e ? e->items : 0;
}

uint32_t orch_steps_items_ended(const orch_steps *steps, size_t i)
{
    const entry *e = entry_at(steps, i);

    return e ? e->items_ended : 0;
}

const char *orch_steps_output(const orch_steps *steps, size_t i, size_t *out_len)
{
    const entry *e = entry_at(steps, i);

    return text_or(e ? e->output : NULL, "null", out_len);
}

const char *orch_steps_error(const orch_steps *steps, size_t i, size_t *out_len)
{
    const entry *e = entry_at(steps, i);

    return text_or(e ? e->error : NULL, NULL, out_len);
}
