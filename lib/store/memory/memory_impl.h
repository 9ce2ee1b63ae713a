/* The memory adapter's tables. All of it is guarded by memory_store.lock but for what the
 * owner's thread keeps. */
#ifndef STORE_MEMORY_MEMORY_IMPL_H
#define STORE_MEMORY_MEMORY_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/heap.h"
#include "base/list.h"
#include "store/memory/memory.h"

/* ---- history.c: the checkpoints of one run, in order of seq ---------------------------------- */

typedef struct history_chunk {
    struct history_chunk *prev, *next;
    uint32_t count, cap;
    checkpoint rows[];
} history_chunk;

typedef struct history {
    history_chunk *first, *last; /* `last` has the newest row, or is empty and reserved */
    uint64_t last_seq;
} history;

/* Make room, so that appending `count` rows cannot fail. */
bool history_reserve(history *h, uint32_t count);
void history_append(history *h, const checkpoint *c); /* passes over a seq that is there */
bool history_has(const history *h, uint64_t seq);
void history_free(history *h);
/* Copies at most `limit` rows after after_seq; returns how many. */
uint32_t history_read(const history *h, uint64_t after_seq, checkpoint *out, uint32_t limit);

/* ---- table.c: executions by key, by id and in order ------------------------------------------ */

typedef struct memory_run {
    struct memory_run *next;
    uint32_t run;
    history history;
} memory_run;

typedef struct memory_execution {
    execution_row row;
    memory_run *runs; /* newest first */
    inbox_item *inbox;
    size_t inbox_count, inbox_cap;
    heap_node wake; /* in memory_store.wakes while suspended with a time */
    list live;      /* in memory_store.open, .called, or none */
} memory_execution;

typedef struct memory_slot {
    uint64_t hash;
    memory_execution *execution; /* NULL = free */
} memory_slot;

typedef struct memory_map {
    memory_slot *slots;
    uint32_t bits; /* 2^bits slots */
    size_t count;
} memory_map;

typedef struct memory_table {
    memory_map by_key, by_id;
    memory_execution **order; /* by key */
    size_t count, cap;
} memory_table;

memory_execution *table_find(const memory_table *t, uint64_t key);
memory_execution *table_find_id(const memory_table *t, const char *id);
size_t table_place(const memory_table *t, uint64_t key); /* of the first key >= this */
bool table_reserve(memory_table *t);                     /* room for one more */
void table_insert(memory_table *t, memory_execution *e); /* after table_reserve */
void table_free(memory_table *t);

memory_execution *execution_new(const execution_row *row);
void execution_free(memory_execution *e);
memory_run *execution_run(const memory_execution *e, uint32_t run); /* NULL = none */

/* ---- memory.c -------------------------------------------------------------------------------- */

typedef struct memory_store {
    /* The owner thread's. */
    store_unit *submitted, **submitted_end;
    store_unit *done, **done_end;
    void (*wake)(void *ctx);
    void *wake_ctx;

    pthread_mutex_t lock;
    uint64_t term;
    memory_table table;
    definition_row *definitions; /* by key */
    size_t definition_count, definition_cap;
    list open;   /* state OPEN */
    list called; /* SUSPENDED, inbox not empty */
    heap wakes;  /* SUSPENDED with wake_ms */
    uint64_t not_ended;
    uint64_t last_execution; /* highest key */
    store_stats stats;       /* but for `queued` */
    atomic_uint_least64_t queued;
} memory_store;

const definition_row *memory_definition(const memory_store *s, uint64_t key);
int32_t memory_apply(memory_store *s, store_unit *u); /* apply.c: all of the unit or nothing */

/* ---- read.c: the slots of store_ops ---------------------------------------------------------- */

int32_t memory_load_definitions(void *self, uint64_t definition, bool with_texts,
                                definition_page *out, orch_error **err);
int32_t memory_load_execution(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err);
int32_t memory_list_executions(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err);
int32_t memory_load_checkpoints(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err);
int32_t memory_load_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err);
int32_t memory_load_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err);
int32_t memory_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err);

#endif
