/* What can be seen of a built-in executor's `with` before it is evaluated. Where a template stands instead of a
 * value, the executor judges it when it runs. */
#include <string.h>

#include "base/text.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

bool text_is_template(const char *s)
{
    for (const char *p = strstr(s, "${"); p; p = strstr(p + 2, "${"))
        if (p == s || p[-1] != '$')
            return true;
    return false;
}

bool text_is_one_template(const char *s)
{
    size_t len = strlen(s);

    return len > 3 && s[0] == '$' && s[1] == '{' && s[len - 1] == '}';
}

static bool is_template(const json_t *value)
{
    return json_is_string(value) && text_is_template(json_string_value(value));
}

static int32_t read_anything(reader *r, void *into, json_t *value)
{
    (void)r, (void)into, (void)value;
    return 0;
}

static int32_t read_a_duration(reader *r, void *into, json_t *value)
{
    int64_t ms;

    (void)into;
    return is_template(value) ? 0 : read_duration(r, value, 0, &ms);
}

/* ---- lua ------------------------------------------------------------------------------------------------ */

/* Many steps often share one code, one after the other: it is looked at once. */
static int32_t read_code(reader *r, void *into, json_t *value)
{
    builder *b = into;
    const char *code;
    int32_t rc = read_text(r, value, "a string with Lua code", &code);

    if (rc || (b->last_code && !strcmp(b->last_code, code)))
        return rc;
    rc = sandbox_check(code, strlen(code), false, r->err);
    if (rc)
        return reader_pass_on(r, rc, false);
    b->last_code = code;
    return 0;
}

static const field lua_rows[] = {
    {"code", read_code, true},
    {"input", read_anything, false},
};

/* ---- exec ----------------------------------------------------------------------------------------------- */

static int32_t read_argv(reader *r, void *into, json_t *value)
{
    (void)into;
    if (is_template(value))
        return 0;
    if (!json_is_array(value))
        return reader_expected(r, value, "a list: the program and its arguments");
    if (!json_array_size(value))
        return reader_fail(r, "is empty; its first element is the program");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *s;
        int32_t rc;

        place_index(r, (uint32_t)i);
        rc = read_text(r, json_array_get(value, i), "a string", &s);
        if (rc)
            return rc;
        if (!i && !*s)
            return reader_fail(r, "is empty; it names the program");
        place_up(r);
    }
    return 0;
}

static const field exec_rows[] = {
    {"argv", read_argv, true},
};

/* ---- http ----------------------------------------------------------------------------------------------- */

static int32_t read_method(reader *r, void *into, json_t *value)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    const char *s;
    int32_t rc = read_text(r, value, "a string", &s);

    (void)into;
    if (rc || text_is_template(s))
        return rc;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcmp(methods[i], s))
            return 0;
    return reader_fail(
        r, "'%.*s' is not a method; allowed are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        WORDING(s));
}

static int32_t read_url(reader *r, void *into, json_t *value)
{
    const char *s;
    int32_t rc = read_text(r, value, "a string", &s);

    (void)into;
    if (rc || text_is_template(s) || !strncmp(s, "http://", 7) || !strncmp(s, "https://", 8))
        return rc;
    return reader_fail(r, "'%.*s' is not a URL that begins with http:// or https://", WORDING(s));
}

static const field http_rows[] = {
    {"url", read_url, true},
    {"method", read_method, false},
};

/* ---- wait and workflow ---------------------------------------------------------------------------------- */

static const field wait_rows[] = {
    {"duration", read_a_duration, true},
};

static int32_t read_workflow(reader *r, void *into, json_t *value)
{
    const char *name;

    (void)into;
    if (is_template(value))
        return reader_fail(r, "must be a workflow's id, not a template: which workflows call which "
                              "is known at registration");
    return read_name(r, value, &name);
}

static int32_t read_version_range(reader *r, void *into, json_t *value)
{
    semver_range *range;
    const char *s;
    int32_t rc = read_text(r, value, "a range of versions such as \"^1.2.0\"", &s);

    (void)into;
    if (rc || text_is_template(s))
        return rc;
    rc = semver_range_parse(s, &range, r->err);
    if (rc)
        return reader_pass_on(r, rc, false);
    semver_range_free(range);
    return 0;
}

static const field workflow_rows[] = {
    {"workflow", read_workflow, true},
    {"version", read_version_range, false},
    {"inputs", read_anything, false},
};

/* ---- All of them ---------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool whole_template; /* `with` itself may be one template */
    shape shape;
} builtins[] = {
    [BUILTIN_NOOP] = {"noop", true, {NULL, NULL, 0, true}},
    [BUILTIN_LUA] = {"lua", false, SHAPE("the `with` of lua", lua_rows)},
    [BUILTIN_EXEC] = {"exec", true, OPEN_SHAPE("the `with` of exec", exec_rows)},
    [BUILTIN_HTTP] = {"http", true, OPEN_SHAPE("the `with` of http", http_rows)},
    [BUILTIN_WAIT] = {"wait", false, SHAPE("the `with` of wait", wait_rows)},
    [BUILTIN_WORKFLOW] = {"workflow", false, SHAPE("the `with` of workflow", workflow_rows)},
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

    if (!s->count || (builtins[executor].whole_template && is_template(with)))
        return 0;
    if (!with)
        return reader_fail_at(&b->r, "with", "is missing; executor %s needs it",
                              builtins[executor].name);
    place_key(&b->r, "with");
    rc = shape_read(&b->r, s, with, b);
    if (rc)
        return rc;
    place_up(&b->r);
    return 0;
}
