/* The syntax of many texts, without running any. Compiling leaves nothing in a state but garbage, so one serves all
 * of a definition; it is bare: code that never runs needs no library. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "workflow/sandbox_impl.h"

#define CHECK_MEMORY_BYTES ((size_t)64 << 20)
#define GARBAGE_KEPT_BYTES ((size_t)64 << 10) /* more than this is collected between texts */
#define GOOD_SLOTS         64                 /* a power of two */
#define GOOD_MAX_BYTES     ((size_t)16 << 10) /* longer texts are not kept: at most 1 MiB in all */

/* A text that was found to be good. */
typedef struct good_text {
    char *text; /* NULL = free */
    size_t len;
    uint64_t hash;
    bool expression;
} good_text;

struct sandbox_check_state {
    sandbox s;
    good_text good[GOOD_SLOTS]; /* by hash; a newer one takes the place */
};

/* ---- texts that are known ------------------------------------------------------------------------------ */

static good_text *slot_of(struct sandbox_check_state *st, uint64_t hash)
{
    return &st->good[hash & (GOOD_SLOTS - 1)];
}

static bool is_good(const good_text *g, uint64_t hash, const char *code, size_t len,
                    bool expression)
{
    return g->text && g->hash == hash && g->expression == expression && g->len == len &&
           !memcmp(g->text, code, len);
}

/* It is only a shortcut: without memory the text is compiled again. */
static void keep_good(good_text *g, uint64_t hash, const char *code, size_t len, bool expression)
{
    char *copy = len <= GOOD_MAX_BYTES ? mem_strndup(code, len) : NULL;

    if (!copy)
        return;
    mem_free(g->text);
    *g = (good_text){copy, len, hash, expression};
}

/* ---- the state ----------------------------------------------------------------------------------------- */

static void close_state(sandbox *s)
{
    lua_State *L = s->L;

    s->L = NULL;
    if (L)
        lua_close(L);
}

static int32_t open_state(sandbox *s, orch_error **err)
{
    lua_State *L;

    s->allocations = 0;
    s->used_bytes = 0;
    s->stack = NULL;
    L = lua_newstate(budget_alloc, s);
    if (!L)
        return error_no_memory(err);
    *(sandbox **)lua_getextraspace(L) = s;
    lua_gc(L, LUA_GCSTOP); /* between texts instead; when memory runs out it is done all the same */
    s->base_bytes = s->used_bytes;
    s->L = L;
    return 0;
}

static int32_t checker_open(sandbox_checker *c, orch_error **err)
{
    struct sandbox_check_state *st;

    if (c->state)
        return 0;
    st = mem_zalloc(sizeof *st);
    if (!st)
        return error_no_memory(err);
    st->s.locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!st->s.locale) {
        mem_free(st);
        return error_no_memory(err);
    }
    c->state = st;
    return 0;
}

void sandbox_checker_close(sandbox_checker *c)
{
    struct sandbox_check_state *st = c->state;

    c->state = NULL;
    if (!st)
        return;
    close_state(&st->s);
    for (int i = 0; i < GOOD_SLOTS; i++)
        mem_free(st->good[i].text);
    freelocale(st->s.locale);
    mem_free(st);
}

/* ---- checking ------------------------------------------------------------------------------------------ */

static int32_t load_error(const sandbox *s, int status, orch_error **err)
{
    lua_State *L = s->L;

    if (status != LUA_ERRMEM)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "%s",
                         lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "syntax error");
    if (s->refused == END_NO_MEMORY)
        return error_no_memory(err);
    return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "memory",
                     "the code takes more than %zu bytes to compile", CHECK_MEMORY_BYTES);
}

/* Each text has the whole budget, whatever came before it. */
static int32_t compile(sandbox *s, const char *code, size_t len, bool expression, orch_error **err)
{
    int32_t rc = s->L ? 0 : open_state(s, err);
    int status;

    if (rc)
        return rc;
    s->allowed_bytes = s->used_bytes + CHECK_MEMORY_BYTES;
    s->left = INT64_MAX;
    s->weight = 1;
    s->longest_bytes = 0;
    s->end = s->refused = END_NONE;
    status = state_load(s->L, code, len, expression);
    if (status != LUA_OK)
        rc = load_error(s, status, err);
    lua_settop(s->L, 0);
    if (s->end || status == LUA_ERRMEM)
        close_state(s);
    else if (s->used_bytes > s->base_bytes + GARBAGE_KEPT_BYTES)
        lua_gc(s->L, LUA_GCCOLLECT);
    return rc;
}

static int32_t check_syntax(struct sandbox_check_state *st, const char *code, size_t len,
                            bool expression, orch_error **err)
{
    uint64_t hash = text_hash(code, len);
    good_text *slot = slot_of(st, hash);
    locale_t before;
    int32_t rc;

    if (is_good(slot, hash, code, len, expression))
        return 0;
    before = uselocale(st->s.locale);
    rc = compile(&st->s, code, len, expression, err);
    uselocale(before);
    if (!rc)
        keep_good(slot, hash, code, len, expression);
    return rc;
}

static int32_t check_text(sandbox_checker *c, const char *code, size_t len, bool expression,
                          const scan *names, orch_error **err)
{
    const char *wrong = state_objection(names, expression);
    int32_t rc;

    if (wrong)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "%s", wrong);
    if (expression && simple_expression(code, len))
        return 0;
    rc = checker_open(c, err);
    return rc ? rc : check_syntax(c->state, code, len, expression, err);
}

int32_t sandbox_check(sandbox_checker *c, const char *code, size_t len, bool expression,
                      scan *out_names, orch_error **err)
{
    int32_t rc;
    scan names;

    if (len > CODE_MAX_BYTES)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "code is longer than 1 MiB");
    if (!scan_code(&names, code, len))
        return error_no_memory(err);
    rc = check_text(c, code, len, expression, &names, err);
    if (!rc && out_names)
        *out_names = names;
    else
        scan_free(&names);
    return rc;
}
