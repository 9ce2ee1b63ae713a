/* string.format: %d %i %u %c %x %X %o %e %E %f %g %G %s %q %%. No %p, which would show addresses, and no %a, which C
 * libraries print differently. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "workflow/sandbox_impl.h"

/* The formats are made of a few bytes that read_spec let through. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

#define SPEC_MAX        16
#define NUMBER_TEXT_MAX 512 /* of "%99.99f" on the largest double: 309 + 1 + 99 */

typedef struct spec {
    char text[SPEC_MAX + 4]; /* "%-10.3", room for a length and the conversion */
    size_t len;
    char conversion;
} spec;

static const char *read_digits(spec *f, const char *p)
{
    for (int n = 0; n < 2 && *p >= '0' && *p <= '9'; n++)
        f->text[f->len++] = *p++;
    return p;
}

/* From behind the '%' to the conversion. The string ends in a zero byte. */
static const char *read_spec(lua_State *L, spec *f, const char *p)
{
    f->text[0] = '%';
    f->len = 1;
    while (*p && strchr("-+ #0", *p)) {
        if (f->len > 5)
            luaL_error(L, "invalid format (repeated flags)");
        f->text[f->len++] = *p++;
    }
    p = read_digits(f, p);
    if (*p == '.') {
        f->text[f->len++] = *p++;
        p = read_digits(f, p);
    }
    f->text[f->len] = '\0';
    f->conversion = *p;
    if (*p >= '0' && *p <= '9')
        luaL_error(L, "invalid format (width or precision too long)");
    return p + (*p != '\0');
}

static void add_integer(lua_State *L, spec *f, int arg)
{
    char out[NUMBER_TEXT_MAX];
    lua_Integer n = base_integer(L, arg);
    int len;

    if (f->conversion == 'c') {
        f->text[f->len++] = 'c';
        f->text[f->len] = '\0';
        len = snprintf(out, sizeof out, f->text, (int)n);
    } else {
        memcpy(f->text + f->len, "ll", 2);
        f->text[f->len + 2] = f->conversion;
        f->text[f->len + 3] = '\0';
        len = snprintf(out, sizeof out, f->text, (long long)n);
    }
    scratch_add(L, out, (size_t)len);
}

static void add_real(lua_State *L, spec *f, int arg)
{
    char out[NUMBER_TEXT_MAX];
    lua_Number n = base_number(L, arg);

    if (n != n)
        n = copysign(n, 1); /* the sign of not-a-number differs between processors */
    f->text[f->len++] = f->conversion;
    f->text[f->len] = '\0';
    scratch_add(L, out, (size_t)snprintf(out, sizeof out, f->text, n));
}

/* Width and precision in bytes, as C has it, but without a limit on the string. */
static void add_string(lua_State *L, const spec *f, int arg)
{
    size_t len, width = 0, most = SIZE_MAX;
    bool left = false;
    const char *s, *p = f->text + 1;

    base_tostring(L, arg);
    s = lua_tolstring(L, -1, &len);
    for (; *p && strchr("-+ #0", *p); p++)
        left |= *p == '-';
    for (; *p >= '0' && *p <= '9'; p++)
        width = width * 10 + (size_t)(*p - '0');
    if (*p == '.')
        for (p++, most = 0; *p >= '0' && *p <= '9'; p++)
            most = most * 10 + (size_t)(*p - '0');
    if (len > most)
        len = most;
    width = width > len ? width - len : 0;
    budget_charge_bytes(L, len + width);
    if (!left && width)
        memset(scratch_grow(L, width), ' ', width);
    scratch_add(L, s, len);
    if (left && width)
        memset(scratch_grow(L, width), ' ', width);
    lua_pop(L, 1);
}

static void add_quoted_text(lua_State *L, const char *s, size_t len)
{
    scratch_add(L, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        char out[8];

        if (c == '"' || c == '\\' || c == '\n')
            scratch_add(L, "\\", 1);
        if (c >= 0x20 && c != 0x7f)
            scratch_add(L, s + i, 1);
        else if (c == '\n')
            scratch_add(L, "\n", 1);
        else
            scratch_add(L, out, (size_t)snprintf(out, sizeof out, "\\%03d", c));
    }
    scratch_add(L, "\"", 1);
}

/* Text that Lua reads back as the same value. */
static void add_quoted(lua_State *L, const spec *f, int arg)
{
    char out[64];
    const char *s;
    size_t len;

    if (f->len > 1)
        luaL_error(L, "specifier '%%q' cannot have modifiers");
    if (lua_type(L, arg) == LUA_TNUMBER && !lua_isinteger(L, arg)) {
        lua_Number n = lua_tonumber(L, arg);

        s = n != n ? "(0/0)" : n == HUGE_VAL ? "1e9999" : n == -HUGE_VAL ? "-1e9999" : NULL;
        if (s)
            scratch_add(L, s, strlen(s));
        else
            scratch_add(L, out, (size_t)snprintf(out, sizeof out, "%.17g", n));
        return;
    }
    if (lua_type(L, arg) == LUA_TNUMBER && lua_tointeger(L, arg) == LUA_MININTEGER) {
        scratch_add(L, "0x8000000000000000", 18);
        return;
    }
    if (lua_type(L, arg) > LUA_TSTRING || value_is_null(L, arg))
        luaL_argerror(L, arg, "value has no literal form");
    base_tostring(L, arg);
    s = lua_tolstring(L, -1, &len);
    budget_charge_bytes(L, 8 * len);
    if (lua_type(L, arg) == LUA_TSTRING)
        add_quoted_text(L, s, len);
    else
        scratch_add(L, s, len);
    lua_pop(L, 1);
}

static void add_one(lua_State *L, spec *f, int arg)
{
    budget_charge(L, 4);
    if (!f->conversion || !strchr("cdiuoxXeEfFgGsq", f->conversion))
        luaL_error(L, "invalid conversion '%s%c' to 'format'", f->text,
                   f->conversion ? f->conversion : ' ');
    luaL_checkany(L, arg);
    switch (f->conversion) {
    case 'c':
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X': add_integer(L, f, arg); break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': add_real(L, f, arg); break;
    case 's': add_string(L, f, arg); break;
    default: add_quoted(L, f, arg); break;
    }
}

int string_format(lua_State *L)
{
    size_t len, from = sandbox_of(L)->scratch.len;
    const char *p = luaL_checklstring(L, 1, &len), *end = p + len;
    int arg = 1;

    budget_charge_bytes(L, len);
    while (p < end) {
        const char *percent = memchr(p, '%', (size_t)(end - p));
        spec f;

        budget_charge(L, 1);
        scratch_add(L, p, (size_t)((percent ? percent : end) - p));
        if (!percent)
            break;
        p = percent + 1;
        if (p < end && *p == '%') {
            scratch_add(L, p++, 1);
            continue;
        }
        p = read_spec(L, &f, p);
        add_one(L, &f, ++arg);
    }
    scratch_push(L, from);
    return 1;
}
