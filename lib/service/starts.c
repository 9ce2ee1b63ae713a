/* Starts. They are the calls that come by the thousands, so that the loop answers them itself. */
#include <string.h>

#include "service/service_impl.h"

/* ---- what is asked for ----------------------------------------------------------------------------------- */

static int32_t set(int32_t rc, const char *what, orch_error **err)
{
    if (rc == ORCH_E_INVALID_ARGUMENT)
        return error_set(err, rc, what, "%s is not what it may be", what);
    return rc ? error_no_memory(err) : 0;
}

/* Texts: "" is not set. */
static int32_t set_text(int32_t (*setter)(orch_start_options *o, const char *text),
                        orch_start_options *o, const char *text, const char *what, orch_error **err)
{
    return *text ? set(setter(o, text), what, err) : 0;
}

static int32_t fill_times(orch_start_options *o, const PB(StartExecutionRequest) * in,
                          orch_error **err)
{
    int32_t rc = in->timeout_ms
                     ? set(orch_start_options_set_timeout(o, in->timeout_ms), "timeout_ms", err)
                     : 0;

    if (!rc && in->start_at_ms)
        rc = set(orch_start_options_set_start_at(o, in->start_at_ms), "start_at_ms", err);
    if (!rc && GIVEN(in, START_EXECUTION_REQUEST, PRIORITY, priority))
        rc = set(orch_start_options_set_priority(o, in->priority), "priority", err);
    return rc;
}

static int32_t fill_options(orch_start_options *o, const PB(StartExecutionRequest) * in,
                            orch_error **err)
{
    int32_t rc = set_text(orch_start_options_set_version, o, in->version, "version", err);

    if (!rc)
        rc = set_text(orch_start_options_set_id, o, in->execution_id, "execution_id", err);
    if (!rc)
        rc = set_text(orch_start_options_set_affinity, o, in->affinity, "affinity", err);
    if (!rc)
        rc = set_text(orch_start_options_set_limit_key, o, in->limit_key, "limit_key", err);
    if (!rc && *in->start_key)
        rc = set(orch_start_options_set_start_key(o, in->start_key, (int32_t)in->start_key_policy,
                                                  in->start_key_ttl_ms),
                 "start_key", err);
    if (!rc && *in->attributes)
        rc = orch_start_options_set_attributes(o, in->attributes, strlen(in->attributes), err);
    return rc ? rc : fill_times(o, in, err);
}

static int32_t prepare(rpc *r, orch_error **err)
{
    const PB(StartExecutionRequest) *in = (const PB(StartExecutionRequest) *)r->parsed;
    orch_start_options *o = orch_start_options_new();
    int32_t rc = o ? fill_options(o, in, err) : error_no_memory(err);

    if (!rc)
        rc = loop_start_new(r->orch, in->workflow_id, text_or_null(in->inputs), strlen(in->inputs),
                            o, &r->prepared, err);
    orch_start_options_free(o);
    return rc;
}

/* ---- the answer ------------------------------------------------------------------------------------------ */

static int32_t pack_started(rpc *r, const char *id, bool existed, orch_error **err)
{
    PB(StartExecutionResponse) out;

    orch__v1__start_execution_response__init(&out);
    out.execution_id = reply_text(id);
    out.existed = existed;
    return reply_pack(&r->reply, &out.base, err);
}

typedef struct existing { /* beside an rpc, in its reply: the key of the execution that is there */
    uint64_t key;
} existing;

/* What was started before has the id that its starter chose, which the store knows. */
static void name_existing(work *w)
{
    rpc *r = (rpc *)w;
    existing e;
    char id[EXECUTION_ID_MAX + 1];

    memcpy(&e, r->reply.data, sizeof e);
    buf_clear(&r->reply);
    r->code = api_id_of(r->orch, e.key, id, &r->error);
    if (!r->code)
        r->code = pack_started(r, id, true, &r->error);
}

static void started(rpc *r, uint64_t key, bool existed)
{
    const PB(StartExecutionRequest) *in = (const PB(StartExecutionRequest) *)r->parsed;
    char made[EXECUTION_ID_LEN + 1];
    existing e = {key};

    r->start = NULL;
    if (existed) {
        buf_add(&r->reply, &e, sizeof e);
        if (r->reply.failed)
            rpc_fail(r, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        else
            rpc_hop(r, name_existing, rpc_done);
        return;
    }
    if (!*in->execution_id)
        execution_id_format(key, made);
    r->code = pack_started(r, *in->execution_id ? in->execution_id : made, false, &r->error);
    rpc_answer(r);
}

static void on_answered(void *ctx, int32_t code, const orch_error *error, uint64_t key,
                        bool existed)
{
    rpc *r = ctx;

    if (code) {
        r->start = NULL;
        rpc_fail(r, code, orch_error_message(error));
    } else if (!r->waits) {
        started(r, key, existed);
    }
}

/* An outcome is immutable and counted, so that another thread may decode it. */
static void decode(work *w)
{
    rpc *r = (rpc *)w;
    PB(Execution) out;
    orch_response *decoded = NULL;

    r->code = api_decode(r->orch, r->outcome, &decoded, &r->error);
    if (r->code)
        return;
    reply_execution(&out, decoded, false, true);
    r->code = reply_pack(&r->reply, &out.base, &r->error);
    orch_response_free(decoded);
}

static void decoded(work *w)
{
    rpc *r = (rpc *)w;

    outcome_unref(r->outcome);
    r->outcome = NULL;
    rpc_done(w);
}

static void on_ended(void *ctx, int32_t code, outcome *end)
{
    rpc *r = ctx;
    PB(Execution) out;

    r->start = NULL;
    if (code) {
        rpc_fail(r, code == ORCH_E_CANCELLED ? ORCH_E_UNAVAILABLE : code,
                 "the orchestrator stopped before the execution ended; it goes on after the next "
                 "start");
        return;
    }
    if (api_has_codec(r->orch)) {
        r->outcome = outcome_ref(end);
        rpc_hop(r, decode, decoded);
        return;
    }
    reply_outcome(&out, end);
    r->code = reply_pack(&r->reply, &out.base, &r->error);
    rpc_answer(r);
}

static const loop_start_handler starts = {on_answered, NULL};
static const loop_start_handler executes = {on_answered, on_ended};

/* ---- on its way ------------------------------------------------------------------------------------------ */

static void take_start(rpc *r)
{
    r->start = r->prepared;
    r->prepared = NULL;
}

static void begin_start(rpc *r)
{
    take_start(r);
    loop_start_go(r->start, &starts, r);
}

static void begin_execute(rpc *r)
{
    r->waits = true;
    take_start(r);
    loop_start_go(r->start, &executes, r);
}

/* ---- children of tasks ----------------------------------------------------------------------------------- */

static int32_t prepare_child(rpc *r, orch_error **err)
{
    const PB(ExecuteSubWorkflowRequest) *in = (const PB(ExecuteSubWorkflowRequest) *)r->parsed;
    orch_start_options *o = orch_start_options_new();
    int32_t rc = o ? set(orch_start_options_set_id(o, in->child_id), "child_id", err)
                   : error_no_memory(err);

    if (!rc)
        rc = set_text(orch_start_options_set_version, o, in->version, "version", err);
    if (!rc)
        rc = loop_start_new(r->orch, in->workflow_id, text_or_null(in->inputs), strlen(in->inputs),
                            o, &r->prepared, err);
    orch_start_options_free(o);
    return rc;
}

static void pack_child(rpc *r, const char *id, bool existed, PB(Execution) * end)
{
    PB(ExecuteSubWorkflowResponse) out;

    orch__v1__execute_sub_workflow_response__init(&out);
    out.execution_id = reply_text(id);
    out.existed = existed;
    out.execution = end;
    r->code = reply_pack(&r->reply, &out.base, &r->error);
    rpc_answer(r);
}

static void child_answered(void *ctx, int32_t code, const orch_error *error, uint64_t key,
                           bool existed)
{
    rpc *r = ctx;

    (void)key;
    if (code) {
        r->start = NULL;
        rpc_fail(r, code, orch_error_message(error));
        return;
    }
    r->existed = existed;
    if (r->waits)
        return;
    r->start = NULL;
    pack_child(r, ((const PB(ExecuteSubWorkflowRequest) *)r->parsed)->child_id, existed, NULL);
}

static void child_ended(void *ctx, int32_t code, outcome *end)
{
    rpc *r = ctx;
    PB(Execution) out;

    r->start = NULL;
    if (code) {
        rpc_fail(r, code == ORCH_E_CANCELLED ? ORCH_E_UNAVAILABLE : code,
                 "the orchestrator stopped before the child ended");
        return;
    }
    reply_outcome(&out, end);
    pack_child(r, end->id, r->existed, &out);
}

static const loop_start_handler child_starts = {child_answered, NULL};
static const loop_start_handler child_executes = {child_answered, child_ended};

/* Payloads stay as they are: who asks is an engine, which has the codec itself. */
static void begin_child(rpc *r)
{
    const PB(ExecuteSubWorkflowRequest) *in = (const PB(ExecuteSubWorkflowRequest) *)r->parsed;
    attempt_place from = {
        .execution = in->execution_key,
        .run = in->run,
        .step = in->step,
        .index = GIVEN(in, EXECUTE_SUB_WORKFLOW_REQUEST, INDEX, index) ? in->index : INDEX_NONE,
        .attempt = in->attempt,
    };

    if (in->epoch)
        from.epoch = (epoch){in->epoch->term, in->epoch->counter};
    r->waits = in->wait;
    take_start(r);
    loop_start_go_child(r->start, &from, in->abandon, r->waits ? &child_executes : &child_starts,
                        r);
}

const method_row service_start_rows[] = {
    {SERVICE "StartExecution", &orch__v1__start_execution_request__descriptor, .begin = begin_start,
     .prepare = prepare},
    {SERVICE "ExecuteWorkflow", &orch__v1__start_execution_request__descriptor,
     .begin = begin_execute, .prepare = prepare},
    {SERVICE "ExecuteSubWorkflow", &orch__v1__execute_sub_workflow_request__descriptor,
     .begin = begin_child, .prepare = prepare_child},
    {0},
};
