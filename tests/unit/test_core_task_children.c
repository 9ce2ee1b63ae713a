/* Goal: children that tasks start, through orchestrator and engines together: started once whatever attempt asks, told to nobody but who
 * waits, ended with their parent unless they are let go, and none left behind by a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/held_attempts.h"
#include "support/poor_store.h"
#include "support/world.h"
#include "workflow/child.h"
#include "workflow/run.h"

static const world_options plain = {.test_executor = &held_ops};

#define HEAD(id) "{\"id\":\"" id "\",\"version\":\"1.0.0\",\"steps\":["
#define HIRE     "{\"id\":\"hire\",\"executor\":\"test\"}"
#define BOX      HEAD("box") "{\"id\":\"work\",\"executor\":\"test\"}]}"
#define BOSS     HEAD("boss") HIRE "]}"
#define STUBBORN \
    HEAD("stubborn") "{\"id\":\"hire\",\"executor\":\"test\",\"retry\":{\"max_attempts\":9}}]}"
#define HURRY "{\"id\":\"hurry\",\"version\":\"1.0.0\",\"timeout\":\"5s\",\"steps\":[" HIRE "]}"
#define PATIENT                                                                    \
    HEAD("patient")                                                                \
    HIRE ",{\"id\":\"sleep\",\"executor\":\"wait\",\"depends_on\":[\"hire\"],"     \
         "\"with\":{\"signal\":\"go\"}},{\"id\":\"last\",\"executor\":\"test\",\"" \
         "depends_on\":[\"sleep\"]}]}"
#define CALLER \
    HEAD("caller") "{\"id\":\"call\",\"executor\":\"workflow\",\"with\":{\"workflow\":\"box\"}}]}"

#define SLEEPER \
    HEAD("sleeper") "{\"id\":\"s\",\"executor\":\"wait\",\"with\":{\"signal\":\"never\"}}]}"
#define CAREFUL                                                                        \
    HEAD("careful")                                                                    \
    "{\"id\":\"first\",\"executor\":\"test\",\"compensate\":{\"executor\":\"test\"}}," \
    "{\"id\":\"hire\",\"executor\":\"test\",\"depends_on\":[\"first\"]}]}"

static world *begin(const world_options *o)
{
    world *w;

    held_reset();
    w = world_new(o);
    world_register(w, BOX);
    world_register(w, BOSS);
    world_register(w, STUBBORN);
    world_register(w, HURRY);
    world_register(w, PATIENT);
    world_register(w, CALLER);
    world_register(w, SLEEPER);
    world_register(w, CAREFUL);
    return w;
}

/* ---- starting one ---------------------------------------------------------------------------------------- */

typedef struct ask {
    start_request request; /* first */
    bool answered;
    bool by_store; /* it refused the child of an ended parent */
} ask;

static void answered(start_request *r)
{
    ((ask *)r)->answered = true;
}

/* Ask for one from within a held attempt; not answered yet. */
static void post(world *w, ask *a, const attempt_place *from, const char *id, const char *workflow,
                 bool abandoned)
{
    *a = (ask){.request = {.done = answered}};
    a->request.workflow = mem_strdup(workflow);
    a->request.id = mem_strdup(id);
    orchestrator_start_child(w->orchestrator, &a->request, from, abandoned);
    assert_false(a->answered); /* never inside the call */
}

static void clear(ask *a)
{
    assert_true(a->answered);
    a->by_store = a->request.error &&
                  strstr(orch_error_message(a->request.error), "parent has ended");
    mem_free(a->request.workflow);
    mem_free(a->request.id);
    orch_error_free(a->request.error);
}

static attempt_place place_of(int i)
{
    attempt_place at;

    assert_non_null(held.open[i]);
    assert_true(engine_place_of(held.open[i], &at));
    return at;
}

static int32_t start_at(world *w, const attempt_place *from, const char *key, const char *workflow,
                        bool abandoned, uint64_t *child, bool *existed)
{
    char *id = child_id_of_task(held.keys[0], key);
    int32_t code;
    ask a;

    post(w, &a, from, id, workflow, abandoned);
    world_settle(w);
    clear(&a);
    code = a.request.code;
    *child = code ? 0 : a.request.key;
    *existed = a.request.existed;
    mem_free(id);
    return code;
}

static uint64_t start_child(world *w, int i, const char *key, bool abandoned)
{
    attempt_place from = place_of(i);
    uint64_t child;
    bool existed;

    assert_int_equal(start_at(w, &from, key, "box", abandoned, &child, &existed), 0);
    assert_false(existed);
    return child;
}

static int32_t control(world *w, const char *id, enum control_action action)
{
    return world_control(w, id, (control_request){.action = (uint8_t)action});
}

static void test_it_hangs_below_its_parent(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "boss", "b", NULL);
    uint64_t child = start_child(w, 0, NULL, false);
    execution_row row;

    (void)state;
    assert_int_equal(child, world_key(w, "b/1/hire"));
    row = world_row(w, child);
    assert_true(row.parent == parent && row.by_task && !row.abandoned);
    assert_int_equal(row.parent_run, 1);
    assert_int_equal(row.parent_step, 0);
    assert_int_equal(row.parent_index, INDEX_NONE);
    assert_int_equal(row.parent_attempt, 1);
    assert_int_equal(row.depth, 1);
    execution_row_clear(&row);
    held_succeed(1, "\"done\"");
    world_settle(w);
    assert_int_equal(world_state(w, child), EXECUTION_SUCCEEDED);
    row = world_row(w, parent);
    assert_int_equal(row.inbox_seq, 0); /* nothing disturbs its run */
    execution_row_clear(&row);
    held_succeed(0, NULL);
    world_settle(w);
    assert_int_equal(world_state(w, parent), EXECUTION_SUCCEEDED);
    assert_int_equal(world_checkpoints(w, parent, 0), 1);
    world_free(w);
}

static void test_the_next_attempt_finds_it(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "stubborn", "b", NULL);
    uint64_t child = start_child(w, 0, NULL, false), other, found;
    attempt_place from;
    bool existed;

    (void)state;
    other = start_child(w, 0, "second", false);
    assert_int_equal(other, world_key(w, "b/1/hire~second"));
    held_fail(0, ORCH_E_UNAVAILABLE, false);
    world_advance(w, 60000);
    assert_int_equal(held.started, 4);
    from = place_of(3);
    assert_int_equal(from.attempt, 2);
    assert_int_equal(start_at(w, &from, NULL, "box", false, &found, &existed), 0);
    assert_true(existed && found == child);
    held_succeed(1, NULL);
    world_settle(w);
    assert_int_equal(start_at(w, &from, NULL, "box", false, &found, &existed), 0);
    assert_true(existed && found == child); /* also once it has ended */
    assert_int_equal(start_at(w, &from, NULL, "boss", false, &found, &existed),
                     ORCH_E_ALREADY_EXISTS);
    world_restart(w, &plain);
    world_settle(w);
    for (int i = 4; i < held.started; i++) /* of the parent, and of the second child */
        if (place_of(i).execution == parent)
            from = place_of(i);
    assert_int_equal(start_at(w, &from, "second", "box", false, &found, &existed), 0);
    assert_true(existed && found == other);
    world_free(w);
}

static void test_an_id_may_be_taken(void **state)
{
    world *w = begin(&plain);
    attempt_place from;
    uint64_t found;
    bool existed;

    (void)state;
    world_start(w, "boss", "b", NULL);
    world_start(w, "box", "b/1/hire", NULL);
    from = place_of(0);
    assert_int_equal(start_at(w, &from, NULL, "box", false, &found, &existed),
                     ORCH_E_ALREADY_EXISTS);
    assert_int_equal(start_at(w, &from, "k", "nowhere", false, &found, &existed), ORCH_E_NOT_FOUND);
    world_free(w);
}

static void ended(control_request *r)
{
    mem_free(r->id);
    r->id = NULL;
}

/* ---- the parent's end ------------------------------------------------------------------------------------ */

/* The task waits for its child, and the child's work is told to stop at once. */
static void test_a_cancel_goes_down_at_once(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "boss", "b", NULL);
    uint64_t child = start_child(w, 0, NULL, false), free_one = start_child(w, 0, "free", true);

    (void)state;
    held.ignores_stop = true;
    assert_int_equal(world_cancel(w, "b", NULL), 0);
    assert_int_equal(held.stopped, 2);
    held_fail(1, ORCH_E_CANCELLED, false);
    world_settle(w);
    assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, parent), EXECUTION_OPEN);
    held_fail(0, ORCH_E_CANCELLED, false);
    world_settle(w);
    assert_int_equal(world_state(w, parent), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, free_one), EXECUTION_OPEN);
    held_succeed(2, NULL);
    world_settle(w);
    assert_int_equal(world_state(w, free_one), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* Whichever the end, a child that its step did not wait for ends with it. */
static void test_it_ends_with_its_parent(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        world *w = begin(&plain);
        uint64_t parent = world_start(w, how == 3 ? "hurry" : "boss", "b", NULL);
        uint64_t child = start_child(w, 0, NULL, false), free_one = start_child(w, 0, "f", true);
        char *error;

        if (how == 0)
            held_succeed(0, NULL);
        else if (how == 1)
            held_fail(0, ORCH_E_ABORTED, true);
        else if (how == 2)
            assert_int_equal(control(w, "b", CONTROL_TERMINATE), 0);
        else
            world_advance(w, 5000);
        world_settle(w);
        assert_true(EXECUTION_STATE_IS_END(world_state(w, parent)));
        assert_int_equal(world_state(w, child),
                         how == 3 ? EXECUTION_TIMED_OUT : EXECUTION_CANCELLED);
        error = world_error(w, child);
        if (how == 2)
            assert_non_null(strstr(error, "\"ABORTED\"")); /* terminated as well */
        mem_free(error);
        assert_int_equal(world_state(w, free_one), EXECUTION_OPEN);
        world_free(w);
    }
}

/* Its step has ended, its parent sleeps in the store, and another process has it: its cancel still finds the child. */
static void test_a_sleeping_parent_knows_its_children(void **state)
{
    (void)state;
    for (int restarted = 0; restarted < 2; restarted++) {
        world *w = begin(&plain);
        uint64_t parent = world_start(w, "patient", "b", NULL);
        uint64_t child = start_child(w, 0, NULL, false);

        held_succeed(0, NULL);
        world_advance(w, 20000);
        assert_int_equal(world_state(w, parent), EXECUTION_SUSPENDED);
        if (restarted)
            world_restart(w, &plain);
        assert_int_equal(world_cancel(w, "b", NULL), 0);
        assert_int_equal(world_state(w, parent), EXECUTION_CANCELLED);
        assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
        world_free(w);
    }
}

/* It wakes, goes on, and succeeds long after the restart: the child of the first step ends then. */
static void test_a_child_outlives_its_step(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "patient", "b", NULL);
    uint64_t child = start_child(w, 0, NULL, false);

    (void)state;
    held_succeed(0, NULL);
    world_advance(w, 20000);
    world_restart(w, &plain);
    assert_int_equal(world_signal(w, "b", "go", NULL, NULL), 0);
    assert_int_equal(world_state(w, child), EXECUTION_OPEN);
    held_succeed(held.started - 1, NULL);
    world_settle(w);
    assert_int_equal(world_state(w, parent), EXECUTION_SUCCEEDED);
    assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
    world_free(w);
}

static size_t notes(world *w)
{
    setting_page page = {0};
    size_t count;

    assert_int_equal(w->store.ops->load_settings(w->store.self, "children/", &page, NULL), 0);
    count = page.count;
    setting_page_clear(&page);
    return count;
}

/* The process dies between the parent's end and what follows from it: what sleeps is found as well as what runs. */
static void test_a_restart_leaves_none_behind(void **state)
{
    (void)state;
    for (int terminated = 0; terminated < 2; terminated++) {
        world *w = begin(&plain);
        uint64_t parent = world_start(w, "boss", "b", NULL);
        uint64_t child = start_child(w, 0, NULL, false), free_one = start_child(w, 0, "f", true);
        attempt_place from = place_of(0);
        uint64_t asleep;
        char *error;
        bool existed;

        assert_int_equal(start_at(w, &from, "z", "sleeper", false, &asleep, &existed), 0);
        world_advance(w, 20000);
        assert_int_equal(world_state(w, asleep), EXECUTION_SUSPENDED);
        if (terminated) {
            control_request end = {.action = CONTROL_TERMINATE, .done = ended};

            end.id = mem_strdup("b");
            orchestrator_control(w->orchestrator, &end);
            for (int i = 0; end.id && i < 20; i++) /* up to its answer */
                world_nudge(w, i % 2 ? 3 : 9);
            assert_null(end.id);
        } else {
            w->pool_held = true; /* where children are looked for */
            held_succeed(0, NULL);
            world_settle(w);
            w->pool_held = false;
        }
        assert_true(EXECUTION_STATE_IS_END(world_state(w, parent)));
        assert_int_equal(world_state(w, child), EXECUTION_OPEN);
        assert_int_equal(world_state(w, asleep), EXECUTION_SUSPENDED);
        assert_int_equal(notes(w), 1);
        world_restart(w, &plain);
        world_settle(w);
        assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
        assert_int_equal(world_state(w, asleep), EXECUTION_CANCELLED);
        assert_int_equal(world_state(w, free_one), EXECUTION_OPEN);
        error = world_error(w, asleep);
        assert_int_equal(strstr(error, "\"ABORTED\"") != NULL, terminated);
        mem_free(error);
        assert_int_equal(notes(w), 0);
        world_free(w);
    }
}

/* Whichever unit the store refuses for a moment: the end, the cancels of the children, the note's deletion. */
static void test_a_refusal_leaves_none_behind(void **state)
{
    int refused = 0;

    (void)state;
    for (int pass = 0; pass < 8; pass++) {
        world *w = begin(&plain);
        uint64_t parent = world_start(w, "boss", "b", NULL);
        uint64_t children[2] = {start_child(w, 0, "a", false), start_child(w, 0, "b", false)};

        poor_reset();
        poor_put_under(w);
        poor.pass = pass;
        poor.refuse = 1;
        held_succeed(0, NULL);
        world_advance(w, 10000);
        refused += poor.refused;
        assert_int_equal(world_state(w, parent), EXECUTION_SUCCEEDED);
        for (int i = 0; i < 2; i++)
            assert_int_equal(world_state(w, children[i]), EXECUTION_CANCELLED);
        world_restart(w, &plain); /* the note may be left, if its deletion was refused */
        world_settle(w);
        assert_int_equal(notes(w), 0);
        world_free(w);
    }
    assert_true(refused >= 5);
}

static void put_note(world *w, const char *name, const char *value)
{
    setting_row row = {mem_strdup(name), bytes_new(value, strlen(value))};
    store_unit u = {.term = 1, .put_setting = &row};

    w->store.ops->submit(w->store.self, &u);
    w->store.ops->flush(w->store.self);
    assert_ptr_equal(w->store.ops->reap(w->store.self), &u);
    assert_int_equal(u.result, 0);
    setting_row_clear(&row);
}

/* A note of the first run, which the process had no time for, says nothing about the second. */
static void test_a_note_spares_later_runs(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "boss", "b", NULL), child;
    char name[32] = "children/";

    (void)state;
    held_fail(0, ORCH_E_ABORTED, true);
    world_settle(w);
    assert_int_equal(control(w, "b", CONTROL_RETRY), 0);
    free(held.keys[0]);
    held.keys[0] = strdup("b/2/hire");
    child = start_child(w, 1, NULL, false);
    execution_id_format(parent, name + strlen(name));
    put_note(w, name, "{\"action\":\"cancel\",\"run\":1}");
    world_restart(w, &plain);
    world_settle(w);
    assert_int_equal(notes(w), 0);
    assert_int_equal(world_state(w, child), EXECUTION_OPEN);
    world_free(w);
}

/* Its engine is lost, and it is cancelled while it waits for another one; what it does then takes its time. */
static void test_a_cancel_between_engines_goes_down(void **state)
{
    world *w = begin(&plain);
    uint64_t parent, child;

    (void)state;
    parent = world_start(w, "careful", "c", NULL);
    held_succeed(0, NULL); /* which is to be compensated */
    world_settle(w);
    free(held.keys[0]);
    held.keys[0] = strdup("c/1/hire");
    child = start_child(w, 1, NULL, false);
    world_restart_engine(w, 0, &plain);
    world_settle(w);
    assert_null(world_channel(w, parent));
    assert_int_equal(world_cancel(w, "c", NULL), 0);
    world_advance(w, 1000);
    assert_int_equal(world_state(w, parent), EXECUTION_OPEN);
    assert_int_equal(held.roles[held.started - 1], ROLE_COMPENSATE);
    assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
    held_succeed(held.started - 1, NULL);
    world_settle(w);
    assert_int_equal(world_state(w, parent), EXECUTION_CANCELLED);
    world_free(w);
}

/* The same of a child that the executor `workflow` has started, whose parent sleeps. */
static void test_a_sleeping_parent_awaits_its_child(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "caller", "c", NULL), child = world_key(w, "c/1/call");

    (void)state;
    held.ignores_stop = true;
    world_advance(w, 20000);
    assert_int_equal(world_state(w, parent), EXECUTION_SUSPENDED);
    assert_int_equal(world_cancel(w, "c", NULL), 0);
    assert_int_equal(held.stopped, 1);
    assert_int_equal(world_state(w, parent), EXECUTION_OPEN);
    held_fail(0, ORCH_E_CANCELLED, false);
    world_settle(w);
    assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, parent), EXECUTION_CANCELLED);
    world_free(w);
}

/* Likewise where the parent waits for an engine, since it has lost the one that it had. */
static void test_a_waiting_parent_awaits_its_child(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "caller", "c", NULL), child = world_key(w, "c/1/call");

    (void)state;
    world_restart_engine(w, 0, &plain);
    world_settle(w);
    assert_null(world_channel(w, parent));
    assert_int_equal(world_cancel(w, "c", NULL), 0);
    assert_int_equal(world_state(w, parent), EXECUTION_OPEN);
    world_advance(w, 1000);
    assert_int_equal(world_state(w, parent), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, child), EXECUTION_CANCELLED);
    world_free(w);
}

/* ---- when none may be started ---------------------------------------------------------------------------- */

static void test_an_old_hand_over_starts_none(void **state)
{
    world *w = begin(&plain);
    attempt_place from;
    uint64_t child;
    bool existed;

    (void)state;
    world_start(w, "boss", "b", NULL);
    from = place_of(0);
    world_restart_engine(w, 0, &plain);
    world_advance(w, 60000);
    assert_int_equal(held.started, 2);
    assert_int_equal(start_at(w, &from, NULL, "box", false, &child, &existed),
                     ORCH_E_FAILED_PRECONDITION);
    from = place_of(1);
    held_succeed(1, NULL);
    world_settle(w);
    assert_int_equal(start_at(w, &from, NULL, "box", false, &child, &existed),
                     ORCH_E_FAILED_PRECONDITION);
    world_free(w);
}

/* The end is on its way into the store when the child is asked for: whichever comes first, none goes on. */
static void test_an_end_on_its_way_lets_none_pass(void **state)
{
    int refused = 0, accepted = 0, by_store = 0;

    (void)state;
    for (uint32_t point = 0; point < 12; point++) {
        world *w = begin(&plain);
        uint64_t parent = world_start(w, "boss", "b", NULL);
        control_request end = {.action = CONTROL_TERMINATE, .done = ended};
        attempt_place from = place_of(0);
        execution_filter open = {.parent = parent, .states = 1U << EXECUTION_OPEN};
        execution_page page = {0};
        ask a;

        end.id = mem_strdup("b");
        orchestrator_control(w->orchestrator, &end);
        for (uint32_t i = 0; i < point; i++)
            world_nudge(w, i % 2 ? 3 : 9); /* the orchestrator; store and pool */
        post(w, &a, &from, "b/1/hire", "box", false);
        world_settle(w);
        clear(&a);
        assert_null(end.id);
        refused += a.request.code == ORCH_E_FAILED_PRECONDITION;
        accepted += a.request.code == 0;
        by_store += a.by_store;
        assert_int_equal(world_state(w, parent), EXECUTION_CANCELLED);
        assert_int_equal(w->store.ops->list_executions(w->store.self, &open, &page, NULL), 0);
        assert_int_equal(page.count, 0);
        execution_page_clear(&page);
        world_free(w);
    }
    assert_int_equal(refused + accepted, 12);
    assert_true(accepted && by_store && refused > by_store);
}

static void test_there_is_a_deepest(void **state)
{
    world *w = begin(&plain);
    attempt_place from;
    uint64_t child = 0;
    bool existed;

    (void)state;
    world_start(w, "boss", "b", NULL);
    for (uint32_t depth = 1; depth <= CHILD_DEPTH_MAX; depth++) {
        char key[8];

        snprintf(key, sizeof key, "%u", depth);
        from = place_of(held.started - 1);
        assert_int_equal(start_at(w, &from, key, "boss", false, &child, &existed), 0);
    }
    from = place_of(held.started - 1);
    assert_true(from.execution == child);
    assert_int_equal(start_at(w, &from, "x", "boss", false, &child, &existed),
                     ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(world_cancel(w, "b", NULL), 0);
    world_settle(w);
    for (int i = 0; i < held.started; i++)
        assert_null(held.open[i]); /* all the way down */
    world_free(w);
}

static void test_a_backlog_holds_none_up(void **state)
{
    world_options o = plain;
    uint64_t key;
    world *w;

    (void)state;
    o.max_open = 1;
    w = begin(&o);
    world_start(w, "boss", "b", NULL);
    assert_int_equal(world_start_code(w, "box", NULL, NULL, &key), ORCH_E_RESOURCE_EXHAUSTED);
    start_child(w, 0, NULL, false);
    world_free(w);
}

/* ---- new runs -------------------------------------------------------------------------------------------- */

static void test_a_retry_belongs_to_the_parent(void **state)
{
    world *w = begin(&plain);
    uint64_t parent = world_start(w, "boss", "b", NULL), again;

    (void)state;
    start_child(w, 0, NULL, false);
    start_child(w, 0, "free", true);
    held_fail(1, ORCH_E_ABORTED, true);
    held_fail(2, ORCH_E_ABORTED, true);
    world_settle(w);
    assert_int_equal(control(w, "b/1/hire", CONTROL_RETRY), ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(control(w, "b/1/hire~free", CONTROL_RETRY), 0);
    assert_int_equal(held.started, 4);
    held_fail(0, ORCH_E_ABORTED, true);
    world_settle(w);
    assert_int_equal(world_state(w, parent), EXECUTION_FAILED);
    assert_int_equal(control(w, "b", CONTROL_RETRY), 0);
    assert_int_equal(held.started, 5);
    assert_string_equal(held.keys[4], "b/2/hire");
    free(held.keys[0]);
    held.keys[0] = strdup(held.keys[4]);
    again = start_child(w, 4, NULL, false); /* of the new run */
    assert_int_equal(again, world_key(w, "b/2/hire"));
    assert_int_equal(world_state(w, world_key(w, "b/1/hire~free")), EXECUTION_OPEN);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_hangs_below_its_parent),
        cmocka_unit_test(test_the_next_attempt_finds_it),
        cmocka_unit_test(test_an_id_may_be_taken),
        cmocka_unit_test(test_a_cancel_goes_down_at_once),
        cmocka_unit_test(test_it_ends_with_its_parent),
        cmocka_unit_test(test_a_sleeping_parent_knows_its_children),
        cmocka_unit_test(test_a_child_outlives_its_step),
        cmocka_unit_test(test_a_restart_leaves_none_behind),
        cmocka_unit_test(test_a_refusal_leaves_none_behind),
        cmocka_unit_test(test_a_note_spares_later_runs),
        cmocka_unit_test(test_a_cancel_between_engines_goes_down),
        cmocka_unit_test(test_a_sleeping_parent_awaits_its_child),
        cmocka_unit_test(test_a_waiting_parent_awaits_its_child),
        cmocka_unit_test(test_an_old_hand_over_starts_none),
        cmocka_unit_test(test_an_end_on_its_way_lets_none_pass),
        cmocka_unit_test(test_there_is_a_deepest),
        cmocka_unit_test(test_a_backlog_holds_none_up),
        cmocka_unit_test(test_a_retry_belongs_to_the_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
