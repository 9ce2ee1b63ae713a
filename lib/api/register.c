/* Registration: parsed and checked on the caller's thread, then stored. */
#include <string.h>

#include "api/api_impl.h"
#include "api/builder_impl.h"

#define METADATA_MAX_BYTES (1024 * 1024)

typedef struct register_call {
    command command; /* first */
    register_request request;
    sem_t done;
} register_call;

static void run_command(command *c, runtime *rt)
{
    register_call *r = (register_call *)c;

    orchestrator_register(runtime_orchestrator(rt), &r->request);
}

static void on_answer(register_request *r)
{
    sem_post(&LIST_ENTRY(r, register_call, request)->done);
}

/* Takes the reference to the definition, and the metadata, over. */
static int32_t register_definition(orch_v2 *o, definition *d, bytes *metadata, orch_error **err)
{
    register_call r = {.command.run = run_command,
                       .request = {.definition = d, .metadata = metadata, .done = on_answer}};
    int32_t rc;

    sem_init(&r.done, 0, 0);
    orch_ref(o);
    rc = runtime_post(o->rt, &r.command, err);
    if (!rc) {
        while (sem_wait(&r.done))
            ;
        rc = pass_error(r.request.code, r.request.error, err);
    }
    orch_unref(o);
    sem_destroy(&r.done);
    definition_unref(d);
    bytes_unref(metadata);
    return rc;
}

static int32_t check_register(orch_v2 *o, orch_error **err)
{
    int32_t rc = check_running(o, err);

    return rc ? rc : check_may_block(o, err);
}

int32_t orch_v2_register_definition(orch_v2 *orch, const char *text, size_t len, orch_error **err)
{
    definition *d = NULL;
    int32_t rc = check_register(orch, err);

    if (!rc)
        rc = check_not_null(text, "text", err);
    if (!rc)
        rc = definition_parse(text, len, &orch->limits, &d, err);
    return rc ? rc : register_definition(orch, d, NULL, err);
}

int32_t orch_v2_validate_definition(const char *text, size_t len, orch_error **err)
{
    definition *d = NULL;
    int32_t rc = check_not_null(text, "text", err);

    if (!rc)
        rc = definition_parse(text, len, NULL, &d, err);
    definition_unref(d);
    return rc;
}

static int32_t check_version(const char *version, orch_error **err)
{
    semver parsed;

    return version ? semver_parse(version, &parsed, err) : check_not_null(version, "version", err);
}

int32_t orch_v2_register_workflow(orch_v2 *orch, const char *id, const char *version,
                                  orch_workflow_builder builder, void *user_data,
                                  orch_free_fn free_fn, const char *metadata_json,
                                  size_t metadata_len, orch_error **err)
{
    definition *d = NULL;
    bytes *metadata = NULL;
    int32_t rc = check_register(orch, err);

    if (!rc)
        rc = check_name(id, "id", err);
    if (!rc)
        rc = check_version(version, err);
    if (!rc)
        rc = check_given(builder != NULL, "builder", err);
    if (!rc)
        rc = check_json(metadata_json, metadata_len, "metadata_json", METADATA_MAX_BYTES, false,
                        &metadata, err);
    if (!rc)
        rc = builder_run(id, version, builder, user_data, &orch->limits, &d, err);
    if (free_fn)
        free_fn(user_data);
    if (!rc)
        return register_definition(orch, d, metadata, err);
    bytes_unref(metadata);
    return rc;
}
