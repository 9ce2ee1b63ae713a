#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "executor/executor_impl.h"

static void add_message(buf *b, const char *message)
{
    size_t len = strlen(message);
    buf clean = BUF_INIT;

    if (text_is_utf8(message, len)) {
        buf_json_string(b, message, len);
        return;
    }
    output_add_clean(&clean, message, len);
    if (clean.failed)
        b->failed = true;
    else
        buf_json_string(b, clean.data, clean.len);
    buf_free(&clean);
}

/* `data` is JSON text; NULL = none. */
static bytes *make_json(int32_t code, const char *message, const char *data, size_t len)
{
    buf b = BUF_INIT;

    buf_printf(&b, "{\"code\":\"%s\",\"message\":", orch_code_name(code));
    add_message(&b, message ? message : orch_code_name(code));
    if (data) {
        buf_puts(&b, ",\"data\":");
        buf_add(&b, data, len);
    }
    buf_putc(&b, '}');
    return buf_bytes(&b);
}

bytes *error_json(int32_t code, const char *message, const json_t *data)
{
    bytes *text = data ? output_of_json(data) : NULL, *made;

    if (data && !text)
        return NULL;
    made = make_json(code, message, text ? text->data : NULL, text ? text->len : 0);
    bytes_unref(text);
    return made;
}

bytes *error_json_text(int32_t code, const char *message, const bytes *data)
{
    return make_json(code, message, data ? data->data : NULL, data ? data->len : 0);
}

bytes *error_json_of(const orch_error *error)
{
    const char *data = error_get_data(error);

    return make_json(orch_error_code(error), orch_error_message(error), data,
                     data ? strlen(data) : 0);
}

__attribute__((format(printf, 4, 0))) static attempt_result make_error(int32_t code, bool no_retry,
                                                                       const json_t *data,
                                                                       const char *format,
                                                                       va_list args)
{
    attempt_result r = {.code = code, .no_retry = no_retry};
    char *text = NULL;
    va_list again;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len >= 0)
        text = mem_alloc((size_t)len + 1);
    if (text) {
        vsnprintf(text, (size_t)len + 1, format, args);
        r.error = error_json(code, text, data);
        mem_free(text);
    }
    return r;
}

attempt_result result_error(int32_t code, bool no_retry, const json_t *data, const char *format,
                            ...)
{
    attempt_result r;
    va_list args;

    va_start(args, format);
    r = make_error(code, no_retry, data, format, args);
    va_end(args);
    return r;
}

attempt_result result_from_error(orch_error *error, bool no_retry)
{
    attempt_result r = {.code = orch_error_code(error), .no_retry = no_retry};

    r.error = error_json_of(error);
    orch_error_free(error);
    return r;
}

attempt_result result_no_memory(void)
{
    return (attempt_result){.code = ORCH_E_RESOURCE_EXHAUSTED,
                            .error = error_json(ORCH_E_RESOURCE_EXHAUSTED, "out of memory", NULL)};
}

attempt_result result_stopped(const attempt *a, const char *what)
{
    int32_t code = atomic_load(&a->stop);

    if (code == ORCH_E_DEADLINE_EXCEEDED)
        return result_error(code, false, NULL, "%s did not end in time", what);
    return result_error(code ? code : ORCH_E_CANCELLED, false, NULL, "%s was cancelled", what);
}

void result_clear(attempt_result *r)
{
    bytes_unref(r->output);
    bytes_unref(r->error);
    bytes_unref(r->details);
    *r = (attempt_result){0};
}

bool attempt_ended(attempt *a, attempt_result r)
{
    a->result = r;
    return true;
}

void attempt_fail(attempt *a, int32_t code, bool no_retry, const char *format, ...)
{
    attempt_result r;
    va_list args;

    va_start(args, format);
    r = make_error(code, no_retry, NULL, format, args);
    va_end(args);
    attempt_complete(a, r);
}
