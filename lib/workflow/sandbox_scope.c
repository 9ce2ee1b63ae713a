/* The scope's names as globals. Each is made when it is first used, and of `input` and `steps` only the members that the
 * chunk's text names, where it names them all: an expression on one field of a large input stays cheap. */
#include <string.h>

#include "workflow/sandbox_impl.h"

static bool wanted(const scan *sc, int root, const char *name, size_t len)
{
    if (sc->whole[root])
        return true;
    for (size_t i = 0; i < sc->count; i++)
        if (sc->members[i].root == root && sc->members[i].len == len &&
            !memcmp(sc->members[i].name, name, len))
            return true;
    return false;
}

static void push_steps(lua_State *L)
{
    sandbox *s = sandbox_of(L);
    const sandbox_names *names = s->names;

    lua_newtable(L);
    for (size_t i = 0; names && i < names->count; i++) {
        const char *name = names->name(names->ctx, names->steps[i]);
        size_t len = strlen(name);

        budget_charge(L, 1);
        if (!wanted(&s->chunk->scan, ROOT_STEPS, name, len))
            continue;
        lua_pushlstring(L, name, len);
        value_to_lua(L, s->scope->step(s->scope->ctx, names->steps[i]));
        lua_rawset(L, -3);
    }
}

static void push_members(lua_State *L, json_t *value, int root)
{
    sandbox *s = sandbox_of(L);
    const scan *sc = &s->chunk->scan;

    if (sc->whole[root] || !json_is_object(value)) {
        value_to_lua(L, value);
        return;
    }
    lua_newtable(L);
    for (size_t i = 0; i < sc->count; i++) {
        const scan_member *m = &sc->members[i];
        json_t *member = m->root == root ? json_object_getn(value, m->name, m->len) : NULL;

        if (!member)
            continue;
        lua_pushlstring(L, m->name, m->len);
        value_to_lua(L, member);
        lua_rawset(L, -3);
    }
}

static int secret_index(lua_State *L)
{
    sandbox *s = sandbox_of(L);
    const char *name;

    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "a secret's name is a string");
    name = lua_tostring(L, 2);
    if (!s->scope->secret)
        return luaL_error(L, "secrets cannot be read here");
    json_decref(s->held);
    s->held = s->scope->secret(s->scope->ctx, name, &s->secret_error);
    if (!s->held)
        budget_end(L, END_SECRET);
    value_to_lua(L, s->held);
    json_decref(s->held);
    s->held = NULL;
    return 1;
}

static void push_secrets(lua_State *L)
{
    lua_newtable(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, REF_PROXY_META);
    lua_setmetatable(L, -2);
}

/* A global that the run's table and the library lack. */
static int missing_global(lua_State *L)
{
    const scope *sc = sandbox_of(L)->scope;
    size_t len;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &len) : NULL;

    if (!name)
        return 0;
    switch (scan_root_of(name, len)) {
    case ROOT_INPUT: push_members(L, sc->input, ROOT_INPUT); break;
    case ROOT_STEPS: push_steps(L); break;
    case ROOT_EXECUTION: value_to_lua(L, sc->execution); break;
    case ROOT_SECRETS: push_secrets(L); break;
    case ROOT_ITEM:
        if (!sc->item)
            return 0;
        push_members(L, sc->item, ROOT_ITEM);
        break;
    case ROOT_INDEX:
        if (sc->index < 0)
            return 0;
        lua_pushinteger(L, sc->index);
        break;
    default: return 0;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, REF_ENV);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return 1;
}

static int read_only(lua_State *L)
{
    return luaL_error(L, "this table is read-only");
}

void scope_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, missing_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);

    lua_newtable(L);
    lua_pushcfunction(L, secret_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, read_only);
    lua_setfield(L, -2, "__newindex");
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_PROXY_META);
}
