/* The string library, without dump, pack and unpack. Every function's work is charged by the bytes it handles. */
#include <string.h>

#include "workflow/sandbox_impl.h"

static const char *check_string(lua_State *L, int arg, size_t *len)
{
    const char *s = luaL_checklstring(L, arg, len);

    budget_charge_bytes(L, *len);
    return s;
}

static int string_len(lua_State *L)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    lua_pushinteger(L, (lua_Integer)len);
    return 1;
}

static size_t string_end(lua_Integer at, size_t len)
{
    if (at > (lua_Integer)len)
        return len;
    if (at >= 0)
        return (size_t)at;
    return at < -(lua_Integer)len ? 0 : len + (size_t)at + 1;
}

static int string_sub(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    size_t from = string_start(base_integer(L, 2), len);
    size_t to = string_end(base_opt_integer(L, 3, -1), len);

    if (from > to)
        lua_pushliteral(L, "");
    else
        lua_pushlstring(L, s + from - 1, to - from + 1);
    return 1;
}

static int change_case(lua_State *L, char first, char last)
{
    size_t len, from = sandbox_of(L)->scratch.len;
    const char *s = check_string(L, 1, &len);
    char *out = scratch_grow(L, len);

    for (size_t i = 0; i < len; i++)
        out[i] = s[i] >= first && s[i] <= last ? (char)(s[i] ^ 0x20) : s[i];
    scratch_push(L, from);
    return 1;
}

static int string_upper(lua_State *L)
{
    return change_case(L, 'a', 'z');
}

static int string_lower(lua_State *L)
{
    return change_case(L, 'A', 'Z');
}

static int string_reverse(lua_State *L)
{
    size_t len, from = sandbox_of(L)->scratch.len;
    const char *s = check_string(L, 1, &len);
    char *out = scratch_grow(L, len);

    for (size_t i = 0; i < len; i++)
        out[i] = s[len - 1 - i];
    scratch_push(L, from);
    return 1;
}

static int string_rep(lua_State *L)
{
    sandbox *sb = sandbox_of(L);
    size_t len, between_len, from = sb->scratch.len;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer n = base_integer(L, 2);
    const char *between = luaL_optlstring(L, 3, "", &between_len);

    if (n <= 0 || len + between_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)n > sb->limits.memory_bytes / (len + between_len))
        budget_end(L, END_MEMORY);
    budget_charge_bytes(L, (size_t)n * (len + between_len + 16));
    while (n-- > 0) {
        scratch_add(L, s, len);
        if (n)
            scratch_add(L, between, between_len);
    }
    scratch_push(L, from);
    return 1;
}

static int string_byte(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer first = base_opt_integer(L, 2, 1);
    size_t from = string_start(first, len),
           to = string_end(base_opt_integer(L, 3, (lua_Integer)from), len);

    if (from > to)
        return 0;
    if (to - from >= UNPACK_MAX)
        return luaL_error(L, "string slice too long (%d bytes are allowed)", UNPACK_MAX);
    budget_charge(L, 1 + (to - from) / 8);
    budget_stack(L, (int)(to - from) + 1);
    for (size_t i = from; i <= to; i++)
        lua_pushinteger(L, (unsigned char)s[i - 1]);
    return (int)(to - from) + 1;
}

static int string_char(lua_State *L)
{
    size_t from = sandbox_of(L)->scratch.len;
    int n = lua_gettop(L);

    budget_charge(L, 1 + (uint64_t)n / 8);
    for (int i = 1; i <= n; i++) {
        lua_Integer value = base_integer(L, i);
        char c = (char)value;

        luaL_argcheck(L, value >= 0 && value <= 255, i, "value out of range");
        scratch_add(L, &c, 1);
    }
    scratch_push(L, from);
    return 1;
}

/* Arithmetic on strings that are numbers; without it, as in Lua, `"10" + 1` would fail. */
static int arithmetic(lua_State *L)
{
    int op = (int)lua_tointeger(L, lua_upvalueindex(1));

    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        if (!base_push_number(L, i))
            return luaL_error(L, "attempt to perform arithmetic on a %s value",
                              value_is_null(L, i) ? "null" : luaL_typename(L, i));
    }
    if (op == LUA_OPUNM)
        lua_pop(L, 1);
    lua_arith(L, op);
    return 1;
}

static void open_metatable(lua_State *L)
{
    static const struct {
        const char *event;
        int op;
    } events[] = {{"__add", LUA_OPADD}, {"__sub", LUA_OPSUB},  {"__mul", LUA_OPMUL},
                  {"__mod", LUA_OPMOD}, {"__pow", LUA_OPPOW},  {"__div", LUA_OPDIV},
                  {"__unm", LUA_OPUNM}, {"__idiv", LUA_OPIDIV}};

    lua_pushliteral(L, "");
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        lua_pushinteger(L, events[i].op);
        lua_pushcclosure(L, arithmetic, 1);
        lua_setfield(L, -2, events[i].event);
    }
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

void string_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"byte", string_byte},       {"char", string_char},
                                         {"find", string_find},       {"format", string_format},
                                         {"gmatch", string_gmatch},   {"gsub", string_gsub},
                                         {"len", string_len},         {"lower", string_lower},
                                         {"match", string_match},     {"rep", string_rep},
                                         {"reverse", string_reverse}, {"sub", string_sub},
                                         {"upper", string_upper},     {NULL, NULL}};

    luaL_newlib(L, functions);
    open_metatable(L);
}
