/* The table library. Each element costs one instruction; writes honour read-only tables. */
#include <string.h>

#include "workflow/sandbox_impl.h"

static lua_Integer check_table(lua_State *L, int arg)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    return luaL_len(L, arg);
}

static int table_insert(lua_State *L)
{
    lua_Integer end = check_table(L, 1) + 1, at = end;

    if (lua_gettop(L) == 3) {
        at = base_integer(L, 2);
        luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
        for (lua_Integer i = end; i > at; i--) {
            budget_charge(L, 1);
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
    } else if (lua_gettop(L) != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer size = check_table(L, 1), at = base_opt_integer(L, 2, size);

    if (lua_gettop(L) > 1)
        luaL_argcheck(L, at == size || (at >= 1 && at <= size + 1) || (size == 0 && at == 0), 2,
                      "position out of bounds");
    lua_geti(L, 1, at);
    for (; at < size; at++) {
        budget_charge(L, 1);
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int table_move(lua_State *L)
{
    lua_Integer from = base_integer(L, 2), end = base_integer(L, 3), to = base_integer(L, 4), n;
    int target = lua_isnoneornil(L, 5) ? 1 : 5;

    check_table(L, 1);
    luaL_checktype(L, target, LUA_TTABLE);
    if (end >= from) {
        luaL_argcheck(L, from > 0 || end < LUA_MAXINTEGER + from, 3, "too many elements to move");
        n = end - from + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
        for (lua_Integer i = 0; i < n; i++) {
            /* Overlapping upwards within one table: go from the end. */
            bool down = to > from && to <= end && (target == 1 || lua_rawequal(L, 1, 5));
            lua_Integer k = down ? n - 1 - i : i;

            budget_charge(L, 1);
            lua_geti(L, 1, from + k);
            lua_seti(L, target, to + k);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

static void add_element(lua_State *L, lua_Integer i)
{
    const char *s;
    size_t len;
    int type = lua_geti(L, 1, i);

    if (type != LUA_TSTRING && type != LUA_TNUMBER)
        luaL_error(L, "invalid value (a %s) at index %I in table for 'concat'",
                   value_is_null(L, -1) ? "null" : luaL_typename(L, -1), (LUAI_UACINT)i);
    base_tostring(L, -1);
    s = lua_tolstring(L, -1, &len);
    budget_charge_bytes(L, len);
    scratch_add(L, s, len);
    lua_pop(L, 2);
}

static int table_concat(lua_State *L)
{
    lua_Integer size = check_table(L, 1);
    size_t between_len, from = sandbox_of(L)->scratch.len;
    const char *between = luaL_optlstring(L, 2, "", &between_len);
    lua_Integer i = base_opt_integer(L, 3, 1), last = base_opt_integer(L, 4, size);

    for (; i < last; i++) {
        add_element(L, i);
        budget_charge_bytes(L, between_len);
        scratch_add(L, between, between_len);
    }
    if (i == last)
        add_element(L, i);
    scratch_push(L, from);
    return 1;
}

static int table_pack(lua_State *L)
{
    int n = lua_gettop(L);

    budget_charge(L, 1 + (uint64_t)n);
    lua_createtable(L, n, 1);
    lua_insert(L, 1);
    for (int i = n; i >= 1; i--)
        lua_seti(L, 1, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 1, "n");
    return 1;
}

int table_unpack(lua_State *L)
{
    lua_Integer from = base_opt_integer(L, 2, 1), to;

    luaL_checktype(L, 1, LUA_TTABLE);
    to = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : base_integer(L, 3);
    if (from > to)
        return 0;
    if ((lua_Unsigned)to - (lua_Unsigned)from >= UNPACK_MAX)
        return luaL_error(L, "too many results to unpack (%d are allowed)", UNPACK_MAX);
    budget_charge(L, 1 + (uint64_t)(to - from));
    budget_stack(L, (int)(to - from) + 1);
    for (lua_Integer i = from; i <= to; i++) {
        lua_geti(L, 1, i);
        if (i == LUA_MAXINTEGER)
            break;
    }
    return (int)(to - from) + 1;
}

/* ---- sort ---------------------------------------------------------------------------------------------- */

/* Stack: 1 the table, 2 the comparator or nil, 3 a copy of the elements. */
static bool element_less(lua_State *L, void *ctx, uint32_t a, uint32_t b)
{
    bool less;

    (void)ctx;
    budget_charge(L, 1);
    if (lua_isnil(L, 2)) {
        lua_rawgeti(L, 3, (lua_Integer)a + 1);
        lua_rawgeti(L, 3, (lua_Integer)b + 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            budget_charge_bytes(L, lua_rawlen(L, -1));
        less = lua_compare(L, -2, -1, LUA_OPLT);
        lua_pop(L, 2);
        return less;
    }
    lua_pushvalue(L, 2);
    lua_rawgeti(L, 3, (lua_Integer)a + 1);
    lua_rawgeti(L, 3, (lua_Integer)b + 1);
    budget_nest(L);
    lua_call(L, 2, 1);
    sandbox_of(L)->nesting--;
    less = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return less;
}

int table_sort(lua_State *L)
{
    lua_Integer n = check_table(L, 1);
    uint32_t *order;

    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    if (n > INT32_MAX / 64)
        budget_end(L, END_MEMORY);
    budget_charge(L, 1 + 4 * (uint64_t)n);
    lua_createtable(L, (int)n, 0);
    order = lua_newuserdatauv(L, (size_t)n * 2 * sizeof *order, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 1, i);
        lua_rawseti(L, 3, i);
        order[i - 1] = (uint32_t)i - 1;
    }
    sort_order(L, order, order + n, (uint32_t)n, element_less, NULL);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 3, (lua_Integer)order[i - 1] + 1);
        lua_seti(L, 1, i);
    }
    return 0;
}

void table_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"concat", table_concat}, {"insert", table_insert},
                                         {"move", table_move},     {"pack", table_pack},
                                         {"remove", table_remove}, {"sort", table_sort},
                                         {"unpack", table_unpack}, {NULL, NULL}};

    luaL_newlib(L, functions);
}
