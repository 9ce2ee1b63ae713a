/* Reads of the store, on the io pool: the loop never waits for the disk. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define DUE_PAGE      256
#define PAGE_MOST     256  /* rows: each may bring a large input */
#define READ_RETRY_MS 1000 /* after a read that failed */

typedef struct read_job {
    work work;
    orchestrator *o;
    void (*read)(struct read_job *r); /* on the pool: store and parsers only */
    void (*back)(struct read_job *r); /* on the loop: owns r */
    /* In. */
    uint64_t key;
    uint64_t entry; /* of a definition */
    char *id;
    uint32_t run, limit;
    bool check_row;
    int64_t wake_by_ms;
    void (*done)(void *ctx, int32_t code, execution_row *row, orch_error *error);
    void *ctx;
    /* Out. */
    int32_t code;
    orch_error *error;
    execution_row row;
    execution_page page;
    checkpoint_page history;
    inbox_page inbox;
    definition *definition;
    int64_t wake_ms;
} read_job;

static void read_free(read_job *r)
{
    orch_error_free(r->error);
    execution_row_clear(&r->row);
    execution_page_clear(&r->page);
    checkpoint_page_clear(&r->history);
    inbox_page_clear(&r->inbox);
    definition_unref(r->definition);
    mem_free(r->id);
    mem_free(r);
}

static void run_read(work *w)
{
    read_job *r = LIST_ENTRY(w, read_job, work);

    r->read(r);
}

static void read_back(work *w)
{
    read_job *r = LIST_ENTRY(w, read_job, work);

    r->o->reads--;
    if (w->refused && r->o->stopping)
        r->code = error_set(&r->error, ORCH_E_CANCELLED, NULL, "the orchestrator stops");
    else if (w->refused)
        r->code = error_set(&r->error, ORCH_E_UNAVAILABLE, NULL, "the pool gave the read back");
    r->back(r);
}

/* Takes r over. False if it could not be queued: r is freed, and `back` does not come. */
static bool submit(orchestrator *o, read_job *r)
{
    r->o = o;
    r->work.run = run_read;
    r->work.done = read_back;
    if (o->ports.io.submit(o->ports.io.self, &r->work)) {
        read_free(r);
        return false;
    }
    o->reads++;
    return true;
}

static read_job *read_new(void (*read)(read_job *r), void (*back)(read_job *r))
{
    read_job *r = mem_zalloc(sizeof *r);

    if (r) {
        r->read = read;
        r->back = back;
    }
    return r;
}

/* ---- the history of one execution, for a hand-over ------------------------------------------------------- */

/* A row may have been old when it came from the store, and the execution have ended since. */
static void read_history(read_job *r)
{
    store *s = &r->o->ports.store;

    if (r->check_row) {
        r->code = s->ops->load_execution(s->self, r->key, NULL, &r->row, &r->error);
        if (r->code || EXECUTION_STATE_IS_END(r->row.state))
            return;
    }
    r->code = s->ops->load_checkpoints(s->self, r->key, r->run, 0, 0, &r->history, &r->error);
    if (!r->code)
        r->code = s->ops->load_inbox(s->self, r->key, &r->inbox, &r->error);
}

static void history_back(read_job *r)
{
    orchestrator *o = r->o;
    live *l = live_find(o, r->key);

    if (l && l->phase == PHASE_LOADING) {
        if (o->stopping || EXECUTION_STATE_IS_END(r->row.state)) {
            end_let_go(l);
        } else if (r->code) {
            log_write(o->ports.log, ORCH_LOG_ERROR, "reading a history: %s",
                      orch_error_message(r->error));
            dispatch_later(l);
        } else {
            l->from_store = false;
            dispatch_loaded(l, &r->history, &r->inbox);
        }
    }
    read_free(r);
}

void reads_history(live *l)
{
    orchestrator *o = l->o;
    read_job *r = read_new(read_history, history_back);

    if (r) {
        r->key = l->key;
        r->run = l->run;
        r->check_row = l->from_store;
    }
    if (!r || !submit(o, r)) {
        dispatch_later(l);
    }
}

/* ---- a definition ---------------------------------------------------------------------------------------- */

static void read_definition(read_job *r)
{
    store *s = &r->o->ports.store;
    definition_page page = {0};

    r->code = s->ops->load_definitions(s->self, r->entry, true, &page, &r->error);
    if (!r->code && page.count != 1)
        r->code = error_set(&r->error, ORCH_E_DATA_LOSS, NULL,
                            "definition %llu is not in the store", (unsigned long long)r->entry);
    if (!r->code)
        r->code = definition_parse(page.rows[0].text->data, page.rows[0].text->len,
                                   &r->o->options.limits, &r->definition, &r->error);
    definition_page_clear(&page);
}

/* Those that asked for a start are told; those whose engine waits for it wait on, if that can help. */
static void definition_failed(orchestrator *o, version_entry *v, int32_t code,
                              const orch_error *error)
{
    list *node;

    accept_definition_loaded(o, v, code, error);
    if (refusal_passes(code)) {
        v->retry_ms = o->now_ms + refusal_pause_ms(++v->refusals);
        list_push(&o->unread, &v->unread);
        return;
    }
    while ((node = list_pop(&v->needing)))
        live_free(LIST_ENTRY(node, live, link)); /* it stays open in the store */
}

static void definition_loaded(orchestrator *o, version_entry *v)
{
    list *node;

    v->refusals = 0;
    while ((node = list_pop(&v->needing)))
        dispatch_definition(LIST_ENTRY(node, live, link));
    accept_definition_loaded(o, v, 0, NULL);
}

static void definition_back(read_job *r)
{
    orchestrator *o = r->o;
    version_entry *v = registry_by_key(o, r->entry);

    v->loading = false;
    if (!v->definition) /* a registration may have brought it meanwhile */
        v->definition = definition_ref(r->definition);
    if (v->definition) {
        definition_loaded(o, v);
    } else {
        log_write(o->ports.log, refusal_passes(r->code) ? ORCH_LOG_WARNING : ORCH_LOG_CRITICAL,
                  "workflow %s %s: %s", v->workflow, v->version, orch_error_message(r->error));
        definition_failed(o, v, r->code, r->error);
    }
    read_free(r);
}

void reads_definition(orchestrator *o, version_entry *v)
{
    orch_error *error = NULL;
    read_job *r;

    if (v->loading)
        return;
    list_remove(&v->unread);
    v->loading = true;
    r = read_new(read_definition, definition_back);
    if (r)
        r->entry = v->key;
    if (r && submit(o, r))
        return;
    v->loading = false;
    error_no_memory(&error);
    definition_failed(o, v, ORCH_E_RESOURCE_EXHAUSTED, error);
    orch_error_free(error);
}

void reads_definitions_again(orchestrator *o)
{
    list due;
    list *node;

    list_init(&due);
    for (list *it = o->unread.next, *next; it != &o->unread; it = next) {
        next = it->next;
        if (LIST_ENTRY(it, version_entry, unread)->retry_ms > o->now_ms)
            continue;
        list_remove(it);
        list_push(&due, it);
    }
    while ((node = list_pop(&due))) {
        version_entry *v = LIST_ENTRY(node, version_entry, unread);

        if (v->definition)
            definition_loaded(o, v);
        else if (!list_empty(&v->needing))
            reads_definition(o, v);
    }
}

int64_t reads_definitions_deadline(const orchestrator *o)
{
    int64_t at = INT64_MAX;

    LIST_EACH(it, &o->unread)
    {
        const version_entry *v = LIST_ENTRY(it, version_entry, unread);

        if (v->retry_ms < at)
            at = v->retry_ms;
    }
    return at;
}

/* ---- one row --------------------------------------------------------------------------------------------- */

static void read_row(read_job *r)
{
    store *s = &r->o->ports.store;

    r->code = s->ops->load_execution(s->self, r->key, r->id, &r->row, &r->error);
}

static void row_back(read_job *r)
{
    r->done(r->ctx, r->code, &r->row, r->error);
    read_free(r);
}

void reads_row(orchestrator *o, uint64_t key, const char *id,
               void (*done)(void *ctx, int32_t code, execution_row *row, orch_error *error),
               void *ctx)
{
    read_job *r = read_new(read_row, row_back);
    orch_error *error = NULL;

    if (r) {
        r->key = key;
        r->done = done;
        r->ctx = ctx;
        r->id = id ? mem_strdup(id) : NULL;
        if (id && !r->id) {
            read_free(r);
            r = NULL;
        }
    }
    if (r && submit(o, r))
        return;
    error_no_memory(&error);
    done(ctx, ORCH_E_RESOURCE_EXHAUSTED, NULL, error);
    orch_error_free(error);
}

/* ---- what waits in the store only ------------------------------------------------------------------------ */

static bool has_room(const orchestrator *o)
{
    return o->pending_count < o->options.window && o->input_bytes <= o->options.window_bytes;
}

static void bring_in(orchestrator *o, execution_row *row)
{
    live *l;

    if (EXECUTION_STATE_IS_END(row->state) || live_find(o, row->key))
        return;
    l = live_from_row(o, row);
    if (l) {
        live_enqueue(l, false);
    } else if (registry_by_key(o, row->definition)) {
        reads_later(o, row->key);
    }
}

static void live_back(read_job *r)
{
    if (!r->code && has_room(r->o) && !r->o->stopping)
        bring_in(r->o, &r->row);
    else if (r->code != ORCH_E_NOT_FOUND)
        reads_overflow(r->o, r->key); /* found again with the pages */
    read_free(r);
}

void reads_live(orchestrator *o, uint64_t key)
{
    read_job *r = read_new(read_row, live_back);

    if (r)
        r->key = key;
    if (!r || !submit(o, r))
        reads_overflow(o, key);
}

void reads_overflow(orchestrator *o, uint64_t key)
{
    if (o->reading_page && key < o->overflow_key)
        o->overflow_key = key;
    if (!o->more_in_store || key <= o->behind_key)
        o->behind_key = key - 1;
    o->more_in_store = true;
}

void reads_later(orchestrator *o, uint64_t key)
{
    o->page_retry_ms = o->now_ms + READ_RETRY_MS;
    reads_overflow(o, key);
}

static void read_page(read_job *r)
{
    store *s = &r->o->ports.store;

    r->code = s->ops->load_runnable(s->self, 5, NULL, r->key, r->limit, &r->page, &r->error);
}

static void page_back(read_job *r)
{
    orchestrator *o = r->o;

    o->reading_page = false;
    if (r->code) {
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading what waits: %s",
                  orch_error_message(r->error));
        o->page_retry_ms = o->now_ms + READ_RETRY_MS;
        read_free(r);
        return;
    }
    o->more_in_store = r->page.next_after != 0;
    o->behind_key = r->page.next_after;
    if (o->overflow_key != UINT64_MAX)
        reads_overflow(o, o->overflow_key);
    for (size_t i = 0; i < r->page.count && !o->stopping; i++)
        bring_in(o, &r->page.rows[i]);
    read_free(r);
}

void reads_page(orchestrator *o)
{
    uint32_t half = o->options.window / 2 ? o->options.window / 2 : 1;
    read_job *r;

    if (!o->more_in_store || o->reading_page || o->stopping || o->pending_count >= half ||
        o->input_bytes > o->options.window_bytes || o->page_retry_ms > o->now_ms)
        return;
    o->page_retry_ms = 0;
    r = read_new(read_page, page_back);
    if (r) {
        r->key = o->behind_key;
        r->limit = half < PAGE_MOST ? half : PAGE_MOST;
    }
    o->overflow_key = UINT64_MAX;
    o->reading_page = r && submit(o, r);
    if (!o->reading_page)
        o->page_retry_ms = o->now_ms + READ_RETRY_MS;
}

/* ---- suspended executions whose time has come ------------------------------------------------------------ */

typedef struct wake_job {
    unit_job job; /* first */
    execution_update update;
} wake_job;

static void wake_known(read_job *r)
{
    orchestrator *o = r->o;

    o->reading_due = false;
    reads_sleep(o, r->code ? o->now_ms + READ_RETRY_MS : r->wake_ms);
    read_free(r);
}

static void read_next_wake(read_job *r)
{
    store *s = &r->o->ports.store;

    r->code = s->ops->next_wake(s->self, &r->wake_ms, &r->error);
}

/* Once all that were woken are no longer suspended in the store: when is the next one due? */
static void ask_next_wake(orchestrator *o)
{
    read_job *r = read_new(read_next_wake, wake_known);

    o->reading_due = r && submit(o, r);
    if (!o->reading_due)
        reads_sleep(o, o->now_ms + READ_RETRY_MS);
}

/* Those that could not be woken are still suspended in the store, and due. */
static void due_is_over(orchestrator *o)
{
    if (!o->wake_failed) {
        ask_next_wake(o);
        return;
    }
    o->wake_failed = false;
    o->reading_due = false;
    reads_sleep(o, o->now_ms + READ_RETRY_MS);
}

static void woken(unit_job *j)
{
    orchestrator *o = j->o;

    if (j->unit.result && j->unit.result != ORCH_E_FAILED_PRECONDITION) /* that: it has ended */
        o->wake_failed = true;
    else if (!j->unit.result && !live_find(o, j->unit.key))
        reads_overflow(o, j->unit.key); /* there was no room for it */
    mem_free(j);
    if (--o->waking == 0)
        due_is_over(o);
}

static void wake(orchestrator *o, execution_row *row)
{
    wake_job *w = mem_zalloc(sizeof *w);

    if (!w) {
        o->wake_failed = true;
        return;
    }
    w->update.state = EXECUTION_OPEN;
    unit_init(&w->job, o, row->key, woken);
    w->job.unit.must_be_open = true;
    w->job.unit.update = &w->update;
    o->waking++;
    if (has_room(o))
        bring_in(o, row);
    unit_submit(&w->job);
}

static void read_due(read_job *r)
{
    store *s = &r->o->ports.store;

    r->code = s->ops->load_due(s->self, r->wake_by_ms, r->limit, &r->page, &r->error);
}

static void due_back(read_job *r)
{
    orchestrator *o = r->o;

    if (r->code) {
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading who is due: %s",
                  orch_error_message(r->error));
        o->reading_due = false;
        reads_sleep(o, o->now_ms + READ_RETRY_MS);
        read_free(r);
        return;
    }
    for (size_t i = 0; i < r->page.count && !o->stopping; i++)
        wake(o, &r->page.rows[i]);
    if (!o->waking)
        due_is_over(o);
    read_free(r);
}

void reads_due(orchestrator *o)
{
    read_job *r;

    if (o->reading_due || o->stopping || o->wake_ms > o->now_ms)
        return;
    o->wake_ms = INT64_MAX;
    r = read_new(read_due, due_back);
    if (r) {
        r->wake_by_ms = o->now_ms;
        r->limit = DUE_PAGE;
    }
    o->reading_due = r && submit(o, r);
    if (!o->reading_due)
        reads_sleep(o, o->now_ms + READ_RETRY_MS);
}

void reads_sleep(orchestrator *o, int64_t wake_ms)
{
    if (wake_ms && wake_ms < o->wake_ms)
        o->wake_ms = wake_ms;
}
