/* A growing byte buffer. A failed allocation sticks: appends do nothing afterwards and `failed` tells,
 * so that a writer checks once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

typedef struct buf {
    char *data; /* NUL-terminated once anything was appended */
    size_t len;
    size_t cap;
    bool failed;
} buf;

#define BUF_INIT          \
    {                     \
        NULL, 0, 0, false \
    }

/* Make room for so many bytes behind those that are there, for who writes them by hand. False if it failed. */
bool buf_room(buf *b, size_t more);
/* Make an empty one hold so many bytes and not more, where it is known what comes. False if it failed. */
bool buf_fit(buf *b, size_t size);
void buf_add(buf *b, const void *data, size_t len);
void buf_puts(buf *b, const char *s);
void buf_putc(buf *b, char c);
void buf_printf(buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends s as a JSON string with quotes; control characters escaped, UTF-8 kept. */
void buf_json_string(buf *b, const char *s, size_t len);
char *buf_take(
    buf *b); /* NUL-terminated text, mem_free; NULL if the buffer failed; b is empty again */
bytes *buf_bytes(buf *b); /* a copy as bytes; NULL if failed; b is freed */
void buf_clear(buf *b);   /* length 0, memory kept */
void buf_free(buf *b);

#endif
