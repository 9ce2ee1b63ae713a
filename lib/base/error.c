#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct orch_error {
    int32_t code;
    const char *message;
    const char *about;
    const char *data; /* JSON text; NULL = none */
};

static orch_error no_memory = {ORCH_E_RESOURCE_EXHAUSTED, "out of memory", "", NULL};

static const char *const names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

#define NAMES (int32_t)(sizeof names / sizeof *names)

static char *put(char **at, const char *text, size_t len)
{
    char *copy = *at;

    memcpy(copy, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

/* `data` NULL: none. */
static orch_error *make(int32_t code, const char *about, const char *message, size_t len,
                        const char *data)
{
    size_t about_len = strlen(about), data_len = data ? strlen(data) : 0;
    orch_error *e = mem_alloc(sizeof *e + len + about_len + data_len + 3);
    char *at;

    if (!e)
        return &no_memory;
    at = (char *)(e + 1);
    e->code = code;
    e->message = put(&at, message, len);
    e->about = put(&at, about, about_len);
    e->data = data ? put(&at, data, data_len) : NULL;
    return e;
}

void error_set_va(orch_error **out, int32_t code, const char *about, const char *format,
                  va_list args)
{
    char text[1024];
    orch_error *made;
    int n;

    if (!out)
        return;
    n = vsnprintf(text, sizeof text, format, args);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof text) {
        n = (int)sizeof text - 1;
        memcpy(text + n - 3, "...", 3);
    }
    made = make(code, about ? about : "", text, (size_t)n, NULL);
    orch_error_free(*out);
    *out = made;
}

void error_set_text(orch_error **out, int32_t code, const char *about, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_set_va(out, code, about, format, args);
    va_end(args);
}

void error_set_no_memory(orch_error **out)
{
    if (out) {
        orch_error_free(*out);
        *out = &no_memory;
    }
}

void error_prefix(orch_error **error, const char *format, ...)
{
    char text[512];
    orch_error *old;
    va_list args;

    if (!error || !*error)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    old = *error;
    *error = NULL;
    error_set(error, old->code, old->about, "%s%s", text, old->message);
    error_add_data(error, old->data);
    orch_error_free(old);
}

void error_add_data(orch_error **error, const char *json)
{
    orch_error *old = error ? *error : NULL;

    if (!old || !json || old == &no_memory)
        return;
    *error = make(old->code, old->about, old->message, strlen(old->message), json);
    orch_error_free(old);
}

const char *error_get_data(const orch_error *error)
{
    return error ? error->data : NULL;
}

orch_error *error_copy(const orch_error *error)
{
    if (!error)
        return NULL;
    return make(error->code, error->about, error->message, strlen(error->message), error->data);
}

int32_t error_code_by_name(const char *name)
{
    for (int32_t i = 1; i < NAMES; i++)
        if (!strcmp(names[i], name))
            return -i;
    return 0;
}

int32_t orch_error_code(const orch_error *error)
{
    return error ? error->code : ORCH_OK;
}

const char *orch_error_message(const orch_error *error)
{
    return error ? error->message : "";
}

const char *orch_error_about(const orch_error *error)
{
    return error ? error->about : "";
}

int32_t orch_error_retryable(const orch_error *error)
{
    int32_t code = orch_error_code(error);

    return code == ORCH_E_RESOURCE_EXHAUSTED || code == ORCH_E_ABORTED ||
           code == ORCH_E_UNAVAILABLE;
}

void orch_error_free(orch_error *error)
{
    if (error != &no_memory)
        mem_free(error);
}

const char *orch_code_name(int32_t code)
{
    if (code < 0 && code > -NAMES)
        code = -code;
    return code >= 0 && code < NAMES ? names[code] : "UNKNOWN";
}
