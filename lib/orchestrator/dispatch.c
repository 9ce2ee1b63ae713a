/* Hand-overs: which execution goes to which engine, and what happens when the channel to it breaks. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define ATTACH_RETRY_MS 500

static void release_engine(live *l)
{
    channel_close(l->channel);
    l->channel = NULL;
    if (l->engine >= 0 && !MUTATED(ENGINE_PLACE_LEAKED))
        l->o->views[l->engine].active--;
    l->engine = -1;
    limit_release(l);
}

static int32_t open_channel(live *l, orch_error **err)
{
    engine_entry *e = &l->o->engines[l->engine];

    return e->transport.ops->open(e->transport.self, e->endpoint, &report_handler, l, &l->channel,
                                  err);
}

/* Back into the queue, from an engine that cannot take it now. */
static void give_back(live *l, const orch_error *error)
{
    orchestrator *o = l->o;
    int32_t place = l->engine;

    log_write(o->ports.log, ORCH_LOG_WARNING, "engine %s: %s", o->engines[place].name,
              orch_error_message(error));
    engines_rest(o, place);
    release_engine(l);
    queue_add(l, true);
}

/* ---- START ----------------------------------------------------------------------------------------------- */

static bool take_inbox(message_start *s, inbox_page *inbox)
{
    if (!inbox || !inbox->count)
        return true;
    s->inbox = mem_calloc(inbox->count, sizeof *s->inbox);
    if (!s->inbox)
        return false;
    for (size_t i = 0; i < inbox->count; i++) {
        s->inbox[i] = inbox_note_of(&inbox->rows[i]);
    }
    s->inbox_count = (uint32_t)inbox->count;
    return true;
}

/* Takes the rows of both pages over. */
static message *start_message(live *l, checkpoint_page *history, inbox_page *inbox)
{
    message *m = message_new(MESSAGE_START, l->epoch);
    message_start *s = m ? mem_zalloc(sizeof *s) : NULL;
    char made[EXECUTION_ID_LEN + 1];

    if (!s) {
        mem_free(m);
        return NULL;
    }
    m->start = s;
    s->key = l->key;
    s->run = l->run;
    s->definition = l->version->digest;
    s->input = bytes_ref(l->input);
    s->accepted_ms = l->accepted_ms;
    s->deadline_ms = l->deadline_ms;
    s->paused = live_is_paused(l);
    s->parent = l->parent && *l->parent->id ? mem_strdup(l->parent->id) : NULL;
    s->execution = mem_strdup(live_id(l, made));
    if (!s->execution || !take_inbox(s, inbox)) {
        message_free(m);
        return NULL;
    }
    if (history && history->count) {
        s->checkpoints = history->rows;
        s->checkpoint_count = (uint32_t)history->count;
        *history = (checkpoint_page){0};
    }
    return m;
}

void dispatch_loaded(live *l, checkpoint_page *history, inbox_page *inbox, uint64_t upto_seq)
{
    orchestrator *o = l->o;
    uint64_t last_seq = history && history->count ? history->rows[history->count - 1].seq : 0;
    uint64_t told = inbox && inbox->count ? inbox->rows[inbox->count - 1].seq : 0;
    orch_error *error = NULL;
    message *m;

    l->epoch = (epoch){o->ports.term, ++o->epoch_counter};
    if (told < upto_seq)
        told = upto_seq;
    m = start_message(l, history, inbox);
    if (m) {
        m->start->inbox_seq = told;
        open_channel(l, &error);
    } else {
        error_no_memory(&error);
    }
    if (error) {
        message_free(m);
        give_back(l, error);
        orch_error_free(error);
        return;
    }
    l->told_seq = told;
    if (told > l->inbox_seq)
        l->inbox_seq = told;
    l->reading_inbox = false;
    l->children_asked = l->refusals = 0;
    l->phase = PHASE_HANDED;
    l->instance = 0;
    l->attaches = 0;
    l->fresh = false;
    l->received_seq = l->stored_seq = last_seq;
    o->stats.dispatched++;
    live_tell(l, ORCH_LOG_DEBUG, "execution_handed_over", NULL, o->engines[l->engine].name);
    channel_send(l->channel, m);
    inbox_catch_up(l); /* what was stored after the inbox was read */
}

static void hand_over(live *l, int32_t place)
{
    queue_remove(l);
    limit_take(l);
    l->engine = place;
    l->o->views[place].active++;
    if (l->fresh && !l->inbox_seq) {
        dispatch_loaded(l, NULL, NULL, 0);
    } else {
        l->phase = PHASE_LOADING;
        reads_history(l);
    }
}

/* Whether an end means no more than the row that says so: there is nothing that was done, or that would have to be done or
 * awaited. */
static bool ends_by_itself(const live *l)
{
    const definition *d = l->version->definition;

    return l->fresh || (d && !d->compensates && !d->on_failure && !definition_has_children(d));
}

/* Whether it ended while it waited. */
static bool ended_waiting(live *l)
{
    bool late = l->deadline_ms && l->deadline_ms <= l->o->now_ms;

    if ((!l->cancelled && !late) || !ends_by_itself(l))
        return false; /* an engine ends it, as it should be ended */
    if (l->cancelled)
        end_now(l, EXECUTION_CANCELLED, end_error(ORCH_E_CANCELLED, "cancelled before it ran"));
    else
        end_now(l, EXECUTION_TIMED_OUT,
                end_error(ORCH_E_DEADLINE_EXCEEDED, "its time ran out while it waited"));
    return true;
}

bool dispatch_pending(orchestrator *o, uint32_t budget)
{
    live *l;

    while (!o->stopping && (l = queue_first(o))) {
        int32_t place;

        if (!budget--)
            return true;
        if (ended_waiting(l))
            continue;
        if (l->doubt_ms && doubt_holds(l))
            continue;
        if (!limit_allows(l)) {
            limit_block(l);
            continue;
        }
        place = engines_pick(o, l);
        if (place < 0)
            return false;
        hand_over(l, place);
    }
    return false;
}

/* ---- the engine's first answer --------------------------------------------------------------------------- */

void dispatch_definition(live *l)
{
    version_entry *v = l->version;
    message *m;

    if (l->phase != PHASE_HANDED)
        return;
    if (!v->definition) {
        list_remove(&l->link);
        list_push(&v->needing, &l->link);
        if (list_empty(&v->unread)) /* else it is read again when it is time */
            reads_definition(l->o, v);
        return;
    }
    m = message_new(MESSAGE_DEFINITION, l->epoch);
    if (!m) {
        dispatch_later(l);
        return;
    }
    m->definition.digest = v->digest;
    m->definition.parsed = definition_ref(v->definition);
    m->definition.text = bytes_ref(v->definition->text);
    channel_send(l->channel, m);
}

void dispatch_refused(live *l, const message *m)
{
    orchestrator *o = l->o;
    const char *why = m->refused.message ? m->refused.message->data : "";
    char made[EXECUTION_ID_LEN + 1];

    if (l->phase != PHASE_HANDED && l->phase != PHASE_DETACHED)
        return; /* it is ending: too late */
    if (m->refused.instance == l->instance)
        l->instance = 0; /* else another process is in the place of the one that had it */
    if (m->refused.code !=
        ORCH_E_NOT_FOUND) /* which answers an attachment, and says nothing of the next start */
        engines_rest(o, l->engine);
    log_write(o->ports.log, ORCH_LOG_WARNING, "execution %s: engine %s refused it: %s",
              live_id(l, made), o->engines[l->engine].name, why);
    if (m->refused.code == ORCH_E_INVALID_ARGUMENT || m->refused.code == ORCH_E_DATA_LOSS) {
        release_engine(l); /* no engine will ever do better */
        end_now(l, EXECUTION_FAILED, end_error(m->refused.code, why));
    } else {
        dispatch_again(l);
    }
}

void dispatch_cancelled(live *l)
{
    if (!ended_waiting(l))
        queue_add(l, true);
}

/* ---- broken channels ------------------------------------------------------------------------------------- */

void dispatch_again(live *l)
{
    doubt_left(l);
    release_engine(l);
    message_free(l->suspension);
    l->suspension = NULL;
    l->fresh = MUTATED(HISTORY_LEFT_OUT);
    l->o->stats.redispatched++;
    l->phase = PHASE_SETTLING;
    list_remove(&l->link);
    heap_remove(&l->o->timers, &l->timer);
    if (!l->units)
        dispatch_settled(l);
}

void dispatch_later(live *l)
{
    engines_rest(l->o, l->engine);
    dispatch_again(l);
}

void dispatch_settled(live *l)
{
    if (l->phase == PHASE_SETTLING && !doubt_holds(l))
        queue_add(l, true);
}

static void attach(live *l)
{
    message *m = message_new(MESSAGE_ATTACH, l->epoch);
    int64_t retry_ms = l->o->now_ms + ATTACH_RETRY_MS;
    orch_error *error = NULL;

    if (m && !open_channel(l, &error)) {
        m->attach.key = l->key;
        /* And not what only came: a cause must be stored. */
        m->attach.stored_seq = MUTATED(ATTACH_TELLS_RECEIVED) ? l->received_seq : l->stored_seq;
        m->attach.instance = l->o->engines[l->engine].instance;
        m->attach.number = ++l->attaches;
        channel_send(l->channel, m);
        retry_ms = l->attach_until_ms;
    } else {
        message_free(m);
        orch_error_free(error);
    }
    if (retry_ms > l->attach_until_ms)
        retry_ms = l->attach_until_ms;
    if (!heap_set(&l->o->timers, &l->timer, retry_ms))
        dispatch_later(l);
}

void dispatch_on_lost(live *l, int32_t code)
{
    char made[EXECUTION_ID_LEN + 1];

    channel_close(l->channel);
    l->channel = NULL;
    report_suspension_void(l); /* it is quiet again when it is attached, and says so */
    if (l->phase != PHASE_HANDED && l->phase != PHASE_DETACHED)
        return;
    list_remove(&l->link);
    if (code == ORCH_E_NOT_FOUND && l->phase == PHASE_HANDED) { /* it was not reached */
        engines_lost(l->o, l->engine);
        dispatch_again(l);
        return;
    }
    if (code == 0) { /* the engine let go of it: it stops, or has no memory */
        l->instance = 0;
        dispatch_later(l);
        return;
    }
    if (l->phase == PHASE_HANDED) {
        log_write(l->o->ports.log, ORCH_LOG_WARNING, "execution %s: lost the channel to engine %s",
                  live_id(l, made), l->o->engines[l->engine].name);
        live_tell(l, ORCH_LOG_WARNING, "execution_detached", NULL, l->o->engines[l->engine].name);
        l->phase = PHASE_DETACHED;
        doubt_lost(l);
        l->attach_until_ms = l->o->now_ms + l->o->options.attach_grace_ms;
        attach(l);
    } else if (!heap_set(&l->o->timers, &l->timer, l->o->now_ms + ATTACH_RETRY_MS)) {
        dispatch_later(l);
    }
}

void dispatch_attached(live *l)
{
    if (l->phase != PHASE_DETACHED)
        return;
    l->phase = PHASE_HANDED;
    heap_remove(&l->o->timers, &l->timer);
    if (live_is_paused(l))
        live_tell_pause(l);
    inbox_catch_up(l);
}

void dispatch_on_timer(live *l)
{
    if (l->phase == PHASE_PENDING) {
        ended_waiting(l);
    } else if (l->phase == PHASE_DETACHED) {
        channel_close(l->channel);
        l->channel = NULL;
        if (l->o->now_ms >= l->attach_until_ms)
            dispatch_again(l);
        else
            attach(l);
    }
}
