/* What can be configured: docs/configuration.md says the same in words, and a test compares the two. */
#include <stdio.h>
#include <string.h>

#include "api/config_impl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define KIB(n) ((int64_t)(n)*1024)
#define MIB(n) (KIB(n) * 1024)
#define DAY_MS (24LL * 3600 * 1000)

const config_row config_rows[KEY_COUNT] = {
    [KEY_STORE_URL] = {"STORE_URL", CONFIG_TEXT, false, NULL, 1, 4096, NULL},
    [KEY_STORE_SYNCHRONOUS] = {"STORE_SYNCHRONOUS", CONFIG_WORD, false, NULL, 0, 0,
                               "full normal off"},
    [KEY_RETENTION_AGE] = {"RETENTION_AGE", CONFIG_DURATION, false, NULL, 1, 36500 * DAY_MS, NULL},
    [KEY_RETENTION_COUNT] = {"RETENTION_COUNT", CONFIG_INTEGER, false, NULL, 1, 1000000000000,
                             NULL},
    [KEY_TASK_THREADS] = {"TASK_THREADS", CONFIG_INTEGER, false, NULL, 1, 1024, NULL},
    [KEY_LOCAL_CAPACITY] = {"LOCAL_CAPACITY", CONFIG_INTEGER, false, "256", 0, 1000000, NULL},
    [KEY_MAX_OPEN_EXECUTIONS] = {"MAX_OPEN_EXECUTIONS", CONFIG_INTEGER, false, "10000000", 1,
                                 1000000000000, NULL},
    [KEY_MAX_QUEUED_COMMANDS] = {"MAX_QUEUED_COMMANDS", CONFIG_INTEGER, false, "65536", 1,
                                 100000000, NULL},
    [KEY_MAX_QUEUED_STARTS] = {"MAX_QUEUED_STARTS", CONFIG_INTEGER, false, "65536", 1, 100000000,
                               NULL},
    [KEY_MAX_SIGNALS] = {"MAX_SIGNALS", CONFIG_INTEGER, false, "10000", 1, 1000000, NULL},
    [KEY_MAX_UNSTORED_CHECKPOINTS] = {"MAX_UNSTORED_CHECKPOINTS", CONFIG_INTEGER, false, "4096", 1,
                                      1000000, NULL},
    [KEY_PENDING_WINDOW] = {"PENDING_WINDOW", CONFIG_INTEGER, false, "8192", 1, 10000000, NULL},
    [KEY_PENDING_WINDOW_BYTES] = {"PENDING_WINDOW_BYTES", CONFIG_INTEGER, false, "67108864",
                                  KIB(64), MIB(65536), NULL},
    [KEY_MAX_DEFINITION_BYTES] = {"MAX_DEFINITION_BYTES", CONFIG_INTEGER, false, "67108864", KIB(1),
                                  MIB(1024), NULL},
    [KEY_MAX_INPUT_BYTES] = {"MAX_INPUT_BYTES", CONFIG_INTEGER, false, "4194304", KIB(1), MIB(1024),
                             NULL},
    [KEY_MAX_OUTPUT_BYTES] = {"MAX_OUTPUT_BYTES", CONFIG_INTEGER, false, "4194304", KIB(1),
                              MIB(1024), NULL},
    [KEY_EXECUTOR_WAIT] = {"EXECUTOR_WAIT", CONFIG_DURATION, false, "30s", 1, DAY_MS, NULL},
    [KEY_SUSPEND_AFTER] = {"SUSPEND_AFTER", CONFIG_DURATION, false, "10s", 1, DAY_MS, NULL},
    [KEY_SUSPEND_QUIET] = {"SUSPEND_QUIET", CONFIG_DURATION, false, "1s", 1, DAY_MS, NULL},
    [KEY_SECRETS_DIR] = {"SECRETS_DIR", CONFIG_TEXT, false, NULL, 1, 4096, NULL},
    [KEY_EXECUTORS] = {"EXECUTORS", CONFIG_WORDS, false, "lua http exec", 0, 0, "lua http exec"},
    [KEY_EXEC_ENABLED] = {"EXEC_ENABLED", CONFIG_BOOL, false, "true", 0, 1, NULL},
    [KEY_EXEC_MAX_PROCESSES] = {"EXEC_MAX_PROCESSES", CONFIG_INTEGER, false, "64", 1, 10000, NULL},
    [KEY_LUA_INSTRUCTIONS] = {"LUA_INSTRUCTIONS", CONFIG_INTEGER, false, "100000000", 1000,
                              1000000000000, NULL},
    [KEY_LUA_MEMORY] = {"LUA_MEMORY", CONFIG_INTEGER, false, "67108864", KIB(256), MIB(65536),
                        NULL},
    [KEY_ENGINE_ID] = {"ENGINE_ID", CONFIG_TEXT, true, NULL, 1, 255, NULL},
    [KEY_PORT] = {"PORT", CONFIG_INTEGER, true, "50051", 1, 65535, NULL},
    [KEY_CAPACITY] = {"CAPACITY", CONFIG_INTEGER, true, "10", 1, 1000000, NULL},
    [KEY_DISCOVERY_TYPE] = {"DISCOVERY_TYPE", CONFIG_WORD, false, "none", 0, 0,
                            "none static dns kubernetes"},
    [KEY_STATIC_ENGINES] = {"STATIC_ENGINES", CONFIG_TEXT, false, NULL, 1, 65536, NULL},
    [KEY_K8S_NAMESPACE] = {"K8S_NAMESPACE", CONFIG_TEXT, true, "default", 1, 63, NULL},
    [KEY_K8S_SERVICE_NAME] = {"K8S_SERVICE_NAME", CONFIG_TEXT, true, "workflow-engines", 1, 63,
                              NULL},
    [KEY_K8S_LABEL_SELECTOR] = {"K8S_LABEL_SELECTOR", CONFIG_TEXT, true, "app=workflow-engine", 1,
                                4096, NULL},
    [KEY_IN_CLUSTER_CONFIG] = {"IN_CLUSTER_CONFIG", CONFIG_BOOL, true, "true", 0, 1, NULL},
    [KEY_TRANSPORT_TYPE] = {"TRANSPORT_TYPE", CONFIG_WORD, true, "grpc", 0, 0,
                            "grpc nats rabbitmq"},
    [KEY_LOAD_BALANCER_TYPE] = {"LOAD_BALANCER_TYPE", CONFIG_WORD, true, "consistent-hash", 0, 0,
                                "consistent-hash round-robin least-loaded latency resource"},
    [KEY_GRPC_PORT] = {"GRPC_PORT", CONFIG_INTEGER, true, "50051", 1, 65535, NULL},
    [KEY_ENGINE_DISCOVERY_INTERVAL] = {"ENGINE_DISCOVERY_INTERVAL", CONFIG_INTEGER, true, "30", 1,
                                       86400, NULL},
    [KEY_ENGINE_HEALTH_CHECK_INTERVAL] = {"ENGINE_HEALTH_CHECK_INTERVAL", CONFIG_INTEGER, true,
                                          "10", 1, 86400, NULL},
    [KEY_ATTACH_GRACE] = {"ATTACH_GRACE", CONFIG_DURATION, false, "15s", 1, DAY_MS, NULL},
    [KEY_DETACH_GRACE] = {"DETACH_GRACE", CONFIG_DURATION, false, "10s", 1, DAY_MS, NULL},
    [KEY_TLS_CERT] = {"TLS_CERT", CONFIG_TEXT, false, NULL, 1, 4096, NULL},
    [KEY_TLS_KEY] = {"TLS_KEY", CONFIG_TEXT, false, NULL, 1, 4096, NULL},
    [KEY_TLS_CA] = {"TLS_CA", CONFIG_TEXT, false, NULL, 1, 4096, NULL},
    [KEY_GRPC_REFLECTION] = {"GRPC_REFLECTION", CONFIG_BOOL, false, "true", 0, 1, NULL},
};

int32_t config_find(const char *name)
{
    for (int32_t i = 0; i < KEY_COUNT; i++)
        if (!strcmp(name, config_rows[i].name))
            return i;
    return -1;
}

/* ---- did you mean ---------------------------------------------------------------------------------------- */

#define NAME_ROOM 48

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's, of names shorter than NAME_ROOM. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_ROOM];
    size_t n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i]; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned above = row[j + 1];

            row[j + 1] = least(row[j] + 1, above + 1, corner + (a[i] != b[j]));
            corner = above;
        }
    }
    return row[n];
}

const char *config_nearest(const char *name)
{
    const char *best = NULL;
    unsigned limit = (unsigned)strlen(name) / 3 + 1;

    if (strlen(name) >= NAME_ROOM)
        return NULL;
    for (int32_t i = 0; i < KEY_COUNT; i++) {
        unsigned d = distance(name, config_rows[i].name);

        if (d > limit)
            continue;
        limit = d ? d - 1 : 0;
        best = config_rows[i].name;
    }
    return best;
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static int32_t refuse(const config_row *r, const char *value, const char *allowed, orch_error **err)
{
    if (!strncmp(value, "tcp://", 6) && r->kind == CONFIG_INTEGER)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, r->name,
                         "%s is '%.100s'; it must be %s. Kubernetes sets such a variable for a "
                         "Service of that name: put enableServiceLinks: false into the pod, or set "
                         "ORCH_%s",
                         r->name, value, allowed, r->name);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, r->name, "%s is '%.100s'; it must be %s",
                     r->name, value, allowed);
}

static int32_t parse_integer(const config_row *r, const char *value, int64_t *out, orch_error **err)
{
    char allowed[80];
    int64_t n = 0;
    const char *p = value;

    while (*p >= '0' && *p <= '9' && n <= r->max)
        n = n * 10 + (*p++ - '0');
    if (*p || p == value || n < r->min || n > r->max) {
        snprintf(allowed, sizeof allowed, "a whole number from %lld to %lld", (long long)r->min,
                 (long long)r->max);
        return refuse(r, value, allowed, err);
    }
    *out = n;
    return 0;
}

static int32_t parse_duration(const config_row *r, const char *value, int64_t *out,
                              orch_error **err)
{
    char allowed[120];
    int64_t ms;

    if (!text_duration_ms(value, &ms) || ms < r->min || ms > r->max) {
        snprintf(allowed, sizeof allowed,
                 "a duration such as 500ms, 10s or 1h30m, from %lldms to %lldms", (long long)r->min,
                 (long long)r->max);
        return refuse(r, value, allowed, err);
    }
    *out = ms;
    return 0;
}

static bool has_word(const char *words, const char *word, size_t len)
{
    for (const char *p = words; p;) {
        size_t n = strcspn(p, " ");

        if (n == len && !memcmp(p, word, n))
            return true;
        p = p[n] ? p + n + 1 : NULL;
    }
    return false;
}

static int32_t parse_word(const config_row *r, const char *value, orch_error **err)
{
    char allowed[120];

    if (has_word(r->words, value, strlen(value)))
        return 0;
    snprintf(allowed, sizeof allowed, "one of %s", r->words);
    return refuse(r, value, allowed, err);
}

/* None of them is "none". */
static int32_t parse_words(const config_row *r, const char *value, orch_error **err)
{
    char allowed[120];
    size_t len;

    if (!strcmp(value, "none"))
        return 0;
    snprintf(allowed, sizeof allowed, "some of %s, or none", r->words);
    for (const char *p = value; *p; p += len + (p[len] == ' ')) {
        len = strcspn(p, " ");
        if (!has_word(r->words, p, len))
            return refuse(r, value, allowed, err);
    }
    return *value ? 0 : refuse(r, value, allowed, err);
}

static int32_t parse_bool(const config_row *r, const char *value, int64_t *out, orch_error **err)
{
    if (!strcmp(value, "true") || !strcmp(value, "1"))
        *out = 1;
    else if (!strcmp(value, "false") || !strcmp(value, "0"))
        *out = 0;
    else
        return refuse(r, value, "true or false", err);
    return 0;
}

static int32_t parse_text(const config_row *r, const char *value, orch_error **err)
{
    size_t len = strlen(value);

    if ((int64_t)len >= r->min && (int64_t)len <= r->max && text_is_utf8(value, len))
        return 0;
    return error_set(err, ORCH_E_INVALID_ARGUMENT, r->name,
                     "%s has %zu bytes; it must be UTF-8 of %lld to %lld bytes", r->name, len,
                     (long long)r->min, (long long)r->max);
}

int32_t config_parse(int32_t key, const char *value, int64_t *out, orch_error **err)
{
    const config_row *r = &config_rows[key];

    *out = 0;
    switch (r->kind) {
    case CONFIG_INTEGER: return parse_integer(r, value, out, err);
    case CONFIG_DURATION: return parse_duration(r, value, out, err);
    case CONFIG_WORD: return parse_word(r, value, err);
    case CONFIG_WORDS: return parse_words(r, value, err);
    case CONFIG_BOOL: return parse_bool(r, value, out, err);
    default: return parse_text(r, value, err);
    }
}
