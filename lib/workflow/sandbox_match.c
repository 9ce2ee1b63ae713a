/* string.find, match, gmatch and gsub over our own matcher. */
#include <string.h>

#include "workflow/sandbox_impl.h"
#include "workflow/sandbox_pattern.h"

size_t string_start(lua_Integer at, size_t len)
{
    if (at > 0)
        return (size_t)at > len + 1 ? len + 2 : (size_t)at;
    if (at == 0 || at < -(lua_Integer)len)
        return 1;
    return len + (size_t)at + 1;
}

static int find_plain(lua_State *L, const char *s, size_t len, size_t from, const char *text,
                      size_t text_len)
{
    const char *at;

    budget_charge_bytes(L, 4 * (len - from));
    at = text_len ? memmem(s + from, len - from, text, text_len) : s + from;
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - s + 1);
    lua_pushinteger(L, at - s + (lua_Integer)text_len);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    size_t len, pattern_len, from;
    const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &pattern_len);
    bool anchor;
    pattern m;

    from = string_start(base_opt_integer(L, 3, 1), len) - 1;
    if (from > len) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || pattern_is_plain(p, pattern_len)))
        return find_plain(L, s, len, from, p, pattern_len);
    anchor = pattern_len && *p == '^';
    pattern_init(&m, L, s, len, p, pattern_len);
    for (const char *at = s + from; at <= s + len; at++) {
        const char *e = pattern_at(&m, at, p + anchor);

        if (e && !find)
            return pattern_push_all(&m, at, e);
        if (e) {
            lua_pushinteger(L, at - s + 1);
            lua_pushinteger(L, e - s);
            return 2 + pattern_push_all(&m, NULL, NULL);
        }
        if (anchor)
            break;
        m.count = 0;
    }
    budget_charge(L, m.steps);
    lua_pushnil(L);
    return 1;
}

int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* Upvalues: string, pattern, where to go on, end of the last match (-1 = none). */
static int gmatch_step(lua_State *L)
{
    size_t len, pattern_len;
    const char *s = lua_tolstring(L, lua_upvalueindex(1), &len);
    const char *p = lua_tolstring(L, lua_upvalueindex(2), &pattern_len);
    const char *last = s + lua_tointeger(L, lua_upvalueindex(4));
    pattern m;

    pattern_init(&m, L, s, len, p, pattern_len);
    for (const char *at = s + lua_tointeger(L, lua_upvalueindex(3)); at <= s + len; at++) {
        const char *e = pattern_at(&m, at, p);

        if (e && e != last) {
            lua_pushinteger(L, e - s);
            lua_copy(L, -1, lua_upvalueindex(3));
            lua_replace(L, lua_upvalueindex(4));
            return pattern_push_all(&m, at, e);
        }
        m.count = 0;
    }
    budget_charge(L, m.steps);
    return 0;
}

int string_gmatch(lua_State *L)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    lua_pushinteger(L, (lua_Integer)string_start(base_opt_integer(L, 3, 1), len) - 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -3);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_step, 4);
    return 1;
}

/* ---- gsub ---------------------------------------------------------------------------------------------- */

static void add_template(pattern *m, const char *s, const char *e)
{
    lua_State *L = m->L;
    size_t len;
    const char *t = lua_tolstring(L, 3, &len), *end = t + len;

    for (; t < end; t++) {
        const char *from = t;

        while (t < end && *t != '%')
            t++;
        budget_charge(L, 1);
        scratch_add(L, from, (size_t)(t - from));
        if (t == end)
            return;
        t++;
        if (t < end && *t == '%') {
            scratch_add(L, t, 1);
        } else if (t < end && *t == '0') {
            scratch_add(L, s, (size_t)(e - s));
        } else if (t < end && *t >= '1' && *t <= '9') {
            pattern_push(m, *t - '1', s, e);
            from = lua_tolstring(L, -1, &len);
            scratch_add(L, from, len);
            lua_pop(L, 1);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

/* What the table or function says replaces the match; nil and false leave it. */
static void add_looked_up(pattern *m, const char *s, const char *e)
{
    lua_State *L = m->L;
    const char *text;
    size_t len;

    if (lua_type(L, 3) == LUA_TTABLE) {
        pattern_push(m, 0, s, e);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        budget_nest(L);
        lua_call(L, pattern_push_all(m, s, e), 1);
        sandbox_of(L)->nesting--;
    }
    if (!lua_toboolean(L, -1)) {
        scratch_add(L, s, (size_t)(e - s));
    } else if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
        base_tostring(L, -1);
        text = lua_tolstring(L, -1, &len);
        scratch_add(L, text, len);
        lua_pop(L, 1);
    } else {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

static void add_replacement(pattern *m, const char *s, const char *e)
{
    budget_charge_bytes(m->L, (size_t)(e - s));
    if (lua_type(m->L, 3) == LUA_TSTRING)
        add_template(m, s, e);
    else
        add_looked_up(m, s, e);
}

int string_gsub(lua_State *L)
{
    size_t len, pattern_len, from = sandbox_of(L)->scratch.len;
    const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &pattern_len);
    const char *at = s, *last = NULL, *end = s + len;
    bool anchor = pattern_len && *p == '^';
    lua_Integer n = 0, most = base_opt_integer(L, 4, (lua_Integer)len + 1);
    pattern m;

    if (lua_type(L, 3) == LUA_TNUMBER)
        lua_tolstring(L, 3, NULL);
    if (lua_type(L, 3) != LUA_TSTRING && lua_type(L, 3) != LUA_TTABLE &&
        lua_type(L, 3) != LUA_TFUNCTION)
        return luaL_typeerror(L, 3, "string, function or table");
    pattern_init(&m, L, s, len, p, pattern_len);
    while (n < most) {
        const char *e;

        m.count = m.depth = 0;
        e = pattern_at(&m, at, p + anchor);
        if (e && e != last) {
            n++;
            add_replacement(&m, at, e);
            at = last = e;
        } else if (at < end) {
            scratch_add(L, at++, 1);
        } else {
            break;
        }
        if (anchor)
            break;
    }
    scratch_add(L, at, (size_t)(end - at));
    budget_charge_bytes(L, m.steps * 64 + len);
    scratch_push(L, from);
    lua_pushinteger(L, n);
    return 2;
}
