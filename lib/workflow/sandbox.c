#include "workflow/sandbox.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "workflow/definition.h"
#include "workflow/sandbox_impl.h"

#define DEFAULT_INSTRUCTIONS UINT64_C(100000000)
#define DEFAULT_MEMORY_BYTES (UINT64_C(64) << 20)
#define GARBAGE_KEPT_BYTES   ((size_t)256 << 10) /* more than this is collected between runs */

int32_t sandbox_new(const sandbox_limits *limits, sandbox **out, orch_error **err)
{
    sandbox *s = mem_zalloc(sizeof *s);

    if (!s)
        return error_no_memory(err);
    if (limits)
        s->limits = *limits;
    if (!s->limits.instructions)
        s->limits.instructions = DEFAULT_INSTRUCTIONS;
    if (!s->limits.memory_bytes)
        s->limits.memory_bytes = DEFAULT_MEMORY_BYTES;
    memset(s->buckets, 0xff, sizeof s->buckets);
    s->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!s->locale) {
        mem_free(s);
        return error_no_memory(err);
    }
    if (state_open(s, NULL)) {
        sandbox_free(s);
        return error_no_memory(err);
    }
    *out = s;
    return 0;
}

void sandbox_free(sandbox *s)
{
    if (!s)
        return;
    state_close(s);
    json_decref(s->held);
    orch_error_free(s->secret_error);
    buf_free(&s->scratch);
    freelocale(s->locale);
    mem_free(s);
}

/* ---- running ------------------------------------------------------------------------------------------- */

typedef struct call {
    const char *code;
    size_t len;
    bool expression;
} call;

static void fresh_globals(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_rawgeti(L, LUA_REGISTRYINDEX, REF_ENV_META);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_ENV);
}

/* Compile, run, and leave the result as JSON in s->held. */
static int run_call(lua_State *L)
{
    const call *c = lua_touserdata(L, 1);
    int function;

    lua_settop(L, 0);
    state_chunk(L, c->code, c->len, c->expression);
    function = lua_gettop(L);
    fresh_globals(L);
    lua_setupvalue(L, function, 1);
    lua_pushvalue(L, function);
    lua_call(L, 0, LUA_MULTRET);
    if (lua_gettop(L) > function + 1)
        return luaL_error(L, "%d values were returned; return one (a table can hold more)",
                          lua_gettop(L) - function);
    if (lua_gettop(L) == function)
        lua_pushnil(L);
    value_from_lua(L, function + 1);
    return 0;
}

/* ---- errors -------------------------------------------------------------------------------------------- */

typedef struct failure {
    char *message;
    size_t len;
    int32_t code;
    bytes *data; /* JSON; NULL = none */
} failure;

static int read_failure(lua_State *L)
{
    failure *f = lua_touserdata(L, 2);
    const char *text;

    f->code = ORCH_E_INVALID_ARGUMENT;
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TTABLE) {
        lua_pushliteral(L, "code");
        if (lua_rawget(L, 1) == LUA_TSTRING && error_code_by_name(lua_tostring(L, -1)))
            f->code = error_code_by_name(lua_tostring(L, -1));
        lua_pushliteral(L, "message");
        if (lua_rawget(L, 1) != LUA_TSTRING)
            lua_pushliteral(L, "an error without a message");
    }
    base_tostring(L, -1);
    text = lua_tolstring(L, -1, &f->len);
    f->message = mem_strndup(text, f->len);
    return 0;
}

/* `data` of an error that is a table. */
static int read_data(lua_State *L)
{
    sandbox *s = sandbox_of(L);
    failure *f = lua_touserdata(L, 2);

    lua_pushliteral(L, "data");
    if (lua_type(L, 1) != LUA_TTABLE || lua_rawget(L, 1) == LUA_TNIL)
        return 0;
    value_from_lua(L, -1);
    f->data = canonical_json(s->held);
    if (!f->data)
        budget_end(L, END_NO_MEMORY);
    return 0;
}

/* Call one of the two on the error at `index`. */
static int read_error(sandbox *s, lua_CFunction read, int index, failure *f)
{
    lua_pushcfunction(s->L, read);
    lua_pushvalue(s->L, index);
    lua_pushlightuserdata(s->L, f);
    return lua_pcall(s->L, 2, 0, 0);
}

/* What could not be made JSON is told behind the message. */
static void add_data(sandbox *s, int index, failure *f, orch_error **err)
{
    orch_error *wrong = NULL, *told;
    const char *why = NULL;
    int status = read_error(s, read_data, index, f);

    if (status == LUA_OK) {
        error_add_data(err, f->data ? f->data->data : NULL);
        return;
    }
    if (status == LUA_ERRMEM && !s->end)
        s->end = s->refused ? s->refused : END_MEMORY;
    if (s->end) {
        budget_error(s, &wrong);
        why = orch_error_message(wrong);
    } else if (lua_type(s->L, -1) == LUA_TSTRING) {
        why = lua_tostring(s->L, -1);
    }
    told = *err;
    *err = NULL;
    error_set(err, f->code, NULL, "%.600s (its data is lost: %s)", orch_error_message(told),
              why ? why : "it is no value");
    orch_error_free(told);
    orch_error_free(wrong);
}

static int32_t fail_with_lua_error(sandbox *s, orch_error **err)
{
    failure f = {NULL, 0, ORCH_E_INVALID_ARGUMENT, NULL};
    int32_t status, index = lua_gettop(s->L);

    s->allowed_bytes += 64 << 10; /* a run at its limit can still say what was wrong */
    s->left = INT64_MAX / 2;
    s->stop = NULL;
    if (read_error(s, read_failure, index, &f) != LUA_OK || !f.message) {
        mem_free(f.message);
        return error_no_memory(err);
    }
    for (size_t i = 0; i < f.len; i++) /* errors are text, whatever Lua put in */
        if ((unsigned char)f.message[i] < 0x20 && f.message[i] != '\n')
            f.message[i] = ' ';
    if (!text_is_utf8(f.message, f.len))
        for (size_t i = 0; i < f.len; i++)
            if ((unsigned char)f.message[i] >= 0x80)
                f.message[i] = '?';
    status = error_set(err, f.code, NULL, "%s", f.message);
    if (err)
        add_data(s, index, &f, err);
    mem_free(f.message);
    bytes_unref(f.data);
    return status;
}

static int32_t fail(sandbox *s, int status, orch_error **err)
{
    int32_t code;

    if (status == LUA_ERRMEM && !s->end)
        s->end = s->refused ? s->refused : END_MEMORY;
    if (!s->end)
        return fail_with_lua_error(s, err);
    if (s->end != END_SECRET)
        return budget_error(s, err);
    code = orch_error_code(s->secret_error);
    if (!code)
        return error_set(err, ORCH_E_NOT_FOUND, NULL, "the secret could not be read");
    if (err) {
        orch_error_free(*err);
        *err = s->secret_error;
        s->secret_error = NULL;
    }
    return code;
}

/* ---- sandbox_run ---------------------------------------------------------------------------------------- */

/* Leaves nothing of the run behind. After a broken-off one the state is made anew: it costs little and
 * nothing needs to be reasoned about. */
static void clean_up(sandbox *s)
{
    lua_State *L = s->L;

    json_decref(s->held);
    s->held = NULL;
    orch_error_free(s->secret_error);
    s->secret_error = NULL;
    if (s->end) {
        s->chunk = NULL;
        state_close(s);
        return;
    }
    lua_settop(L, 0);
    lua_sethook(L, NULL, 0, 0);
    lua_pushboolean(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_ENV);
    if (s->chunk) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, REF_CHUNKS + (s->chunk - s->chunks));
        lua_pushboolean(L, 0);
        lua_setupvalue(L, -2, 1);
        lua_pop(L, 1);
    }
    s->chunk = NULL;
    if (s->used_bytes > s->base_bytes + GARBAGE_KEPT_BYTES)
        lua_gc(L, LUA_GCCOLLECT);
}

int32_t sandbox_run(sandbox *s, const char *code, size_t len, bool expression, const scope *sc,
                    const sandbox_names *names, const volatile int *stop, json_t **out,
                    orch_error **err)
{
    call c = {code, len, expression};
    locale_t before = uselocale(s->locale);
    int32_t result = 0;
    int status;

    if (!s->L)
        result = state_open(s, err);
    if (result)
        goto out;
    s->scope = sc;
    s->names = names;
    s->stop = stop;
    budget_start(s);
    lua_pushcfunction(s->L, run_call);
    lua_pushlightuserdata(s->L, &c);
    status = lua_pcall(s->L, 1, 0, 0);
    if (status == LUA_OK) {
        *out = s->held;
        s->held = NULL;
    } else {
        result = fail(s, status, err);
    }
    clean_up(s);
out:
    uselocale(before);
    return result;
}
