/* Where payloads leave the engine and come in. */
#include "base/error.h"
#include "engine/engine_impl.h"

static int32_t decode_row(const codec *c, checkpoint *row, orch_error **err)
{
    int32_t rc = codec_decode(c, &row->output, err);

    return rc ? rc : codec_decode_error(c, &row->error, err);
}

int32_t payloads_decode_note(const codec *c, inbox_note *n, orch_error **err)
{
    bool is_error = n->kind == NOTE_CHILD_ENDED && n->state != NOTE_SUCCEEDED;

    if (n->kind == NOTE_CANCEL) /* the reason, which is for everybody */
        return 0;
    return is_error ? codec_decode_error(c, &n->payload, err) : codec_decode(c, &n->payload, err);
}

int32_t payloads_decode_start(const codec *c, message_start *s, orch_error **err)
{
    int32_t rc = codec_decode(c, &s->input, err);

    for (uint32_t i = 0; !rc && i < s->checkpoint_count; i++)
        rc = decode_row(c, &s->checkpoints[i], err);
    for (uint32_t i = 0; !rc && i < s->inbox_count; i++)
        rc = payloads_decode_note(c, &s->inbox[i], err);
    if (rc)
        error_prefix(err, "execution %s: ", s->execution);
    return rc;
}

int32_t payloads_encode_row(const codec *c, checkpoint *row, orch_error **err)
{
    int32_t rc = codec_encode(c, &row->output, err);

    return rc ? rc : codec_encode_error(c, &row->error, err);
}

/* Without it: {"code","message","step"} of what it was. */
static bytes *readable(const bytes *error)
{
    json_t *tree = json_loadb(error->data, error->len, 0, NULL);
    json_t *kept = json_pack("{s:O,s:O,s:O*}", "code", json_object_get(tree, "code"), "message",
                             json_object_get(tree, "message"), "step",
                             json_object_get(tree, "step"));
    bytes *text = kept ? json_to_bytes(kept) : NULL;

    json_decref(kept);
    json_decref(tree);
    return text;
}

void payloads_encode_error(slot *s, bytes **error)
{
    orch_error *why = NULL;
    bytes *kept;

    if (!codec_encode_error(&s->engine->options.codec, error, &why))
        return;
    log_write(s->engine->ports.log, ORCH_LOG_WARNING,
              "execution %s: the data of its error is lost: %s", s->start->execution,
              orch_error_message(why));
    orch_error_free(why);
    kept = readable(*error);
    bytes_unref(*error);
    *error = kept;
}
