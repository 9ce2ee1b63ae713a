/*
 * Each registration has a thread, which accepts, and reads what comes. What goes is written at once by who sends it, on the library's thread; where
 * the socket is full, the thread finds out when it no longer is. Only the thread frees what it may be told of by the kernel.
 *
 * A packet is a byte that says what it is, and for MESSAGE the message. END is the last one of a side that has closed in order: where a
 * connection ends without it, it broke.
 *
 * All is guarded by one lock, which is also held while the library is called: its functions never block, and never call back.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE 1 /* accept4 */
#endif
#include "pipe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE       'm'
#define END           'e'
#define MESSAGE_BYTES 65536 /* a packet has to fit into a socket's buffer */
#define STOP_MS       1000  /* for the other sides to take what was sent */

/* What the thread waits for. */
typedef struct source {
    struct source *next_due;
    int is_due, is_listener;
    int fd;
} source;

/* An end of a channel. */
typedef struct pipe_end {
    source base; /* first */
    struct pipe_end *next;
    struct pipe_side *side;
    orch_channel *channel;
    int is_full;   /* send has answered: not now */
    int is_paused; /* the library has: not now; `kept` is what it did not take */
    int is_closed; /* by the library */
    int says_end;  /* END is still to be written */
    int is_told;   /* orch_channel_closed was called */
    size_t kept_len;
    char *kept;
} pipe_end;

typedef struct pipe_listener {
    source base; /* first */
    struct pipe_listener *next;
    orch_transport *transport;
    int is_closed;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
} pipe_listener;

typedef struct pipe_side {
    pthread_mutex_t lock;
    pthread_t thread;
    int poll_fd, wake_fd;
    int is_stopping, has_thread;
    pipe_end *ends;
    pipe_listener *listeners;
    source *due; /* to be looked at, though the kernel has nothing to say of them */
    char buffer[1 + MESSAGE_BYTES + 1];
} pipe_side;

static void wake(const pipe_side *s)
{
    const uint64_t one = 1;
    ssize_t written = write(s->wake_fd, &one, sizeof one);

    (void)written; /* it is awake already if that fails */
}

/* ---- with the lock held ---------------------------------------------------------------------------------- */

static void make_due(pipe_side *s, source *src)
{
    if (!src->is_due) {
        src->is_due = 1;
        src->next_due = s->due;
        s->due = src;
    }
    wake(s);
}

/* The kernel tells of it once when something has changed, and not again before it was looked at. */
static int watch(const pipe_side *s, source *src)
{
    struct epoll_event event = {0};

    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = src;
    return epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, src->fd, &event);
}

/* On failure `fd` is still the caller's. */
static pipe_end *end_new(pipe_side *s, int fd, orch_channel *channel)
{
    pipe_end *e = calloc(1, sizeof *e);

    if (!e)
        return NULL;
    e->side = s;
    e->channel = channel;
    e->base.fd = fd;
    if (watch(s, &e->base)) {
        free(e);
        return NULL;
    }
    e->next = s->ends;
    s->ends = e;
    return e;
}

/* The thread's. It is not due. */
static void end_free(pipe_end *e)
{
    pipe_end **at = &e->side->ends;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    close(e->base.fd);
    free(e->kept);
    free(e);
}

/* The connection is over. The library may have more to say of the channel until it has closed it too. */
static void tell(pipe_end *e, int32_t code)
{
    if (e->is_told)
        return;
    e->is_told = 1;
    orch_channel_closed(e->channel, e->is_closed ? 0 : code);
}

static int is_done(const pipe_end *e)
{
    return e->is_closed && e->is_told && !e->says_end;
}

/* 0: written, or nobody is there any more who would read it, which the thread finds out; -1: not now. */
static int put(const pipe_end *e, char kind, const void *data, size_t len)
{
    struct iovec parts[2] = {{&kind, 1}, {NULL, len}};
    struct msghdr packet = {0};
    ssize_t sent;

    memcpy(&parts[1].iov_base, &data,
           sizeof data); /* it is only read, which its type does not say */
    packet.msg_iov = parts;
    packet.msg_iovlen = len ? 2 : 1;
    do
        sent = sendmsg(e->base.fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) ? -1 : 0;
}

static void say_end(pipe_end *e)
{
    e->says_end = put(e, END, NULL, 0) != 0;
    if (!e->says_end)
        shutdown(e->base.fd, SHUT_WR);
}

/* ---- what the library calls, on a thread of its own ------------------------------------------------------ */

static int32_t fail(int32_t code, char *why, size_t why_size, const char *what)
{
    snprintf(why, why_size, "%s: %s", what, strerror(errno));
    return code;
}

/* A socket for an address, or -1. */
static int socket_for(const char *path, struct sockaddr_un *out)
{
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (!*path || strlen(path) >= sizeof out->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(out->sun_path, path, strlen(path) + 1);
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int32_t pipe_open(void *user_data, const char *address, orch_channel *channel,
                         void **out_state, char *why, size_t why_size)
{
    pipe_side *s = user_data;
    struct sockaddr_un to;
    int fd = socket_for(address, &to);
    pipe_end *e;

    if (fd < 0)
        return fail(ORCH_E_UNAVAILABLE, why, why_size, "socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        int nobody = errno == ENOENT || errno == ECONNREFUSED;

        fail(0, why, why_size, "connect");
        close(fd);
        return nobody ? ORCH_E_NOT_FOUND : ORCH_E_UNAVAILABLE;
    }
    pthread_mutex_lock(&s->lock);
    e = end_new(s, fd, channel);
    pthread_mutex_unlock(&s->lock);
    if (!e) {
        close(fd);
        return ORCH_E_RESOURCE_EXHAUSTED;
    }
    *out_state = e;
    return ORCH_OK;
}

/* The file of a process that is gone is in the way; one that is there is not to be disturbed. */
static int bind_anew(int fd, const struct sockaddr_un *at)
{
    struct sockaddr_un to;
    int other, refused;

    if (!bind(fd, (const struct sockaddr *)at, sizeof *at))
        return 0;
    other = errno == EADDRINUSE ? socket_for(at->sun_path, &to) : -1;
    if (other < 0)
        return -1;
    refused = connect(other, (struct sockaddr *)&to, sizeof to) && errno == ECONNREFUSED;
    close(other);
    if (!refused) {
        errno = EADDRINUSE;
        return -1;
    }
    unlink(at->sun_path);
    return bind(fd, (const struct sockaddr *)at, sizeof *at);
}

static int32_t pipe_listen(void *user_data, orch_transport *transport, const char *address,
                           char *why, size_t why_size)
{
    pipe_side *s = user_data;
    struct sockaddr_un at;
    int fd = socket_for(address, &at);
    pipe_listener *l = fd < 0 ? NULL : calloc(1, sizeof *l);
    int is_watched = 0;

    if (l && !bind_anew(fd, &at) && !listen(fd, SOMAXCONN)) {
        l->transport = transport;
        l->base.fd = fd;
        l->base.is_listener = 1;
        memcpy(l->path, at.sun_path, sizeof l->path);
        pthread_mutex_lock(&s->lock);
        is_watched = !watch(s, &l->base);
        if (is_watched) {
            l->next = s->listeners;
            s->listeners = l;
        }
        pthread_mutex_unlock(&s->lock);
    }
    if (is_watched)
        return ORCH_OK;
    fail(0, why, why_size, "listen");
    if (fd >= 0)
        close(fd);
    free(l);
    return ORCH_E_UNAVAILABLE;
}

static void pipe_unlisten(void *user_data, const char *address)
{
    pipe_side *s = user_data;
    pipe_listener **at = &s->listeners, *l;

    pthread_mutex_lock(&s->lock);
    while (*at && strcmp((*at)->path, address) != 0)
        at = &(*at)->next;
    l = *at;
    if (l) {
        *at = l->next;
        unlink(l->path);
        close(l->base.fd);
        l->is_closed = 1;
        make_due(s, &l->base); /* to be freed */
    }
    pthread_mutex_unlock(&s->lock);
}

static int32_t pipe_send(void *state, const void *data, size_t len)
{
    pipe_end *e = state;
    int is_full;

    pthread_mutex_lock(&e->side->lock);
    is_full = e->is_full = put(e, MESSAGE, data, len) != 0;
    pthread_mutex_unlock(&e->side->lock);
    return is_full ? ORCH_E_RESOURCE_EXHAUSTED : ORCH_OK;
}

static void pipe_resume(void *state)
{
    pipe_end *e = state;

    pthread_mutex_lock(&e->side->lock);
    e->is_paused = 0;
    make_due(e->side, &e->base);
    pthread_mutex_unlock(&e->side->lock);
}

/* In order: the other side is to read all of it, so that this one goes on reading until that has closed too. */
static void pipe_close(void *state, int32_t code)
{
    pipe_end *e = state;
    pipe_side *s = e->side;

    pthread_mutex_lock(&s->lock);
    e->is_closed = 1;
    e->is_full = e->is_paused = 0;
    if (code == 0)
        say_end(e);
    else
        tell(e, 0);
    make_due(s, &e->base);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the thread, with the lock held ---------------------------------------------------------------------- */

static void accept_all(pipe_side *s, const pipe_listener *l)
{
    struct sockaddr_un from;
    socklen_t size = sizeof from;
    int fd;

    while ((fd = accept4(l->base.fd, (struct sockaddr *)&from, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        pipe_end *e = end_new(s, fd, NULL);

        if (!e) {
            close(fd);
            continue;
        }
        e->channel = orch_transport_accepted(l->transport, l->path, e);
        if (!e->channel)
            end_free(e);
    }
}

/* A message, for the library or for nobody. 0: it did not take it, and will ask for it. */
static int hand_over(pipe_end *e, const char *data, size_t len)
{
    if (e->is_closed || orch_channel_received(e->channel, data, len) != ORCH_E_RESOURCE_EXHAUSTED)
        return 1;
    if (data != e->kept) {
        e->kept = malloc(len);
        if (!e->kept) {
            tell(e, ORCH_E_RESOURCE_EXHAUSTED);
            return 0;
        }
        memcpy(e->kept, data, len);
        e->kept_len = len;
    }
    e->is_paused = 1;
    return 0;
}

static int hand_over_kept(pipe_end *e)
{
    if (e->kept && !hand_over(e, e->kept, e->kept_len))
        return 0;
    free(e->kept);
    e->kept = NULL;
    return 1;
}

static void read_all(pipe_end *e)
{
    char *buffer = e->side->buffer;

    while (!e->is_told && !e->is_paused && hand_over_kept(e)) {
        ssize_t len = recv(e->base.fd, buffer, sizeof e->side->buffer, 0);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno == EAGAIN)
            return;
        if (len <= 0)
            tell(e, ORCH_E_UNAVAILABLE);
        else if (buffer[0] == END)
            tell(e, ORCH_OK);
        else if (!hand_over(e, buffer + 1, (size_t)len - 1))
            return;
    }
}

static void serve_end(pipe_end *e, uint32_t events)
{
    const uint32_t writable = EPOLLOUT | EPOLLERR | EPOLLHUP;

    if (e->is_full && !e->is_told && (events & writable)) {
        e->is_full = 0;
        orch_channel_ready(e->channel);
    }
    if (e->says_end && (events & writable))
        say_end(e);
    read_all(e);
    if (is_done(e) && !e->base.is_due)
        end_free(e);
}

static void serve(pipe_side *s, source *src, uint32_t events)
{
    pipe_listener *l = (pipe_listener *)src;

    if (!src->is_listener)
        serve_end((pipe_end *)src, events);
    else if (!l->is_closed)
        accept_all(s, l);
    else if (!src->is_due)
        free(l);
}

static void serve_due(pipe_side *s)
{
    while (s->due) {
        source *src = s->due;

        s->due = src->next_due;
        src->is_due = 0;
        serve(s, src, 0);
    }
}

static void serve_all(pipe_side *s, const struct epoll_event *events, int count)
{
    uint64_t wakes;

    for (int i = 0; i < count; i++) {
        source *src = events[i].data.ptr;
        ssize_t len = src ? 0 : read(s->wake_fd, &wakes, sizeof wakes);

        (void)len;
        if (src)
            serve(s, src, events[i].events);
    }
    serve_due(s);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *run(void *arg)
{
    pipe_side *s = arg;
    struct epoll_event events[64];
    int64_t until_ms = 0;

    pthread_mutex_lock(&s->lock);
    while (!s->is_stopping || (s->ends && now_ms() < until_ms)) {
        int is_stopping = s->is_stopping, count;

        if (!is_stopping)
            until_ms = now_ms() + STOP_MS;
        pthread_mutex_unlock(&s->lock);
        count = epoll_wait(s->poll_fd, events, 64, is_stopping ? 20 : -1);
        pthread_mutex_lock(&s->lock);
        serve_all(s, events, count);
    }
    serve_due(s);
    for (pipe_end *e = s->ends, *next; e; e = next) {
        next = e->next;
        tell(e, ORCH_E_UNAVAILABLE);
        end_free(e);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void pipe_stop(void *user_data)
{
    pipe_side *s = user_data;

    pthread_mutex_lock(&s->lock);
    s->is_stopping = 1;
    pthread_mutex_unlock(&s->lock);
    wake(s);
    pthread_join(s->thread, NULL);
    s->has_thread = 0;
}

const orch_transport_ops pipe_ops = {
    .size = sizeof(orch_transport_ops),
    .max_message_bytes = MESSAGE_BYTES,
    .open = pipe_open,
    .listen = pipe_listen,
    .unlisten = pipe_unlisten,
    .send = pipe_send,
    .resume = pipe_resume,
    .close = pipe_close,
    .stop = pipe_stop,
};

/* ---- life ------------------------------------------------------------------------------------------------ */

static int begin(pipe_side *s)
{
    struct epoll_event woken = {0};

    s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    woken.events = EPOLLIN;
    s->has_thread = s->poll_fd >= 0 && s->wake_fd >= 0 &&
                    !epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, s->wake_fd, &woken) &&
                    !pthread_create(&s->thread, NULL, run, s);
    return s->has_thread;
}

void *pipe_new(void)
{
    pipe_side *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    if (begin(s))
        return s;
    pipe_free(s);
    return NULL;
}

/* The library has called stop, unless it never took it. */
void pipe_free(void *user_data)
{
    pipe_side *s = user_data;

    if (s->has_thread)
        pipe_stop(s);
    if (s->poll_fd >= 0)
        close(s->poll_fd);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void pipe_cut(void *user_data)
{
    pipe_side *s = user_data;

    pthread_mutex_lock(&s->lock);
    for (const pipe_end *e = s->ends; e; e = e->next)
        shutdown(e->base.fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
}
