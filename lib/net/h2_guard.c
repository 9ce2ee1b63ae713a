/* What an honest peer does not do without end: reset streams, and send frames that bring nothing. Each costs of an
 * account that fills again with time and with honest work; empty, the connection ends with ENHANCE_YOUR_CALM. Frames
 * that have to be acknowledged, CONTINUATION and SETTINGS are nghttp2's to count. */
#include "net/h2_impl.h"

#define RESETS     5000 /* at once: a client may well cancel thousands of calls */
#define RESETS_A_S 200
#define IDLES      5000
#define IDLES_A_S  1000
#define NS_A_S     INT64_C(1000000000)

void h2_guard_init(h2 *h)
{
    h->refilled_ns = h->loop->now_ns;
    h->resets = RESETS;
    h->idles = IDLES;
}

static int32_t add(int32_t account, int64_t more, int32_t most)
{
    return account + more < most ? (int32_t)(account + more) : most;
}

static void refill(h2 *h)
{
    int64_t passed = h->loop->now_ns - h->refilled_ns;

    if (passed < NS_A_S / 10)
        return;
    h->refilled_ns = h->loop->now_ns;
    h->resets = add(h->resets, passed * RESETS_A_S / NS_A_S, RESETS);
    h->idles = add(h->idles, passed * IDLES_A_S / NS_A_S, IDLES);
}

void h2_guard_note(h2 *h, enum h2_event e)
{
    switch (e) {
    case H2_COMPLETED: h->resets = add(h->resets, 1, RESETS); return;
    case H2_USEFUL: h->idles = add(h->idles, 2, IDLES); return;
    case H2_RESET: h->resets--; break;
    case H2_IDLE: h->idles--; break;
    }
    if (h->resets > 0 && h->idles > 0)
        return;
    refill(h);
    if (h->resets <= 0)
        h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_resets");
    else if (h->idles <= 0)
        h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_empty_frames");
}
