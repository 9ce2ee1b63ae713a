/* Messages of gRPC in the bytes of a stream, with gzip: cut anywhere they are the same. The first byte says how large the pieces are, and
 * whether gzip was announced. */
#include "fuzz/fuzz.h"
#include "grpc/framing.h"

#define MAX_MESSAGE 65536

typedef struct told {
    size_t count, bytes;
    uint32_t sum;
} told;

static bool take(void *ctx, const uint8_t *data, size_t len)
{
    told *t = ctx;

    HOLDS(len <= MAX_MESSAGE);
    t->count++;
    t->bytes += len;
    for (size_t i = 0; i < len; i++)
        t->sum = t->sum * 31 + data[i];
    return true;
}

static int32_t feed(told *t, const uint8_t *data, size_t size, size_t piece, bool inflates)
{
    grpc_deframer d = {.max_bytes = MAX_MESSAGE, .inflates = inflates};
    const char *why = "";
    int32_t code = 0;

    for (size_t at = 0; at < size && !code; at += piece) {
        size_t n = size - at < piece ? size - at : piece, taken;

        code = grpc_deframe(&d, data + at, n, &taken, take, t, &why);
        HOLDS(taken <= n && (code || taken == n));
        HOLDS((code != 0) == (*why != '\0'));
    }
    grpc_deframer_clear(&d);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    told whole = {0}, cut = {0};

    if (!size)
        return 0;
    HOLDS(feed(&whole, data + 1, size - 1, size, *data & 1) ==
          feed(&cut, data + 1, size - 1, (size_t)(*data >> 1) + 1, *data & 1));
    HOLDS(whole.count == cut.count && whole.bytes == cut.bytes && whole.sum == cut.sum);
    return 0;
}
