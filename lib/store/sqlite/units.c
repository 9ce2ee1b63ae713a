/* Lists of units, and what they weigh. */
#include "store/sqlite/sqlite_impl.h"

#define ROW_BYTES 64 /* about what a row takes beside its payload */

static uint64_t length(const bytes *b)
{
    return b ? b->len : 0;
}

static uint64_t unit_bytes(const store_unit *u)
{
    uint64_t sum = ROW_BYTES;

    if (u->definition)
        sum += length(u->definition->text) + length(u->definition->metadata);
    if (u->accept)
        sum += length(u->accept->input) + length(u->accept->output) + length(u->accept->error);
    if (u->update)
        sum += length(u->update->output) + length(u->update->error);
    if (u->inbox_put)
        sum += length(u->inbox_put->payload);
    for (uint32_t i = 0; i < u->checkpoint_count; i++)
        sum += ROW_BYTES + length(u->checkpoints[i].output) + length(u->checkpoints[i].error);
    return sum;
}

void units_push(unit_list *l, store_unit *u)
{
    u->next = NULL;
    if (l->last)
        l->last->next = u;
    else
        l->first = u;
    l->last = u;
    l->count++;
    l->bytes += unit_bytes(u);
}

void units_append(unit_list *l, unit_list *tail)
{
    if (!tail->first)
        return;
    if (l->last)
        l->last->next = tail->first;
    else
        l->first = tail->first;
    l->last = tail->last;
    l->count += tail->count;
    l->bytes += tail->bytes;
    *tail = (unit_list){0};
}

void units_take_new(unit_list *l, unit_list *out)
{
    unit_list rest = {0};
    store_unit *next;

    for (store_unit *u = l->first; u; u = next) {
        next = u->next;
        if (u->accept || u->definition) {
            u->result = ORCH_E_RESOURCE_EXHAUSTED;
            units_push(out, u);
        } else {
            units_push(&rest, u);
        }
    }
    *l = rest;
}

void units_take(unit_list *l, uint64_t most, uint64_t most_bytes, unit_list *out)
{
    store_unit *last = l->first;
    uint64_t count = 1, sum, more;

    if (l->count <= most && l->bytes <= most_bytes) {
        units_append(out, l);
        return;
    }
    for (sum = unit_bytes(last); last->next && count < most; count++, sum += more) {
        more = unit_bytes(last->next);
        if (sum + more > most_bytes)
            break;
        last = last->next;
    }
    *out = (unit_list){l->first, last, count, sum};
    *l = (unit_list){last->next, l->last, l->count - count, l->bytes - sum};
    if (!l->first)
        *l = (unit_list){0};
    last->next = NULL;
}
