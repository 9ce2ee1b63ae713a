/* Goal: timers come in their order and not before their time; what is put off comes once, at the end of the turn, also when it is put
 * off by something that runs there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/loop.h"

static net_loop loop;
static char order[64];

typedef struct named {
    net_timer timer;
    net_task task;
    char name;
    int again;             /* so many times more */
    struct named *to_stop; /* when it comes */
} named;

static void note(char name)
{
    size_t n = strlen(order);

    assert_true(n < sizeof order - 1);
    order[n] = name;
}

static void on_timer(net_timer *t)
{
    named *n = (named *)(void *)((char *)t - offsetof(named, timer));

    note(n->name);
    if (n->to_stop)
        net_timer_stop(&loop, &n->to_stop->timer);
    if (n->again-- > 0)
        assert_true(net_timer_set(&loop, t, loop.now_ns + 10));
    net_defer(&loop, &n->task);
}

static void on_task(net_task *t)
{
    named *n = (named *)(void *)((char *)t - offsetof(named, task));

    note((char)(n->name - 'a' + 'A'));
    if (n->to_stop)
        net_defer(&loop, &n->to_stop->task);
}

static void init(named *n, char name)
{
    *n = (named){.name = name};
    net_timer_init(&n->timer, on_timer);
    net_task_init(&n->task, on_task);
}

static int begin(void **state)
{
    (void)state;
    memset(order, 0, sizeof order);
    assert_true(net_loop_init(&loop, 1000, 7));
    return 0;
}

static int end(void **state)
{
    (void)state;
    net_loop_free(&loop);
    return 0;
}

static void test_timers_come_in_order(void **state)
{
    named a, b, c;

    (void)state;
    init(&a, 'a');
    init(&b, 'b');
    init(&c, 'c');
    assert_true(net_timer_set(&loop, &a.timer, 1030));
    assert_true(net_timer_set(&loop, &b.timer, 1010));
    assert_true(net_timer_set(&loop, &c.timer, 1020));
    assert_int_equal(net_loop_next(&loop), 1010);
    net_loop_turn(&loop, 1009);
    assert_string_equal(order, "");
    assert_true(net_timer_set(&loop, &b.timer, 1025)); /* moved */
    net_loop_turn(&loop, 1030);
    assert_string_equal(order, "cbaCBA");
    assert_int_equal(net_loop_next(&loop), INT64_MAX);
}

static void test_time_does_not_go_back(void **state)
{
    named a;

    (void)state;
    init(&a, 'a');
    net_loop_turn(&loop, 2000);
    net_loop_turn(&loop, 1500);
    assert_int_equal(loop.now_ns, 2000);
    assert_true(net_timer_set(&loop, &a.timer, 1900));
    net_loop_turn(&loop, 1600);
    assert_string_equal(order, "aA");
}

static void test_a_timer_that_is_stopped_does_not_come(void **state)
{
    named a, b;

    (void)state;
    init(&a, 'a');
    init(&b, 'b');
    net_timer_stop(&loop, &a.timer); /* not set: nothing */
    assert_true(net_timer_set(&loop, &a.timer, 1010));
    assert_true(net_timer_set(&loop, &b.timer, 1005));
    b.to_stop = &a; /* by one that comes in the same turn */
    net_loop_turn(&loop, 1010);
    assert_string_equal(order, "bBA");
}

static void test_a_timer_sets_itself_again(void **state)
{
    named a;

    (void)state;
    init(&a, 'a');
    a.again = 2;
    assert_true(net_timer_set(&loop, &a.timer, 1010));
    net_loop_turn(&loop, 1010);
    assert_string_equal(order, "aA");
    net_loop_turn(&loop, 1019);
    net_loop_turn(&loop, 1020);
    net_loop_turn(&loop, 1030);
    assert_string_equal(order, "aAaAaA");
}

static void test_a_task_comes_once(void **state)
{
    named a, b;

    (void)state;
    init(&a, 'a');
    init(&b, 'b');
    net_defer(&loop, &a.task);
    net_defer(&loop, &a.task);
    net_defer(&loop, &b.task);
    net_task_cancel(&b.task);
    net_task_cancel(&b.task);
    assert_string_equal(order, ""); /* not at once */
    net_loop_turn(&loop, 1000);
    net_loop_turn(&loop, 1000);
    assert_string_equal(order, "A");
    a.to_stop = &b; /* put off by what was put off: in the same turn */
    net_defer(&loop, &a.task);
    net_loop_turn(&loop, 1000);
    assert_string_equal(order, "AAB");
}

static void test_without_memory_a_timer_stays_as_it_was(void **state)
{
    named a;

    (void)state;
    init(&a, 'a');
    mem_fail_at(1, 1);
    assert_false(net_timer_set(&loop, &a.timer, 1010));
    mem_fail_at(0, 0);
    net_loop_turn(&loop, 1010);
    assert_string_equal(order, "");
}

static void test_jitter_stays_within_its_part(void **state)
{
    int64_t least = INT64_MAX, most = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t t = net_jitter(&loop, 1000000, 20);

        least = t < least ? t : least;
        most = t > most ? t : most;
    }
    assert_in_range(least, 800000, 810000);
    assert_in_range(most, 1190000, 1200000);
    assert_int_equal(net_jitter(&loop, 50, 20), 50); /* too little to part */
    assert_int_equal(net_jitter(&loop, 0, 20), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers_come_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_time_does_not_go_back, begin, end),
        cmocka_unit_test_setup_teardown(test_a_timer_that_is_stopped_does_not_come, begin, end),
        cmocka_unit_test_setup_teardown(test_a_timer_sets_itself_again, begin, end),
        cmocka_unit_test_setup_teardown(test_a_task_comes_once, begin, end),
        cmocka_unit_test_setup_teardown(test_without_memory_a_timer_stays_as_it_was, begin, end),
        cmocka_unit_test_setup_teardown(test_jitter_stays_within_its_part, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
