/* Goal: events reach those who want them, in order; who is slow misses the oldest and is told how many; nobody can be too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <orch/log.h>

#include "base/mem.h"
#include "monitor/events.h"

static int readies;

static void on_ready(subscriber *s)
{
    (void)s;
    readies++;
}

static void subscribe(events *all, subscriber *s, uint8_t severity, const char *execution)
{
    memset(s, 0, sizeof *s);
    s->min_severity = severity;
    strncat(s->execution, execution, EVENTS_NAME_MAX);
    s->ready = on_ready;
    assert_true(events_subscribe(all, s));
}

static void tell(events *all, int32_t severity, const char *execution, int number)
{
    events_tell(all, number, severity, "kind", execution, "step", "number %d", number);
}

/* The next one's number; -1: there is none. */
static int64_t take(subscriber *s, uint64_t *missed)
{
    event *e = events_take(s, missed);
    int64_t at;

    if (!e)
        return -1;
    at = e->time_ms;
    event_unref(e);
    return at;
}

static void each_gets_what_it_wants(void **state)
{
    subscriber everything, warnings, one;
    uint64_t missed;
    events all;
    event *e;

    (void)state;
    events_init(&all);
    assert_false(events_wanted(&all));
    assert_false(events_wanted(NULL));
    tell(&all, ORCH_LOG_ERROR, "a", 1); /* nobody listens */
    subscribe(&all, &everything, ORCH_LOG_DEBUG, "");
    subscribe(&all, &warnings, ORCH_LOG_WARNING, "");
    subscribe(&all, &one, ORCH_LOG_DEBUG, "b");
    readies = 0;
    tell(&all, ORCH_LOG_DEBUG, "a", 2);
    tell(&all, ORCH_LOG_WARNING, "b", 3);
    assert_int_equal(readies, 3); /* once each, for what was empty */
    e = events_take(&everything, &missed);
    assert_string_equal(e->kind, "kind");
    assert_string_equal(e->execution, "a");
    assert_string_equal(e->step, "step");
    assert_string_equal(e->text, "number 2");
    assert_int_equal(e->severity, ORCH_LOG_DEBUG);
    assert_int_equal(missed, 0);
    event_unref(e);
    assert_int_equal(take(&everything, &missed), 3);
    assert_int_equal(take(&everything, &missed), -1);
    assert_int_equal(take(&warnings, &missed), 3);
    assert_int_equal(take(&one, &missed), 3);
    events_leave(&everything);
    events_leave(&warnings);
    tell(&all, ORCH_LOG_INFO, "b", 4); /* left in the queue of one that leaves */
    events_leave(&one);
    assert_false(events_wanted(&all));
}

static void who_is_slow_misses_the_oldest(void **state)
{
    subscriber s;
    uint64_t missed;
    events all;

    (void)state;
    events_init(&all);
    subscribe(&all, &s, ORCH_LOG_DEBUG, "");
    for (int i = 0; i < EVENTS_QUEUE + 7; i++)
        tell(&all, ORCH_LOG_INFO, "a", i);
    assert_int_equal(take(&s, &missed), 7);
    assert_int_equal(missed, 7);
    for (int i = 8; i < EVENTS_QUEUE + 7; i++) {
        assert_int_equal(take(&s, &missed), i);
        assert_int_equal(missed, 0);
    }
    assert_int_equal(take(&s, &missed), -1);
    mem_fail_at(1, 0);
    tell(&all, ORCH_LOG_INFO, "a", 1); /* without memory */
    mem_fail_at(0, 0);
    tell(&all, ORCH_LOG_INFO, "a", 2);
    assert_int_equal(take(&s, &missed), 2);
    assert_int_equal(missed, 1);
    events_leave(&s);
}

static void nobody_is_too_many(void **state)
{
    subscriber *many = calloc(EVENTS_SUBSCRIBERS + 1, sizeof *many);
    events all;

    (void)state;
    assert_non_null(many);
    events_init(&all);
    for (int i = 0; i < EVENTS_SUBSCRIBERS; i++)
        subscribe(&all, &many[i], ORCH_LOG_DEBUG, "");
    assert_false(events_subscribe(&all, &many[EVENTS_SUBSCRIBERS]));
    events_leave(&many[0]);
    subscribe(&all, &many[0], ORCH_LOG_DEBUG, "");
    for (int i = 0; i < EVENTS_SUBSCRIBERS; i++)
        events_leave(&many[i]);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_what_it_wants),
        cmocka_unit_test(who_is_slow_misses_the_oldest),
        cmocka_unit_test(nobody_is_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
