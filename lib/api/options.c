/* Options of a start, and filters of a list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"

#define TIMEOUT_MAX_MS (100LL * 366 * 24 * 3600 * 1000)
#define PAGE_MAX       10000

/* NULL clears it. */
static int32_t replace_text(char **field, const char *text)
{
    char *copy = text ? mem_strdup(text) : NULL;

    if (text && !copy)
        return ORCH_E_RESOURCE_EXHAUSTED;
    mem_free(*field);
    *field = copy;
    return 0;
}

orch_start_options *orch_start_options_new(void)
{
    return mem_zalloc(sizeof(orch_start_options));
}

void orch_start_options_free(orch_start_options *options)
{
    if (!options)
        return;
    mem_free(options->id);
    mem_free(options->version);
    mem_free(options);
}

int32_t orch_start_options_set_id(orch_start_options *options, const char *id)
{
    if (!options || (id && execution_id_check(id, NULL)))
        return ORCH_E_INVALID_ARGUMENT;
    return replace_text(&options->id, id);
}

int32_t orch_start_options_set_version(orch_start_options *options, const char *version)
{
    semver_range *range = NULL;
    int32_t rc;

    if (!options)
        return ORCH_E_INVALID_ARGUMENT;
    rc = version ? semver_range_parse(version, &range, NULL) : 0;
    if (rc)
        return rc;
    semver_range_free(range);
    return replace_text(&options->version, version);
}

int32_t orch_start_options_set_timeout(orch_start_options *options, int64_t timeout_ms)
{
    if (!options || timeout_ms < 0 || timeout_ms > TIMEOUT_MAX_MS)
        return ORCH_E_INVALID_ARGUMENT;
    options->timeout_ms = timeout_ms;
    return 0;
}

/* ---- filters --------------------------------------------------------------------------------------------- */

orch_filter *orch_filter_new(void)
{
    return mem_zalloc(sizeof(orch_filter));
}

void orch_filter_free(orch_filter *filter)
{
    if (!filter)
        return;
    mem_free(filter->workflow);
    mem_free(filter->version);
    mem_free(filter);
}

static int32_t refuse(const char *key, const char *value, const char *allowed, orch_error **err)
{
    return error_set(err, ORCH_E_INVALID_ARGUMENT, key, "filter %s is '%.100s'; allowed is %s", key,
                     value, allowed);
}

static int32_t set_state(orch_filter *f, const char *value, orch_error **err)
{
    for (int32_t i = 0; i <= ORCH_EXECUTION_TIMED_OUT; i++) {
        if (strcmp(value, orch_execution_state_name(i)) != 0)
            continue;
        f->states |= 1U << i;
        f->filter.states |= 1U << (i <= ORCH_EXECUTION_RUNNING ? EXECUTION_OPEN : i);
        return 0;
    }
    return refuse("state", value,
                  "pending, running, suspended, succeeded, failed, cancelled or timed_out", err);
}

static int32_t set_workflow(orch_filter *f, const char *value, orch_error **err)
{
    int32_t rc = check_name(value, "workflow", err);

    if (rc || replace_text(&f->workflow, value))
        return rc ? rc : error_no_memory(err);
    f->filter.workflow = f->workflow;
    return 0;
}

static int32_t set_version(orch_filter *f, const char *value, orch_error **err)
{
    semver version;
    int32_t rc = semver_parse(value, &version, err);

    if (rc || replace_text(&f->version, value))
        return rc ? rc : error_no_memory(err);
    f->filter.version = f->version;
    return 0;
}

static int32_t set_number(const char *key, const char *value, uint64_t min, uint64_t max,
                          uint64_t *out, orch_error **err)
{
    char allowed[80];
    uint64_t n;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || n < min || n > max) {
        snprintf(allowed, sizeof allowed, "a whole number from %llu to %llu",
                 (unsigned long long)min, (unsigned long long)max);
        return refuse(key, value, allowed, err);
    }
    *out = n;
    return 0;
}

static int32_t set_from(orch_filter *f, const char *value, orch_error **err)
{
    uint64_t n;
    int32_t rc = set_number("accepted_from_ms", value, 0, INT64_MAX, &n, err);

    if (!rc)
        f->filter.accepted_from_ms = (int64_t)n;
    return rc;
}

static int32_t set_to(orch_filter *f, const char *value, orch_error **err)
{
    uint64_t n;
    int32_t rc = set_number("accepted_to_ms", value, 0, INT64_MAX, &n, err);

    if (!rc)
        f->filter.accepted_to_ms = (int64_t)n;
    return rc;
}

static int32_t set_order(orch_filter *f, const char *value, orch_error **err)
{
    bool oldest = !strcmp(value, "oldest");

    if (!oldest && strcmp(value, "newest") != 0)
        return refuse("order", value, "newest or oldest", err);
    f->filter.ascending = oldest;
    return 0;
}

static int32_t set_limit(orch_filter *f, const char *value, orch_error **err)
{
    uint64_t n;
    int32_t rc = set_number("limit", value, 1, PAGE_MAX, &n, err);

    if (!rc)
        f->filter.limit = (uint32_t)n;
    return rc;
}

static int32_t set_payloads(orch_filter *f, const char *value, orch_error **err)
{
    bool with = !strcmp(value, "true");

    if (!with && strcmp(value, "false") != 0)
        return refuse("payloads", value, "true or false", err);
    f->filter.payloads = with;
    return 0;
}

static int32_t set_page(orch_filter *f, const char *value, orch_error **err)
{
    uint64_t key;

    if (!execution_id_parse(value, &key))
        return refuse("page", value, "what orch_execution_list_next gave", err);
    f->filter.after_key = key;
    return 0;
}

int32_t orch_filter_set(orch_filter *filter, const char *key, const char *value, orch_error **err)
{
    static const struct {
        const char *key;
        int32_t (*set)(orch_filter *f, const char *value, orch_error **err);
    } keys[] = {
        {"state", set_state}, {"workflow", set_workflow},     {"version", set_version},
        {"order", set_order}, {"accepted_from_ms", set_from}, {"accepted_to_ms", set_to},
        {"limit", set_limit}, {"payloads", set_payloads},     {"page", set_page},
    };
    int32_t rc = check_not_null(filter, "filter", err);

    if (!rc)
        rc = check_not_null(key, "key", err);
    if (!rc)
        rc = check_not_null(value, "value", err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i].key))
            return keys[i].set(filter, value, err);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, key,
                     "filter '%.60s' is not known; allowed are state, workflow, version, order, "
                     "accepted_from_ms, accepted_to_ms, limit, payloads and page",
                     key);
}
