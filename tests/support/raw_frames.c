#include "support/raw_frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void raw_put_frame(buf *out, uint8_t type, uint8_t flags, uint32_t stream, const void *body,
                   size_t len)
{
    const uint8_t head[9] = {(uint8_t)(len >> 16),
                             (uint8_t)(len >> 8),
                             (uint8_t)len,
                             type,
                             flags,
                             (uint8_t)(stream >> 24),
                             (uint8_t)(stream >> 16),
                             (uint8_t)(stream >> 8),
                             (uint8_t)stream};

    buf_add(out, head, sizeof head);
    buf_add(out, body, len);
}

static void put_text(buf *out, const char *text, size_t len)
{
    assert_true(len < 127); /* one byte of length */
    buf_putc(out, (char)len);
    buf_add(out, text, len);
}

void raw_put_fields(buf *out, uint8_t flags, uint32_t stream, const char *lines)
{
    buf block = BUF_INIT;

    for (const char *at = lines; *at; at = strchr(at, '\n') + 1) {
        const char *value = strstr(at, ": ") + 2;

        buf_putc(&block, 0); /* literal, not indexed, new name */
        put_text(&block, at, (size_t)(value - 2 - at));
        put_text(&block, value, (size_t)(strchr(at, '\n') - value));
    }
    raw_put_frame(out, RAW_HEADERS, RAW_END_HEADERS | flags, stream, block.data, block.len);
    buf_free(&block);
}

const uint8_t *raw_frame(const buf *came, uint8_t type, int n)
{
    size_t at = came->len && came->data[0] == 'P' ? sizeof RAW_PREFACE - 1 : 0;

    while (at + 9 <= came->len) {
        const uint8_t *head = (const uint8_t *)came->data + at;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        if (at + 9 + len > came->len)
            break;
        if (head[3] == type && n-- == 0)
            return head;
        at += 9 + len;
    }
    return NULL;
}

uint32_t raw_number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
