#include "support/bad_proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/crash_load.h"

#define PAIRS 16
#define PIECE 16384

typedef struct pair {
    int fd[2]; /* who connected, whom it is passed to; -1: free */
    int64_t quiet_until_ms;
} pair;

struct bad_proxy {
    int listener;
    uint16_t port, to;
    unsigned seed;
    pthread_t thread;
    atomic_uint every, stall_max_ms;
    atomic_bool cut, over;
    pair pairs[PAIRS];
    bad_proxy_counts counts;
};

static unsigned draw(bad_proxy *p, unsigned below)
{
    return (unsigned)rand_r(&p->seed) % below;
}

static struct sockaddr_in local(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* ---- connections ----------------------------------------------------------------------------------------- */

static void close_pair(pair *c)
{
    close(c->fd[0]);
    close(c->fd[1]);
    c->fd[0] = c->fd[1] = -1;
}

static void close_all(bad_proxy *p)
{
    for (int i = 0; i < PAIRS; i++)
        if (p->pairs[i].fd[0] >= 0)
            close_pair(&p->pairs[i]);
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = local(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || !connect(fd, (struct sockaddr *)&a, sizeof a))
        return fd;
    close(fd);
    return -1;
}

static void take(bad_proxy *p)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    int one = 1, i = 0;
    int fd = accept4(p->listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
    int other = fd >= 0 ? dial(p->to) : -1;

    while (i < PAIRS && p->pairs[i].fd[0] >= 0)
        i++;
    if (other < 0 || i == PAIRS) { /* nobody is there: as a port that nobody listens at */
        if (other >= 0)
            close(other);
        if (fd >= 0)
            close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    p->pairs[i] = (pair){{fd, other}, 0};
    p->counts.connections++;
}

/* ---- what passes ----------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* False: of that piece so much passes, and then the connection is cut. */
static bool misbehave(bad_proxy *p, pair *c, ssize_t *len)
{
    unsigned every = p->every;

    if (!every || draw(p, every))
        return true;
    switch (draw(p, p->stall_max_ms ? 4 : 2)) {
    case 0:
        p->counts.cuts++;
        *len = 0;
        return false;
    case 1:
        p->counts.halves++;
        *len /= 2;
        return false;
    case 2:
        p->counts.stalls++;
        c->quiet_until_ms = load_now_ms() + 1 + draw(p, p->stall_max_ms);
        return true;
    default:
        p->counts.delays++;
        c->quiet_until_ms = load_now_ms() + 1 + draw(p, 20);
        return true;
    }
}

static void pass(bad_proxy *p, pair *c, int from)
{
    char piece[PIECE];
    ssize_t len = recv(c->fd[from], piece, sizeof piece, 0), passes = len;
    bool stays = len > 0 && misbehave(p, c, &passes);

    if (len > 0 && !write_all(c->fd[!from], piece, (size_t)passes))
        stays = false;
    if (!stays)
        close_pair(c);
}

static void turn(bad_proxy *p)
{
    struct pollfd fds[1 + 2 * PAIRS] = {{p->listener, POLLIN, 0}};
    int64_t now = load_now_ms();

    for (int i = 0; i < 2 * PAIRS; i++) {
        const pair *c = &p->pairs[i / 2];

        fds[1 + i] = (struct pollfd){c->quiet_until_ms > now ? -1 : c->fd[i % 2], POLLIN, 0};
    }
    poll(fds, 1 + 2 * PAIRS,
         5); /* soon enough for the end of a stall, and for what is asked of it */
    for (int i = 0; i < 2 * PAIRS; i++)
        if (fds[1 + i].fd >= 0 && fds[1 + i].revents && p->pairs[i / 2].fd[0] >= 0)
            pass(p, &p->pairs[i / 2], i % 2);
    if (fds[0].revents)
        take(p);
    if (atomic_exchange(&p->cut, false))
        close_all(p);
}

static void *work(void *ctx)
{
    bad_proxy *p = ctx;

    while (!p->over)
        turn(p);
    close_all(p);
    return NULL;
}

/* ---- its life -------------------------------------------------------------------------------------------- */

bad_proxy *bad_proxy_new(uint16_t to, unsigned seed)
{
    bad_proxy *p = calloc(1, sizeof *p);
    struct sockaddr_in a = local(0);
    socklen_t len = sizeof a;

    CHECK(p, "memory");
    p->to = to;
    p->seed = seed;
    for (int i = 0; i < PAIRS; i++)
        p->pairs[i].fd[0] = p->pairs[i].fd[1] = -1;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(p->listener >= 0 && !bind(p->listener, (struct sockaddr *)&a, len) &&
              !listen(p->listener, 32) && !getsockname(p->listener, (struct sockaddr *)&a, &len),
          "the proxy: %s", strerror(errno));
    p->port = ntohs(a.sin_port);
    CHECK(!pthread_create(&p->thread, NULL, work, p), "the proxy's thread");
    return p;
}

uint16_t bad_proxy_port(const bad_proxy *p)
{
    return p->port;
}

void bad_proxy_set(bad_proxy *p, unsigned every, unsigned stall_max_ms)
{
    p->stall_max_ms = stall_max_ms;
    p->every = every;
}

void bad_proxy_cut(bad_proxy *p)
{
    p->cut = true;
}

bad_proxy_counts bad_proxy_free(bad_proxy *p)
{
    bad_proxy_counts counts;

    p->over = true;
    pthread_join(p->thread, NULL);
    close(p->listener);
    counts = p->counts;
    free(p);
    return counts;
}
