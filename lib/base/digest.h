/* SHA-256 (FIPS 180-4), through OpenSSL. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE     32
#define DIGEST_HEX_SIZE (2 * DIGEST_SIZE + 1)

typedef struct digest {
    uint8_t b[DIGEST_SIZE];
} digest;

int32_t digest_of(const void *data, size_t len, digest *out); /* 0, or ORCH_E_RESOURCE_EXHAUSTED */
void digest_hex(const digest *d, char out[DIGEST_HEX_SIZE]);

#endif
