/* The memory adapter's tables. All of it is guarded by memory_store.lock but for what the
 * owner's thread keeps. */
#ifndef STORE_MEMORY_MEMORY_IMPL_H
#define STORE_MEMORY_MEMORY_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mutation.h"
#include "store/attributes.h"
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

/* ---- parts.c: what an execution has besides its row ------------------------------------------ */

/* In order of seq; items mostly leave at the front. */
typedef struct memory_inbox {
    inbox_item *rows;
    size_t first, count, cap; /* `count` of them from `first` on */
} memory_inbox;

bool inbox_reserve(memory_inbox *b, size_t more); /* room for so many more */
void inbox_push(memory_inbox *b, const inbox_item *item);
size_t inbox_drop_up_to(memory_inbox *b, uint64_t seq); /* how many went */
size_t inbox_drop_one(memory_inbox *b, uint64_t seq);
uint32_t inbox_count_kind(const memory_inbox *b, uint8_t kind);
void inbox_free(memory_inbox *b);
bool inbox_item_copy(const inbox_item *item, inbox_item *out); /* false: no memory */

/* In order of seq; the newest CONTROLS_KEPT are to be seen, up to twice as many are there. */
typedef struct memory_controls {
    control_row *rows;
    size_t count, cap;
    uint64_t last_seq;
} memory_controls;

bool controls_reserve(memory_controls *c); /* room for one more */
void controls_push(memory_controls *c, const control_row *row);
void controls_free(memory_controls *c);
bool control_row_copy(const control_row *row, control_row *out);

/* ---- table.c: executions by key, by id and in order ------------------------------------------ */

typedef struct memory_run {
    struct memory_run *next;
    history history;
    run_row row; /* how it ended, once `kept` */
    bool kept;
} memory_run;

/* A start key and who has it. */
typedef struct memory_start {
    UT_hash_handle hh;
    struct memory_execution *holder;
    int64_t expires_ms;
    size_t len;
    char name[]; /* workflow, NUL, key */
} memory_start;

typedef struct memory_execution {
    execution_row row;
    attribute_list attributes;
    char *start_key;     /* that it was started with; NULL = none */
    memory_start *holds; /* while it has that */
    memory_run *runs;    /* newest first */
    memory_inbox inbox;
    memory_controls controls;
    heap_node wake; /* in memory_store.wakes while suspended with a time */
    list live;      /* in one of memory_store.runnable, in .ended, or none */
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
    memory_execution **order; /* by key: `count` of them from `first` on */
    size_t first, count, cap;
} memory_table;

memory_execution *table_find(const memory_table *t, uint64_t key);
memory_execution *table_find_id(const memory_table *t, const char *id);
memory_execution *table_at(const memory_table *t, size_t place);
size_t table_place(const memory_table *t, uint64_t key); /* of the first key >= this */
bool table_reserve(memory_table *t);                     /* room for one more */
void table_insert(memory_table *t, memory_execution *e); /* after table_reserve */
void table_remove(memory_table *t, memory_execution *e); /* does not free it */
void table_free(memory_table *t);

/* INVALID_ARGUMENT for attributes that are none; RESOURCE_EXHAUSTED. */
int32_t execution_new(const execution_row *row, memory_execution **out);
void execution_free(memory_execution *e);
memory_run *execution_run(const memory_execution *e, uint32_t run); /* NULL = none */

/* ---- memory.c -------------------------------------------------------------------------------- */

/* In the order of ends. */
typedef struct ended_place {
    int64_t ended_ms;
    uint64_t key;
} ended_place;

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
    memory_start *starts;
    memory_controls controls; /* of workflows and everything */
    setting_row *settings;    /* by name */
    size_t setting_count, setting_cap;
    list runnable[PRIORITIES]; /* open and not paused */
    list ended;                /* oldest end first */
    heap wakes;                /* suspended, with a time that wakes them */
    uint64_t not_ended;
    uint64_t last_execution;  /* highest key */
    ended_place expired_from; /* where load_expired goes on, behind those that have to stay */
    store_stats stats;        /* but for `queued` */
    atomic_uint_least64_t queued;
} memory_store;

const definition_row *memory_definition(const memory_store *s, uint64_t key);
int32_t memory_apply(memory_store *s, store_unit *u); /* apply.c: all of the unit or nothing */

/* ---- plan.c: all that can fail of a unit, before anything is changed ------------------------- */

typedef struct plan {
    definition_row definition;
    memory_execution *accepted;
    memory_start *start; /* of u->start_key */
    bool start_is_new;
    memory_execution *target; /* execution `key` */
    memory_run *run;          /* that checkpoints go into */
    bool run_is_new;
    memory_run *kept; /* whose end is kept */
    bool kept_is_new;
    memory_execution *told; /* whom `notify` goes to; NULL = nobody */
    inbox_item put, notify; /* copies */
    control_row control;
    memory_controls *controls; /* where that goes */
    setting_row setting;
} plan;

int32_t plan_guards(const memory_store *s, const store_unit *u, const memory_execution *e);
/* `target` is execution `key`, NULL = none. On failure nothing is left to drop. */
int32_t plan_unit(memory_store *s, const store_unit *u, memory_execution *target, plan *out);
/* Whether an item of that urgency makes the execution open. */
bool plan_wakes(const execution_row *row, uint8_t urgency);
/* When a suspended execution in that state wakes by itself; 0 = never. */
int64_t plan_wake_ms(uint8_t state, bool paused, int64_t wake_ms, int64_t deadline_ms);
/* The place of that name among the settings, or where it would be. */
size_t plan_setting_place(const memory_store *s, const char *name, bool *out_found);

/* ---- read.c, list.c, queue.c: the slots of store_ops ----------------------------------------- */

#define PAGE_ROWS 100   /* where the caller sets no limit */
#define PAGE_MOST 10000 /* rows a page has at most, and looks at */

bool execution_copy(const execution_row *row, bool payloads, execution_row *out);

int32_t memory_load_definitions(void *self, uint64_t definition, bool with_texts,
                                definition_page *out, orch_error **err);
int32_t memory_load_execution(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err);
int32_t memory_list_executions(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err);
int32_t memory_load_checkpoints(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err);
int32_t memory_load_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err);
int32_t memory_load_controls(void *self, uint64_t key, uint64_t after_seq, uint32_t limit,
                             control_page *out, orch_error **err);
int32_t memory_load_runs(void *self, uint64_t key, run_page *out, orch_error **err);
int32_t memory_load_settings(void *self, const char *prefix, setting_page *out, orch_error **err);
int32_t memory_load_expired(void *self, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                            uint64_t *out_keys, uint32_t *out_count, orch_error **err);
int32_t memory_load_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err);
int32_t memory_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err);

#endif
