#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

const definition_row *memory_definition(const memory_store *s, uint64_t key)
{
    size_t low = 0, high = s->definition_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->definitions[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->definition_count && s->definitions[low].key == key ? &s->definitions[low]
                                                                       : NULL;
}

static void memory_submit(void *self, store_unit *u)
{
    memory_store *s = self;

    u->next = NULL;
    *s->submitted_end = u;
    s->submitted_end = &u->next;
}

static void memory_flush(void *self)
{
    memory_store *s = self;
    uint64_t units = 0;

    if (!s->submitted)
        return;
    if (s->done && s->wake)
        s->wake(s->wake_ctx);
    pthread_mutex_lock(&s->lock);
    for (store_unit *u = s->submitted; u; u = u->next, units++)
        u->result = memory_apply(s, u);
    s->stats.units += units;
    s->stats.batches++;
    pthread_mutex_unlock(&s->lock);
    /* Only this thread writes it. */
    units += atomic_load_explicit(&s->queued, memory_order_relaxed);
    atomic_store_explicit(&s->queued, units, memory_order_relaxed);
    *s->done_end = s->submitted;
    s->done_end = s->submitted_end;
    s->submitted = NULL;
    s->submitted_end = &s->submitted;
}

static store_unit *memory_reap(void *self)
{
    memory_store *s = self;
    store_unit *done = s->done;

    if (!done)
        return NULL;
    s->done = NULL;
    s->done_end = &s->done;
    atomic_store_explicit(&s->queued, 0, memory_order_relaxed); /* flush applies all there is */
    return done;
}

static int32_t memory_marks(void *self, uint64_t *out_execution_key, uint64_t *out_definition_key,
                            orch_error **err)
{
    memory_store *s = self;

    (void)err;
    pthread_mutex_lock(&s->lock);
    *out_execution_key = s->last_execution;
    *out_definition_key = s->definition_count ? s->definitions[s->definition_count - 1].key : 0;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static int32_t memory_lease(void *self, const char *owner, int64_t now_ms, uint64_t *out_term,
                            orch_error **err)
{
    memory_store *s = self;

    (void)owner;
    (void)now_ms;
    (void)err;
    pthread_mutex_lock(&s->lock);
    *out_term = MUTATED(TERM_NOT_RAISED) && s->term ? s->term : ++s->term;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static int32_t memory_next_wake(void *self, int64_t *out_ms, orch_error **err)
{
    memory_store *s = self;
    const heap_node *first;

    (void)err;
    pthread_mutex_lock(&s->lock);
    first = heap_first(&s->wakes);
    *out_ms = first ? first->at : INT64_MAX;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static int32_t memory_count_open(void *self, uint64_t *out, orch_error **err)
{
    memory_store *s = self;

    (void)err;
    pthread_mutex_lock(&s->lock);
    *out = s->not_ended;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static void memory_get_stats(void *self, store_stats *out)
{
    memory_store *s = self;

    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    pthread_mutex_unlock(&s->lock);
    out->queued = atomic_load_explicit(&s->queued, memory_order_relaxed);
}

static int32_t memory_backup(void *self, const char *path, orch_error **err)
{
    (void)self;
    (void)path;
    return error_set(err, ORCH_E_UNIMPLEMENTED,
                     "memory:", "the store memory: has nothing to back up; use sqlite:PATH");
}

static int32_t memory_stop(void *self, int32_t timeout_ms, orch_error **err)
{
    memory_store *s = self;

    (void)timeout_ms;
    (void)err;
    memory_flush(s);
    if (s->done && s->wake)
        s->wake(s->wake_ctx);
    return 0;
}

static void free_starts(memory_store *s)
{
    memory_start *start, *next;

    HASH_ITER(hh, s->starts, start, next)
    {
        HASH_DEL(s->starts, start);
        mem_free(start);
    }
}

static void memory_free_store(void *self)
{
    memory_store *s = self;

    if (!s)
        return;
    free_starts(s);
    table_free(&s->table);
    controls_free(&s->controls);
    for (size_t i = 0; i < s->setting_count; i++)
        setting_row_clear(&s->settings[i]);
    mem_free(s->settings);
    for (size_t i = 0; i < s->definition_count; i++)
        definition_row_clear(&s->definitions[i]);
    mem_free(s->definitions);
    heap_free(&s->wakes);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static const store_ops memory_ops = {
    .size = sizeof(store_ops),
    .name = "memory",
    .submit = memory_submit,
    .flush = memory_flush,
    .reap = memory_reap,
    .marks = memory_marks,
    .lease = memory_lease,
    .load_definitions = memory_load_definitions,
    .load_execution = memory_load_execution,
    .list_executions = memory_list_executions,
    .load_checkpoints = memory_load_checkpoints,
    .load_inbox = memory_load_inbox,
    .load_runnable = memory_load_runnable,
    .next_wake = memory_next_wake,
    .load_due = memory_load_due,
    .load_controls = memory_load_controls,
    .load_runs = memory_load_runs,
    .load_settings = memory_load_settings,
    .load_expired = memory_load_expired,
    .count_open = memory_count_open,
    .get_stats = memory_get_stats,
    .backup = memory_backup,
    .stop = memory_stop,
    .free = memory_free_store,
};

int32_t memory_store_open(const store_options *o, store *out, orch_error **err)
{
    memory_store *s = mem_zalloc(sizeof *s);

    if (!s)
        return error_no_memory(err);
    s->submitted_end = &s->submitted;
    s->done_end = &s->done;
    s->wake = o->wake;
    s->wake_ctx = o->wake_ctx;
    for (int i = 0; i < PRIORITIES; i++)
        list_init(&s->runnable[i]);
    list_init(&s->ended);
    s->expired_from.ended_ms = -1;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        mem_free(s);
        return error_no_memory(err);
    }
    *out = (store){&memory_ops, s};
    return 0;
}
