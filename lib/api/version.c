#include <orch/version.h>

#include <string.h>

#include "api/api_impl.h"
#include "base/dynlib.h"

#ifndef ORCH_WITH_CURL
#define ORCH_WITH_CURL 1
#endif

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

/* Whether what the http executor needs can be loaded. */
static int32_t has_http(void)
{
#if ORCH_WITH_CURL
    static int32_t (*init)(void);
    static const dynlib_symbol symbols[] = {{"curl_multi_init", &init}, {NULL, NULL}};
    static dynlib curl = {.names = {"libcurl.so.4", "libcurl-gnutls.so.4"}, .symbols = symbols};

    return !dynlib_load(&curl, NULL);
#else
    return 0;
#endif
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
