/* Which `wait` a signal is for. A topic is a name, or a name with a correlation; those that listen on it and the
 * signals that came before anybody did stand in queues there, so that neither ever searches for the other. */
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "workflow/run_impl.h"

struct topic {
    UT_hash_handle hh;
    list listeners;
    list notes;
    uint32_t len;
    bool is_correlated;
    char key[]; /* the name; with a correlation, a NUL and its text behind it */
};

/* A signal for which nobody has waited yet. A wait without correlation takes any of its name. */
typedef struct note {
    list of_name, of_correlation; /* the latter in no queue if it has none */
    topic *name, *correlation;
    uint64_t seq;
    bytes *payload;
} note;

/* ---- Topics ---------------------------------------------------------------------------------- */

static topic *topic_find(const run *r, const char *key, uint32_t len)
{
    topic *t;

    HASH_FIND(hh, r->topics, key, len, t);
    return t;
}

static topic *topic_make(run *r, const char *key, uint32_t len)
{
    topic *t = topic_find(r, key, len);

    if (t)
        return t;
    t = mem_zalloc(sizeof *t + len);
    if (!t)
        return NULL;
    memcpy(t->key, key, len);
    t->len = len;
    t->is_correlated = memchr(key, '\0', len) != NULL;
    list_init(&t->listeners);
    list_init(&t->notes);
    HASH_ADD_KEYPTR(hh, r->topics, t->key, len, t);
    if (map_added(t->hh))
        return t;
    mem_free(t);
    return NULL;
}

static void topic_drop_unused(run *r, topic *t)
{
    if (!t || !list_empty(&t->listeners) || !list_empty(&t->notes))
        return;
    HASH_DEL(r->topics, t);
    mem_free(t);
}

/* The same value has one text, however the caller wrote it. */
static void add_correlation(buf *key, const bytes *text)
{
    json_error_t where;
    json_t *value = json_loadb(text->data, text->len, JSON_DECODE_ANY, &where);
    bytes *same = value ? canonical_json(value) : NULL;

    buf_putc(key, '\0');
    if (same)
        buf_add(key, same->data, same->len);
    else if (value || json_lacked_memory(&where))
        key->failed = true;
    else
        buf_add(key, text->data, text->len);
    json_decref(value);
    bytes_unref(same);
}

/* ---- Those that wait ------------------------------------------------------------------------- */

int32_t run_listener_new(place at, const bytes *wanted, listener **out)
{
    json_error_t where;
    json_t *tree = json_loadb(wanted->data, wanted->len, 0, &where);
    const char *name = json_string_value(json_object_get(tree, "signal"));
    const json_t *value = json_object_get(tree, "correlation");
    bytes *correlation = value ? canonical_json(value) : NULL;
    int32_t code = name ? 0 : ORCH_E_INVALID_ARGUMENT;
    buf key = BUF_INIT;
    listener *l = NULL;

    if (!code) {
        buf_puts(&key, name);
        if (correlation)
            add_correlation(&key, correlation);
        if (!key.failed && (!value || correlation))
            l = mem_zalloc(sizeof *l + key.len + 1);
        code = l ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
    }
    if (l) {
        list_init(&l->queue);
        l->at = at;
        l->len = (uint32_t)key.len;
        memcpy(l->key, key.data, key.len);
    }
    buf_free(&key);
    bytes_unref(correlation);
    if (!tree && json_lacked_memory(&where))
        code = ORCH_E_RESOURCE_EXHAUSTED;
    json_decref(tree);
    *out = l;
    return code;
}

static void leave(run *r, listener *l)
{
    list_remove(&l->queue);
    topic_drop_unused(r, l->topic);
    l->topic = NULL;
}

void run_listener_free(run *r, listener *l)
{
    if (!l)
        return;
    leave(r, l);
    bytes_unref(l->payload);
    mem_free(l);
}

static void hear(listener *l, uint64_t seq, bytes *payload)
{
    l->has_heard = true;
    l->seq = seq;
    l->payload = payload;
}

/* ---- Signals for which nobody waits yet ------------------------------------------------------ */

static void note_free(run *r, note *n)
{
    list_remove(&n->of_name);
    list_remove(&n->of_correlation);
    topic_drop_unused(r, n->name);
    topic_drop_unused(r, n->correlation);
    bytes_unref(n->payload);
    mem_free(n);
}

static note *first_note(const topic *t)
{
    list *first = t->notes.next;

    return t->is_correlated ? LIST_ENTRY(first, note, of_correlation)
                            : LIST_ENTRY(first, note, of_name);
}

static bool keep(run *r, uint64_t seq, const buf *key, uint32_t name_len, bytes *payload)
{
    bool is_correlated = key->len > name_len;
    note *n = mem_zalloc(sizeof *n);

    if (!n)
        return false;
    list_init(&n->of_name);
    list_init(&n->of_correlation);
    n->name = topic_make(r, key->data, name_len);
    if (n->name && is_correlated)
        n->correlation = topic_make(r, key->data, (uint32_t)key->len);
    if (!n->name || (is_correlated && !n->correlation)) {
        note_free(r, n);
        return false;
    }
    list_push(&n->name->notes, &n->of_name);
    if (is_correlated)
        list_push(&n->correlation->notes, &n->of_correlation);
    n->seq = seq;
    n->payload = payload;
    return true;
}

/* After the nodes, and with them those that wait, are gone: what is left of a topic are its notes. */
void run_free_signals(run *r)
{
    while (r->topics)
        note_free(r, first_note(r->topics));
    mem_free(r->consumed);
}

bool run_listen(run *r, listener *l)
{
    topic *t = topic_make(r, l->key, l->len);

    if (!t)
        return false;
    if (list_empty(&t->notes)) {
        l->topic = t;
        list_push(&t->listeners, &l->queue);
    } else {
        note *n = first_note(t);

        hear(l, n->seq, bytes_ref(n->payload));
        note_free(r, n);
    }
    return true;
}

/* ---- Signals that come ----------------------------------------------------------------------- */

static listener *first_listener(const run *r, const buf *key, uint32_t name_len)
{
    const topic *t = key->len > name_len ? topic_find(r, key->data, (uint32_t)key->len) : NULL;

    if (!t || list_empty(&t->listeners))
        t = topic_find(r, key->data, name_len);
    return t && !list_empty(&t->listeners) ? LIST_ENTRY(t->listeners.next, listener, queue) : NULL;
}

/* Takes the payload over unless there is no memory. */
static bool deliver(run *r, uint64_t seq, const buf *key, uint32_t name_len, bytes *payload)
{
    listener *l = first_listener(r, key, name_len);

    if (!l)
        return keep(r, seq, key, name_len, payload);
    if (MUTATED(SIGNAL_TAKEN_TWICE))
        keep(r, seq, key, name_len, bytes_ref(payload));
    leave(r, l);
    hear(l, seq, payload);
    run_heard(r, l->at);
    return true;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* What the history has consumed may still be told by who read the inbox before that. */
static bool was_told(run *r, uint64_t seq)
{
    if (r->consumed_len && !r->consumed_sorted) {
        qsort(r->consumed, r->consumed_len, sizeof *r->consumed, by_seq);
        r->consumed_sorted = true;
    }
    return seq <= r->told_seq || (r->consumed_len && bsearch(&seq, r->consumed, r->consumed_len,
                                                             sizeof *r->consumed, by_seq));
}

bool run_note_consumed(run *r, uint64_t seq)
{
    uint64_t *grown = mem_grow(r->consumed, &r->consumed_cap, r->consumed_len + 1, sizeof *grown);

    if (!grown)
        return false;
    r->consumed = grown;
    r->consumed[r->consumed_len++] = seq;
    r->consumed_sorted = false;
    return true;
}

void run_signal(run *r, uint64_t seq, const char *name, bytes *correlation, bytes *payload,
                int64_t now_ms)
{
    uint32_t name_len = (uint32_t)strlen(name);
    buf key = BUF_INIT;

    r->now_ms = now_ms;
    if (r->phase < RUN_CLOSING && !was_told(r, seq)) {
        r->told_seq = seq;
        buf_add(&key, name, name_len);
        if (correlation)
            add_correlation(&key, correlation);
        if (!key.failed && deliver(r, seq, &key, name_len, payload))
            payload = NULL;
        else
            run_no_memory(r);
    }
    buf_free(&key);
    bytes_unref(payload);
    bytes_unref(correlation);
}
