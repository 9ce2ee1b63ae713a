/* The inside of the management service. */
#ifndef SERVICE_SERVICE_IMPL_H
#define SERVICE_SERVICE_IMPL_H

#include "api/api.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "grpc/grpc.h"
#include "base/unconst.h"
#include "orch/v1/orchestrator.pb-c.h"

#define PB(name)      Orch__V1__##name
#define PB_ENUM(name) ORCH__V1__##name
#define SERVICE       "/orch.v1.OrchestratorService/"

/* A field of which 0 says something, or nothing. */
#define GIVEN(m, TYPE, FIELD, field) \
    ((m)->field##_given_case == PB_ENUM(TYPE##__##FIELD##_GIVEN_##FIELD))

typedef struct rpc rpc;

typedef struct method_row {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    /* One that may block, on a thread of its own: writes the answer. */
    int32_t (*call)(orch_v2 *o, const void *request, buf *reply, orch_error **err);
    /* Or one on the loop thread, which answers by rpc_reply or rpc_fail, now or later ... */
    void (*begin)(rpc *r);
    /* ... and before it, on the loop or, where that may take long, on another thread: fills r->prepared. May be NULL. */
    int32_t (*prepare)(rpc *r, orch_error **err);
} method_row;

/* A unary call on its way. It is there until it is answered and its call has closed. */
struct rpc {
    work work; /* first */
    orch_v2 *orch;
    grpc_call *call; /* NULL: the client is gone */
    const method_row *row;
    bytes *request;
    ProtobufCMessage *parsed;
    buf reply;
    int32_t code;
    orch_error *error;
    bool is_busy;         /* somebody will answer it */
    loop_start *prepared; /* a start that has not gone */
    loop_start
        *start; /* one that has, and whose answer it waits for: forgotten when the client goes */
    bool waits; /* for the end as well */
    bool existed;
    outcome *outcome; /* to be decoded */
};

/* Loop thread; once. The reply is what was written into r->reply. */
void rpc_reply(rpc *r);
void rpc_fail(rpc *r, int32_t code, const char *message);
void rpc_answer(rpc *r); /* one or the other, as r->code says */
void rpc_done(work *w);  /* that after a hop */
/* Go on with it on a thread that may block: `run_it`, then `done_with` on the loop. */
void rpc_hop(rpc *r, void (*run_it)(work *w), void (*done_with)(work *w));

/* Serialise a message. RESOURCE_EXHAUSTED. */
int32_t reply_pack(buf *out, const ProtobufCMessage *m, orch_error **err);
/* The items of a repeated field, not initialized, as pointers to each; all is one block, for mem_free. NULL: no memory. */
void *reply_repeated(size_t count, size_t size, orch_error **err);
/* "" where there is none; borrowed. */
char *reply_text(const char *text);
/* The fields of an execution; borrowed from the response. `input`, `end`: with that payload. */
void reply_execution(PB(Execution) * out, const orch_response *r, bool input, bool end);
/* One that has just ended. */
void reply_outcome(PB(Execution) * out, const outcome *o);
const char *text_or_null(const char *text); /* "" is NULL */
/* control.c. Freed by the caller. INVALID_ARGUMENT; RESOURCE_EXHAUSTED. */
int32_t control_of(const char *who, const char *why, orch_control **out, orch_error **err);

extern const method_row service_workflow_rows[], service_execution_rows[], service_control_rows[],
    service_start_rows[], service_engine_rows[];

#endif
