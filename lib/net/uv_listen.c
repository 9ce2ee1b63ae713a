/* Listening: one socket for each address of the host. */
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/net_uv_impl.h"

#define BACKLOG     511
#define MAX_SOCKETS 8

typedef struct listen_socket {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    net_listener *listener;
} listen_socket;

struct net_listener {
    net_uv *net;
    tls_context *tls;
    void (*accepted)(void *ctx, conn *c);
    void *ctx;
    listen_socket sockets[MAX_SOCKETS];
    unsigned count, open;
};

static void accept_into(listen_socket *s, uv_conn *c)
{
    net_listener *l = s->listener;
    int rc;

    if (s->uv.handle.type == UV_TCP)
        rc = uv_tcp_init(l->net->uv, &c->uv.tcp);
    else
        rc = uv_pipe_init(l->net->uv, &c->uv.pipe, 0);
    if (!rc) {
        c->no_handle = false;
        c->uv.handle.data = c;
        rc = uv_accept(&s->uv.stream, &c->uv.stream);
    }
    if (rc) {
        conn_close(&c->base);
        return;
    }
    l->accepted(l->ctx, &c->base);
    uv_conn_start(c);
}

/* Without memory for it: taken, and closed, or the loop would be told of it again and again. */
static void refuse(listen_socket *s)
{
    uv_conn *c = uv_conn_new(s->listener->net, NULL, NULL);

    if (!c)
        return;
    if (uv_tcp_init(c->net->uv, &c->uv.tcp) == 0) {
        c->no_handle = false;
        c->uv.handle.data = c;
        uv_accept(&s->uv.stream, &c->uv.stream);
    }
    conn_close(&c->base);
}

static void on_connection(uv_stream_t *stream, int status)
{
    listen_socket *s = stream->data;
    uv_conn *c;

    if (status)
        return;
    net_uv_tick(s->listener->net);
    c = uv_conn_new(s->listener->net, s->listener->tls, NULL);
    if (c)
        accept_into(s, c);
    else
        refuse(s);
}

static void on_socket_closed(uv_handle_t *handle)
{
    listen_socket *s = handle->data;
    net_listener *l = s->listener;
    net_uv *n = l->net;

    if (--l->open)
        return;
    mem_free(l);
    net_uv_child_gone(n);
}

void net_listener_close(net_listener *l)
{
    if (!l)
        return;
    if (!l->count) {
        net_uv *n = l->net;

        mem_free(l);
        net_uv_child_gone(n);
        return;
    }
    for (unsigned i = 0; i < l->count; i++)
        uv_close(&l->sockets[i].uv.handle, on_socket_closed);
}

static listen_socket *add_socket(net_listener *l)
{
    listen_socket *s = &l->sockets[l->count];

    s->listener = l;
    s->uv.handle.data = s;
    l->count++;
    l->open++;
    return s;
}

/* A socket that a process left behind when it was killed answers nobody: it is taken away. One that is in use stays. */
static void remove_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    int fd;

    if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    memcpy(address.sun_path, path, strlen(path) + 1); /* endpoint_parse has seen that it fits */
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED)
        unlink(path);
    close(fd);
}

static int listen_at_path(net_listener *l, const char *path)
{
    listen_socket *s;
    int rc;

    remove_stale(path);
    rc = uv_pipe_init(l->net->uv, &l->sockets[l->count].uv.pipe, 0);
    if (rc)
        return rc;
    s = add_socket(l);
    rc = uv_pipe_bind(&s->uv.pipe, path);
    return rc ? rc : uv_listen(&s->uv.stream, BACKLOG, on_connection);
}

static int listen_at_address(net_listener *l, struct sockaddr *address, uint16_t *port)
{
    struct sockaddr_storage bound;
    int len = sizeof bound, rc;
    listen_socket *s;

    /* All addresses of a host have the port that the first was given. */
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(*port);
    else
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(*port);
    rc = uv_tcp_init(l->net->uv, &l->sockets[l->count].uv.tcp);
    if (rc)
        return rc;
    s = add_socket(l);
    rc = uv_tcp_bind(&s->uv.tcp, address, 0);
    if (!rc)
        rc = uv_listen(&s->uv.stream, BACKLOG, on_connection);
    if (!rc)
        rc = uv_tcp_getsockname(&s->uv.tcp, (struct sockaddr *)&bound, &len);
    if (!rc)
        *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    return rc;
}

/* Hosts listen at start, when nothing runs on the loop yet, so that a look-up may block. */
static int listen_at_host(net_listener *l, const endpoint *at, uint16_t *port)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(at->host, NULL, &hints, &found);

    if (rc)
        return UV_EAI_NONAME;
    for (struct addrinfo *a = found; a && !rc && l->count < MAX_SOCKETS; a = a->ai_next)
        rc = listen_at_address(l, a->ai_addr, port);
    freeaddrinfo(found);
    return rc;
}

int32_t net_uv_listen(net_uv *n, const endpoint *at, tls_context *tls,
                      void (*accepted)(void *ctx, conn *c), void *ctx, net_listener **out,
                      uint16_t *port, orch_error **err)
{
    net_listener *l = mem_zalloc(sizeof *l);
    uint16_t bound = at->port;
    char where[300];
    int rc;

    if (!l)
        return error_no_memory(err);
    *l = (net_listener){.net = n, .tls = tls, .accepted = accepted, .ctx = ctx};
    n->children++;
    rc = at->path[0] ? listen_at_path(l, at->path) : listen_at_host(l, at, &bound);
    if (rc) {
        net_listener_close(l);
        endpoint_authority(at, where, sizeof where);
        return error_set(err, rc == UV_EADDRINUSE ? ORCH_E_ALREADY_EXISTS : ORCH_E_UNAVAILABLE,
                         at->path[0] ? at->path : where, "cannot listen at %s: %s",
                         at->path[0] ? at->path : where, uv_strerror(rc));
    }
    if (port)
        *port = bound;
    *out = l;
    return 0;
}
