/* Reads: of the store, on the calling thread; what only the loop knows is asked of it. */
#include <stdio.h>
#include <string.h>

#include "api/api_impl.h"

/* ---- asking the loop ------------------------------------------------------------------------------------- */

typedef struct live_command {
    command base; /* first */
    const execution_row *rows;
    size_t count;
    bool *running;
    sem_t done;
} live_command;

static void look(command *c, runtime *rt)
{
    live_command *l = (live_command *)c;

    for (size_t i = 0; i < l->count; i++)
        l->running[i] = l->rows[i].state == EXECUTION_OPEN &&
                        orchestrator_live_state(runtime_orchestrator(rt), l->rows[i].key) ==
                            LIVE_RUNNING;
    sem_post(&l->done);
}

int32_t query_running(orch_v2 *o, const execution_row *rows, size_t count, bool *running,
                      orch_error **err)
{
    live_command l = {.base.run = look, .rows = rows, .count = count, .running = running};
    size_t open = 0;
    int32_t rc;

    memset(running, 0, count * sizeof *running);
    for (size_t i = 0; i < count; i++)
        open += rows[i].state == EXECUTION_OPEN;
    if (!open)
        return 0;
    sem_init(&l.done, 0, 0);
    rc = runtime_post(o->rt, &l.base, runtime_is_stopped(o->rt) ? NULL : err);
    while (!rc && sem_wait(&l.done))
        ;
    sem_destroy(&l.done);
    return rc == ORCH_E_FAILED_PRECONDITION ? 0 : rc;
}

int32_t query_row(orch_v2 *o, const char *id, execution_row *out, orch_error **err)
{
    store *s = runtime_store(o->rt);
    uint64_t key = 0;
    bool made = execution_id_parse(id, &key);
    int32_t rc = s->ops->load_execution(s->self, key, made ? NULL : id, out, err);

    if (rc == ORCH_E_NOT_FOUND)
        return error_set(err, rc, id, "there is no execution '%s'", id);
    return rc;
}

int32_t query_key(orch_v2 *o, const char *id, uint64_t *out, orch_error **err)
{
    execution_row row = {0};
    int32_t rc;

    if (execution_id_parse(id, out))
        return 0;
    rc = query_row(o, id, &row, err);
    *out = row.key;
    execution_row_clear(&row);
    return rc;
}

/* A list of one. */
int32_t query_short(orch_v2 *o, uint64_t key, execution_page *out, orch_error **err)
{
    const execution_filter one = {.after_key = key - 1, .ascending = true, .limit = 1};
    store *s = runtime_store(o->rt);
    int32_t rc = s->ops->list_executions(s->self, &one, out, err);

    if (!rc && out->count && out->rows[0].key != key)
        execution_page_clear(out);
    return rc;
}

int32_t query_id(orch_v2 *o, uint64_t key, char out[EXECUTION_ID_MAX + 1], orch_error **err)
{
    execution_page page = {0};
    int32_t rc = query_short(o, key, &page, err);

    if (rc)
        return rc;
    execution_id_format(key, out);
    if (page.count && page.rows[0].id)
        snprintf(out, EXECUTION_ID_MAX + 1, "%s", page.rows[0].id);
    execution_page_clear(&page);
    return 0;
}

/* ---- one execution --------------------------------------------------------------------------------------- */

int32_t orch_v2_get_execution(orch_v2 *orch, const char *execution_id, orch_response **out_response,
                              orch_error **err)
{
    execution_row row = {0};
    parent_name parent = {0};
    orch_response *r = NULL;
    bool running = false;
    int32_t rc = check_query(orch, execution_id, out_response, "out_response", err);

    if (!rc)
        rc = query_row(orch, execution_id, &row, err);
    if (!rc)
        rc = query_running(orch, &row, 1, &running, err);
    if (!rc) {
        r = response_new();
        rc = r ? response_set_row(r, orch, &row, running, &parent, err) : error_no_memory(err);
    }
    execution_row_clear(&row);
    if (rc)
        orch_response_free(r);
    else
        *out_response = r;
    return rc;
}

static void start_waiting(command *c, runtime *rt)
{
    orch_execution *e = LIST_ENTRY(c, orch_execution, wait);

    if (runtime_is_stopping(rt))
        e->waiter.done(&e->waiter, ORCH_E_CANCELLED, NULL);
    else
        orchestrator_wait(runtime_orchestrator(rt), e->key, &e->waiter);
}

/* Let the loop tell the handle of the end: soon, if it has come. Once the loop has ended, nobody will see it here. */
static int32_t attach(orch_execution *e, orch_error **err)
{
    bool stopped = runtime_is_stopped(e->orch->rt);
    int32_t rc;

    atomic_fetch_add(&e->refs, 1);
    e->waiting = true;
    e->wait.run = start_waiting;
    rc = runtime_post(e->orch->rt, &e->wait, stopped ? NULL : err);
    if (!rc)
        return 0;
    e->waiting = false;
    handle_unref(e);
    if (!stopped)
        return rc;
    e->ended = true;
    e->code = ORCH_E_CANCELLED;
    return 0;
}

/* The end as the row has it. */
static int32_t set_end(orch_execution *e, orch_v2 *o, execution_row *row, orch_error **err)
{
    version_names *names;
    int32_t rc = versions_names(o, row->definition, &names, err);

    if (rc)
        return rc;
    e->outcome = outcome_of_row(row, names->workflow, names->version);
    version_names_unref(names);
    e->ended = e->outcome != NULL;
    return e->ended ? 0 : error_no_memory(err);
}

int32_t orch_v2_find_execution(orch_v2 *orch, const char *execution_id,
                               orch_execution **out_execution, orch_error **err)
{
    execution_row row = {0};
    orch_execution *e = NULL;
    int32_t rc = check_query(orch, execution_id, out_execution, "out_execution", err);

    if (!rc)
        rc = query_row(orch, execution_id, &row, err);
    if (!rc) {
        e = handle_new(orch, row.id);
        rc = e ? 0 : error_no_memory(err);
    }
    if (!rc) {
        handle_set_key(e, row.key);
        rc = EXECUTION_STATE_IS_END(row.state) ? set_end(e, orch, &row, err) : attach(e, err);
    }
    execution_row_clear(&row);
    if (!rc)
        *out_execution = e;
    else if (e)
        handle_unref(e);
    return rc;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

struct orch_execution_list {
    size_t count;
    bool more;
    char next[EXECUTION_ID_LEN + 1];
    orch_response items[];
};

static bool passes(const orch_filter *f, const execution_row *row, bool running)
{
    uint32_t state = running ? ORCH_EXECUTION_RUNNING : ORCH_EXECUTION_PENDING;

    return !f || !f->states || row->state != EXECUTION_OPEN || (f->states & (1U << state));
}

/* Takes what it needs out of the page. */
static int32_t fill_list(orch_v2 *o, const orch_filter *f, execution_page *page,
                         const bool *running, orch_execution_list *l, orch_error **err)
{
    parent_name parent = {0};

    for (size_t i = 0; i < page->count; i++) {
        int32_t rc;

        if (!passes(f, &page->rows[i], running[i]))
            continue;
        rc = response_set_row(&l->items[l->count++], o, &page->rows[i], running[i], &parent, err);
        if (rc)
            return rc; /* who frees the list clears what this one has got */
    }
    l->more = page->next_after != 0;
    execution_id_format(page->next_after, l->next);
    return 0;
}

static int32_t list_page(orch_v2 *o, const orch_filter *f, execution_page *page,
                         orch_execution_list **out, orch_error **err)
{
    bool *running = mem_calloc(page->count + 1, sizeof *running);
    orch_execution_list *l = mem_zalloc(sizeof *l + page->count * sizeof *l->items);
    int32_t rc = running && l ? query_running(o, page->rows, page->count, running, err)
                              : error_no_memory(err);

    if (!rc)
        rc = fill_list(o, f, page, running, l, err);
    mem_free(running);
    if (rc)
        orch_execution_list_free(l);
    else
        *out = l;
    return rc;
}

int32_t orch_v2_list_executions(orch_v2 *orch, const orch_filter *filter,
                                orch_execution_list **out_list, orch_error **err)
{
    execution_filter resolved;
    execution_page page = {0};
    store *s;
    int32_t rc = check_orch(orch, err);

    if (!rc)
        rc = check_not_null(out_list, "out_list", err);
    if (!rc)
        rc = check_may_ask(orch, err);
    if (rc)
        return rc;
    s = runtime_store(orch->rt);
    rc = filter_resolve(orch, filter, &resolved, err);
    if (!rc)
        rc = s->ops->list_executions(s->self, &resolved, &page, err);
    if (!rc)
        rc = list_page(orch, filter, &page, out_list, err);
    execution_page_clear(&page);
    return rc;
}

size_t orch_execution_list_count(const orch_execution_list *list)
{
    return list ? list->count : 0;
}

const orch_response *orch_execution_list_get(const orch_execution_list *list, size_t i)
{
    return list && i < list->count ? &list->items[i] : NULL;
}

const char *orch_execution_list_next(const orch_execution_list *list)
{
    return list && list->more ? list->next : NULL;
}

void orch_execution_list_free(orch_execution_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        response_clear(&list->items[i]);
    mem_free(list);
}

/* ---- progress -------------------------------------------------------------------------------------------- */

struct orch_progress {
    engine_progress numbers;
};

typedef struct progress_command {
    command base; /* first */
    uint64_t key;
    engine_progress numbers;
    bool found;
    sem_t done;
} progress_command;

static void measure(command *c, runtime *rt)
{
    progress_command *p = (progress_command *)c;

    p->found = runtime_get_progress(rt, p->key, &p->numbers);
    sem_post(&p->done);
}

int32_t orch_v2_get_progress(orch_v2 *orch, const char *execution_id, orch_progress **out_progress,
                             orch_error **err)
{
    progress_command p = {.base.run = measure};
    int32_t rc = check_query(orch, execution_id, out_progress, "out_progress", err);
    orch_progress *numbers;

    if (!rc)
        rc = check_running(orch, err);
    if (!rc)
        rc = query_key(orch, execution_id, &p.key, err);
    if (rc)
        return rc;
    sem_init(&p.done, 0, 0);
    rc = runtime_post(orch->rt, &p.base, err);
    while (!rc && sem_wait(&p.done))
        ;
    sem_destroy(&p.done);
    if (rc)
        return rc;
    if (!p.found)
        return error_set(
            err, ORCH_E_NOT_FOUND, execution_id,
            "execution '%s' is not with this process's engine now: it does not exist, has "
            "ended, or waits",
            execution_id);
    numbers = mem_alloc(sizeof *numbers);
    if (!numbers)
        return error_no_memory(err);
    numbers->numbers = p.numbers;
    *out_progress = numbers;
    return 0;
}

int64_t orch_progress_get(const orch_progress *progress, const char *name)
{
    const engine_progress *n;

    if (!progress || !name)
        return -1;
    n = &progress->numbers;
    if (!strcmp(name, "steps"))
        return n->counts.steps;
    if (!strcmp(name, "ended"))
        return n->counts.ended;
    if (!strcmp(name, "running"))
        return n->counts.running;
    if (!strcmp(name, "failed"))
        return n->counts.failed;
    if (!strcmp(name, "skipped"))
        return n->counts.skipped;
    if (!strcmp(name, "items"))
        return (int64_t)n->items;
    if (!strcmp(name, "items_ended"))
        return (int64_t)n->items_ended;
    return -1;
}

void orch_progress_free(orch_progress *progress)
{
    mem_free(progress);
}
