/* The engines that the orchestrator knows. */
#include "service/service_impl.h"

static void list_engines(rpc *r, const void *request)
{
    const orchestrator *o = runtime_orchestrator(api_runtime(r->orch));
    PB(ListEnginesResponse) out = ORCH__V1__LIST_ENGINES_RESPONSE__INIT;
    PB(EngineInfo) *all = NULL, **places = NULL;
    engine_info info;
    size_t count = 0;

    (void)request;
    while (orchestrator_get_engine(o, count, &info))
        count++;
    all = mem_calloc(count + 1, sizeof *all);
    places = mem_calloc(count + 1, sizeof *places);
    if (!all || !places) {
        r->code = error_no_memory(&r->error);
    } else {
        for (size_t i = 0; orchestrator_get_engine(o, i, &info); i++) {
            orch__v1__engine_info__init(&all[i]);
            all[i].name = reply_text(info.name);
            all[i].endpoint = reply_text(info.endpoint);
            all[i].capacity = info.capacity;
            all[i].active = info.active;
            all[i].available = info.available;
            places[i] = &all[i];
        }
        out.n_engines = count;
        out.engines = places;
        r->code = reply_pack(&r->reply, &out.base, &r->error);
    }
    mem_free(all);
    mem_free(places);
    rpc_answer(r);
}

const method_row service_engine_rows[] = {
    {SERVICE "ListEngines", &orch__v1__list_engines_request__descriptor, NULL, list_engines},
    {0},
};
