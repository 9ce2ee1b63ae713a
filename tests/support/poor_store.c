#include "support/poor_store.h"

#include <string.h>

#include "orchestrator/orchestrator_impl.h"

poor_store poor;

static bool refuses(int *next, int *count)
{
    if (*next)
        --*next;
    else if (!poor.roll || poor.roll(poor.odds))
        return false;
    ++*count;
    return true;
}

static void poor_submit(void *self, store_unit *u)
{
    poor.submitted++;
    if (poor.pass) {
        poor.pass--;
        poor.real->submit(self, u);
        return;
    }
    if (!refuses(&poor.refuse, &poor.refused)) {
        poor.real->submit(self, u);
        return;
    }
    u->result = poor.code;
    u->next = NULL;
    *poor.end = u;
    poor.end = &u->next;
}

static store_unit *poor_reap(void *self)
{
    store_unit *refused = poor.first;

    if (!refused)
        return poor.real->reap(self);
    *poor.end = poor.real->reap(self);
    poor.first = NULL;
    poor.end = &poor.first;
    return refused;
}

static bool fails(enum poor_read kind)
{
    return refuses(&poor.fail[kind], &poor.failed);
}

static int32_t poor_definitions(void *self, uint64_t definition, bool texts, definition_page *out,
                                orch_error **err)
{
    return fails(POOR_DEFINITIONS) ? poor.code
                                   : poor.real->load_definitions(self, definition, texts, out, err);
}

static int32_t poor_execution(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err)
{
    return fails(POOR_EXECUTION) ? poor.code : poor.real->load_execution(self, key, id, out, err);
}

static int32_t poor_checkpoints(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err)
{
    return fails(POOR_CHECKPOINTS)
               ? poor.code
               : poor.real->load_checkpoints(self, key, run, after_seq, limit, out, err);
}

static int32_t poor_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err)
{
    return fails(POOR_INBOX) ? poor.code : poor.real->load_inbox(self, key, out, err);
}

static int32_t poor_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err)
{
    return fails(POOR_RUNNABLE)
               ? poor.code
               : poor.real->load_runnable(self, priority, limit_key, after_key, limit, out, err);
}

static int32_t poor_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err)
{
    return fails(POOR_DUE) ? poor.code : poor.real->load_due(self, wake_by_ms, limit, out, err);
}

static int32_t poor_next_wake(void *self, int64_t *out_ms, orch_error **err)
{
    return fails(POOR_NEXT_WAKE) ? poor.code : poor.real->next_wake(self, out_ms, err);
}

void poor_reset(void)
{
    memset(&poor, 0, sizeof poor);
    poor.code = ORCH_E_RESOURCE_EXHAUSTED;
    poor.end = &poor.first;
}

void poor_put_under(world *w)
{
    static store_ops ops;

    poor.real = w->store.ops;
    ops = *poor.real;
    ops.submit = poor_submit;
    ops.reap = poor_reap;
    ops.load_definitions = poor_definitions;
    ops.load_execution = poor_execution;
    ops.load_checkpoints = poor_checkpoints;
    ops.load_inbox = poor_inbox;
    ops.load_runnable = poor_runnable;
    ops.load_due = poor_due;
    ops.next_wake = poor_next_wake;
    w->orchestrator->ports.store.ops = &ops;
}
