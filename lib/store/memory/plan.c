/* A unit before anything is changed: its guards, and then all that can fail. */
#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/mem.h"

/* ---- guards ---------------------------------------------------------------------------------------------- */

static bool follows(const memory_execution *e, const store_unit *u)
{
    const memory_run *run = e ? execution_run(e, u->run) : NULL;

    return run && history_has(&run->history, u->after_seq);
}

static bool inbox_is_full(const store_unit *u, const memory_execution *e)
{
    return u->inbox_put && u->inbox_limit && e && e->inbox.count >= u->inbox_limit &&
           inbox_count_kind(&e->inbox, u->inbox_put->kind) >= u->inbox_limit;
}

static bool is_open_for(const store_unit *u, const memory_execution *e)
{
    return e && !EXECUTION_STATE_IS_END(e->row.state) &&
           !(u->update && u->run && u->run < e->row.run);
}

int32_t plan_guards(const memory_store *s, const store_unit *u, const memory_execution *e)
{
    bool ended = e && EXECUTION_STATE_IS_END(e->row.state);

    if (u->shard >= STORE_SHARDS || (u->term != s->term && !MUTATED(TERM_NOT_CHECKED)))
        return ORCH_E_ABORTED;
    if (u->after_seq && !follows(e, u))
        return ORCH_E_OUT_OF_RANGE;
    if ((u->must_be_open && !is_open_for(u, e)) || (u->check_inbox && !e))
        return ORCH_E_FAILED_PRECONDITION;
    if (u->check_inbox && e->row.inbox_seq != u->inbox_seen)
        return ORCH_E_ABORTED;
    if (u->must_have_ended && !e)
        return ORCH_E_NOT_FOUND;
    if (u->must_have_ended && (!ended || e->row.run + 1 != u->run))
        return ORCH_E_FAILED_PRECONDITION;
    return inbox_is_full(u, e) ? ORCH_E_RESOURCE_EXHAUSTED : 0;
}

/* ---- what is new ----------------------------------------------------------------------------------------- */

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

static bool start_is_free(const start_key *k, const memory_start *start)
{
    if (MUTATED(START_KEY_IGNORED) || (start->expires_ms && start->expires_ms <= k->now_ms))
        return true;
    return k->policy == START_KEY_ANEW && EXECUTION_STATE_IS_END(start->holder->row.state);
}

static int32_t plan_start(memory_store *s, start_key *k, plan *p)
{
    size_t workflow = strlen(k->workflow) + 1, len = workflow + strlen(k->key);
    memory_start *made = mem_zalloc(sizeof *made + len + 1), *found;

    k->existing = 0;
    if (!made)
        return ORCH_E_RESOURCE_EXHAUSTED;
    memcpy(made->name, k->workflow, workflow);
    memcpy(made->name + workflow, k->key, len - workflow);
    made->len = len;
    HASH_FIND(hh, s->starts, made->name, len, found);
    if (found && !start_is_free(k, found)) {
        k->existing = found->holder->row.key;
        mem_free(made);
        return ORCH_E_ALREADY_EXISTS;
    }
    if (found) {
        mem_free(made);
    } else {
        HASH_ADD_KEYPTR(hh, s->starts, made->name, made->len, made);
        if (!map_added(made->hh)) {
            mem_free(made);
            return ORCH_E_RESOURCE_EXHAUSTED;
        }
    }
    p->start = found ? found : made;
    p->start_is_new = !found;
    p->accepted->start_key = mem_strdup(k->key);
    return p->accepted->start_key ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
}

/* It goes with the execution, which nobody sees yet. */
static int32_t plan_past_run(memory_execution *e, const past_run *r)
{
    memory_run *run = mem_zalloc(sizeof *run);

    if (!run)
        return ORCH_E_RESOURCE_EXHAUSTED;
    run->row.run = r->run;
    run->next = e->runs;
    e->runs = run;
    if (r->end) {
        run->kept = true;
        run->row = *r->end;
        bytes_ref(run->row.output);
        bytes_ref(run->row.error);
    }
    if (!history_reserve(&run->history, r->checkpoint_count))
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < r->checkpoint_count; i++)
        history_append(&run->history, &r->checkpoints[i]);
    return 0;
}

static int32_t plan_past_control(memory_execution *e, const control_row *row)
{
    control_row copy;

    if (!controls_reserve(&e->controls) || !control_row_copy(row, &copy))
        return ORCH_E_RESOURCE_EXHAUSTED;
    controls_push(&e->controls, &copy);
    return 0;
}

static int32_t plan_past(memory_execution *e, const store_past *past)
{
    int32_t rc = 0;

    for (uint32_t i = 0; i < past->run_count && rc == 0; i++)
        rc = plan_past_run(e, &past->runs[i]);
    for (uint32_t i = 0; i < past->control_count && rc == 0; i++)
        rc = plan_past_control(e, &past->controls[i]);
    return rc;
}

static int32_t plan_accept(memory_store *s, const store_unit *u, plan *p)
{
    const execution_row *row = u->accept;
    int32_t rc = execution_new(row, &p->accepted);

    if (rc == 0 && u->start_key)
        rc = plan_start(s, u->start_key, p);
    if (rc == 0 && u->past)
        rc = plan_past(p->accepted, u->past);
    if (rc != 0)
        return rc;
    if (table_find(&s->table, row->key) || (row->id && table_find_id(&s->table, row->id)))
        return ORCH_E_ALREADY_EXISTS;
    return table_reserve(&s->table) ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
}

/* ---- the execution that it is about ---------------------------------------------------------------------- */

static memory_run *find_run(memory_execution *e, uint32_t run, bool *out_is_new)
{
    memory_run *found = execution_run(e, run);

    *out_is_new = !found;
    if (found)
        return found;
    found = mem_zalloc(sizeof *found);
    if (found)
        found->row.run = run;
    return found;
}

static bool keeps_end(const store_unit *u, const memory_execution *e)
{
    return u->update && u->run > e->row.run && EXECUTION_STATE_IS_END(e->row.state);
}

static int32_t plan_target(const store_unit *u, plan *p)
{
    memory_execution *e = p->target;
    uint8_t state;

    if (!e)
        return ORCH_E_NOT_FOUND;
    state = u->update ? u->update->state : e->row.state;
    if (u->purge && !EXECUTION_STATE_IS_END(state))
        return ORCH_E_FAILED_PRECONDITION;
    if (u->checkpoint_count) {
        p->run = find_run(e, u->run, &p->run_is_new);
        if (!p->run || !history_reserve(&p->run->history, u->checkpoint_count))
            return ORCH_E_RESOURCE_EXHAUSTED;
    }
    if (keeps_end(u, e)) {
        p->kept = find_run(e, e->row.run, &p->kept_is_new);
        if (!p->kept)
            return ORCH_E_RESOURCE_EXHAUSTED;
    }
    if (u->inbox_put && (!inbox_reserve(&e->inbox, 1) || !inbox_item_copy(u->inbox_put, &p->put)))
        return ORCH_E_RESOURCE_EXHAUSTED;
    return 0;
}

/* ---- beside it ------------------------------------------------------------------------------------------- */

static int32_t plan_notify(memory_store *s, const store_unit *u, plan *p)
{
    memory_execution *e = table_find(&s->table, u->notify_key);

    if (!e && p->accepted && p->accepted->row.key == u->notify_key)
        e = p->accepted;
    if (!e)
        return 0;
    p->told = e;
    /* Two at once if it is the same that gets `inbox_put`. */
    if (!inbox_reserve(&e->inbox, 2) || !inbox_item_copy(u->notify, &p->notify))
        return ORCH_E_RESOURCE_EXHAUSTED;
    return 0;
}

static int32_t plan_control(memory_store *s, const store_unit *u, plan *p)
{
    p->controls = u->control->execution ? &p->target->controls : &s->controls;
    if (!controls_reserve(p->controls) || !control_row_copy(u->control, &p->control))
        return ORCH_E_RESOURCE_EXHAUSTED;
    return 0;
}

size_t plan_setting_place(const memory_store *s, const char *name, bool *out_found)
{
    size_t low = 0, high = s->setting_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(s->settings[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_found = low < s->setting_count && !strcmp(s->settings[low].name, name);
    return low;
}

static int32_t plan_setting(memory_store *s, const setting_row *row, plan *p)
{
    setting_row *grown;

    if (!row->value)
        return 0;
    grown = mem_grow(s->settings, &s->setting_cap, s->setting_count + 1, sizeof *grown);
    if (!grown)
        return ORCH_E_RESOURCE_EXHAUSTED;
    s->settings = grown;
    p->setting.name = mem_strdup(row->name);
    p->setting.value = bytes_ref(row->value);
    return p->setting.name ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
}

/* ---- wakes: places in a heap, the last of what can fail -------------------------------------------------- */

bool plan_wakes(const execution_row *row, uint8_t urgency)
{
    if (row->state != EXECUTION_SUSPENDED)
        return false;
    if (urgency == INBOX_FORCED)
        return true;
    if (row->wake_inbox == WAKE_NEVER)
        return false;
    return urgency == INBOX_URGENT || row->inbox_seq + 1 >= row->wake_inbox;
}

int64_t plan_wake_ms(uint8_t state, bool paused, int64_t wake_ms, int64_t deadline_ms)
{
    if (state != EXECUTION_SUSPENDED)
        return 0;
    return paused ? deadline_ms : wake_ms;
}

/* When the target wakes once the unit has taken place. */
static int64_t target_wake_ms(const store_unit *u, const memory_execution *e)
{
    const execution_row *row = &e->row;
    bool woken = u->inbox_put && plan_wakes(row, u->inbox_urgency);
    uint8_t state = u->update ? u->update->state : woken ? EXECUTION_OPEN : row->state;
    int64_t wake_ms = u->update ? u->update->wake_ms : row->wake_ms;
    int64_t deadline_ms = u->update && u->run > row->run ? u->update->deadline_ms
                                                         : row->deadline_ms;
    bool paused = u->setting && u->setting->paused >= 0 ? u->setting->paused : row->paused;

    return plan_wake_ms(state, paused, wake_ms, deadline_ms);
}

static int32_t plan_heap(memory_store *s, const store_unit *u, plan *p)
{
    memory_execution *accepted = p->accepted != p->target ? p->accepted : NULL;
    bool changes = u->update || u->setting || p->accepted == p->target;
    const execution_row *row = accepted ? &accepted->row : NULL;
    int64_t at = row ? plan_wake_ms(row->state, row->paused, row->wake_ms, row->deadline_ms) : 0;

    if (at && !heap_set(&s->wakes, &accepted->wake, at))
        return ORCH_E_RESOURCE_EXHAUSTED;
    at = p->target && changes ? target_wake_ms(u, p->target) : 0;
    if (!at || heap_set(&s->wakes, &p->target->wake, at))
        return 0;
    if (accepted)
        heap_remove(&s->wakes, &accepted->wake);
    return ORCH_E_RESOURCE_EXHAUSTED;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static void drop_run(memory_run *run)
{
    history_free(&run->history);
    mem_free(run);
}

static void plan_drop(memory_store *s, plan *p)
{
    definition_row_clear(&p->definition);
    execution_free(p->accepted);
    if (p->start_is_new) {
        HASH_DEL(s->starts, p->start);
        mem_free(p->start);
    }
    if (p->run_is_new && p->run)
        drop_run(p->run);
    if (p->kept_is_new && p->kept)
        drop_run(p->kept);
    inbox_item_clear(&p->put);
    inbox_item_clear(&p->notify);
    control_row_clear(&p->control);
    setting_row_clear(&p->setting);
}

static bool needs_execution(const store_unit *u)
{
    return u->checkpoint_count || u->inbox_put || u->inbox_consumed || u->update || u->setting ||
           u->purge || (u->control && u->control->execution);
}

static int32_t plan_all(memory_store *s, const store_unit *u, plan *p)
{
    int32_t rc = u->definition ? plan_definition(s, u->definition, p) : 0;

    if (rc == 0 && u->accept)
        rc = plan_accept(s, u, p);
    if (p->accepted && u->key == p->accepted->row.key)
        p->target = p->accepted;
    if (rc == 0 && needs_execution(u))
        rc = plan_target(u, p);
    if (rc == 0 && u->notify)
        rc = plan_notify(s, u, p);
    if (rc == 0 && u->control)
        rc = plan_control(s, u, p);
    if (rc == 0 && u->put_setting)
        rc = plan_setting(s, u->put_setting, p);
    return rc == 0 ? plan_heap(s, u, p) : rc;
}

int32_t plan_unit(memory_store *s, const store_unit *u, memory_execution *target, plan *out)
{
    int32_t rc = plan_guards(s, u, target);

    memset(out, 0, sizeof *out);
    out->target = target;
    if (rc != 0)
        return rc;
    rc = plan_all(s, u, out);
    if (rc != 0)
        plan_drop(s, out);
    return rc;
}
