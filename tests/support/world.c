#include "support/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"

static int64_t now_ms(void *ctx)
{
    return ((world *)ctx)->now_ms;
}

static void orchestrator_timer(void *ctx, int64_t at_ms)
{
    ((world *)ctx)->timer_ms = at_ms;
}

static int64_t engine_now_ms(void *ctx)
{
    return ((world_engine *)ctx)->world->now_ms;
}

static void engine_timer(void *ctx, int64_t at_ms)
{
    ((world_engine *)ctx)->timer_ms = at_ms;
}

static uint64_t engine_random(void *ctx)
{
    world *w = ((world_engine *)ctx)->world;

    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return w->random ^ w->random >> 33;
}

static void engine_wake(void *ctx)
{
    ((world_engine *)ctx)->wakes++;
}

static int32_t pool_submit(void *self, work *job)
{
    job->refused = 0;
    mpsc_push(&((world *)self)->pool, &job->node);
    return 0;
}

static void pool_run(world *w)
{
    mpsc_node *node = w->pool_held ? NULL : mpsc_drain(&w->pool);

    while (node) {
        work *job = LIST_ENTRY(node, work, node);

        node = node->next;
        job->run(job);
        mpsc_push(&w->ran, &job->node);
    }
}

static bool pool_bring_back(mpsc *from, bool refuse)
{
    mpsc_node *node = mpsc_drain(from);
    bool any = node != NULL;

    while (node) {
        work *job = LIST_ENTRY(node, work, node);

        node = node->next;
        job->refused = refuse;
        job->done(job);
    }
    return any;
}

static bool pool_turn(world *w, bool refuse)
{
    bool any = false;

    if (refuse)
        any = pool_bring_back(&w->pool, true);
    else
        pool_run(w);
    return pool_bring_back(&w->ran, false) || any;
}

static void accept_as_remote(void *ctx, channel *c)
{
    world_engine *we = ctx;

    we->world->remote_channel_ops = *c->ops;
    we->world->remote_channel_ops.in_process = false;
    c->ops = &we->world->remote_channel_ops;
    engine_accept(we->engine, c);
}

static void listen_for(world_engine *we, bool remote)
{
    const transport *t = &we->world->transport;

    assert_int_equal(t->ops->listen(t->self, we->name, remote ? accept_as_remote : engine_accept,
                                    remote ? (void *)we : (void *)we->engine, NULL),
                     0);
}

static void start_engine(world *w, uint32_t i, const world_options *o)
{
    world_engine *we = &w->engines[i];
    engine_options options = {
        .name = we->name,
        .instance = ++w->instance,
        .capacity = o->capacity ? o->capacity : 100,
        .credit = o->credit,
        .codec = o->codec,
    };
    engine_ports ports = {
        .ctx = we,
        .now_ms = engine_now_ms,
        .steady_ms = engine_now_ms,
        .set_timer = engine_timer,
        .random = engine_random,
        .wake = engine_wake,
        .pool = {w, pool_submit},
    };
    executor noop;

    we->world = w;
    we->timer_ms = INT64_MAX;
    snprintf(we->name, sizeof we->name, "engine-%u", i);
    assert_int_equal(engine_new(&options, &ports, &we->engine, NULL), 0);
    assert_int_equal(executor_noop_new(&noop, NULL), 0);
    assert_int_equal(engine_add_executor(we->engine, "noop", noop, NULL), 0);
    if (o->test_executor) {
        executor test = {o->test_executor, o->test_self};

        assert_int_equal(engine_add_executor(we->engine, "test", test, NULL), 0);
    }
    listen_for(we, o->remote);
}

static void start_cores(world *w, const world_options *o)
{
    orchestrator_options options = {.window = o->window,
                                    .window_bytes = o->window_bytes,
                                    .max_open = o->max_open,
                                    .max_accepting = o->max_accepting};
    orchestrator_ports ports = {
        .ctx = w,
        .now_ms = now_ms,
        .steady_ms = now_ms,
        .set_timer = orchestrator_timer,
        .io = {w, pool_submit},
        .store = w->store,
    };
    balancer b;

    assert_int_equal(w->store.ops->lease(w->store.self, "test", w->now_ms, &ports.term, NULL), 0);
    w->timer_ms = INT64_MAX;
    assert_int_equal(transport_inproc_new(&w->transport, NULL), 0);
    w->remote_ops = *w->transport.ops;
    w->remote_ops.in_process = !o->remote;
    w->transport.ops = &w->remote_ops;
    assert_int_equal(balancer_round_robin_new(&b, NULL), 0);
    assert_int_equal(orchestrator_new(&options, &ports, b, &w->orchestrator, NULL), 0);
    w->engine_count = o->raw_accept ? 0 : o->engines ? o->engines : 1;
    for (uint32_t i = 0; i < w->engine_count; i++)
        start_engine(w, i, o);
    if (o->raw_accept)
        assert_int_equal(w->transport.ops->listen(w->transport.self, "engine-0", o->raw_accept,
                                                  o->raw_ctx, NULL),
                         0);
    for (uint32_t i = 0; i == 0 || i < w->engine_count; i++) {
        char name[24];

        snprintf(name, sizeof name, "engine-%u", i);
        assert_int_equal(orchestrator_add_engine(w->orchestrator, name, w->transport, name,
                                                 o->capacity ? o->capacity : 100, NULL),
                         0);
    }
}

/* What was in the store's queue is given back to nobody, as after a kill. */
static void stop_cores(world *w)
{
    for (uint32_t i = 0; i < w->engine_count; i++)
        engine_stop(w->engines[i].engine);
    orchestrator_stop(w->orchestrator);
    pool_turn(w, true);
    while (!orchestrator_is_idle(w->orchestrator)) {
        w->store.ops->flush(w->store.self);
        orchestrator_pump(w->orchestrator, 1000);
        pool_turn(w, true);
    }
    orchestrator_free(w->orchestrator);
    while (w->transport.ops->pump(w->transport.self, 1000))
        ;
    for (uint32_t i = 0; i < w->engine_count; i++)
        engine_free(w->engines[i].engine);
    w->transport.ops->free(w->transport.self);
}

world *world_new(const world_options *o)
{
    store_options so = {.url = "memory:"};
    world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->now_ms = 1700000000000;
    w->random = 42;
    assert_int_equal(store_open(&so, &w->store, NULL), 0);
    start_cores(w, o);
    world_settle(w);
    return w;
}

void world_free(world *w)
{
    stop_cores(w);
    w->store.ops->stop(w->store.self, 0, NULL);
    w->store.ops->free(w->store.self);
    free(w);
}

void world_restart(world *w, const world_options *o)
{
    stop_cores(w);
    start_cores(w, o);
}

void world_restart_engine(world *w, uint32_t i, const world_options *o)
{
    world_engine *we = &w->engines[i];

    w->transport.ops->unlisten(w->transport.self, we->name);
    engine_stop(we->engine);
    pool_turn(w, true);
    engine_free(we->engine);
    start_engine(w, i, o);
}

void world_settle(world *w)
{
    bool more;

    do {
        more = w->transport.ops->pump(w->transport.self, 1000);
        for (uint32_t i = 0; i < w->engine_count; i++)
            more |= engine_pump(w->engines[i].engine, 1000);
        more |= orchestrator_pump(w->orchestrator, 1000);
        w->store.ops->flush(w->store.self);
        more |= orchestrator_pump(w->orchestrator, 1000);
        more |= w->transport.ops->pump(w->transport.self, 1000);
        more |= pool_turn(w, false);
        for (uint32_t i = 0; i < w->engine_count; i++)
            more |= engine_pump(w->engines[i].engine, 1000);
        more |= w->transport.ops->pump(w->transport.self, 0);
        more |= w->orchestrator->stats.units_in_store != 0;
    } while (more);
}

void world_nudge(world *w, uint32_t which)
{
    switch (which % 5) {
    case 0:
    case 1: w->transport.ops->pump(w->transport.self, 1); break;
    case 2: engine_pump(w->engines[which / 5 % w->engine_count].engine, 1); break;
    case 3: orchestrator_pump(w->orchestrator, 1); break;
    default:
        w->store.ops->flush(w->store.self);
        pool_run(w);
        if (which / 5 % 3) /* else what was read grows old on its way */
            pool_bring_back(&w->ran, false);
        break;
    }
}

static int64_t next_timer(const world *w)
{
    int64_t at = w->timer_ms;

    for (uint32_t i = 0; i < w->engine_count; i++)
        if (w->engines[i].timer_ms < at)
            at = w->engines[i].timer_ms;
    return at;
}

void world_advance(world *w, int64_t ms)
{
    int64_t until = w->now_ms + ms;

    world_settle(w);
    while (next_timer(w) <= until) {
        if (next_timer(w) > w->now_ms)
            w->now_ms = next_timer(w);
        world_settle(w);
    }
    w->now_ms = until;
    world_settle(w);
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static void registered(register_request *r)
{
    r->definition = NULL;
}

void world_register(world *w, const char *text)
{
    register_request r = {.done = registered, .code = 1};
    orch_error *error = NULL;
    definition *d = NULL;

    if (definition_parse(text, strlen(text), NULL, &d, &error))
        fail_msg("%s", orch_error_message(error));
    r.definition = d;
    orchestrator_register(w->orchestrator, &r);
    world_settle(w);
    if (r.code)
        fail_msg("%s", orch_error_message(r.error));
    definition_unref(d);
}

static void started(start_request *r)
{
    r->workflow = NULL;
}

int32_t world_start_code(world *w, const char *workflow, const char *id, const char *input,
                         uint64_t *key)
{
    char *name = mem_strdup(workflow);
    start_request r = {.done = started, .workflow = name};

    r.id = id ? mem_strdup(id) : NULL;
    r.input = input ? bytes_new(input, strlen(input)) : NULL;
    orchestrator_start(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.workflow); /* answered */
    mem_free(name);
    mem_free(r.id);
    bytes_unref(r.input);
    orch_error_free(r.error);
    *key = r.key;
    return r.code;
}

uint64_t world_start(world *w, const char *workflow, const char *id, const char *input)
{
    uint64_t key = 0;

    assert_int_equal(world_start_code(w, workflow, id, input, &key), 0);
    return key;
}

static void cancelled(control_request *r)
{
    mem_free(r->id);
    r->id = NULL;
}

int32_t world_cancel(world *w, const char *id, const char *reason)
{
    control_request r = {.done = cancelled, .id = mem_strdup(id)};

    r.why = reason ? mem_strdup(reason) : NULL;
    orchestrator_control(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.id); /* answered */
    mem_free(r.why);
    orch_error_free(r.error);
    return r.code;
}

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

int32_t world_control(world *w, const char *id, control_request r)
{
    r.done = cancelled;
    r.id = mem_strdup(id);
    r.name = copy(r.name);
    r.step = copy(r.step);
    r.new_id = copy(r.new_id);
    bytes_ref(r.correlation);
    bytes_ref(r.payload);
    orchestrator_control(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.id); /* answered */
    mem_free(r.name);
    mem_free(r.step);
    mem_free(r.new_id);
    bytes_unref(r.correlation);
    bytes_unref(r.payload);
    orch_error_free(r.error);
    return r.code;
}

static bytes *bytes_of(const char *s)
{
    return s ? bytes_new(s, strlen(s)) : NULL;
}

int32_t world_signal(world *w, const char *id, const char *name, const char *correlation,
                     const char *payload)
{
    char *own = mem_strdup(name);
    bytes *c = bytes_of(correlation), *data = bytes_of(payload);
    control_request r = {.action = CONTROL_SIGNAL, .name = own, .correlation = c, .payload = data};
    int32_t code = world_control(w, id, r);

    mem_free(own);
    bytes_unref(c);
    bytes_unref(data);
    return code;
}

uint64_t world_key(world *w, const char *id)
{
    execution_row row = {0};
    uint64_t key;

    assert_int_equal(w->store.ops->load_execution(w->store.self, 0, id, &row, NULL), 0);
    key = row.key;
    execution_row_clear(&row);
    return key;
}

execution_row world_row(world *w, uint64_t key)
{
    execution_row row = {0};

    assert_int_equal(w->store.ops->load_execution(w->store.self, key, NULL, &row, NULL), 0);
    return row;
}

uint8_t world_state(world *w, uint64_t key)
{
    execution_row row = world_row(w, key);
    uint8_t state = row.state;

    execution_row_clear(&row);
    return state;
}

static char *text_of(const bytes *b)
{
    return b ? mem_strndup(b->data, b->len) : mem_strdup("null");
}

char *world_output(world *w, uint64_t key)
{
    execution_row row = world_row(w, key);
    char *text = text_of(row.output);

    execution_row_clear(&row);
    return text;
}

char *world_error(world *w, uint64_t key)
{
    execution_row row = world_row(w, key);
    char *text = text_of(row.error);

    execution_row_clear(&row);
    return text;
}

uint32_t world_checkpoints(world *w, uint64_t key, uint8_t kind)
{
    checkpoint_page page = {0};
    uint32_t n = 0;

    assert_int_equal(w->store.ops->load_checkpoints(w->store.self, key, 1, 0, 0, &page, NULL), 0);
    for (size_t i = 0; i < page.count; i++) {
        assert_int_equal(page.rows[i].seq, i + 1);
        if (!kind || page.rows[i].kind == kind)
            n++;
    }
    checkpoint_page_clear(&page);
    return n;
}

channel *world_channel(world *w, uint64_t key)
{
    live *l = live_find(w->orchestrator, key);

    return l ? l->channel : NULL;
}
