/* nghttp2 and OpenSSL on epoll, and nothing else, as a server that bench_grpc opens connections to: what those two
 * themselves keep of an idle one. It answers each request with the headers and trailers of an empty answer. */
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/grpc/peer.h"

typedef struct connection {
    int fd;
    SSL *ssl; /* NULL: none */
    nghttp2_session *session;
} connection;

static ssize_t receive(connection *c, uint8_t *out, size_t size)
{
    int n;

    if (!c->ssl)
        return read(c->fd, out, size);
    n = SSL_read(c->ssl, out, (int)size);
    return n > 0 ? n : SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void send_out(connection *c)
{
    const uint8_t *data;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
        if ((c->ssl ? SSL_write(c->ssl, data, (int)n) : write(c->fd, data, (size_t)n)) != n)
            bench_fail("a write of the bare server", NULL);
}

static nghttp2_nv field(char *name, char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static ssize_t body(nghttp2_session *session, int32_t id, uint8_t *out, size_t size,
                    uint32_t *flags, nghttp2_data_source *source, void *data)
{
    static char status[] = "grpc-status", ok[] = "0";
    nghttp2_nv trailers[] = {field(status, ok)};

    (void)size;
    (void)source;
    (void)data;
    memset(out, 0, 5); /* an empty message */
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, id, trailers, 1);
    return 5;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    static char status[] = ":status", ok[] = "200", type[] = "content-type",
                grpc[] = "application/grpc";
    nghttp2_nv head[] = {field(status, ok), field(type, grpc)};
    nghttp2_data_provider answer = {.read_callback = body};

    (void)data;
    if (frame->hd.type != NGHTTP2_SETTINGS && frame->hd.type != NGHTTP2_WINDOW_UPDATE &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        nghttp2_submit_response(session, frame->hd.stream_id, head, 2, &answer);
    return 0;
}

static connection *take(int listener, SSL_CTX *tls)
{
    connection *c = calloc(1, sizeof *c);
    nghttp2_session_callbacks *callbacks;
    struct sockaddr_storage from;
    socklen_t size = sizeof from;

    if (!c || nghttp2_session_callbacks_new(&callbacks))
        bench_fail("memory of the bare server", NULL);
    c->fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_server_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
    if (tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_accept_state(c->ssl);
    }
    return c;
}

/* False: it is over. */
static bool go_on(connection *c)
{
    static uint8_t input[65536];
    ssize_t n;

    while ((n = receive(c, input, sizeof input)) > 0)
        if (nghttp2_session_mem_recv(c->session, input, (size_t)n) < 0)
            return false;
    if (n == 0)
        return false;
    if (!c->ssl || SSL_is_init_finished(c->ssl))
        send_out(c);
    return true;
}

static void drop(connection *c)
{
    nghttp2_session_del(c->session);
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                     const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)in;
    (void)in_len;
    (void)arg;
    *out = (const unsigned char *)"h2";
    *out_len = 2;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *load(const peer_args *args)
{
    SSL_CTX *tls = args->cert[0] ? SSL_CTX_new(TLS_server_method()) : NULL;

    if (!tls)
        return NULL;
    if (SSL_CTX_use_certificate_chain_file(tls, args->cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, args->key, SSL_FILETYPE_PEM) != 1)
        bench_fail("certificates of the bare server", NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(tls, choose_h2, NULL);
    return tls;
}

static int listen_anywhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&at, &len))
        bench_fail("a port for the bare server", NULL);
    peer_print_port(ntohs(at.sin_port));
    return fd;
}

static void watch(int epoll, int fd, void *what)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
        bench_fail("epoll_ctl", NULL);
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener;
    struct epoll_event e;
    peer_args args;
    SSL_CTX *tls;

    signal(SIGPIPE, SIG_IGN);
    peer_parse(&args, argc, argv);
    tls = load(&args);
    listener = listen_anywhere();
    watch(epoll, listener, NULL);
    while (epoll_wait(epoll, &e, 1, -1) > 0) {
        connection *c = e.data.ptr;

        if (!c) {
            c = take(listener, tls);
            watch(epoll, c->fd, c);
        } else if (!go_on(c)) {
            drop(c);
        }
    }
    return 1;
}
