#include "workflow/child.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "workflow/canonical_impl.h"
#include "workflow/checkpoint.h"
#include "workflow/definition_impl.h"

#define NESTING_MAX 1000 /* of `inputs` */

/* ---- `with` ---------------------------------------------------------------------------------- */

/* Borrowed from the tree. */
typedef struct child_fields {
    const char *workflow, *version;
    json_t *inputs;
    uint8_t on_cancel;
    int32_t priority;
    int64_t timeout_ms;
} child_fields;

static int32_t read_workflow(reader *r, void *into, json_t *value)
{
    return read_name(r, value, &((child_fields *)into)->workflow);
}

static int32_t read_version(reader *r, void *into, json_t *value)
{
    child_fields *f = into;
    semver_range *range;
    int32_t rc = read_text(r, value, "a range of versions such as \"^1.2.0\"", &f->version);

    if (rc)
        return rc;
    rc = semver_range_parse(f->version, &range, r->err);
    if (rc)
        return reader_pass_on(r, rc, false);
    semver_range_free(range);
    return 0;
}

static int32_t read_inputs(reader *r, void *into, json_t *value)
{
    if (!json_is_object(value))
        return reader_expected(r, value, "an object");
    ((child_fields *)into)->inputs = value;
    return 0;
}

static int32_t read_on_cancel(reader *r, void *into, json_t *value)
{
    static const char *const words[] = {
        [CHILD_CANCEL] = "cancel", [CHILD_ABANDON] = "abandon", NULL};

    return read_word(r, value, words, "cancel, abandon", &((child_fields *)into)->on_cancel);
}

static int32_t read_priority(reader *r, void *into, json_t *value)
{
    int64_t n = -1;
    int32_t rc = read_integer(r, value, 0, CHILD_PRIORITY_MAX, &n);

    ((child_fields *)into)->priority = (int32_t)n;
    return rc;
}

static int32_t read_timeout(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 1, &((child_fields *)into)->timeout_ms);
}

static const field rows[] = {
    {"workflow", read_workflow, true},  {"version", read_version, false},
    {"inputs", read_inputs, false},     {"on_cancel", read_on_cancel, false},
    {"priority", read_priority, false}, {"timeout", read_timeout, false},
};
static const shape child_shape = SHAPE("the `with` of workflow", rows);

int32_t child_check_with(reader *r, json_t *with)
{
    child_fields f = {0};

    return shape_read_with(r, &child_shape, with, &f, true);
}

/* ---- Evaluated ------------------------------------------------------------------------------- */

static int32_t read_fields(json_t *with, child_fields *f, orch_error **err)
{
    reader r = {.err = err};

    *f = (child_fields){.priority = -1};
    place_key(&r, "with");
    return shape_read_with(&r, &child_shape, with, f, false);
}

static int32_t write_text(json_t *with, bytes **out, orch_error **err)
{
    const canonical_limits limits = {BYTES_MAX_LEN, NESTING_MAX, false};
    json_t *given = json_object();
    buf text = BUF_INIT;
    int32_t rc = given ? 0 : error_no_memory(err);

    for (void *it = json_object_iter(with); it && !rc; it = json_object_iter_next(with, it)) {
        json_t *value = json_object_iter_value(it);

        if (!json_is_null(value) && json_object_set_nocheck(given, json_object_iter_key(it), value))
            rc = error_no_memory(err);
    }
    if (!rc)
        rc = canonical_write(&text, given, &limits, err);
    json_decref(given);
    if (rc) {
        buf_free(&text);
        return rc;
    }
    *out = buf_bytes(&text);
    return *out ? 0 : error_no_memory(err);
}

int32_t child_spec_check(json_t *with, const char *step, bytes **out, orch_error **err)
{
    child_fields f;
    bytes *text = NULL;
    int32_t rc = read_fields(with, &f, err);

    if (!rc)
        rc = write_text(with, &text, err);
    if (rc)
        error_prefix(err, "step '%s': ", step);
    else
        *out = text;
    return rc;
}

static bool keep(const child_fields *f, child_spec *s)
{
    *s = (child_spec){
        .on_cancel = f->on_cancel, .priority = f->priority, .timeout_ms = f->timeout_ms};
    s->workflow = mem_strdup(f->workflow);
    if (f->version)
        s->version = mem_strdup(f->version);
    if (f->inputs)
        s->inputs = canonical_json(f->inputs);
    return s->workflow && (!f->version || s->version) && (!f->inputs || s->inputs);
}

int32_t child_spec_read(const bytes *text, child_spec *out, orch_error **err)
{
    json_error_t where;
    json_t *with = json_loadb(text->data, text->len, 0, &where);
    child_fields f;
    int32_t rc;

    if (!with && json_lacked_memory(&where))
        return error_no_memory(err);
    rc = with ? read_fields(with, &f, err) : ORCH_E_INVALID_ARGUMENT;
    if (rc == ORCH_E_INVALID_ARGUMENT) {
        rc = error_set(err, ORCH_E_DATA_LOSS, NULL,
                       "what a child was to be started with is stored, but cannot be read");
    } else if (!rc && !keep(&f, out)) {
        child_spec_clear(out);
        rc = error_no_memory(err);
    }
    json_decref(with);
    return rc;
}

void child_spec_clear(child_spec *s)
{
    mem_free(s->workflow);
    mem_free(s->version);
    bytes_unref(s->inputs);
    *s = (child_spec){0};
}

/* ---- The id ---------------------------------------------------------------------------------- */

/* Ends `id`. */
static char *within_limit(buf *id)
{
    char hex[DIGEST_HEX_SIZE];
    digest d;

    if (id->failed || id->len <= CHILD_ID_MAX)
        return buf_take(id);
    if (digest_of(id->data, id->len, &d)) {
        buf_free(id);
        return NULL;
    }
    digest_hex(&d, hex);
    buf_clear(id);
    buf_printf(id, "~%s", hex);
    return buf_take(id);
}

char *child_id(const char *parent, uint32_t run, const char *step, uint32_t index, uint32_t attempt)
{
    buf id = BUF_INIT;

    buf_printf(&id, "%s/%" PRIu32 "/%s", parent, run, step);
    if (index != INDEX_NONE)
        buf_printf(&id, "/%" PRIu32, index);
    if (attempt > 1)
        buf_printf(&id, "~%" PRIu32, attempt);
    return within_limit(&id);
}

char *child_id_of_task(const char *idempotency_key, const char *key)
{
    buf id = BUF_INIT;

    buf_puts(&id, idempotency_key);
    if (key)
        buf_printf(&id, "~%s", key);
    return within_limit(&id);
}
