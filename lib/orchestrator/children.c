/* What an execution leaves behind when it ends: its children, but for those that go on by themselves. That they are to be ended is noted in
 * the unit that ends their parent, so that it is done also if the process dies in between. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define PAGE        256
#define MARK_PREFIX "children/"

typedef struct ending {
    pool_read base; /* first */
    list again;     /* in o->endings, until again_ms */
    int64_t again_ms;
    uint32_t refusals;
    uint64_t parent, after;
    uint32_t run; /* of the parent, that has ended: later ones may go on */
    uint8_t action;
    bool of_tasks; /* only those */
    bool marked;   /* there is a note of it */
    bool failed;
    bool is_read;   /* all of them were looked at ... */
    uint32_t asked; /* ... and so many have not answered */
    char *why;
    execution_page page;
} ending;

static void ending_free(ending *e)
{
    orch_error_free(e->base.error);
    execution_page_clear(&e->page);
    mem_free(e->why);
    mem_free(e);
}

/* ---- the note -------------------------------------------------------------------------------------------- */

static bytes *text_of(enum control_action action, uint32_t run)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"action\":\"%s\",\"run\":%u}", control_name(action),
                       run);

    return bytes_new(text, (size_t)len);
}

static void name_mark(children_mark *m, uint64_t parent)
{
    memcpy(m->name, MARK_PREFIX, sizeof MARK_PREFIX - 1);
    execution_id_format(parent, m->name + sizeof MARK_PREFIX - 1);
    m->row = (setting_row){.name = m->name};
}

bool children_mark_set(children_mark *m, store_unit *u, enum control_action action)
{
    if (MUTATED(CHILDREN_LEFT_BEHIND))
        return true;
    name_mark(m, u->key);
    m->row.value = text_of(action, u->run);
    u->put_setting = &m->row;
    return m->row.value != NULL;
}

void children_mark_clear(children_mark *m)
{
    bytes_unref(m->row.value);
    m->row.value = NULL;
}

typedef struct unmark_job {
    unit_job job; /* first */
    children_mark mark;
} unmark_job;

static void unmarked(unit_job *j)
{
    mem_free(j); /* one that stays is found at the next start, and its children have ended */
}

static void unmark(orchestrator *o, uint64_t parent)
{
    unmark_job *u = mem_zalloc(sizeof *u);

    if (!u)
        return;
    unit_init(&u->job, o, parent, unmarked);
    name_mark(&u->mark, parent);
    u->job.unit.put_setting = &u->mark.row;
    unit_submit(&u->job);
}

/* ---- ending them ----------------------------------------------------------------------------------------- */

static void read_page(pool_read *base)
{
    ending *e = (ending *)base;
    store *s = &base->o->ports.store;
    execution_filter f = {.parent = e->parent,
                          .after_key = e->after,
                          .ascending = true,
                          .states = 1u << EXECUTION_OPEN | 1u << EXECUTION_SUSPENDED,
                          .limit = PAGE};

    base->code = s->ops->list_executions(s->self, &f, &e->page, &base->error);
}

/* What could not be read or told, for want of room or memory, is tried again; those that were told before have a cancel more then. */
static void settle(ending *e)
{
    orchestrator *o = e->base.o;

    if (!e->is_read || e->asked)
        return;
    if (e->failed && !o->stopping) {
        e->again_ms = o->now_ms + refusal_pause_ms(++e->refusals);
        list_push(&o->endings, &e->again);
        return;
    }
    if (e->marked && !o->stopping)
        unmark(o, e->parent);
    ending_free(e);
}

static void told(void *ctx, int32_t code)
{
    ending *e = ctx;

    e->asked--;
    e->failed |= code && code != ORCH_E_NOT_FOUND && code != ORCH_E_FAILED_PRECONDITION;
    settle(e);
}

static void tell(ending *e, const execution_row *row)
{
    char made[EXECUTION_ID_LEN + 1];

    if (row->abandoned || (e->of_tasks && !row->by_task) || row->parent_run > e->run)
        return;
    execution_id_format(row->key, made);
    if (child_tell(e->base.o, row->id ? row->id : made, e->action, e->why, told, e))
        e->asked++;
    else
        e->failed = true;
}

static void page_back(pool_read *base)
{
    ending *e = (ending *)base;
    orchestrator *o = base->o;

    if (base->code)
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading the children of an execution: %s",
                  orch_error_message(base->error));
    for (size_t i = 0; i < e->page.count && !o->stopping; i++)
        tell(e, &e->page.rows[i]);
    e->after = e->page.next_after;
    execution_page_clear(&e->page);
    e->failed |= base->code || o->stopping;
    if (!e->failed && e->after && reads_submit(o, base))
        return;
    e->failed |= e->after != 0;
    e->is_read = true;
    settle(e);
}

static void begin(ending *e, orchestrator *o)
{
    orch_error_free(e->base.error);
    e->base.error = NULL;
    e->base.code = 0;
    e->after = 0;
    e->failed = e->is_read = false;
    if (reads_submit(o, &e->base))
        return;
    e->failed = e->is_read = true;
    settle(e);
}

void children_end_again(orchestrator *o)
{
    for (list *it = o->endings.next, *next; it != &o->endings && !o->stopping; it = next) {
        ending *e = LIST_ENTRY(it, ending, again);

        next = it->next;
        if (e->again_ms > o->now_ms)
            continue;
        list_remove(it);
        begin(e, o);
    }
}

int64_t children_deadline(const orchestrator *o)
{
    int64_t at = INT64_MAX;

    LIST_EACH(it, &o->endings)
    {
        if (LIST_ENTRY(it, ending, again)->again_ms < at)
            at = LIST_ENTRY(it, ending, again)->again_ms;
    }
    return at;
}

/* The notes stay for the next start. */
void children_forget(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->endings)))
        ending_free(LIST_ENTRY(node, ending, again));
    setting_page_clear(&o->left);
}

static void end_all(orchestrator *o, const ending *what, const char *why)
{
    ending *e;

    if (o->stopping || MUTATED(CHILDREN_LEFT_BEHIND))
        return;
    e = mem_zalloc(sizeof *e);
    if (!e) {
        log_write(o->ports.log, ORCH_LOG_ERROR,
                  "what an ended execution left behind goes on until the next start: no memory");
        return;
    }
    *e = *what;
    list_init(&e->again);
    e->base.o = o;
    e->base.read = read_page;
    e->base.back = page_back;
    e->why = why ? mem_strdup(why) : NULL;
    begin(e, o);
}

void children_end(orchestrator *o, uint64_t key, uint32_t run, enum control_action action,
                  const char *why)
{
    end_all(o, &(ending){.parent = key, .run = run, .action = (uint8_t)action, .marked = true},
            why);
}

void children_cancel(live *l)
{
    if (l->may_have_children)
        end_all(
            l->o,
            &(ending){.parent = l->key, .run = l->run, .action = CONTROL_CANCEL, .of_tasks = true},
            "its parent was cancelled");
}

/* ---- notes of before ------------------------------------------------------------------------------------- */

int32_t children_load(orchestrator *o, orch_error **err)
{
    const store_ops *ops = o->ports.store.ops;

    return ops->load_settings(o->ports.store.self, MARK_PREFIX, &o->left, err);
}

static void end_noted(orchestrator *o, const setting_row *row)
{
    json_t *note = json_loadb(row->value->data, row->value->len, 0, NULL);
    const char *action = json_string_value(json_object_get(note, "action"));
    uint32_t run = (uint32_t)json_integer_value(json_object_get(note, "run"));
    uint64_t parent;

    if (action && execution_id_parse(row->name + sizeof MARK_PREFIX - 1, &parent))
        children_end(o, parent, run,
                     strcmp(action, "cancel") != 0 ? CONTROL_TERMINATE : CONTROL_CANCEL,
                     "its parent has ended");
    json_decref(note);
}

void children_end_left(orchestrator *o)
{
    if (!o->left.count)
        return;
    for (size_t i = 0; i < o->left.count && !o->stopping; i++)
        end_noted(o, &o->left.rows[i]);
    setting_page_clear(&o->left);
}

void children_loaded(live *l, const inbox_page *inbox)
{
    bool cancelled = l->cancelled;

    for (size_t i = 0; i < inbox->count; i++)
        cancelled |= inbox->rows[i].kind == INBOX_CANCEL;
    if (cancelled)
        children_cancel(l);
}
