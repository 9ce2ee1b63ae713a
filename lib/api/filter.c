/* Filters of a list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/json.h"
#include "base/text.h"
#include "workflow/definition.h"

#define PAGE_MAX             10000
#define ATTRIBUTE_TEXT_BYTES (16 * 1024)

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
    mem_free(filter->parent);
    mem_free(filter->start_key);
    mem_free(filter->limit_key);
    mem_free(filter->attribute);
    mem_free(filter->attribute_value);
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

static int32_t set_time(const char *key, const char *value, int64_t *out, orch_error **err)
{
    uint64_t n;
    int32_t rc = set_number(key, value, 0, INT64_MAX, &n, err);

    if (!rc)
        *out = (int64_t)n;
    return rc;
}

static int32_t set_accepted_from(orch_filter *f, const char *value, orch_error **err)
{
    return set_time("accepted_from_ms", value, &f->filter.accepted_from_ms, err);
}

static int32_t set_accepted_to(orch_filter *f, const char *value, orch_error **err)
{
    return set_time("accepted_to_ms", value, &f->filter.accepted_to_ms, err);
}

static int32_t set_ended_from(orch_filter *f, const char *value, orch_error **err)
{
    return set_time("ended_from_ms", value, &f->filter.ended_from_ms, err);
}

static int32_t set_ended_to(orch_filter *f, const char *value, orch_error **err)
{
    return set_time("ended_to_ms", value, &f->filter.ended_to_ms, err);
}

/* Its key is looked up when the list is read. */
static int32_t set_parent(orch_filter *f, const char *value, orch_error **err)
{
    int32_t rc = execution_id_check_any(value, err);

    if (rc) {
        error_prefix(err, "filter parent: ");
        return rc;
    }
    return replace_text(&f->parent, value) ? error_no_memory(err) : 0;
}

static int32_t set_key(const char *key, const char *value, char **field, orch_error **err)
{
    if (!is_key_text(value))
        return refuse(key, value, "1 to 256 bytes of UTF-8 without control characters", err);
    return replace_text(field, value) ? error_no_memory(err) : 0;
}

static int32_t set_start_key(orch_filter *f, const char *value, orch_error **err)
{
    int32_t rc = set_key("start_key", value, &f->start_key, err);

    f->filter.start_key = f->start_key;
    return rc;
}

static int32_t set_limit_key(orch_filter *f, const char *value, orch_error **err)
{
    int32_t rc = set_key("limit_key", value, &f->limit_key, err);

    f->filter.limit_key = f->limit_key;
    return rc;
}

/* As it is kept: canonical. *out stays NULL if it is none. */
static int32_t attribute_value(const char *text, char **out)
{
    json_error_t where;
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    bool scalar = json_is_string(value) || json_is_number(value) || json_is_boolean(value);
    bool no_memory = !value && json_lacked_memory(&where);
    bytes *canonical = scalar ? canonical_json(value) : NULL;

    if (canonical)
        *out = mem_strndup(canonical->data, canonical->len);
    no_memory = no_memory || (scalar && !*out);
    bytes_unref(canonical);
    json_decref(value);
    return no_memory ? ORCH_E_RESOURCE_EXHAUSTED : 0;
}

static int32_t read_attribute(const char *value, char **name, char **text)
{
    const char *equals = strchr(value, '=');

    if (!equals || strlen(equals) > ATTRIBUTE_TEXT_BYTES)
        return 0;
    *name = mem_strndup(value, (size_t)(equals - value));
    if (!*name)
        return ORCH_E_RESOURCE_EXHAUSTED;
    return text_is_name(*name, NAME_MAX_LEN) ? attribute_value(equals + 1, text) : 0;
}

static int32_t set_attribute(orch_filter *f, const char *value, orch_error **err)
{
    char *name = NULL, *text = NULL;
    int32_t rc = read_attribute(value, &name, &text);

    if (rc || !text) {
        mem_free(name);
        return rc ? error_no_memory(err)
                  : refuse("attribute", value,
                           "NAME=VALUE, where VALUE is a JSON string, number or boolean", err);
    }
    mem_free(f->attribute);
    mem_free(f->attribute_value);
    f->filter.attribute = f->attribute = name;
    f->filter.attribute_value = f->attribute_value = text;
    return 0;
}

static int32_t read_bool(const char *key, const char *value, bool *out, orch_error **err)
{
    *out = !strcmp(value, "true");
    return *out || !strcmp(value, "false") ? 0 : refuse(key, value, "true or false", err);
}

static int32_t set_paused(orch_filter *f, const char *value, orch_error **err)
{
    bool paused;
    int32_t rc = read_bool("paused", value, &paused, err);

    if (!rc)
        f->filter.paused = paused ? 1 : 2;
    return rc;
}

static int32_t set_everything(orch_filter *f, const char *value, orch_error **err)
{
    bool everything;
    int32_t rc = read_bool("everything", value, &everything, err);

    if (!rc)
        f->everything = everything;
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
    bool payloads;
    int32_t rc = read_bool("payloads", value, &payloads, err);

    if (!rc)
        f->filter.payloads = payloads;
    return rc;
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
        {"state", set_state},
        {"workflow", set_workflow},
        {"version", set_version},
        {"accepted_from_ms", set_accepted_from},
        {"accepted_to_ms", set_accepted_to},
        {"ended_from_ms", set_ended_from},
        {"ended_to_ms", set_ended_to},
        {"parent", set_parent},
        {"start_key", set_start_key},
        {"limit_key", set_limit_key},
        {"attribute", set_attribute},
        {"paused", set_paused},
        {"order", set_order},
        {"limit", set_limit},
        {"payloads", set_payloads},
        {"page", set_page},
        {"everything", set_everything},
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
                     "filter '%.60s' is not known; allowed are state, workflow, version, "
                     "accepted_from_ms, accepted_to_ms, ended_from_ms, ended_to_ms, parent, "
                     "start_key, limit_key, attribute, paused, order, limit, payloads, page and "
                     "everything",
                     key);
}

int32_t filter_resolve(orch_v2 *o, const orch_filter *f, execution_filter *out, orch_error **err)
{
    *out = f ? f->filter : (execution_filter){0};
    if (!f)
        return 0;
    if (f->start_key && !f->workflow)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "start_key",
                         "filter start_key needs a workflow: keys of different workflows do not "
                         "meet");
    return f->parent ? query_key(o, f->parent, &out->parent, err) : 0;
}

bool filter_narrows(const orch_filter *f)
{
    const execution_filter *e = &f->filter;

    return e->states || f->workflow || f->version || e->accepted_from_ms || e->accepted_to_ms ||
           e->ended_from_ms || e->ended_to_ms || f->parent || f->start_key || f->limit_key ||
           f->attribute || e->paused;
}
