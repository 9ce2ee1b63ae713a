/* The keys, one row each, and typed access to their values. */
#ifndef API_CONFIG_IMPL_H
#define API_CONFIG_IMPL_H

#include <orch/codec.h>
#include <orch/config.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_key {
    KEY_STORE_URL,
    KEY_STORE_SYNCHRONOUS,
    KEY_RETENTION_AGE,
    KEY_RETENTION_COUNT,
    KEY_TASK_THREADS,
    KEY_LOCAL_CAPACITY,
    KEY_MAX_OPEN_EXECUTIONS,
    KEY_MAX_QUEUED_COMMANDS,
    KEY_MAX_QUEUED_STARTS,
    KEY_MAX_SIGNALS,
    KEY_MAX_UNSTORED_CHECKPOINTS,
    KEY_PENDING_WINDOW,
    KEY_PENDING_WINDOW_BYTES,
    KEY_MAX_DEFINITION_BYTES,
    KEY_MAX_INPUT_BYTES,
    KEY_MAX_OUTPUT_BYTES,
    KEY_EXECUTOR_WAIT,
    KEY_SUSPEND_AFTER,
    KEY_SUSPEND_QUIET,
    KEY_SECRETS_DIR,
    KEY_EXECUTORS,
    KEY_EXEC_ENABLED,
    KEY_EXEC_MAX_PROCESSES,
    KEY_LUA_INSTRUCTIONS,
    KEY_LUA_MEMORY,
    KEY_ENGINE_ID,
    KEY_PORT,
    KEY_CAPACITY,
    KEY_DISCOVERY_TYPE,
    KEY_STATIC_ENGINES,
    KEY_K8S_NAMESPACE,
    KEY_K8S_SERVICE_NAME,
    KEY_K8S_LABEL_SELECTOR,
    KEY_IN_CLUSTER_CONFIG,
    KEY_TRANSPORT_TYPE,
    KEY_LOAD_BALANCER_TYPE,
    KEY_GRPC_PORT,
    KEY_ENGINE_DISCOVERY_INTERVAL,
    KEY_ENGINE_HEALTH_CHECK_INTERVAL,
    KEY_ATTACH_GRACE,
    KEY_DETACH_GRACE,
    KEY_TLS_CERT,
    KEY_TLS_KEY,
    KEY_TLS_CA,
    KEY_GRPC_REFLECTION,
    KEY_COUNT
};

enum config_kind {
    CONFIG_INTEGER,
    CONFIG_DURATION,
    CONFIG_WORD,
    CONFIG_WORDS,
    CONFIG_BOOL,
    CONFIG_TEXT
};

typedef struct config_row {
    const char *name;
    enum config_kind kind;
    bool bare;            /* read from the environment without ORCH_, too */
    const char *fallback; /* the default; NULL = none, or made at run time */
    int64_t min, max;     /* INTEGER; DURATION in ms; TEXT: bytes */
    const char *words;    /* WORD, WORDS: those allowed, with a space between */
} config_row;

extern const config_row config_rows[KEY_COUNT];

/* A host's codec, for as long as a configuration or an orchestrator has it. */
typedef struct shared_codec {
    atomic_uint refs;
    orch_codec ops;
    void *user_data;
    orch_free_fn free_fn;
} shared_codec;

shared_codec *config_codec(const orch_config *c); /* with a reference; NULL = none */
void shared_codec_unref(shared_codec *c);         /* NULL is harmless */
orch_config *config_copy(const orch_config *c);   /* NULL if there is no memory */

int32_t config_find(const char *name); /* a key, or -1 */
/* The name nearest to a mistaken one; NULL if none is near. */
const char *config_nearest(const char *name);
/* Check a value; *out is its number (INTEGER, DURATION in ms, BOOL), else 0. Errors name key, value and what is allowed. */
int32_t config_parse(int32_t key, const char *value, int64_t *out, orch_error **err);

bool config_is_set(const orch_config *c, int32_t key);      /* not only by default */
const char *config_text(const orch_config *c, int32_t key); /* NULL: neither set nor default */
int64_t config_number(const orch_config *c, int32_t key);

#endif
