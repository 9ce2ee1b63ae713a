/* One unit: its guards, then everything that can fail, then the operations, which cannot. */
#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/mem.h"

/* What a unit needs before anything is changed. */
typedef struct plan {
    definition_row definition;
    memory_execution *accepted;
    memory_execution *target; /* execution `key` */
    memory_run *run;
    bool run_is_new;
} plan;

static bool follows(const memory_execution *e, const store_unit *u)
{
    const memory_run *run = e ? execution_run(e, u->run) : NULL;

    return run && history_has(&run->history, u->after_seq);
}

static int32_t check_guards(const memory_store *s, const store_unit *u, const memory_execution *e)
{
    if (u->shard >= STORE_SHARDS || u->term != s->term)
        return ORCH_E_ABORTED;
    if (u->after_seq && !follows(e, u))
        return ORCH_E_OUT_OF_RANGE;
    if (u->must_be_open && (!e || EXECUTION_STATE_IS_END(e->row.state)))
        return ORCH_E_FAILED_PRECONDITION;
    if (u->check_inbox && (!e || e->row.inbox_seq != u->inbox_seen))
        return e ? ORCH_E_ABORTED : ORCH_E_FAILED_PRECONDITION;
    return 0;
}

static int32_t plan_definition(memory_store *s, const definition_row *row, plan *p)
{
    definition_row *grown;

    for (size_t i = 0; i < s->definition_count; i++) {
        const definition_row *d = &s->definitions[i];

        if (d->key == row->key ||
            (!strcmp(d->workflow, row->workflow) && !strcmp(d->version, row->version)))
            return ORCH_E_ALREADY_EXISTS;
    }
    grown = mem_grow(s->definitions, &s->definition_cap, s->definition_count + 1, sizeof *grown);
    if (!grown)
        return ORCH_E_RESOURCE_EXHAUSTED;
    s->definitions = grown;
    p->definition = *row;
    p->definition.text = bytes_ref(row->text);
    p->definition.metadata = bytes_ref(row->metadata);
    p->definition.workflow = mem_strdup(row->workflow);
    p->definition.version = mem_strdup(row->version);
    return p->definition.workflow && p->definition.version ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
}

static int32_t plan_accept(memory_store *s, const execution_row *row, plan *p)
{
    if (table_find(&s->table, row->key) || (row->id && table_find_id(&s->table, row->id)))
        return ORCH_E_ALREADY_EXISTS;
    if (!table_reserve(&s->table))
        return ORCH_E_RESOURCE_EXHAUSTED;
    p->accepted = execution_new(row);
    return p->accepted ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
}

static int32_t plan_target(const store_unit *u, plan *p)
{
    memory_execution *e = p->target;
    inbox_item *inbox;

    if (!e)
        return ORCH_E_NOT_FOUND;
    if (u->checkpoint_count) {
        p->run = execution_run(e, u->run);
        if (!p->run) {
            p->run = mem_zalloc(sizeof *p->run);
            p->run_is_new = true;
        }
        if (!p->run || !history_reserve(&p->run->history, u->checkpoint_count))
            return ORCH_E_RESOURCE_EXHAUSTED;
        p->run->run = u->run;
    }
    if (u->inbox_put) {
        inbox = mem_grow(e->inbox, &e->inbox_cap, e->inbox_count + 1, sizeof *inbox);
        if (!inbox)
            return ORCH_E_RESOURCE_EXHAUSTED;
        e->inbox = inbox;
    }
    return 0;
}

static bool wakes(uint8_t state, int64_t wake_ms)
{
    return state == EXECUTION_SUSPENDED && wake_ms != 0;
}

/* The last of what can fail: places in the heap of wakes. */
static int32_t plan_wakes(memory_store *s, const store_unit *u, plan *p)
{
    const execution_row *row = u->accept;

    if (row && wakes(row->state, row->wake_ms) &&
        !heap_set(&s->wakes, &p->accepted->wake, row->wake_ms))
        return ORCH_E_RESOURCE_EXHAUSTED;
    if (u->update && wakes(u->update->state, u->update->wake_ms) &&
        !heap_set(&s->wakes, &p->target->wake, u->update->wake_ms)) {
        if (p->accepted)
            heap_remove(&s->wakes, &p->accepted->wake);
        return ORCH_E_RESOURCE_EXHAUSTED;
    }
    return 0;
}

static void plan_drop(plan *p)
{
    definition_row_clear(&p->definition);
    execution_free(p->accepted);
    if (p->run_is_new && p->run) {
        history_free(&p->run->history);
        mem_free(p->run);
    }
}

static void insert_definition(memory_store *s, const definition_row *row)
{
    size_t at = s->definition_count++;

    for (; at > 0 && s->definitions[at - 1].key > row->key; at--)
        s->definitions[at] = s->definitions[at - 1];
    s->definitions[at] = *row;
}

/* Put the execution where its state and inbox say. */
static void place(memory_store *s, memory_execution *e)
{
    list_remove(&e->live);
    if (e->row.state == EXECUTION_OPEN)
        list_push(&s->open, &e->live);
    else if (e->row.state == EXECUTION_SUSPENDED && e->inbox_count)
        list_push(&s->called, &e->live);
    if (!wakes(e->row.state, e->row.wake_ms))
        heap_remove(&s->wakes, &e->wake);
}

static void insert_execution(memory_store *s, memory_execution *e)
{
    table_insert(&s->table, e);
    if (!EXECUTION_STATE_IS_END(e->row.state))
        s->not_ended++;
    if (e->row.key > s->last_execution)
        s->last_execution = e->row.key;
}

static void put_inbox(memory_execution *e, inbox_item *item)
{
    item->seq = ++e->row.inbox_seq;
    e->inbox[e->inbox_count] = *item;
    bytes_ref(item->payload);
    e->inbox_count++;
}

static uint64_t consume_inbox(memory_execution *e, uint64_t seq)
{
    size_t gone = 0;

    while (gone < e->inbox_count && e->inbox[gone].seq <= seq)
        inbox_item_clear(&e->inbox[gone++]);
    e->inbox_count -= gone;
    if (gone)
        memmove(e->inbox, e->inbox + gone, e->inbox_count * sizeof *e->inbox);
    return gone;
}

static void update_row(memory_store *s, execution_row *row, const store_unit *u)
{
    const execution_update *update = u->update;

    s->not_ended += EXECUTION_STATE_IS_END(row->state);
    s->not_ended -= EXECUTION_STATE_IS_END(update->state);
    row->state = update->state;
    row->ended_ms = update->ended_ms;
    row->wake_ms = update->wake_ms;
    if (u->run > row->run)
        row->run = u->run;
    bytes_unref(row->output);
    bytes_unref(row->error);
    row->output = bytes_ref(update->output);
    row->error = bytes_ref(update->error);
}

static void change_target(memory_store *s, const store_unit *u, const plan *p)
{
    memory_execution *e = p->target;

    if (p->run_is_new) {
        p->run->next = e->runs;
        e->runs = p->run;
    }
    for (uint32_t i = 0; i < u->checkpoint_count; i++)
        history_append(&p->run->history, &u->checkpoints[i]);
    s->stats.rows += u->checkpoint_count;
    if (u->inbox_put) {
        put_inbox(e, u->inbox_put);
        s->stats.rows += 2;
    }
    if (u->inbox_consumed)
        s->stats.rows += consume_inbox(e, u->inbox_consumed);
    if (u->update) {
        update_row(s, &e->row, u);
        s->stats.rows++;
    }
    if (u->update || u->inbox_put || u->inbox_consumed)
        place(s, e);
}

/* What nearly every unit is: checkpoints of a run that has some already. */
static bool only_appends(const store_unit *u)
{
    return !u->definition && !u->accept && !u->inbox_put && !u->inbox_consumed && !u->update;
}

static int32_t append(memory_store *s, const store_unit *u, memory_run *run)
{
    if (!history_reserve(&run->history, u->checkpoint_count))
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < u->checkpoint_count; i++)
        history_append(&run->history, &u->checkpoints[i]);
    s->stats.rows += u->checkpoint_count;
    return 0;
}

static int32_t apply_planned(memory_store *s, const store_unit *u, memory_execution *target)
{
    plan p = {.target = target};
    bool has_target = u->checkpoint_count || u->inbox_put || u->inbox_consumed || u->update;
    int32_t rc = 0;

    if (u->definition)
        rc = plan_definition(s, u->definition, &p);
    if (rc == 0 && u->accept)
        rc = plan_accept(s, u->accept, &p);
    if (p.accepted && u->key == u->accept->key)
        p.target = p.accepted;
    if (rc == 0 && has_target)
        rc = plan_target(u, &p);
    if (rc == 0)
        rc = plan_wakes(s, u, &p);
    if (rc != 0) {
        plan_drop(&p);
        return rc;
    }
    if (u->definition)
        insert_definition(s, &p.definition);
    if (p.accepted) {
        insert_execution(s, p.accepted);
        /* An update in the same unit has the last word, and its place among the wakes already. */
        if (p.target != p.accepted || !u->update)
            place(s, p.accepted);
    }
    if (has_target)
        change_target(s, u, &p);
    s->stats.rows += (u->definition != NULL) + (u->accept != NULL);
    return 0;
}

int32_t memory_apply(memory_store *s, store_unit *u)
{
    memory_execution *target = u->key ? table_find(&s->table, u->key) : NULL;
    memory_run *run = target && u->checkpoint_count ? execution_run(target, u->run) : NULL;
    int32_t rc = check_guards(s, u, target);

    if (rc != 0)
        return rc;
    return run && only_appends(u) ? append(s, u, run) : apply_planned(s, u, target);
}
