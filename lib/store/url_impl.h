/* "scheme:path?name=value&…", percent-decoded. */
#ifndef STORE_URL_IMPL_H
#define STORE_URL_IMPL_H

#include <orch/error.h>

#define URL_PARAMS_MAX 4

typedef struct store_url {
    char *text; /* what the rest points into */
    const char *scheme;
    const char *path;
    struct {
        const char *name, *value;
    } params[URL_PARAMS_MAX];
    int param_count;
} store_url;

/* INVALID_ARGUMENT with what is wrong; `out` is cleared on failure. */
int32_t store_url_parse(const char *url, store_url *out, orch_error **err);
void store_url_clear(store_url *u);

#endif
