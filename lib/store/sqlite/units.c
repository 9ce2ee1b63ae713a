#include "store/sqlite/sqlite_impl.h"

void units_push(unit_list *l, store_unit *u)
{
    u->next = NULL;
    if (l->last)
        l->last->next = u;
    else
        l->first = u;
    l->last = u;
    l->count++;
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

void units_take(unit_list *l, uint64_t most, unit_list *out)
{
    store_unit *last = l->first;

    if (l->count <= most) {
        units_append(out, l);
        return;
    }
    for (uint64_t i = 1; i < most; i++)
        last = last->next;
    *out = (unit_list){l->first, last, most};
    l->first = last->next;
    l->count -= most;
    last->next = NULL;
}
