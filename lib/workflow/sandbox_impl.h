/* What the files of the sandbox share: the state of a run, its budgets, and how a value crosses. */
#ifndef WORKFLOW_SANDBOX_IMPL_H
#define WORKFLOW_SANDBOX_IMPL_H

#include <jansson.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "workflow/sandbox.h"
#include "workflow/sandbox_scan.h"

#define CHUNK_SLOTS     128
#define CHUNK_BUCKETS   256 /* a power of two */
#define CODE_MAX_BYTES  ((size_t)1 << 20)
#define VALUE_MAX_DEPTH 128
#define UNPACK_MAX      8000 /* values that one call may return */
#define NUMBER_MAX_LEN  200  /* a longer string is no number */

/* Why a run may not go on. Once set it stays set until the run ends: nothing in Lua can catch it. */
enum sandbox_end {
    END_NONE,
    END_INSTRUCTIONS,
    END_MEMORY,
    END_STACK,
    END_NESTING,
    END_STOPPED,
    END_NO_MEMORY, /* the host's, not the budget's */
    END_SECRET,    /* sandbox.secret_error says why */
};

/* Integer keys of the registry: 1 and 2 are Lua's own. */
enum { REF_ENV = 4, REF_ENV_META, REF_LIST_META, REF_OBJECT_META, REF_PROXY_META, REF_CHUNKS = 16 };

typedef struct chunk {
    char *text; /* NULL = free */
    size_t len;
    uint64_t hash;
    uint64_t used_at;
    size_t cost_bytes; /* of Lua's memory */
    scan scan;
    int16_t next; /* in the bucket, or -1 */
    bool expression;
} chunk;

struct sandbox {
    lua_State *L; /* NULL until first used, and after a run that broke off */
    sandbox_limits limits;
    locale_t locale; /* "C": Lua compares and prints by locale */
    /* budgets */
    int64_t left;   /* instructions */
    int64_t weight; /* what one instruction counts: more when strings are long */
    int interval;   /* instructions to the next tick */
    uint32_t jitter;
    uint32_t ticks;
    int end;     /* enum sandbox_end */
    int refused; /* why the allocator last said no */
    int nesting; /* calls from C back into Lua */
    size_t used_bytes;
    size_t base_bytes; /* of used_bytes: libraries and chunks, which no run pays for */
    size_t allowed_bytes;
    size_t longest_bytes; /* the longest string of this run */
    size_t value_bytes;   /* of the JSON that is being made */
    unsigned allocations; /* while the state is made */
    void *stack;          /* Lua's, to bound it */
    void *last_block;     /* the newest allocation */
    size_t last_bytes;
    /* the run */
    const scope *scope;
    const sandbox_names *names;
    const volatile int *stop;
    const chunk *chunk;
    orch_error *secret_error;
    json_t *held; /* what C code works on while Lua may throw */
    buf scratch;  /* used as a stack */
    /* compiled chunks */
    uint64_t clock;
    chunk chunks[CHUNK_SLOTS];
    int16_t buckets[CHUNK_BUCKETS];
};

static inline sandbox *sandbox_of(lua_State *L)
{
    return *(sandbox **)lua_getextraspace(L);
}

/* ---- sandbox_budget.c ---------------------------------------------------------------------------------- */

void *budget_alloc(void *ud, void *ptr, size_t old_size, size_t new_size);
void budget_start(sandbox *s); /* before a run */
/* End the run. Does not return. */
_Noreturn void budget_end(lua_State *L, int end);
void budget_charge(lua_State *L, uint64_t n);
/* For work on that many bytes. */
static inline void budget_charge_bytes(lua_State *L, size_t n)
{
    budget_charge(L, 1 + n / 64);
}
/* Before C calls back into Lua; the caller takes it back with `nesting--`, pcall restores it after errors. */
void budget_nest(lua_State *L);
void budget_stack(lua_State *L, int slots); /* as luaL_checkstack, but running out ends the run */
void budget_value(lua_State *L, size_t n);  /* bytes of JSON made */
/* After a call that failed: ends the run if a budget did it. */
void budget_rethrow(lua_State *L, int status);
int32_t budget_error(const sandbox *s, orch_error **err); /* the words for s->end */

void scratch_add(lua_State *L, const char *data, size_t len);
char *scratch_grow(lua_State *L, size_t len); /* room for len bytes, counted as used */
/* Push what lies above `from` as a string and take it off. */
void scratch_push(lua_State *L, size_t from);

/* ---- sandbox_json.c ------------------------------------------------------------------------------------ */

void value_to_lua(lua_State *L, json_t *value);  /* pushes it */
json_t *value_from_lua(lua_State *L, int index); /* new reference, in s->held until taken */
void value_push_null(lua_State *L);
bool value_is_null(lua_State *L, int index);
void value_mark_list(lua_State *L); /* the table on top */
void value_mark_object(lua_State *L);

/* ---- sandbox_scope.c ----------------------------------------------------------------------------------- */

void scope_open(lua_State *L); /* the globals' table on top gets its fallback */

/* ---- sandbox_sort.c ------------------------------------------------------------------------------------ */

/* Stable merge sort of order[0..n): at most n log n calls of less, whatever it answers. */
typedef bool (*sort_less)(lua_State *L, void *ctx, uint32_t a, uint32_t b);
void sort_order(lua_State *L, uint32_t *order, uint32_t *spare, uint32_t n, sort_less less,
                void *ctx);

typedef struct sort_key {
    const char *text; /* NULL: a number or a boolean */
    size_t len;
    bool boolean;
    bool exact; /* integer, else number */
    lua_Integer integer;
    lua_Number number;
} sort_key;

/* The table's keys in order: numbers, strings, booleans. Pushes one userdata that holds them; other keys
 * raise an error. The strings are the table's own. */
const sort_key *sort_keys(lua_State *L, int table, uint32_t *count, const uint32_t **out_order);
bool sort_key_at(lua_State *L, int index, sort_key *out); /* false if it is of another type */
int sort_key_compare(const sort_key *a, const sort_key *b);
void sort_key_push(lua_State *L, const sort_key *k);

/* ---- libraries: each pushes a table -------------------------------------------------------------------- */

void base_open(lua_State *L);                /* adds to the table on top instead */
void base_tostring(lua_State *L, int index); /* pushes text without addresses */
lua_Integer base_integer(lua_State *L, int arg);
lua_Integer base_opt_integer(lua_State *L, int arg, lua_Integer otherwise);
lua_Number base_number(lua_State *L, int arg);
bool base_push_number(lua_State *L,
                      int index); /* pushes the number that a number or short string is */
void string_open(lua_State *L);
int string_format(lua_State *L);
int string_find(lua_State *L);
int string_match(lua_State *L);
int string_gmatch(lua_State *L);
int string_gsub(lua_State *L);
/* A position from the end if negative, clipped to 1..len+1. */
size_t string_start(lua_Integer at, size_t len);
void table_open(lua_State *L);
int table_unpack(lua_State *L);
int table_sort(lua_State *L);
void math_open(lua_State *L);
void utf8_open(lua_State *L);
void json_open(lua_State *L);

/* ---- sandbox_simple.c ---------------------------------------------------------------------------------- */

/* True: Lua takes it as an expression. False: who knows. */
bool simple_expression(const char *code, size_t len);

/* ---- sandbox_state.c ----------------------------------------------------------------------------------- */

int32_t state_open(sandbox *s, orch_error **err);
void state_close(sandbox *s);
/* The chunk's number; compiles it. Raises. Leaves the function on top. */
int state_chunk(lua_State *L, const char *code, size_t len, bool expression);
const char *state_objection(const scan *sc, bool expression); /* NULL if there is none */
int state_load(lua_State *L, const char *code, size_t len, bool expression); /* as lua_load */

#endif
