/* Connections between two ends on one loop of libuv: a listener, which answers with what it is told, and whoever dials. */
#ifndef SUPPORT_NET_RIG_H
#define SUPPORT_NET_RIG_H

#include "base/buf.h"
#include "net/net_uv.h"

typedef struct net_end {
    struct net_rig *rig;
    conn *conn;
    buf got;
    int opened, drained, closed;
    int32_t code;
    char message[400];
    bool echo;         /* sends back what comes */
    bool quiet;        /* does not count what comes into `got`, but ... */
    size_t len;        /* ... this does */
    int64_t behind_ns; /* how far the loop's time was, at worst, when something was told */
} net_end;

#define NET_ENDS 20

typedef struct net_rig {
    uv_loop_t uv;
    net_uv *net;
    net_listener *listener;
    uint16_t port;
    net_end accepted[NET_ENDS];
    int count;
    bool echo;        /* of those that are accepted */
    int64_t slept_ns; /* each time the loop sleeps, its time is that long past when it wakes */
    char folder[64];  /* for files; removed in the end */
} net_rig;

void net_rig_begin(net_rig *r);
void net_rig_end(net_rig *r); /* closes what is open */
/* At `where`, "127.0.0.1:0" say; fails the test if it cannot. */
void net_rig_listen(net_rig *r, const char *where, tls_context *tls);
/* To `where`; NULL: to 127.0.0.1 and the port of the listener. */
void net_rig_dial(net_rig *r, net_end *e, const char *where, tls_context *tls, const char *name);
void net_end_send(net_end *e, const void *data, size_t len);
void net_end_close(net_end *e);
/* Runs the loop until the condition holds; fails the test, with its words, after a long time. */
#define NET_UNTIL(rig, condition)          \
    do {                                   \
        net_rig_patience(rig);             \
        while (!(condition))               \
            net_rig_once(rig, #condition); \
    } while (0)
void net_rig_patience(net_rig *r);
void net_rig_once(net_rig *r, const char *what);

#endif
