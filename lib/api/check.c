#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api_impl.h"
#include "base/json.h"
#include "base/text.h"

#define KEY_MAX_BYTES 256

int32_t check_given(bool given, const char *name, orch_error **err)
{
    return given ? 0 : error_set(err, ORCH_E_INVALID_ARGUMENT, name, "%s must not be NULL", name);
}

int32_t check_not_null(const void *p, const char *name, orch_error **err)
{
    return check_given(p != NULL, name, err);
}

int32_t check_orch(const orch_v2 *o, orch_error **err)
{
    if (!o)
        return check_not_null(o, "orch", err);
    if (o->pid != getpid())
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                         "a forked child cannot use the orchestrator of its parent, only free it");
    return 0;
}

int32_t check_running(orch_v2 *o, orch_error **err)
{
    int32_t rc = check_orch(o, err);

    if (!rc && runtime_is_stopped(o->rt))
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, NULL, "the orchestrator is stopped");
    return rc;
}

int32_t check_may_ask(const orch_v2 *o, orch_error **err)
{
    if (role_is(ROLE_LOOP, o->rt) || role_is(ROLE_LOG, o->rt))
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                         "a log callback, or a free function on a thread of the library, must not "
                         "wait for the orchestrator");
    return 0;
}

int32_t check_may_block(const orch_v2 *o, orch_error **err)
{
    if (role_is(ROLE_DISPATCH, o->rt))
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                         "a callback of orch_v2_dispatch must not block; "
                         "orch_v2_start_workflow_async and orch_execution_on_end do not");
    return check_may_ask(o, err);
}

int32_t check_name(const char *text, const char *name, orch_error **err)
{
    if (!text)
        return check_not_null(text, name, err);
    if (!text_is_name(text, NAME_MAX_LEN))
        return error_set(
            err, ORCH_E_INVALID_ARGUMENT, name,
            "%s is '%.150s'; it must be 1 to %d of A-Z a-z 0-9 _ . - and not begin with "
            ". or -",
            name, text, NAME_MAX_LEN);
    return 0;
}

int32_t check_execution_id(const char *id, orch_error **err)
{
    return id ? execution_id_check_any(id, err) : check_not_null(id, "execution_id", err);
}

bool is_key_text(const char *text)
{
    size_t len = strlen(text);

    if (!len || len > KEY_MAX_BYTES || !text_is_utf8(text, len))
        return false;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    return true;
}

int32_t check_key(const char *text, const char *name, orch_error **err)
{
    if (!text)
        return check_not_null(text, name, err);
    if (!is_key_text(text))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "%s must be 1 to %d bytes of UTF-8 without control characters", name,
                         KEY_MAX_BYTES);
    return 0;
}

int32_t check_query(const orch_v2 *o, const char *id, const void *out, const char *out_name,
                    orch_error **err)
{
    int32_t rc = check_orch(o, err);

    if (!rc)
        rc = check_execution_id(id, err);
    if (!rc)
        rc = check_not_null(out, out_name, err);
    return rc ? rc : check_may_ask(o, err);
}

int32_t check_limit(uint32_t limit, uint32_t max, orch_error **err)
{
    return limit <= max ? 0
                        : error_set(err, ORCH_E_INVALID_ARGUMENT, "limit",
                                    "limit is %u; it must be 0 to %u", limit, max);
}

static int32_t parse(const char *text, size_t len, const char *name, bool object, orch_error **err)
{
    json_error_t where;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    bool is_object = json_is_object(value);

    json_decref(value);
    if (!value && json_lacked_memory(&where))
        return error_no_memory(err);
    if (!value)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "%s is not JSON: line %d column %d: %s", name, where.line, where.column,
                         where.text);
    if (object && !is_object)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name, "%s must be a JSON object", name);
    return 0;
}

int32_t check_json(const char *text, size_t len, const char *name, size_t max, bool object,
                   bytes **out, orch_error **err)
{
    int32_t rc;

    *out = NULL;
    if (!text || (object && len == 2 && !memcmp(text, "{}", 2)))
        return 0;
    if (len > max)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name, "%s has %zu bytes; %zu are allowed",
                         name, len, max);
    rc = parse(text, len, name, object, err);
    if (rc)
        return rc;
    *out = bytes_new(text, len);
    return *out ? 0 : error_no_memory(err);
}

int32_t pass_error(int32_t code, orch_error *error, orch_error **err)
{
    if (err && error) {
        orch_error_free(*err);
        *err = error;
    } else {
        orch_error_free(error);
    }
    return code;
}
