/* Optional libraries, loaded on first use: a host that needs none of them pays for none. Describe
 * one in a static dynlib and call dynlib_load before each use; once it has answered 0, the addresses
 * stand.
 *
 *     static struct { int (*answer)(void); } api;
 *     static const dynlib_symbol symbols[] = {{"deep_answer", &api.answer}, {NULL, NULL}};
 *     static dynlib deep = {.names = {"libdeep.so.1"}, .symbols = symbols};
 */
#ifndef BASE_DYNLIB_H
#define BASE_DYNLIB_H

#include <orch/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DYNLIB_MAX_NAMES 3

typedef struct dynlib_symbol {
    const char *name;
    void *
        pointer; /* where to put the address: of a function pointer, or of a pointer to an object */
} dynlib_symbol;

typedef struct dynlib {
    const char *names[DYNLIB_MAX_NAMES]; /* tried in this order; the rest NULL */
    const dynlib_symbol *symbols;        /* ends with a NULL name */
    atomic_bool loaded;
} dynlib;

/* Load, unless it is loaded: for ever, it is never closed. Any thread; the first call may block
 * on the disk. Returns 0; ORCH_E_UNIMPLEMENTED if it is not there or lacks a symbol: the message
 * and `about` name the library. A later call tries again. */
int32_t dynlib_load(dynlib *lib, orch_error **err);

#endif
