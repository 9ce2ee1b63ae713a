/* Goal: whatever breaks, and whenever, the promises hold. From a seed: executions of several shapes start (with children, signals,
 * compensation), attempts beat and end well or badly, channels break, engines and the orchestrator are killed, cancels, pauses and
 * signals come, time passes; with every other seed the store refuses, now and then, to write or to read. At each start of an attempt
 * the store is asked: its step must not have ended there, and all that it depends on must have; what is compensated must have
 * succeeded, and not be undone. In the end everything has one end, and no less and no more than what was done is undone.
 *
 * CORE_SEED=n replays one seed, CORE_SEEDS=n tries seeds 1 to n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/poor_store.h"

#define SEEDS      300
#define EXECUTIONS 25
#define OPEN_MAX   1024
#define SHAPES     7

static world *w;
static uint64_t dice;
static struct {
    struct {
        attempt *attempt;
        bool beating; /* the engine has not looked yet */
    } open[OPEN_MAX];
    int count;
    long started, broken, killed, cancelled, refused, paused, signalled, beats, undone;
} load;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % sides;
}

/* ---- the executor, which looks into the store before it begins -------------------------------------------- */

static definition *shapes[SHAPES];

static const definition *shape_of(const attempt *a)
{
    for (int i = 0; i < SHAPES; i++)
        if (!strcmp(shapes[i]->id, a->workflow))
            return shapes[i];
    fail();
    return NULL;
}

static bool has_row(const checkpoint_page *p, uint8_t kind, uint32_t step, uint32_t index)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].kind == kind && p->rows[i].step == step && p->rows[i].index == index)
            return true;
    return false;
}

static bool has_end(const checkpoint_page *p, uint32_t step, uint32_t index)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].step == step && p->rows[i].index == index && checkpoint_is_end(&p->rows[i]))
            return true;
    return false;
}

static void check_step(const definition *d, uint32_t number, const attempt *a,
                       const checkpoint_page *page)
{
    assert_false(has_end(page, number, a->index));
    assert_false(has_end(page, number, INDEX_NONE));
    assert_false(has_row(page, CHECKPOINT_CLOSING, STEP_NONE, INDEX_NONE));
    for (uint32_t i = 0; i < d->steps[number].dependency_count; i++)
        assert_true(has_end(page, d->edges[d->steps[number].dependencies + i], INDEX_NONE));
}

static void check_cause(const attempt *a)
{
    const definition *d = shape_of(a);
    checkpoint_page page = {0};
    execution_row row = {0};
    uint32_t number = STEP_NONE;
    uint64_t key = 0;
    const char *id = execution_id_parse(a->execution, &key) ? NULL : a->execution;

    assert_int_equal(w->store.ops->load_execution(w->store.self, key, id, &row, NULL), 0);
    assert_false(EXECUTION_STATE_IS_END(row.state));
    assert_int_equal(
        w->store.ops->load_checkpoints(w->store.self, row.key, a->run, 0, 0, &page, NULL), 0);
    if (a->role != ROLE_ON_FAILURE)
        assert_true(definition_find_step(d, a->step, strlen(a->step), &number));
    if (a->role == ROLE_STEP)
        check_step(d, number, a, &page);
    else
        assert_true(has_row(&page, CHECKPOINT_CLOSING, STEP_NONE, INDEX_NONE));
    if (a->role == ROLE_COMPENSATE) {
        assert_true(has_row(&page, CHECKPOINT_SUCCEEDED, number, a->index));
        assert_false(has_row(&page, CHECKPOINT_UNDONE, number, a->index));
    }
    checkpoint_page_clear(&page);
    execution_row_clear(&row);
}

static bool load_start(void *self, attempt *a)
{
    (void)self;
    check_cause(a);
    load.started++;
    if (roll(4) == 0) { /* at once */
        a->result = (attempt_result){.output = bytes_new("1", 1)};
        return true;
    }
    assert_true(load.count < OPEN_MAX);
    load.open[load.count].beating = false;
    load.open[load.count++].attempt = a;
    return false;
}

static void take_out(int i)
{
    load.open[i] = load.open[--load.count];
}

static void load_end(int i, bool well)
{
    attempt *a = load.open[i].attempt;
    attempt_result r = {.code = well ? 0 : ORCH_E_UNAVAILABLE};

    if (well)
        r.output = bytes_new("1", 1);
    take_out(i);
    attempt_complete(a, r);
}

static void load_stop(void *self, attempt *a)
{
    (void)self;
    if (roll(2)) /* some heed it at once, some later */
        return;
    for (int i = 0; i < load.count; i++)
        if (load.open[i].attempt == a) {
            load_end(i, false);
            return;
        }
}

static void load_beat(int i)
{
    if (!load.open[i].beating)
        load.open[i].attempt->beat(load.open[i].attempt);
    load.open[i].beating = true;
    load.beats++;
}

static bytes *load_take_beat(void *self, attempt *a)
{
    (void)self;
    for (int i = 0; i < load.count; i++) {
        if (load.open[i].attempt == a) {
            load.open[i].beating = false;
            return bytes_new("{\"alive\":true}", 14);
        }
    }
    return NULL;
}

/* The engine is freed: what it had is gone. `self` is its number. */
static void load_free(void *self)
{
    (void)self;
    load.count = 0;
}

static const executor_ops load_ops = {
    .size = sizeof(executor_ops),
    .name = "test",
    .start = load_start,
    .stop = load_stop,
    .take_beat = load_take_beat,
    .free = load_free,
};

/* ---- what happens ---------------------------------------------------------------------------------------- */

#define RETRY ",\"retry\":{\"max_attempts\":20,\"initial_interval\":\"100ms\"}"
#define UNDO  ",\"compensate\":{\"executor\":\"test\"" RETRY "}"

/* Those with children come behind the workflows of these. */
static const char *const texts[SHAPES] = {
    "{\"id\":\"diamond\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"test\",\"heartbeat_timeout\":\"5s\"" RETRY "},"
    "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"],\"when\":\"steps.a.output == "
    "1\",\"retry\":{\"max_attempts\":20,\"initial_interval\":\"1s\"}},"
    "{\"id\":\"c\",\"executor\":\"noop\",\"depends_on\":[\"a\"]},"
    "{\"id\":\"d\",\"executor\":\"test\",\"depends_on\":[\"b\",\"c\"]" RETRY "}],"
    "\"output\":{\"d\":\"${steps.d.output}\"}}",
    "{\"id\":\"map\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"noop\",\"with\":[1,2,3,4,5]},"
    "{\"id\":\"each\",\"executor\":\"test\",\"depends_on\":[\"a\"],\"for_each\":\"${steps.a.output}"
    "\",\"max_parallel\":2" RETRY "},"
    "{\"id\":\"z\",\"executor\":\"test\",\"depends_on\":[\"each\"]" RETRY "}],"
    "\"output\":\"${steps.each.output}\"}",
    "{\"id\":\"sleep\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"test\"" RETRY "},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"duration\":\"90s\"}},"
    "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"w\"]" RETRY "}],"
    "\"output\":\"${steps.b.output}\"}",
    "{\"id\":\"nest\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"call\",\"executor\":\"workflow\",\"with\":{\"workflow\":\"diamond\"}" RETRY "},"
    "{\"id\":\"z\",\"executor\":\"test\",\"depends_on\":[\"call\"]" RETRY "}],"
    "\"output\":\"${steps.call.output}\"}",
    "{\"id\":\"fan\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"call\",\"executor\":\"workflow\",\"for_each\":[1,2,3],\"with\":{\"workflow\":"
    "\"diamond\"}" RETRY "}],\"output\":\"${steps.call.output}\"}",
    "{\"id\":\"ask\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"test\"" RETRY "},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"signal\":\"go\"}}],"
    "\"output\":\"${steps.w.output}\"}",
    /* It fails always: what it waits for is no time. */
    "{\"id\":\"saga\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"test\"" RETRY UNDO "},"
    "{\"id\":\"each\",\"executor\":\"test\",\"depends_on\":[\"a\"],\"for_each\":[1,2]" RETRY UNDO
    "},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"each\"],\"with\":{\"duration\":"
    "\"${steps.a.output}\"}}],\"on_failure\":{\"executor\":\"test\"" RETRY "}}",
};

enum { ASK = 5, SAGA = 6 };

static const char *const outputs[SHAPES] = {
    "{\"d\":1}", "[1,1,1,1,1]", "1", "{\"d\":1}", "[{\"d\":1},{\"d\":1},{\"d\":1}]", "7", NULL};

static const world_options options = {
    .engines = 1, .capacity = 6, .credit = 3, .window = 4, .test_executor = &load_ops};

typedef struct started_execution {
    uint64_t key;
    int shape;
    bool cancel;      /* may end cancelled */
    bool must_cancel; /* the cancel came long before anything else could end it */
    bool signalled, paused;
    char id[16];
} started_execution;

static void break_channel(const started_execution *all, int n)
{
    channel *c = n ? world_channel(w, all[roll((uint32_t)n)].key) : NULL;

    if (c) {
        transport_inproc_break(c);
        load.broken++;
    }
}

/* Those who ask are told of a refusal; nothing else comes of it. */
static bool is_refusal(int32_t code)
{
    return poor.odds && code == ORCH_E_RESOURCE_EXHAUSTED;
}

static void restart(void)
{
    world_restart(w, &options);
    poor_put_under(w);
}

static void something_breaks(const started_execution *all, int n)
{
    switch (roll(8)) {
    case 0:
        if (roll(2))
            restart();
        else
            world_restart_engine(w, 0, &options);
        load.killed++;
        break;
    default: break_channel(all, n); break;
    }
}

/* It sleeps, and will for a while. */
static bool sleeps(const started_execution *s)
{
    checkpoint_page page = {0};
    bool asleep;

    assert_int_equal(w->store.ops->load_checkpoints(w->store.self, s->key, 1, 0, 0, &page, NULL),
                     0);
    asleep = page.count && page.rows[page.count - 1].kind == CHECKPOINT_WAITING &&
             page.rows[page.count - 1].due_ms > w->now_ms + 40000;
    checkpoint_page_clear(&page);
    return asleep;
}

static void cancel_one(started_execution *all, int n)
{
    started_execution *s;
    int32_t code;

    if (!n)
        return;
    s = &all[roll((uint32_t)n)];
    code = world_cancel(w, s->id, "enough");
    assert_true(code == 0 || code == ORCH_E_FAILED_PRECONDITION || is_refusal(code));
    if (code == 0) {
        s->cancel = true;
        s->must_cancel |= sleeps(s);
        load.cancelled++;
    }
}

static void signal_one(started_execution *s)
{
    int32_t code;

    if (s->shape != ASK || s->signalled)
        return;
    code = world_signal(w, s->id, "go", NULL, "7");
    assert_true(code == 0 || code == ORCH_E_FAILED_PRECONDITION || is_refusal(code));
    s->signalled = code == 0;
    load.signalled += code == 0;
}

static void pause_one(started_execution *s, bool paused)
{
    control_request r = {.action = paused ? CONTROL_PAUSE : CONTROL_RESUME};
    int32_t code = world_control(w, s->id, r);

    assert_true(code == 0 || code == ORCH_E_FAILED_PRECONDITION || is_refusal(code));
    if (code == 0)
        s->paused = paused;
    load.paused += paused && code == 0;
}

static void control_one(started_execution *all, int n)
{
    started_execution *s;

    if (!n)
        return;
    s = &all[roll((uint32_t)n)];
    switch (roll(5)) {
    case 0: cancel_one(all, n); break;
    case 1: pause_one(s, !s->paused); break;
    default: signal_one(s); break;
    }
}

static void start_one(started_execution *all, int *n)
{
    started_execution *s = &all[*n];
    int32_t code;

    s->shape = (int)roll(SHAPES);
    snprintf(s->id, sizeof s->id, "x-%d", *n);
    code = world_start_code(w, shapes[s->shape]->id, s->id, NULL, &s->key);
    assert_true(code == 0 || is_refusal(code));
    if (code == 0)
        ++*n;
}

static void one_thing(started_execution *all, int *n)
{
    switch (roll(16)) {
    case 0:
    case 1:
        if (*n < EXECUTIONS)
            start_one(all, n);
        break;
    case 2:
    case 6: something_breaks(all, *n); break;
    case 3: control_one(all, *n); break;
    case 7:
        if (load.count)
            load_beat((int)roll((uint32_t)load.count));
        break;
    case 4:
    case 5: world_advance(w, roll(8) ? roll(3000) : roll(40000)); break;
    default:
        if (load.count)
            load_end((int)roll((uint32_t)load.count), roll(4) != 0);
        for (uint32_t nudges = roll(12); nudges; nudges--)
            world_nudge(w, roll(1000));
        break;
    }
}

/* What succeeded is undone, the last first, and nothing else is. */
static void assert_undone(const started_execution *s, uint8_t state)
{
    checkpoint_page page = {0};
    size_t next, undone = 0;

    assert_int_equal(w->store.ops->load_checkpoints(w->store.self, s->key, 1, 0, 0, &page, NULL),
                     0);
    next = page.count;
    for (size_t i = 0; i < page.count; i++) {
        if (page.rows[i].kind != CHECKPOINT_UNDONE)
            continue;
        undone++;
        do { /* the one before, of those that have a compensation: the for_each as a whole has not */
            assert_true(next-- > 0);
        } while (page.rows[next].kind != CHECKPOINT_SUCCEEDED ||
                 (page.rows[next].step == 1 && page.rows[next].index == INDEX_NONE));
        assert_int_equal(page.rows[i].step, page.rows[next].step);
        assert_int_equal(page.rows[i].index, page.rows[next].index);
    }
    while (next-- > 0)
        assert_int_not_equal(page.rows[next].kind, CHECKPOINT_SUCCEEDED);
    assert_int_equal(has_row(&page, CHECKPOINT_HANDLED, STEP_NONE, INDEX_NONE),
                     state == EXECUTION_FAILED);
    load.undone += (long)undone;
    checkpoint_page_clear(&page);
}

static void assert_end(const started_execution *s)
{
    execution_row row = world_row(w, s->key);

    if (row.state == EXECUTION_CANCELLED) {
        assert_true(s->cancel);
    } else {
        assert_false(s->must_cancel);
        assert_int_equal(row.state, s->shape == SAGA ? EXECUTION_FAILED : EXECUTION_SUCCEEDED);
        if (s->shape != SAGA)
            assert_string_equal(row.output->data, outputs[s->shape]);
    }
    if (s->shape == SAGA)
        assert_undone(s, row.state);
    assert_true(row.ended_ms >= row.accepted_ms);
    world_checkpoints(w, s->key, 0); /* asserts that there are no gaps */
    execution_row_clear(&row);
}

static void everything_ends(started_execution *all, int n)
{
    orchestrator_stats stats;

    load.refused += poor.refused + poor.failed;
    poor.roll = NULL; /* there is room again */
    for (int i = 0; i < n; i++) {
        signal_one(&all[i]);
        pause_one(&all[i], false);
    }
    for (int turns = 0; turns < 400; turns++) {
        while (load.count)
            load_end(0, true);
        world_advance(w, 1000);
    }
    for (int i = 0; i < n; i++)
        assert_end(&all[i]);
    orchestrator_get_stats(w->orchestrator, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.pending, 0);
    assert_true(engine_is_idle(w->engines[0].engine));
}

static void one_seed(uint64_t seed)
{
    started_execution all[EXECUTIONS] = {0};
    int n = 0;

    dice = seed * 2654435761u + 12345;
    load.count = 0;
    poor_reset();
    w = world_new(&options);
    for (int i = 0; i < SHAPES; i++) {
        world_register(w, texts[i]);
        assert_int_equal(definition_parse(texts[i], strlen(texts[i]), NULL, &shapes[i], NULL), 0);
    }
    poor_put_under(w);
    if (seed % 2 == 0) {
        poor.roll = roll;
        poor.odds = 3 + roll(20);
    }
    for (int i = 0; i < 600; i++)
        one_thing(all, &n);
    everything_ends(all, n);
    world_free(w);
    for (int i = 0; i < SHAPES; i++)
        definition_unref(shapes[i]);
}

static void test_the_promises_hold(void **state)
{
    const char *one = getenv("CORE_SEED"), *many = getenv("CORE_SEEDS");
    uint64_t seeds = many ? strtoull(many, NULL, 10) : SEEDS;

    (void)state;
    if (one) {
        one_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        one_seed(seed);
    }
    assert_true(load.started > 20 * (long)seeds); /* an idle run proves nothing */
    assert_true(load.broken > 3 * (long)seeds);
    assert_true(load.killed > 2 * (long)seeds);
    assert_true(load.cancelled > (long)seeds);
    assert_true(load.paused > (long)seeds);
    assert_true(load.signalled > 2 * (long)seeds);
    assert_true(load.beats > 5 * (long)seeds);
    assert_true(load.undone > 5 * (long)seeds);
    assert_true(load.refused > 10 * (long)seeds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_promises_hold)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
