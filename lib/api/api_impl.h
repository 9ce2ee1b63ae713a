/* What the public functions share. */
#ifndef API_API_IMPL_H
#define API_API_IMPL_H

#include <orch/orch.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/runtime.h"

struct orch_engine {
    orch_v2 *orch;
};

struct orch_launcher {
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
    orch_engine engine;
    orch_launcher launcher;
    size_t max_input_bytes;
    definition_limits limits;
    version_cache versions;
};

orch_v2 *orch_ref(orch_v2 *o);
void orch_unref(orch_v2 *o);

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
};

struct orch_filter {
    execution_filter filter; /* its texts are owned by the filter here */
    char *workflow, *version;
    uint32_t states; /* bit n: ORCH_EXECUTION_ n; 0 = all */
};

/* ---- response.c -------------------------------------------------------------------------------------------- */

/* Either of an outcome, or of a row with texts of its own. */
struct orch_response {
    outcome *outcome;
    int32_t state;
    char *id;
    version_names *names;
    int64_t accepted_ms, ended_ms;
    bytes *input, *output, *error;
};

orch_response *response_new(void);                       /* NULL if there is no memory */
void response_set_outcome(orch_response *r, outcome *o); /* takes a reference */
/* Takes what it needs out of the row. `running`: what an open one is. */
int32_t response_set_row(orch_response *r, orch_v2 *o, execution_row *row, bool running,
                         orch_error **err);
void response_clear(orch_response *r);

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
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    uint32_t wants; /* the host's handle, and watches: without any the loop is told to forget it */
    bool waiting;   /* the loop has the waiter */
    bool ended;     /* it has been told of: code and outcome */
    int32_t code;
    outcome *outcome;
    list watches;
    end_waiter waiter;
    command wait, forget; /* commands of its own, so that they need no memory */
};

orch_execution *handle_new(orch_v2 *o,
                           const char *id); /* id NULL: set key later. NULL if there is no memory */
void handle_set_key(orch_execution *e, uint64_t key);
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
} start_arguments;

int32_t start_blocking(orch_v2 *o, const start_arguments *a, orch_execution **out,
                       orch_error **err);

/* ---- query.c ----------------------------------------------------------------------------------------------- */

int32_t query_row(orch_v2 *o, const char *id, execution_row *out, orch_error **err);

#endif
