/* Goal: whichever allocation of whichever public function fails, in whichever thread, the answer is RESOURCE_EXHAUSTED or a success, never a
 * crash, a hang or a leak; the same call then succeeds, and nothing that was accepted is lost. The rows of the test of misuse, which
 * has all public functions, say which there must be: tests/support/oom_*.c. */
#include "support/oom.h"

#include <stdlib.h>
#include <string.h>

static const oom_row *const tables[] = {
    oom_values_rows, oom_start_rows,        oom_look_rows,      oom_control_rows, oom_settings_rows,
    oom_engine_rows, oom_subworkflows_rows, oom_transport_rows, oom_orch_rows,
};

#define EACH_TABLE(t) for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
#define EACH_OOM_ROW(r) \
    EACH_TABLE(t)       \
    for (const oom_row *r = tables[t]; r->names; r++)

static bool has_row(const char *name)
{
    EACH_OOM_ROW(r)
    {
        if (misuse_names(r->names, name))
            return true;
    }
    return false;
}

static void every_function_has_a_row(void **state)
{
    int count = 0;

    (void)state;
    EACH_MISUSE_ROW(m)
    {
        char names[1000], *rest = names;

        assert_true(strlen(m->names) < sizeof names);
        strcpy(names, m->names);
        for (char *name; (name = strtok_r(rest, " ", &rest)); count++)
            if (!has_row(name))
                fail_msg("%s has no row in this test", name);
    }
    assert_true(count > 90);
}

static int32_t again(const oom_row *r)
{
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    for (int tried = 1; oom_again(rc, tried); tried++) {
        if (r->once && r->prepare)
            r->prepare();
        rc = r->call();
    }
    return rc;
}

/* The row's call while its n-th allocation fails, then again with memory. True if there was an n-th. */
static bool fail_once(const oom_row *r, long n)
{
    bool reached;
    int32_t rc;

    if (r->prepare)
        r->prepare();
    oom_begin(n);
    rc = r->call();
    reached = oom_end();
    if (rc && rc != ORCH_E_RESOURCE_EXHAUSTED)
        fail_msg("%s: allocation %ld: %s", r->names, n, orch_code_name(rc));
    if (rc)
        rc = again(r);
    if (rc)
        fail_msg("%s: after allocation %ld: %s", r->names, n, orch_code_name(rc));
    if (r->settle)
        r->settle();
    return reached;
}

static void fail_each(const oom_row *r)
{
    long n = oom_from(), count = 0;

    while (fail_once(r, n)) {
        n += oom_every();
        count++;
    }
    print_message("%4ld failures: %.*s\n", count, (int)strcspn(r->names, " "), r->names);
}

/* The state is the store's URL. */
static void each_failure_is_survived(void **state)
{
    const char *only = getenv("OOM_ROW"), *url = *state;
    char room[200], name[] = "world-0.db";

    EACH_TABLE(t)
    {
        name[6]++;
        oom_world(url ? url : host_sqlite(room, sizeof room, name));
        for (const oom_row *r = tables[t]; r->names; r++)
            if (!only || misuse_names(r->names, only))
                fail_each(r);
        oom_world_end();
    }
}

static char memory[] = "memory:";

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_has_a_row),
        cmocka_unit_test_prestate(each_failure_is_survived, memory),
        cmocka_unit_test(each_failure_is_survived),
    };

    oom_of_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
