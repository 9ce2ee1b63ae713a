#include <openssl/evp.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "executor/executor_impl.h"

static const char *const forms[] = {"auto", "json", "text", "base64"};

int32_t with_capture(const json_t *with, enum capture_as *out, orch_error **err)
{
    const char *text = NULL;
    int32_t rc = with_text(with, "output", &text, err);

    if (rc || !text)
        return rc;
    for (int i = 0; i < (int)(sizeof forms / sizeof *forms); i++) {
        if (!strcmp(forms[i], text)) {
            *out = (enum capture_as)i;
            return 0;
        }
    }
    return error_set(err, ORCH_E_INVALID_ARGUMENT, "output",
                     "with.output: \"%.64s\" is not one of auto, json, text, base64", text);
}

static int32_t add_base64(buf *b, const char *data, size_t len, orch_error **err)
{
    size_t size = 4 * ((len + 2) / 3);
    char *text = mem_alloc(size + 1);

    if (!text)
        return error_no_memory(err);
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)data, (int)len);
    buf_putc(b, '"');
    buf_add(b, text, size);
    buf_putc(b, '"');
    mem_free(text);
    return 0;
}

int32_t capture_add(buf *b, enum capture_as as, const char *what, const char *data, size_t len,
                    orch_error **err)
{
    int32_t rc;

    if (as == CAPTURE_BASE64)
        return add_base64(b, data, len, err);
    if (as == CAPTURE_JSON) {
        rc = output_check_json(what, data, len, err);
        if (!rc)
            buf_add(b, data, len);
        return rc;
    }
    if (!text_is_utf8(data, len) || memchr(data, '\0', len))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, what,
                         "%s is not UTF-8 text; with.output: \"base64\" takes any bytes", what);
    buf_json_string(b, data, len);
    return 0;
}
