#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "executor/executor_impl.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY)

bytes *output_of_json(const json_t *value)
{
    char room[1024]; /* most values fit: one pass */
    size_t len = json_dumpb(value, room, sizeof room, DUMP_FLAGS);
    bytes *b;

    if (!len || len > BYTES_MAX_LEN)
        return NULL;
    if (len <= sizeof room)
        return bytes_new(room, len);
    b = bytes_new(NULL, len);
    if (b && json_dumpb(value, b->data, len, DUMP_FLAGS) != len) {
        bytes_unref(b);
        b = NULL;
    }
    return b;
}

/* Of text that is known to be JSON. */
static unsigned depth_of(const char *text, size_t len)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > deepest)
                deepest = depth;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return deepest;
}

int32_t output_check_json(const char *what, const char *text, size_t len, orch_error **err)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY, &error);

    if (!value && json_lacked_memory(&error))
        return error_no_memory(err);
    if (!value)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, what,
                         "%s is not JSON: %s at line %d column %d", what, error.text, error.line,
                         error.column);
    json_decref(value);
    if (depth_of(text, len) > JSON_MAX_DEPTH)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, what,
                         "%s is nested more than %d levels deep", what, JSON_MAX_DEPTH);
    return 0;
}

static size_t sequence_length(const char *s, size_t left)
{
    unsigned char c = (unsigned char)*s;
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    return c && n <= left && text_is_utf8(s, n) ? n : 0;
}

void output_add_clean(buf *b, const char *text, size_t len)
{
    size_t done = 0;

    for (size_t i = 0; i < len;) {
        size_t n = sequence_length(text + i, len - i);

        if (n) {
            i += n;
            continue;
        }
        buf_add(b, text + done, i - done);
        buf_puts(b, "\xef\xbf\xbd");
        done = ++i;
    }
    buf_add(b, text + done, len - done);
}
