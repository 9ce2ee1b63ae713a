/* The Lua state behind a sandbox: made once, its libraries locked, and the compiled chunks. A run's globals are a
 * fresh table over the libraries; the library tables that code can reach are proxies that cannot be
 * written, and there is no setmetatable, getmetatable or rawset, so nothing outlives a run. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "workflow/sandbox_impl.h"

#define CHUNKS_MAX_BYTES ((size_t)8 << 20) /* of Lua's memory */

static int read_only(lua_State *L)
{
    return luaL_error(L, "the library is read-only");
}

/* The library on top becomes the field `name` of the globals below it, behind a proxy. */
static void add_library(lua_State *L, const char *name)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_rotate(L, -3, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, read_only);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, name);
}

static int use_of_null(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && value_is_null(L, 1))
        return luaL_error(L, "attempt to use null as a value ('%s')", lua_tostring(L, 2));
    return luaL_error(L, "attempt to use null as a value");
}

static void open_null(lua_State *L)
{
    static const char *const events[] = {
        "__index", "__newindex", "__call", "__len", "__concat", "__unm",  "__add",
        "__sub",   "__mul",      "__div",  "__mod", "__pow",    "__idiv", "__band",
        "__bor",   "__bxor",     "__shl",  "__shr", "__bnot",   "__lt",   "__le"};

    value_push_null(L);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        lua_pushcfunction(L, use_of_null);
        lua_setfield(L, -2, events[i]);
    }
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "null");
}

static int open_all(lua_State *L)
{
    static const struct {
        const char *name;
        void (*open)(lua_State *);
    } libraries[] = {{"string", string_open},
                     {"table", table_open},
                     {"math", math_open},
                     {"utf8", utf8_open},
                     {"json", json_open}};

    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_LIST_META);
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_OBJECT_META);
    lua_newtable(L); /* of a run's globals */
    lua_newtable(L); /* the globals all runs share */
    base_open(L);
    open_null(L);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        libraries[i].open(L);
        add_library(L, libraries[i].name);
    }
    scope_open(L);
    lua_setfield(L, -2, "__index");
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_ENV_META);
    lua_pushboolean(L, 0); /* keys exist from here on, so that writing them later needs no memory */
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_ENV);
    for (int i = 0; i < CHUNK_SLOTS; i++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, LUA_REGISTRYINDEX, REF_CHUNKS + i);
    }
    return 0;
}

int32_t state_open(sandbox *s, orch_error **err)
{
    lua_State *L;

    s->allocations = 0;
    s->used_bytes = 0;
    s->stack = NULL;
    L = lua_newstate(budget_alloc, s);
    if (!L)
        return error_no_memory(err);
    *(sandbox **)lua_getextraspace(L) = s;
    lua_pushcfunction(L, open_all);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        lua_close(L);
        return error_no_memory(err);
    }
    lua_gc(L, LUA_GCCOLLECT);
    s->base_bytes = s->used_bytes;
    s->L = L;
    return 0;
}

static void forget(sandbox *s, int slot)
{
    chunk *c = &s->chunks[slot];
    int16_t *link = &s->buckets[c->hash & (CHUNK_BUCKETS - 1)];

    while (*link != slot)
        link = &s->chunks[*link].next;
    *link = c->next;
    s->base_bytes -= c->cost_bytes;
    scan_free(&c->scan);
    mem_free(c->text);
    memset(c, 0, sizeof *c);
    if (s->L) {
        lua_pushboolean(s->L, 0);
        lua_rawseti(s->L, LUA_REGISTRYINDEX, REF_CHUNKS + slot); /* replaces: needs no memory */
    }
}

void state_close(sandbox *s)
{
    lua_State *L = s->L;

    s->L = NULL;
    for (int i = 0; i < CHUNK_SLOTS; i++)
        if (s->chunks[i].text)
            forget(s, i);
    if (L)
        lua_close(L);
}

/* ---- chunks -------------------------------------------------------------------------------------------- */

typedef struct pieces {
    const char *text[3];
    size_t len[3];
    int next;
} pieces;

static const char *read_piece(lua_State *L, void *data, size_t *size)
{
    pieces *p = data;

    (void)L;
    while (p->next < 3 && !p->len[p->next])
        p->next++;
    if (p->next == 3) {
        *size = 0;
        return NULL;
    }
    *size = p->len[p->next];
    return p->text[p->next++];
}

int state_load(lua_State *L, const char *code, size_t len, bool expression)
{
    pieces p = {{"return (", code, "\n)"}, {8, len, 2}, 0};

    if (!expression)
        p.len[0] = p.len[2] = 0;
    return lua_load(L, read_piece, &p, expression ? "=expression" : "=code", "t");
}

static int find_chunk(const sandbox *s, uint64_t hash, const char *code, size_t len,
                      bool expression)
{
    int slot = s->buckets[hash & (CHUNK_BUCKETS - 1)];

    for (; slot >= 0; slot = s->chunks[slot].next) {
        const chunk *c = &s->chunks[slot];

        if (c->hash == hash && c->expression == expression && c->len == len &&
            !memcmp(c->text, code, len))
            return slot;
    }
    return -1;
}

static int oldest_chunk(const sandbox *s, bool free_too)
{
    int found = -1;

    for (int i = 0; i < CHUNK_SLOTS; i++) {
        if (!s->chunks[i].text && free_too)
            return i;
        if (s->chunks[i].text && (found < 0 || s->chunks[i].used_at < s->chunks[found].used_at))
            found = i;
    }
    return found;
}

static int free_slot(sandbox *s)
{
    size_t cost = 0;
    int slot;

    for (int i = 0; i < CHUNK_SLOTS; i++)
        cost += s->chunks[i].cost_bytes;
    while (cost > CHUNKS_MAX_BYTES) {
        slot = oldest_chunk(s, false);
        cost -= s->chunks[slot].cost_bytes;
        forget(s, slot);
    }
    slot = oldest_chunk(s, true);
    if (s->chunks[slot].text)
        forget(s, slot);
    return slot;
}

/* Enters the function on top. */
static int keep_chunk(lua_State *L, uint64_t hash, const char *code, size_t len, bool expression)
{
    sandbox *s = sandbox_of(L);
    int slot = free_slot(s);
    chunk *c = &s->chunks[slot];

    if (!scan_code(&c->scan, code, len))
        budget_end(L, END_NO_MEMORY);
    c->text = mem_strndup(code, len);
    if (!c->text) {
        scan_free(&c->scan);
        budget_end(L, END_NO_MEMORY);
    }
    c->len = len;
    c->hash = hash;
    c->expression = expression;
    c->next = s->buckets[hash & (CHUNK_BUCKETS - 1)];
    s->buckets[hash & (CHUNK_BUCKETS - 1)] = (int16_t)slot;
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, REF_CHUNKS + slot);
    return slot;
}

const char *state_objection(const scan *sc, bool expression)
{
    if (sc->environment)
        return "_ENV is not available";
    if (expression && sc->unbalanced)
        return "a closing bracket without its opening one";
    return NULL;
}

static int compile(lua_State *L, uint64_t hash, const char *code, size_t len, bool expression)
{
    sandbox *s = sandbox_of(L);
    size_t before = s->used_bytes;
    const char *wrong;
    int slot;

    if (len > CODE_MAX_BYTES)
        return luaL_error(L, "code is longer than 1 MiB");
    lua_gc(L, LUA_GCSTOP);
    if (state_load(L, code, len, expression) != LUA_OK) {
        lua_gc(L, LUA_GCRESTART);
        return lua_error(L);
    }
    lua_gc(L, LUA_GCRESTART);
    slot = keep_chunk(L, hash, code, len, expression);
    wrong = state_objection(&s->chunks[slot].scan, expression);
    if (wrong) {
        forget(s, slot);
        return luaL_error(L, "%s", wrong);
    }
    if (s->used_bytes > before) {
        s->chunks[slot].cost_bytes = s->used_bytes - before;
        s->base_bytes += s->chunks[slot].cost_bytes;
    }
    return slot;
}

int state_chunk(lua_State *L, const char *code, size_t len, bool expression)
{
    sandbox *s = sandbox_of(L);
    uint64_t hash = text_hash(code, len);
    int slot = find_chunk(s, hash, code, len, expression);

    if (slot >= 0)
        lua_rawgeti(L, LUA_REGISTRYINDEX, REF_CHUNKS + slot);
    else
        slot = compile(L, hash, code, len, expression);
    s->chunks[slot].used_at = ++s->clock;
    s->chunk = &s->chunks[slot];
    return slot;
}
