#include "simulation/disk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "simulation/model.h"
#include "simulation/trace.h"

disk_troubles disk_trouble;

static store on_platter;

struct disk {
    node *of;
    bool dead;
    store_unit *waiting, **waiting_end;       /* submitted, not flushed or behind a commit */
    store_unit *committing, **committing_end; /* on their way to the platter */
    store_unit *done, **done_end;             /* to be reaped */
    bool busy, flushed;
    unsigned events;
    bool freed;
};

void platter_new(void)
{
    store_options o = {.url = "memory:"};

    memset(&disk_trouble, 0, sizeof disk_trouble);
    if (store_open(&o, &on_platter, NULL))
        abort();
}

void platter_free(void)
{
    on_platter.ops->stop(on_platter.self, 0, NULL);
    on_platter.ops->free(on_platter.self);
}

store platter(void)
{
    return on_platter;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void append(store_unit ***end, store_unit *u)
{
    u->next = NULL;
    **end = u;
    *end = &u->next;
}

/* Oldest first; it is then by itself. */
static store_unit *take(store_unit **first, store_unit ***end)
{
    store_unit *u = *first;

    if (u) {
        *first = u->next;
        u->next = NULL;
        if (!*first)
            *end = first;
    }
    return u;
}

static void give_back(disk *d, store_unit *u)
{
    append(&d->done_end, u);
}

/* Onto the platter. */
static void apply(disk *d, store_unit *u)
{
    on_platter.ops->submit(on_platter.self, u);
    on_platter.ops->flush(on_platter.self);
    if (on_platter.ops->reap(on_platter.self) != u)
        abort();
    sim.counts.units++;
    model_applied(d->of, u);
    give_back(d, u);
}

static void refuse(disk *d, store_unit *u, int32_t code, enum fault f)
{
    u->result = code;
    sim_fault_done(f);
    trace("store: %s's unit of %" PRIu64 " is refused: %s", d->of->name, u->key,
          orch_code_name(code));
    give_back(d, u);
}

static void commit(void *ctx, uint64_t arg);

static void tell(void *ctx, uint64_t arg)
{
    disk *d = ctx;

    (void)arg;
    if (--d->events == 0 && d->freed)
        free(d);
    else if (!d->dead)
        node_wake(d->of);
}

static void begin(disk *d)
{
    int64_t takes_us = roll_span(FOR_DISK, 30, 6 * MS);

    if (d->busy || !d->waiting || !d->flushed)
        return;
    if (disk_trouble.slow_until_us > sim.now_us) {
        takes_us = roll_span(FOR_DISK, 500 * MS, 8 * SECONDS);
        sim_fault_done(FAULT_SLOW);
    }
    d->flushed = false;
    d->busy = true;
    *d->committing_end = d->waiting;
    d->committing_end = d->waiting_end;
    d->waiting = NULL;
    d->waiting_end = &d->waiting;
    d->events++;
    sim_after(takes_us, commit, d, 0);
}

/* One unit of a commit. False: the disk is full, and it has to wait. */
static bool commit_one(disk *d, store_unit *u)
{
    if (disk_trouble.full_until_us > sim.now_us) {
        if (!u->accept)
            return false;
        refuse(d, u, ORCH_E_RESOURCE_EXHAUSTED, FAULT_FULL);
    } else if (disk_trouble.refusing_until_us > sim.now_us && !one_in(FOR_DISK, 3)) {
        refuse(d, u, disk_trouble.code, FAULT_REFUSE);
    } else {
        apply(d, u);
    }
    return true;
}

static void commit(void *ctx, uint64_t arg)
{
    disk *d = ctx;
    store_unit *full = NULL, **full_end = &full, *u;

    (void)arg;
    if (--d->events == 0 && d->freed) {
        free(d);
        return;
    }
    if (d->dead)
        return;
    while ((u = take(&d->committing, &d->committing_end)))
        if (!commit_one(d, u))
            append(&full_end, u);
    d->events++;
    sim_after(roll_span(FOR_DISK, 5, 3 * MS), tell, d, 0);
    if (full) {
        d->committing = full;
        d->committing_end = full_end;
        d->events++;
        sim_at(disk_trouble.full_until_us, commit, d, 0);
        return;
    }
    d->busy = false;
    begin(d);
}

static void disk_submit(void *self, store_unit *u)
{
    disk *d = self;

    if (d->dead) { /* nobody will ever know what became of it: not it, at any rate */
        u->result = ORCH_E_ABORTED;
        give_back(d, u);
        return;
    }
    append(&d->waiting_end, u);
}

void disk_flush(disk *d)
{
    d->flushed |= d->waiting != NULL;
    begin(d);
}

static void disk_flush_op(void *self)
{
    disk_flush(self);
}

static store_unit *disk_reap(void *self)
{
    disk *d = self;
    store_unit *done = d->done;

    d->done = NULL;
    d->done_end = &d->done;
    return done;
}

void disk_cut(disk *d)
{
    bool reached = one_in(FOR_DISK, 2);
    store_unit *u;

    d->dead = true;
    while ((u = take(&d->committing, &d->committing_end))) {
        reached = reached && !one_in(FOR_DISK, 4) && disk_trouble.full_until_us <= sim.now_us;
        if (reached) {
            apply(d, u);
        } else {
            u->result = ORCH_E_ABORTED;
            give_back(d, u);
        }
    }
    while ((u = take(&d->waiting, &d->waiting_end))) {
        u->result = ORCH_E_ABORTED;
        give_back(d, u);
    }
}

bool disk_is_idle(const disk *d)
{
    return !d->waiting && !d->committing && !d->done;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static int32_t unreadable(orch_error **err)
{
    if (disk_trouble.unreadable_until_us <= sim.now_us || one_in(FOR_DISK, 3))
        return 0;
    sim_fault_done(FAULT_READ);
    trace("store: a read fails");
    return error_set(err, disk_trouble.code, NULL, "the store cannot be read for now");
}

#define READ(name, params, args)                    \
    static int32_t disk_##name params               \
    {                                               \
        int32_t rc = unreadable(err);               \
                                                    \
        (void)self;                                 \
        return rc ? rc : on_platter.ops->name args; \
    }

#define P on_platter.self
READ(marks, (void *self, uint64_t *execution, uint64_t *definition, orch_error **err),
     (P, execution, definition, err))
READ(load_definitions,
     (void *self, uint64_t definition, bool texts, definition_page *out, orch_error **err),
     (P, definition, texts, out, err))
READ(load_execution,
     (void *self, uint64_t key, const char *id, execution_row *out, orch_error **err),
     (P, key, id, out, err))
READ(list_executions,
     (void *self, const execution_filter *f, execution_page *out, orch_error **err),
     (P, f, out, err))
READ(load_checkpoints,
     (void *self, uint64_t key, uint32_t run, uint64_t after, uint32_t limit, checkpoint_page *out,
      orch_error **err),
     (P, key, run, after, limit, out, err))
READ(load_inbox, (void *self, uint64_t key, inbox_page *out, orch_error **err), (P, key, out, err))
READ(load_runnable,
     (void *self, uint8_t priority, const char *limit_key, uint64_t after, uint32_t limit,
      execution_page *out, orch_error **err),
     (P, priority, limit_key, after, limit, out, err))
READ(next_wake, (void *self, int64_t *out_ms, orch_error **err), (P, out_ms, err))
READ(load_due, (void *self, int64_t by_ms, uint32_t limit, execution_page *out, orch_error **err),
     (P, by_ms, limit, out, err))
READ(load_controls,
     (void *self, uint64_t key, uint64_t after, uint32_t limit, control_page *out,
      orch_error **err),
     (P, key, after, limit, out, err))
READ(load_runs, (void *self, uint64_t key, run_page *out, orch_error **err), (P, key, out, err))
READ(load_settings, (void *self, const char *prefix, setting_page *out, orch_error **err),
     (P, prefix, out, err))
READ(load_expired,
     (void *self, int64_t before_ms, uint64_t keep, uint32_t limit, uint64_t *keys, uint32_t *count,
      orch_error **err),
     (P, before_ms, keep, limit, keys, count, err))
READ(count_open, (void *self, uint64_t *out, orch_error **err), (P, out, err))
#undef P
#undef READ

static int32_t disk_lease(void *self, const char *owner, int64_t now_ms, uint64_t *out_term,
                          orch_error **err)
{
    (void)self;
    return on_platter.ops->lease(on_platter.self, owner, now_ms, out_term, err);
}

/* ---- its life -------------------------------------------------------------------------------------------- */

static const store_ops all_ops = {
    .size = sizeof(store_ops),
    .name = "sim",
    .submit = disk_submit,
    .flush = disk_flush_op,
    .reap = disk_reap,
    .marks = disk_marks,
    .lease = disk_lease,
    .load_definitions = disk_load_definitions,
    .load_execution = disk_load_execution,
    .list_executions = disk_list_executions,
    .load_checkpoints = disk_load_checkpoints,
    .load_inbox = disk_load_inbox,
    .load_runnable = disk_load_runnable,
    .next_wake = disk_next_wake,
    .load_due = disk_load_due,
    .load_controls = disk_load_controls,
    .load_runs = disk_load_runs,
    .load_settings = disk_load_settings,
    .load_expired = disk_load_expired,
    .count_open = disk_count_open,
};

disk *disk_open(node *of)
{
    disk *d = calloc(1, sizeof *d);

    if (!d)
        abort();
    d->of = of;
    d->waiting_end = &d->waiting;
    d->committing_end = &d->committing;
    d->done_end = &d->done;
    return d;
}

store disk_store(disk *d)
{
    return (store){&all_ops, d};
}

void disk_free(disk *d)
{
    d->dead = d->freed = true;
    if (!d->events)
        free(d);
}
