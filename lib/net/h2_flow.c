/* Windows that follow the bandwidth-delay product: what comes between a PING and its answer is what has to be allowed to be
 * under way. While that is a third of the window or more, the window doubles; it ends at three to six times the product.
 * The PING leaves when a third of a window has come, so that small calls cause none. */
#include <string.h>

#include "net/h2_impl.h"

#define MAX_WINDOW (16U * 1024 * 1024)

static const uint8_t mark[8] = "orch-bdp";

static void set_window(h2 *h, uint32_t window)
{
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};

    h->window = window;
    if (h->starved)
        return;
    nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, (int32_t)window);
    nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, &entry, 1);
}

void h2_flow_received(h2 *h, size_t len)
{
    if (h->starved || h->options.fixed_window || h->window >= MAX_WINDOW)
        return;
    h->sampled += (uint32_t)len;
    if (h->sampling || h->sampled < h->window / 3)
        return;
    h->sampling = nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, mark) == 0;
    h->sampled = 0;
}

bool h2_flow_pong(h2 *h, const uint8_t *opaque)
{
    if (memcmp(opaque, mark, sizeof mark) != 0)
        return false;
    h->sampling = false;
    if (h->sampled >= h->window / 3)
        set_window(h, h->window < MAX_WINDOW / 2 ? h->window * 2 : MAX_WINDOW);
    h->sampled = 0;
    return true;
}

/* The connection's window is given back at once: a stream that is not read holds up itself alone. */
void h2_flow_consume(h2_stream *s, size_t len)
{
    nghttp2_session *session = s->session->session;

    if (s->session->starved)
        return;
    nghttp2_session_consume_connection(session, len);
    s->unconsumed += len;
    if (s->paused)
        return;
    nghttp2_session_consume_stream(session, s->id, s->unconsumed);
    s->unconsumed = 0;
}

void h2_pause(h2_stream *s)
{
    s->paused = true;
}

void h2_resume(h2_stream *s)
{
    s->paused = false;
    if (s->session && !s->session->starved && s->unconsumed)
        nghttp2_session_consume_stream(s->session->session, s->id, s->unconsumed);
    s->unconsumed = 0;
}
