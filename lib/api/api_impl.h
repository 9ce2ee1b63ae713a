/* What the public functions share. */
#ifndef API_API_IMPL_H
#define API_API_IMPL_H

#include <orch/orch.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "api/config_impl.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/runtime.h"

#define STOP_MAX_MS 3600000

enum engine_state {
    ENGINE_ALONE,     /* no orchestrator has it: what it is given waits */
    ENGINE_ATTACHING, /* a thread is at it */
    ENGINE_ATTACHED,
    ENGINE_FAILED, /* halfway */
};

struct orch_engine {
    pid_t pid;
    orch_config *config; /* NULL: an orchestrator's own */
    orch_v2 *orch;       /* once attached: for ever, with a reference unless it is its own */
    bool
        is_host; /* `orch` is nothing but a home for it: it listens, and orchestrators are elsewhere */
    local_engine *core;   /* likewise */
    pthread_mutex_t lock; /* guards the rest */
    enum engine_state state;
    list executors; /* that wait for its registration, as does the next */
    orch_secret_fn secret_fn;
    void *secret_data;
    orch_free_fn secret_free;
    orch_log_fn log_fn; /* likewise */
    void *log_data;
    orch_free_fn log_free;
    int32_t log_level;
};

struct orch_launcher {
    orch_v2 *orch;
};

struct orch_subworkflows {
    orch_v2 *orch;
};

#define VERSION_NAMES   64
#define VERSIONS_PARSED 8

/* A registered version, as reads of the store need it. Immutable. */
typedef struct version_names {
    atomic_uint refs;
    uint64_t key;
    const char *workflow, *version; /* behind it in the same block */
} version_names;

typedef struct version_cache {
    pthread_mutex_t lock; /* guards the rest */
    version_names *names[VERSION_NAMES];
    struct {
        uint64_t key;
        definition *definition;
    } parsed[VERSIONS_PARSED];
    uint32_t next_parsed;
} version_cache;

struct orch_v2 {
    atomic_uint refs; /* the host, execution handles, and calls that block */
    pid_t pid;
    runtime *rt;
    logger *log;
    bool has_engine; /* of its own: the next one */
    orch_engine engine;
    orch_launcher launcher;
    orch_subworkflows subworkflows;
    shared_codec *shared_codec; /* NULL = none */
    codec codec;                /* its functions */
    size_t max_input_bytes;
    definition_limits limits;
    version_cache versions;
};

/* ---- v2.c -------------------------------------------------------------------------------------------------- */

orch_v2 *orch_ref(orch_v2 *o);
void orch_unref(orch_v2 *o);

typedef struct v2_options {
    bool no_engine; /* none of its own, nor of the configuration */
    bool no_store;
    int64_t virtual_ms; /* when its time begins, which is virtual then; 0 = the clock's */
} v2_options;

orch_v2 *v2_new(const orch_config *config, const v2_options *options, orch_error **err);
/* A home for an engine that listens: no store, and nothing but that engine. */
orch_v2 *v2_new_host(const orch_config *config, orch_error **err);
/* remotes.c: those of STATIC_ENGINES, where DISCOVERY_TYPE says so. */
int32_t check_transport(const char *name, const orch_transport_ops *ops, orch_error **err);
int32_t remotes_add_static(orch_v2 *o, const orch_config *config, orch_error **err);
bool v2_free(orch_v2 *o); /* false inside a callback, where nothing was freed */
local_engine_options config_local_engine(const orch_config *c); /* borrows its texts */

/* ---- engine.c ---------------------------------------------------------------------------------------------- */

void engine_init_own(orch_engine *e, orch_v2 *o); /* of the runtime's first engine */
void engine_destroy_own(orch_engine *e);
int32_t engine_attach(orch_engine *e, orch_v2 *o, orch_error **err);
int32_t engine_check_process(const orch_engine *e, orch_error **err); /* not a forked child */
bool engine_is_attached(orch_engine *e);

/* ---- check.c: arguments. Each answers INVALID_ARGUMENT with the argument's name ---------------------------- */

int32_t check_not_null(const void *p, const char *name, orch_error **err);
/* The same for a function, which C does not let pass as a `void *`. */
int32_t check_given(bool given, const char *name, orch_error **err);
/* Not NULL, and this is the process that made it: else FAILED_PRECONDITION. */
int32_t check_orch(const orch_v2 *o, orch_error **err);
/* The same, and not after stop. */
int32_t check_running(orch_v2 *o, orch_error **err);
/* Not inside a callback of runtime_dispatch, nor in a log callback or on the loop: FAILED_PRECONDITION. */
int32_t check_may_block(const orch_v2 *o, orch_error **err);
/* The same but for runtime_dispatch: for calls that the loop answers within a turn or a commit. */
int32_t check_may_ask(const orch_v2 *o, orch_error **err);
int32_t check_name(const char *text, const char *name, orch_error **err);
int32_t check_execution_id(const char *id, orch_error **err); /* a caller's or a made one */
/* What a start key, a limit key or an affinity may be: 1 to 256 bytes of UTF-8 without control characters. */
bool is_key_text(const char *text);
int32_t check_key(const char *text, const char *name, orch_error **err);
/* Not NULL, an orchestrator and an id to look for, and somewhere to put what is found; where reads may be made. */
int32_t check_query(const orch_v2 *o, const char *id, const void *out, const char *out_name,
                    orch_error **err);
int32_t check_limit(uint32_t limit, uint32_t max, orch_error **err); /* of a page */
/* JSON of at most max bytes. `object`: nothing else. *out is a copy; NULL where text is NULL, or is {} and object. */
int32_t check_json(const char *text, size_t len, const char *name, size_t max, bool object,
                   bytes **out, orch_error **err);
/* Hand an error over: to *err, or to nobody. Returns code. */
int32_t pass_error(int32_t code, orch_error *error, orch_error **err);

/* ---- options.c --------------------------------------------------------------------------------------------- */

struct orch_start_options {
    char *id;
    char *version;
    int64_t timeout_ms;
    int64_t start_at_ms, delay_ms; /* one of them at most */
    int8_t priority;               /* -1 = not said */
    uint8_t start_key_policy;
    int64_t start_key_ttl_ms;
    char *start_key, *affinity, *limit_key;
    bytes *attributes; /* canonical */
};

/* Put a copy in the place of *field; NULL clears it. RESOURCE_EXHAUSTED: *field is as it was. */
int32_t replace_text(char **field, const char *text);

/* Attributes as they are kept: checked, and canonical, so that what is looked for can be compared as text. */
int32_t attributes_canonical(const char *text, size_t len, bytes **out, orch_error **err);

/* ---- filter.c ---------------------------------------------------------------------------------------------- */

struct orch_filter {
    execution_filter filter; /* its texts are owned by the filter here; its parent is not set */
    char *workflow, *version;
    char *parent, *start_key, *limit_key;
    char *attribute, *attribute_value;
    uint32_t states; /* bit n: ORCH_EXECUTION_ n; 0 = all */
    bool everything; /* it may be used to control all that there is */
};

/* What the store is to be asked; f NULL = all. INVALID_ARGUMENT, NOT_FOUND (the parent). */
int32_t filter_resolve(orch_v2 *o, const orch_filter *f, execution_filter *out, orch_error **err);
bool filter_narrows(const orch_filter *f); /* something may not pass it */

/* ---- payload.c --------------------------------------------------------------------------------------------- */

int32_t payload_encode(orch_v2 *o, bytes **payload, orch_error **err);
/* What cannot be decoded stays as it is, and *status says why, unless it says something already. */
void payload_decode(orch_v2 *o, bytes **payload, int32_t *status);
void payload_decode_error(orch_v2 *o, bytes **error, int32_t *status);

/* ---- response.c -------------------------------------------------------------------------------------------- */

/* Either of an outcome, or of a row with texts of its own. */
struct orch_response {
    outcome *outcome;
    int32_t state;
    char *id;
    version_names *names;
    int64_t accepted_ms, ended_ms;
    bytes *input, *output, *error;
    int32_t codec_status; /* of what could not be decoded, which is left as it is */
    /* Of a row only. */
    bool of_row;
    bool paused;
    uint8_t priority;
    uint32_t run;
    int64_t wake_ms, deadline_ms;
    char *parent, *limit_key;
    bytes *attributes;
};

/* The parent whose id was asked for last: what is listed together often has the same. */
typedef struct parent_name {
    uint64_t key;
    char id[EXECUTION_ID_MAX + 1];
} parent_name;

orch_response *response_new(void); /* NULL if there is no memory */
/* Takes a reference. */
void response_set_outcome(orch_response *r, orch_v2 *o, outcome *end);
/* Takes what it needs out of the row. `running`: what an open one is. `parent`: begins as zeros. */
int32_t response_set_row(orch_response *r, orch_v2 *o, execution_row *row, bool running,
                         parent_name *parent, orch_error **err);
void response_clear(orch_response *r);
int32_t response_state(const execution_row *row, bool running); /* an ORCH_EXECUTION_ number */
/* What accessors of JSON give; out_len may be NULL, and otherwise too. */
const char *text_or(const bytes *b, const char *otherwise, size_t *out_len);

/* ---- versions.c -------------------------------------------------------------------------------------------- */

void versions_init(version_cache *c);
void versions_destroy(version_cache *c);
int32_t versions_names(orch_v2 *o, uint64_t key, version_names **out, orch_error **err);
void version_names_unref(version_names *n);
int32_t versions_definition(orch_v2 *o, uint64_t key, definition **out, orch_error **err);

/* ---- execution.c: handles ---------------------------------------------------------------------------------- */

/* A callback at the end of an execution. */
typedef struct end_watch {
    callback callback;         /* first */
    list link;                 /* in orch_execution.watches */
    orch_execution *execution; /* a reference, and a want */
    orch_execution_fn fn;
    void *user_data;
    orch_free_fn free_fn;
    orch_response *response;           /* made before, so that the end cannot fail */
    void (*free)(struct end_watch *w); /* what is left once it was called */
} end_watch;

struct orch_execution {
    atomic_uint refs; /* the host, the loop while it has the waiter, watches */
    orch_v2 *orch;    /* a reference */
    uint64_t key;
    char *id; /* the caller's; NULL = made[] */
    char made[EXECUTION_ID_LEN + 1];
    char *existing; /* its id, where the start key gave another execution; behind `id` then */
    bool existed;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    uint32_t wants; /* the host's handle, and watches: without any the loop is told to forget it */
    bool waiting;   /* the loop has the waiter */
    bool ended;     /* it has been told of: code and outcome */
    uint32_t watchers; /* threads that wait, and let virtual time pass until then */
    int32_t code;
    outcome *outcome;
    list watches;
    end_waiter waiter;
    command wait, forget; /* commands of its own, so that they need no memory */
};

orch_execution *handle_new(orch_v2 *o,
                           const char *id); /* id NULL: set key later. NULL if there is no memory */
void handle_set_key(orch_execution *e, uint64_t key);
/* It is one that was there before the start: read its id, or, failing that, name it by its key. Before the host has it. */
void handle_set_existing(orch_execution *e);
void handle_unref(orch_execution *e);
/* Call when the end comes, or soon if it has come. FAILED_PRECONDITION if nobody will call: the watch is as before then. */
int32_t handle_watch(orch_execution *e, end_watch *w, orch_error **err);
void handle_want(
    orch_execution *e); /* one more that wants to be told of the end, with a reference */
void handle_unwant(orch_execution *e);

/* ---- start.c ----------------------------------------------------------------------------------------------- */

typedef struct start_arguments {
    const char *workflow;
    const char *inputs_json;
    size_t len;
    const orch_start_options *options;
    orch_task *task; /* NULL, or the child of its step is to be started ... */
    char *child_id;  /* ... with this id */
    bool abandoned;
} start_arguments;

typedef struct start_callbacks {
    orch_start_fn accepted;
    orch_execution_fn ended;
    void *user_data;
    orch_free_fn free_fn;
} start_callbacks;

int32_t start_blocking(orch_v2 *o, const start_arguments *a, orch_execution **out,
                       orch_error **err);
/* Frees user_data also on failure. */
int32_t start_async(orch_v2 *o, const start_arguments *a, const start_callbacks *c,
                    orch_error **err);

/* ---- subworkflows.c ---------------------------------------------------------------------------------------- */

/* On the loop: the attempt of a task that may start children now. FAILED_PRECONDITION, or why it was told to stop. */
int32_t child_find_attempt(const orch_task *task, attempt_place *out, orch_error **err);
/* Whether a child that was there before was started with that input (as it is before a codec). ALREADY_EXISTS. Reads the store. */
int32_t child_check_input(orch_v2 *o, uint64_t key, const bytes *input, orch_error **err);

/* ---- query.c ----------------------------------------------------------------------------------------------- */

int32_t query_row(orch_v2 *o, const char *id, execution_row *out, orch_error **err);
/* Which of the open ones are with an engine. None once the loop has ended. */
int32_t query_running(orch_v2 *o, const execution_row *rows, size_t count, bool *running,
                      orch_error **err);
/* The key of an execution: of a made id without a look into the store. NOT_FOUND. */
int32_t query_key(orch_v2 *o, const char *id, uint64_t *out, orch_error **err);
/* Its row without payloads; none if it is gone. */
int32_t query_short(orch_v2 *o, uint64_t key, execution_page *out, orch_error **err);
/* The id of an execution that may be gone: then its key's text, which finds it as well. */
int32_t query_id(orch_v2 *o, uint64_t key, char out[EXECUTION_ID_MAX + 1], orch_error **err);

/* ---- control.c --------------------------------------------------------------------------------------------- */

/* NULL: neither is said. They live as long as the control, which the host keeps for the call. */
void control_borrow(const orch_control *control, char **who, char **why);

/* ---- history.c --------------------------------------------------------------------------------------------- */

/* A page of a run's history, as it is stored, every step of which `d` has (or STEP_NONE): else DATA_LOSS. */
int32_t record_load(orch_v2 *o, const execution_row *row, uint32_t run, uint64_t after_seq,
                    uint32_t limit, const definition *d, checkpoint_page *out, orch_error **err);
/* The same, decoded. */
int32_t record_read(orch_v2 *o, const execution_row *row, uint32_t run, uint64_t after_seq,
                    uint32_t limit, const definition *d, checkpoint_page *out,
                    int32_t *codec_status, orch_error **err);
/* *run 0 becomes the newest. NOT_FOUND if there is none of that number. */
int32_t record_find_run(const execution_row *row, const char *id, uint32_t *run, orch_error **err);
int32_t record_kind(uint8_t stored); /* an ORCH_STEP_ number */

#endif
