/**
 * @file types.h
 * @brief What every public header shares: export marker, calling conventions, free function type.
 *
 * Conventions that hold for the whole API:
 *  - Functions that can fail return `int32_t`: 0 (`ORCH_OK`) or a negated canonical gRPC code such
 *    as `ORCH_E_NOT_FOUND` (-5); positive values are counts only.
 *  - Outputs (`out_*`) are written on success only; on failure they keep their value.
 *  - Strings are UTF-8 and are copied; JSON crosses as text with a length and needs no NUL.
 *  - Handles are opaque; what a `new` function returns, the matching `free` function ends.
 *    `free(NULL)` is harmless.
 *  - A callback travels with a `user_data` pointer and an optional free function, which is called
 *    exactly once, also when the registering call fails.
 */
#ifndef ORCH_TYPES_H
#define ORCH_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && __GNUC__ >= 4
/** Marks a function of the public API. */
#    define ORCH_API __attribute__((visibility("default")))
#else
/** Marks a function of the public API. */
#    define ORCH_API
#endif

/** An orchestrator with its in-process engine: v2.h. */
typedef struct orch_v2 orch_v2;

/** Ends what a `user_data` pointer stands for. Called exactly once, on any thread. */
typedef void (*orch_free_fn)(void *user_data);

#endif
