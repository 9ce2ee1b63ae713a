/* Engines of other processes: those that an orchestrator knows, and an engine that lets itself be known. */
#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/text.h"
#include "transport/plugin/plugin.h"

#define CAPACITY_MAX 1000000

/* ---- an orchestrator's ----------------------------------------------------------------------------------- */

/* "ENDPOINT[?name=NAME][&capacity=N]", of which the last are cut off. */
static int32_t read_options(char *entry, remote_engine *r, orch_error **err)
{
    char *option = strchr(entry, '?'), *rest = NULL;

    if (option)
        *option++ = '\0';
    r->endpoint = r->name = entry;
    for (option = option ? strtok_r(option, "&", &rest) : NULL; option;
         option = strtok_r(NULL, "&", &rest)) {
        char *end;

        if (!strncmp(option, "name=", 5) && option[5]) {
            r->name = option + 5;
            continue;
        }
        r->capacity = strncmp(option, "capacity=", 9) ? 0 : (uint32_t)strtoul(option + 9, &end, 10);
        if (!r->capacity || *end || r->capacity > CAPACITY_MAX)
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "STATIC_ENGINES",
                             "STATIC_ENGINES has '%s'; behind an endpoint may stand name=NAME and "
                             "capacity=N, 1 to %d",
                             option, CAPACITY_MAX);
    }
    return 0;
}

int32_t remotes_add_static(orch_v2 *o, const orch_config *config, orch_error **err)
{
    const char *all = config_text(config, KEY_STATIC_ENGINES);
    char *copy, *rest = NULL;
    int32_t rc = 0;

    if (strcmp(config_text(config, KEY_DISCOVERY_TYPE), "static") != 0)
        return 0;
    if (!all)
        return error_set(
            err, ORCH_E_INVALID_ARGUMENT, "STATIC_ENGINES",
            "DISCOVERY_TYPE is static and STATIC_ENGINES is not set: it is a list such "
            "as grpc://10.0.0.1:50051?name=a&capacity=20,grpc://10.0.0.2:50051");
    copy = mem_strdup(all);
    if (!copy)
        return error_no_memory(err);
    for (char *entry = strtok_r(copy, ", ", &rest); entry && !rc;
         entry = strtok_r(NULL, ", ", &rest)) {
        remote_engine r = {.capacity = (uint32_t)config_number(config, KEY_CAPACITY)};

        rc = read_options(entry, &r, err);
        if (!rc)
            rc = runtime_add_remote(o->rt, &r, err);
    }
    mem_free(copy);
    return rc;
}

int32_t check_transport(const char *name, const orch_transport_ops *ops, orch_error **err)
{
    int32_t rc = check_not_null(name, "name", err);

    if (!rc)
        rc = check_not_null(ops, "ops", err);
    return rc ? rc : transport_plugin_check(name, ops, err);
}

int32_t orch_v2_register_transport(orch_v2 *orch, const char *name, const orch_transport_ops *ops,
                                   void *user_data, orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_transport(name, ops, err);
    if (!rc)
        rc = check_may_ask(orch, err);
    if (!rc)
        return runtime_add_transport(orch->rt, name, ops, user_data, free_fn, err);
    if (free_fn)
        free_fn(user_data);
    return rc;
}

int32_t orch_v2_add_engine(orch_v2 *orch, const char *name, const char *endpoint, uint32_t capacity,
                           orch_error **err)
{
    remote_engine r = {name, endpoint, capacity};
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_not_null(endpoint, "endpoint", err);
    if (!rc && !name)
        r.name = endpoint;
    if (!rc && name)
        rc = check_key(name, "name", err);
    if (!rc && (!capacity || capacity > CAPACITY_MAX))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "capacity",
                       "capacity is %u; it must be 1 to %d", capacity, CAPACITY_MAX);
    if (!rc)
        rc = check_may_ask(orch, err);
    return rc ? rc : runtime_add_remote(orch->rt, &r, err);
}
