/* The runs of an export, and their histories. */
#include <orch/history.h>
#include <string.h>

#include "api/api_impl.h"
#include "api/exported_impl.h"

static int32_t find_run(const line *l, exported *e, exported_run **out)
{
    uint32_t run;
    int32_t rc = line_u32(l, "run", true, 1, e->row.run, &run);

    *out = rc ? NULL : &e->runs[run - 1];
    return rc;
}

int32_t exported_read_run(const line *l, exported *e)
{
    exported_run *r = NULL;
    int32_t rc = line_members(l, " record run state ended_ms output error ");

    if (!rc)
        rc = find_run(l, e, &r);
    if (!rc && (r->end.run || r == &e->runs[e->row.run - 1]))
        rc = line_wrong(l, "run",
                        r->end.run ? "has an end already"
                                   : "is the newest, whose end the execution says");
    if (!rc)
        rc = exported_take_state(l, true, &r->end.state);
    if (!rc)
        rc = line_time(l, "ended_ms", &r->end.ended_ms);
    if (!rc)
        rc = line_payload(l, "output", &r->end.output);
    if (!rc)
        rc = line_error(l, &r->end.error);
    if (!rc)
        r->end.run = (uint32_t)(r - e->runs) + 1;
    return rc;
}

static int32_t take_kind(const line *l, checkpoint *c)
{
    const char *name;
    int32_t rc = line_look_text(l, "kind", true, 30, &name);

    if (rc)
        return rc;
    for (int kind = CHECKPOINT_DECIDED; kind <= CHECKPOINT_HANDLER_FAILED; kind++)
        if (!strcmp(name, orch_step_kind_name(record_kind((uint8_t)kind)))) {
            c->kind = (uint8_t)kind;
            return 0;
        }
    return line_wrong(l, "kind", "is none that a history has");
}

/* What closes a run says how it will end in the place of an attempt. */
static int32_t take_attempt(const line *l, checkpoint *c)
{
    const char *name;
    int32_t rc;

    if (c->kind != CHECKPOINT_CLOSING)
        return line_u32(l, "attempt", false, 0, INT32_MAX, &c->attempt);
    rc = line_look_text(l, "state", true, 20, &name);
    if (rc)
        return rc;
    c->attempt = exported_find_closing(name);
    return c->attempt ? 0
                      : line_wrong(l, "state", "must be succeeded, failed, cancelled or timed_out");
}

static int32_t take_place(const line *l, exported_checkpoint *x)
{
    int32_t rc = line_text(l, "step", false, NAME_MAX_LEN, &x->step);

    x->checkpoint.step = STEP_NONE; /* until it meets a definition */
    x->checkpoint.index = INDEX_NONE;
    if (!rc && json_object_get(l->tree, "index"))
        rc = line_u32(l, "index", true, 0, UINT32_MAX - 1, &x->checkpoint.index);
    if (!rc)
        rc = take_kind(l, &x->checkpoint);
    if (!rc && !x->step && x->checkpoint.kind < CHECKPOINT_CLOSING)
        rc = line_wrong(l, "step", "is missing");
    return rc ? rc : take_attempt(l, &x->checkpoint);
}

static int32_t fill_checkpoint(const line *l, exported_checkpoint *x)
{
    checkpoint *c = &x->checkpoint;
    int32_t rc = take_place(l, x);

    x->line = l->number;
    if (!rc)
        rc = line_time(l, "started_ms", &c->started_ms);
    if (!rc)
        rc = line_time(l, "ended_ms", &c->ended_ms);
    if (!rc)
        rc = line_time(l, "due_ms", &c->due_ms);
    if (!rc)
        rc = line_payload(l, "output", &c->output);
    return rc ? rc : line_error(l, &c->error);
}

int32_t exported_read_checkpoint(const line *l, exported *e)
{
    exported_checkpoint *grown;
    exported_run *r = NULL;
    int64_t seq = 0;
    int32_t rc = line_members(l, " record run seq step index kind state attempt started_ms "
                                 "ended_ms due_ms output error ");

    if (!rc)
        rc = find_run(l, e, &r);
    if (!rc)
        rc = line_number(l, "seq", true, 1, INT64_MAX, &seq);
    if (!rc && (uint64_t)seq != r->count + 1)
        rc = line_wrong(l, "seq", "does not follow the one before it in its run: they are 1, 2, …");
    if (rc)
        return rc;
    grown = mem_grow(r->rows, &r->cap, r->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(l->err);
    r->rows = grown;
    memset(&grown[r->count], 0, sizeof *grown);
    grown[r->count].checkpoint.seq = (uint64_t)seq;
    return fill_checkpoint(l, &grown[r->count++]);
}
