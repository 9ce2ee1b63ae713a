#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define MAP_FIRST_BITS 6

/* Fibonacci hashing: the high bits index. The multiplier is odd, so equal hashes mean equal
 * keys. */
static uint64_t hash_key(uint64_t key)
{
    return key * UINT64_C(0x9e3779b97f4a7c15);
}

static size_t map_start(const memory_map *m, uint64_t hash)
{
    return (size_t)(hash >> (64 - m->bits));
}

static void map_put(memory_map *m, uint64_t hash, memory_execution *e)
{
    size_t mask = ((size_t)1 << m->bits) - 1, i = map_start(m, hash);

    while (m->slots[i].execution)
        i = (i + 1) & mask;
    m->slots[i] = (memory_slot){hash, e};
    m->count++;
}

/* Room for one more, at most three quarters full. */
static bool map_reserve(memory_map *m)
{
    memory_map grown = {.bits = m->slots ? m->bits + 1 : MAP_FIRST_BITS};

    if (m->slots && m->count + 1 <= ((size_t)3 << m->bits) / 4)
        return true;
    grown.slots = mem_calloc((size_t)1 << grown.bits, sizeof *grown.slots);
    if (!grown.slots)
        return false;
    for (size_t i = 0; m->slots && i < (size_t)1 << m->bits; i++) {
        if (m->slots[i].execution)
            map_put(&grown, m->slots[i].hash, m->slots[i].execution);
    }
    mem_free(m->slots);
    *m = grown;
    return true;
}

/* Those behind it move up where a search would otherwise end at the gap. */
static void map_remove(memory_map *m, uint64_t hash, const memory_execution *e)
{
    size_t mask = ((size_t)1 << m->bits) - 1, gap = map_start(m, hash);

    while (m->slots[gap].execution != e)
        gap = (gap + 1) & mask;
    for (size_t i = (gap + 1) & mask; m->slots[i].execution; i = (i + 1) & mask) {
        size_t start = map_start(m, m->slots[i].hash);

        if (((i - start) & mask) >= ((i - gap) & mask)) {
            m->slots[gap] = m->slots[i];
            gap = i;
        }
    }
    m->slots[gap].execution = NULL;
    m->count--;
}

memory_execution *table_find(const memory_table *t, uint64_t key)
{
    const memory_map *m = &t->by_key;
    uint64_t hash = hash_key(key);
    size_t mask = ((size_t)1 << m->bits) - 1;

    if (!m->slots)
        return NULL;
    for (size_t i = map_start(m, hash); m->slots[i].execution; i = (i + 1) & mask) {
        if (m->slots[i].hash == hash)
            return m->slots[i].execution;
    }
    return NULL;
}

memory_execution *table_find_id(const memory_table *t, const char *id)
{
    const memory_map *m = &t->by_id;
    uint64_t hash = text_hash(id, strlen(id));
    size_t mask = ((size_t)1 << m->bits) - 1;

    if (!m->slots)
        return NULL;
    for (size_t i = map_start(m, hash); m->slots[i].execution; i = (i + 1) & mask) {
        if (m->slots[i].hash == hash && !strcmp(m->slots[i].execution->row.id, id))
            return m->slots[i].execution;
    }
    return NULL;
}

memory_execution *table_at(const memory_table *t, size_t place)
{
    return t->order[t->first + place];
}

size_t table_place(const memory_table *t, uint64_t key)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table_at(t, middle)->row.key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool table_reserve(memory_table *t)
{
    memory_execution **order;

    /* What was purged left room at the front: moved once as much of it is free as is in use. */
    if (t->first > t->count && t->first + t->count == t->cap) {
        memmove(t->order, t->order + t->first, t->count * sizeof *t->order);
        t->first = 0;
    }
    order = mem_grow(t->order, &t->cap, t->first + t->count + 1, sizeof *order);
    if (!order)
        return false;
    t->order = order;
    return map_reserve(&t->by_key) && map_reserve(&t->by_id);
}

void table_insert(memory_table *t, memory_execution *e)
{
    size_t at = t->count;
    memory_execution **order = t->order + t->first;

    /* Keys rise but for the few that differ by shard within one millisecond. */
    if (at > 0 && order[at - 1]->row.key > e->row.key)
        at = table_place(t, e->row.key);
    memmove(&order[at + 1], &order[at], (t->count - at) * sizeof *order);
    order[at] = e;
    t->count++;
    map_put(&t->by_key, hash_key(e->row.key), e);
    if (e->row.id)
        map_put(&t->by_id, text_hash(e->row.id, strlen(e->row.id)), e);
}

/* Mostly one of the oldest: what lies before it moves up. */
void table_remove(memory_table *t, memory_execution *e)
{
    size_t at = table_place(t, e->row.key);
    memory_execution **order = t->order + t->first;

    if (at < t->count / 2) {
        memmove(&order[1], &order[0], at * sizeof *order);
        t->first++;
    } else {
        memmove(&order[at], &order[at + 1], (t->count - at - 1) * sizeof *order);
    }
    t->count--;
    map_remove(&t->by_key, hash_key(e->row.key), e);
    if (e->row.id)
        map_remove(&t->by_id, text_hash(e->row.id, strlen(e->row.id)), e);
}

void table_free(memory_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        execution_free(table_at(t, i));
    mem_free(t->order);
    mem_free(t->by_key.slots);
    mem_free(t->by_id.slots);
}

static bool copy_texts(const execution_row *row, memory_execution *e)
{
    e->row.id = row->id ? mem_strdup(row->id) : NULL;
    e->row.limit_key = row->limit_key ? mem_strdup(row->limit_key) : NULL;
    e->row.affinity = row->affinity ? mem_strdup(row->affinity) : NULL;
    return !row->id == !e->row.id && !row->limit_key == !e->row.limit_key &&
           !row->affinity == !e->row.affinity;
}

int32_t execution_new(const execution_row *row, memory_execution **out)
{
    memory_execution *e = mem_zalloc(sizeof *e);
    int32_t rc;

    if (!e)
        return ORCH_E_RESOURCE_EXHAUSTED;
    e->row = *row;
    list_init(&e->live);
    bytes_ref(e->row.attributes);
    bytes_ref(e->row.input);
    bytes_ref(e->row.output);
    bytes_ref(e->row.error);
    rc = copy_texts(row, e) ? attributes_read(row->attributes, &e->attributes, NULL)
                            : ORCH_E_RESOURCE_EXHAUSTED;
    if (rc == 0)
        *out = e;
    else
        execution_free(e);
    return rc;
}

void execution_free(memory_execution *e)
{
    memory_run *next;

    if (!e)
        return;
    for (memory_run *run = e->runs; run; run = next) {
        next = run->next;
        history_free(&run->history);
        run_row_clear(&run->row);
        mem_free(run);
    }
    inbox_free(&e->inbox);
    controls_free(&e->controls);
    attributes_clear(&e->attributes);
    mem_free(e->start_key);
    execution_row_clear(&e->row);
    mem_free(e);
}

memory_run *execution_run(const memory_execution *e, uint32_t run)
{
    memory_run *r = e->runs;

    while (r && r->row.run != run)
        r = r->next;
    return r;
}
