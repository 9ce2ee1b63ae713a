#include "support/raw_frames.h"

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
