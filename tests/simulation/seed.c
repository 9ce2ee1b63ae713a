#include "simulation/seed.h"

#include <inttypes.h>
#include <malloc.h>

#include "simulation/cores.h"
#include "simulation/disk.h"
#include "simulation/faults.h"
#include "simulation/load.h"
#include "simulation/model.h"
#include "simulation/net.h"
#include "simulation/trace.h"

#define CALM_MOST   (6 * 3600 * SECONDS) /* in which all that can go on has to come to its end */
#define QUIET       (60 * SECONDS)       /* after it */
#define EVENTS_MOST UINT64_C(8000000)
#define MEMORY_MOST ((size_t)64 << 20) /* of what is tested, and of the platter but for ... */
#define ROWS_OF_ONE ((size_t)4 << 10)  /* ... these, of each execution */

/* What the model keeps of all that ever was is not counted. */
static void check_memory(void)
{
    size_t most = MEMORY_MOST + model_bytes() + model_execution_count() * ROWS_OF_ONE;

    if (mallinfo2().uordblks > most)
        broken("Bounded: memory", "%zu bytes are in use, of at most %zu",
               (size_t)mallinfo2().uordblks, most);
}

static void one_event(void)
{
    if (!sim_step())
        broken("The simulation goes on", "there is no event left");
    if (sim.counts.events > EVENTS_MOST)
        broken("Everything comes to rest", "after %" PRIu64 " events it has not", EVENTS_MOST);
    if (sim.counts.events % 4096 == 0)
        check_memory();
}

static void storm(void)
{
    int64_t span_us = sim.options.minutes * 60 * SECONDS;

    while (sim.now_us < span_us || !faults_all_done()) {
        one_event();
        if (sim.now_us > 10 * span_us)
            broken("The seed injects its faults", "too few of kind %s",
                   fault_word(faults_missing()));
    }
}

static void nothing(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
}

static void calm(void)
{
    int64_t began_us = sim.now_us;

    trace("all is well from here on");
    faults_end();
    load_calm();
    while (!model_all_ended() || !load_is_answered() || !cores_primary()->up) {
        one_event();
        if (sim.now_us - began_us > CALM_MOST) {
            model_show_open();
            broken("Everything that can go on comes to its end", "in %d hours it has not",
                   (int)(CALM_MOST / SECONDS / 3600));
        }
    }
    load_over();
    began_us = sim.now_us;
    sim_after(QUIET, nothing, NULL, 0);
    while (sim.now_us < began_us + QUIET - 1 * SECONDS)
        one_event();
}

uint64_t seed_run(const sim_options *o)
{
    uint64_t hash;

    sim_begin(o);
    platter_new();
    net_begin();
    model_begin();
    load_begin();
    cores_begin();
    faults_begin();
    storm();
    calm();
    model_check_end();
    cores_end();
    while (sim_step())
        ; /* for nobody: what is left of events lets go of what it holds */
    net_end();
    platter_free();
    model_end();
    hash = trace_hash();
    sim_end();
    return hash;
}
