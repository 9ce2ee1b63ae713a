#include "simulation/model_impl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/trace.h"

struct model model;

static void *grown(void *array, uint64_t count, uint64_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 64;
    array = realloc(array, *capacity * size);
    if (!array)
        abort();
    return array;
}

void model_begin(void)
{
    memset(&model, 0, sizeof model);
}

void model_end(void)
{
    HASH_CLEAR(hh_key, model.by_key);
    HASH_CLEAR(hh_id, model.by_id);
    for (uint32_t i = 0; i < model.count; i++) {
        execution *e = model.all[i];

        free(e->inbox);
        free(e->now);
        free(e);
    }
    for (uint32_t i = 0; i < model.definition_count; i++)
        described_clear(&model.definitions[i]);
    free(model.all);
    free(model.attempts);
    free(model.signals);
}

/* ---- looking up ------------------------------------------------------------------------------------------ */

execution *model_find(uint64_t key)
{
    execution *e;

    HASH_FIND(hh_key, model.by_key, &key, sizeof key, e);
    return e;
}

execution *model_find_id(const char *id)
{
    execution *e;

    HASH_FIND(hh_id, model.by_id, id, strlen(id), e);
    return e;
}

attempt_record *model_attempt(uint64_t serial)
{
    return serial && serial <= model.attempt_count ? &model.attempts[serial - 1] : NULL;
}

uint64_t serial_of(const bytes *json)
{
    const char *at = json ? json->data : "";

    if (!strncmp(at, "{\"n\":", 5))
        at += 5;
    return isdigit((unsigned char)*at) ? strtoull(at, NULL, 10) : SERIAL_NONE;
}

const char *place_name(const execution *e, uint32_t step, uint32_t index)
{
    static char name[EXECUTION_ID_MAX + 64];

    if (index == INDEX_NONE)
        snprintf(name, sizeof name, "%s/%u/s%u", e->id, e->run, step);
    else
        snprintf(name, sizeof name, "%s/%u/s%u/%u", e->id, e->run, step, index);
    return name;
}

uint32_t model_execution_count(void)
{
    return model.count;
}

execution *model_execution(uint32_t i)
{
    return model.all[i];
}

size_t model_bytes(void)
{
    return model.count * (sizeof(execution) + sizeof(run_record)) +
           model.attempt_capacity * sizeof *model.attempts;
}

const char *execution_id(const execution *e)
{
    return e->id;
}

uint64_t execution_key(const execution *e)
{
    return e->key;
}

bool execution_has_ended(const execution *e)
{
    return EXECUTION_STATE_IS_END(e->state);
}

bool execution_is_paused(const execution *e)
{
    return e->paused;
}

uint8_t execution_state(const execution *e)
{
    return e->state;
}

const described *execution_description(const execution *e)
{
    return e->d;
}

uint32_t execution_cancels(const execution *e)
{
    return e->cancels;
}

uint32_t execution_pauses(const execution *e, bool paused)
{
    return e->pauses[paused];
}

described *model_definitions(uint32_t *count)
{
    *count = model.definition_count;
    return model.definitions;
}

described *model_definition_new(int workflow)
{
    described *d = &model.definitions[model.definition_count];

    if (model.definition_count == DEFINITIONS_MAX)
        return NULL;
    describe(d, model.definitions, model.definition_count, workflow);
    model.definition_count++;
    trace("definition %s", d->text);
    return d;
}

/* ---- leases, engines, limits ----------------------------------------------------------------------------- */

void model_leased(uint64_t term)
{
    if (term <= model.term)
        broken("No zombies: each opening of the store has a higher term",
               "term %" PRIu64 " after %" PRIu64, term, model.term);
    model.term = term;
}

void model_orchestrator_up(node *n)
{
    (void)n;
    for (uint32_t i = 0; i < model.count; i++)
        model.all[i]->attached = false;
}

void model_engine_died(node *n)
{
    for (uint32_t i = 0; i < model.count; i++)
        memset(&model.all[i]->holds[n->place], 0, sizeof(hold));
}

/* ---- executions ------------------------------------------------------------------------------------------ */

static const described *definition_of(uint64_t key)
{
    for (uint32_t i = 0; i < model.definition_count; i++)
        if (model.definitions[i].key == key)
            return &model.definitions[i];
    return NULL;
}

static void define(const definition_row *row)
{
    for (uint32_t i = 0; i < model.definition_count; i++) {
        described *d = &model.definitions[i];
        char name[16], version[16];

        snprintf(name, sizeof name, "w%u", (unsigned)d->workflow);
        snprintf(version, sizeof version, "1.%u.0", (unsigned)d->version);
        if (strcmp(name, row->workflow) != 0 || strcmp(version, row->version) != 0)
            continue;
        if (d->key || memcmp(d->digest, row->digest, sizeof d->digest) != 0)
            broken("Executions keep their version: a registered version never changes",
                   "%s %s is stored twice, or another one than was registered", name, version);
        d->key = row->key;
        return;
    }
    broken("Bad input is an error", "%s %s was never registered", row->workflow, row->version);
}

static execution *take_in(const execution_row *row)
{
    execution *e = calloc(1, sizeof *e);
    char made[EXECUTION_ID_LEN + 1];
    uint64_t capacity = model.capacity;

    execution_id_format(row->key, made);
    if (!e || !(e->now = calloc(1, sizeof *e->now)))
        abort();
    e->key = row->key;
    snprintf(e->id, sizeof e->id, "%s", row->id ? row->id : made);
    if (model_find(e->key) || model_find_id(e->id))
        broken("An execution is started once", "%s is accepted twice", e->id);
    e->d = definition_of(row->definition);
    e->run = row->run;
    e->state = row->state;
    e->accepted_ms = row->accepted_ms;
    e->deadline_ms = row->deadline_ms;
    e->start_ms = row->state == EXECUTION_SUSPENDED ? row->wake_ms : 0;
    e->abandoned = row->abandoned;
    e->parent = row->parent;
    e->parent_run = row->parent_run;
    e->parent_step = row->parent_step;
    e->parent_index = row->parent_index;
    e->limit = row->limit_key ? (uint8_t)(row->limit_key[1] - '0' + 1) : 0;
    HASH_ADD(hh_key, model.by_key, key, sizeof e->key, e);
    HASH_ADD_KEYPTR(hh_id, model.by_id, e->id, strlen(e->id), e);
    model.all = grown(model.all, model.count, &capacity, sizeof *model.all);
    model.capacity = (uint32_t)capacity;
    model.all[model.count++] = e;
    sim.counts.executions++;
    trace("stored: %s, %s 1.%u.0", e->id, row->state == EXECUTION_SUSPENDED ? "delayed" : "open",
          (unsigned)e->d->version);
    return e;
}

/* Each key of a workflow starts one, or another once that has ended, if that is wanted: then the key is that one's. */
static void note_start_key(execution *e, const start_key *k)
{
    for (uint32_t i = 0; i < model.count; i++) {
        execution *other = model.all[i];

        if (strcmp(other->start_key, k->key) != 0 || other->d->workflow != e->d->workflow)
            continue;
        if (k->policy != START_KEY_ANEW || !EXECUTION_STATE_IS_END(other->state))
            broken("A start key starts one execution", "%s and %s have the key %s", other->id,
                   e->id, k->key);
        other->start_key[0] = '\0';
    }
    snprintf(e->start_key, sizeof e->start_key, "%s", k->key);
}

/* ---- inboxes --------------------------------------------------------------------------------------------- */

static void put(execution *e, const inbox_item *item)
{
    uint64_t capacity = e->inbox_capacity, serial = serial_of(item->payload);
    told *t;

    e->inbox = grown(e->inbox, e->inbox_count, &capacity, sizeof *e->inbox);
    e->inbox_capacity = (uint32_t)capacity;
    t = &e->inbox[e->inbox_count++];
    *t = (told){.seq = item->seq, .kind = item->kind, .correlated = item->correlation != NULL};
    if (item->kind == INBOX_SIGNAL) {
        snprintf(t->name, sizeof t->name, "%s", item->name);
        t->serial = serial;
        if (!serial || serial > model.signal_count || model.signals[serial - 1].stored)
            broken("A signal is consumed once", "signal %" PRIu64 " is stored twice, for %s",
                   serial, e->id);
        model.signals[serial - 1].stored = true;
    }
    if (item->kind == INBOX_CANCEL) {
        /* No engine had it, and nothing else is there to be told: it ends at once. */
        e->must_be_cancelled |= !e->epoch.term && e->run == 1 && e->inbox_count == 1 &&
                                !e->now->last_seq;
        e->cancel_stored = true;
        e->cancelled_us = sim.now_us;
        e->cancels++;
    }
}

static void clear_inbox(execution *e, uint64_t upto)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < e->inbox_count; i++)
        if (e->inbox[i].seq > upto)
            e->inbox[kept++] = e->inbox[i];
    e->inbox_count = kept;
}

uint64_t model_signal_new(uint64_t key, uint8_t signal, bool correlated)
{
    model.signals = grown(model.signals, model.signal_count, &model.signal_capacity,
                          sizeof *model.signals);
    memset(&model.signals[model.signal_count], 0, sizeof *model.signals);
    model.signals[model.signal_count].key = key;
    model.signals[model.signal_count].signal = signal;
    model.signals[model.signal_count].correlated = correlated;
    return ++model.signal_count;
}

void model_signal_answered(uint64_t serial, int32_t code)
{
    if (!code && !model.signals[serial - 1].stored)
        broken("Commit before effect: an answer comes after the store has it",
               "signal %" PRIu64 " was answered and is not stored", serial);
}

/* ---- units ----------------------------------------------------------------------------------------------- */

static void new_run(execution *e, const store_unit *u)
{
    run_record *old = e->now;

    if (!EXECUTION_STATE_IS_END(e->state) || u->run != e->run + 1)
        broken("One end: a new run begins when the one before has ended", "%s, run %u after %u",
               e->id, u->run, e->run);
    e->now = calloc(1, sizeof *e->now);
    if (!e->now)
        abort();
    e->run = u->run;
    e->deadline_ms = u->update->deadline_ms;
    e->cancel_stored = e->terminated = e->must_be_cancelled = false;
    e->start_ms = 0;
    trace("stored: %s, run %u begins", e->id, e->run);
    for (uint32_t i = 0; i < u->checkpoint_count; i++)
        model_row(e, &u->checkpoints[i], true);
    if (u->control && !strcmp(u->control->action, "retry"))
        model_check_carried(e, old, e->now);
    free(old);
}

static void update(execution *e, const store_unit *u)
{
    static const char *const names[] = {"",       "open",      "suspended", "succeeded",
                                        "failed", "cancelled", "timed out"};
    uint8_t state = u->update->state;

    if (u->run <= e->run && EXECUTION_STATE_IS_END(e->state))
        broken("One end: an end once recorded stands", "%s ended as %s, and becomes %s", e->id,
               names[e->state], names[state]);
    e->terminated |= u->control && !strcmp(u->control->action, "terminate");
    if (EXECUTION_STATE_IS_END(state)) {
        model_check_run_end(e, u);
        sim.counts.runs_ended++;
    }
    e->state = state;
    trace("stored: %s is %s", e->id, names[state]);
}

static void set(execution *e, const execution_setting *s)
{
    if (s->paused < 0)
        return;
    e->paused = s->paused;
    e->pauses[e->paused]++;
    e->pause_settled = false;
}

/* Workflow -1: everything. */
static void set_paused(int workflow, bool paused)
{
    uint32_t bit = UINT32_C(1) << (workflow + 1);

    model.paused = paused ? model.paused | bit : model.paused & ~bit;
}

bool model_is_paused(int workflow)
{
    return (model.paused >> (workflow + 1) & 1) != 0;
}

static void put_setting(const setting_row *row)
{
    const char *value = row->value ? row->value->data : "";
    const char *at = strstr(value, "\"concurrency\":");
    uint32_t now, number = at ? (uint32_t)strtoul(at + 14, NULL, 10) : 0;
    limit_record *l;

    trace("stored: setting %s %s", row->name, value);
    if (!strncmp(row->name, "pause/", 6))
        set_paused(row->name[6] ? (int)strtol(row->name + 7, NULL, 10) : -1, row->value != NULL);
    if (strncmp(row->name, "limit/k", 7) != 0)
        return;
    l = &model.limits[row->name[7] - '0'];
    now = model_limit(l);
    *l = (limit_record){number ? number : UINT32_MAX, now, sim.now_us + ON_ITS_WAY};
}

/* A hand-over that had its place before may still be on its way. */
uint32_t model_limit(const limit_record *l)
{
    uint32_t stored = l->stored ? l->stored : UINT32_MAX;

    return sim.now_us < l->larger_until_us && l->larger > stored ? l->larger : stored;
}

static void change(execution *e, const store_unit *u)
{
    bool renews = u->update && u->run > e->run;

    if (u->setting)
        set(e, u->setting);
    if (!renews)
        for (uint32_t i = 0; i < u->checkpoint_count; i++)
            model_row(e, &u->checkpoints[i], u->accept != NULL);
    if (u->inbox_put)
        put(e, u->inbox_put);
    if (u->inbox_put && u->inbox_woke)
        e->state = EXECUTION_OPEN;
    if (u->inbox_consumed)
        clear_inbox(e, u->inbox_consumed);
    if (renews)
        new_run(e, u);
    if (u->update)
        renews ? (void)(e->state = u->update->state) : update(e, u);
}

void model_applied(node *by, const store_unit *u)
{
    execution *e, *parent;

    if (u->result) {
        trace("store: %s's unit of %" PRIu64 " does not hold: %s", by->name, u->key,
              orch_code_name(u->result));
        return;
    }
    if (u->term < model.term)
        broken("No zombies: the store takes nothing of an orchestrator that has lost its lease",
               "%s wrote with term %" PRIu64 ", which is %" PRIu64 " now", by->name, u->term,
               model.term);
    if (u->definition)
        define(u->definition);
    e = u->accept ? take_in(u->accept) : model_find(u->key);
    if (u->accept && u->start_key)
        note_start_key(e, u->start_key);
    if (e)
        change(e, u);
    if (u->put_setting)
        put_setting(u->put_setting);
    parent = u->notify && u->notify->seq ? model_find(u->notify_key) : NULL;
    if (parent) {
        put(parent, u->notify);
        if (u->notify_woke)
            parent->state = EXECUTION_OPEN;
    }
}

void model_channel(uint64_t key, bool open)
{
    execution *e = model_find(key);

    if (e)
        e->attached = open;
}
