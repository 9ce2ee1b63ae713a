/* v1: the same orchestrator, whose engines are made and registered by hand. */
#include <string.h>

#include "api/api_impl.h"

struct orch_v1 {
    orch_v2 *v2; /* its reference: a forked child, or a free inside a callback, leaves it */
};

orch_v1 *orch_new(const orch_config *config, orch_error **err)
{
    orch_v1 *o = mem_zalloc(sizeof *o);

    if (!o) {
        error_no_memory(err);
        return NULL;
    }
    o->v2 = v2_new(config, &(v2_options){.no_engine = true}, err);
    if (!o->v2) {
        mem_free(o);
        return NULL;
    }
    return o;
}

void orch_free(orch_v1 *orch)
{
    if (orch && v2_free(orch->v2))
        mem_free(orch);
}

orch_v2 *orch_as_v2(orch_v1 *orch)
{
    return orch ? orch->v2 : NULL;
}

orch_launcher *orch_launcher_of(orch_v1 *orch)
{
    return orch ? orch_v2_launcher(orch->v2) : NULL;
}

int32_t orch_register_engine(orch_v1 *orch, orch_engine *engine, orch_error **err)
{
    int32_t rc = check_not_null(orch, "orch", err);

    if (!rc)
        rc = check_running(orch->v2, err);
    if (!rc)
        rc = check_not_null(engine, "engine", err);
    if (!rc)
        rc = check_may_ask(orch->v2, err);
    return rc ? rc : engine_attach(engine, orch->v2, err);
}

int32_t orch_register_workflow(orch_v1 *orch, const char *id, const char *version,
                               orch_workflow_builder builder, void *user_data, orch_free_fn free_fn,
                               const char *metadata_json, size_t metadata_len, orch_error **err)
{
    return orch_v2_register_workflow(orch_as_v2(orch), id, version, builder, user_data, free_fn,
                                     metadata_json, metadata_len, err);
}

int32_t orch_execute_workflow(orch_v1 *orch, const char *id, const char *inputs_json, size_t len,
                              const orch_start_options *options, orch_response **out_response,
                              orch_error **err)
{
    return orch_v2_execute_workflow(orch_as_v2(orch), id, inputs_json, len, options, out_response,
                                    err);
}
