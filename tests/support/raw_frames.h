/* Frames of HTTP/2 as bytes, for tests that are one end of a connection by hand. */
#ifndef SUPPORT_RAW_FRAMES_H
#define SUPPORT_RAW_FRAMES_H

#include "base/buf.h"

#include <stdint.h>

#define RAW_PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define RAW_SETTINGS "\0\0\0\4\0\0\0\0\0"   /* none: 9 bytes */
#define RAW_PING     "\0\0\x08\6\0\0\0\0\0" /* 8 bytes follow */
#define RAW_PING_LEN 17

/* The n-th frame of that type in what came, behind a client's preface; NULL. Its head is 9 bytes. */
const uint8_t *raw_frame(const buf *came, uint8_t type, int n);
uint32_t raw_number(const uint8_t *at); /* 4 bytes */

#endif
