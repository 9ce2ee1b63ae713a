/* JSON to Lua and back. null is a light userdata that nothing can be done with; a list keeps a marker as its
 * metatable, so that an empty one stays a list. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "workflow/definition.h"
#include "workflow/sandbox_impl.h"

#define NODE_BYTES    64 /* about what a JSON value takes */
#define DECODE_FACTOR 24 /* "[1,1,1…": bytes of tree to a byte of text */

void value_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool value_is_null(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) && !lua_touserdata(L, index);
}

void value_mark_list(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, REF_LIST_META);
    lua_setmetatable(L, -2);
}

void value_mark_object(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, REF_OBJECT_META);
    lua_setmetatable(L, -2);
}

/* ---- to Lua -------------------------------------------------------------------------------------------- */

static void push_value(lua_State *L, json_t *value, int depth);

static void push_list(lua_State *L, json_t *list, int depth)
{
    size_t n = json_array_size(list);

    if (n > INT32_MAX / 64)
        budget_end(L, END_MEMORY);
    lua_createtable(L, (int)n, 0);
    value_mark_list(L);
    for (size_t i = 0; i < n; i++) {
        push_value(L, json_array_get(list, i), depth);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_object(lua_State *L, json_t *object, int depth)
{
    size_t n = json_object_size(object);

    if (n > INT32_MAX / 64)
        budget_end(L, END_MEMORY);
    lua_createtable(L, 0, (int)n);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        lua_pushlstring(L, json_object_iter_key(it), json_object_iter_key_len(it));
        push_value(L, json_object_iter_value(it), depth);
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, json_t *value, int depth)
{
    if (depth == 0 && (json_is_object(value) || json_is_array(value)))
        luaL_error(L, "a value of the scope is nested deeper than %d", VALUE_MAX_DEPTH);
    budget_charge(L, 1);
    budget_stack(L, 4);
    switch (json_typeof(value)) {
    case JSON_OBJECT: push_object(L, value, depth - 1); break;
    case JSON_ARRAY: push_list(L, value, depth - 1); break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(value)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(value)); break;
    case JSON_TRUE: lua_pushboolean(L, 1); break;
    case JSON_FALSE: lua_pushboolean(L, 0); break;
    default: value_push_null(L); break;
    }
}

void value_to_lua(lua_State *L, json_t *value)
{
    if (value)
        push_value(L, value, VALUE_MAX_DEPTH);
    else
        value_push_null(L);
}

/* ---- from Lua ------------------------------------------------------------------------------------------ */

/* Where in the value we are, for messages. */
typedef struct place {
    const struct place *up;
    const sort_key *key; /* NULL at the top */
    const void *table;
    int depth;
} place;

static _Noreturn void refuse(lua_State *L, const place *at, const char *what)
{
    sandbox *s = sandbox_of(L);
    const sort_key *keys[VALUE_MAX_DEPTH + 1];
    size_t from = s->scratch.len;
    int n = 0;

    for (; at && at->key; at = at->up)
        keys[n++] = at->key;
    while (n > 0) {
        const sort_key *k = keys[--n];
        char number[32];

        scratch_add(L, k->text ? "." : "[", 1);
        if (k->text) {
            scratch_add(L, k->text, k->len < 64 ? k->len : 64);
            continue;
        }
        scratch_add(L, number,
                    (size_t)snprintf(number, sizeof number, LUA_INTEGER_FMT "]", k->integer));
    }
    scratch_push(L, from);
    luaL_error(L, "the value%s cannot become JSON: %s", lua_tostring(L, -1), what);
    __builtin_unreachable();
}

static json_t *made(lua_State *L, json_t *value)
{
    if (!value)
        budget_end(L, END_NO_MEMORY);
    return value;
}

static json_t *make_string(lua_State *L, int index, const place *at)
{
    size_t len;
    const char *s = lua_tolstring(L, index, &len);

    budget_charge_bytes(L, len);
    budget_value(L, len);
    if (memchr(s, 0, len))
        refuse(L, at, "the string holds a zero byte");
    if (!text_is_utf8(s, len))
        refuse(L, at, "the string is not valid UTF-8");
    return made(L, json_stringn_nocheck(s, len));
}

static json_t *make_number(lua_State *L, int index, const place *at)
{
    lua_Number n;

    if (lua_isinteger(L, index))
        return made(L, json_integer(lua_tointeger(L, index)));
    n = lua_tonumber(L, index);
    if (!isfinite(n))
        refuse(L, at, "the number is infinite or not a number");
    return made(L, json_real(n));
}

/* A table becomes a list if it is marked as one or has keys 1..n and no others. */
static bool is_list(lua_State *L, int table, const place *at)
{
    lua_Unsigned n = lua_rawlen(L, table), seen = 0;
    bool marked = false;

    if (lua_getmetatable(L, table)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, REF_LIST_META);
        marked = lua_rawequal(L, -1, -2);
        lua_rawgeti(L, LUA_REGISTRYINDEX, REF_OBJECT_META);
        if (!marked && !lua_rawequal(L, -1, -3))
            refuse(L, at, "a table of the library is no value");
        lua_pop(L, 3);
        if (!marked)
            return false;
    }
    if (!marked && n == 0)
        return false;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && (lua_Unsigned)lua_tointeger(L, -2) - 1 < n) {
            seen++;
            continue;
        }
        if (lua_type(L, -2) == LUA_TNUMBER)
            refuse(L, at, "the list has holes; fill them with null");
        base_tostring(L, -2);
        refuse(L, at,
               lua_pushfstring(L, "the list has the key '%s' besides its numbers",
                               lua_tostring(L, -1)));
    }
    budget_charge(L, n + 1);
    if (seen != n)
        refuse(L, at, "the list has holes; fill them with null");
    return true;
}

static json_t *make_value(lua_State *L, int index, const place *at);

/* Children are filled in after their parent took them, so that an error leaves nothing unowned. */
static void fill(lua_State *L, int table, json_t *into, const place *at);

static json_t *make_table(lua_State *L, int index, const place *at)
{
    const void *self = lua_topointer(L, index);

    for (const place *up = at->up; up; up = up->up)
        if (up->table == self)
            refuse(L, at, "the table contains itself");
    if (at->depth > VALUE_MAX_DEPTH)
        refuse(L, at, "it is nested deeper than 128");
    budget_stack(L, 12);
    return made(L, is_list(L, index, at) ? json_array() : json_object());
}

static json_t *make_value(lua_State *L, int index, const place *at)
{
    budget_charge(L, 1);
    budget_value(L, NODE_BYTES);
    switch (lua_type(L, index)) {
    case LUA_TNIL: return json_null();
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER: return make_number(L, index, at);
    case LUA_TSTRING: return make_string(L, index, at);
    case LUA_TTABLE: return make_table(L, index, at);
    default: break;
    }
    if (!value_is_null(L, index))
        refuse(L, at, "a function is no value");
    return json_null();
}

static void fill_list(lua_State *L, int table, json_t *list, const place *at)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, table);

    for (lua_Integer i = 1; i <= n; i++) {
        sort_key key = {.exact = true, .integer = i};
        place here = {at, &key, NULL, at->depth + 1};
        json_t *value;

        lua_rawgeti(L, table, i);
        here.table = lua_topointer(L, -1);
        value = make_value(L, lua_gettop(L), &here);
        if (json_array_append_new(list, value))
            budget_end(L, END_NO_MEMORY);
        fill(L, lua_gettop(L), value, &here);
        lua_pop(L, 1);
    }
}

static void fill_object(lua_State *L, int table, json_t *object, const place *at)
{
    const uint32_t *order;
    uint32_t n;
    const sort_key *keys = sort_keys(L, table, &n, &order);

    for (uint32_t i = 0; i < n; i++) {
        const sort_key *k = &keys[order[i]];
        place here = {at, k, NULL, at->depth + 1};
        json_t *value;

        sort_key_push(L, k);
        if (!k->text) {
            base_tostring(L, -1);
            refuse(L, at, lua_pushfstring(L, "the key %s is not a string", lua_tostring(L, -1)));
        }
        budget_value(L, k->len);
        if (memchr(k->text, 0, k->len) || !text_is_utf8(k->text, k->len))
            refuse(L, at, "a key is not valid UTF-8 or holds a zero byte");
        lua_rawget(L, table);
        here.table = lua_topointer(L, -1);
        value = make_value(L, lua_gettop(L), &here);
        if (json_object_setn_new_nocheck(object, k->text, k->len, value))
            budget_end(L, END_NO_MEMORY);
        fill(L, lua_gettop(L), value, &here);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void fill(lua_State *L, int table, json_t *into, const place *at)
{
    if (json_is_array(into))
        fill_list(L, table, into, at);
    else if (json_is_object(into))
        fill_object(L, table, into, at);
}

json_t *value_from_lua(lua_State *L, int index)
{
    sandbox *s = sandbox_of(L);
    place top = {NULL, NULL, lua_topointer(L, index), 1};

    index = lua_absindex(L, index);
    budget_stack(L, 12);
    json_decref(s->held);
    s->held = NULL;
    s->value_bytes = 0;
    s->held = make_value(L, index, &top);
    fill(L, index, s->held, &top);
    return s->held;
}

/* ---- the library --------------------------------------------------------------------------------------- */

static int encode(lua_State *L)
{
    sandbox *s = sandbox_of(L);
    bytes *text;

    luaL_checkany(L, 1);
    value_from_lua(L, 1);
    text = canonical_json(s->held);
    json_decref(s->held);
    /* Held while it goes to Lua, which may throw. */
    s->held = text ? json_stringn_nocheck(text->data, text->len) : NULL;
    bytes_unref(text);
    if (!s->held)
        budget_end(L, END_NO_MEMORY);
    lua_pushlstring(L, json_string_value(s->held), json_string_length(s->held));
    json_decref(s->held);
    s->held = NULL;
    return 1;
}

static int decode(lua_State *L)
{
    sandbox *s = sandbox_of(L);
    json_error_t error;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    budget_charge(L, 16 + len / 8);
    if (len > s->limits.memory_bytes / DECODE_FACTOR)
        budget_end(L, END_MEMORY);
    json_decref(s->held);
    s->held = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!s->held && json_lacked_memory(&error))
        budget_end(L, END_NO_MEMORY);
    if (!s->held)
        return luaL_error(L, "json.decode: line %d column %d: %s", error.line, error.column,
                          error.text);
    value_to_lua(L, s->held);
    json_decref(s->held);
    s->held = NULL;
    return 1;
}

void json_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"encode", encode}, {"decode", decode}, {NULL, NULL}};

    luaL_newlib(L, functions);
}
