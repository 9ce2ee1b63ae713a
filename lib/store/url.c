#include "store/url_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define ABOUT "STORE_URL"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. */
static int32_t decode(char *s, orch_error **err)
{
    char *to = s;

    for (; *s; s++) {
        int high, low;

        if (*s != '%') {
            *to++ = *s;
            continue;
        }
        high = hex_value(s[1]);
        low = high < 0 ? -1 : hex_value(s[2]);
        if (low < 0 || high * 16 + low == 0)
            return error_set(
                err, ORCH_E_INVALID_ARGUMENT, ABOUT,
                "STORE_URL has '%.3s', which is not %% and two hexadecimal digits; a %% "
                "in a name is written %%25, a ? %%3F",
                s);
        *to++ = (char)(high * 16 + low);
        s += 2;
    }
    *to = '\0';
    return 0;
}

static int32_t parse_params(char *query, store_url *u, orch_error **err)
{
    char *next;

    for (; query; query = next) {
        char *value = strchr(query, '=');

        next = strchr(query, '&');
        if (next)
            *next++ = '\0';
        if (!value || (next && value >= next) || u->param_count == URL_PARAMS_MAX)
            return error_set(
                err, ORCH_E_INVALID_ARGUMENT, ABOUT,
                "STORE_URL: '%s' after the ? is not name=value, or there are more than "
                "%d of them",
                query, URL_PARAMS_MAX);
        *value++ = '\0';
        if (decode(query, err) != 0 || decode(value, err) != 0)
            return ORCH_E_INVALID_ARGUMENT;
        u->params[u->param_count].name = query;
        u->params[u->param_count++].value = value;
    }
    return 0;
}

int32_t store_url_parse(const char *url, store_url *out, orch_error **err)
{
    store_url u = {0};
    char *path, *query;
    int32_t rc;

    u.text = mem_strdup(url);
    if (!u.text)
        return error_no_memory(err);
    path = strchr(u.text, ':');
    if (!path) {
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, ABOUT,
                       "STORE_URL '%s' has no scheme; allowed are memory: and "
                       "sqlite:PATH[?synchronous=full|normal|off]",
                       url);
        goto out;
    }
    *path++ = '\0';
    query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    u.scheme = u.text;
    u.path = path;
    rc = decode(path, err);
    if (rc == 0)
        rc = parse_params(query, &u, err);
out:
    if (rc == 0)
        *out = u;
    else
        mem_free(u.text);
    return rc;
}

void store_url_clear(store_url *u)
{
    mem_free(u->text);
    memset(u, 0, sizeof *u);
}
