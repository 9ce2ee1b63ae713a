/* What the files of the conformance suite share. */
#ifndef TESTS_STORE_CASES_H
#define TESTS_STORE_CASES_H

#include "support/store_conformance.h"

#define SHARD 5

#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)

extern const conformance_target *case_target;

int store_writing(const char *name);  /* store_writing.c: runs its group */
int store_reading(const char *name);  /* store_reading.c */
int store_telling(const char *name);  /* store_telling.c */
int store_starting(const char *name); /* store_starting.c */
int store_ending(const char *name);   /* store_ending.c */
int store_surviving(const char *name);

int case_set_up(void **state); /* *state is a store_fixture, open and empty */
int case_tear_down(void **state);

/* A unit with everything in it, to see that a refused one leaves nothing. */
typedef struct full_unit {
    store_unit u;
    definition_row definition;
    execution_row child;
    checkpoint checkpoint;
    inbox_item item;
    execution_update update;
    start_key key;
    execution_setting setting;
    inbox_item notice;
    control_row control;
    setting_row put;
} full_unit;

bytes *case_json(const char *text);
void case_assert_payload(const bytes *b, const char *text);
execution_row case_load(store_fixture *f, uint64_t key);
uint64_t case_accept(store_fixture *f, uint32_t n);
size_t case_count_checkpoints(store_fixture *f, uint64_t key, uint32_t run);
int32_t case_set_state(store_fixture *f, uint64_t key, uint8_t state, int64_t wake_ms);
int32_t case_put_signal(store_fixture *f, uint64_t key, uint64_t *out_seq);
/* Suspended until then, or until that item. */
void case_suspend(store_fixture *f, uint64_t key, int64_t wake_ms, uint64_t wake_inbox);
int32_t case_set(store_fixture *f, uint64_t key, int8_t paused, int8_t priority);
int32_t case_purge(store_fixture *f, uint64_t key);
void case_free_full(full_unit *full);
void case_assert_state(store_fixture *f, uint64_t key, uint8_t state);
/* Exactly these keys can run, in this order; those that have a limit key alone if it is not NULL. */
void case_assert_runnable(store_fixture *f, uint8_t priority, const char *limit_key,
                          const uint64_t *keys, size_t n);
/* Exactly these are due, in any order. */
void case_assert_due(store_fixture *f, int64_t wake_by_ms, const uint64_t *keys, size_t n);
/* Exactly these are listed, in this order. */
void case_assert_listed(store_fixture *f, execution_filter filter, const uint64_t *keys, size_t n);
definition_row case_definition(uint64_t key, char *workflow, char *version);
int32_t case_define(store_fixture *f, uint64_t key, char *workflow, char *version);
void case_make_full(store_fixture *f, full_unit *full, uint64_t key);
void case_assert_refused(store_fixture *f, store_unit *u, int32_t result);
void case_append(store_fixture *f, uint64_t key, uint32_t run, checkpoint *rows, uint32_t n);

#endif
