#include "store/memory/memory_impl.h"

#include "base/mem.h"

#define CHUNK_FIRST 4u
#define CHUNK_MOST  1024u

static history_chunk *chunk_new(uint32_t cap)
{
    history_chunk *chunk = mem_alloc(sizeof *chunk + cap * sizeof chunk->rows[0]);

    if (!chunk)
        return NULL;
    chunk->prev = chunk->next = NULL;
    chunk->count = 0;
    chunk->cap = cap;
    return chunk;
}

/* The chunk that the next row goes into; chunks after it are reserved and empty. */
static history_chunk *chunk_of_next(const history *h)
{
    history_chunk *chunk = h->last;

    return chunk && chunk->count == chunk->cap ? chunk->next : chunk;
}

static void chunk_link(history *h, history_chunk *tail, history_chunk *chunk)
{
    chunk->prev = tail;
    if (tail)
        tail->next = chunk;
    else
        h->first = h->last = chunk;
}

bool history_reserve(history *h, uint32_t count)
{
    history_chunk *tail = h->last;
    uint64_t room = tail ? tail->cap - tail->count : 0;

    while (tail && tail->next) {
        tail = tail->next;
        room += tail->cap;
    }
    while (room < count) {
        uint32_t cap = !tail ? CHUNK_FIRST : tail->cap < CHUNK_MOST ? tail->cap * 2 : CHUNK_MOST;
        history_chunk *chunk = chunk_new(cap);

        if (!chunk)
            return false;
        chunk_link(h, tail, chunk);
        tail = chunk;
        room += cap;
    }
    return true;
}

bool history_has(const history *h, uint64_t seq)
{
    for (const history_chunk *chunk = h->last; chunk; chunk = chunk->prev) {
        if (chunk->count == 0 || chunk->rows[0].seq > seq)
            continue;
        for (uint32_t i = chunk->count; i-- > 0;) {
            if (chunk->rows[i].seq <= seq)
                return chunk->rows[i].seq == seq;
        }
    }
    return false;
}

/* Seqs come in order; where one does not, it moves down from the end to its place. */
static void sink(history_chunk *chunk)
{
    uint32_t at = chunk->count - 1;

    for (;;) {
        history_chunk *below = at > 0 ? chunk : chunk->prev;
        uint32_t place = at > 0 ? at - 1 : below ? below->count - 1 : 0;
        checkpoint moved;

        if (!below || below->rows[place].seq < chunk->rows[at].seq)
            return;
        moved = below->rows[place];
        below->rows[place] = chunk->rows[at];
        chunk->rows[at] = moved;
        chunk = below;
        at = place;
    }
}

void history_append(history *h, const checkpoint *c)
{
    history_chunk *chunk;
    checkpoint *row;

    if (c->seq <= h->last_seq && history_has(h, c->seq))
        return;
    chunk = chunk_of_next(h);
    h->last = chunk;
    row = &chunk->rows[chunk->count++];
    *row = *c;
    row->inbox = 0; /* it did what it says */
    bytes_ref(row->output);
    bytes_ref(row->error);
    if (c->seq > h->last_seq)
        h->last_seq = c->seq;
    else
        sink(chunk);
}

void history_free(history *h)
{
    history_chunk *next;

    for (history_chunk *chunk = h->first; chunk; chunk = next) {
        next = chunk->next;
        for (uint32_t i = 0; i < chunk->count; i++)
            checkpoint_clear(&chunk->rows[i]);
        mem_free(chunk);
    }
    h->first = h->last = NULL;
}

uint32_t history_read(const history *h, uint64_t after_seq, checkpoint *out, uint32_t limit)
{
    uint32_t count = 0;

    for (const history_chunk *chunk = h->first; chunk && chunk->count; chunk = chunk->next) {
        if (chunk->rows[chunk->count - 1].seq <= after_seq)
            continue;
        for (uint32_t i = 0; i < chunk->count && count < limit; i++) {
            if (chunk->rows[i].seq <= after_seq)
                continue;
            out[count] = chunk->rows[i];
            bytes_ref(out[count].output);
            bytes_ref(out[count].error);
            count++;
        }
        if (count == limit)
            break;
    }
    return count;
}
