#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "executor/exec_impl.h"

#define MESSAGE_TAIL 400 /* bytes of stderr in a message; the error's data has all that was kept */

/* A tail may begin inside a character. */
static void add_tail(buf *b, const buf *from, size_t max)
{
    size_t skip = from->len > max ? from->len - max : 0;

    while (skip && skip < from->len && ((unsigned char)from->data[skip] & 0xc0) == 0x80)
        skip++;
    if (from->len)
        output_add_clean(b, from->data + skip, from->len - skip);
}

static void strip(buf *b, const char *what)
{
    while (b->len && strchr(what, b->data[b->len - 1]))
        b->data[--b->len] = '\0';
}

/* ---- Failures -------------------------------------------------------------------------------------- */

static void add_end(buf *b, const exec_spec *s, exec_end end)
{
    const char *name = end.killed ? sigabbrev_np(end.status) : NULL;

    buf_printf(b, "'%s' ", s->argv[0]);
    if (!end.known)
        buf_puts(b, EXEC_END_UNKNOWN);
    else if (!end.killed)
        buf_printf(b, "ended with exit code %d", end.status);
    else if (name)
        buf_printf(b, "was killed by SIG%s", name);
    else
        buf_printf(b, "was killed by signal %d", end.status);
}

static json_t *failure_data(exec_end end, const char *tail)
{
    if (!end.known)
        return json_pack("{s:s}", "stderr", tail);
    return json_pack("{s:i,s:s}", end.killed ? "signal" : "exit_code", end.status, "stderr", tail);
}

static attempt_result failure(const exec_spec *s, exec_end end, const buf *err)
{
    attempt_result r = result_no_memory();
    buf tail = BUF_INIT, message = BUF_INIT, last = BUF_INIT;
    json_t *data;

    add_tail(&tail, err, EXEC_STDERR_TAIL);
    buf_puts(&tail, "");
    add_tail(&last, &tail, MESSAGE_TAIL);
    strip(&last, " \t\r\n");
    add_end(&message, s, end);
    if (last.len)
        buf_printf(&message, ": %s", last.data);
    data = tail.failed || last.failed || message.failed ? NULL : failure_data(end, tail.data);
    if (data) {
        result_clear(&r);
        r = result_error(ORCH_E_UNKNOWN, false, data, "%s", message.data);
        json_decref(data);
    }
    buf_free(&tail);
    buf_free(&message);
    buf_free(&last);
    return r;
}

/* ---- Success --------------------------------------------------------------------------------------- */

/* JSON only where it is an object or a list: "1.10" is a version and "true" a word more often than not. */
static int32_t add_auto(buf *b, const char *what, const buf *out, orch_error **err)
{
    size_t len = out->len;
    size_t start = len ? strspn(out->data, " \t\r\n") : 0;

    if (start < len && strchr("{[", out->data[start])) {
        int32_t rc = capture_add(b, CAPTURE_JSON, what, out->data, len, err);

        if (rc != ORCH_E_INVALID_ARGUMENT)
            return rc;
        if (err) {
            orch_error_free(*err);
            *err = NULL;
        }
    }
    while (len && (out->data[len - 1] == '\n' || out->data[len - 1] == '\r'))
        len--;
    return capture_add(b, CAPTURE_TEXT, what, len ? out->data : "", len, err);
}

static int32_t add_stdout(buf *b, const exec_spec *s, const buf *out, orch_error **err)
{
    buf what = BUF_INIT;
    int32_t rc;

    buf_printf(&what, "stdout of '%s'", s->argv[0]);
    if (what.failed)
        rc = error_no_memory(err);
    else if (s->output == CAPTURE_AUTO)
        rc = add_auto(b, what.data, out, err);
    else
        rc = capture_add(b, s->output, what.data, out->len ? out->data : "", out->len, err);
    buf_free(&what);
    return rc;
}

static void add_stderr(buf *b, const buf *err)
{
    buf tail = BUF_INIT;

    add_tail(&tail, err, EXEC_STDERR_TAIL);
    buf_json_string(b, tail.len ? tail.data : "", tail.len);
    b->failed = b->failed || tail.failed;
    buf_free(&tail);
}

static attempt_result success(const exec_spec *s, exec_end end, const buf *out, const buf *err)
{
    attempt_result r = {0};
    orch_error *error = NULL;
    buf b = BUF_INIT;
    int32_t rc;

    buf_printf(&b, "{\"exit_code\":%d,\"stdout\":", end.status);
    rc = add_stdout(&b, s, out, &error);
    if (rc) {
        buf_free(&b);
        return result_from_error(error, !orch_error_retryable(error));
    }
    buf_puts(&b, ",\"stderr\":");
    add_stderr(&b, err);
    buf_putc(&b, '}');
    r.output = buf_bytes(&b);
    return r.output ? r : result_no_memory();
}

attempt_result exec_make_result(const exec_spec *s, exec_end end, const buf *out, const buf *err)
{
    bool ok = end.known && !end.killed &&
              (s->ok_codes ? with_codes_have(s->ok_codes, end.status) : end.status == 0);

    return ok ? success(s, end, out, err) : failure(s, end, err);
}
