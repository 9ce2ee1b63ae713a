/* libcurl's multi interface driven by uv: it says which sockets to watch and when to call it. */
#include "executor/executor_impl.h"

#if ORCH_WITH_CURL
#    include "base/list.h"
#    include "base/mem.h"
#    include "executor/curl_impl.h"
#    include "executor/http_impl.h"

#    define MAX_CONNECTIONS      256L /* open at a time; further transfers wait */
#    define MAX_IDLE_CONNECTIONS 64L

struct http_multi {
    CURLM *curl;
    uv_timer_t timer;
    unsigned open_handles;
    list unwatched; /* transfers whose socket could not be watched: they would wait for ever */
    void (*ended)(http_transfer *t, int curl_code);
    void (*closed)(void *ctx);
    void *ctx;
};

typedef struct watched {
    uv_poll_t poll;
    http_multi *multi;
    curl_socket_t socket;
} watched;

static void handle_closed(http_multi *m)
{
    if (--m->open_handles)
        return;
    m->closed(m->ctx);
    mem_free(m);
}

/* ---- What libcurl has to say ----------------------------------------------------------------------- */

static http_transfer *transfer_of(CURL *easy)
{
    char *transfer = NULL;

    curl_api.easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    return (http_transfer *)(void *)transfer;
}

static void take_ended(http_multi *m)
{
    CURLMsg *message;
    int left;

    while ((message = curl_api.multi_info_read(m->curl, &left))) {
        CURLcode code = message->data.result;

        if (message->msg == CURLMSG_DONE)
            m->ended(transfer_of(message->easy_handle), (int)code); /* the message is gone then */
    }
}

static void end_unwatched(http_multi *m)
{
    list *node;

    while ((node = list_pop(&m->unwatched)))
        m->ended(LIST_ENTRY(node, http_transfer, unwatched), CURLE_OUT_OF_MEMORY);
}

static void act(http_multi *m, curl_socket_t socket, int events)
{
    int running;

    curl_api.multi_socket_action(m->curl, socket, events, &running);
    end_unwatched(m);
    take_ended(m);
}

static void on_timer(uv_timer_t *timer)
{
    http_multi *m = timer->data;
    long ms = -1;

    act(m, CURL_SOCKET_TIMEOUT, 0);
    /* The loop's clock may run behind, so that the timer fired early: libcurl does not ask twice for the same time. */
    if (!uv_is_active((uv_handle_t *)timer) && !curl_api.multi_timeout(m->curl, &ms) && ms >= 0)
        uv_timer_start(timer, on_timer, ms ? (uint64_t)ms : 1, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    watched *w = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;

    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(w->multi, w->socket, flags);
}

/* ---- What libcurl asks for ------------------------------------------------------------------------- */

static int set_timer(CURLM *curl, long ms, void *ctx)
{
    http_multi *m = ctx;

    (void)curl;
    if (ms < 0)
        uv_timer_stop(&m->timer);
    else
        uv_timer_start(&m->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

static void on_watched_closed(uv_handle_t *handle)
{
    watched *w = handle->data;
    http_multi *m = w->multi;

    mem_free(w);
    handle_closed(m);
}

static watched *watch(http_multi *m, curl_socket_t socket)
{
    watched *w = mem_alloc(sizeof *w);

    if (!w)
        return NULL;
    if (uv_poll_init_socket(m->timer.loop, &w->poll, socket)) {
        mem_free(w);
        return NULL;
    }
    w->poll.data = w;
    w->multi = m;
    w->socket = socket;
    m->open_handles++;
    curl_api.multi_assign(m->curl, socket, w);
    return w;
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *ctx, void *known)
{
    http_multi *m = ctx;
    watched *w = known;
    int events = 0;

    if (what == CURL_POLL_REMOVE) {
        if (w) {
            curl_api.multi_assign(m->curl, socket, NULL);
            uv_close((uv_handle_t *)&w->poll, on_watched_closed);
        }
        return 0;
    }
    if (!w)
        w = watch(m, socket);
    if (!w) { /* to answer -1 would be the end of every transfer, also of later ones */
        http_transfer *t = transfer_of(easy);

        if (t) {
            list_remove(&t->unwatched);
            list_push(&m->unwatched, &t->unwatched);
        }
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    uv_poll_start(&w->poll, events, on_poll);
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------------ */

http_multi *http_multi_new(uv_loop_t *loop, void (*ended)(http_transfer *t, int curl_code),
                           void (*closed)(void *ctx), void *ctx)
{
    http_multi *m = mem_zalloc(sizeof *m);

    if (!m)
        return NULL;
    m->curl = curl_api.multi_init();
    if (!m->curl) {
        mem_free(m);
        return NULL;
    }
    list_init(&m->unwatched);
    m->ended = ended;
    m->closed = closed;
    m->ctx = ctx;
    uv_timer_init(loop, &m->timer);
    m->timer.data = m;
    m->open_handles = 1;
    curl_api.multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_api.multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_api.multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_api.multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    curl_api.multi_setopt(m->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, MAX_CONNECTIONS);
    curl_api.multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS);
    return m;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void http_multi_close(http_multi *m)
{
    curl_api.multi_cleanup(m->curl);
    uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}

bool http_multi_add(http_multi *m, http_transfer *t)
{
    list_init(&t->unwatched);
    return curl_api.multi_add_handle(m->curl, t->easy) == CURLM_OK;
}

void http_multi_remove(http_multi *m, http_transfer *t)
{
    curl_api.multi_remove_handle(m->curl, t->easy);
    list_remove(&t->unwatched);
}
#endif
