/* Only functions whose results are the same on every machine: no sin, exp or log, which come from the C library, and no
 * random numbers. */
#include <float.h>
#include <math.h>

#include "workflow/sandbox_impl.h"

static void push_whole(lua_State *L, lua_Number n)
{
    lua_Integer whole;

    if (lua_numbertointeger(n, &whole))
        lua_pushinteger(L, whole);
    else
        lua_pushnumber(L, n);
}

/* Puts the number in place of the argument, so that its kind can be asked for. */
static bool is_integer(lua_State *L, int arg)
{
    base_number(L, arg);
    if (lua_type(L, arg) == LUA_TSTRING) {
        base_push_number(L, arg);
        lua_replace(L, arg);
    }
    return lua_isinteger(L, arg);
}

static int math_abs(lua_State *L)
{
    if (is_integer(L, 1)) {
        lua_Integer n = lua_tointeger(L, 1);

        lua_pushinteger(L, n < 0 ? (lua_Integer)(0u - (lua_Unsigned)n) : n);
    } else {
        lua_pushnumber(L, fabs(lua_tonumber(L, 1)));
    }
    return 1;
}

static int math_ceil(lua_State *L)
{
    if (is_integer(L, 1))
        lua_settop(L, 1);
    else
        push_whole(L, ceil(lua_tonumber(L, 1)));
    return 1;
}

static int math_floor(lua_State *L)
{
    if (is_integer(L, 1))
        lua_settop(L, 1);
    else
        push_whole(L, floor(lua_tonumber(L, 1)));
    return 1;
}

static int math_fmod(lua_State *L)
{
    bool exact = is_integer(L, 1);

    if (!is_integer(L, 2) || !exact) {
        lua_pushnumber(L, fmod(lua_tonumber(L, 1), lua_tonumber(L, 2)));
        return 1;
    }
    if (lua_tointeger(L, 2) == 0)
        return luaL_argerror(L, 2, "zero");
    lua_pushinteger(L, lua_tointeger(L, 2) == -1 ? 0 /* else the smallest overflows */
                                                 : lua_tointeger(L, 1) % lua_tointeger(L, 2));
    return 1;
}

static int math_modf(lua_State *L)
{
    lua_Number n = base_number(L, 1), whole = n < 0 ? ceil(n) : floor(n);

    lua_pushnumber(L, whole);
    lua_pushnumber(L, n == whole ? 0.0 : n - whole);
    return 2;
}

static int math_sqrt(lua_State *L)
{
    lua_pushnumber(L, sqrt(base_number(L, 1)));
    return 1;
}

static int math_tointeger(lua_State *L)
{
    lua_Integer n;
    int exact = 0;

    luaL_checkany(L, 1);
    if (base_push_number(L, 1)) {
        n = lua_tointegerx(L, -1, &exact);
        if (exact) {
            lua_pushinteger(L, n);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

static int math_type(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TNUMBER)
        lua_pushstring(L, lua_isinteger(L, 1) ? "integer" : "float");
    else
        lua_pushnil(L);
    return 1;
}

static int math_ult(lua_State *L)
{
    lua_Unsigned a = (lua_Unsigned)base_integer(L, 1), b = (lua_Unsigned)base_integer(L, 2);

    lua_pushboolean(L, a < b);
    return 1;
}

static int pick(lua_State *L, bool largest)
{
    int n = lua_gettop(L), best = 1;

    budget_charge(L, 1 + (uint64_t)n);
    luaL_argcheck(L, n >= 1, 1, "number expected");
    for (int i = 1; i <= n; i++) {
        is_integer(L, i);
        if (lua_compare(L, largest ? best : i, largest ? i : best, LUA_OPLT))
            best = i;
    }
    lua_pushvalue(L, best);
    return 1;
}

static int math_max(lua_State *L)
{
    return pick(L, true);
}

static int math_min(lua_State *L)
{
    return pick(L, false);
}

void math_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"abs", math_abs},   {"ceil", math_ceil}, {"floor", math_floor},
        {"fmod", math_fmod}, {"max", math_max},   {"min", math_min},
        {"modf", math_modf}, {"sqrt", math_sqrt}, {"tointeger", math_tointeger},
        {"type", math_type}, {"ult", math_ult},   {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_pushnumber(L, (lua_Number)3.14159265358979323846);
    lua_setfield(L, -2, "pi");
    lua_pushnumber(L, (lua_Number)HUGE_VAL);
    lua_setfield(L, -2, "huge");
    lua_pushinteger(L, LUA_MAXINTEGER);
    lua_setfield(L, -2, "maxinteger");
    lua_pushinteger(L, LUA_MININTEGER);
    lua_setfield(L, -2, "mininteger");
}
