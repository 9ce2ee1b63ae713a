/* Reads of the store, on the io pool: the loop never waits for the disk. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct read_job {
    pool_read base; /* first */
    /* In. */
    uint64_t key;
    uint64_t entry; /* of a definition */
    char *id;
    uint32_t run;
    bool check_row;
    bool check_children;
    void (*done)(void *ctx, int32_t code, execution_row *row, orch_error *error);
    void *ctx;
    /* Out. */
    execution_row row, parent;
    bool has_children; /* open ones, perhaps */
    checkpoint_page history;
    inbox_page inbox;
    uint64_t inbox_seq; /* all up to it is in `inbox`, or consumed */
    definition *definition;
} read_job;

static void read_free(read_job *r)
{
    orch_error_free(r->base.error);
    execution_row_clear(&r->row);
    execution_row_clear(&r->parent);
    checkpoint_page_clear(&r->history);
    inbox_page_clear(&r->inbox);
    definition_unref(r->definition);
    mem_free(r->id);
    mem_free(r);
}

static void run_read(work *w)
{
    pool_read *r = LIST_ENTRY(w, pool_read, work);

    r->read(r);
}

static void read_back(work *w)
{
    pool_read *r = LIST_ENTRY(w, pool_read, work);

    r->o->reads--;
    if (w->refused && r->o->stopping)
        r->code = error_set(&r->error, ORCH_E_CANCELLED, NULL, "the orchestrator stops");
    else if (w->refused)
        r->code = error_set(&r->error, ORCH_E_UNAVAILABLE, NULL, "the pool gave the read back");
    r->back(r);
}

bool reads_submit(orchestrator *o, pool_read *r)
{
    r->o = o;
    r->work.run = run_read;
    r->work.done = read_back;
    if (o->ports.io.submit(o->ports.io.self, &r->work))
        return false;
    o->reads++;
    return true;
}

/* Takes r over. False if it could not be queued: r is freed, and `back` does not come. */
static bool submit(orchestrator *o, read_job *r)
{
    if (reads_submit(o, &r->base))
        return true;
    read_free(r);
    return false;
}

static read_job *read_new(void (*read)(pool_read *r), void (*back)(pool_read *r))
{
    read_job *r = mem_zalloc(sizeof *r);

    if (r) {
        r->base.read = read;
        r->base.back = back;
    }
    return r;
}

/* ---- the history of one execution, for a hand-over ------------------------------------------------------- */

/* Of a child: its parent's name. The parent may have been deleted, if it was abandoned. */
static int32_t read_parent(read_job *r)
{
    store *s = &r->base.o->ports.store;
    orch_error *error = NULL;
    int32_t rc = s->ops->load_execution(s->self, r->row.parent, NULL, &r->parent, &error);

    if (rc == ORCH_E_NOT_FOUND) {
        orch_error_free(error);
        return 0;
    }
    r->base.error = error;
    return rc;
}

/* A page that ends early may have missed some. */
static int32_t look_for_children(read_job *r)
{
    store *s = &r->base.o->ports.store;
    execution_filter f = {
        .parent = r->key, .states = 1U << EXECUTION_OPEN | 1U << EXECUTION_SUSPENDED, .limit = 1};
    execution_page page = {0};
    int32_t rc = s->ops->list_executions(s->self, &f, &page, &r->base.error);

    r->has_children = page.count || page.next_after;
    execution_page_clear(&page);
    return rc;
}

/* The row that an execution in memory was made of may have been old when it came from the store, and the execution have ended
 * since, or been run anew, or have seen more of its inbox and been put down again. Read before the inbox. */
static bool read_row_again(read_job *r)
{
    store *s = &r->base.o->ports.store;

    r->base.code = s->ops->load_execution(s->self, r->key, NULL, &r->row, &r->base.error);
    if (r->row.inbox_seq > r->inbox_seq)
        r->inbox_seq = r->row.inbox_seq;
    return !r->base.code && !EXECUTION_STATE_IS_END(r->row.state) && r->row.run == r->run;
}

static void read_history(pool_read *base)
{
    read_job *r = (read_job *)base;
    store *s = &r->base.o->ports.store;

    if (r->check_row && !read_row_again(r))
        return;
    r->base.code = s->ops->load_checkpoints(s->self, r->key, r->run, 0, 0, &r->history,
                                            &r->base.error);
    if (!r->base.code && r->check_row && r->row.parent)
        r->base.code = read_parent(r);
    if (!r->base.code && r->check_children)
        r->base.code = look_for_children(r);
    if (!r->base.code)
        r->base.code = s->ops->load_inbox(s->self, r->key, &r->inbox, &r->base.error);
}

/* Without memory the name is unknown this time. */
static void name_parent(live *l, const execution_row *parent)
{
    char made[EXECUTION_ID_LEN + 1];
    parent_link *named;

    if (!l->parent || !parent->key)
        return;
    execution_id_format(parent->key, made);
    named = parent_link_named(l->parent, parent->id ? parent->id : made);
    if (!named)
        return;
    parent_link_free(l->parent);
    l->parent = named;
}

static void take_newer_row(live *l, const read_job *r)
{
    l->from_store = false;
    if (!l->pause_told)
        l->paused = r->row.paused;
    if (!l->priority_told)
        l->priority = r->row.priority < PRIORITIES ? r->row.priority : PRIORITY_DEFAULT;
    l->may_have_children = r->has_children;
}

static void history_back(pool_read *base)
{
    read_job *r = (read_job *)base;
    orchestrator *o = r->base.o;
    live *l = live_find(o, r->key);

    if (l && l->phase == PHASE_LOADING) {
        if (o->stopping || EXECUTION_STATE_IS_END(r->row.state)) {
            end_let_go(l);
        } else if (r->base.code) {
            log_write(o->ports.log, ORCH_LOG_ERROR, "reading a history: %s",
                      orch_error_message(r->base.error));
            dispatch_later(l);
        } else if (r->check_row && r->row.run != r->run) {
            end_look_again(l);
        } else {
            if (r->check_row)
                take_newer_row(l, r);
            children_loaded(l, &r->inbox);
            name_parent(l, &r->parent);
            dispatch_loaded(l, &r->history, &r->inbox, r->inbox_seq);
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
        r->check_children = l->from_store && (!l->version->definition ||
                                              definition_calls_back(l->version->definition));
        r->inbox_seq = l->inbox_seq;
    }
    if (!r || !submit(o, r)) {
        dispatch_later(l);
    }
}

/* ---- a definition ---------------------------------------------------------------------------------------- */

static void read_definition(pool_read *base)
{
    read_job *r = (read_job *)base;
    store *s = &r->base.o->ports.store;
    definition_page page = {0};

    r->base.code = s->ops->load_definitions(s->self, r->entry, true, &page, &r->base.error);
    if (!r->base.code && page.count != 1)
        r->base.code = error_set(&r->base.error, ORCH_E_DATA_LOSS, NULL,
                                 "definition %llu is not in the store",
                                 (unsigned long long)r->entry);
    if (!r->base.code)
        r->base.code = definition_parse(page.rows[0].text->data, page.rows[0].text->len,
                                        &r->base.o->options.limits, &r->definition, &r->base.error);
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

static void definition_back(pool_read *base)
{
    read_job *r = (read_job *)base;
    orchestrator *o = r->base.o;
    version_entry *v = registry_by_key(o, r->entry);

    v->loading = false;
    if (!v->definition) /* a registration may have brought it meanwhile */
        v->definition = definition_ref(r->definition);
    if (v->definition) {
        definition_loaded(o, v);
    } else {
        log_write(o->ports.log, refusal_passes(r->base.code) ? ORCH_LOG_WARNING : ORCH_LOG_CRITICAL,
                  "workflow %s %s: %s", v->workflow, v->version, orch_error_message(r->base.error));
        definition_failed(o, v, r->base.code, r->base.error);
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

    if (list_empty(&o->unread))
        return;
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

static void read_row(pool_read *base)
{
    read_job *r = (read_job *)base;
    store *s = &r->base.o->ports.store;

    r->base.code = s->ops->load_execution(s->self, r->key, r->id, &r->row, &r->base.error);
}

static void row_back(pool_read *base)
{
    read_job *r = (read_job *)base;
    r->done(r->ctx, r->base.code, &r->row, r->base.error);
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
