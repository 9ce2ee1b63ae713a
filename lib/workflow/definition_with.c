/* What can be seen of a built-in executor's `with` before it is evaluated. Where a template
 * stands instead of a value, the executor judges it when it runs. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

/* For the executor to judge once it is there: a template, or a null, which stands for nothing. */
static bool is_open(const json_t *value)
{
    return json_is_null(value) ||
           (json_is_string(value) && text_is_template(json_string_value(value)));
}

/* ---- Values that several executors take ------------------------------------------------------ */

static int32_t read_any(reader *r, void *into, json_t *value)
{
    (void)r, (void)into, (void)value;
    return 0;
}

static int32_t read_a_text(reader *r, void *into, json_t *value)
{
    const char *s;

    (void)into;
    return is_open(value) ? 0 : read_text(r, value, "a string", &s);
}

static int32_t read_a_boolean(reader *r, void *into, json_t *value)
{
    (void)into;
    return is_open(value) || json_is_boolean(value) ? 0
                                                    : reader_expected(r, value, "true or false");
}

static int32_t read_size(reader *r, void *into, json_t *value)
{
    int64_t n;

    (void)into;
    return is_open(value) ? 0 : read_integer(r, value, 1, UINT32_MAX, &n);
}

static int32_t read_one_of(reader *r, json_t *value, const char *const *words, const char *allowed)
{
    uint8_t number;

    return is_open(value) ? 0 : read_word(r, value, words, allowed, &number);
}

static int32_t read_capture(reader *r, void *into, json_t *value)
{
    static const char *const words[] = {"auto", "json", "text", "base64", NULL};

    (void)into;
    return read_one_of(r, value, words, "auto, json, text, base64");
}

static int32_t read_codes(reader *r, json_t *value, int64_t min, int64_t max)
{
    if (is_open(value))
        return 0;
    if (!json_is_array(value))
        return reader_expected(r, value, "a list of integers");
    if (!json_array_size(value))
        return reader_fail(r, "is empty; leave it out for the default");
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *code = json_array_get(value, i);
        int64_t n;
        int32_t rc;

        place_index(r, (uint32_t)i);
        rc = json_is_string(code) && is_open(code) ? 0 : read_integer(r, code, min, max, &n);
        if (rc)
            return rc;
        place_up(r);
    }
    return 0;
}

/* What is handed over as text: a string, a number, a boolean. */
static int32_t read_scalar(reader *r, json_t *value)
{
    const char *s;

    if (json_is_number(value) || json_is_boolean(value))
        return 0;
    return read_text(r, value, "a string, a number or a boolean", &s);
}

/* An object of scalars; null takes a name out. */
static int32_t read_pairs(reader *r, json_t *value)
{
    if (is_open(value))
        return 0;
    if (!json_is_object(value))
        return reader_expected(r, value, "an object");
    for (void *it = json_object_iter(value); it; it = json_object_iter_next(value, it)) {
        json_t *member = json_object_iter_value(it);
        int32_t rc;

        place_key(r, json_object_iter_key(it));
        rc = json_is_null(member) ? 0 : read_scalar(r, member);
        if (rc)
            return rc;
        place_up(r);
    }
    return 0;
}

/* ---- lua ------------------------------------------------------------------------------------- */

static int32_t read_code(reader *r, void *into, json_t *value)
{
    builder *b = into;
    const char *code;
    int32_t rc = read_text(r, value, "a string with Lua code", &code);

    if (rc)
        return rc;
    rc = sandbox_check(&b->checker, code, strlen(code), false, NULL, r->err);
    return rc ? reader_pass_on(r, rc, false) : 0;
}

static const field lua_rows[] = {
    {"code", read_code, true},
    {"input", read_any, false},
};

/* ---- exec ------------------------------------------------------------------------------------ */

static int32_t read_argv(reader *r, void *into, json_t *value)
{
    (void)into;
    if (json_is_string(value) && is_open(value))
        return 0;
    if (!json_is_array(value))
        return reader_expected(r, value, "a list: the program and its arguments");
    if (!json_array_size(value))
        return reader_fail(r, "is empty; its first element names the program");
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *element = json_array_get(value, i);
        int32_t rc;

        place_index(r, (uint32_t)i);
        rc = read_scalar(r, element);
        if (rc)
            return rc;
        if (!i && json_is_string(element) && !json_string_length(element))
            return reader_fail(r, "is empty; it names the program");
        place_up(r);
    }
    return 0;
}

static int32_t read_env(reader *r, void *into, json_t *value)
{
    (void)into;
    for (void *it = json_object_iter(value); it; it = json_object_iter_next(value, it)) {
        const char *name = json_object_iter_key(it);

        if (!*name || strchr(name, '='))
            return reader_fail(
                r, "'%.*s' cannot be a variable's name: it must not be empty or hold a '='",
                WORDING(name));
    }
    return read_pairs(r, value);
}

static int32_t read_exit_codes(reader *r, void *into, json_t *value)
{
    (void)into;
    return read_codes(r, value, 0, 255);
}

static const field exec_rows[] = {
    {"argv", read_argv, true},
    {"stdin", read_any, false},
    {"env", read_env, false},
    {"clear_env", read_a_boolean, false},
    {"cwd", read_a_text, false},
    {"output", read_capture, false},
    {"max_output_bytes", read_size, false},
    {"ok_codes", read_exit_codes, false},
};

/* ---- http ------------------------------------------------------------------------------------ */

static int32_t read_method(reader *r, void *into, json_t *value)
{
    static const char *const words[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", NULL};

    (void)into;
    return read_one_of(r, value, words, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

/* After the scheme; NULL if it is none of http's. */
static const char *host_of(const char *url)
{
    if (!strncasecmp(url, "http://", 7))
        return url + 7;
    return strncasecmp(url, "https://", 8) ? NULL : url + 8;
}

static int32_t read_url(reader *r, void *into, json_t *value)
{
    const char *s, *host;
    int32_t rc = read_text(r, value, "a string", &s);

    (void)into;
    if (rc || text_is_template(s))
        return rc;
    host = host_of(s);
    if (!host || !*host || strchr("/?#", *host))
        return reader_fail(r, "'%.*s' is not a URL: it begins with http:// or https:// and a host",
                           WORDING(s));
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return reader_fail(r,
                               "must not hold spaces or control characters; `query` encodes what "
                               "stands behind the '?'");
    return 0;
}

static int32_t read_headers(reader *r, void *into, json_t *value)
{
    (void)into;
    return read_pairs(r, value);
}

/* An object of scalars or lists of them; null leaves a name out. */
static int32_t read_query(reader *r, void *into, json_t *value)
{
    (void)into;
    if (is_open(value))
        return 0;
    if (!json_is_object(value))
        return reader_expected(r, value, "an object");
    for (void *it = json_object_iter(value); it; it = json_object_iter_next(value, it)) {
        json_t *member = json_object_iter_value(it);
        int32_t rc = 0;

        place_key(r, json_object_iter_key(it));
        if (!json_is_array(member) && !json_is_null(member))
            rc = read_scalar(r, member);
        for (size_t i = 0; !rc && i < json_array_size(member); i++) {
            place_index(r, (uint32_t)i);
            rc = read_scalar(r, json_array_get(member, i));
            if (!rc)
                place_up(r);
        }
        if (rc)
            return rc;
        place_up(r);
    }
    return 0;
}

static int32_t read_request_timeout(reader *r, void *into, json_t *value)
{
    int64_t ms;

    (void)into;
    return is_open(value) ? 0 : read_duration(r, value, 1, &ms);
}

static int32_t read_statuses(reader *r, void *into, json_t *value)
{
    (void)into;
    return read_codes(r, value, 100, 599);
}

static const field tls_rows[] = {
    {"ca", read_a_text, false},
    {"cert", read_a_text, false},
    {"key", read_a_text, false},
    {"insecure", read_a_boolean, false},
};
static const shape tls_shape = SHAPE("tls", tls_rows);

static int32_t read_tls(reader *r, void *into, json_t *value)
{
    return is_open(value) ? 0 : shape_read(r, &tls_shape, value, into);
}

static const field http_rows[] = {
    {"method", read_method, false},
    {"url", read_url, true},
    {"headers", read_headers, false},
    {"query", read_query, false},
    {"body", read_any, false},
    {"timeout", read_request_timeout, false},
    {"follow_redirects", read_a_boolean, false},
    {"max_body_bytes", read_size, false},
    {"ok", read_statuses, false},
    {"output", read_capture, false},
    {"tls", read_tls, false},
};

/* ---- All of them ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool whole_template; /* `with` itself may be one template */
    shape shape;
    int32_t (*check)(reader *r, json_t *with); /* instead of a shape */
} builtins[] = {
    [BUILTIN_NOOP] = {"noop", true, {NULL, NULL, 0}, NULL},
    [BUILTIN_LUA] = {"lua", false, SHAPE("the `with` of lua", lua_rows), NULL},
    [BUILTIN_EXEC] = {"exec", true, SHAPE("the `with` of exec", exec_rows), NULL},
    [BUILTIN_HTTP] = {"http", true, SHAPE("the `with` of http", http_rows), NULL},
    [BUILTIN_WAIT] = {"wait", false, {NULL, NULL, 0}, wait_check_with},
    [BUILTIN_WORKFLOW] = {"workflow", false, {NULL, NULL, 0}, child_check_with},
};

enum builtin builtin_by_name(const char *executor)
{
    for (int i = BUILTIN_NOOP; i <= BUILTIN_WORKFLOW; i++)
        if (!strcmp(builtins[i].name, executor))
            return (enum builtin)i;
    return BUILTIN_NONE;
}

int32_t definition_check_with(builder *b, enum builtin executor, json_t *with)
{
    const shape *s = &builtins[executor].shape;
    int32_t rc;

    if ((!s->count && !builtins[executor].check) ||
        (builtins[executor].whole_template && with && is_open(with)))
        return 0;
    if (!with)
        return reader_fail_at(&b->r, "with", "'with' is missing; executor %s needs it",
                              builtins[executor].name);
    place_key(&b->r, "with");
    rc = s->count ? shape_read(&b->r, s, with, b) : builtins[executor].check(&b->r, with);
    if (rc)
        return rc;
    place_up(&b->r);
    return 0;
}
