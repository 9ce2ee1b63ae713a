/* The store that survives nothing: for tests, benchmarks and hosts that want no file.
 *
 * Synchronous: flush applies what was submitted under one lock, and what it applied is ready for
 * reap as soon as flush returns. Since submit, flush and reap belong to one thread, `wake` is
 * not needed for that and not called; it is called only where units of an earlier flush are
 * found unreaped at the next, or at stop. */
#ifndef STORE_MEMORY_MEMORY_H
#define STORE_MEMORY_MEMORY_H

#include "store/store.h"

int32_t memory_store_open(const store_options *o, store *out, orch_error **err);

#endif
