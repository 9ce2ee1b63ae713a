#include <string.h>

#include "api/api_impl.h"
#include "base/buf.h"
#include "base/text.h"

#define REASON_MAX_BYTES 4096

typedef struct cancel_call {
    command command; /* first */
    cancel_request request;
    sem_t done;
} cancel_call;

static void run_command(command *c, runtime *rt)
{
    cancel_call *k = (cancel_call *)c;

    orchestrator_cancel(runtime_orchestrator(rt), &k->request);
}

static void on_answer(cancel_request *r)
{
    sem_post(&LIST_ENTRY(r, cancel_call, request)->done);
}

static int32_t make_reason(const char *reason, bytes **out, orch_error **err)
{
    buf b = BUF_INIT;
    size_t len = reason ? strlen(reason) : 0;

    if (!reason)
        return 0;
    if (len > REASON_MAX_BYTES || !text_is_utf8(reason, len))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "reason",
                         "reason must be UTF-8 of at most %d bytes", REASON_MAX_BYTES);
    buf_json_string(&b, reason, len);
    *out = buf_bytes(&b);
    return *out ? 0 : error_no_memory(err);
}

static int32_t ask(orch_v2 *o, cancel_call *c, orch_error **err)
{
    int32_t rc;

    sem_init(&c->done, 0, 0);
    orch_ref(o);
    rc = runtime_post(o->rt, &c->command, err);
    if (!rc) {
        while (sem_wait(&c->done))
            ;
        rc = pass_error(c->request.code, c->request.error, err);
    }
    orch_unref(o);
    sem_destroy(&c->done);
    return rc;
}

int32_t orch_v2_cancel(orch_v2 *orch, const char *execution_id, const char *reason,
                       orch_error **err)
{
    cancel_call c = {.command.run = run_command, .request.done = on_answer};
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_execution_id(execution_id, err);
    if (!rc)
        rc = check_may_ask(orch, err);
    if (!rc)
        rc = make_reason(reason, &c.request.reason, err);
    if (!rc) {
        c.request.id = mem_strdup(execution_id);
        rc = c.request.id ? ask(orch, &c, err) : error_no_memory(err);
    }
    mem_free(c.request.id);
    bytes_unref(c.request.reason);
    return rc;
}
