/* Options of a start. */
#include <string.h>

#include "api/api_impl.h"
#include "base/text.h"
#include "workflow/definition.h"

#define YEAR_MS              (366LL * 24 * 3600 * 1000)
#define TIMEOUT_MAX_MS       (100 * YEAR_MS)
#define START_AT_MAX_MS      (200 * YEAR_MS)
#define ATTRIBUTES_MAX       64
#define ATTRIBUTES_MAX_BYTES (16 * 1024)

int32_t replace_text(char **field, const char *text)
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
    orch_start_options *o = mem_zalloc(sizeof *o);

    if (o)
        o->priority = -1;
    return o;
}

void orch_start_options_free(orch_start_options *options)
{
    if (!options)
        return;
    mem_free(options->id);
    mem_free(options->version);
    mem_free(options->start_key);
    mem_free(options->affinity);
    mem_free(options->limit_key);
    bytes_unref(options->attributes);
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

/* ---- keys ------------------------------------------------------------------------------------------------ */

static int32_t replace_key(char **field, const char *text)
{
    return text && !is_key_text(text) ? ORCH_E_INVALID_ARGUMENT : replace_text(field, text);
}

int32_t orch_start_options_set_start_key(orch_start_options *options, const char *key,
                                         int32_t policy, int64_t ttl_ms)
{
    int32_t rc;

    if (!options || policy < ORCH_START_KEY_RETURN || policy > ORCH_START_KEY_ANEW || ttl_ms < 0 ||
        ttl_ms > TIMEOUT_MAX_MS)
        return ORCH_E_INVALID_ARGUMENT;
    rc = replace_key(&options->start_key, key);
    if (rc)
        return rc;
    options->start_key_policy = (uint8_t)policy;
    options->start_key_ttl_ms = ttl_ms;
    return 0;
}

int32_t orch_start_options_set_affinity(orch_start_options *options, const char *affinity)
{
    return options ? replace_key(&options->affinity, affinity) : ORCH_E_INVALID_ARGUMENT;
}

int32_t orch_start_options_set_limit_key(orch_start_options *options, const char *limit_key)
{
    return options ? replace_key(&options->limit_key, limit_key) : ORCH_E_INVALID_ARGUMENT;
}

/* ---- when and in what order ------------------------------------------------------------------------------ */

int32_t orch_start_options_set_start_at(orch_start_options *options, int64_t start_at_ms)
{
    if (!options || start_at_ms < 0 || start_at_ms > START_AT_MAX_MS)
        return ORCH_E_INVALID_ARGUMENT;
    options->start_at_ms = start_at_ms;
    options->delay_ms = 0;
    return 0;
}

int32_t orch_start_options_set_delay(orch_start_options *options, int64_t delay_ms)
{
    if (!options || delay_ms < 0 || delay_ms > TIMEOUT_MAX_MS)
        return ORCH_E_INVALID_ARGUMENT;
    options->delay_ms = delay_ms;
    options->start_at_ms = 0;
    return 0;
}

int32_t orch_start_options_set_priority(orch_start_options *options, int32_t priority)
{
    if (!options || priority < 0 || priority >= PRIORITIES)
        return ORCH_E_INVALID_ARGUMENT;
    options->priority = (int8_t)priority;
    return 0;
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

static int32_t check_attribute(const char *name, const json_t *value, orch_error **err)
{
    if (!text_is_name(name, NAME_MAX_LEN))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "attributes_json: the name of an attribute is '%.150s'; it must be 1 to "
                         "%d of A-Z a-z 0-9 _ . - and not begin with . or -",
                         name, NAME_MAX_LEN);
    if (json_is_object(value) || json_is_array(value) || json_is_null(value))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "attributes_json: attribute '%s' is %s; it must be a string, a number or "
                         "a boolean",
                         name,
                         json_is_null(value)    ? "null"
                         : json_is_array(value) ? "a list"
                                                : "an object");
    return 0;
}

static int32_t check_attributes(json_t *all, orch_error **err)
{
    size_t count = json_object_size(all);
    const char *name;
    json_t *value;
    int32_t rc = 0;

    if (count > ATTRIBUTES_MAX)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "attributes_json",
                         "attributes_json has %zu members; %d are allowed", count, ATTRIBUTES_MAX);
    json_object_foreach(all, name, value)
    {
        rc = check_attribute(name, value, err);
        if (rc)
            return rc;
    }
    return 0;
}

int32_t attributes_canonical(const char *text, size_t len, bytes **out, orch_error **err)
{
    bytes *given = NULL;
    json_t *tree;
    int32_t rc = check_json(text, len, "attributes_json", ATTRIBUTES_MAX_BYTES, true, &given, err);

    if (rc || !given)
        return rc;
    tree = json_loadb(given->data, given->len, 0, NULL);
    bytes_unref(given);
    if (!tree)
        return error_no_memory(err); /* it was read a moment ago */
    rc = check_attributes(tree, err);
    if (!rc) {
        *out = canonical_json(tree);
        rc = *out ? 0 : error_no_memory(err);
    }
    json_decref(tree);
    return rc;
}

int32_t orch_start_options_set_attributes(orch_start_options *options, const char *attributes_json,
                                          size_t len, orch_error **err)
{
    bytes *attributes = NULL;
    int32_t rc = check_not_null(options, "options", err);

    if (!rc)
        rc = attributes_canonical(attributes_json, len, &attributes, err);
    if (rc)
        return rc;
    bytes_unref(options->attributes);
    options->attributes = attributes;
    return 0;
}
