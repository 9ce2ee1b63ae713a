#include "base/digest.h"

#include <openssl/evp.h>
#include <orch/error.h>

int32_t digest_of(const void *data, size_t len, digest *out)
{
    unsigned n = 0;

    if (EVP_Digest(data, len, out->b, &n, EVP_sha256(), NULL) != 1 || n != DIGEST_SIZE)
        return ORCH_E_RESOURCE_EXHAUSTED;
    return 0;
}

void digest_hex(const digest *d, char out[DIGEST_HEX_SIZE])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_SIZE; i++) {
        out[2 * i] = hex[d->b[i] >> 4];
        out[2 * i + 1] = hex[d->b[i] & 15];
    }
    out[2 * DIGEST_SIZE] = '\0';
}
