#include "net/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static int32_t refuse(const char *text, const char *why, orch_error **err)
{
    return error_set(err, ORCH_E_INVALID_ARGUMENT, text,
                     "endpoint '%s': %s; it is HOST:PORT, [IPV6]:PORT or unix:PATH", text, why);
}

static bool skip(const char **at, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(*at, prefix, len) != 0)
        return false;
    *at += len;
    return true;
}

static int32_t parse_path(const char *text, const char *at, endpoint *out, orch_error **err)
{
    if (skip(&at, "//") && *at != '/')
        return refuse(text, "unix:// takes an absolute path", err);
    if (!*at)
        return refuse(text, "the path is empty", err);
    if (strlen(at) >= sizeof out->path)
        return refuse(text, "the path is longer than 107 bytes, which is what a socket's may be",
                      err);
    *out = (endpoint){0};
    memcpy(out->path, at, strlen(at) + 1);
    return 0;
}

/* `:PORT` or nothing. */
static int32_t parse_port(const char *text, const char *at, int default_port, endpoint *out,
                          orch_error **err)
{
    unsigned long port = 0;

    if (!*at) {
        if (default_port < 0)
            return refuse(text, "the port is missing", err);
        out->port = (uint16_t)default_port;
        return 0;
    }
    if (*at++ != ':' || !*at)
        return refuse(text, "the port is missing", err);
    for (; *at; at++) {
        if (*at < '0' || *at > '9')
            return refuse(text, "the port is not a number", err);
        port = port * 10 + (unsigned long)(*at - '0');
        if (port > 65535)
            return refuse(text, "the port is above 65535", err);
    }
    out->port = (uint16_t)port;
    return 0;
}

static int32_t parse_host(const char *text, const char *at, int default_port, endpoint *out,
                          orch_error **err)
{
    endpoint e = {0};
    struct in6_addr v6;
    const char *end;
    size_t len;
    int32_t rc;

    if (*at == '[') {
        end = strchr(++at, ']');
        if (!end)
            return refuse(text, "']' is missing", err);
        e.is_v6 = true;
    } else {
        end = strrchr(at, ':');
        if (!end)
            end = at + strlen(at);
        if (memchr(at, ':', (size_t)(end - at)))
            return refuse(text, "an address of IPv6 stands in brackets", err);
    }
    len = (size_t)(end - at);
    if (!len)
        return refuse(text, "the host is empty", err);
    if (len >= sizeof e.host)
        return refuse(text, "the host is longer than 255 bytes", err);
    memcpy(e.host, at, len);
    if (e.is_v6 && inet_pton(AF_INET6, e.host, &v6) != 1 && !strchr(e.host, '%'))
        return refuse(text, "what stands in brackets is no address of IPv6", err);
    rc = parse_port(text, end + e.is_v6, default_port, &e, err);
    if (!rc)
        *out = e;
    return rc;
}

int32_t endpoint_parse(const char *text, int default_port, endpoint *out, orch_error **err)
{
    const char *at = text;
    struct in_addr v4;
    endpoint e;
    int32_t rc;

    if (skip(&at, "unix:"))
        return parse_path(text, at, out, err);
    if (skip(&at, "ipv4:")) {
        rc = parse_host(text, at, default_port, &e, err);
        if (!rc && inet_pton(AF_INET, e.host, &v4) != 1)
            rc = refuse(text, "ipv4: takes an address of IPv4", err);
        if (!rc)
            *out = e;
        return rc;
    }
    if (skip(&at, "ipv6:") && *at != '[')
        return refuse(text, "ipv6: takes an address in brackets", err);
    if (skip(&at, "dns:") && skip(&at, "//") && !skip(&at, "/"))
        return refuse(text, "a name server cannot be chosen: dns:///HOST:PORT", err);
    return parse_host(text, at, default_port, out, err);
}

void endpoint_authority(const endpoint *e, char *out, size_t size)
{
    if (e->path[0])
        snprintf(out, size, "localhost");
    else
        snprintf(out, size, e->is_v6 ? "[%s]:%u" : "%s:%u", e->host, (unsigned)e->port);
}
