/* What the floors above use beside the public functions: starts that are answered on the loop thread, without a thread between. */
#ifndef API_API_H
#define API_API_H

#include <orch/orch.h>

#include "runtime/runtime.h"

runtime *api_runtime(orch_v2 *o);
/* FAILED_PRECONDITION in a forked child, and after stop. */
int32_t api_check(orch_v2 *o, orch_error **err);
/* A runtime with a loop, and neither store nor engine; freed by orch_v2_free. */
orch_v2 *api_host_new(const orch_config *config, orch_error **err);
/* As runtime_serve, with the arguments checked as public functions check theirs. */
int32_t api_serve(orch_v2 *o, const char *endpoint,
                  int32_t (*add)(void *ctx, struct grpc_server *s, orch_error **err), void *ctx,
                  uint16_t *out_port, orch_error **err);
/* The id of an execution. Reads the store. */
int32_t api_id_of(orch_v2 *o, uint64_t key, char out[EXECUTION_ID_MAX + 1], orch_error **err);
/* What a host sees of an end: decoded. */
int32_t api_decode(orch_v2 *o, outcome *end, orch_response **out, orch_error **err);
bool api_has_codec(const orch_v2 *o); /* the host's functions look at payloads: not on the loop */

typedef struct loop_start loop_start;

typedef struct loop_start_handler { /* all on the loop thread */
    /* Accepted, or not: code and error (borrowed). `existed`: the start key was taken, and `key` is of the execution that has it. */
    void (*answered)(void *ctx, int32_t code, const orch_error *error, uint64_t key, bool existed);
    /* How it ended, after answered; NULL: it is not to be waited for. CANCELLED: the orchestrator stops before. `out` is borrowed. */
    void (*ended)(void *ctx, int32_t code, outcome *out);
} loop_start_handler;

/* Any thread: check everything that can be checked before. It may take as long as the input is. */
int32_t loop_start_new(orch_v2 *o, const char *workflow, const char *inputs_json, size_t len,
                       const orch_start_options *options, loop_start **out, orch_error **err);
/* Loop thread, once. The start is gone after its last callback. */
void loop_start_go(loop_start *s, const loop_start_handler *h, void *ctx);
/* The same for a child, of a task of that attempt: its id is that of the options. */
void loop_start_go_child(loop_start *s, const attempt_place *from, bool abandoned,
                         const loop_start_handler *h, void *ctx);
/* Loop thread: nobody is interested any more; no callback follows. What was asked for is done nevertheless. */
void loop_start_forget(loop_start *s);
void loop_start_free(loop_start *s); /* any thread: one that did not go */

#endif
