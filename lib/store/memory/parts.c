/* What an execution has besides its row: its inbox, and what was done to it from outside. */
#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/mem.h"

/* False if `from` is there and could not be copied. */
static bool copy_text(const char *from, char **out)
{
    *out = from ? mem_strdup(from) : NULL;
    return !from || *out;
}

/* ---- inbox ----------------------------------------------------------------------------------------------- */

bool inbox_reserve(memory_inbox *b, size_t more)
{
    inbox_item *rows;

    if (b->first && b->first + b->count + more > b->cap) {
        memmove(b->rows, b->rows + b->first, b->count * sizeof *b->rows);
        b->first = 0;
    }
    rows = mem_grow(b->rows, &b->cap, b->first + b->count + more, sizeof *rows);
    if (rows)
        b->rows = rows;
    return rows != NULL;
}

void inbox_push(memory_inbox *b, const inbox_item *item)
{
    b->rows[b->first + b->count++] = *item;
}

size_t inbox_drop_up_to(memory_inbox *b, uint64_t seq)
{
    size_t gone = 0;

    while (b->count && b->rows[b->first].seq <= seq) {
        inbox_item_clear(&b->rows[b->first++]);
        b->count--;
        gone++;
    }
    return gone;
}

size_t inbox_drop_one(memory_inbox *b, uint64_t seq)
{
    inbox_item *rows = b->rows + b->first;
    size_t at = 0;

    if (b->count && rows[0].seq == seq)
        return inbox_drop_up_to(b, seq);
    while (at < b->count && rows[at].seq < seq)
        at++;
    if (at == b->count || rows[at].seq != seq)
        return 0;
    inbox_item_clear(&rows[at]);
    b->count--;
    memmove(rows + at, rows + at + 1, (b->count - at) * sizeof *rows);
    return 1;
}

uint32_t inbox_count_kind(const memory_inbox *b, uint8_t kind)
{
    uint32_t count = 0;

    for (size_t i = 0; i < b->count; i++)
        count += b->rows[b->first + i].kind == kind;
    return count;
}

void inbox_free(memory_inbox *b)
{
    inbox_drop_up_to(b, UINT64_MAX);
    mem_free(b->rows);
}

bool inbox_item_copy(const inbox_item *item, inbox_item *out)
{
    *out = *item;
    bytes_ref(out->correlation);
    bytes_ref(out->payload);
    if (copy_text(item->name, &out->name))
        return true;
    inbox_item_clear(out);
    return false;
}

/* ---- controls -------------------------------------------------------------------------------------------- */

bool controls_reserve(memory_controls *c)
{
    control_row *rows = mem_grow(c->rows, &c->cap, c->count + 1, sizeof *rows);

    if (rows)
        c->rows = rows;
    return rows != NULL;
}

void controls_push(memory_controls *c, const control_row *row)
{
    if (c->count == 2 * CONTROLS_KEPT) {
        for (size_t i = 0; i < CONTROLS_KEPT; i++)
            control_row_clear(&c->rows[i]);
        c->count -= CONTROLS_KEPT;
        memmove(c->rows, c->rows + CONTROLS_KEPT, c->count * sizeof *c->rows);
    }
    c->rows[c->count] = *row;
    c->rows[c->count++].seq = ++c->last_seq;
}

void controls_free(memory_controls *c)
{
    for (size_t i = 0; i < c->count; i++)
        control_row_clear(&c->rows[i]);
    mem_free(c->rows);
}

bool control_row_copy(const control_row *row, control_row *out)
{
    bool copied;

    *out = *row;
    out->action = out->who = out->why = out->detail = NULL;
    copied = copy_text(row->action, &out->action) && copy_text(row->who, &out->who) &&
             copy_text(row->why, &out->why) && copy_text(row->detail, &out->detail);
    if (!copied)
        control_row_clear(out);
    return copied;
}
