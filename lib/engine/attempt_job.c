/* Attempts: from the run's wish to the result; attempt_start.c has the way to the executor. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine/attempt_impl.h"

static uint64_t place_of(uint32_t step, uint32_t index)
{
    return (uint64_t)step << 32 | index;
}

attempt_job *attempt_of_node(mpsc_node *node)
{
    return (attempt_job *)LIST_ENTRY(node, attempt, node);
}

attempt_job *attempt_of_beat(mpsc_node *node)
{
    return (attempt_job *)LIST_ENTRY(node, attempt, beat_node);
}

attempt_job *attempt_first(const slot *s)
{
    return s->attempts;
}

const char *attempt_step_id(const attempt_job *j)
{
    return j->base.step;
}

bool engine_place_of(const attempt *a, attempt_place *out)
{
    const attempt_job *j = (const attempt_job *)a;

    if (j->slot->state == SLOT_DROPPED)
        return false;
    *out = (attempt_place){
        .execution = j->slot->key,
        .epoch = j->slot->epoch,
        .run = a->run,
        .step = j->step,
        .index = a->index,
        .attempt = a->number,
    };
    return true;
}

/* ---- the end --------------------------------------------------------------------------------------------- */

static void tell_run(slot *s, enum run_role role, uint32_t step, uint32_t index, uint32_t number,
                     int64_t started_ms, attempt_result *r)
{
    run_result result = {
        .code = r->code,
        .no_retry = r->no_retry,
        .started_ms = started_ms,
        .output = r->output,
        .error = r->error,
    };

    if (r->code && !r->error)
        result.error = error_json(r->code, orch_code_name(r->code), NULL);
    run_attempt_ended(s->run, role, step, index, number, &result, s->engine->now_ms);
}

/* Compensations and on_failure have no heartbeats: what they say of themselves is for nobody. */
static void hear(attempt_job *j, bytes *details)
{
    slot *s = j->slot;

    if (j->base.role == ROLE_STEP)
        run_heartbeat(s->run, j->step, j->base.index, j->base.number, details, s->engine->now_ms);
    else
        bytes_unref(details);
}

void attempt_heard(attempt_job *j)
{
    executor *x = &j->executor->executor;

    if (j->slot->state == SLOT_DROPPED) /* its executor may be gone already */
        return;
    hear(j, x->ops->take_beat(x->self, &j->base));
    engine_touch(j->slot);
}

void attempt_finished(attempt_job *j)
{
    slot *s = j->slot;

    HASH_DEL(s->attempts, j);
    list_remove(&j->parked);
    if (s->state == SLOT_DROPPED) {
        bytes_unref(j->base.result.output);
        bytes_unref(j->base.result.error);
        bytes_unref(j->base.result.details);
    } else {
        if (j->base.result.details)
            hear(j, j->base.result.details);
        tell_run(s, j->base.role, j->step, j->base.index, j->base.number, j->started_ms,
                 &j->base.result);
        engine_touch(s);
    }
    bytes_unref(j->base.details);
    json_decref(j->base.with);
    json_decref(j->base.input);
    snapshot_free(j->view);
    mem_free(j);
    slot_unref_work(s);
}

void attempt_finish_with(attempt_job *j, const orch_error *error)
{
    j->base.result = (attempt_result){
        .code = orch_error_code(error),
        .no_retry = !orch_error_retryable(error),
        .error = error_json_of(error),
    };
    attempt_finished(j);
}

/* Any thread, as is the next. While the engine looks at beats only now and then, it need not be woken. The exchange with
 * 0 there and this one are in one order: if this one reads 1, the engine has yet to look, and sees the push. */
static void beat(attempt *a)
{
    engine *e = ((attempt_job *)a)->slot->engine;

    if (mpsc_push(&e->beats, &a->beat_node) && !atomic_fetch_or(&e->beats_rest, 0))
        e->ports.wake(e->ports.ctx);
}

static void complete(attempt *a)
{
    engine *e = ((attempt_job *)a)->slot->engine;

    if (mpsc_push(&e->finished, &a->node))
        e->ports.wake(e->ports.ctx);
}

/* ---- the object ------------------------------------------------------------------------------------------ */

/* Of what the attempt is one: the step's own executor, its `compensate`, or the workflow's `on_failure`. */
static void set_work(attempt_job *j, const definition *d, const run_action *a)
{
    const handler *h = d->on_failure;

    j->base.step = "";
    if (a->role != ROLE_ON_FAILURE) {
        const step *s = &d->steps[a->step];

        j->base.step = s->id;
        j->with = s->with;
        j->executor_number = s->executor;
        if (a->role != ROLE_COMPENSATE)
            return;
        h = s->extra->compensate;
    }
    j->with = h->with;
    j->executor_number = h->executor;
}

#define KEY_ROOM 48 /* for two numbers, "compensate" and slashes */

static void set_key(attempt_job *j, const slot *s, const run_action *a, size_t room)
{
    const char *name = a->role == ROLE_ON_FAILURE ? "on_failure" : j->base.step;
    size_t len;

    snprintf(j->key, room, a->index == INDEX_NONE ? "%s/%u/%s" : "%s/%u/%s/%u", s->start->execution,
             MUTATED(KEY_WITHOUT_RUN) ? 1 : s->start->run, name, a->index);
    if (a->role != ROLE_COMPENSATE)
        return;
    len = strlen(j->key);
    snprintf(j->key + len, room - len, "/compensate");
}

static attempt_job *job_new(slot *s, const run_action *a)
{
    const definition *d = s->known->definition;
    const char *name = a->role == ROLE_ON_FAILURE ? "on_failure" : d->steps[a->step].id;
    size_t room = strlen(s->start->execution) + strlen(name) + KEY_ROOM;
    attempt_job *j = mem_zalloc(sizeof *j + room);

    if (!j)
        return NULL;
    j->place = place_of(a->step, a->index);
    HASH_ADD(hh, s->attempts, place, sizeof j->place, j);
    if (!map_added(j->hh)) {
        mem_free(j);
        return NULL;
    }
    set_work(j, d, a);
    set_key(j, s, a, room);
    j->slot = s;
    j->step = a->step;
    list_init(&j->parked);
    j->started_ms = s->engine->now_ms;
    j->base.execution = s->start->execution;
    j->base.workflow = d->id;
    j->base.idempotency_key = j->key;
    j->base.run = s->start->run;
    j->base.index = a->index;
    j->base.number = a->attempt;
    j->base.role = a->role;
    j->base.deadline_ms = a->deadline_ms;
    j->base.heartbeat_ms = a->heartbeat_ms;
    j->base.details = bytes_ref(a->details);
    j->base.complete = complete;
    j->base.beat = beat;
    s->under_way++;
    s->engine->under_way++;
    return j;
}

/* noop: no object, no queue. */
static void run_immediately(slot *s, const run_action *a, executor *x)
{
    attempt *at_once = &s->engine->at_once;

    at_once->index = a->index;
    at_once->number = a->attempt;
    x->ops->start(x->self, at_once);
    tell_run(s, ROLE_STEP, a->step, a->index, a->attempt, s->engine->now_ms, &at_once->result);
}

static void park(attempt_job *j)
{
    engine *e = j->slot->engine;

    j->parked_until_ms = e->now_ms + e->options.executor_wait_ms;
    list_push(&e->parked, &j->parked);
    log_write(e->ports.log, ORCH_LOG_WARNING,
              "execution %s, step %s: no executor '%s' is registered; waiting for it",
              j->base.execution, j->base.step,
              j->slot->known->definition->executors[j->executor_number]);
}

static executor_entry *executor_at_once(slot *s, const run_action *a)
{
    const step *st;
    executor_entry *x;

    if (a->role != ROLE_STEP)
        return NULL;
    st = &s->known->definition->steps[a->step];
    if (st->with)
        return NULL;
    x = engine_executor_of(s->engine, s->known, st->executor);
    return x && x->executor.ops->immediate ? x : NULL;
}

void attempt_begin(slot *s, const run_action *a)
{
    executor_entry *x = executor_at_once(s, a);
    attempt_job *j;

    if (x) {
        run_immediately(s, a, &x->executor);
        return;
    }
    j = job_new(s, a);
    if (!j) {
        attempt_result r = {.code = ORCH_E_RESOURCE_EXHAUSTED};

        tell_run(s, a->role, a->step, a->index, a->attempt, s->engine->now_ms, &r);
        return;
    }
    j->executor = engine_executor_of(s->engine, s->known, j->executor_number);
    if (j->executor)
        attempt_prepare(j);
    else
        park(j);
}

/* ---- stopping, and waiting for an executor --------------------------------------------------------------- */

static void stop_job(attempt_job *j, int32_t code)
{
    orch_error *error = NULL;

    if (atomic_exchange(&j->base.stop, code))
        return; /* told before */
    if (j->started) {
        if (j->executor->executor.ops->stop)
            j->executor->executor.ops->stop(j->executor->executor.self, &j->base);
    } else if (!j->evaluating) { /* parked */
        error_set(&error, code, NULL, "stopped while it waited for its executor");
        attempt_finish_with(j, error);
        orch_error_free(error);
    }
}

void attempt_stop(slot *s, const run_action *a)
{
    uint64_t place = place_of(a->step, a->index);
    attempt_job *j;

    HASH_FIND(hh, s->attempts, &place, sizeof place, j);
    if (j && j->base.role == a->role && j->base.number == a->attempt)
        stop_job(j, a->code);
}

void attempt_stop_all(slot *s, int32_t code)
{
    attempt_job *j, *next;

    HASH_ITER(hh, s->attempts, j, next)
    {
        stop_job(j, code);
    }
}

int64_t attempt_parked_deadline(const engine *e)
{
    return list_empty(&e->parked)
               ? INT64_MAX
               : LIST_ENTRY(e->parked.next, attempt_job, parked)->parked_until_ms;
}

void attempt_retry_parked(engine *e)
{
    list waiting;
    list *node;

    list_init(&waiting);
    while ((node = list_pop(&e->parked)))
        list_push(&waiting, node);
    while ((node = list_pop(&waiting))) {
        attempt_job *j = LIST_ENTRY(node, attempt_job, parked);
        uint16_t number = j->executor_number;
        orch_error *error = NULL;

        j->executor = engine_executor_of(e, j->slot->known, number);
        if (j->executor) {
            attempt_prepare(j);
        } else if (j->parked_until_ms > e->now_ms) {
            list_push(&e->parked, &j->parked);
        } else {
            error_set(&error, ORCH_E_NOT_FOUND, NULL, "no executor is registered as '%s'",
                      j->slot->known->definition->executors[number]);
            attempt_finish_with(j, error);
            orch_error_free(error);
        }
    }
}
