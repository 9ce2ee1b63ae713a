#include "simulation/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/grammar.h"
#include "simulation/trace.h"

struct sim sim;

static const struct {
    const char *word, *what;
    uint32_t least;
} faults[] = {
#define FAULT_ROW(name, word, what, least) {word, what, least},
    FAULT_LIST(FAULT_ROW)
#undef FAULT_ROW
};

const char *fault_word(enum fault f)
{
    return faults[f].word;
}

const char *fault_what(enum fault f)
{
    return faults[f].what;
}

uint32_t fault_least(enum fault f)
{
    return faults[f].least;
}

void sim_default_options(sim_options *o)
{
    *o = (sim_options){
        .executions = 40,
        .minutes = 6,
        .steps = 8,
        .engines = 3,
        .features = UINT32_MAX,
        .faults = UINT32_MAX,
    };
}

/* ---- chance ---------------------------------------------------------------------------------------------- */

static uint64_t streams[STREAMS];

/* splitmix64: public domain, by Sebastiano Vigna. */
static uint64_t mix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t draw(enum stream s)
{
    return mix(&streams[s]);
}

uint32_t roll(enum stream s, uint32_t sides)
{
    return (uint32_t)(draw(s) >> 32) % sides;
}

int64_t roll_span(enum stream s, int64_t least, int64_t most)
{
    uint32_t scale = roll(s, 4); /* a quarter each: the last one goes up to `most` */
    int64_t width = (most - least) >> (2 * (3 - scale));

    return least + (width > 0 ? (int64_t)(draw(s) % (uint64_t)(width + 1)) : 0);
}

/* ---- events: a binary heap ------------------------------------------------------------------------------- */

typedef struct event {
    int64_t at_us;
    uint64_t number;
    event_fn fn;
    void *ctx;
    uint64_t arg;
} event;

static struct {
    event *heap;
    size_t count, capacity;
    uint64_t numbers;
} queue;

static bool is_before(const event *a, const event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

void sim_at(int64_t at_us, event_fn fn, void *ctx, uint64_t arg)
{
    event e = {at_us > sim.now_us ? at_us : sim.now_us, ++queue.numbers, fn, ctx, arg};
    size_t i = queue.count++;

    if (queue.count > queue.capacity) {
        queue.capacity = queue.capacity ? 2 * queue.capacity : 1024;
        queue.heap = realloc(queue.heap, queue.capacity * sizeof *queue.heap);
        if (!queue.heap)
            abort();
    }
    for (; i && is_before(&e, &queue.heap[(i - 1) / 2]); i = (i - 1) / 2)
        queue.heap[i] = queue.heap[(i - 1) / 2];
    queue.heap[i] = e;
}

void sim_after(int64_t delay_us, event_fn fn, void *ctx, uint64_t arg)
{
    sim_at(sim.now_us + delay_us, fn, ctx, arg);
}

static event take_first(void)
{
    event first = queue.heap[0], last = queue.heap[--queue.count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < queue.count) {
        if (child + 1 < queue.count && is_before(&queue.heap[child + 1], &queue.heap[child]))
            child++;
        if (!is_before(&queue.heap[child], &last))
            break;
        queue.heap[i] = queue.heap[child];
        i = child;
    }
    queue.heap[i] = last;
    return first;
}

bool sim_step(void)
{
    event e;

    if (!queue.count)
        return false;
    e = take_first();
    sim.now_us = e.at_us;
    sim.counts.events++;
    e.fn(e.ctx, e.arg);
    return true;
}

/* ---- a seed ---------------------------------------------------------------------------------------------- */

/* Most seeds have most kinds of faults: what never happens with another beside it is seen too. */
static void choose_faults(void)
{
    uint32_t seldom = roll(FOR_FAULTS, 4);

    for (uint32_t f = 0; f < FAULTS; f++) {
        bool has = seldom == 0 ? one_in(FOR_FAULTS, 4) : !one_in(FOR_FAULTS, 4);

        if (has && sim.options.faults >> f & 1)
            sim.faults |= UINT32_C(1) << f;
    }
    if (sim.faults >> FAULT_REPEAT & 1) /* it is a way for connections to be lost */
        sim.faults |= (sim.options.faults & UINT32_C(1) << FAULT_BREAK);
    if (!(sim.faults >> FAULT_BREAK & 1))
        sim.faults &= ~(UINT32_C(1) << FAULT_REPEAT);
    sim.in_process = one_in(FOR_FAULTS, 2);
    if (sim.in_process) /* nothing of the dead arrives there */
        sim.faults &= ~(UINT32_C(1) << FAULT_LATE);
}

void sim_begin(const sim_options *o)
{
    uint64_t state = o->seed * UINT64_C(0x2545f4914f6cdd1d) + 1;

    memset(&sim, 0, sizeof sim);
    sim.options = *o;
    for (int i = 0; i < STREAMS; i++)
        streams[i] = mix(&state);
    queue.count = 0;
    queue.numbers = 0;
    trace_begin(o->trace);
    choose_faults();
}

void sim_end(void)
{
    sim.counts.virtual_ms = (uint64_t)(sim.now_us / MS);
    queue.count = 0;
}

void sim_fault_done(enum fault f)
{
    sim.counts.faults[f]++;
}

void broken(const char *promise, const char *format, ...)
{
    char what[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    trace_broken(promise, what);
    exit(1);
}
