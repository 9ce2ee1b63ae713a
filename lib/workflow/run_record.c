/* What a run writes: checkpoints in their order, and errors. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "workflow/run_impl.h"

void *ring_grow(ring *q, size_t size)
{
    uint32_t cap = q->cap ? q->cap * 2 : 8;
    char *data;
    uint32_t first = q->cap - q->head; /* elements up to the array's end */

    if (q->cap > UINT32_MAX / 2)
        return NULL;
    data = mem_alloc((size_t)cap * size);
    if (!data)
        return NULL;
    if (q->len) { /* it is full */
        memcpy(data, q->data + (size_t)q->head * size, (size_t)first * size);
        memcpy(data + (size_t)first * size, q->data, (size_t)q->head * size);
    }
    mem_free(q->data);
    q->data = data;
    q->head = 0;
    q->cap = cap;
    return data;
}

/* A step with `"checkpoint": false` leaves only its failure: that decides what others do. */
static bool is_stored(const run *r, const checkpoint *c)
{
    return c->kind >= CHECKPOINT_CLOSING || run_step(r, c->step)->checkpoint ||
           (c->kind == CHECKPOINT_FAILED && c->index == INDEX_NONE);
}

bool run_record(run *r, checkpoint *c)
{
    place at = {c->step, c->index};
    unstored *entry;
    checkpoint *slot;

    if (!is_stored(r, c)) {
        checkpoint_clear(c);
        run_settle(r, at, c->kind);
        return true;
    }
    entry = ring_push(&r->unstored, sizeof *entry);
    slot = entry ? ring_push(&r->made, sizeof *slot) : NULL;
    if (!slot) {
        r->unstored.len -= entry != NULL;
        checkpoint_clear(c);
        run_no_memory(r);
        return false;
    }
    *entry = (unstored){at, c->kind};
    *slot = *c;
    slot->ended_ms = r->now_ms;
    r->last_seq++; /* its seq: written when it is given, in the same order */
    if (r->aftermath)
        run_note_end(r, c);
    return true;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void add_member(buf *b, const char *key, const char *value)
{
    buf_printf(b, "%s\"%s\":", b->len ? "," : "{", key);
    buf_json_string(b, value, strlen(value));
}

bytes *run_error_text(int32_t code, const char *message)
{
    buf b = BUF_INIT;

    add_member(&b, "code", orch_code_name(code));
    add_member(&b, "message", message);
    buf_putc(&b, '}');
    return buf_bytes(&b);
}

bytes *run_error(int32_t code, const char *format, ...)
{
    char message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return run_error_text(code, message);
}

static void add_data(buf *b, const json_t *tree)
{
    const json_t *data = json_object_get(tree, "data");
    char *text;

    if (!data)
        return;
    text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return;
    buf_puts(b, ",\"data\":");
    buf_puts(b, text);
    free(text);
}

bytes *run_error_wrap(const bytes *error, int32_t code, const char *prefix, const char *step_id)
{
    json_t *tree = error ? json_loadb(error->data, error->len, 0, NULL) : NULL;
    const char *name = json_string_value(json_object_get(tree, "code"));
    const char *message = json_string_value(json_object_get(tree, "message"));
    buf text = BUF_INIT, b = BUF_INIT;

    buf_puts(&text, prefix);
    buf_puts(&text, message ? message : "failed without a message");
    add_member(&b, "code", name ? name : orch_code_name(code));
    if (!text.failed)
        add_member(&b, "message", text.data);
    if (step_id)
        add_member(&b, "step", step_id);
    add_data(&b, tree);
    buf_putc(&b, '}');
    b.failed = b.failed || text.failed;
    buf_free(&text);
    json_decref(tree);
    return buf_bytes(&b);
}
