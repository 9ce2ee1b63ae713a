#include "support/mill.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ON_THE_WAY 6 /* messages of one direction */

typedef struct letter {
    struct letter *next;
    size_t len;
    char data[];
} letter;

/* What one end of a channel has before it. */
typedef struct mill_end {
    struct mill_end *next; /* in the mill's list */
    struct mill_end *peer; /* NULL: gone, or not there yet */
    mill_side *side;       /* who was told `channel` */
    orch_channel *channel; /* NULL: not accepted yet */
    char *address;         /* of one that is not accepted yet */
    letter *first, *last;
    unsigned count;
    bool peer_is_blocked, is_paused;
    bool is_closed; /* by the library */
    bool is_told;   /* orch_channel_closed */
    bool is_ending; /* once the letters are delivered: tell `code` */
    int32_t code;
} mill_end;

typedef struct mill_address {
    struct mill_address *next;
    orch_transport *transport;
    mill_side *side;
    char text[];
} mill_address;

struct mill_side {
    mill *mill;
};

struct mill {
    pthread_mutex_t lock;
    pthread_cond_t changed, told;
    pthread_t thread;
    mill_end *ends;
    mill_address *addresses;
    enum mill_fault fault;
    unsigned seed, count; /* of ends */
    unsigned long tellings;
    bool is_over;
};

/* ---- ends, with the lock held ---------------------------------------------------------------------------- */

static mill_end *end_new(mill *m, mill_side *side)
{
    mill_end *e = calloc(1, sizeof *e);

    e->side = side;
    e->next = m->ends;
    m->ends = e;
    m->count++;
    return e;
}

static void drop_letters(mill_end *e)
{
    while (e->first) {
        letter *l = e->first;

        e->first = l->next;
        free(l);
    }
    e->last = NULL;
    e->count = 0;
}

static void end_free(mill *m, mill_end *e)
{
    for (mill_end **at = &m->ends; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    m->count--;
    if (e->peer)
        e->peer->peer = NULL;
    drop_letters(e);
    free(e->address);
    free(e);
}

/* No more comes to it. */
static void finish(mill_end *e, int32_t code, bool at_once)
{
    if (!e || e->is_ending)
        return;
    if (at_once)
        drop_letters(e);
    e->is_ending = true;
    e->code = code;
}

static mill_address *find(const mill *m, const char *text)
{
    mill_address *a = m->addresses;

    while (a && strcmp(a->text, text) != 0)
        a = a->next;
    return a;
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

/* An end that nobody has accepted yet. True if something was told. */
static bool introduce(mill *m, mill_end *e)
{
    mill_address *a = find(m, e->address);

    if (e->peer && a) {
        e->side = a->side;
        e->channel = orch_transport_accepted(a->transport, a->text, e);
    }
    if (e->channel)
        return true;
    finish(e->peer, a || m->fault == MILL_IS_VAGUE ? ORCH_E_UNAVAILABLE : ORCH_E_NOT_FOUND, true);
    end_free(m, e);
    return true;
}

/* What it does wrong with the first letter. True: it is not to be delivered. */
static bool misbehave(mill *m, mill_end *e)
{
    letter *l = e->first;

    if (m->fault == MILL_IS_RIGHT || rand_r(&m->seed) % 20)
        return false;
    if (m->fault == MILL_SPOILS)
        l->data[l->len - 1] ^= 1;
    if (m->fault == MILL_REPEATS)
        orch_channel_received(e->channel, l->data, l->len);
    if (m->fault == MILL_MIXES && l->next) {
        e->first = l->next;
        l->next = e->first->next;
        e->first->next = l;
        if (e->last == e->first)
            e->last = l;
    }
    return m->fault == MILL_LOSES;
}

static bool deliver(mill *m, mill_end *e)
{
    bool is_lost = misbehave(m, e);
    letter *l = e->first;
    int32_t rc = is_lost ? 0 : orch_channel_received(e->channel, l->data, l->len);

    if (rc == ORCH_E_RESOURCE_EXHAUSTED) {
        e->is_paused = true;
        return false;
    }
    e->first = l->next;
    if (!e->first)
        e->last = NULL;
    e->count--;
    free(l);
    if (e->peer_is_blocked && e->peer && !e->peer->is_told && m->fault != MILL_STANDS)
        orch_channel_ready(e->peer->channel);
    e->peer_is_blocked = false;
    return true;
}

/* Do one thing for an end. False: there is nothing to do for it. */
static bool serve(mill *m, mill_end *e)
{
    if (!e->channel)
        return introduce(m, e);
    if (e->first && !e->is_closed)
        return !e->is_paused && deliver(m, e);
    if (!e->is_told && (e->is_closed || e->is_ending)) {
        e->is_told = true;
        orch_channel_closed(e->channel, e->is_closed ? 0 : e->code);
        if (e->is_closed)
            end_free(m, e);
        return true;
    }
    return false;
}

/* One after the other from a random one on, until there was something to do. */
static bool serve_any(mill *m)
{
    unsigned skip = m->count ? (unsigned)rand_r(&m->seed) % m->count : 0;

    for (unsigned i = 0; i < m->count; i++) {
        mill_end *e = m->ends;

        for (unsigned n = (skip + i) % m->count; n; n--)
            e = e->next;
        if (serve(m, e))
            return true;
    }
    return false;
}

static void *run(void *arg)
{
    mill *m = arg;

    pthread_mutex_lock(&m->lock);
    while (!m->is_over) {
        if (serve_any(m)) {
            m->tellings++;
            pthread_cond_broadcast(&m->told);
        } else {
            pthread_cond_wait(&m->changed, &m->lock);
        }
        if (rand_r(&m->seed) % 16 == 0) { /* let others come between */
            pthread_mutex_unlock(&m->lock);
            sched_yield();
            pthread_mutex_lock(&m->lock);
        }
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* ---- what the library calls ------------------------------------------------------------------------------ */

static int32_t mill_open(void *user_data, const char *address, orch_channel *channel,
                         void **out_state, char *why, size_t why_size)
{
    mill_side *side = user_data;
    mill *m = side->mill;
    mill_end *opener, *other;

    (void)why;
    (void)why_size;
    pthread_mutex_lock(&m->lock);
    opener = end_new(m, side);
    opener->channel = channel;
    other = end_new(m, NULL);
    other->address = strdup(address);
    opener->peer = other;
    other->peer = opener;
    *out_state = opener;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

static int32_t mill_listen(void *user_data, orch_transport *transport, const char *address,
                           char *why, size_t why_size)
{
    mill_side *side = user_data;
    mill *m = side->mill;
    mill_address *a;

    pthread_mutex_lock(&m->lock);
    a = find(m, address) ? NULL : calloc(1, sizeof *a + strlen(address) + 1);
    if (a) {
        strcpy(a->text, address);
        a->transport = transport;
        a->side = side;
        a->next = m->addresses;
        m->addresses = a;
    } else {
        strncpy(why, "somebody else listens there", why_size - 1);
    }
    pthread_mutex_unlock(&m->lock);
    return a ? 0 : ORCH_E_UNAVAILABLE;
}

static void mill_unlisten(void *user_data, const char *address)
{
    mill *m = ((mill_side *)user_data)->mill;

    pthread_mutex_lock(&m->lock);
    for (mill_address **at = &m->addresses; *at; at = &(*at)->next)
        if (!strcmp((*at)->text, address)) {
            mill_address *a = *at;

            *at = a->next;
            free(a);
            break;
        }
    pthread_mutex_unlock(&m->lock);
}

static int32_t mill_send(void *state, const void *data, size_t len)
{
    mill_end *e = state, *to;
    mill *m = e->side->mill;
    int32_t rc = 0;

    assert(len > 0 && len <= mill_ops.max_message_bytes);
    pthread_mutex_lock(&m->lock);
    to = e->peer;
    if (to && !to->is_ending && to->count == ON_THE_WAY) {
        to->peer_is_blocked = true;
        rc = ORCH_E_RESOURCE_EXHAUSTED;
    } else if (to && !to->is_ending) {
        letter *l = malloc(sizeof *l + len);

        *l = (letter){.len = len};
        memcpy(l->data, data, len);
        if (to->last)
            to->last->next = l;
        else
            to->first = l;
        to->last = l;
        to->count++;
        pthread_cond_signal(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static void mill_resume(void *state)
{
    mill_end *e = state;
    mill *m = e->side->mill;

    pthread_mutex_lock(&m->lock);
    assert(e->is_paused);
    e->is_paused = false;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

static void mill_close(void *state, int32_t code)
{
    mill_end *e = state;
    mill *m = e->side->mill;

    pthread_mutex_lock(&m->lock);
    assert(!e->is_closed);
    e->is_closed = true;
    finish(e->peer, code, code != 0 || m->fault == MILL_CUTS_SHORT);
    if (e->is_told)
        end_free(m, e);
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* What this side has sent is for the other to take; its own channels end here. */
static void mill_stop(void *user_data)
{
    mill_side *side = user_data;
    mill *m = side->mill;
    mill_end *next;

    pthread_mutex_lock(&m->lock);
    for (mill_end *e = m->ends; e; e = next) {
        next = e->next;
        if (e->side != side)
            continue;
        assert(e->is_closed);
        if (e->channel)
            orch_channel_closed(e->channel, 0);
        end_free(m, e);
        next = m->ends; /* others may have gone with it */
    }
    pthread_mutex_unlock(&m->lock);
}

const orch_transport_ops mill_ops = {
    .size = sizeof(orch_transport_ops),
    .max_message_bytes = 5000,
    .open = mill_open,
    .listen = mill_listen,
    .unlisten = mill_unlisten,
    .send = mill_send,
    .resume = mill_resume,
    .close = mill_close,
    .stop = mill_stop,
};

/* ---- for tests ------------------------------------------------------------------------------------------- */

mill *mill_new(unsigned seed)
{
    mill *m = calloc(1, sizeof *m);

    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    pthread_cond_init(&m->told, NULL);
    m->seed = seed;
    pthread_create(&m->thread, NULL, run, m);
    return m;
}

void mill_set_fault(mill *m, enum mill_fault fault)
{
    m->fault = fault;
}

void mill_free(mill *m)
{
    pthread_mutex_lock(&m->lock);
    m->is_over = true;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    while (m->ends)
        end_free(m, m->ends);
    pthread_cond_destroy(&m->changed);
    pthread_cond_destroy(&m->told);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

mill_side *mill_side_new(mill *m)
{
    mill_side *s = malloc(sizeof *s);

    s->mill = m;
    return s;
}

void mill_side_free(void *side)
{
    free(side);
}

void mill_cut(mill *m)
{
    pthread_mutex_lock(&m->lock);
    for (mill_end *e = m->ends; e; e = e->next)
        finish(e, m->fault == MILL_ENDS_GLAD ? 0 : ORCH_E_UNAVAILABLE, true);
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

void mill_wait(mill *m)
{
    struct timespec until;
    unsigned long before;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 5000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&m->lock);
    before = m->tellings;
    while (before == m->tellings && pthread_cond_timedwait(&m->told, &m->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&m->lock);
}
