/* The inside of the orchestrator. */
#ifndef ORCHESTRATOR_ORCHESTRATOR_IMPL_H
#define ORCHESTRATOR_ORCHESTRATOR_IMPL_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mutation.h"
#include "orchestrator/orchestrator.h"

typedef struct live live;
typedef struct unit_job unit_job;
typedef struct limit_entry limit_entry;

#define READ_RETRY_MS 1000 /* after a read that failed */

/* ---- registry.c: workflows and their versions ------------------------------------------------------------ */

/* A registered version. Stays for the orchestrator's life. */
typedef struct version_entry {
    UT_hash_handle hh_key;
    uint64_t key;
    digest digest;
    char *workflow, *version;
    semver semver;
    definition *definition; /* NULL until somebody needs it */
    bool stored;            /* false while its registration is on its way */
    bool deleted;           /* only those see it that have it already */
    bool loading;
    list registering; /* register_requests that wait for it to be stored */
    list needing;     /* lives whose engine waits for it, by live.link */
    list starting;    /* start_requests that wait for it to be loaded */
    list unread;      /* in orchestrator.unread: it could not be read ... */
    int64_t retry_ms; /* ... and is not, for those of `needing`, before this */
    uint32_t refusals;
} version_entry;

typedef struct workflow_entry {
    UT_hash_handle hh;
    version_entry **versions; /* by precedence, lowest first */
    size_t count, capacity;
    char id[];
} workflow_entry;

int32_t registry_load(orchestrator *o, orch_error **err);
void registry_free(orchestrator *o);
/* One that is registered and not deleted. NOT_FOUND. */
int32_t registry_find(orchestrator *o, const char *workflow, const char *version,
                      version_entry **out, orch_error **err);
version_entry *registry_by_key(orchestrator *o, uint64_t key); /* that is stored; NULL = none */
/* The newest stored version in the range (NULL = any) that is not deleted. NOT_FOUND. */
int32_t registry_resolve(orchestrator *o, const char *workflow, const semver_range *range,
                         version_entry **out, orch_error **err);

/* ---- engines.c ------------------------------------------------------------------------------------------- */

typedef struct engine_entry {
    char *name, *endpoint;
    transport transport;
    uint64_t instance;
    int64_t retry_ms; /* refused or unreachable: not before this; 0 = well */
    int64_t
        rest_ms; /* how long the last rest was after it could not be reached: each in a row is longer */
} engine_entry;

#define ENGINE_RETRY_MS     200
#define ENGINE_RETRY_MAX_MS 5000

int32_t engines_pick(orchestrator *o, const live *l); /* a place, or -1 */
void engines_rest(orchestrator *o, int32_t place);    /* leave it alone for a while */
void engines_lost(orchestrator *o,
                  int32_t place); /* it cannot be reached: for a longer while each time */
void engines_well(orchestrator *o, int32_t place); /* it takes executions */
int64_t engines_deadline(const orchestrator *o);
void engines_wake(orchestrator *o);
void engines_noted(orchestrator *o); /* those of other processes can be used now */
bool engines_are_remote(const orchestrator *o, int32_t place);
void engines_free(orchestrator *o);

/* ---- child.c: parents and children ----------------------------------------------------------------------- */

/* Whose child an execution is. */
typedef struct parent_link {
    uint64_t key;
    uint32_t run, step, index, attempt;
    uint32_t depth; /* of the child: parents above it */
    bool abandoned; /* it goes on when its parent has ended, or is cancelled */
    bool by_task;   /* a task of the step started it: its parent is not told of its end */
    char id[];      /* of the parent; "" = not known */
} parent_link;

parent_link *parent_link_new(const char *id); /* NULL if there is no memory */
parent_link *parent_link_named(const parent_link *from, const char *id); /* a copy with that id */
void parent_link_free(parent_link *p);
/* r->parent, of which the step is known, is a child of l: the rest of the link. FAILED_PRECONDITION: too deep. */
int32_t child_join(start_request *r, const live *l, orch_error **err);
/* Whether what was asked for may still be started. */
bool child_is_wanted(const orchestrator *o, const parent_link *p);
/* What a unit that ends a child says to its parent. The item lives as long as the unit. */
void child_notice(const live *l, const execution_update *end, inbox_item *item, store_unit *u);
void child_notice_of_row(const execution_row *row, const execution_update *end, inbox_item *item,
                         store_unit *u);
void child_told(orchestrator *o, const store_unit *u); /* it is stored */
/* START_CHILD and CANCEL_CHILD of l's engine. They take the message's child over. */
void child_start_asked(live *l, message *m);
void child_cancel_asked(live *l, message *m);
/* A control of our own; `told` (NULL = not wanted) comes later. False if there is no memory. */
bool child_tell(orchestrator *o, const char *id, enum control_action action, const char *why,
                void (*told)(void *ctx, int32_t code), void *ctx);

/* ---- children.c: what an execution leaves behind --------------------------------------------------------- */

/* A note that the children of an execution are to be ended. Lives as long as the unit that it is in. */
typedef struct children_mark {
    setting_row row;
    char name[32];
} children_mark;

/* In the unit that ends the run u->run of the execution u->key. False if there is no memory. */
bool children_mark_set(children_mark *m, store_unit *u, enum control_action action);
void children_mark_clear(children_mark *m);
/* That is stored: end what is open of that run and those before it, but for what was abandoned, and delete the note. */
void children_end(orchestrator *o, uint64_t key, uint32_t run, enum control_action action,
                  const char *why);
/* Of one that is cancelled: cancel what its tasks have started. The other children are for its engine to cancel. */
void children_cancel(live *l);
/* l was read for a hand-over, with its inbox: if it is cancelled, the same. */
void children_loaded(live *l, const inbox_page *inbox);
int32_t children_load(orchestrator *o, orch_error **err); /* notes that are left from before */
void children_end_left(orchestrator *o);                  /* act on them */
void children_end_again(orchestrator *o);                 /* what was refused, if it is time */
int64_t children_deadline(const orchestrator *o);
void children_forget(orchestrator *o);

/* ---- live.c: executions in memory ------------------------------------------------------------------------ */

enum live_phase {
    PHASE_ACCEPTING, /* on its way into the store for the first time */
    PHASE_PENDING,   /* in o->pending: waits for an engine */
    PHASE_LOADING,   /* its history is being read; an engine's slot is kept for it */
    PHASE_HANDED,    /* an engine has it */
    PHASE_DETACHED,  /* the channel broke; an attachment is being tried */
    PHASE_SETTLING, /* its engine is gone; what that reported is still on its way into the store, or the engine
                      * may not know yet (doubt.c) */
    PHASE_ENDING, /* its end or its suspension is on its way into the store */
};

struct live {
    UT_hash_handle hh;
    list link;       /* in o->pending, in o->doubtful, or in version_entry.needing */
    heap_node timer; /* of the deadline while pending, of the grace while detached */
    orchestrator *o;
    uint64_t key;
    char *id; /* NULL: the key's text */
    version_entry *version;
    uint8_t phase;
    bool fresh;      /* no engine had it: there is no history */
    bool from_store; /* made of a row, which may have been old */
    uint32_t run;
    int64_t accepted_ms, deadline_ms;
    bytes *input;
    int32_t engine; /* place in o->engines, or -1 */
    channel *channel;
    epoch epoch;
    int64_t attach_until_ms;
    uint32_t attaches;     /* so often an attachment was tried */
    uint64_t instance;     /* of the engine of another process that may start steps; 0 = none */
    int64_t lost_ms;       /* DETACHED: since when, by the steady clock */
    int64_t doubt_ms;      /* nobody gets it before then, by that; 0 = at once */
    uint64_t received_seq; /* came from the engine */
    uint64_t stored_seq;   /* of those, stored */
    uint64_t inbox_seq;    /* of the newest item that is stored */
    uint64_t told_seq;     /* of those, the engine was told */
    bool reading_inbox;
    bool cancelled; /* a cancel is among them */
    bool paused;    /* itself; see live_is_paused */
    /* What was told since it is in memory: its row may be older. */
    bool pause_told, priority_told;
    bool blocked; /* PENDING, but in limit->blocked */
    bool placed;  /* it takes one of limit's places */
    uint8_t priority;
    limit_entry *limit;      /* NULL = none */
    char *affinity;          /* NULL = the workflow's id */
    parent_link *parent;     /* NULL = none */
    bool may_have_children;  /* that no engine knows of: those of its tasks */
    uint32_t children_asked; /* to be started or cancelled: not decided yet */
    uint32_t
        refusals; /* of children, on this channel: a suspension that has not heard all of them is void */
    message *suspension; /* waits until that is decided */
    uint32_t units;      /* of it in the store, or kept to go there again */
    uint32_t kept;       /* of those, how many are kept */
};

live *live_new(orchestrator *o, uint64_t key); /* NULL if there is no memory */
live *live_find(const orchestrator *o, uint64_t key);
/* From a stored row; takes what it needs out of it. */
live *live_from_row(orchestrator *o, execution_row *row);
void live_free(live *l);
/* Something of it happened, for those who listen. `step` may be NULL. */
void live_tell(const live *l, int32_t severity, const char *kind, const char *step,
               const char *text);
void live_set_input(live *l, bytes *input); /* takes the reference */
bool live_has_unit(const live *l);          /* that decides what becomes of it */
const char *live_id(const live *l, char buffer[EXECUTION_ID_LEN + 1]);
bool live_is_paused(const live *l);
/* Its engine is told of it; what waits for one waits in the store: l may be gone afterwards. */
void live_tell_pause(live *l);
uint64_t live_next_key(orchestrator *o, const char *id);

/* ---- queue.c: what waits for an engine ------------------------------------------------------------------- */

typedef struct queue_level { /* of one priority */
    list pending;            /* oldest first */
    uint64_t behind;         /* what waits in the store only has higher keys */
    uint64_t overflow;       /* the lowest that went there while a page was read */
} queue_level;

void queue_init(orchestrator *o);
void queue_add(live *l, bool first);
void queue_remove(live *l);
live *queue_first(orchestrator *o); /* of the highest priority; NULL if none waits in memory */
bool queue_has_room(const orchestrator *o);
bool queue_takes_new(const orchestrator *o, const live *l); /* else it waits in the store */
/* Into memory, from its row. `wanted`: whatever holds it up, since there is something to tell it. */
void queue_bring_in(orchestrator *o, execution_row *row, bool wanted);
void queue_bring(orchestrator *o, uint64_t key); /* the same, reading the row */
/* This one waits in the store only; of any priority, if it is not known. */
void queue_overflow(orchestrator *o, uint8_t priority, uint64_t key);
void queue_overflow_any(orchestrator *o, uint64_t key);
void queue_later(orchestrator *o, uint64_t key); /* likewise, and there is no memory for it now */
void queue_read(orchestrator *o);                /* the next page, if there is room for it */

/* ---- wake.c: suspended executions -------------------------------------------------------------------------- */

void wake_look(orchestrator *o);                /* those whose time has come */
void wake_at(orchestrator *o, int64_t wake_ms); /* one wakes then; 0 = no time of its own */

/* ---- limits.c: how many executions of a key, and how fast --------------------------------------------------- */

typedef struct limit_entry {
    UT_hash_handle hh;
    limit limit;
    uint32_t users;  /* lives that it holds for */
    uint32_t placed; /* of those, with an engine */
    list blocked;    /* lives, oldest first */
    uint32_t blocked_count;
    bool in_store; /* more of it waits in the store only */
    bool reading;
    bool missed;          /* some went there since that began */
    int64_t tokens_milli; /* hand-overs that the rate allows now, × 1000 */
    int64_t filled_ms;    /* as of then */
    heap_node timer;      /* of the next one */
    char key[];
} limit_entry;

bool limit_attach(live *l, const char *key); /* NULL: none. False if there is no memory */
void limit_detach(live *l);
bool limit_waits_in_store(const limit_entry *e); /* NULL: false */
/* One more of it does: what is being read may have been passed over before. */
void limit_left_in_store(limit_entry *e);
bool limit_allows(live *l);  /* that it is handed over now */
void limit_take(live *l);    /* it is handed over */
void limit_release(live *l); /* it is no longer with an engine */
void limit_block(live *l);   /* it waits for a place; l may be gone afterwards */
void limit_unblock(live *l); /* it is taken out of those that wait */
int32_t limit_set(orchestrator *o, const char *key, const limit *limit, orch_error **err);
void limits_on_timer(orchestrator *o);
int64_t limits_deadline(const orchestrator *o);
void limits_free(orchestrator *o);

/* ---- settings.c ---------------------------------------------------------------------------------------------- */

typedef struct paused_entry {
    UT_hash_handle hh;
    char workflow[];
} paused_entry;

int32_t settings_load(orchestrator *o, orch_error **err);
void settings_answer_all(orchestrator *o);
void imports_answer_all(orchestrator *o); /* import.c */
bool settings_paused(const orchestrator *o, const char *workflow);
void settings_free(orchestrator *o);

/* ---- units.c: what goes into the store ------------------------------------------------------------------- */

/* Embedded first in what a unit needs to keep until it is stored. */
struct unit_job {
    store_unit unit; /* first */
    orchestrator *o;
    void (*done)(unit_job *j); /* owns j */
    uint32_t refusals;
    bool patient;
};

/* How soon after a refusal of the store it is asked again: the pause doubles from one to the other. */
#define REFUSED_PAUSE_MS      100
#define REFUSED_PAUSE_MOST_MS 5000
bool refusal_passes(int32_t code);           /* else asking again does not help */
int64_t refusal_pause_ms(uint32_t refusals); /* so far, and at least one */

void unit_init(unit_job *j, orchestrator *o, uint64_t key, void (*done)(unit_job *j));
void unit_submit(unit_job *j);
/* A unit of l. It goes again for as long as the store refuses it for a reason that passes: `done` hears of that only when
 * stopping, or when l goes. Whatever goes after an unknown result says so by unit.after_seq. */
void unit_submit_patiently(unit_job *j, live *l);
void units_reap(orchestrator *o);
void units_again(orchestrator *o); /* those that were kept, if it is time */
int64_t units_deadline(const orchestrator *o);
void units_drop(live *l); /* those of it that are kept; l is not in the table any more */

/* ---- pool reads of other files: reads.c ------------------------------------------------------------------- */

/* Embedded first in what a read needs and brings. */
typedef struct pool_read {
    work work;
    orchestrator *o;
    void (*read)(struct pool_read *r); /* on the pool: store and parsers only */
    void (*back)(struct pool_read *r); /* on the loop: owns r */
    int32_t code;
    orch_error *error;
} pool_read;
bool reads_submit(orchestrator *o, pool_read *r); /* false: it could not be queued */

/* ---- inbox.c: what executions are told --------------------------------------------------------------------- */

/* An item is stored: whoever has the execution is to hear of it. `woke`: it was suspended and is open now. What the item
 * owns may be taken over. */
void inbox_stored(orchestrator *o, uint64_t key, inbox_item *item, bool woke);
void inbox_catch_up(live *l);               /* what its engine was not told */
inbox_note inbox_note_of(inbox_item *item); /* takes over what the item owns */

/* ---- control.c, renew.c, retention.c ---------------------------------------------------------------------- */

void controls_answer_all(orchestrator *o);
const char *control_name(enum control_action a);
/* What, who and why for the record; borrows all of it. */
control_row control_record(const orchestrator *o, const char *action, char *who, char *why,
                           const char *detail);
int32_t control_not_open(const execution_row *row, control_request *r);
void renew(orchestrator *o, execution_row *row, control_request *r); /* takes the row over */
void retention_look(orchestrator *o);
int64_t retention_deadline(const orchestrator *o);

/* ---- accept.c, ends.c, waiters.c -------------------------------------------------------------------------- */

void accept_answer_all(orchestrator *o);
void accept_definition_loaded(orchestrator *o, version_entry *v, int32_t code,
                              const orch_error *error);
void registry_answer_all(orchestrator *o);

/* End an execution that no engine has. `error` is JSON, taken over; NULL: there was no memory for it. */
void end_now(live *l, enum execution_state state, bytes *error);
/* It is stored: tell who waits, and let go of it. */
void end_reached(live *l, enum execution_state state, int64_t ended_ms, bytes *output,
                 bytes *error);
/* Let go of it without recording an end: it has one, or stays open for whoever opens the store next. Who waits is told of
 * the one that is stored, or that we stop. */
void end_let_go(live *l);
/* And look for it in the store's queue: what is in memory of it was old. */
void end_look_again(live *l);
bytes *end_error(int32_t code, const char *message);

void waiters_add(orchestrator *o, uint64_t key, end_waiter *w);
bool waiters_any(const orchestrator *o, uint64_t key);
void waiters_look(orchestrator *o, uint64_t key); /* whether the store says that it has ended */
void waiters_tell(orchestrator *o, uint64_t key, int32_t code, outcome *out);
void waiters_tell_all(orchestrator *o, int32_t code);
void waiters_give_up(
    orchestrator *o); /* stopping: CANCELLED to all whose answer is not on its way into the store */

/* ---- dispatch.c, report.c -------------------------------------------------------------------------------- */

bool dispatch_pending(orchestrator *o, uint32_t budget); /* true if there is more to do now */
void dispatch_again(live *l);                            /* away from its engine, into the queue */
void dispatch_later(live *l); /* likewise, for want of memory here or there: the engine rests */
/* `inbox` holds all up to upto_seq that was not consumed. */
void dispatch_loaded(live *l, checkpoint_page *history, inbox_page *inbox, uint64_t upto_seq);
void dispatch_definition(live *l); /* answer NEED_DEFINITION */
void dispatch_cancelled(live *l);  /* it waits for an engine, and no longer has to */
void dispatch_on_timer(live *l);
void dispatch_on_lost(live *l, int32_t code);
void dispatch_refused(live *l, const message *m);
void dispatch_attached(live *l);
void dispatch_settled(live *l);        /* nothing of it is in the store's queue any more */
void report_suspension_void(live *l);  /* the engine has something to do after all */
void report_suspension_again(live *l); /* a child is decided upon */
extern const channel_handler report_handler;
void report_free_spares(orchestrator *o);

/* ---- doubt.c: executions that an engine may not know to have lost ------------------------------------------ */

int32_t doubt_load(orchestrator *o, orch_error **err);
/* Before the first hand-over to an engine of another process it is noted in the store that there are such; engines_noted() follows, or it
 * is to be tried again. */
void doubt_note_remotes(orchestrator *o);
bool doubt_at_opening(const orchestrator *o); /* what was there before is not brought in yet */
void doubt_of_row(live *l);                   /* it is made of one */
void doubt_lost(live *l);                     /* its channel broke */
void doubt_left(
    live *l); /* it is taken from its engine, which may not know, unless l->instance is 0 */
/* Whether it has to wait before it is handed over. If so it does, and comes into the queue by itself. */
bool doubt_holds(live *l);
void doubt_look(orchestrator *o);
int64_t doubt_deadline(const orchestrator *o);

/* ---- reads.c: reads of the store, on the io pool --------------------------------------------------------- */

void reads_history(live *l);
void reads_definition(orchestrator *o, version_entry *v);
void reads_definitions_again(orchestrator *o); /* those that could not be read, if it is time */
int64_t reads_definitions_deadline(const orchestrator *o);
void reads_row(orchestrator *o, uint64_t key, const char *id,
               void (*done)(void *ctx, int32_t code, execution_row *row, orch_error *error),
               void *ctx);

/* ---- the whole ------------------------------------------------------------------------------------------- */

struct orchestrator {
    orchestrator_ports ports;
    orchestrator_options options;
    balancer balancer;
    workflow_entry *workflows;
    version_entry *by_key;
    uint64_t last_definition;
    list unread; /* version_entries, by .unread */
    engine_entry *engines;
    balancer_engine *views; /* the same places */
    size_t engine_count;
    int64_t rested_ms; /* the earliest retry_ms of an engine; INT64_MAX = none */
    live *lives;
    queue_level levels[PRIORITIES];
    uint32_t levels_more;   /* bit n: of priority n some may wait in the store only */
    uint64_t pending_count; /* in these */
    bool reading_page;
    limit_entry *limits;
    uint64_t blocked_count; /* lives that wait for a place of a limit */
    heap limit_timers;
    paused_entry *paused;
    setting_page left; /* of children.c, until the first pump */
    list endings;      /* of children.c: those that are tried again */
    bool all_paused;
    uint64_t input_bytes; /* that lives hold */
    struct waiter_entry *waiters;
    heap timers;                  /* of lives */
    store_unit *kept, **kept_end; /* refused for now: in the order in which they go again ... */
    int64_t kept_until_ms;        /* ... then, if there are any */
    int64_t page_retry_ms;        /* a page could not be read: not before this; 0 = at once */
    int64_t doubt_ms; /* since the opening is in doubt until then, by the steady clock; 0 = not */
    int64_t opened_key_ms; /* of the newest key at the opening */
    list doubtful;         /* lives, by .link */
    int64_t doubts_ms;     /* when to look at these */
    bool remotes_noted, noting_remotes;
    bool reading_due;
    uint32_t waking;  /* updates of woken executions in the store */
    bool wake_failed; /* for one that is due it could not be made, or was refused */
    int64_t wake_ms;  /* of the next suspended one, as far as known; INT64_MAX = none */
    /* Answers that came at once, until the next pump. */
    list answered_starts, answered_controls, answered_settings, answered_imports,
        answered_registers;
    int64_t last_ms; /* of the last key */
    uint32_t sequences[STORE_SHARDS];
    uint64_t epoch_counter;
    uint32_t accepting;
    list children_starting;  /* child_starts that are not decided */
    uint32_t reads;          /* under way */
    unit_job *spare_reports; /* of report.c, linked by unit.next */
    uint32_t spare_report_count;
    bool reading_expired; /* of retention.c */
    uint32_t purging;     /* units in the store */
    int64_t retention_ms; /* of the next look */
    bool stopping;
    bool fenced; /* another orchestrator has the store */
    int64_t now_ms;
    int64_t timer_ms;
    orchestrator_stats stats;
};

/* What is asked comes between two pumps, perhaps after a long rest: it is of its own time. */
static inline void look_at_clock(orchestrator *o)
{
    o->now_ms = o->ports.now_ms(o->ports.ctx);
}

#endif
