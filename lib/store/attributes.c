#include "store/attributes.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "workflow/definition.h"

static int32_t not_read(const json_error_t *where, const char *what, orch_error **err)
{
    if (json_lacked_memory(where))
        return error_no_memory(err);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, what, "%s: not JSON: line %d column %d: %s",
                     what, where->line, where->column, where->text);
}

static int32_t canonical_value(const json_t *value, const char *name, bytes **out, orch_error **err)
{
    if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "attribute '%s' is neither a text nor a number, true or false", name);
    *out = canonical_json(value);
    return *out ? 0 : error_no_memory(err);
}

int32_t attribute_value(const char *json, const char *name, bytes **out, orch_error **err)
{
    json_error_t where;
    json_t *value = json_loads(json, JSON_DECODE_ANY, &where);
    int32_t rc = value ? canonical_value(value, name, out, err) : not_read(&where, name, err);

    json_decref(value);
    return rc;
}

static int32_t read_members(json_t *object, attribute_list *l, orch_error **err)
{
    const char *name;
    json_t *value;

    l->rows = mem_calloc(json_object_size(object), sizeof *l->rows);
    if (!l->rows)
        return error_no_memory(err);
    json_object_foreach(object, name, value)
    {
        attribute *a = &l->rows[l->count++];
        int32_t rc = canonical_value(value, name, &a->value, err);

        if (rc != 0)
            return rc;
        a->name = mem_strdup(name);
        if (!a->name)
            return error_no_memory(err);
    }
    return 0;
}

int32_t attributes_read(const bytes *json, attribute_list *out, orch_error **err)
{
    attribute_list l = {0};
    json_error_t where;
    json_t *object;
    int32_t rc;

    *out = l;
    if (!json)
        return 0;
    object = json_loadb(json->data, json->len, JSON_REJECT_DUPLICATES, &where);
    if (!object)
        return not_read(&where, "attributes", err);
    if (json_is_object(object))
        rc = read_members(object, &l, err);
    else
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "attributes",
                       "the attributes are no JSON object");
    json_decref(object);
    if (rc == 0)
        *out = l;
    else
        attributes_clear(&l);
    return rc;
}

void attributes_clear(attribute_list *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        mem_free(l->rows[i].name);
        bytes_unref(l->rows[i].value);
    }
    mem_free(l->rows);
    memset(l, 0, sizeof *l);
}
