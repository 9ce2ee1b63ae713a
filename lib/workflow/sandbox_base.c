/* The basic functions. What is missing here is missing on purpose: load and its kin, coroutines, metatables, raw access,
 * collectgarbage, print. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "workflow/sandbox_impl.h"

void base_tostring(lua_State *L, int index)
{
    lua_Number n;

    switch (lua_type(L, index)) {
    case LUA_TSTRING: lua_pushvalue(L, index); return;
    case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false"); return;
    case LUA_TNUMBER:
        n = lua_tonumber(L, index);
        if (n != n) {
            lua_pushliteral(L, "nan"); /* its sign differs between processors */
            return;
        }
        lua_pushvalue(L, index);
        lua_tolstring(L, -1, NULL);
        return;
    default: lua_pushstring(L, value_is_null(L, index) ? "null" : luaL_typename(L, index)); return;
    }
}

bool base_push_number(lua_State *L, int index)
{
    size_t len;
    const char *s;

    if (lua_type(L, index) == LUA_TNUMBER) {
        lua_pushvalue(L, index);
        return true;
    }
    if (lua_type(L, index) != LUA_TSTRING || lua_rawlen(L, index) > NUMBER_MAX_LEN)
        return false;
    s = lua_tolstring(L, index, &len);
    if (lua_stringtonumber(L, s) == len + 1)
        return true;
    return false;
}

lua_Integer base_integer(lua_State *L, int arg)
{
    lua_Integer n = 0;
    int exact = 0;

    if (base_push_number(L, arg)) {
        n = lua_tointegerx(L, -1, &exact);
        lua_pop(L, 1);
        if (!exact)
            luaL_argerror(L, arg, "number has no integer representation");
        return n;
    }
    return luaL_typeerror(L, arg, "number");
}

lua_Integer base_opt_integer(lua_State *L, int arg, lua_Integer otherwise)
{
    return lua_isnoneornil(L, arg) ? otherwise : base_integer(L, arg);
}

lua_Number base_number(lua_State *L, int arg)
{
    lua_Number n = 0;

    if (!base_push_number(L, arg))
        luaL_typeerror(L, arg, "number");
    n = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n;
}

static int basic_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, value_is_null(L, 1) ? "null" : luaL_typename(L, 1));
    return 1;
}

static int basic_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    base_tostring(L, 1);
    return 1;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

static int number_in_base(lua_State *L, int base)
{
    size_t len;
    const char *s = lua_tolstring(L, 1, &len), *end = s + len;
    lua_Unsigned n = 0;
    bool negative;

    while (s < end && isspace((unsigned char)*s))
        s++;
    while (end > s && isspace((unsigned char)end[-1]))
        end--;
    negative = s < end && *s == '-';
    if (s < end && (*s == '-' || *s == '+'))
        s++;
    if (s == end)
        return 0;
    for (; s < end; s++) {
        if (digit_of(*s) >= base)
            return 0;
        n = n * (lua_Unsigned)base + (lua_Unsigned)digit_of(*s);
    }
    lua_pushinteger(L, (lua_Integer)(negative ? 0 - n : n));
    return 1;
}

static int basic_tonumber(lua_State *L)
{
    lua_Integer base;
    size_t len;

    luaL_checkany(L, 1);
    if (lua_isnoneornil(L, 2)) {
        if (!base_push_number(L, 1))
            lua_pushnil(L);
        return 1;
    }
    base = base_integer(L, 2);
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_argcheck(L, base >= 2 && base <= 36, 2, "base out of range");
    lua_tolstring(L, 1, &len);
    if (len > NUMBER_MAX_LEN || !number_in_base(L, (int)base))
        lua_pushnil(L);
    return 1;
}

/* ---- walking tables ------------------------------------------------------------------------------------ */

static int ipairs_step(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, 2) + 1;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushinteger(L, i);
    return lua_geti(L, 1, i) == LUA_TNIL ? 1 : 2;
}

static int basic_ipairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushcfunction(L, ipairs_step);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* The first key after *after (or of all, if NULL). Pushes it; false if there is none. */
static bool push_next(lua_State *L, const sort_key *after)
{
    sort_key best, k;
    uint64_t n = 1;
    bool found = false;

    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        n++;
        if (!sort_key_at(L, -2, &k))
            luaL_error(L, "keys of type %s have no order", luaL_typename(L, -2));
        if (after && sort_key_compare(&k, after) <= 0)
            continue;
        if (!found || sort_key_compare(&k, &best) < 0)
            best = k;
        found = true;
    }
    budget_charge(L, n);
    if (found)
        sort_key_push(L, &best);
    return found;
}

static int basic_next(lua_State *L)
{
    sort_key after;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2) && !sort_key_at(L, 2, &after))
        return luaL_argerror(L, 2, "keys of this type have no order");
    if (!push_next(L, lua_isnil(L, 2) ? NULL : &after)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
}

typedef struct walk {
    uint32_t at, count;
    const sort_key *keys;
    const uint32_t *order;
} walk;

/* Upvalues: the keys' memory, the walk, the table. A key whose value is gone meanwhile is passed over. */
static int pairs_step(lua_State *L)
{
    walk *w = lua_touserdata(L, lua_upvalueindex(2));

    while (w->at < w->count) {
        sort_key_push(L, &w->keys[w->order[w->at++]]);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL)
            return 2;
        lua_pop(L, 2);
        budget_charge(L, 1);
    }
    return 0;
}

/* True if the keys are exactly 1..n. */
static bool is_sequence(lua_State *L, int table)
{
    lua_Unsigned n = lua_rawlen(L, table), seen = 0;

    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (!lua_isinteger(L, -2) || (lua_Unsigned)lua_tointeger(L, -2) - 1 >= n) {
            lua_pop(L, 2);
            return false;
        }
        seen++;
    }
    budget_charge(L, seen + 1);
    return seen == n;
}

static int sequence_step(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, 2), n = lua_tointeger(L, lua_upvalueindex(1));

    luaL_checktype(L, 1, LUA_TTABLE);
    while (i < n) {
        lua_settop(L, 2);
        lua_pushinteger(L, ++i);
        if (lua_rawgeti(L, 1, i) != LUA_TNIL)
            return 2;
        budget_charge(L, 1);
    }
    return 0;
}

static int basic_pairs(lua_State *L)
{
    walk *w;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (is_sequence(L, 1)) {
        lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
        lua_pushcclosure(L, sequence_step, 1);
        lua_pushvalue(L, 1);
        return 2;
    }
    lua_pushnil(L);
    w = lua_newuserdatauv(L, sizeof *w, 0);
    w->keys = sort_keys(L, 1, &w->count, &w->order);
    w->at = 0;
    lua_replace(L, 2);
    /* The keys' strings stay alive even if the loop removes them from the table. */
    lua_createtable(L, (int)w->count, 1);
    for (uint32_t i = 0; i < w->count; i++) {
        sort_key_push(L, &w->keys[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 0);
    lua_replace(L, 2);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, pairs_step, 3);
    lua_pushvalue(L, 1);
    return 2;
}

/* ---- errors -------------------------------------------------------------------------------------------- */

static int basic_error(lua_State *L)
{
    lua_Integer level = base_opt_integer(L, 2, 1);

    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && level > 0 && level < 1000) {
        luaL_where(L, (int)level);
        lua_insert(L, 1);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int basic_assert(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_toboolean(L, 1))
        return lua_gettop(L);
    lua_remove(L, 1);
    lua_pushliteral(L, "assertion failed!");
    lua_settop(L, 1);
    return lua_error(L);
}

/* Call what lies above `base` with its arguments; the results stay there. Running out of a budget, or being
 * stopped, goes on through. */
static bool protected_call(lua_State *L, int base, int handler)
{
    sandbox *s = sandbox_of(L);
    int nesting = s->nesting, status;
    size_t scratch = s->scratch.len;

    budget_nest(L);
    status = lua_pcall(L, lua_gettop(L) - base - 1, LUA_MULTRET, handler);
    budget_rethrow(L, status);
    s->nesting = nesting;
    s->scratch.len = scratch;
    return status == LUA_OK;
}

static int basic_pcall(lua_State *L)
{
    bool ok;

    luaL_checkany(L, 1);
    ok = protected_call(L, 0, 0);
    lua_pushboolean(L, ok);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int handle(lua_State *L)
{
    if (sandbox_of(L)->end)
        return 1;
    budget_nest(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int basic_xpcall(lua_State *L)
{
    bool ok;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_pushvalue(L, 1);
    lua_replace(L, 2);
    lua_replace(L, 1); /* handler, function, arguments */
    ok = protected_call(L, 1, 1);
    lua_pushboolean(L, ok);
    lua_replace(L, 1);
    return lua_gettop(L);
}

static int basic_select(lua_State *L)
{
    int n = lua_gettop(L);
    lua_Integer at;

    budget_charge(L, 1 + (uint64_t)n / 8);
    if (lua_type(L, 1) == LUA_TSTRING && !strcmp(lua_tostring(L, 1), "#")) {
        lua_pushinteger(L, n - 1);
        return 1;
    }
    at = base_integer(L, 1);
    if (at < 0)
        at = n + at;
    else if (at > n)
        at = n;
    luaL_argcheck(L, at >= 1, 1, "index out of range");
    return n - (int)at;
}

/* ---- markers ------------------------------------------------------------------------------------------- */

static void check_own_table(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
        return;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, REF_LIST_META);
        lua_rawgeti(L, LUA_REGISTRYINDEX, REF_OBJECT_META);
        if (!lua_rawequal(L, 2, 3) && !lua_rawequal(L, 2, 4))
            luaL_argerror(L, 1, "a table of the library cannot be marked");
        lua_settop(L, 1);
    }
}

static int basic_array(lua_State *L)
{
    check_own_table(L);
    value_mark_list(L);
    return 1;
}

static int basic_object(lua_State *L)
{
    check_own_table(L);
    value_mark_object(L);
    return 1;
}

void base_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"array", basic_array},       {"assert", basic_assert},
                                         {"error", basic_error},       {"ipairs", basic_ipairs},
                                         {"next", basic_next},         {"object", basic_object},
                                         {"pairs", basic_pairs},       {"pcall", basic_pcall},
                                         {"select", basic_select},     {"tonumber", basic_tonumber},
                                         {"tostring", basic_tostring}, {"type", basic_type},
                                         {"xpcall", basic_xpcall},     {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, "Lua 5.4");
    lua_setfield(L, -2, "_VERSION");
}
