#include "simulation/grammar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "simulation/sim.h"
#include "workflow/definition.h"

static const char *const words[FEATURES] = {
    "depends",  "run-if",    "when",     "each",  "retry",      "timeout",
    "loose",    "wait",      "signal",   "child", "compensate", "on-failure",
    "continue", "heartbeat", "declared", "lua",   "deadline"};

const char *feature_word(enum feature f)
{
    return words[f];
}

/* One of n steps has the feature, if this seed has it at all. */
static bool has(enum feature f, uint32_t n)
{
    bool chosen = one_in(FOR_DEFINITIONS, n);

    return chosen && (sim.options.features >> f & 1);
}

static uint32_t pick(uint32_t n)
{
    return roll(FOR_DEFINITIONS, n);
}

/* ---- choosing -------------------------------------------------------------------------------------------- */

static uint8_t choose_kind(uint32_t workflow)
{
    if (has(FEATURE_WAIT, 9))
        return DO_WAIT;
    if (has(FEATURE_SIGNAL, 8))
        return DO_SIGNAL;
    if (workflow && has(FEATURE_CHILD, 5))
        return DO_CHILD;
    if (has(FEATURE_LUA, 10))
        return DO_LUA;
    return one_in(FOR_DEFINITIONS, 8) ? DO_NOOP : DO_WORK;
}

static void choose_retry(described_step *s)
{
    static const int64_t intervals[] = {100, 1000, 5000, 20000};
    bool retries = has(FEATURE_RETRY, 2);

    s->attempts = retries ? (uint8_t)(2 + pick(4)) : 1;
    s->retry_ms = retries ? intervals[pick(4)] : 0;
}

static void choose_work(described_step *s)
{
    choose_retry(s);
    if (has(FEATURE_TIMEOUT, 4))
        s->timeout_ms = 1000 + pick(20) * 1000;
    if (s->kind == DO_WORK && has(FEATURE_HEARTBEAT, 4))
        s->heartbeat_ms = 2000 + pick(5) * 1000;
    /* Those that do the same each time: that is what such a step says of itself. */
    if ((s->kind == DO_NOOP || s->kind == DO_LUA) && has(FEATURE_LOOSE, 3))
        s->loose = true;
}

static void choose_wait(described_step *s)
{
    static const int64_t waits[] = {10, 2000, 15000, 60000};

    s->attempts = 1;
    s->wait_ms = waits[pick(4)] + pick(1000);
    s->signal = (uint8_t)pick(SIGNALS);
    s->correlated = one_in(FOR_DEFINITIONS, 3);
    s->signal_timeout_ms = one_in(FOR_DEFINITIONS, 3) ? 5000 + pick(60000) : 0;
}

static void choose_dependencies(described_step *s, uint32_t number)
{
    if (!number || !(sim.options.features >> FEATURE_DEPENDS & 1))
        return;
    for (uint32_t i = 0; i < number; i++)
        if (i + 3 >= number && !one_in(FOR_DEFINITIONS, 3))
            s->after |= (uint16_t)(1u << i);
    if (s->after && has(FEATURE_RUN_IF, 4))
        s->condition = (uint8_t)(1 + pick(3));
    if (has(FEATURE_WHEN, 6))
        s->when = (uint8_t)(1 + pick(s->after ? 3 : 2));
}

static void choose_step(described *d, uint32_t number)
{
    described_step *s = &d->step[number];

    s->kind = choose_kind(d->workflow);
    if (s->kind == DO_CHILD) {
        s->child = (uint8_t)pick(d->workflow);
        s->abandon = one_in(FOR_DEFINITIONS, 4);
    }
    if (s->kind == DO_WAIT || s->kind == DO_SIGNAL)
        choose_wait(s);
    else
        choose_work(s);
    choose_dependencies(s, number);
    if (s->kind != DO_WAIT && s->kind != DO_SIGNAL && !s->loose && has(FEATURE_EACH, 4)) {
        s->items = (uint8_t)(1 + pick(ITEMS_MAX));
        s->parallel = (uint8_t)pick(4);
    }
    if (!s->loose && has(FEATURE_COMPENSATE, 4)) {
        s->compensate = (uint8_t)(1 + one_in(FOR_DEFINITIONS, 3));
        s->compensate_attempts = (uint8_t)(1 + pick(3));
    }
    s->goes_on = has(FEATURE_CONTINUE, 7);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void write_retry(buf *b, uint32_t attempts, int64_t interval_ms)
{
    if (attempts > 1)
        buf_printf(b,
                   ",\"retry\":{\"max_attempts\":%u,\"initial_interval\":\"%" PRId64
                   "ms\",\"backoff\":1,\"jitter\":0}",
                   attempts, interval_ms);
}

static void write_with(buf *b, const described_step *s, uint32_t first)
{
    switch (s->kind) {
    case DO_WAIT: buf_printf(b, ",\"with\":{\"duration\":\"%" PRId64 "ms\"}", s->wait_ms); break;
    case DO_SIGNAL:
        buf_printf(b, ",\"with\":{\"signal\":\"sig%u\"", (unsigned)s->signal);
        if (s->correlated)
            buf_printf(b, ",\"correlation\":\"c%u\"", (unsigned)s->signal);
        if (s->signal_timeout_ms)
            buf_printf(b, ",\"timeout\":\"%" PRId64 "ms\"", s->signal_timeout_ms);
        buf_puts(b, "}");
        break;
    case DO_CHILD:
        buf_printf(b, ",\"with\":{\"workflow\":\"w%u\",\"inputs\":{\"n\":%s}%s}",
                   (unsigned)s->child, s->items ? "\"${item}\"" : "1",
                   s->abandon ? ",\"on_cancel\":\"abandon\"" : "");
        break;
    case DO_LUA:
        buf_puts(b, ",\"with\":{\"code\":\"local n = 0 for i = 1, 20 do n = n + i end return {n = "
                    "n}\"}");
        break;
    default:
        if (s->items)
            buf_puts(b, ",\"with\":{\"n\":\"${item}\"}");
        else if (s->after)
            buf_printf(b, ",\"with\":{\"n\":\"${steps.s%u.output}\"}", first);
        else
            buf_puts(b, ",\"with\":{\"n\":7}");
        break;
    }
}

static void write_when(buf *b, const described_step *s, uint32_t first)
{
    if (s->when == 1)
        buf_puts(b, ",\"when\":\"1 < 2\"");
    else if (s->when == 2)
        buf_puts(b, ",\"when\":\"2 < 1\"");
    else if (s->when == 3)
        buf_printf(b, ",\"when\":\"steps.s%u.status == 'succeeded'\"", first);
}

static void write_items(buf *b, const described_step *s)
{
    if (!s->items)
        return;
    buf_puts(b, ",\"for_each\":[");
    for (uint32_t i = 0; i < s->items; i++)
        buf_printf(b, "%s%u", i ? "," : "", i);
    buf_puts(b, "]");
    if (s->parallel)
        buf_printf(b, ",\"max_parallel\":%u", (unsigned)s->parallel);
}

static void write_after(buf *b, const described_step *s)
{
    static const char *const conditions[] = {"all_succeeded", "all_done", "any_failed",
                                             "any_succeeded"};
    bool any = false;

    if (!s->after)
        return;
    buf_puts(b, ",\"depends_on\":[");
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        if (!(s->after >> i & 1))
            continue;
        buf_printf(b, "%s\"s%u\"", any ? "," : "", i);
        any = true;
    }
    buf_puts(b, "]");
    if (s->condition)
        buf_printf(b, ",\"run_if\":\"%s\"", conditions[s->condition]);
}

static uint32_t first_of(uint16_t bits)
{
    uint32_t i = 0;

    while (i < 15 && !(bits >> i & 1))
        i++;
    return i;
}

static void write_step(buf *b, const described_step *s, uint32_t number)
{
    static const char *const executors[] = {"work", "noop", "lua", "wait", "wait", "workflow"};
    uint32_t first = first_of(s->after);

    buf_printf(b, "%s{\"id\":\"s%u\",\"executor\":\"%s\"", number ? "," : "", number,
               executors[s->kind]);
    write_with(b, s, first);
    write_after(b, s);
    write_when(b, s, first);
    write_items(b, s);
    write_retry(b, s->attempts, s->retry_ms);
    if (s->timeout_ms)
        buf_printf(b, ",\"timeout\":\"%" PRId64 "ms\"", s->timeout_ms);
    if (s->heartbeat_ms)
        buf_printf(b, ",\"heartbeat_timeout\":\"%" PRId64 "ms\"", s->heartbeat_ms);
    if (s->loose)
        buf_puts(b, ",\"checkpoint\":false");
    if (s->goes_on)
        buf_puts(b, ",\"continue_on_failure\":true");
    if (s->compensate) {
        buf_printf(b, ",\"compensate\":{\"executor\":\"work\",\"timeout\":\"20s\"%s",
                   s->compensate == 2 ? ",\"when_failed\":true" : "");
        write_retry(b, s->compensate_attempts, 500);
        buf_puts(b, "}");
    }
    buf_puts(b, "}");
}

static void write_down(described *d)
{
    buf b = BUF_INIT;

    buf_printf(&b, "{\"id\":\"w%u\",\"version\":\"1.%u.0\"", (unsigned)d->workflow,
               (unsigned)d->version);
    if (d->timeout_ms)
        buf_printf(&b, ",\"timeout\":\"%" PRId64 "ms\"", d->timeout_ms);
    if (d->declared)
        buf_puts(&b, ",\"inputs\":{\"n\":{\"type\":\"integer\",\"default\":3}}");
    buf_puts(&b, ",\"steps\":[");
    for (uint32_t i = 0; i < d->steps; i++)
        write_step(&b, &d->step[i], i);
    buf_puts(&b, "]");
    if (d->on_failure)
        buf_puts(&b, ",\"on_failure\":{\"executor\":\"work\",\"timeout\":\"20s\"}");
    if (d->has_output)
        buf_printf(&b, ",\"output\":{\"last\":\"${steps.s%u.output}\"}", d->steps - 1u);
    buf_puts(&b, "}");
    d->text = strdup(b.data);
    buf_free(&b);
}

static void read_digest(described *d)
{
    orch_error *error = NULL;
    definition *parsed = NULL;

    if (definition_parse(d->text, strlen(d->text), NULL, &parsed, &error))
        broken("the grammar makes definitions that are read", "%s: %s", orch_error_message(error),
               d->text);
    memcpy(d->digest, &parsed->digest, sizeof d->digest);
    definition_unref(parsed);
}

void describe(described *d, const described *all, uint32_t n, int workflow)
{
    uint32_t workflows = 0, versions = 0;

    memset(d, 0, sizeof *d);
    for (uint32_t i = 0; i < n; i++) {
        if (all[i].workflow >= workflows)
            workflows = all[i].workflow + 1u;
        versions += all[i].workflow == workflow;
    }
    d->workflow = (uint8_t)(workflow < 0 ? (int)workflows : workflow);
    d->version = (uint8_t)(workflow < 0 ? 0 : versions);
    d->steps = (uint8_t)(1 + pick(sim.options.steps < STEPS_MAX ? sim.options.steps : STEPS_MAX));
    for (uint32_t i = 0; i < d->steps; i++)
        choose_step(d, i);
    d->on_failure = has(FEATURE_ON_FAILURE, 4);
    d->has_output = !one_in(FOR_DEFINITIONS, 3);
    d->declared = has(FEATURE_DECLARED, 4);
    if (has(FEATURE_DEADLINE, 5))
        d->timeout_ms = 10000 + pick(120) * 1000;
    write_down(d);
    read_digest(d);
}

void described_clear(described *d)
{
    free(d->text);
    d->text = NULL;
}
