#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static bool reserve(buf *b, size_t more)
{
    char *grown;

    if (b->failed)
        return false;
    if (more < b->cap - b->len)
        return true;
    grown = more < (size_t)-1 - b->len - 1 ? mem_grow(b->data, &b->cap, b->len + more + 1, 1)
                                           : NULL;
    if (!grown) {
        b->failed = true;
        return false;
    }
    b->data = grown;
    return true;
}

bool buf_room(buf *b, size_t more)
{
    return reserve(b, more);
}

bool buf_fit(buf *b, size_t size)
{
    char *exact = size < (size_t)-1 ? mem_realloc(b->data, size + 1) : NULL;

    if (!exact) {
        b->failed = true;
        return false;
    }
    b->data = exact;
    b->cap = size + 1;
    return true;
}

void buf_add(buf *b, const void *data, size_t len)
{
    if (!reserve(b, len))
        return;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_puts(buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_putc(buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(buf *b, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void buf_json_string(buf *b, const char *s, size_t len)
{
    static const char short_escapes[] = "btn.fr"; /* \b \t \n (no short form for \v) \f \r */
    size_t from = 0;

    buf_putc(b, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, s + from, i - from);
        from = i + 1;
        buf_putc(b, '\\');
        if (c == '"' || c == '\\')
            buf_putc(b, (char)c);
        else if (c >= '\b' && c <= '\r' && c != '\v')
            buf_putc(b, short_escapes[c - '\b']);
        else
            buf_printf(b, "u%04x", c);
    }
    buf_add(b, s + from, len - from);
    buf_putc(b, '"');
}

char *buf_take(buf *b)
{
    char *text = NULL;

    if (reserve(b, 0)) {
        b->data[b->len] = '\0';
        text = b->data;
        b->data = NULL;
    }
    buf_free(b);
    return text;
}

bytes *buf_bytes(buf *b)
{
    bytes *made = b->failed ? NULL : bytes_new(b->data, b->len);

    buf_free(b);
    return made;
}

void buf_clear(buf *b)
{
    b->len = 0;
    b->failed = false;
}

void buf_free(buf *b)
{
    mem_free(b->data);
    *b = (buf)BUF_INIT;
}
