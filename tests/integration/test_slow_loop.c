/* Goal: a timer that runs out after the loop has set it and before the loop sleeps is not lost. On a busy machine that happens by
 * itself, now and then; here the thread gets no processor for a while each time. */
#include <dlfcn.h>
#include <time.h>
#include <uv.h>

#include "support/api_host.h"

#define LATE_MS 3

/* Before libuv's own, which it calls: a program's functions go first. */
int uv_run(uv_loop_t *loop, uv_run_mode mode)
{
    static int (*real)(uv_loop_t *, uv_run_mode);
    const struct timespec late = {0, LATE_MS * 1000000L};

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "uv_run");
    nanosleep(&late, NULL);
    return real(loop, mode);
}

static void timers_are_not_lost(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);
    char output[40];

    (void)state;
    host_define(o, "{'id':'waits','version':'1.0.0','steps':["
                   "{'id':'a','executor':'wait','with':{'duration':'1ms'}},"
                   "{'id':'b','executor':'wait','depends_on':['a'],'with':{'duration':'2ms'}},"
                   "{'id':'c','executor':'wait','depends_on':['b'],'with':{'duration':'4ms'}}]}");
    for (int i = 0; i < 10; i++)
        assert_string_equal(host_execute(o, "waits", NULL, output, sizeof output), "succeeded");
    host_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_are_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
