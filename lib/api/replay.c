/* The history of an execution against a definition: whether it can have happened so, and what would come next. A run is restored
 * from it row by row; what a run takes for impossible is a difference, and so is a step that began before what it depends on. */
#include <orch/testing.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api_impl.h"
#include "api/exported.h"
#include "base/buf.h"
#include "workflow/run.h"

#define DIFFERENCES_MAX 1000

typedef struct difference {
    char *message;
    char *step; /* NULL = of the execution */
    uint64_t seq;
} difference;

struct orch_replay {
    difference *rows;
    size_t count, cap;
};

/* What is known of a step of the definition. */
typedef struct step_state {
    uint8_t end; /* enum checkpoint_kind; 0 = it has not ended */
    bool began;
    bool strange; /* what the history says of it cannot be: it is looked at no further */
} step_state;

typedef struct replaying {
    const exported *exported;
    definition *definition;
    codec codec;
    run *run;
    uint64_t seq; /* of the last row that was restored, in the numbers of the run */
    step_state *steps;
    orch_replay *out;
    orch_error **err;
} replaying;

static int32_t differs(replaying *p, const char *step, uint64_t seq, char *message)
{
    orch_replay *o = p->out;
    difference *grown, *d;

    if (!message)
        return error_no_memory(p->err);
    if (o->count == DIFFERENCES_MAX) {
        mem_free(message);
        return 0;
    }
    grown = mem_grow(o->rows, &o->cap, o->count + 1, sizeof *grown);
    if (!grown) {
        mem_free(message);
        return error_no_memory(p->err);
    }
    o->rows = grown;
    d = &grown[o->count++];
    *d = (difference){message, step ? mem_strdup(step) : NULL, seq};
    return step && !d->step ? error_no_memory(p->err) : 0;
}

static char *words(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *words(const char *format, ...)
{
    va_list args;
    buf b = BUF_INIT;
    char text[1024];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_puts(&b, text);
    return buf_take(&b);
}

/* ---- whether a step could begin -------------------------------------------------------------------------- */

static const step *dependency(const replaying *p, const step *s, uint32_t i, step_state *out)
{
    uint32_t number = p->definition->edges[s->dependencies + i];

    *out = p->steps[number];
    return &p->definition->steps[number];
}

static bool counts_as_done(const step *s, uint8_t end)
{
    return end == CHECKPOINT_SUCCEEDED || end == CHECKPOINT_SKIPPED ||
           (end == CHECKPOINT_FAILED && s->extra && s->extra->continue_on_failure);
}

/* By run_if, as far as the ends of what it depends on are known; NULL = it would. */
static const char *why_not(const replaying *p, const step *s)
{
    uint32_t good = 0, failed = 0, unknown = 0;

    for (uint32_t i = 0; i < s->dependency_count; i++) {
        step_state state;
        const step *before = dependency(p, s, i, &state);

        good += state.end == CHECKPOINT_SUCCEEDED;
        failed += state.end == CHECKPOINT_FAILED;
        unknown += !state.end;
        if (s->run_if == RUN_IF_ALL_SUCCEEDED && state.end && !counts_as_done(before, state.end))
            return "of what it depends on, not all has succeeded";
    }
    if (s->run_if == RUN_IF_ANY_FAILED && !failed && !unknown)
        return "of what it depends on, nothing has failed";
    if (s->run_if == RUN_IF_ANY_SUCCEEDED && s->dependency_count && !good && !unknown)
        return "of what it depends on, nothing has succeeded";
    return NULL;
}

/* One that makes no checkpoints says nothing, nor does one that the history does not make sense of; and a step that was passed over
 * because of a failure has no row. */
static bool is_missed(const step *s, const step *before, const step_state *state)
{
    if (state->end || state->strange || !before->checkpoint)
        return false;
    return state->began || s->run_if == RUN_IF_ALL_SUCCEEDED;
}

static int32_t check_beginning(replaying *p, uint32_t number, uint64_t seq)
{
    const step *s = &p->definition->steps[number];
    const char *why = why_not(p, s);

    for (uint32_t i = 0; i < s->dependency_count; i++) {
        step_state state;
        const step *before = dependency(p, s, i, &state);

        if (!is_missed(s, before, &state))
            continue;
        p->steps[number].strange = true;
        return differs(
            p, s->id, seq,
            words("step '%s' began before '%s' had ended, which it depends on", s->id, before->id));
    }
    if (!why)
        return 0;
    p->steps[number].strange = true;
    return differs(p, s->id, seq, words("step '%s' would not run: %s", s->id, why));
}

/* ---- a row ----------------------------------------------------------------------------------------------- */

static int32_t decode(const replaying *p, checkpoint *c)
{
    int32_t rc = codec_decode(&p->codec, &c->output, p->err);

    return rc ? rc : codec_decode_error(&p->codec, &c->error, p->err);
}

/* A run names the row by its own numbers before it says what is wrong. */
static int32_t is_impossible(replaying *p, const exported_checkpoint *x, const orch_error *why)
{
    const char *message = orch_error_message(why), *rest = strstr(message, "): ");

    return differs(p, x->step, x->checkpoint.seq,
                   words("%s%s%s: %s", x->step ? "step '" : "the execution", x->step ? x->step : "",
                         x->step ? "'" : "", rest ? rest + strlen("): ") : message));
}

static int32_t restore(replaying *p, const exported_checkpoint *x, uint32_t number)
{
    checkpoint c = x->checkpoint;
    orch_error *why = NULL;
    int32_t rc;

    c.step = number;
    c.seq = p->seq + 1;
    c.output = bytes_ref(c.output);
    c.error = bytes_ref(c.error);
    rc = decode(p, &c);
    if (!rc) {
        rc = run_restore(p->run, &c, &why);
        p->seq += rc == 0;
        if (rc == ORCH_E_DATA_LOSS) {
            if (number != STEP_NONE)
                p->steps[number].strange = true;
            rc = is_impossible(p, x, why);
        } else if (rc) {
            rc = error_no_memory(p->err);
        }
    }
    orch_error_free(why);
    checkpoint_clear(&c);
    return rc;
}

static int32_t replay_step(replaying *p, const exported_checkpoint *x)
{
    const checkpoint *c = &x->checkpoint;
    step_state *state;
    uint32_t number;
    int32_t rc = 0;

    if (!definition_find_step(p->definition, x->step, strlen(x->step), &number))
        return differs(p, x->step, c->seq, words("step '%s' is not in the definition", x->step));
    state = &p->steps[number];
    if (state->strange)
        return 0;
    if (!state->began)
        rc = check_beginning(p, number, c->seq);
    state->began = true;
    if (!rc && !state->strange)
        rc = restore(p, x, number);
    if (!rc && !state->strange && checkpoint_is_end(c) && c->index == INDEX_NONE)
        state->end = c->kind;
    return rc;
}

/* ---- what comes next ------------------------------------------------------------------------------------- */

static int32_t would_do(replaying *p, const run_action *a)
{
    const char *step = p->definition->steps[a->step].id;

    p->steps[a->step].strange = true; /* said once */
    if (a->index != INDEX_NONE)
        return differs(p, step, 0, words("step '%s' would go on with item %u", step, a->index));
    return differs(
        p, step, 0,
        words(p->steps[a->step].began ? "step '%s' would go on" : "step '%s' would run", step));
}

static void release(run_action *a)
{
    if (a->kind == RUN_CHECKPOINT)
        checkpoint_clear(&a->checkpoint);
    if (a->kind == RUN_END) {
        bytes_unref(a->output);
        bytes_unref(a->error);
    }
}

static uint8_t state_of(uint8_t run_state)
{
    static const uint8_t states[] = {
        [RUN_SUCCEEDED] = EXECUTION_SUCCEEDED,
        [RUN_FAILED] = EXECUTION_FAILED,
        [RUN_CANCELLED] = EXECUTION_CANCELLED,
        [RUN_TIMED_OUT] = EXECUTION_TIMED_OUT,
    };

    return states[run_state];
}

static int32_t compare_end(replaying *p, uint8_t run_state)
{
    uint8_t was = p->exported->row.state, is = state_of(run_state);

    return was == is ? 0
                     : differs(p, NULL, 0,
                               words("the execution ended as %s, and would end as %s",
                                     exported_state_name(was), exported_state_name(is)));
}

/* The output is nothing that a history tells: whatever it is, the execution has it. */
static int32_t look_at(replaying *p, const run_action *a, int64_t now_ms, bool *out_ended)
{
    run_answer output = {0};

    switch (a->kind) {
    case RUN_EVALUATE:
        if (a->what != RUN_OUTPUT)
            break;
        run_evaluated(p->run, RUN_OUTPUT, a->step, a->index, &output, now_ms);
        return 0;
    case RUN_ATTEMPT:
        if (a->role == ROLE_ON_FAILURE)
            return differs(p, NULL, 0, words("on_failure would run"));
        if (a->role == ROLE_COMPENSATE)
            return differs(
                p, p->definition->steps[a->step].id, 0,
                words("step '%s' would be compensated", p->definition->steps[a->step].id));
        break;
    case RUN_CHILD: break;
    case RUN_CHECKPOINT: run_stored(p->run, a->checkpoint.seq); return 0;
    case RUN_END: *out_ended = true; return compare_end(p, a->state);
    default: return 0;
    }
    return p->steps[a->step].strange ? 0 : would_do(p, a);
}

/* Of one that was ended from outside, or by its deadline, nothing would come next; nor is there anything to compare with while it
 * has not ended. */
static bool goes_on(const exported *e)
{
    return e->row.state == EXECUTION_SUCCEEDED || e->row.state == EXECUTION_FAILED;
}

static int32_t look_ahead(replaying *p)
{
    int64_t now_ms = p->exported->row.ended_ms;
    run_action a = {0};
    bool ended = false, differed;
    int32_t rc;

    if (!goes_on(p->exported))
        return 0;
    rc = run_start(p->run, now_ms, p->err);
    differed = p->out->count != 0;
    while (!rc && !ended && run_next(p->run, now_ms, &a)) {
        rc = look_at(p, &a, now_ms, &ended);
        release(&a);
    }
    if (!rc && !ended && !differed && !p->out->count)
        rc = differs(p, NULL, 0, words("the execution would not have ended yet"));
    return rc;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int32_t replay_all(replaying *p)
{
    const exported_run *r = &p->exported->runs[p->exported->row.run - 1];
    const run_options options = {0};
    int32_t rc = 0;

    p->steps = mem_calloc(p->definition->step_count, sizeof *p->steps);
    p->run = run_new(p->definition, &options);
    if (!p->steps || !p->run)
        return error_no_memory(p->err);
    for (size_t i = 0; !rc && i < r->count; i++)
        rc = r->rows[i].step ? replay_step(p, &r->rows[i]) : restore(p, &r->rows[i], STEP_NONE);
    return rc ? rc : look_ahead(p);
}

static int32_t check(const char *export_text, const char *definition_text, const void *out,
                     orch_error **err)
{
    int32_t rc = check_not_null(export_text, "export_text", err);

    if (!rc)
        rc = check_not_null(definition_text, "definition_text", err);
    return rc ? rc : check_not_null(out, "out_replay", err);
}

int32_t orch_testing_replay(const orch_config *config, const char *export_text, size_t export_len,
                            const char *definition_text, size_t definition_len,
                            orch_replay **out_replay, orch_error **err)
{
    shared_codec *shared = config ? config_codec(config) : NULL;
    exported e = {0};
    replaying p = {.exported = &e, .err = err};
    int32_t rc = check(export_text, definition_text, out_replay, err);

    if (shared)
        p.codec = (codec){&shared->ops, shared->user_data};
    if (!rc)
        rc = exported_read(export_text, export_len, &e, err);
    if (!rc)
        rc = definition_parse(definition_text, definition_len, NULL, &p.definition, err);
    if (!rc) {
        p.out = mem_zalloc(sizeof *p.out);
        rc = p.out ? replay_all(&p) : error_no_memory(err);
    }
    run_free(p.run);
    mem_free(p.steps);
    definition_unref(p.definition);
    exported_clear(&e);
    shared_codec_unref(shared);
    if (rc)
        orch_replay_free(p.out);
    else
        *out_replay = p.out;
    return rc;
}

void orch_replay_free(orch_replay *replay)
{
    if (!replay)
        return;
    for (size_t i = 0; i < replay->count; i++) {
        mem_free(replay->rows[i].message);
        mem_free(replay->rows[i].step);
    }
    mem_free(replay->rows);
    mem_free(replay);
}

size_t orch_replay_count(const orch_replay *replay)
{
    return replay ? replay->count : 0;
}

const char *orch_replay_message(const orch_replay *replay, size_t i)
{
    return replay && i < replay->count ? replay->rows[i].message : "";
}

const char *orch_replay_step(const orch_replay *replay, size_t i)
{
    return replay && i < replay->count && replay->rows[i].step ? replay->rows[i].step : "";
}

uint64_t orch_replay_seq(const orch_replay *replay, size_t i)
{
    return replay && i < replay->count ? replay->rows[i].seq : 0;
}
