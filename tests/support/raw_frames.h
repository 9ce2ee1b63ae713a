/* Frames of HTTP/2 as bytes, for tests that are one end of a connection by hand. */
#ifndef SUPPORT_RAW_FRAMES_H
#define SUPPORT_RAW_FRAMES_H

#include "base/buf.h"

#include <stdint.h>

#define RAW_PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define RAW_SETTINGS "\0\0\0\4\0\0\0\0\0"   /* none: 9 bytes */
#define RAW_PING     "\0\0\x08\6\0\0\0\0\0" /* 8 bytes follow */
#define RAW_PING_LEN 17

enum {
    RAW_DATA,
    RAW_HEADERS,
    RAW_RST_STREAM = 3,
    RAW_SETTINGS_FRAME,
    RAW_PING_FRAME = 6,
    RAW_GOAWAY,
    RAW_WINDOW_UPDATE,
    RAW_CONTINUATION
};
enum { RAW_END_STREAM = 1, RAW_END_HEADERS = 4 };

void raw_put_frame(buf *out, uint8_t type, uint8_t flags, uint32_t stream, const void *body,
                   size_t len);
/* A HEADERS frame, whole, of "name: value" in each line, as literals that no table keeps; of 126 bytes at most each. */
void raw_put_fields(buf *out, uint8_t flags, uint32_t stream, const char *lines);
/* The n-th frame of that type in what came, behind a client's preface; NULL. Its head is 9 bytes. */
const uint8_t *raw_frame(const buf *came, uint8_t type, int n);
uint32_t raw_number(const uint8_t *at); /* 4 bytes */

#endif
