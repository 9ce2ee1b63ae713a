#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024

typedef struct connection {
    http_server *server;
    pthread_t thread;
    int fd, number;
} connection;

struct http_server {
    http_server_handler handler;
    void *ctx;
    int listener, port;
    pthread_t thread;
    pthread_mutex_t lock;
    connection connections[CONNECTIONS_MAX];
    int count;
};

static void fail(const char *what)
{
    perror(what);
    abort();
}

/* ---- One connection -------------------------------------------------------------------------------- */

typedef struct input {
    char *data;
    size_t len;
} input;

static bool read_more(int fd, input *in)
{
    char room[16384];
    ssize_t n = recv(fd, room, sizeof room, 0);

    if (n <= 0)
        return false;
    in->data = realloc(in->data, in->len + (size_t)n + 1);
    if (!in->data)
        fail("realloc");
    memcpy(in->data + in->len, room, (size_t)n);
    in->len += (size_t)n;
    in->data[in->len] = '\0';
    return true;
}

static char *next_word(char **at)
{
    char *word = *at;

    *at = word + strcspn(word, " \r");
    if (**at)
        *(*at)++ = '\0';
    return word;
}

/* Takes one request off the input. */
static bool serve_one(connection *c, input *in)
{
    http_server_request r = {.connection = c->number, .fd = c->fd, .server = c->server};
    size_t head_len, total;
    char room[32], *end, *head, *at;
    bool keep;

    while (!in->data || !(end = strstr(in->data, "\r\n\r\n")))
        if (!read_more(c->fd, in))
            return false;
    head_len = (size_t)(end - in->data) + 4;
    head = strndup(in->data, head_len);
    at = head;
    r.method = next_word(&at);
    r.target = next_word(&at);
    r.headers = at + strcspn(at, "\n") + 1;
    r.body_len = strtoul(http_server_header(&r, "content-length", room, sizeof room), NULL, 10);
    total = head_len + r.body_len;
    while (in->len < total) {
        if (!read_more(c->fd, in)) {
            free(head);
            return false;
        }
    }
    r.body = in->data + head_len;
    keep = c->server->handler(c->server->ctx, &r);
    free(head);
    in->len -= total;
    memmove(in->data, in->data + total, in->len + 1);
    return keep;
}

static void *serve(void *arg)
{
    connection *c = arg;
    input in = {NULL, 0};

    while (serve_one(c, &in))
        ;
    free(in.data);
    shutdown(
        c->fd,
        SHUT_RDWR); /* closed when the server stops, so that its number is not used again before */
    return NULL;
}

/* ---- The server ------------------------------------------------------------------------------------ */

static void *accept_all(void *arg)
{
    http_server *s = arg;
    int fd, on = 1;

    /* cppcheck-suppress nullPointer; it does not know that the address may be NULL */
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        connection *c;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_mutex_lock(&s->lock);
        if (s->count == CONNECTIONS_MAX)
            fail("too many connections");
        c = &s->connections[s->count++];
        *c = (connection){.server = s, .fd = fd, .number = s->count};
        if (pthread_create(&c->thread, NULL, serve, c))
            fail("pthread_create");
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

http_server *http_server_start(http_server_handler handler, void *ctx)
{
    http_server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    if (!s)
        fail("calloc");
    s->handler = handler;
    s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, len) ||
        listen(s->listener, 256) || getsockname(s->listener, (struct sockaddr *)&address, &len))
        fail("http_server");
    s->port = ntohs(address.sin_port);
    if (pthread_create(&s->thread, NULL, accept_all, s))
        fail("pthread_create");
    return s;
}

int http_server_port(const http_server *s)
{
    return s->port;
}

int http_server_connections(http_server *s)
{
    int n;

    pthread_mutex_lock(&s->lock);
    n = s->count;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void http_server_stop(http_server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    for (int i = 0; i < s->count; i++)
        shutdown(s->connections[i].fd, SHUT_RDWR);
    for (int i = 0; i < s->count; i++) {
        pthread_join(s->connections[i].thread, NULL);
        close(s->connections[i].fd);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- For handlers ---------------------------------------------------------------------------------- */

const char *http_server_header(const http_server_request *r, const char *name, char *room,
                               size_t size)
{
    size_t name_len = strlen(name);

    for (const char *line = r->headers; *line && *line != '\r'; line += strcspn(line, "\n") + 1) {
        if (!strncasecmp(line, name, name_len) && line[name_len] == ':') {
            const char *value = line + name_len + 1 + strspn(line + name_len + 1, " ");

            snprintf(room, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return room;
        }
    }
    return "";
}

bool http_server_write(const http_server_request *r, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        ssize_t n = send(r->fd, p, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool http_server_reply(const http_server_request *r, int status, const char *headers,
                       const void *body, size_t len)
{
    char head[4096];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Test\r\n%sContent-Length: %zu\r\n\r\n", status,
                     headers, len);
    bool is_head = !strcmp(r->method, "HEAD");

    return http_server_write(r, head, (size_t)n) && (is_head || http_server_write(r, body, len));
}

void http_server_wait_for_close(const http_server_request *r)
{
    char room[256];

    while (recv(r->fd, room, sizeof room, 0) > 0)
        ;
}
