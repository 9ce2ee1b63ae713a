#include <orch/config.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/config_impl.h"
#include "base/error.h"
#include "base/mem.h"

struct orch_config {
    char *values[KEY_COUNT]; /* what was set; NULL = the default */
    char engine_id[256];     /* defaults that depend on the machine */
    char task_threads[16];
    shared_codec *codec;
};

static void make_defaults(orch_config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (gethostname(c->engine_id, sizeof c->engine_id - 1) || !c->engine_id[0])
        strcpy(c->engine_id, "localhost");
    if (cores < 2)
        cores = 2;
    if (cores > 64)
        cores = 64;
    snprintf(c->task_threads, sizeof c->task_threads, "%ld", 2 * cores);
}

orch_config *orch_config_new(void)
{
    orch_config *c = mem_zalloc(sizeof *c);

    if (c)
        make_defaults(c);
    return c;
}

void orch_config_free(orch_config *config)
{
    if (!config)
        return;
    for (int i = 0; i < KEY_COUNT; i++)
        mem_free(config->values[i]);
    shared_codec_unref(config->codec);
    mem_free(config);
}

orch_config *config_copy(const orch_config *c)
{
    orch_config *copy = mem_alloc(sizeof *copy);
    bool whole = true;

    if (!copy)
        return NULL;
    *copy = *c;
    copy->codec = config_codec(c);
    for (int i = 0; i < KEY_COUNT; i++) {
        copy->values[i] = c->values[i] ? mem_strdup(c->values[i]) : NULL;
        whole = whole && (copy->values[i] || !c->values[i]);
    }
    if (whole)
        return copy;
    orch_config_free(copy);
    return NULL;
}

/* ---- the codec ------------------------------------------------------------------------------------------- */

shared_codec *config_codec(const orch_config *c)
{
    if (c->codec)
        atomic_fetch_add(&c->codec->refs, 1);
    return c->codec;
}

void shared_codec_unref(shared_codec *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    if (c->free_fn)
        c->free_fn(c->user_data);
    mem_free(c);
}

static int32_t check_codec(const orch_codec *codec, orch_error **err)
{
    if (codec->size < sizeof *codec)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "codec",
                         "codec.size is %u; it must be sizeof(orch_codec), which is %zu",
                         codec->size, sizeof *codec);
    if (!codec->name || !codec->encode || !codec->decode)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "codec", "codec.%s must not be NULL",
                         !codec->name     ? "name"
                         : !codec->encode ? "encode"
                                          : "decode");
    return 0;
}

static int32_t set_codec(orch_config *config, const orch_codec *codec, void *user_data,
                         orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_codec(codec, err);
    shared_codec *c;

    if (rc)
        return rc;
    c = mem_zalloc(sizeof *c);
    if (!c)
        return error_no_memory(err);
    atomic_init(&c->refs, 1);
    c->ops = *codec;
    c->ops.size = sizeof c->ops;
    c->user_data = user_data;
    c->free_fn = free_fn;
    shared_codec_unref(config->codec);
    config->codec = c;
    return 0;
}

int32_t orch_config_set_codec(orch_config *config, const orch_codec *codec, void *user_data,
                              orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = 0;

    if (!config)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "config", "config must not be NULL");
    else if (codec)
        rc = set_codec(config, codec, user_data, free_fn, err);
    if (!rc && !codec) {
        shared_codec_unref(config->codec);
        config->codec = NULL;
    }
    if ((rc || !codec) && free_fn)
        free_fn(user_data);
    return rc;
}

bool config_is_set(const orch_config *c, int32_t key)
{
    return c->values[key] != NULL;
}

const char *config_text(const orch_config *c, int32_t key)
{
    if (c->values[key])
        return c->values[key];
    if (key == KEY_ENGINE_ID)
        return c->engine_id;
    if (key == KEY_TASK_THREADS)
        return c->task_threads;
    return config_rows[key].fallback;
}

int64_t config_number(const orch_config *c, int32_t key)
{
    int64_t n = 0;

    config_parse(key, config_text(c, key), &n, NULL); /* it was checked when it was set */
    return n;
}

static int32_t unknown(const char *prefix, const char *name, orch_error **err)
{
    const char *near = config_nearest(name);

    if (near)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "there is no key %s%.100s; did you mean %s%s?", prefix, name, prefix,
                         near);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                     "there is no key %s%.100s; docs/configuration.md lists them", prefix, name);
}

int32_t orch_config_set(orch_config *config, const char *key, const char *value, orch_error **err)
{
    char *copy = NULL;
    int64_t number;
    int32_t k, rc;

    if (!config || !key)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, config ? "key" : "config",
                         "%s must not be NULL", config ? "key" : "config");
    k = config_find(key);
    if (k < 0)
        return unknown("", key, err);
    if (value) {
        rc = config_parse(k, value, &number, err);
        if (rc)
            return rc;
        copy = mem_strdup(value);
        if (!copy)
            return error_no_memory(err);
    }
    mem_free(config->values[k]);
    config->values[k] = copy;
    return 0;
}

const char *orch_config_get(const orch_config *config, const char *key)
{
    int32_t k = config && key ? config_find(key) : -1;

    return k < 0 ? NULL : config_text(config, k);
}

/* ---- the environment ------------------------------------------------------------------------------------- */

/* Kubernetes sets ORCH_SERVICE_HOST, ORCH_PORT=tcp://… and the like for a Service called orch. */
static bool is_service_link(const char *name, const char *value)
{
    return !strncmp(name, "SERVICE_", 8) || !strncmp(name, "PORT_", 5) ||
           !strncmp(value, "tcp://", 6);
}

/* *out is a key, or -1 for a variable that is none of ours. */
static int32_t key_of(const char *variable, const char *value, int32_t *out, orch_error **err)
{
    int32_t k;

    if (!strncmp(variable, "ORCH_", 5)) {
        k = config_find(variable + 5);
        if (k < 0 && is_service_link(variable + 5, value))
            return error_set(
                err, ORCH_E_INVALID_ARGUMENT, variable,
                "there is no key %.100s. Kubernetes sets such a variable for a Service "
                "called orch: put enableServiceLinks: false into the pod, or give the "
                "Service another name",
                variable);
        if (k < 0)
            return unknown("ORCH_", variable + 5, err);
    } else {
        k = config_find(variable);
        if (k >= 0 && !config_rows[k].bare)
            k = -1;
    }
    *out = k;
    return 0;
}

/* One variable, into the values that will replace those of the configuration. ORCH_X goes before X. */
/* What the exec executor tells the programs that it starts, which may use this library too: no configuration. */
static bool is_of_exec(const char *name)
{
    static const char *const told[] = {"ORCH_EXECUTION", "ORCH_STEP", "ORCH_ATTEMPT",
                                       "ORCH_IDEMPOTENCY_KEY"};

    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (!strcmp(name, told[i]))
            return true;
    return false;
}

static int32_t take(const char *entry, char *values[KEY_COUNT], bool prefixed[KEY_COUNT],
                    orch_error **err)
{
    const char *equals = strchr(entry, '=');
    bool ours = !strncmp(entry, "ORCH_", 5);
    char name[128];
    int32_t k = -1, rc;

    if (!equals || (size_t)(equals - entry) >= sizeof name)
        return 0;
    snprintf(name, sizeof name, "%.*s", (int)(equals - entry), entry);
    if (is_of_exec(name))
        return 0;
    rc = key_of(name, equals + 1, &k, err);
    if (rc || k < 0 || (prefixed[k] && !ours))
        return rc;
    prefixed[k] = ours;
    mem_free(values[k]);
    values[k] = mem_strdup(equals + 1);
    if (!values[k])
        return error_no_memory(err);
    return 0;
}

static int32_t check_all(char *values[KEY_COUNT], const bool prefixed[KEY_COUNT], orch_error **err)
{
    for (int32_t k = 0; k < KEY_COUNT; k++) {
        int64_t number;
        int32_t rc = values[k] ? config_parse(k, values[k], &number, err) : 0;

        if (rc) {
            error_prefix(err, "environment variable %s%s: ", prefixed[k] ? "ORCH_" : "",
                         config_rows[k].name);
            return rc;
        }
    }
    return 0;
}

int32_t orch_config_load_env(orch_config *config, orch_error **err)
{
    char *values[KEY_COUNT] = {0};
    bool prefixed[KEY_COUNT] = {0};
    int32_t rc = 0;

    if (!config)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "config", "config must not be NULL");
    for (char **e = environ; !rc && e && *e; e++)
        rc = take(*e, values, prefixed, err);
    if (!rc)
        rc = check_all(values, prefixed, err);
    for (int i = 0; i < KEY_COUNT; i++) {
        char *old = rc ? values[i] : config->values[i];

        if (!rc && !values[i])
            continue;
        mem_free(old);
        if (!rc)
            config->values[i] = values[i];
    }
    return rc;
}
