#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "executor/exec_impl.h"

/* ---- Lists of strings in one block ----------------------------------------------------------------- */

typedef struct strings {
    buf text; /* each with its NUL */
    size_t count;
} strings;

static void strings_end(strings *s)
{
    buf_putc(&s->text, '\0');
    s->count++;
}

static void strings_add(strings *s, const char *text)
{
    buf_puts(&s->text, text);
    strings_end(s);
}

static void strings_add_pair(strings *s, const char *name, const char *value)
{
    buf_printf(&s->text, "%s=%s", name, value);
    strings_end(s);
}

/* A NULL-terminated array with its strings behind it; NULL if there is no memory. */
static char **strings_take(strings *s)
{
    size_t array = (s->count + 1) * sizeof(char *);
    char **block = s->text.failed ? NULL : mem_alloc(array + s->text.len);

    if (block) {
        char *at = (char *)block + array;

        if (s->text.len)
            memcpy(at, s->text.data, s->text.len);
        for (size_t i = 0; i < s->count; i++, at += strlen(at) + 1)
            block[i] = at;
        block[s->count] = NULL;
    }
    buf_free(&s->text);
    return block;
}

char **exec_environment_copy(void)
{
    strings s = {BUF_INIT, 0};

    for (char **e = environ; e && *e; e++)
        strings_add(&s, *e);
    return strings_take(&s);
}

/* ---- argv ------------------------------------------------------------------------------------------ */

static int32_t read_argv(exec_spec *s, orch_error **err)
{
    const json_t *words = json_object_get(s->with, "argv");
    strings out = {BUF_INIT, 0};
    char room[SCALAR_SIZE];

    if (!json_array_size(words))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "argv",
                         "with.argv: exec needs it, a list of at least one string");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *text = with_scalar(json_array_get(words, i), room);

        if (!text || (i == 0 && !*text)) {
            buf_free(&out.text);
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "argv",
                             "with.argv: entry %zu must be a string, a number or a boolean%s", i,
                             i ? " without a NUL" : ", and not empty");
        }
        strings_add(&out, text);
    }
    s->argv = strings_take(&out);
    return s->argv ? 0 : error_no_memory(err);
}

/* ---- Environment ----------------------------------------------------------------------------------- */

static const char *const ours[] = {"ORCH_EXECUTION", "ORCH_STEP", "ORCH_ATTEMPT",
                                   "ORCH_IDEMPOTENCY_KEY"};

static bool is_ours(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!strncmp(ours[i], name, len) && !ours[i][len])
            return true;
    return false;
}

static bool is_replaced(json_t *env, const char *name, size_t len)
{
    const char *key;
    json_t *value;

    json_object_foreach(env, key, value)
    {
        if (!strncmp(key, name, len) && !key[len])
            return true;
    }
    return is_ours(name, len);
}

static void add_inherited(strings *out, char *const *environment, json_t *env)
{
    for (; *environment; environment++)
        if (!is_replaced(env, *environment, strcspn(*environment, "=")))
            strings_add(out, *environment);
}

static int32_t add_given(strings *out, json_t *env, orch_error **err)
{
    char room[SCALAR_SIZE];
    const char *key;
    json_t *value;

    json_object_foreach(env, key, value)
    {
        const char *text = with_scalar(value, room);

        if (!*key || strchr(key, '='))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "env",
                             "with.env: \"%s\" cannot be a variable's name: it must not be empty "
                             "or hold a '='",
                             key);
        if (!text && !json_is_null(value))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "env",
                             "with.env: %s must be a string without a NUL, a number, a boolean, or "
                             "null to leave it out",
                             key);
        if (text && !is_ours(key, strlen(key)))
            strings_add_pair(out, key, text);
    }
    return 0;
}

static void add_ours(strings *out, const attempt *a)
{
    strings_add_pair(out, "ORCH_EXECUTION", a->execution);
    strings_add_pair(out, "ORCH_STEP", a->step);
    buf_printf(&out->text, "ORCH_ATTEMPT=%u", a->number);
    strings_end(out);
    strings_add_pair(out, "ORCH_IDEMPOTENCY_KEY", a->idempotency_key);
}

static int32_t read_env(exec_spec *s, const attempt *a, char *const *environment, orch_error **err)
{
    json_t *env = json_object_get(s->with, "env");
    strings out = {BUF_INIT, 0};
    bool clear = false;
    int32_t rc = with_bool(s->with, "clear_env", &clear, err);

    if (!rc && env && !json_is_object(env) && !json_is_null(env))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "env", "with.env: it must be an object");
    if (rc)
        return rc;
    if (!clear)
        add_inherited(&out, environment, env);
    rc = add_given(&out, env, err);
    if (rc) {
        buf_free(&out.text);
        return rc;
    }
    add_ours(&out, a);
    s->envp = strings_take(&out);
    return s->envp ? 0 : error_no_memory(err);
}

/* ---- All of it ------------------------------------------------------------------------------------- */

static int32_t read_rest(exec_spec *s, orch_error **err)
{
    uint32_t limit = s->max_output_bytes;
    const json_t *input = json_object_get(s->with, "stdin");
    int32_t rc = with_text(s->with, "cwd", &s->cwd, err);

    s->input = json_is_null(input) ? NULL : input;
    if (!rc)
        rc = with_count(s->with, "max_output_bytes", 1, limit, &s->max_output_bytes, err);
    if (!rc)
        rc = with_codes(s->with, "ok_codes", 0, 255, &s->ok_codes, err);
    if (!rc)
        rc = with_capture(s->with, &s->output, err);
    return rc;
}

int32_t exec_spec_read(const attempt *a, char *const *environment, uint32_t max_output_bytes,
                       exec_spec *out, orch_error **err)
{
    static const char *const known[] = {
        "argv", "stdin", "env", "clear_env", "cwd", "output", "max_output_bytes", "ok_codes", NULL};
    exec_spec s = {.with = a->with, .max_output_bytes = max_output_bytes};
    int32_t rc = with_check(a->with, "exec", known, err);

    json_incref(s.with);
    if (!rc)
        rc = read_argv(&s, err);
    if (!rc)
        rc = read_rest(&s, err);
    if (!rc)
        rc = read_env(&s, a, environment, err);
    if (rc)
        exec_spec_clear(&s);
    else
        *out = s;
    return rc;
}

void exec_spec_clear(exec_spec *s)
{
    mem_free(s->argv);
    mem_free(s->envp);
    json_decref(s->with);
}
