/* Control over executions. */
#include <string.h>

#include "service/service_impl.h"

int32_t control_of(const char *who, const char *why, orch_control **out, orch_error **err)
{
    orch_control *c = orch_control_new();
    int32_t rc = c ? 0 : error_no_memory(err);

    if (!rc &&
        (orch_control_set_who(c, text_or_null(who)) || orch_control_set_why(c, text_or_null(why))))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "who", "who or why is too long, or no text");
    if (rc)
        orch_control_free(c);
    else
        *out = c;
    return rc;
}

static int32_t control(orch_v2 *o, const void *request, buf *reply, orch_error **err,
                       int32_t (*act)(orch_v2 *orch, const char *id, const orch_control *c,
                                      orch_error **err))
{
    const PB(ControlRequest) *in = request;
    orch_control *c = NULL;
    int32_t rc = control_of(in->who, in->why, &c, err);

    (void)reply; /* it says nothing */
    if (!rc)
        rc = act(o, in->execution_id, c, err);
    orch_control_free(c);
    return rc;
}

#define CONTROL(name, function)                                                        \
    static int32_t name(orch_v2 *o, const void *request, buf *reply, orch_error **err) \
    {                                                                                  \
        return control(o, request, reply, err, function);                              \
    }

CONTROL(cancel, orch_v2_cancel)
CONTROL(terminate, orch_v2_terminate)
CONTROL(pause_it, orch_v2_pause)
CONTROL(resume, orch_v2_resume)
CONTROL(retry, orch_v2_retry)

static int32_t send_signal(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(SignalRequest) *in = request;
    orch_control *c = NULL;
    int32_t rc = control_of(in->who, in->why, &c, err);

    (void)reply;
    if (!rc)
        rc = orch_v2_signal(o, in->execution_id, in->name, text_or_null(in->payload),
                            strlen(in->payload), text_or_null(in->correlation), c, err);
    orch_control_free(c);
    return rc;
}

const method_row service_control_rows[] = {
    {SERVICE "Cancel", &orch__v1__control_request__descriptor, .call = cancel},
    {SERVICE "Terminate", &orch__v1__control_request__descriptor, .call = terminate},
    {SERVICE "Pause", &orch__v1__control_request__descriptor, .call = pause_it},
    {SERVICE "Resume", &orch__v1__control_request__descriptor, .call = resume},
    {SERVICE "Retry", &orch__v1__control_request__descriptor, .call = retry},
    {SERVICE "Signal", &orch__v1__signal_request__descriptor, .call = send_signal},
    {0},
};
