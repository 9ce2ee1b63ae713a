/* Lua 5.4, closed in: no io, os, clock, addresses, load of bytecode or of text, coroutines, debug, metatables of
 * strings that escape; `pairs` in sorted order (numbers, then strings), no random numbers; budgets for
 * instructions and memory; string functions with bounded work (the matcher counts its steps against the
 * instruction budget; rep, format, concat against the memory budget). The same input gives the same result on
 * every machine.
 *
 * JSON survives: null is the value `null` (falsy is only nil and false, so `null` is a sentinel that compares equal to
 * itself; `x == null`), empty lists stay lists, empty objects objects, integers stay 64-bit integers.
 *
 * One sandbox serves one thread at a time; it is reused: each call starts from the same clean globals. Compiled
 * chunks are cached by their text within a bounded cache. */
#ifndef WORKFLOW_SANDBOX_H
#define WORKFLOW_SANDBOX_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "workflow/sandbox_scan.h"
#include "workflow/scope.h"

typedef struct sandbox sandbox;

typedef struct sandbox_limits {
    uint64_t instructions; /* 0 = 100,000,000 */
    uint64_t memory_bytes; /* 0 = 64 MiB */
} sandbox_limits;

typedef struct sandbox_names { /* how steps are called, to make the global `steps` */
    void *ctx;
    const uint32_t *steps; /* the steps to show */
    size_t count;
    const char *(*name)(void *ctx, uint32_t step);
} sandbox_names;

int32_t sandbox_new(const sandbox_limits *limits, sandbox **out, orch_error **err);
void sandbox_free(sandbox *s);

/* Checks the syntax of many texts in one Lua state, made on first use. Begins as zeroes. One thread at a time. */
typedef struct sandbox_checker {
    struct sandbox_check_state *state;
} sandbox_checker;

void sandbox_checker_close(sandbox_checker *c);

/* Check the syntax. `expression`: one expression (as in ${…}); else a chunk (as in `with: {code}`). *out_names,
 * which may be NULL, gets the names that it mentions: the caller's, to be freed by scan_free. */
int32_t sandbox_check(sandbox_checker *c, const char *code, size_t len, bool expression,
                      scan *out_names, orch_error **err);

/* Run. Globals besides the library: input, steps, item, index, execution, secrets (looked up when used).
 * The value of the expression, or what the chunk returns, as JSON in *out (nothing returned is null). Errors:
 * INVALID_ARGUMENT for a syntax or runtime error (message with the line, no addresses); a Lua error raised with
 * error{code="…", message="…", data=…} keeps that code (canonical name) and message; RESOURCE_EXHAUSTED if a
 * budget ran out (the message names the budget); CANCELLED if *stop became non-zero meanwhile (may be NULL). */
int32_t sandbox_run(sandbox *s, const char *code, size_t len, bool expression, const scope *sc,
                    const sandbox_names *names, const volatile int *stop, json_t **out,
                    orch_error **err);

#endif
