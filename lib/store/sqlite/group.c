/* Group commit: whether the next batch waits a moment for more.
 *
 * A commit takes what has come while the one before it was on its way to the disk. Where executions go round, each
 * with one thing at a time to store, they part into two halves so: one waits in the queue while the
 * other is synced, and each waits for both syncs. Once a batch is done, its executions will soon
 * have more; to wait for them costs less than the sync that it saves. So the next batch waits
 * until as many have come as were under way, but for no longer than a part of what the last sync
 * took; and where nothing comes of that, the next ones do not. A single execution never waits: what
 * it brings is all that was under way. */
#include "store/sqlite/sqlite_impl.h"

#include <time.h>

#include "base/clock.h"

#define WAIT_LEAST_NS 30000    /* less than that goes by in waking a thread */
#define WAIT_MOST_NS  10000000 /* however slow the disk is */
#define MISSES_MOST   6        /* in vain: fewer than 2^6 batches do not wait then */

void group_batch_done(group *g, uint64_t done, uint64_t queued, int64_t sync_ns)
{
    uint64_t under_way = done + queued;
    int64_t wait_ns = sync_ns / 2;

    if (wait_ns > WAIT_MOST_NS)
        wait_ns = WAIT_MOST_NS;
    g->wanted = under_way - under_way / 8; /* stragglers are not waited for */
    g->until_ns = wait_ns < WAIT_LEAST_NS ? 0 : clock_monotonic_ns() + wait_ns;
    if (g->pass)
        g->pass--;
}

static void judge(group *g, uint64_t before, uint64_t after)
{
    if ((after - before) * 4 >= before) {
        g->misses = 0;
        return;
    }
    if (g->misses < MISSES_MOST)
        g->misses++;
    g->pass = UINT32_C(1) << g->misses;
}

bool group_wait(sqlite_store *s)
{
    group *g = &s->group;
    uint64_t before = s->queue.count;
    struct timespec until;
    int rc = 0;

    if (g->pass || before >= g->wanted || clock_monotonic_ns() + WAIT_LEAST_NS > g->until_ns)
        return false;
    until = (struct timespec){g->until_ns / 1000000000, g->until_ns % 1000000000};
    s->queue_wakes = g->wanted;
    while (!s->quitting && !s->claimants && !s->claimed && s->queue.count < g->wanted && rc == 0)
        rc = pthread_cond_timedwait(&s->work, &s->lock, &until);
    s->queue_wakes = 0;
    g->until_ns = 0;
    judge(g, before, s->queue.count);
    return true;
}
