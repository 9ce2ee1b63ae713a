/* What every adapter of the store port must do, as one suite that each adapter's test runs. */
#ifndef TESTS_STORE_CONFORMANCE_H
#define TESTS_STORE_CONFORMANCE_H

#include <pthread.h>
#include <stdbool.h>

#include "store/store.h"

typedef struct conformance_target {
    const char *name;
    const char *url;
    bool survives;       /* what was committed is there after free and open */
    void (*clean)(void); /* before each test: the next open finds nothing; may be NULL */
} conformance_target;

/* Runs the suite; returns the number of tests that failed. */
int store_conformance(const conformance_target *target);

/* ---- for other tests of stores --------------------------------------------------------------- */

/* An open store with an owner that waits for what it submitted. */
typedef struct store_fixture {
    store s;
    uint64_t term;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    int wakes;
} store_fixture;

/* Opens and takes the lease; asserts that both succeed. */
void fixture_open(store_fixture *f, const char *url);
/* Without the lease. */
int32_t fixture_try_open(store_fixture *f, const char *url, orch_error **err);
void fixture_close(store_fixture *f);   /* stop and free */
void fixture_abandon(store_fixture *f); /* free alone */
void fixture_submit(store_fixture *f, store_unit *u);
void fixture_flush(store_fixture *f);
/* Reaps until `count` units came, in any order; asserts that they come within ten seconds. */
void fixture_wait(store_fixture *f, int count);
/* Waits at most timeout_ms for one unit; NULL if none came. Returns a list. */
store_unit *fixture_reap(store_fixture *f, int timeout_ms);
int32_t fixture_run(store_fixture *f, store_unit *u); /* submit, flush, wait; the unit's result */
store_unit fixture_unit(const store_fixture *f, uint64_t key); /* with lease, key and run 1 */
/* An OPEN row of definition 1 with the n-th key of a shard. */
execution_row fixture_row(uint32_t shard, uint32_t n);
int32_t fixture_accept(store_fixture *f, execution_row *row);
checkpoint fixture_checkpoint(uint64_t seq);

/* Everything that a store says, as text: two stores that took the same units say the same.
 * mem_free. */
char *store_dump(store *s);

#endif
