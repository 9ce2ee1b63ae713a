/* Budgets: instructions by a hook that counts, memory by an allocator that counts, and what each C function
 * charges for its own work. Work that one instruction may do is bounded by the length of strings and the size of
 * Lua's stack, so both weigh in. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/sandbox_impl.h"

#define TICK_INSTRUCTIONS 512 /* plus up to as many again */
#define TICKS_ALIKE       32
#define STACK_MAX_BYTES   ((size_t)512 << 10)
#define NESTING_MAX \
    100 /* Lua itself gives up at 200 C calls, with an error that a pcall could catch */
#define LONG_STRING_BYTES  ((size_t)64 << 10)
#define WEIGHT_SHIFT       14 /* one more per so many bytes of the longest string */
#define MOST_INSTRUCTIONS  (UINT64_C(1) << 62)
#define SCRATCH_KEPT_BYTES ((size_t)1 << 20)

static void hook(lua_State *L, lua_Debug *ar);

/* A tick's length varies so that code cannot put its costly instructions between two of them, but seldom: Lua walks all
 * of its calls to set it. */
static void set_tick(sandbox *s)
{
    int64_t most = s->left / s->weight + 1, n;

    if (s->ticks++ % TICKS_ALIKE == 0)
        s->jitter = s->jitter * 1664525u + 1013904223u;
    n = (TICK_INSTRUCTIONS + (s->jitter >> 23)) / s->weight;
    if (n > most)
        n = most;
    if (s->end || n < 1)
        n = 1;
    if (n == s->interval)
        return;
    s->interval = (int)n;
    lua_sethook(s->L, hook, LUA_MASKCOUNT, s->interval);
}

static void note_long_string(sandbox *s, size_t len)
{
    int64_t weight = 1 + (int64_t)(len >> WEIGHT_SHIFT);

    s->longest_bytes = len;
    if (len < LONG_STRING_BYTES || weight < s->weight * 3 / 2)
        return;
    s->left -= s->interval * s->weight;
    if (s->left < 0)
        s->left = 0;
    s->weight = weight;
    set_tick(s);
}

/* False if it may not have more. Copying long strings is paid for here, whoever does it. */
static bool may_grow(sandbox *s, const void *ptr, size_t tag, size_t more, size_t new_size)
{
    if (!s->L)
        return true;
    if (!ptr && tag == LUA_TSTRING && new_size > 1024) {
        s->left -= (int64_t)(new_size / 64);
        if (s->left < 0) {
            s->refused = END_INSTRUCTIONS;
            return false;
        }
        if (new_size > s->longest_bytes)
            note_long_string(s, new_size);
    }
    if (more > s->allowed_bytes || s->used_bytes > s->allowed_bytes - more) {
        s->refused = END_MEMORY;
        return false;
    }
    return true;
}

/* Lua's stack is the second thing a new state asks for. It grows by a new block, after which the old one is
 * freed (5.4.4), or in place. Too large a one ends the run at the next tick. */
static void move_stack(sandbox *s, void *to, size_t size)
{
    s->stack = to;
    if (s->L && size > STACK_MAX_BYTES && !s->end)
        s->end = END_STACK;
}

void *budget_alloc(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    sandbox *s = ud;
    size_t had = ptr ? old_size : 0;
    bool stack = ptr && ptr == s->stack;
    void *p;

    if (!new_size) {
        s->used_bytes -= had;
        if (stack)
            move_stack(s, s->last_block, s->last_bytes);
        mem_free(ptr);
        return NULL;
    }
    if (new_size > had && !may_grow(s, ptr, old_size, new_size - had, new_size))
        return NULL;
    p = mem_realloc(ptr, new_size);
    if (!p && new_size > had) {
        s->refused = END_NO_MEMORY;
        return NULL;
    }
    if (!p)
        p = ptr; /* Lua does not expect that shrinking fails */
    s->used_bytes += new_size - had;
    if (stack || (!s->L && ++s->allocations == 2))
        move_stack(s, p, new_size);
    s->last_block = p;
    s->last_bytes = new_size;
    return p;
}

void budget_start(sandbox *s)
{
    s->left = s->limits.instructions > MOST_INSTRUCTIONS ? (int64_t)MOST_INSTRUCTIONS
                                                         : (int64_t)s->limits.instructions;
    s->weight = 1;
    s->jitter = 1;
    s->ticks = 0;
    s->interval = 0;
    s->end = s->refused = END_NONE;
    s->nesting = 0;
    s->longest_bytes = 0;
    s->value_bytes = 0;
    s->allowed_bytes = s->base_bytes + s->limits.memory_bytes;
    s->scratch.len = 0;
    s->scratch.failed = false;
    if (s->scratch.cap > SCRATCH_KEPT_BYTES)
        buf_free(&s->scratch);
    set_tick(s);
}

_Noreturn void budget_end(lua_State *L, int end)
{
    sandbox *s = sandbox_of(L);

    if (!s->end)
        s->end = end;
    set_tick(s);
    lua_pushlightuserdata(L, s);
    lua_error(L);
    __builtin_unreachable();
}

static void check(lua_State *L, sandbox *s)
{
    if (s->end)
        budget_end(L, s->end);
    if (s->left < 0)
        budget_end(L, END_INSTRUCTIONS);
    if (s->stop && __atomic_load_n(s->stop, __ATOMIC_RELAXED))
        budget_end(L, END_STOPPED);
}

/* An instruction of a function with many extra arguments may copy them all. */
static int64_t extra_weight(lua_State *L, const lua_Debug *ar)
{
    int64_t weight = 1;

    for (int n = 64; n <= 65536 && lua_getlocal(L, ar, -n); n *= 2) {
        lua_pop(L, 1);
        weight = n / 32;
    }
    return weight;
}

static void hook(lua_State *L, lua_Debug *ar)
{
    sandbox *s = sandbox_of(L);
    int64_t extra = extra_weight(L, ar), cost = s->interval * s->weight;

    s->left -= cost * extra; /* both are bounded: no overflow */
    check(L, s);
    set_tick(s);
}

void budget_charge(lua_State *L, uint64_t n)
{
    sandbox *s = sandbox_of(L);

    s->left = n > (uint64_t)s->left ? -1 : s->left - (int64_t)n;
    check(L, s);
}

void budget_nest(lua_State *L)
{
    if (++sandbox_of(L)->nesting > NESTING_MAX)
        budget_end(L, END_NESTING);
}

void budget_stack(lua_State *L, int slots)
{
    if (!lua_checkstack(L, slots))
        budget_end(L, END_STACK);
}

void budget_value(lua_State *L, size_t n)
{
    sandbox *s = sandbox_of(L);

    if (n > s->limits.memory_bytes - s->value_bytes)
        budget_end(L, END_MEMORY);
    s->value_bytes += n;
}

void budget_rethrow(lua_State *L, int status)
{
    sandbox *s = sandbox_of(L);

    if (s->end)
        budget_end(L, s->end);
    if (status == LUA_ERRMEM)
        budget_end(L, s->refused ? s->refused : END_MEMORY);
}

int32_t budget_error(const sandbox *s, orch_error **err)
{
    const unsigned long long instructions = s->limits.instructions, memory = s->limits.memory_bytes;

    switch (s->end) {
    case END_INSTRUCTIONS:
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "instructions",
                         "the budget of %llu Lua instructions is used up", instructions);
    case END_MEMORY:
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "memory",
                         "the budget of %llu bytes of Lua memory is used up", memory);
    case END_STACK:
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "stack",
                         "Lua stack overflow: calls go too deep, or too many values at once");
    case END_NESTING:
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "stack",
                         "calls through pcall, gsub or sort nest deeper than %d", NESTING_MAX);
    case END_STOPPED: return error_set(err, ORCH_E_CANCELLED, NULL, "stopped while it ran");
    default: return error_no_memory(err);
    }
}

/* ---- scratch ------------------------------------------------------------------------------------------- */

char *scratch_grow(lua_State *L, size_t len)
{
    sandbox *s = sandbox_of(L);
    buf *b = &s->scratch;
    char *grown;

    if (len > s->limits.memory_bytes || b->len > s->limits.memory_bytes - len)
        budget_end(L, END_MEMORY);
    if (b->cap - b->len < len) {
        grown = mem_grow(b->data, &b->cap, b->len + len, 1);
        if (!grown)
            budget_end(L, END_NO_MEMORY);
        b->data = grown;
    }
    b->len += len;
    return b->data + b->len - len;
}

void scratch_add(lua_State *L, const char *data, size_t len)
{
    if (len)
        memcpy(scratch_grow(L, len), data, len);
}

void scratch_push(lua_State *L, size_t from)
{
    buf *b = &sandbox_of(L)->scratch;

    if (b->len > from)
        lua_pushlstring(L, b->data + from, b->len - from);
    else
        lua_pushliteral(L, "");
    b->len = from;
}
