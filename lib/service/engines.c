/* The engines that the orchestrator knows. */
#include "service/service_impl.h"

static void fill(PB(EngineInfo) * out, const engine_info *info)
{
    orch__v1__engine_info__init(out);
    out->name = reply_text(info->name);
    out->endpoint = reply_text(info->endpoint);
    out->capacity = info->capacity;
    out->active = info->active;
    out->available = info->available;
}

static void list_engines(rpc *r)
{
    const orchestrator *o = runtime_orchestrator(api_runtime(r->orch));
    PB(ListEnginesResponse) out;
    engine_info info;
    size_t count = 0;

    while (orchestrator_get_engine(o, count, &info))
        count++;
    orch__v1__list_engines_response__init(&out);
    out.engines = reply_repeated(count, sizeof **out.engines, &r->error);
    r->code = out.engines ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
    if (!r->code) {
        for (size_t i = 0; orchestrator_get_engine(o, i, &info); i++)
            fill(out.engines[i], &info);
        out.n_engines = count;
        r->code = reply_pack(&r->reply, &out.base, &r->error);
        mem_free(out.engines);
    }
    rpc_answer(r);
}

const method_row service_engine_rows[] = {
    {SERVICE "ListEngines", &orch__v1__list_engines_request__descriptor, .begin = list_engines},
    {0},
};
