/* The store port: what must survive. Adapters: store/memory, store/sqlite.
 *
 * Writing is asynchronous. The owner (one loop thread) submits units; the adapter gathers them into batches,
 * commits each batch atomically and durably and hands the units back through reap(), each with a result of its
 * own. A unit is guarded operations: if one of its guards does not hold, none of its operations takes place and its
 * neighbours in the batch are not touched. Units are applied in the order of submission.
 *
 * Ambiguity is the adapter's to resolve: a commit whose outcome is not known (failed fsync, lost connection) is
 * never reported and never simply tried again; the store is reopened and the batch number, written inside the
 * transaction, says what happened. Only then the units come back or are applied anew. A full disk is waited out:
 * units stay queued, except that units with `accept` fail with RESOURCE_EXHAUSTED.
 * What an adapter cannot wait out it may refuse with RESOURCE_EXHAUSTED or UNAVAILABLE: nothing of the unit took place,
 * and it may be submitted again as it is.
 *
 * Reading: `load_*` functions may be called from any thread at any time beside the writer, may block on I/O, see
 * some committed state that holds at least all that was reaped before the call, and return copies. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/log.h"
#include "workflow/checkpoint.h"

/* ---- identity -------------------------------------------------------------------------------------------- */

/* Every execution has a key: time of acceptance in ms (42 bits), shard (6 bits), sequence (15 bits). Keys rise in the
 * order of acceptance within a shard and are unique for ever. An execution whose caller chose no id has the key's
 * text as its id: 13 characters of Crockford's base 32 in lower case. The shard of a caller's id follows from
 * its hash, so that two orchestrators that accept the same id meet at one owner. */
#define STORE_SHARDS        64
#define STORE_SEQUENCE_BITS 15
#define STORE_SHARD_BITS    6
#define EXECUTION_ID_LEN    13
#define EXECUTION_ID_MAX    128 /* of a caller's id: text_is_name characters and '/' ':' */

uint64_t execution_key_make(int64_t ms, uint32_t shard, uint32_t sequence);
uint32_t execution_key_shard(uint64_t key);
int64_t execution_key_ms(uint64_t key);
uint32_t execution_id_shard(const char *id);
void execution_id_format(uint64_t key, char out[EXECUTION_ID_LEN + 1]);
bool execution_id_parse(const char *id,
                        uint64_t *key); /* false: not of the made form, so a caller's id */
/* 0, or INVALID_ARGUMENT for an id that a caller may not choose (empty, long, other characters, the made form). */
int32_t execution_id_check(const char *id, orch_error **err);
/* The same for one that an execution may have, whoever chose it: a child's may hold '~'. */
int32_t execution_id_check_any(const char *id, orch_error **err);

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* Stored numbers: never change one. Running and pending are one stored state: which of them it is lives in memory. */
enum execution_state {
    EXECUTION_OPEN = 1,
    EXECUTION_SUSPENDED = 2,
    EXECUTION_SUCCEEDED = 3, /* from here on: an end */
    EXECUTION_FAILED = 4,
    EXECUTION_CANCELLED = 5,
    EXECUTION_TIMED_OUT = 6,
};
#define EXECUTION_STATE_IS_END(state) ((state) >= EXECUTION_SUCCEEDED)

#define PRIORITIES       10 /* 0 to 9; higher ones are handed over first */
#define PRIORITY_DEFAULT 5

typedef struct definition_row {
    uint64_t key; /* 1, 2, …; given by the orchestrator */
    char *workflow;
    char *version;
    uint8_t digest[32];
    bytes *text;     /* canonical JSON; NULL where the load leaves it out */
    bytes *metadata; /* the registrant's JSON, or NULL */
    int64_t registered_ms;
} definition_row;

typedef struct execution_row {
    uint64_t key;
    char *id;            /* the caller's; NULL = the key's text */
    uint64_t definition; /* its row's key */
    uint32_t run;        /* 1, 2, … */
    uint8_t state;       /* enum execution_state */
    bool paused;
    uint8_t priority;
    bool abandoned;  /* it goes on when its parent has ended, or is cancelled */
    bool by_task;    /* a task of the step started it: its parent is not told of its end */
    uint32_t depth;  /* parents above it */
    uint64_t parent; /* key of the parent; 0 = none. The rest of it says whose child it is */
    uint32_t parent_run, parent_step, parent_index, parent_attempt;
    char *limit_key; /* concurrency and rate limits of that name hold for it; NULL = none */
    char *affinity;  /* what balancers hash; NULL = the workflow's id */
    /* JSON object of texts, numbers and booleans: the caller's, for lists; NULL = {} */
    bytes *attributes;
    int64_t accepted_ms;
    int64_t deadline_ms; /* 0 = none */
    /* SUSPENDED: when to wake it (also of a delayed start); 0 = only its inbox can */
    int64_t wake_ms;
    /* SUSPENDED: the inbox_seq from which on a COUNTED item wakes it; WAKE_NEVER: of items only a
     * FORCED one does (a delayed start) */
    uint64_t wake_inbox;
    int64_t ended_ms;   /* 0 = not ended */
    uint64_t inbox_seq; /* of the newest inbox item that was put; 0 = none yet */
    bytes *input;       /* JSON, NULL = {} */
    bytes *output;      /* JSON, NULL = null */
    bytes *error;       /* JSON {"code","message",…}, NULL = none */
} execution_row;

enum inbox_kind {
    INBOX_CANCEL = 1,
    INBOX_SIGNAL = 2,
    INBOX_CHILD_ENDED = 3,
    INBOX_WAKE = 4, /* says nothing: something about the execution itself has changed (pause, …) */
};

/* Whether an item wakes a suspended execution, that is makes it OPEN in the same transaction. */
enum inbox_urgency {
    INBOX_COUNTED, /* if its seq is at least the row's wake_inbox: children that succeeded */
    INBOX_URGENT,  /* unless wake_inbox is WAKE_NEVER: signals, children that did not */
    INBOX_FORCED,  /* always: cancels */
};
#define WAKE_NEVER INT64_MAX

/* As inbox_note of the transport. */
typedef struct inbox_item {
    uint64_t seq; /* 1, 2, … within the execution */
    uint8_t kind; /* enum inbox_kind */
    uint8_t state;
    uint32_t step, index, attempt;
    int64_t at_ms;
    char *name;
    bytes *correlation;
    bytes *payload; /* JSON, NULL = null */
} inbox_item;

#define CONTROLS_KEPT 10000

/* What was done to an execution from outside, and by whom: cancel, pause, retry, … */
typedef struct control_row {
    uint64_t seq;       /* 1, 2, … within the execution */
    uint64_t execution; /* 0: of a workflow or of everything */
    int64_t at_ms;
    /* "cancel", "terminate", "pause", "resume", "retry", "rerun", "fork", "signal",
     * "set_priority", "set_limit" */
    char *action;
    char *who;    /* NULL = not said */
    char *why;    /* NULL = not said */
    char *detail; /* of what: a step, a version, a workflow; NULL */
} control_row;

/* How an earlier run of an execution ended, once a retry or rerun has started the next. */
typedef struct run_row {
    uint32_t run;
    uint8_t state;
    int64_t ended_ms;
    bytes *output, *error;
} run_row;

/* Whether a start with a key that was used before does something. */
enum start_key_policy {
    START_KEY_RETURN, /* the existing execution is the answer */
    START_KEY_REFUSE, /* ALREADY_EXISTS */
    START_KEY_ANEW,   /* if the existing one has ended, else as RETURN */
};

typedef struct start_key {
    char *workflow; /* keys of different workflows do not meet */
    char *key;
    uint8_t policy; /* enum start_key_policy */
    /* from then on as if it had not been used; 0 = while its execution is in the store */
    int64_t expires_ms;
    int64_t now_ms;
    uint64_t existing; /* out: the execution that has it; 0 = this one */
} start_key;

/* A named value of the orchestrator's own that must survive: limits, what is paused. */
typedef struct setting_row {
    char *name;   /* "limit/KEY", "pause/WORKFLOW", "pause/" (everything) */
    bytes *value; /* JSON; NULL deletes it */
} setting_row;

void definition_row_clear(definition_row *row);
void execution_row_clear(execution_row *row);
void inbox_item_clear(inbox_item *item);
void control_row_clear(control_row *row);
void run_row_clear(run_row *row);
void setting_row_clear(setting_row *row);

/* ---- writing --------------------------------------------------------------------------------------------- */

/* What changes of an execution's row. */
typedef struct execution_update {
    uint8_t state;
    int64_t deadline_ms; /* set with a new run (store_unit.run above the row's); else not read */
    int64_t ended_ms;    /* set with an end */
    int64_t wake_ms;     /* set with SUSPENDED */
    uint64_t wake_inbox; /* set with SUSPENDED */
    bytes *output;
    bytes *error;
} execution_update;

/* What changes of it beside its state. */
typedef struct execution_setting {
    int8_t paused;   /* 0, 1; -1 = as it is */
    int8_t priority; /* 0 to 9; -1 = as it is */
} execution_setting;

/* What an execution that is accepted has behind it: all of its runs, and what was done to it. An import. Its key had better
 * be of the time of its acceptance: lists by time look at ranges of keys, as wide as the two differ in any execution. */
typedef struct past_run {
    uint32_t run;
    checkpoint *checkpoints; /* in order of seq */
    uint32_t checkpoint_count;
    const run_row *end; /* NULL of the newest run, whose end the row has */
} past_run;

typedef struct store_past {
    past_run *runs; /* 1, 2, … up to the row's */
    uint32_t run_count;
    control_row *controls; /* their seqs are given by the adapter */
    uint32_t control_count;
} store_past;

/* Owned by the submitter, borrowed by the adapter from submit until reap gives it back; so are the things it points
 * to (an adapter that keeps bytes takes references). Operations run in the order of the members; each is optional. */
typedef struct store_unit {
    /* the adapter's while it has the unit; then the list that reap returns */
    struct store_unit *next;

    /* Guards, checked inside the transaction. */
    uint32_t shard; /* whose lease must be ours ... */
    uint64_t term;  /* ... with this term: else ABORTED ("stale term") */
    /* the execution `key` exists and has no end, and an `update` of it is not of a run before the
     * one that it is in (0 = of any): else FAILED_PRECONDITION. With `accept` it may be another
     * one: the parent of what is accepted */
    bool must_be_open;
    bool check_inbox; /* its inbox_seq is `inbox_seen`: else ABORTED */
    uint64_t inbox_seen;
    /* the execution `key` exists (else NOT_FOUND) and has ended with run `run` - 1 (else
     * FAILED_PRECONDITION) */
    bool must_have_ended;
    /* with inbox_put: the inbox holds at most so many items of its kind, this one included, else
     * RESOURCE_EXHAUSTED; 0 = any number */
    uint32_t inbox_limit;
    /* the checkpoint of this seq of `run` is there, else OUT_OF_RANGE; 0 = not looked at. For a
     * unit that is sent before the results of those before it are known: a history has no gap */
    uint64_t after_seq;

    /* Operations. */
    definition_row *definition; /* insert; ALREADY_EXISTS if (workflow, version) or key is there */
    execution_row *accept;      /* insert; ALREADY_EXISTS if the id or key is there */
    store_past *past;           /* with accept, of an execution that has ended */
    /* with accept: if the key is taken nothing takes place, start_key.existing is set, and the
     * result is ALREADY_EXISTS (with existing 0: for the id or key of `accept`) */
    start_key *start_key;
    /* the execution that the rest is about; it must exist (else NOT_FOUND, except that a bare
     * append of checkpoints without must_be_open may not look) */
    uint64_t key;
    uint32_t run;
    /* append; one that is there already (same run and seq) is passed over. One with `inbox`
     * deletes that item */
    checkpoint *checkpoints;
    uint32_t checkpoint_count;
    inbox_item *inbox_put; /* append one; the adapter gives it its seq (row.inbox_seq + 1) */
    /* enum inbox_urgency: whether it makes a SUSPENDED execution OPEN, without wake_ms and
     * wake_inbox. An `update` in the same unit comes after it */
    uint8_t inbox_urgency;
    bool inbox_woke;         /* out: it was SUSPENDED and became OPEN */
    uint64_t inbox_consumed; /* delete items with seq <= this; 0 = none */
    /* also raises the row's run to `run` where that is higher (a retry): then the end that the
     * row holds is kept as a run_row */
    execution_update *update;
    execution_setting *setting;
    /* Append `notify` to the inbox of another execution, if that has not ended and is in that run; else that is passed over
     * without a word: notify->seq is 0 then. notify_woke: it was SUSPENDED and is OPEN now. */
    inbox_item *notify;
    uint64_t notify_key;
    uint32_t notify_run;
    uint8_t notify_urgency;
    bool notify_woke; /* out */
    /* append; the adapter gives it its seq. control->execution is `key`, or 0 */
    control_row *control;
    setting_row *put_setting;
    /* the execution `key` and all that belongs to it is deleted, if it has ended (else
     * FAILED_PRECONDITION) */
    bool purge;

    int32_t result;                     /* out: 0 or a negative code */
    void *owner;                        /* the submitter's */
    void (*done)(struct store_unit *u); /* the submitter's; the adapter does not call it */
} store_unit;

/* ---- reading --------------------------------------------------------------------------------------------- */

typedef struct execution_filter { /* zero members do not filter */
    uint64_t after_key;           /* page on from here (exclusive), in the order of the listing */
    bool ascending;  /* oldest first; else newest first (after_key 0 = from the newest) */
    uint32_t states; /* bit n: enum execution_state n */
    const char *workflow;
    const char *version;
    int64_t accepted_from_ms, accepted_to_ms; /* half open */
    /* half open; with either, those that have not ended do not pass */
    int64_t ended_from_ms, ended_to_ms;
    uint64_t parent;       /* children of that one */
    const char *start_key; /* started with that key; with workflow */
    const char *limit_key;
    const char *attribute, *attribute_value; /* that attribute has that value; JSON text */
    int8_t paused;                           /* 1: only paused ones; 2: only others */
    uint32_t limit;                          /* rows; 0 = 100 */
    bool payloads;                           /* with input, output, error */
} execution_filter;

typedef struct execution_page {
    execution_row *rows; /* ends by execution_page_clear */
    size_t count;
    /* after_key of the next page; 0 = that was the last. A page may be short and have a next: the
     * adapter bounds the rows it looks at */
    uint64_t next_after;
} execution_page;

typedef struct checkpoint_page {
    checkpoint *rows;
    size_t count;
} checkpoint_page;

typedef struct inbox_page {
    inbox_item *rows;
    size_t count;
} inbox_page;

typedef struct control_page {
    control_row *rows;
    size_t count;
} control_page;

typedef struct run_page {
    run_row *rows;
    size_t count;
} run_page;

typedef struct setting_page {
    setting_row *rows;
    size_t count;
} setting_page;

typedef struct definition_page {
    definition_row *rows;
    size_t count;
} definition_page;

void execution_page_clear(execution_page *p);
void checkpoint_page_clear(checkpoint_page *p);
void inbox_page_clear(inbox_page *p);
void definition_page_clear(definition_page *p);
void control_page_clear(control_page *p);
void run_page_clear(run_page *p);
void setting_page_clear(setting_page *p);

/* ---- the port -------------------------------------------------------------------------------------------- */

typedef struct store_stats {
    uint64_t batches, units, rows; /* committed */
    uint64_t queued;               /* units submitted and not reaped */
    uint64_t bytes_written; /* by the adapter, as far as it knows (WAL and database); 0 = unknown */
    bool disk_full;         /* waiting for space */
} store_stats;

typedef struct store_ops {
    uint32_t size;
    const char *name;

    /* Queue a unit. Owner's thread; does not block; never calls back. */
    void (*submit)(void *self, store_unit *u);
    /* Hand what was submitted since the last flush to the writer. Owner's thread, once per loop turn. An adapter
     * without a thread of its own finishes the units here and does not call `wake` for it: reap after flush. */
    void (*flush)(void *self);
    /* Units that are finished, oldest first, linked by next; NULL if none. Owner's thread. */
    store_unit *(*reap)(void *self);
    /* Highest execution key and definition key ever given; batch number. Any thread. */
    int32_t (*marks)(void *self, uint64_t *out_execution_key, uint64_t *out_definition_key,
                     orch_error **err);
    /* Take all shards for `owner`: raises and commits the term. Blocking; before the first submit. */
    int32_t (*lease)(void *self, const char *owner, int64_t now_ms, uint64_t *out_term,
                     orch_error **err);
    /* Any thread. `definition` 0 = all. `with_texts`: each with its text. */
    int32_t (*load_definitions)(void *self, uint64_t definition, bool with_texts,
                                definition_page *out, orch_error **err);
    /* By key, or by id where id is not NULL. NOT_FOUND. */
    int32_t (*load_execution)(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err);
    int32_t (*list_executions)(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err);
    /* The history of a run in order of seq, from after_seq (exclusive), at most limit rows (0 = all). */
    int32_t (*load_checkpoints)(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err);
    int32_t (*load_inbox)(void *self, uint64_t key, inbox_page *out, orch_error **err);
    /* Executions of a priority that can run whatever the time is: OPEN and not paused; oldest first. `limit_key` NULL = all. */
    int32_t (*load_runnable)(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err);
    /* At most `limit` of the suspended executions whose time has come: wake_ms is at most wake_by_ms, or, of paused ones,
     * which wake for nothing else, deadline_ms is. More may be left. */
    int32_t (*load_due)(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err);
    /* The earliest such time of a suspended execution; INT64_MAX = none. */
    int32_t (*next_wake)(void *self, int64_t *out_ms, orch_error **err);
    /* What was done to an execution (0: to workflows and everything), in order of seq, from after_seq (exclusive), at most
     * limit rows (0 = all). The newest CONTROLS_KEPT of each are kept. */
    int32_t (*load_controls)(void *self, uint64_t key, uint64_t after_seq, uint32_t limit,
                             control_page *out, orch_error **err);
    /* How its earlier runs ended, oldest first. */
    int32_t (*load_runs)(void *self, uint64_t key, run_page *out, orch_error **err);
    /* Settings whose name begins with `prefix`, in order of their names. */
    int32_t (*load_settings)(void *self, const char *prefix, setting_page *out, orch_error **err);
    /* Ended executions for purging, oldest end first: keys of those that ended before `ended_before_ms`, and of those beyond the
     * `keep` newest (0 = all are kept); not a child whose parent is still open. At most `limit`, into out_keys; the adapter bounds
     * the rows it looks at, and goes on behind them in the next call: fewer than `limit` does not mean that there are no more. */
    int32_t (*load_expired)(void *self, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                            uint64_t *out_keys, uint32_t *out_count, orch_error **err);
    /* How many executions are not ended. */
    int32_t (*count_open)(void *self, uint64_t *out, orch_error **err);
    void (*get_stats)(void *self, store_stats *out); /* any thread */
    /* A consistent copy while it runs. Any thread; blocks. UNIMPLEMENTED for memory. */
    int32_t (*backup)(void *self, const char *path, orch_error **err);
    /* Commit what is queued, give it to reap, release the lease, end threads. Blocks at most timeout_ms; after it only reap, reads and
     * free may be called. DEADLINE_EXCEEDED if something could not be committed (a full disk). */
    int32_t (*stop)(void *self, int32_t timeout_ms, orch_error **err);
    void (*free)(void *self);
    /* After stop: end threads, whatever they are at, and give what is not committed to reap, with CANCELLED; a unit whose commit was under
     * way may be stored all the same. Owner's thread; blocks for what the disk is at. NULL: stop leaves nothing. */
    void (*give_up)(void *self);
} store_ops;

typedef struct store {
    const store_ops *ops;
    void *self;
} store;

typedef struct store_options {
    const char *url;         /* "memory:", "sqlite:PATH" with ?synchronous=full|normal|off */
    const char *synchronous; /* overrides the url's; NULL = its, else full */
    void (*wake)(void *ctx); /* called on any thread when reap has something; must not block */
    void *wake_ctx;
    logger *log;
} store_options;

/* Open by URL. Errors: INVALID_ARGUMENT (URL; the message lists what is allowed), UNAVAILABLE (another orchestrator has the file;
 * names it), FAILED_PRECONDITION (schema is newer than this library), DATA_LOSS (not a database of ours, damaged), … */
int32_t store_open(const store_options *o, store *out, orch_error **err);

#endif
