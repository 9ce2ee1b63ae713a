/* The children of an execution, as far as its engine has to do with them: it asks the orchestrator to start and to cancel
 * them, and makes of their ends what their steps see. Those that have not ended are kept, so that after a break, which may have
 * lost what was on its way, all of it can be said again. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "engine/engine_impl.h"
#include "workflow/child.h"

struct slot_child {
    UT_hash_handle hh;
    uint64_t place; /* step and index */
    uint32_t attempt;
    int32_t stop_code; /* 0: it was not told to stop */
    bytes *spec;
};

static uint64_t place_of(uint32_t step, uint32_t index)
{
    return (uint64_t)step << 32 | index;
}

static slot_child *find(const slot *s, uint32_t step, uint32_t index)
{
    uint64_t place = place_of(step, index);
    slot_child *c;

    HASH_FIND(hh, s->children, &place, sizeof place, c);
    return c;
}

static void forget(slot *s, slot_child *c)
{
    HASH_DEL(s->children, c);
    bytes_unref(c->spec);
    mem_free(c);
}

void children_free(slot *s)
{
    slot_child *c, *next;

    HASH_ITER(hh, s->children, c, next)
    {
        forget(s, c);
    }
}

/* Which child it is: NULL if there is no memory. */
static char *id_of(const slot *s, uint32_t step, uint32_t index, uint32_t attempt)
{
    const definition *d = s->known->definition;

    return step < d->step_count
               ? child_id(s->start->execution, s->start->run, d->steps[step].id, index, attempt)
               : mem_strdup("");
}

/* ---- up -------------------------------------------------------------------------------------------------- */

static message_child *message_of(const slot *s, const slot_child *c)
{
    message_child *child = mem_zalloc(sizeof *child);

    if (!child)
        return NULL;
    child->step = (uint32_t)(c->place >> 32);
    child->index = (uint32_t)c->place;
    child->attempt = c->attempt;
    child->id = id_of(s, child->step, child->index, child->attempt);
    if (!child->id) {
        message_child_free(child);
        child = NULL;
    }
    return child;
}

/* Takes the child over. */
static bool send_child(slot *s, enum message_kind kind, message_child *child)
{
    message *m = child ? message_new(kind, s->epoch) : NULL;

    if (!m) {
        message_child_free(child);
        return false;
    }
    m->child = child;
    channel_send(s->channel, m);
    return true;
}

/* RESOURCE_EXHAUSTED, or the codec's error. */
static int32_t send_start(slot *s, const slot_child *c, orch_error **err)
{
    message_child *child = message_of(s, c);
    int32_t rc = child ? child_spec_read(c->spec, &child->spec, err) : error_no_memory(err);

    if (!rc)
        rc = codec_encode(&s->engine->options.codec, &child->spec.inputs, err);
    if (rc) {
        message_child_free(child);
        return rc;
    }
    return send_child(s, MESSAGE_START_CHILD, child) ? 0 : error_no_memory(err);
}

static bool send_cancel(slot *s, const slot_child *c)
{
    const char *why = c->stop_code == ORCH_E_DEADLINE_EXCEEDED
                          ? "the step that started it has passed its timeout"
                          : "the execution that started it has ended";
    message_child *child = message_of(s, c);
    json_t *reason = json_string(why);

    if (child && reason)
        child->error = json_to_bytes(reason);
    json_decref(reason);
    if (child && !child->error) {
        message_child_free(child);
        child = NULL;
    }
    return send_child(s, MESSAGE_CANCEL_CHILD, child);
}

static void refused(slot *s, const slot_child *c, const orch_error *error)
{
    run_result r = {
        .code = orch_error_code(error),
        .no_retry = !orch_error_retryable(error),
        .error = error_json_of(error),
    };

    run_child_refused(s->run, (uint32_t)(c->place >> 32), (uint32_t)c->place, c->attempt, &r,
                      s->engine->now_ms);
}

static slot_child *keep(slot *s, const run_action *a)
{
    slot_child *c = find(s, a->step, a->index);

    if (!c) {
        c = mem_zalloc(sizeof *c);
        if (!c)
            return NULL;
        c->place = place_of(a->step, a->index);
        HASH_ADD(hh, s->children, place, sizeof c->place, c);
        if (!map_added(c->hh)) {
            mem_free(c);
            return NULL;
        }
    }
    c->attempt = a->attempt;
    return c;
}

void child_start(slot *s, const run_action *a)
{
    slot_child *c = keep(s, a);
    orch_error *error = NULL;

    if (!c) {
        slot_drop(s); /* the next hand-over asks for it again */
        return;
    }
    bytes_ref(a->spec);
    bytes_unref(c->spec);
    c->spec = a->spec;
    c->stop_code = 0;
    if (!send_start(s, c, &error))
        return;
    refused(s, c, error);
    forget(s, c);
    orch_error_free(error);
}

/* It may be one that was asked for before a restart, and never here. */
void child_stop(slot *s, const run_action *a)
{
    slot_child *c = keep(s, a);

    if (!c) {
        slot_drop(s);
        return;
    }
    c->stop_code = a->code;
    if (!send_cancel(s, c))
        slot_drop(s);
}

bool children_resend(slot *s)
{
    slot_child *c, *next;

    HASH_ITER(hh, s->children, c, next)
    {
        if ((c->spec && send_start(s, c, NULL)) || (c->stop_code && !send_cancel(s, c)))
            return false;
    }
    return true;
}

/* ---- down ------------------------------------------------------------------------------------------------ */

static void answered(slot *s, uint32_t step, uint32_t index, uint32_t attempt)
{
    slot_child *c = find(s, step, index);

    if (c && c->attempt == attempt)
        forget(s, c);
}

void child_refused(slot *s, message_child *child)
{
    run_result r = {.code = child->code, .no_retry = child->no_retry, .error = child->error};

    child->error = NULL;
    answered(s, child->step, child->index, child->attempt);
    run_child_refused(s->run, child->step, child->index, child->attempt, &r, s->engine->now_ms);
}

static const char *end_words(uint8_t state)
{
    return state == NOTE_CANCELLED   ? "was cancelled"
           : state == NOTE_TIMED_OUT ? "timed out"
                                     : "failed";
}

/* What the child says itself, else what its state says. */
static int32_t code_of(uint8_t state, const json_t *error)
{
    const char *name = json_string_value(json_object_get(error, "code"));
    int32_t code = name ? error_code_by_name(name) : 0;

    if (code)
        return code;
    return state == NOTE_CANCELLED   ? ORCH_E_CANCELLED
           : state == NOTE_TIMED_OUT ? ORCH_E_DEADLINE_EXCEEDED
                                     : ORCH_E_UNKNOWN;
}

/* From the child down to where it began: the child, then what its own error says of its children. */
static json_t *path_of(const char *id, const json_t *error)
{
    const json_t *data = json_object_get(error, "data");
    json_t *below = json_object_get(data, "path");
    json_t *path = json_pack("[s]", id);

    if (!path || !json_is_string(json_object_get(data, "execution")) || !json_is_array(below) ||
        json_array_size(below) > CHILD_DEPTH_MAX)
        return path;
    if (json_array_extend(path, below)) {
        json_decref(path);
        path = NULL;
    }
    return path;
}

static json_t *data_of(const char *id, json_t *error)
{
    json_t *path = path_of(id, error);

    return path ? json_pack("{s:s,s:o,s:O}", "execution", id, "path", path, "error", error) : NULL;
}

/* {"code","message":"child ID failed: …","data":{"execution","path","error"}}. NULL if there is no memory: then the code has to
 * do. */
static bytes *error_of(const char *id, uint8_t state, json_t *error, int32_t code)
{
    const char *message = json_string_value(json_object_get(error, "message"));
    json_t *data = data_of(id, error);
    buf words = BUF_INIT;
    bytes *text = NULL;

    buf_printf(&words, "child %s %s: %s", id, end_words(state), message ? message : "");
    if (data && !words.failed)
        text = error_json(code, words.data, data);
    buf_free(&words);
    json_decref(data);
    return text;
}

static void fill_failure(slot *s, const inbox_note *n, run_result *r)
{
    char *id = id_of(s, n->step, n->index, n->attempt);
    json_t *error = n->payload ? json_loadb(n->payload->data, n->payload->len, 0, NULL) : NULL;

    if (!error)
        error = json_object();
    r->code = code_of(n->state, error);
    if (id && error)
        r->error = error_of(id, n->state, error, r->code);
    json_decref(error);
    mem_free(id);
}

void child_ended(slot *s, inbox_note *n)
{
    run_result r = {0};

    if (n->state == NOTE_SUCCEEDED) {
        r.output = n->payload;
        n->payload = NULL;
    } else {
        fill_failure(s, n, &r);
    }
    answered(s, n->step, n->index, n->attempt);
    run_child_ended(s->run, n->seq, n->step, n->index, n->attempt, &r, s->engine->now_ms);
}
