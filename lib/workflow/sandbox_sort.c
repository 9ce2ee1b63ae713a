/* Sorting that any comparator leaves bounded and repeatable, and the order of a table's keys. */
#include <math.h>
#include <string.h>

#include "workflow/sandbox_impl.h"

void sort_order(lua_State *L, uint32_t *order, uint32_t *spare, uint32_t n, sort_less less,
                void *ctx)
{
    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t from = 0; from < n; from += 2 * width) {
            uint64_t middle = from + width < n ? from + width : n;
            uint64_t end = from + 2 * width < n ? from + 2 * width : n;
            uint64_t a = from, b = middle;

            for (uint64_t to = from; to < end; to++) {
                bool right = a >= middle || (b < end && less(L, ctx, order[b], order[a]));

                spare[to] = right ? order[b++] : order[a++];
            }
        }
        memcpy(order, spare, n * sizeof *order);
    }
}

static int compare_numbers(const sort_key *a, const sort_key *b)
{
    if (a->exact && b->exact)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (a->exact || b->exact) {
        /* A float key is never integral: Lua keeps those as integers, so only its floor counts,
         * unless it lies outside of the integers. */
        const sort_key *real = a->exact ? b : a;
        lua_Integer whole, exact = a->exact ? a->integer : b->integer;
        int side;

        if (lua_numbertointeger(floor(real->number), &whole))
            side = exact <= whole ? -1 : 1; /* of the integer against the float */
        else
            side = real->number > 0 ? -1 : 1;
        return a->exact ? side : -side;
    }
    return a->number < b->number ? -1 : a->number > b->number;
}

static int rank(const sort_key *k)
{
    return k->boolean ? 2 : k->text ? 1 : 0;
}

int sort_key_compare(const sort_key *a, const sort_key *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int c;

    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (a->boolean)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (!a->text)
        return compare_numbers(a, b);
    c = memcmp(a->text, b->text, len);
    return c ? c : a->len < b->len ? -1 : a->len > b->len;
}

bool sort_key_at(lua_State *L, int index, sort_key *out)
{
    memset(out, 0, sizeof *out);
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        out->exact = lua_isinteger(L, index);
        if (out->exact)
            out->integer = lua_tointeger(L, index);
        else
            out->number = lua_tonumber(L, index);
        return true;
    case LUA_TSTRING: out->text = lua_tolstring(L, index, &out->len); return true;
    case LUA_TBOOLEAN:
        out->boolean = true;
        out->integer = lua_toboolean(L, index);
        return true;
    default: return false;
    }
}

void sort_key_push(lua_State *L, const sort_key *k)
{
    if (k->boolean)
        lua_pushboolean(L, (int)k->integer);
    else if (k->text)
        lua_pushlstring(L, k->text, k->len);
    else if (k->exact)
        lua_pushinteger(L, k->integer);
    else
        lua_pushnumber(L, k->number);
}

static bool key_less(lua_State *L, void *ctx, uint32_t a, uint32_t b)
{
    const sort_key *keys = ctx;

    budget_charge(L, 1 + (keys[a].len < keys[b].len ? keys[a].len : keys[b].len) / 64);
    return sort_key_compare(&keys[a], &keys[b]) < 0;
}

static uint32_t count_keys(lua_State *L, int table)
{
    uint32_t n = 0;

    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (n == UINT32_MAX / 64)
            budget_end(L, END_MEMORY);
        n++;
    }
    budget_charge(L, 1 + n);
    return n;
}

const sort_key *sort_keys(lua_State *L, int table, uint32_t *count, const uint32_t **out_order)
{
    uint32_t n, i = 0, *order;
    sort_key *keys;

    budget_stack(L, 4);
    table = lua_absindex(L, table);
    n = count_keys(L, table);
    keys = lua_newuserdatauv(L, n * (sizeof *keys + 2 * sizeof *order), 0);
    order = (uint32_t *)(void *)(keys + n);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (!sort_key_at(L, -2, &keys[i]))
            luaL_error(L, "keys of type %s have no order", luaL_typename(L, -2));
        order[i] = i;
        i++;
    }
    sort_order(L, order, order + n, n, key_less, keys);
    *count = n;
    *out_order = order;
    return keys;
}
