/* One unit: once it is planned nothing of it can fail. */
#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/mem.h"

static void insert_definition(memory_store *s, const definition_row *row)
{
    size_t at = s->definition_count++;

    for (; at > 0 && s->definitions[at - 1].key > row->key; at--)
        s->definitions[at] = s->definitions[at - 1];
    s->definitions[at] = *row;
}

/* ---- where an execution is found ------------------------------------------------------------------------- */

static bool ended_before(const execution_row *a, const execution_row *b)
{
    return a->ended_ms != b->ended_ms ? a->ended_ms < b->ended_ms : a->key < b->key;
}

/* Ends come nearly in the order of their times. */
static void place_ended(memory_store *s, memory_execution *e)
{
    list *at = s->ended.prev;

    while (at != &s->ended && ended_before(&e->row, &LIST_ENTRY(at, memory_execution, live)->row))
        at = at->prev;
    e->live.prev = at;
    e->live.next = at->next;
    at->next->prev = &e->live;
    at->next = &e->live;
}

/* Put the execution where its state says. It has its place in the heap already, if it is to have one. */
static void place(memory_store *s, memory_execution *e)
{
    const execution_row *row = &e->row;

    list_remove(&e->live);
    if (EXECUTION_STATE_IS_END(row->state))
        place_ended(s, e);
    else if (row->state == EXECUTION_OPEN && !row->paused && row->priority < PRIORITIES)
        list_push(&s->runnable[row->priority], &e->live);
    if (!plan_wake_ms(row->state, row->paused, row->wake_ms, row->deadline_ms))
        heap_remove(&s->wakes, &e->wake);
}

static bool moves(const store_unit *u)
{
    return u->update || u->inbox_put || u->setting;
}

/* ---- what is new ----------------------------------------------------------------------------------------- */

static void hold_start(const start_key *k, const plan *p)
{
    memory_start *start = p->start;

    if (start->holder)
        start->holder->holds = NULL;
    start->holder = p->accepted;
    start->expires_ms = k->expires_ms;
    p->accepted->holds = start;
}

static void insert_execution(memory_store *s, memory_execution *e)
{
    table_insert(&s->table, e);
    if (!EXECUTION_STATE_IS_END(e->row.state))
        s->not_ended++;
    if (e->row.key > s->last_execution)
        s->last_execution = e->row.key;
}

/* ---- changes --------------------------------------------------------------------------------------------- */

static void put_item(memory_execution *e, inbox_item *item, uint8_t urgency, inbox_item *told,
                     bool *out_woke)
{
    *out_woke = plan_wakes(&e->row, urgency);
    item->seq = told->seq = ++e->row.inbox_seq;
    inbox_push(&e->inbox, item);
    if (!*out_woke)
        return;
    e->row.state = EXECUTION_OPEN;
    e->row.wake_ms = 0;
    e->row.wake_inbox = 0;
}

static void keep_end(memory_execution *e, const plan *p)
{
    memory_run *run = p->kept;

    if (p->kept_is_new) {
        run->next = e->runs;
        e->runs = run;
    }
    run->kept = true;
    run->row.state = e->row.state;
    run->row.ended_ms = e->row.ended_ms;
    run->row.output = bytes_ref(e->row.output);
    run->row.error = bytes_ref(e->row.error);
}

static void update_row(memory_store *s, const store_unit *u, const plan *p)
{
    execution_row *row = &p->target->row;
    const execution_update *update = u->update;

    if (p->kept)
        keep_end(p->target, p);
    s->not_ended += EXECUTION_STATE_IS_END(row->state);
    s->not_ended -= EXECUTION_STATE_IS_END(update->state);
    row->state = update->state;
    row->ended_ms = update->ended_ms;
    row->wake_ms = update->wake_ms;
    row->wake_inbox = update->wake_inbox;
    if (u->run > row->run) {
        row->run = u->run;
        row->deadline_ms = update->deadline_ms;
    }
    bytes_unref(row->output);
    bytes_unref(row->error);
    row->output = bytes_ref(update->output);
    row->error = bytes_ref(update->error);
}

static void append(memory_store *s, memory_execution *e, memory_run *run, const store_unit *u)
{
    for (uint32_t i = 0; i < u->checkpoint_count; i++) {
        history_append(&run->history, &u->checkpoints[i]);
        if (u->checkpoints[i].inbox)
            s->stats.rows += inbox_drop_one(&e->inbox, u->checkpoints[i].inbox);
    }
    s->stats.rows += u->checkpoint_count;
}

static void set_row(execution_row *row, const execution_setting *setting)
{
    if (setting->paused >= 0)
        row->paused = setting->paused != 0;
    if (setting->priority >= 0)
        row->priority = (uint8_t)setting->priority;
}

static void change_target(memory_store *s, store_unit *u, plan *p)
{
    memory_execution *e = p->target;

    if (p->run_is_new) {
        p->run->next = e->runs;
        e->runs = p->run;
    }
    if (u->checkpoint_count)
        append(s, e, p->run, u);
    if (u->inbox_put) {
        put_item(e, &p->put, u->inbox_urgency, u->inbox_put, &u->inbox_woke);
        s->stats.rows += 2;
    }
    if (u->inbox_consumed)
        s->stats.rows += inbox_drop_up_to(&e->inbox, u->inbox_consumed);
    if (u->update)
        update_row(s, u, p);
    if (u->setting)
        set_row(&e->row, u->setting);
    s->stats.rows += (u->update != NULL) + (u->setting != NULL);
    if (moves(u))
        place(s, e);
}

/* Whether there is somebody to tell is known only now: the unit may have ended or begun it. */
static void notify(memory_store *s, store_unit *u, plan *p)
{
    memory_execution *e = p->told;

    u->notify->seq = 0;
    u->notify_woke = false;
    if (!e || EXECUTION_STATE_IS_END(e->row.state) || e->row.run != u->notify_run) {
        inbox_item_clear(&p->notify);
        return;
    }
    put_item(e, &p->notify, u->notify_urgency, u->notify, &u->notify_woke);
    if (u->notify_woke)
        place(s, e);
    s->stats.rows += 2;
}

static void put_setting(memory_store *s, const setting_row *row, plan *p)
{
    bool found;
    size_t at = plan_setting_place(s, row->name, &found);

    if (found)
        setting_row_clear(&s->settings[at]);
    if (!row->value && found) {
        s->setting_count--;
        memmove(&s->settings[at], &s->settings[at + 1],
                (s->setting_count - at) * sizeof *s->settings);
    } else if (row->value && !found) {
        memmove(&s->settings[at + 1], &s->settings[at],
                (s->setting_count - at) * sizeof *s->settings);
        s->setting_count++;
    }
    if (row->value)
        s->settings[at] = p->setting;
    s->stats.rows++;
}

static void purge(memory_store *s, memory_execution *e)
{
    list_remove(&e->live);
    heap_remove(&s->wakes, &e->wake);
    if (e->holds) {
        HASH_DEL(s->starts, e->holds);
        mem_free(e->holds);
    }
    table_remove(&s->table, e);
    execution_free(e);
    s->stats.rows++;
}

static void change_all(memory_store *s, store_unit *u, plan *p)
{
    if (u->definition)
        insert_definition(s, &p->definition);
    if (p->accepted) {
        insert_execution(s, p->accepted);
        if (p->start)
            hold_start(u->start_key, p);
        if (p->accepted != p->target || !moves(u)) /* else it has its place after the change */
            place(s, p->accepted);
    }
    if (p->target)
        change_target(s, u, p);
    if (u->notify)
        notify(s, u, p);
    if (u->control) {
        controls_push(p->controls, &p->control);
        u->control->seq = p->controls->last_seq;
    }
    if (u->put_setting)
        put_setting(s, u->put_setting, p);
    s->stats.rows += (u->definition != NULL) + (u->accept != NULL) + (u->control != NULL);
    if (u->purge && p->target)
        purge(s, p->target);
}

/* What nearly every unit is: checkpoints of a run that has some already. */
static bool only_appends(const store_unit *u)
{
    return !u->definition && !u->accept && !u->inbox_put && !u->inbox_consumed && !u->update &&
           !u->setting && !u->notify && !u->control && !u->put_setting && !u->purge;
}

static int32_t append_only(memory_store *s, const store_unit *u, memory_execution *e,
                           memory_run *run)
{
    int32_t rc = plan_guards(s, u, e);

    if (rc == 0 && !history_reserve(&run->history, u->checkpoint_count))
        rc = ORCH_E_RESOURCE_EXHAUSTED;
    if (rc == 0)
        append(s, e, run, u);
    return rc;
}

int32_t memory_apply(memory_store *s, store_unit *u)
{
    memory_execution *target = u->key ? table_find(&s->table, u->key) : NULL;
    memory_run *run = target && u->checkpoint_count ? execution_run(target, u->run) : NULL;
    int32_t rc;
    plan p;

    if (run && only_appends(u))
        return append_only(s, u, target, run);
    u->inbox_woke = false;
    rc = plan_unit(s, u, target, &p);
    if (rc == 0)
        change_all(s, u, &p);
    return rc;
}
