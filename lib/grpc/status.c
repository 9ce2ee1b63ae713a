#include "grpc/status.h"

#include <nghttp2/nghttp2.h>
#include <orch/error.h>
#include <stdio.h>

#define CODE_MAX 16

int32_t grpc_status_parse(const char *text, size_t len)
{
    int32_t code = 0;

    if (!len || len > 2)
        return ORCH_E_UNKNOWN;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return ORCH_E_UNKNOWN;
        code = code * 10 + (text[i] - '0');
    }
    return code <= CODE_MAX ? -code : ORCH_E_UNKNOWN;
}

int32_t grpc_status_of_http(int status)
{
    switch (status) {
    case 400:
    case 431: return ORCH_E_INTERNAL;
    case 401: return ORCH_E_UNAUTHENTICATED;
    case 403: return ORCH_E_PERMISSION_DENIED;
    case 404: return ORCH_E_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504: return ORCH_E_UNAVAILABLE;
    default: return ORCH_E_UNKNOWN;
    }
}

int32_t grpc_status_of_reset(uint32_t h2_error)
{
    switch (h2_error) {
    case NGHTTP2_REFUSED_STREAM: return ORCH_E_UNAVAILABLE;
    case NGHTTP2_CANCEL: return ORCH_E_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM: return ORCH_E_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY: return ORCH_E_PERMISSION_DENIED;
    default: return ORCH_E_INTERNAL;
    }
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

void grpc_message_encode(buf *out, const char *text)
{
    for (const char *at = text; *at; at++) {
        if (*at < ' ' || *at > '~' || *at == '%')
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*at);
        else
            buf_putc(out, *at);
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_message_decode(buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && i + 2 < len ? digit(text[i + 1]) : -1;
        int low = high >= 0 ? digit(text[i + 2]) : -1;

        if (low < 0) {
            buf_putc(out, text[i]);
            continue;
        }
        buf_putc(out, (char)(high * 16 + low));
        i += 2;
    }
}

/* ---- timeouts ------------------------------------------------------------------------------------------------------- */

static const struct {
    char unit;
    int64_t ns;
} units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', 1000000},
    {'S', 1000000000},
    {'M', INT64_C(60000000000)},
    {'H', INT64_C(3600000000000)},
};
#define UNITS (sizeof units / sizeof *units)

bool grpc_timeout_parse(const char *text, size_t len, int64_t *out_ns)
{
    int64_t value = 0;

    if (len < 2 || len > 9)
        return false;
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    for (size_t i = 0; i < UNITS; i++) {
        if (units[i].unit != text[len - 1])
            continue;
        *out_ns = value > INT64_MAX / units[i].ns ? INT64_MAX : value * units[i].ns;
        return true;
    }
    return false;
}

size_t grpc_timeout_format(int64_t ns, char out[GRPC_TIMEOUT_MAX])
{
    size_t i = 0;
    int64_t value = ns < 1 ? 1 : ns;

    while (i + 1 < UNITS && value > 99999999) {
        i++;
        value = ns / units[i].ns + (ns % units[i].ns != 0);
    }
    if (value > 99999999)
        value = 99999999;
    return (size_t)snprintf(out, GRPC_TIMEOUT_MAX, "%lld%c", (long long)value, units[i].unit);
}
