/* The orchestrator's life, and its way to the host. */
#include <string.h>
#include <unistd.h>

#include "api/api_impl.h"
#include "api/config_impl.h"

orch_v2 *orch_ref(orch_v2 *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

/* The shell goes with the last handle. */
void orch_unref(orch_v2 *o)
{
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (o->pid ==
        getpid()) /* else the process forked: what other threads had in their hands is not touched */
        runtime_free(o->rt);
    shared_codec_unref(o->shared_codec);
    mem_free(o);
}

static int32_t check_config(const orch_config *config, orch_error **err)
{
    int32_t rc = check_not_null(config, "config", err);
    const char *discovery;

    if (rc)
        return rc;
    discovery = config_text(config, KEY_DISCOVERY_TYPE);
    if (!config_is_set(config, KEY_STORE_URL))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                         "STORE_URL is not set: it decides what survives; allowed are memory: and "
                         "sqlite:PATH");
    if (strcmp(discovery, "none") != 0 && strcmp(discovery, "static") != 0)
        return error_set(err, ORCH_E_UNIMPLEMENTED, "DISCOVERY_TYPE",
                         "DISCOVERY_TYPE is '%s'; this version knows static, which are the engines "
                         "of STATIC_ENGINES, and none",
                         discovery);
    return 0;
}

static int64_t number_or_0(const orch_config *c, int32_t key)
{
    return config_is_set(c, key) ? config_number(c, key) : 0;
}

static const char *text_or_null(const orch_config *c, int32_t key)
{
    return config_is_set(c, key) ? config_text(c, key) : NULL;
}

static orchestrator_options orchestrator_options_of(const orch_config *c)
{
    return (orchestrator_options){
        .max_open = (uint64_t)config_number(c, KEY_MAX_OPEN_EXECUTIONS),
        .max_accepting = (uint32_t)config_number(c, KEY_MAX_QUEUED_STARTS),
        .window = (uint32_t)config_number(c, KEY_PENDING_WINDOW),
        .window_bytes = (uint64_t)config_number(c, KEY_PENDING_WINDOW_BYTES),
        .attach_grace_ms = config_number(c, KEY_ATTACH_GRACE),
        .limits = {.max_bytes = (size_t)config_number(c, KEY_MAX_DEFINITION_BYTES)},
        .max_signals = (uint32_t)config_number(c, KEY_MAX_SIGNALS),
        .retention_age_ms = number_or_0(c, KEY_RETENTION_AGE),
        .retention_count = (uint64_t)number_or_0(c, KEY_RETENTION_COUNT),
    };
}

static engine_options engine_options_of(const orch_config *c)
{
    return (engine_options){
        .name = config_text(c, KEY_ENGINE_ID),
        .capacity = (uint32_t)config_number(c, KEY_LOCAL_CAPACITY),
        .credit = (uint32_t)config_number(c, KEY_MAX_UNSTORED_CHECKPOINTS),
        .suspend_after_ms = config_number(c, KEY_SUSPEND_AFTER),
        .quiet_ms = config_number(c, KEY_SUSPEND_QUIET),
        .detach_grace_ms = config_number(c, KEY_DETACH_GRACE),
        .executor_wait_ms = config_number(c, KEY_EXECUTOR_WAIT),
        .lua_instructions = (uint64_t)config_number(c, KEY_LUA_INSTRUCTIONS),
        .lua_memory_bytes = (uint64_t)config_number(c, KEY_LUA_MEMORY),
    };
}

local_engine_options config_local_engine(const orch_config *c)
{
    return (local_engine_options){
        .engine = engine_options_of(c),
        .secrets_dir = text_or_null(c, KEY_SECRETS_DIR),
        .max_output_bytes = (uint32_t)config_number(c, KEY_MAX_OUTPUT_BYTES),
        .max_processes = (uint32_t)config_number(c, KEY_EXEC_MAX_PROCESSES),
        .executors = config_text(c, KEY_EXECUTORS),
        .exec_enabled = config_number(c, KEY_EXEC_ENABLED) != 0,
    };
}

static runtime_options options_of(const orch_config *c, logger *log)
{
    return (runtime_options){
        .store_url = config_text(c, KEY_STORE_URL),
        .synchronous = text_or_null(c, KEY_STORE_SYNCHRONOUS),
        .task_threads = (uint32_t)config_number(c, KEY_TASK_THREADS),
        .max_commands = (uint32_t)config_number(c, KEY_MAX_QUEUED_COMMANDS),
        .orchestrator = orchestrator_options_of(c),
        .owner = config_text(c, KEY_ENGINE_ID),
        .tls_cert = text_or_null(c, KEY_TLS_CERT),
        .tls_key = text_or_null(c, KEY_TLS_KEY),
        .tls_ca = text_or_null(c, KEY_TLS_CA),
        .grpc_reflection = config_number(c, KEY_GRPC_REFLECTION) != 0,
        .log = log,
    };
}

static orch_v2 *shell_new(const orch_config *config)
{
    orch_v2 *o = mem_zalloc(sizeof *o);

    if (o)
        o->log = logger_new();
    if (!o || !o->log) {
        mem_free(o);
        return NULL;
    }
    atomic_init(&o->refs, 1);
    o->pid = getpid();
    o->launcher.orch = o;
    o->subworkflows.orch = o;
    o->shared_codec = config_codec(config);
    if (o->shared_codec)
        o->codec = (codec){&o->shared_codec->ops, o->shared_codec->user_data};
    o->max_input_bytes = (size_t)config_number(config, KEY_MAX_INPUT_BYTES);
    o->limits.max_bytes = (size_t)config_number(config, KEY_MAX_DEFINITION_BYTES);
    return o;
}

/* Where engines are elsewhere there is none in this process, unless it is asked for: it would take executions whose executors
 * only the others have. */
static bool wants_engine(const orch_config *c)
{
    if (config_is_set(c, KEY_LOCAL_CAPACITY))
        return config_number(c, KEY_LOCAL_CAPACITY) > 0;
    return !strcmp(config_text(c, KEY_DISCOVERY_TYPE), "none");
}

static int32_t start_runtime(orch_v2 *o, const orch_config *config, const v2_options *v,
                             orch_error **err)
{
    local_engine_options engine = config_local_engine(config);
    runtime_options options = options_of(config, o->log);

    engine.engine.codec = o->codec;
    options.virtual_ms = v->virtual_ms;
    if (v->no_store)
        options.store_url = NULL;
    o->has_engine = !v->no_engine && wants_engine(config);
    if (o->has_engine)
        options.engine = &engine;
    return runtime_new(&options, &o->rt, err);
}

static orch_v2 *make(const orch_config *config, const v2_options *options, orch_error **err)
{
    orch_v2 *o = shell_new(config);

    if (!o) {
        error_no_memory(err);
        return NULL;
    }
    if (start_runtime(o, config, options, err)) {
        logger_free(o->log);
        shared_codec_unref(o->shared_codec);
        mem_free(o);
        return NULL;
    }
    if (o->has_engine)
        engine_init_own(&o->engine, o);
    versions_init(&o->versions);
    return o;
}

orch_v2 *v2_new_host(const orch_config *config, orch_error **err)
{
    return make(config, &(v2_options){.no_engine = true, .no_store = true}, err);
}

orch_v2 *v2_new(const orch_config *config, const v2_options *options, orch_error **err)
{
    orch_v2 *o = check_config(config, err) ? NULL : make(config, options, err);

    if (o && !options->no_engine && remotes_add_static(o, config, err)) {
        v2_free(o);
        return NULL;
    }
    return o;
}

orch_v2 *orch_v2_new(const orch_config *config, orch_error **err)
{
    return v2_new(config, &(v2_options){0}, err);
}

orch_engine *orch_v2_local_engine(orch_v2 *orch)
{
    return orch && orch->has_engine ? &orch->engine : NULL;
}

orch_launcher *orch_v2_launcher(orch_v2 *orch)
{
    return orch ? &orch->launcher : NULL;
}

/* ---- the host's loop ------------------------------------------------------------------------------------- */

int32_t orch_v2_fd(orch_v2 *orch)
{
    int32_t rc = check_orch(orch, NULL);

    return rc ? rc : runtime_fd(orch->rt);
}

int32_t orch_v2_dispatch(orch_v2 *orch)
{
    int32_t rc = check_orch(orch, NULL);

    return rc ? rc : runtime_dispatch(orch->rt);
}

/* ---- the log --------------------------------------------------------------------------------------------- */

typedef struct host_log {
    const runtime *owner;
    orch_log_fn fn;
    void *user_data;
    orch_free_fn free_fn;
} host_log;

/* Whatever thread logs: the host must not ask the orchestrator to wait for it from here. */
static void call_log(void *user_data, int32_t level, const char *message)
{
    const host_log *h = user_data;
    role_mark role;

    role_enter(&role, ROLE_LOG, h->owner);
    h->fn(h->user_data, level, message);
    role_leave(&role);
}

static void free_log(void *user_data)
{
    host_log *h = user_data;

    if (h->free_fn)
        h->free_fn(h->user_data);
    mem_free(h);
}

static int32_t set_log(orch_v2 *o, orch_log_fn fn, void *user_data, orch_free_fn free_fn,
                       int32_t min_level)
{
    host_log *h;

    if (min_level < ORCH_LOG_DEBUG || min_level > ORCH_LOG_CRITICAL)
        return ORCH_E_INVALID_ARGUMENT;
    if (!fn) {
        logger_set(o->log, NULL, NULL, NULL, min_level);
        if (free_fn)
            free_fn(user_data);
        return 0;
    }
    h = mem_alloc(sizeof *h);
    if (!h)
        return ORCH_E_RESOURCE_EXHAUSTED;
    *h = (host_log){o->rt, fn, user_data, free_fn};
    logger_set(o->log, call_log, h, free_log, min_level);
    return 0;
}

int32_t orch_v2_set_log(orch_v2 *orch, orch_log_fn fn, void *user_data, orch_free_fn free_fn,
                        int32_t min_level)
{
    int32_t rc = check_orch(orch, NULL);

    if (!rc)
        rc = set_log(orch, fn, user_data, free_fn, min_level);
    if (rc && free_fn)
        free_fn(user_data);
    return rc;
}

/* ---- backup, stop, free ---------------------------------------------------------------------------------- */

int32_t orch_v2_backup(orch_v2 *orch, const char *path, orch_error **err)
{
    store *s;
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_not_null(path, "path", err);
    if (!rc && !*path)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "path", "path must not be empty");
    if (!rc)
        rc = check_may_ask(orch, err);
    if (rc)
        return rc;
    s = runtime_store(orch->rt);
    return s->ops->backup(s->self, path, err);
}

int32_t orch_v2_stop(orch_v2 *orch, int32_t timeout_ms, orch_error **err)
{
    int32_t rc = check_orch(orch, err);

    if (!rc && (timeout_ms < 0 || timeout_ms > STOP_MAX_MS))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                       "timeout_ms is %d; it must be 0 to %d", timeout_ms, STOP_MAX_MS);
    return rc ? rc : runtime_stop(orch->rt, timeout_ms, err);
}

/* A thread that is the library's, or in a callback of the orchestrator, would wait for itself. */
static bool is_inside(const orch_v2 *o)
{
    return role_is(ROLE_LOOP, o->rt) || role_is(ROLE_POOL, o->rt) ||
           role_is(ROLE_DISPATCH, o->rt) || role_is(ROLE_LOG, o->rt);
}

bool v2_free(orch_v2 *o)
{
    if (o->pid != getpid()) {
        orch_unref(o);
        return true;
    }
    if (is_inside(o)) {
        log_write(o->log, ORCH_LOG_CRITICAL,
                  "orch_v2_free inside a callback or an executor: nothing was freed");
        return false;
    }
    runtime_close(o->rt);
    versions_destroy(&o->versions);
    if (o->has_engine)
        engine_destroy_own(&o->engine);
    logger_free(o->log);
    o->log = NULL;
    orch_unref(o);
    return true;
}

void orch_v2_free(orch_v2 *orch)
{
    if (orch)
        v2_free(orch);
}
