#include "support/run_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

#define START_MS 1000000

void rig_open_definition(rig *w, definition *d, const run_options *options)
{
    orch_error *err = NULL;

    *w = (rig){.definition = d, .now_ms = START_MS};
    if (options)
        w->options = *options;
    w->run = run_new(d, &w->options);
    assert_non_null(w->run);
    assert_int_equal(run_start(w->run, w->now_ms, &err), 0);
}

void rig_open(rig *w, const char *json, const run_options *options)
{
    char *text = strdup(json);
    definition *d = NULL;
    orch_error *err = NULL;

    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    if (definition_parse(text, strlen(text), NULL, &d, &err))
        fail_msg("%s: %s", text, orch_error_message(err));
    free(text);
    rig_open_definition(w, d, options);
}

static void drop_history(rig *w, uint32_t from)
{
    for (uint32_t i = from; i < w->made; i++)
        checkpoint_clear(&w->history[i]);
    w->made = from;
    for (uint32_t i = 0; i < w->told_count; i++)
        if (w->inbox[i].consumed_by > from)
            w->inbox[i].consumed_by = 0;
}

void rig_close(rig *w)
{
    run_free(w->run);
    drop_history(w, 0);
    free(w->history);
    free(w->out);
    for (uint32_t i = 0; i < w->told_count; i++) {
        free(w->inbox[i].name);
        bytes_unref(w->inbox[i].correlation);
        bytes_unref(w->inbox[i].payload);
    }
    free(w->inbox);
    free(w->children);
    bytes_unref(w->output);
    bytes_unref(w->error);
    definition_unref(w->definition);
    *w = (rig){0};
}

static void tell(rig *w, uint32_t i)
{
    const told *t = &w->inbox[i];

    if (!t->name) {
        run_result result = {.code = t->code};

        *(t->code ? &result.error : &result.output) = bytes_ref(t->payload);
        run_child_ended(w->run, i + 1, t->step, t->index, t->attempt, &result, w->now_ms);
        return;
    }
    run_signal(w->run, i + 1, t->name, bytes_ref(t->correlation), bytes_ref(t->payload), w->now_ms);
}

void rig_tell_all(rig *w)
{
    for (uint32_t i = 0; i < w->told_count; i++)
        if (!w->inbox[i].consumed_by)
            tell(w, i);
}

void rig_restart(rig *w, uint32_t keep)
{
    orch_error *err = NULL;

    assert_false(w->ended);
    run_free(w->run);
    w->stored = keep < w->stored ? keep : w->stored;
    drop_history(w, w->stored);
    w->out_count = 0;
    w->run = run_new(w->definition, &w->options);
    assert_non_null(w->run);
    for (uint32_t i = 0; i < w->made; i++)
        if (run_restore(w->run, &w->history[i], &err))
            fail_msg("restore %u of %s: %s", i, rig_history(w), orch_error_message(err));
    assert_int_equal(run_last_seq(w->run), w->made);
    rig_tell_all(w);
    assert_int_equal(run_start(w->run, w->now_ms, &err), 0);
}

/* ---- What must hold with every action -------------------------------------------------------- */

static const checkpoint *end_of(const rig *w, uint32_t step, uint32_t index)
{
    for (uint32_t i = w->made; i-- > 0;) {
        const checkpoint *c = &w->history[i];

        if (c->step == step && c->index == index && checkpoint_is_end(c))
            return c;
    }
    return NULL;
}

/* Some checks look through all of the history. */
static bool is_small(const rig *w)
{
    return w->definition->step_count <= 64 && w->made <= 1000;
}

/* Attempts are numbered through, also over restarts, and none starts before its stored time. */
static void check_attempt(const rig *w, const run_action *a)
{
    uint32_t expected = 1;
    bool was_out = false; /* before a restart: its time had come, whatever this clock says */

    if (!w->definition->steps[a->step].checkpoint)
        return;
    for (uint32_t i = 0; i < w->made; i++) {
        const checkpoint *c = &w->history[i];

        if (c->step == a->step && c->index == a->index && c->kind == CHECKPOINT_HEARTBEAT)
            was_out = c->attempt == a->attempt;
    }
    for (uint32_t i = 0; i < w->made; i++) {
        const checkpoint *c = &w->history[i];

        if (c->step != a->step || c->index != a->index || c->kind != CHECKPOINT_RETRYING)
            continue;
        assert_int_equal(c->attempt, expected);
        assert_true(c->due_ms <= w->now_ms || was_out);
        assert_true(c->seq <= w->stored);
        expected++;
    }
    assert_int_equal(a->attempt, expected);
}

/* ---- What must hold after the steps ---------------------------------------------------------- */

static bool is_undoable(const rig *w, const checkpoint *c)
{
    const step *s;

    if (!checkpoint_is_end(c))
        return false;
    s = &w->definition->steps[c->step];
    if (!s->extra || !s->extra->compensate || (s->extra->for_each && c->index == INDEX_NONE))
        return false;
    if (c->kind == CHECKPOINT_SUCCEEDED)
        return true;
    return c->kind != CHECKPOINT_SKIPPED && c->attempt && s->extra->compensate->when_failed;
}

static bool is_through(const rig *w, const checkpoint *end)
{
    for (uint32_t i = 0; i < w->made; i++) {
        const checkpoint *c = &w->history[i];

        if ((c->kind == CHECKPOINT_UNDONE || c->kind == CHECKPOINT_UNDO_FAILED) &&
            c->step == end->step && c->index == end->index)
            return true;
    }
    return false;
}

/* The last that was done and is not compensated; NULL if there is none. */
static const checkpoint *next_undo(const rig *w)
{
    for (uint32_t i = w->made; i-- > 0;)
        if (is_undoable(w, &w->history[i]) && !is_through(w, &w->history[i]))
            return &w->history[i];
    return NULL;
}

static bool is_on_failure_wanted(const rig *w, uint8_t state)
{
    if (!w->definition->on_failure || (state != RUN_FAILED && state != RUN_TIMED_OUT))
        return false;
    for (uint32_t i = 0; i < w->made; i++)
        if (w->history[i].kind == CHECKPOINT_HANDLED ||
            w->history[i].kind == CHECKPOINT_HANDLER_FAILED)
            return false;
    return true;
}

/* All before it is stored, it is the only thing that runs, and its turn. */
static void check_undo(const rig *w, const run_action *a)
{
    const checkpoint *closing = NULL, *next;
    uint32_t attempt = 1;

    assert_int_equal(w->stored, w->made);
    assert_int_equal(w->out_count, 0);
    if (!is_small(w))
        return;
    for (uint32_t i = 0; i < w->made; i++) {
        const checkpoint *c = &w->history[i];

        if (c->kind == CHECKPOINT_CLOSING)
            closing = c;
        if (c->step == a->step && c->index == a->index &&
            (c->kind == CHECKPOINT_UNDO_RETRYING || c->kind == CHECKPOINT_HANDLER_RETRYING)) {
            assert_true(c->due_ms <= w->now_ms);
            attempt++;
        }
    }
    if (!closing) {
        fail_msg("it is not decided that the run ends");
        return; /* analysers do not know that it does not */
    }
    assert_int_equal(a->attempt, attempt);
    assert_int_equal(run_closing_state(w->run), closing->attempt);
    assert_string_equal(run_closing_error(w->run)->data, closing->error->data);
    next = next_undo(w);
    assert_int_equal(a->role, next ? ROLE_COMPENSATE : ROLE_ON_FAILURE);
    assert_int_equal(a->step, next ? next->step : STEP_NONE);
    assert_int_equal(a->index, next ? next->index : INDEX_NONE);
    if (!next)
        assert_true(is_on_failure_wanted(w, (uint8_t)closing->attempt));
}

/* What the last heartbeat before it had to say, also if that was before a restart. */
static void check_details(const rig *w, const run_action *a)
{
    const bytes *details = NULL;

    for (uint32_t i = 0; i < w->made; i++) {
        const checkpoint *c = &w->history[i];

        if (c->step == a->step && c->index == a->index &&
            (c->kind == CHECKPOINT_HEARTBEAT || c->kind == CHECKPOINT_RETRYING))
            details = c->output;
    }
    assert_ptr_equal(a->details, details);
}

static void check_may_begin(const rig *w, const run_action *a)
{
    const step *s = &w->definition->steps[a->step];

    if (a->kind == RUN_EVALUATE && a->what == RUN_OUTPUT)
        return;
    assert_true(a->step < w->definition->step_count);
    if (is_small(w)) {
        assert_null(end_of(w, a->step, a->index));
        assert_null(end_of(w, a->step, INDEX_NONE));
        if (a->kind != RUN_EVALUATE)
            check_attempt(w, a);
        if (a->kind == RUN_ATTEMPT && s->checkpoint)
            check_details(w, a);
        for (uint32_t i = 0; i < s->dependency_count; i++) {
            uint32_t d = w->definition->edges[s->dependencies + i];
            const checkpoint *end = end_of(w, d, INDEX_NONE);
            run_value value;

            assert_true(run_get_value(w->run, d, &value));
            if (end)
                assert_true(end->seq <= w->stored);
            else
                assert_true(value.kind == CHECKPOINT_SKIPPED ||
                            !w->definition->steps[d].checkpoint);
        }
    }
    for (uint32_t i = 0; i < w->out_count; i++)
        assert_false(w->out[i].step == a->step && w->out[i].index == a->index);
}

static outstanding remove_outstanding(rig *w, outstanding *o)
{
    outstanding copy = *o;
    uint32_t place = (uint32_t)(o - w->out);

    memmove(o, o + 1, (w->out_count - place - 1) * sizeof *o);
    w->out_count--;
    return copy;
}

static void drop_outstanding(rig *w, outstanding *o)
{
    if (o)
        remove_outstanding(w, o);
}

/* Each is consumed once, by the end of a wait or child that it was for. */
static void consume(rig *w, const checkpoint *c)
{
    told *t = &w->inbox[c->inbox - 1];

    assert_true(c->inbox <= w->told_count);
    assert_int_equal(t->consumed_by, 0);
    t->consumed_by = c->seq;
    if (t->name || !t->code) {
        assert_int_equal(c->kind, CHECKPOINT_SUCCEEDED);
        assert_ptr_equal(c->output, t->payload);
    }
    if (!t->name) {
        assert_int_equal(c->step, t->step);
        assert_int_equal(c->index, t->index);
        assert_int_equal(c->attempt, t->attempt);
        assert_true(checkpoint_is_end(c) || c->kind == CHECKPOINT_RETRYING);
    }
}

static bool has_error(uint8_t kind)
{
    static const uint8_t kinds[] = {
        CHECKPOINT_FAILED,         CHECKPOINT_RETRYING,         CHECKPOINT_CANCELLED,
        CHECKPOINT_CLOSING,        CHECKPOINT_UNDO_FAILED,      CHECKPOINT_UNDO_RETRYING,
        CHECKPOINT_HANDLER_FAILED, CHECKPOINT_HANDLER_RETRYING,
    };

    return memchr(kinds, kind, sizeof kinds) != NULL;
}

static bool is_of_workflow(uint8_t kind)
{
    return kind == CHECKPOINT_CLOSING || kind >= CHECKPOINT_HANDLER_RETRYING;
}

static void take_checkpoint(rig *w, const run_action *a)
{
    const checkpoint *c = &a->checkpoint;

    assert_int_equal(c->seq, w->made + 1);
    assert_true(c->step < w->definition->step_count || c->step == STEP_NONE);
    assert_int_equal(c->step == STEP_NONE, is_of_workflow(c->kind));
    assert_true(c->ended_ms > 0 && c->ended_ms <= w->now_ms);
    if (checkpoint_is_end(c) && is_small(w)) {
        assert_null(end_of(w, c->step, c->index));
        assert_null(end_of(w, c->step, INDEX_NONE));
    }
    assert_int_equal(c->error != NULL, has_error(c->kind));
    if (w->made == w->history_max) {
        w->history_max = w->history_max ? w->history_max * 2 : 16;
        w->history = realloc(w->history, w->history_max * sizeof *w->history);
    }
    w->history[w->made++] = *c;
    if (c->inbox)
        consume(w, c);
    else if (c->kind == CHECKPOINT_CANCELLED) /* a child may be let go */
        drop_outstanding(w, rig_find_number(w, RUN_CHILD, c->step, c->index));
}

static void push_outstanding(rig *w, const run_action *a)
{
    if (w->out_count == w->out_max) {
        w->out_max = w->out_max ? w->out_max * 2 : 16;
        w->out = realloc(w->out, w->out_max * sizeof *w->out);
    }
    w->out[w->out_count++] = (outstanding){.kind = a->kind,
                                           .what = a->what,
                                           .role = a->kind == RUN_ATTEMPT ? a->role : ROLE_STEP,
                                           .step = a->step,
                                           .index = a->index,
                                           .attempt = a->attempt,
                                           .given_ms = w->now_ms,
                                           .deadline_ms = a->deadline_ms,
                                           .heartbeat_ms = a->kind == RUN_ATTEMPT ? a->heartbeat_ms
                                                                                  : 0};
}

static void add_outstanding(rig *w, const run_action *a)
{
    if (a->kind == RUN_ATTEMPT && a->role != ROLE_STEP)
        check_undo(w, a);
    else
        check_may_begin(w, a);
    w->starts += a->kind == RUN_ATTEMPT;
    push_outstanding(w, a);
}

/* What starts a child says so in the history first. */
static void take_child(rig *w, const run_action *a)
{
    const checkpoint *said = NULL;

    for (uint32_t i = w->made; i-- > 0 && !said;) {
        const checkpoint *c = &w->history[i];

        if (c->kind == CHECKPOINT_CHILD && c->step == a->step && c->index == a->index)
            said = c;
    }
    assert_non_null(said);
    assert_true(said->seq <= w->stored);
    assert_int_equal(said->attempt, a->attempt);
    assert_ptr_equal(said->output, a->spec);
    add_outstanding(w, a);
    if (rig_child_of(w, a->step, a->index))
        return;
    if (w->child_count == w->child_max) {
        w->child_max = w->child_max ? w->child_max * 2 : 16;
        w->children = realloc(w->children, w->child_max * sizeof *w->children);
    }
    w->children[w->child_count++] = (rig_child){
        .step = a->step, .index = a->index, .attempt = a->attempt};
}

/* After a restart it may be one that was started before that, or never. */
static void take_stop_child(rig *w, const run_action *a)
{
    outstanding *o = rig_find_number(w, RUN_CHILD, a->step, a->index);

    if (!o) {
        run_action started = *a;

        started.kind = RUN_CHILD;
        push_outstanding(w, &started);
        o = &w->out[w->out_count - 1];
    }
    assert_int_equal(o->attempt, a->attempt);
    assert_int_equal(o->stopped, 0);
    assert_true(a->code == ORCH_E_CANCELLED || a->code == ORCH_E_DEADLINE_EXCEEDED);
    o->stopped = a->code;
}

static bool has_children_left(const rig *w)
{
    for (uint32_t i = 0; i < w->child_count; i++)
        if (!w->children[i].has_ended)
            return true;
    return false;
}

static void take_stop(rig *w, const run_action *a)
{
    outstanding *o = a->role == ROLE_STEP ? rig_find_number(w, RUN_ATTEMPT, a->step, a->index)
                                          : rig_find_undo(w);

    assert_non_null(o);
    assert_int_equal(o->role, a->role);
    assert_int_equal(o->step, a->step);
    assert_int_equal(o->index, a->index);
    assert_int_equal(o->attempt, a->attempt);
    assert_int_equal(o->stopped, 0);
    assert_true(a->code == ORCH_E_CANCELLED || a->code == ORCH_E_DEADLINE_EXCEEDED);
    o->stopped = a->code;
}

bool rig_step(rig *w)
{
    run_action a;

    if (!run_next(w->run, w->now_ms, &a))
        return false;
    assert_false(w->ended);
    switch (a.kind) {
    case RUN_CHECKPOINT: take_checkpoint(w, &a); break;
    case RUN_STOP: take_stop(w, &a); break;
    case RUN_CHILD: take_child(w, &a); break;
    case RUN_STOP_CHILD: take_stop_child(w, &a); break;
    case RUN_END:
        assert_int_equal(w->out_count, 0);
        assert_true(a.children || !has_children_left(w));
        w->ended = true;
        w->state = a.state;
        w->output = a.output;
        w->error = a.error;
        assert_int_equal(a.state != RUN_SUCCEEDED, a.error != NULL);
        if (a.state != RUN_SUCCEEDED && is_small(w)) {
            assert_null(next_undo(w));
            assert_false(is_on_failure_wanted(w, a.state));
        }
        break;
    default: add_outstanding(w, &a);
    }
    return true;
}

void rig_pump(rig *w)
{
    while (rig_step(w))
        continue;
}

void rig_store_to(rig *w, uint32_t count)
{
    w->stored = count > w->stored ? count : w->stored;
    run_stored(w->run, w->stored);
}

void rig_store(rig *w)
{
    uint32_t before;

    do { /* a checkpoint may follow from what is stored */
        before = w->made;
        rig_store_to(w, w->made);
        rig_pump(w);
    } while (w->made != before);
}

void rig_sleep(rig *w)
{
    int64_t at = run_deadline(w->run);

    assert_true(at != INT64_MAX);
    if (at > w->now_ms)
        w->now_ms = at;
    run_tick(w->run, w->now_ms);
    rig_pump(w);
}

/* ---- Answers --------------------------------------------------------------------------------- */

uint32_t rig_number(const rig *w, const char *step)
{
    uint32_t number = 0;

    assert_true(definition_find_step(w->definition, step, strlen(step), &number));
    return number;
}

outstanding *rig_find_number(rig *w, uint8_t kind, uint32_t step, uint32_t index)
{
    for (uint32_t i = 0; i < w->out_count; i++)
        if (w->out[i].kind == kind && w->out[i].step == step && w->out[i].index == index &&
            w->out[i].role == ROLE_STEP)
            return &w->out[i];
    return NULL;
}

outstanding *rig_find_undo(rig *w)
{
    for (uint32_t i = 0; i < w->out_count; i++)
        if (w->out[i].role != ROLE_STEP)
            return &w->out[i];
    return NULL;
}

outstanding *rig_find(rig *w, uint8_t kind, const char *step, uint32_t index)
{
    return rig_find_number(w, kind, rig_number(w, step), index);
}

static bytes *text_bytes(const char *text)
{
    return text ? bytes_new(text, strlen(text))
                : NULL; /* NULL too where a test takes memory away */
}

static bytes *error_bytes(int32_t code)
{
    char error[128];

    snprintf(error, sizeof error, "{\"code\":\"%s\",\"message\":\"as told\"}",
             orch_code_name(code));
    return text_bytes(error);
}

void rig_end_with(rig *w, outstanding *o, int32_t code, const char *output, bool no_retry)
{
    outstanding was = remove_outstanding(w, o);
    run_result result = {.code = code, .no_retry = no_retry, .started_ms = was.given_ms};

    if (code)
        result.error = error_bytes(code);
    else
        result.output = text_bytes(output);
    run_attempt_ended(w->run, was.role, was.step, was.index, was.attempt, &result, w->now_ms);
}

void rig_end(rig *w, const char *step, uint32_t index, int32_t code)
{
    outstanding *o = rig_find(w, RUN_ATTEMPT, step, index);

    if (o)
        rig_end_with(w, o, code, NULL, false);
    else
        fail_msg("%s is not out; these are: %s", step, rig_doing(w));
}

void rig_answer(rig *w, outstanding *o, run_answer answer)
{
    outstanding was;

    assert_non_null(o);
    was = remove_outstanding(w, o);
    run_evaluated(w->run, was.what, was.step, was.index, &answer, w->now_ms);
}

static told *add_told(rig *w)
{
    if (w->told_count == w->told_max) {
        w->told_max = w->told_max ? w->told_max * 2 : 16;
        w->inbox = realloc(w->inbox, w->told_max * sizeof *w->inbox);
    }
    w->inbox[w->told_count] = (told){0};
    return &w->inbox[w->told_count++];
}

uint64_t rig_signal(rig *w, const char *name, const char *correlation, const char *payload)
{
    told *t = add_told(w);

    t->name = strdup(name);
    t->correlation = text_bytes(correlation);
    t->payload = text_bytes(payload);
    tell(w, w->told_count - 1);
    return w->told_count;
}

rig_child *rig_child_of(rig *w, uint32_t step, uint32_t index)
{
    for (uint32_t i = w->child_count; i-- > 0;)
        if (w->children[i].step == step && w->children[i].index == index &&
            !w->children[i].has_ended)
            return &w->children[i];
    return NULL;
}

void rig_end_child_number(rig *w, uint32_t step, uint32_t index, int32_t code, const char *output)
{
    rig_child *c = rig_child_of(w, step, index);
    told *t = add_told(w);

    assert_non_null(c);
    c->has_ended = true;
    t->step = step;
    t->index = index;
    t->attempt = c->attempt;
    t->code = code;
    t->payload = code ? error_bytes(code) : text_bytes(output);
    drop_outstanding(w, rig_find_number(w, RUN_CHILD, step, index));
    tell(w, w->told_count - 1);
}

void rig_end_child(rig *w, const char *step, uint32_t index, int32_t code, const char *output)
{
    rig_end_child_number(w, rig_number(w, step), index, code, output);
}

void rig_refuse_child(rig *w, outstanding *o, int32_t code, bool no_retry)
{
    outstanding was = remove_outstanding(w, o);
    rig_child *c = rig_child_of(w, was.step, was.index);
    run_result result = {.code = code, .no_retry = no_retry, .error = error_bytes(code)};

    if (c)
        *c = w->children[--w->child_count];
    run_child_refused(w->run, was.step, was.index, was.attempt, &result, w->now_ms);
}

void rig_beat(rig *w, const char *step, uint32_t index, const char *details)
{
    outstanding *o = rig_find(w, RUN_ATTEMPT, step, index);

    assert_non_null(o);
    run_heartbeat(w->run, o->step, index, o->attempt, text_bytes(details), w->now_ms);
}

void rig_undo(rig *w, int32_t code)
{
    outstanding *o = rig_find_undo(w);

    if (o)
        rig_end_with(w, o, code, NULL, false);
    else
        fail_msg("nothing is compensated; out are: %s", rig_doing(w));
    rig_pump(w);
    rig_store(w);
}

void rig_ok(rig *w, const char *step)
{
    rig_end(w, step, INDEX_NONE, 0);
    rig_pump(w);
    rig_store(w);
}

void rig_fail(rig *w, const char *step)
{
    rig_end(w, step, INDEX_NONE, ORCH_E_INTERNAL);
    rig_pump(w);
    rig_store(w);
}

/* ---- In words -------------------------------------------------------------------------------- */

static size_t add_place(const rig *w, char *to, size_t room, uint32_t step, uint32_t index)
{
    if (step == STEP_NONE)
        return 0;
    if (index == INDEX_NONE)
        return (size_t)snprintf(to, room, "%s", w->definition->steps[step].id);
    return (size_t)snprintf(to, room, "%s[%u]", w->definition->steps[step].id, index);
}

const char *rig_doing(rig *w)
{
    static char text[4096];
    size_t len = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < w->out_count && len < sizeof text - 256; i++) {
        const outstanding *o = &w->out[i];

        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? "," : "",
                                o->kind == RUN_EVALUATE ? "?"
                                : o->kind == RUN_CHILD  ? "+"
                                : o->role != ROLE_STEP  ? "-"
                                                        : "");
        if (o->kind == RUN_EVALUATE && o->what == RUN_OUTPUT)
            len += (size_t)snprintf(text + len, sizeof text - len, "output");
        else
            len += add_place(w, text + len, sizeof text - len, o->step, o->index);
        if (o->stopped)
            len += (size_t)snprintf(text + len, sizeof text - len, "!");
    }
    return text;
}

const char *rig_history(rig *w)
{
    static const char kinds[] = " DEWRSFKCPBXrUuhHg";
    static char text[8192];
    size_t len = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < w->made && len < sizeof text - 256; i++) {
        const checkpoint *c = &w->history[i];

        len += (size_t)snprintf(text + len, sizeof text - len, "%s%c ", i ? ", " : "",
                                kinds[c->kind]);
        if (c->step == STEP_NONE)
            text[--len] = '\0';
        len += add_place(w, text + len, sizeof text - len, c->step, c->index);
        if (c->attempt > 1 && c->kind != CHECKPOINT_CLOSING)
            len += (size_t)snprintf(text + len, sizeof text - len, "#%u", c->attempt);
    }
    return text;
}
