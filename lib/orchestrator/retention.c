/* Ended executions are deleted after a time, and beyond a number: in small batches, so that nothing else waits for it. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define BATCH            256
#define PAUSE_MS         60000 /* between two looks, when nothing was left */
#define PAUSE_BETWEEN_MS 20    /* between two batches */

typedef struct expired_read {
    pool_read base; /* first */
    int64_t before_ms;
    uint32_t count;
    uint64_t keys[BATCH];
} expired_read;

static bool is_on(const orchestrator *o)
{
    return o->options.retention_age_ms || o->options.retention_count;
}

static void purged(unit_job *j)
{
    orchestrator *o = j->o;

    o->purging--;
    if (j->unit.result && j->unit.result != ORCH_E_NOT_FOUND &&
        j->unit.result != ORCH_E_FAILED_PRECONDITION)
        o->retention_ms = o->now_ms + PAUSE_MS; /* the store has other worries */
    mem_free(j);
}

static void purge(orchestrator *o, uint64_t key)
{
    unit_job *j = mem_zalloc(sizeof *j);

    if (!j)
        return; /* found again */
    unit_init(j, o, key, purged);
    j->unit.purge = true;
    o->purging++;
    unit_submit(j);
}

static void read_expired(pool_read *base)
{
    expired_read *r = (expired_read *)base;
    store *s = &base->o->ports.store;

    base->code = s->ops->load_expired(s->self, r->before_ms, base->o->options.retention_count,
                                      BATCH, r->keys, &r->count, &base->error);
}

static void expired_back(pool_read *base)
{
    expired_read *r = (expired_read *)base;
    orchestrator *o = base->o;

    o->reading_expired = false;
    if (base->code)
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading what is to be deleted: %s",
                  orch_error_message(base->error));
    o->retention_ms = o->now_ms + (base->code || !r->count ? PAUSE_MS : PAUSE_BETWEEN_MS);
    for (uint32_t i = 0; i < r->count && !base->code && !o->stopping; i++)
        purge(o, r->keys[i]);
    orch_error_free(base->error);
    mem_free(r);
}

void retention_look(orchestrator *o)
{
    expired_read *r;

    if (!is_on(o) || o->stopping || o->reading_expired || o->purging || o->retention_ms > o->now_ms)
        return;
    o->retention_ms = o->now_ms + PAUSE_MS;
    r = mem_zalloc(sizeof *r);
    if (!r)
        return;
    r->base.read = read_expired;
    r->base.back = expired_back;
    r->before_ms = o->options.retention_age_ms ? o->now_ms - o->options.retention_age_ms
                                               : INT64_MIN;
    o->reading_expired = reads_submit(o, &r->base);
    if (!o->reading_expired)
        mem_free(r);
}

int64_t retention_deadline(const orchestrator *o)
{
    return !is_on(o) || o->reading_expired || o->purging ? INT64_MAX : o->retention_ms;
}
