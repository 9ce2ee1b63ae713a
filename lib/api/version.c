#include <orch/version.h>

#include <string.h>

#include "api/api_impl.h"

const char *orch_version(void)
{
    return ORCH_VERSION;
}

static int32_t has_yaml(void)
{
    static const char text[] = "a: 1";
    json_t *tree = NULL;
    int32_t rc = yaml_to_json(text, sizeof text - 1, NULL, &tree, NULL);

    json_decref(tree);
    return rc != ORCH_E_UNIMPLEMENTED;
}

static int32_t has_it(void)
{
    return 1;
}

static int32_t has_http(void)
{
    return !executor_http_check(NULL);
}

int32_t orch_has_feature(const char *name)
{
    static const struct {
        const char *name;
        int32_t (*is_there)(void);
    } features[] = {
        {"yaml", has_yaml}, {"http", has_http}, {"sqlite", has_it},
        {"memory", has_it}, {"lua", has_it},    {"exec", has_it},
    };

    for (size_t i = 0; name && i < sizeof features / sizeof *features; i++)
        if (!strcmp(name, features[i].name))
            return features[i].is_there();
    return 0;
}
