/* A build without libcurl (WITH_CURL=0): http steps fail, and say why. */
#include "base/error.h"
#include "executor/executor_impl.h"

#if !ORCH_WITH_CURL
int32_t executor_http_check(orch_error **err)
{
    return error_set(err, ORCH_E_UNIMPLEMENTED, "libcurl",
                     "this build has no http executor: it was made with WITH_CURL=0");
}

static bool http_start(void *self, attempt *a)
{
    orch_error *error = NULL;

    (void)self;
    executor_http_check(&error);
    return attempt_ended(a, result_from_error(error, true));
}

static void http_free(void *self)
{
    (void)self;
}

int32_t executor_http_new(const executor_env *env, executor *out, orch_error **err)
{
    static const executor_ops ops = {
        .size = sizeof ops, .name = "http", .start = http_start, .free = http_free};

    (void)env;
    (void)err;
    *out = (executor){&ops, NULL};
    return 0;
}
#endif
