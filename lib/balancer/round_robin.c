#include "balancer/balancer.h"
#include "base/error.h"
#include "base/mem.h"

typedef struct round_robin {
    size_t next;
} round_robin;

static int32_t pick(void *self, const balancer_engine *engines, size_t count, uint64_t key)
{
    round_robin *r = self;

    (void)key;
    for (size_t i = 0; i < count; i++) {
        size_t at = (r->next + i) % count;

        if (balancer_engine_has_room(&engines[at])) {
            r->next = at + 1;
            return (int32_t)at;
        }
    }
    return -1;
}

static const balancer_ops ops = {sizeof(balancer_ops), "round-robin", pick, mem_free};

int32_t balancer_round_robin_new(balancer *out, orch_error **err)
{
    round_robin *r = mem_zalloc(sizeof *r);

    if (!r)
        return error_no_memory(err);
    out->ops = &ops;
    out->self = r;
    return 0;
}
