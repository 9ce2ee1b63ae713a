/* utf8, strict: RFC 3629, no lax mode. */
#include <string.h>

#include "base/text.h"
#include "workflow/sandbox_impl.h"

static size_t encode(uint32_t point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* The length of the character at s, 0 if it is none. */
static size_t decode(const char *s, const char *end, uint32_t *point)
{
    unsigned char first = (unsigned char)*s;
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if ((size_t)(end - s) < len || !text_is_utf8(s, len))
        return 0;
    *point = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        *point = *point << 6 | ((unsigned char)s[i] & 0x3f);
    return len;
}

static bool continues(const char *s, size_t at, size_t len)
{
    return at < len && ((unsigned char)s[at] & 0xc0) == 0x80;
}

static int utf8_char(lua_State *L)
{
    size_t from = sandbox_of(L)->scratch.len;
    int n = lua_gettop(L);

    budget_charge(L, 1 + (uint64_t)n);
    for (int i = 1; i <= n; i++) {
        lua_Integer point = base_integer(L, i);
        char text[4];

        luaL_argcheck(L, point >= 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff), i,
                      "no Unicode character");
        scratch_add(L, text, encode((uint32_t)point, text));
    }
    scratch_push(L, from);
    return 1;
}

/* The 0-based byte that argument `arg` (position from 1, or from the end) means. */
static lua_Integer position(lua_State *L, int arg, lua_Integer otherwise, size_t len)
{
    lua_Integer at = base_opt_integer(L, arg, otherwise);

    if (at < 0)
        at = 0 - (uint64_t)at > len ? 0 : (lua_Integer)len + at + 1;
    return at - 1;
}

static int utf8_codepoint(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer from = position(L, 2, 1, len), to = position(L, 3, from + 1, len);
    int n = 0;

    luaL_argcheck(L, from >= 0, 2, "out of bounds");
    luaL_argcheck(L, to < (lua_Integer)len, 3, "out of bounds");
    if (to - from >= UNPACK_MAX)
        return luaL_error(L, "string slice too long (%d bytes are allowed)", UNPACK_MAX);
    if (from > to)
        return 0;
    budget_charge(L, 1 + (uint64_t)(to - from));
    budget_stack(L, (int)(to - from) + 1);
    while (from <= to) {
        uint32_t point;
        size_t size = decode(s + from, s + len, &point);

        if (!size)
            return luaL_error(L, "invalid UTF-8 code");
        lua_pushinteger(L, point);
        from += (lua_Integer)size;
        n++;
    }
    return n;
}

static int utf8_len(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer from = position(L, 2, 1, len), to = position(L, 3, -1, len), n = 0;

    luaL_argcheck(L, from >= 0 && from <= (lua_Integer)len, 2, "initial position out of bounds");
    luaL_argcheck(L, to < (lua_Integer)len, 3, "final position out of bounds");
    budget_charge(L, 1 + len / 8);
    while (from <= to) {
        uint32_t point;
        size_t size = decode(s + from, s + len, &point);

        if (!size) {
            lua_pushnil(L);
            lua_pushinteger(L, from + 1);
            return 2;
        }
        from += (lua_Integer)size;
        n++;
    }
    lua_pushinteger(L, n);
    return 1;
}

static int utf8_offset(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer n = base_integer(L, 2);
    lua_Integer at = position(L, 3, n > 0 ? 1 : (lua_Integer)len + 1, len);

    luaL_argcheck(L, at >= 0 && at <= (lua_Integer)len, 3, "position out of bounds");
    budget_charge(L, 1 + len / 8);
    if (n == 0) {
        while (at > 0 && continues(s, (size_t)at, len))
            at--;
        lua_pushinteger(L, at + 1);
        return 1;
    }
    if (continues(s, (size_t)at, len))
        return luaL_error(L, "initial position is a continuation byte");
    for (; n < 0 && at > 0; n++)
        do
            at--;
        while (at > 0 && continues(s, (size_t)at, len));
    for (n = n > 0 ? n - 1 : n; n > 0 && at < (lua_Integer)len; n--)
        do
            at++;
        while (continues(s, (size_t)at, len));
    if (n == 0)
        lua_pushinteger(L, at + 1);
    else
        lua_pushnil(L);
    return 1;
}

static int codes_step(lua_State *L)
{
    size_t len, size;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer at = base_integer(L, 2);
    uint32_t point;

    if (at < 0 || at > (lua_Integer)len)
        return 0;
    while (continues(s, (size_t)at, len)) /* at counts from 1: this is the byte after it */
        at++;
    if (at >= (lua_Integer)len)
        return 0;
    size = decode(s + at, s + len, &point);
    if (!size)
        return luaL_error(L, "invalid UTF-8 code");
    lua_pushinteger(L, at + 1);
    lua_pushinteger(L, point);
    return 2;
}

static int utf8_codes(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, !continues(s, 0, len), 1, "invalid UTF-8 code");
    lua_pushcfunction(L, codes_step);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

void utf8_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"char", utf8_char},     {"codepoint", utf8_codepoint},
                                         {"codes", utf8_codes},   {"len", utf8_len},
                                         {"offset", utf8_offset}, {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_pushlstring(L, "[\0-\x7F\xC2-\xF4][\x80-\xBF]*", 14);
    lua_setfield(L, -2, "charpattern");
}
